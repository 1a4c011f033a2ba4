//! What a line says, found in its bytes: lines of this program at their fixed places, all others by their
//! first phrase.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use memchr::{memchr, memrchr};
use regex::bytes::Regex;

use super::instant::{self, Calendar, Millis};
use crate::config::model::ServiceName;
use crate::event::phrase;

/// What a line tells of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A look found it healthy.
    Passed,
    /// A look found it down.
    Failed,
    /// A look could not tell.
    Unknown,
    /// A restart begins, in the words of a shell runner.
    Attempting,
    /// A restart command is run.
    Executing,
    /// A restart helped.
    Recovered,
    /// A restart did not help.
    NotRecovered,
    /// It came back by itself.
    Healed,
    /// A person stopped it.
    Stopped,
    /// No restart is left to it.
    GivenUp,
    /// A phrase that no figure is made of.
    Other,
}

/// One line's fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact<'a> {
    /// Whose; not necessarily a name that this program would allow.
    pub service: &'a [u8],
    /// What.
    pub kind: Kind,
    /// When, if the line tells.
    pub at: Option<Millis>,
    /// Further words follow the name, so that it may not be one: `Failed to recover session from cache`.
    pub doubtful: bool,
}

/// Phrases that the service follows; the first of each pair of wordings is our own.
const BEFORE: [(&str, Kind); 11] = [
    (phrase::PASSED, Kind::Passed),
    (phrase::FAILED, Kind::Failed),
    (phrase::EXECUTING, Kind::Executing),
    (phrase::RECOVERED, Kind::Recovered),
    (phrase::RECOVERY_FAILED, Kind::NotRecovered),
    (phrase::CANNOT_CHECK, Kind::Unknown),
    ("Health check passed: ", Kind::Passed),
    ("Health check failed: ", Kind::Failed),
    ("Attempting recovery: ", Kind::Attempting),
    ("Recovery successful: ", Kind::Recovered),
    ("Recovery failed: ", Kind::NotRecovered),
];

/// Phrases that follow the service.
const AFTER: [(&str, Kind); 4] = [
    (phrase::STOPPED, Kind::Stopped),
    (phrase::HEALED, Kind::Healed),
    (phrase::EXCEEDED, Kind::GivenUp),
    (phrase::BLOCKED, Kind::Other),
];

/// How JSON lines of ours begin.
const JSON: &str = r#"{"ts":""#;

/// One search for all phrases at once; an alternation of literals runs at the speed of memory.
static PHRASES: LazyLock<Regex> = LazyLock::new(|| any_of(phrases()));

/// What a line must hold to be looked at: a JSON line of ours is known by its keys, whatever its message.
static SIGNS: LazyLock<Regex> = LazyLock::new(|| any_of(phrases().chain([JSON])));

fn phrases() -> impl Iterator<Item = &'static str> {
    BEFORE.iter().chain(&AFTER).map(|(phrase, _)| *phrase)
}

fn any_of(literals: impl Iterator<Item = &'static str>) -> Regex {
    let literals: Vec<String> = literals.map(regex::escape).collect();
    Regex::new(&format!("(?-u){}", literals.join("|"))).expect("escaped literals are a valid expression")
}

/// Finds facts in lines, and remembers how the last ones looked: most of a log is alike.
#[derive(Debug)]
pub struct Scanner {
    calendar: Calendar,
    minute: Minute,
    templates: Templates,
}

impl Scanner {
    /// A scanner that has seen nothing.
    #[must_use]
    pub fn new(calendar: Calendar) -> Self {
        Self { calendar, minute: Minute::default(), templates: Templates::default() }
    }

    /// Tells `each` of every fact in `chunk`, which holds whole lines.
    pub fn scan(&mut self, chunk: &[u8], each: &mut impl FnMut(&Fact<'_>)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if let Some((fact, read)) = self.known(rest) {
                each(&fact);
                rest = after_line(rest, read);
                continue;
            }
            // Nothing known at this place: leap to the next sign, over all lines that have none.
            let Some(found) = SIGNS.find(rest) else { return };
            let start = memrchr(b'\n', &rest[..found.start()]).map_or(0, |newline| newline + 1);
            if start > 0 {
                rest = &rest[start..];
                if let Some((fact, read)) = self.known(rest) {
                    each(&fact);
                    rest = after_line(rest, read);
                    continue;
                }
            }
            let next = after_line(rest, found.start() - start);
            self.foreign(&rest[..rest.len() - next.len()], each);
            rest = next;
        }
    }

    /// The fact of a line that looks like one of ours, in either format, or like the last ones, and how far
    /// the line was read.
    fn known<'a>(&mut self, line: &'a [u8]) -> Option<(Fact<'a>, usize)> {
        if line[0] == b'{' {
            return own_json(line, &mut self.minute);
        }
        if let Some(found) = own_text(line, &mut self.minute) {
            return Some(found);
        }
        let (prefix, after, kind) = self.templates.split(line)?;
        let (service, doubtful) = name_at_start(after);
        let fact = Fact { service, kind, at: self.calendar.find(prefix), doubtful };
        is_name(service).then_some((fact, prefix.len()))
    }

    /// A line that is not exactly as we write it: with another prefix, of another runner, or wrapped in JSON.
    fn foreign(&mut self, line: &[u8], each: &mut impl FnMut(&Fact<'_>)) {
        // A crash can leave a run of zero bytes before the next line.
        let text = line[line.iter().position(|&b| b != 0).unwrap_or(line.len())..].trim_ascii();
        if text.starts_with(b"{") && wrapped(text, &self.calendar, each).is_break() {
            return;
        }
        if let Some((mut fact, phrase_at)) = first_phrase(text) {
            fact.at = self.calendar.find(&text[..phrase_at]);
            each(&fact);
            if line.starts_with(text) {
                self.templates.learn(&text[..phrase_at], &text[phrase_at..]);
            }
        }
    }
}

/// The minute of the last line of ours: the next line is mostly of the same.
#[derive(Debug, Default)]
struct Minute {
    /// `2026-11-21T10:05`
    text: [u8; 16],
    at: Option<Millis>,
}

impl Minute {
    /// As [`instant::own`].
    fn read(&mut self, stamp: &[u8; 24]) -> Option<Millis> {
        let digit = |at: usize| i64::from(stamp[at].wrapping_sub(b'0'));
        let is_digit = |at: usize| stamp[at].is_ascii_digit();
        let rest_is_plain = [17, 18, 20, 21, 22].into_iter().all(is_digit)
            && (stamp[16], stamp[19], stamp[23]) == (b':', b'.', b'Z');
        let within = (digit(17) * 10 + digit(18)) * 1000 + digit(20) * 100 + digit(21) * 10 + digit(22);
        let (text, _) = stamp.split_first_chunk::<16>()?;
        if let Some(at) = self.at.filter(|_| *text == self.text && rest_is_plain && stamp[17] < b'6') {
            return Some(at + within);
        }
        let at = instant::own(stamp)?;
        *self = Self { text: *text, at: Some(at - within) };
        Some(at)
    }
}

/// What stood before the phrase in lines of others, with `0` for every digit. No phrase holds a digit, so a
/// prefix that differs in digits alone holds no phrase either: its line's first one follows it.
#[derive(Debug, Default)]
struct Templates {
    known: [Vec<u8>; 4],
    oldest: usize,
}

impl Templates {
    fn learn(&mut self, prefix: &[u8], phrase: &[u8]) {
        let short = !prefix.is_empty() && prefix.len() <= 100;
        if !short || !BEFORE.iter().any(|(text, _)| phrase.starts_with(text.as_bytes())) {
            return;
        }
        let template = prefix.iter().map(|&b| if b.is_ascii_digit() { b'0' } else { b }).collect();
        self.known[self.oldest] = template;
        self.oldest = (self.oldest + 1) % self.known.len();
    }

    /// The prefix, what follows the phrase, and its kind.
    fn split<'a>(&self, line: &'a [u8]) -> Option<(&'a [u8], &'a [u8], Kind)> {
        let alike = |(&byte, &known): (&u8, &u8)| byte == known || (known == b'0' && byte.is_ascii_digit());
        self.known.iter().filter(|template| !template.is_empty()).find_map(|template| {
            let (prefix, rest) = line.split_at_checked(template.len())?;
            if !prefix.iter().zip(template).all(alike) {
                return None;
            }
            let (phrase, kind) = BEFORE.iter().find(|(phrase, _)| rest.starts_with(phrase.as_bytes()))?;
            Some((prefix, &rest[phrase.len()..], *kind))
        })
    }
}

/// What follows the line in which `at` lies.
fn after_line(text: &[u8], at: usize) -> &[u8] {
    memchr(b'\n', &text[at..]).map_or(&[], |newline| &text[at + newline + 1..])
}

/// The first time in these lines, to put files in order.
#[must_use]
pub fn first_time(chunk: &[u8], calendar: &Calendar) -> Option<Millis> {
    chunk.split(|&byte| byte == b'\n').find_map(|line| calendar.find(line))
}

/// A line of this program, and how far it was read.
fn own_text<'a>(line: &'a [u8], minute: &mut Minute) -> Option<(Fact<'a>, usize)> {
    let (stamp, rest) = line.split_first_chunk::<24>()?;
    let at = Some(minute.read(stamp)?);
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest
        .strip_prefix(b"INFO ")
        .or_else(|| rest.strip_prefix(b"WARNING "))
        .or_else(|| rest.strip_prefix(b"ERROR "))?;
    let (rest, kind) = own_phrase(rest)?;
    let service = &rest[..rest.iter().position(|&b| !is_plain(b)).unwrap_or(rest.len())];
    let after = &rest[service.len()..];
    let ends = after.is_empty() || matches!(after[0], b'\n' | b'\r' | b',') || after.starts_with(b" (");
    let fact = Fact { service, kind, at, doubtful: false };
    (ends && is_name(service)).then(|| (fact, line.len() - after.len()))
}

/// One of our phrases that the service follows, and what follows it. Nearly all lines begin with the first one,
/// which the compiler compares without a call.
fn own_phrase(text: &[u8]) -> Option<(&[u8], Kind)> {
    if let Some(rest) = text.strip_prefix(phrase::PASSED.as_bytes()) {
        return Some((rest, Kind::Passed));
    }
    BEFORE[1..6].iter().find_map(|(phrase, kind)| Some((text.strip_prefix(phrase.as_bytes())?, *kind)))
}

/// `{"ts":"…","level":"…","event":"…","service":"…","message":…`, exactly as we write it.
fn own_json<'a>(line: &'a [u8], minute: &mut Minute) -> Option<(Fact<'a>, usize)> {
    let (stamp, rest) = line.strip_prefix(JSON.as_bytes())?.split_first_chunk::<24>()?;
    let at = Some(minute.read(stamp)?);
    let rest = rest.strip_prefix(br#"","level":""#)?;
    let rest = rest
        .strip_prefix(b"INFO")
        .or_else(|| rest.strip_prefix(b"WARNING"))
        .or_else(|| rest.strip_prefix(b"ERROR"))?;
    let rest = rest.strip_prefix(br#"","event":""#)?;
    let event = &rest[..rest.iter().position(|&b| b == b'"' || b == b'\n')?];
    let kind = kind_of_event(event)?;
    let rest = rest[event.len()..].strip_prefix(br#"","service":""#)?;
    let service = &rest[..rest.iter().position(|&b| !is_plain(b))?];
    let after = rest[service.len()..].strip_prefix(br#"","#)?;
    is_name(service).then(|| (Fact { service, kind, at, doubtful: false }, line.len() - after.len()))
}

fn kind_of_event(event: &[u8]) -> Option<Kind> {
    Some(match event {
        b"check_passed" => Kind::Passed,
        b"check_failed" => Kind::Failed,
        b"cannot_check" => Kind::Unknown,
        b"executing" => Kind::Executing,
        b"recovered" => Kind::Recovered,
        b"recovery_failed" => Kind::NotRecovered,
        b"healed_without_restart" => Kind::Healed,
        b"manually_stopped" => Kind::Stopped,
        b"given_up" => Kind::GivenUp,
        b"blocked" | b"note" => Kind::Other,
        _ => return None,
    })
}

/// An object: an event of ours that another tool wrote again, or a line of text in an envelope (`docker`'s
/// json-file, journald's export).
fn wrapped(line: &[u8], calendar: &Calendar, each: &mut impl FnMut(&Fact<'_>)) -> ControlFlow<()> {
    let text = String::from_utf8_lossy(line);
    let Ok(object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text) else {
        return ControlFlow::Continue(());
    };
    let string = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key)?.as_str());
    let at = string(&["ts", "time", "timestamp", "@timestamp"]).and_then(|at| calendar.find(at.as_bytes()));
    let event = string(&["event"]).and_then(|event| kind_of_event(event.as_bytes()));
    if let (Some(kind), true) = (event, object.contains_key("message")) {
        let service = string(&["service"]).unwrap_or_default().as_bytes();
        if is_name(service) {
            each(&Fact { service, kind, at, doubtful: false });
        }
        return ControlFlow::Break(());
    }
    if let Some(message) = string(&["message", "msg", "log", "MESSAGE"]) {
        let message = message.as_bytes();
        if let Some((mut fact, phrase_at)) = first_phrase(message) {
            fact.at = calendar.find(&message[..phrase_at]).or(at);
            each(&fact);
        }
    }
    ControlFlow::Break(())
}

/// The first phrase of a line, and where it (with its service) begins.
fn first_phrase(line: &[u8]) -> Option<(Fact<'_>, usize)> {
    PHRASES.find_iter(line).find_map(|found| {
        let phrase = found.as_bytes();
        let kind_in = |list: &[(&str, Kind)]| {
            list.iter().find(|(text, _)| text.as_bytes() == phrase).map(|&(_, kind)| kind)
        };
        let (before, after) = (&line[..found.start()], &line[found.end()..]);
        if let Some(kind) = kind_in(&BEFORE) {
            let glued = before.last().is_some_and(u8::is_ascii_alphanumeric) && !ends_with_color(before);
            let (service, doubtful) = name_at_start(after);
            let fact = Fact { service, kind, at: None, doubtful };
            (!glued && is_name(service)).then_some((fact, found.start()))
        } else {
            let service = name_at_end(before);
            let fact = Fact { service, kind: kind_in(&AFTER)?, at: None, doubtful: false };
            is_name(service).then_some((fact, found.start() - service.len()))
        }
    })
}

/// The name that follows a phrase, and whether words follow it. A shell runner may end its sentence with a
/// full stop and may quote the name.
fn name_at_start(text: &[u8]) -> (&[u8], bool) {
    let text = match text.first() {
        Some(b'\'' | b'"' | b'`') => &text[1..],
        _ => text,
    };
    let end = text.iter().position(|&b| !is_foreign(b)).unwrap_or(text.len());
    let words = text[end..].len() > 1 && text[end] == b' ' && text[end + 1].is_ascii_alphabetic();
    let mut name = &text[..end];
    while let Some(shorter) = name.strip_suffix(b".") {
        name = shorter;
    }
    (name, words)
}

fn name_at_end(text: &[u8]) -> &[u8] {
    let text = match text.last() {
        Some(b'\'' | b'"' | b'`') => &text[..text.len() - 1],
        _ => text,
    };
    let start = text.iter().rposition(|&b| !is_foreign(b)).map_or(0, |other| other + 1);
    let name = &text[start..];
    match memchr(b'm', name) {
        Some(m) if ends_with_color(&text[..=start + m]) => &name[m + 1..],
        _ => name,
    }
}

/// Whether a terminal's colour sequence (`ESC [ 3 2 m`) stands at the end.
fn ends_with_color(text: &[u8]) -> bool {
    text.strip_suffix(b"m").is_some_and(|text| {
        let digits = text.iter().rev().take_while(|b| b.is_ascii_digit() || **b == b';').count();
        text[..text.len() - digits].ends_with(b"\x1b[")
    })
}

/// What names that this program allows are made of, by byte: asked for every letter of every name.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        byte += 1;
    }
    plain
};

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// Other runners take names that we refuse.
fn is_foreign(byte: u8) -> bool {
    is_plain(byte) || matches!(byte, b'/' | b'@' | b'+') || byte >= 0x80
}

fn is_name(name: &[u8]) -> bool {
    name.len() <= ServiceName::MAX_LEN
        && name.first().is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80)
}
