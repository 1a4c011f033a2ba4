//! The text format: `TIME LEVEL sentence (key: value; key: value)`.

use super::escape::{is_unfit, quoted, unquote, value};
use super::facts::{self, Value, stamp, unstamp};
use crate::clock::Timestamp;
use crate::config::model::ServiceName;
use crate::event::{Change, Event, EventKind, Level, phrase};

/// The line of an event.
pub(super) fn render(event: &Event) -> String {
    let facts = facts::of(event);
    let rest = match &event.kind {
        EventKind::Note { text, .. } => note(event.service.as_ref(), text),
        _ if facts.details.is_empty() => facts.message,
        _ => {
            let details: Vec<String> =
                facts.details.iter().map(|(key, v)| format!("{key}: {}", show(v))).collect();
            format!("{} ({})", facts.message, details.join("; "))
        }
    };
    format!("{} {} {rest}", stamp(event.at), facts.level.as_str())
}

fn show(v: &Value) -> String {
    match v {
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => value(text),
    }
}

/// A note's service follows it as its only detail; a note that could be misread is quoted.
fn note(service: Option<&ServiceName>, text: &str) -> String {
    let plain = !is_unfit(text) && !text.starts_with('"') && of_service(text).is_none();
    let text = if plain { text.to_owned() } else { quoted(text) };
    match service {
        Some(service) => format!("{text} (service: {service})"),
        None => text,
    }
}

/// Splits ` (service: S)` off the end.
fn of_service(text: &str) -> Option<(&str, ServiceName)> {
    let (text, name) = text.strip_suffix(')')?.rsplit_once(" (service: ")?;
    Some((text, ServiceName::new(name)?))
}

/// Reads one line back.
pub(super) fn parse(line: &str) -> Option<Event> {
    let (at, rest) = line.split_once(' ')?;
    let (level, rest) = rest.split_once(' ')?;
    let (at, level) = (unstamp(at)?, Level::parse(level)?);
    if let Some(event) = parse_sentence(at, rest) {
        return Some(event);
    }
    let (text, service) = match of_service(rest) {
        Some((text, service)) => (text, Some(service)),
        None => (rest, None),
    };
    let text = match unquote(text) {
        Some((content, "")) => content,
        _ => text.to_owned(),
    };
    Some(Event::new(at, service, EventKind::Note { level, text }))
}

fn parse_sentence(at: Timestamp, rest: &str) -> Option<Event> {
    let (name, service, rest, mut figures) = sentence(rest)?;
    figures.extend(details(rest)?);
    let get = |key: &str| figures.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    Some(facts::with_context(Event::new(at, Some(service), facts::rebuild(name, &get)?), &get))
}

type Figures = Vec<(String, Value)>;

/// The event's name, its service, what follows the sentence, and the figures that the sentence tells.
fn sentence(rest: &str) -> Option<(&'static str, ServiceName, &str, Figures)> {
    let verbs = [
        (phrase::PASSED, "", "check_passed"),
        (phrase::FAILED, phrase::TRYING, "check_failed"),
        (phrase::FAILED, phrase::LEFT, "check_failed"),
        (phrase::EXECUTING, "", "executing"),
        (phrase::RECOVERED, "", "recovered"),
        (phrase::RECOVERY_FAILED, "", "recovery_failed"),
        (phrase::CANNOT_CHECK, "", "cannot_check"),
        ("", phrase::STOPPED, "manually_stopped"),
        ("", phrase::HEALED, "healed_without_restart"),
        (phrase::FALLBACK, "", "executing_fallback"),
        ("", phrase::DEGRADED, "degraded"),
    ];
    for (before, after, name) in verbs {
        if let Some((service, rest)) = rest.strip_prefix(before).and_then(service)
            && let Some(rest) = rest.strip_prefix(after)
        {
            let (rest, figures) = if after == phrase::LEFT { below(rest) } else { (rest, vec![]) };
            return Some((name, service, rest, figures));
        }
    }
    for change in Change::ALL {
        let after = rest.strip_prefix(change.code()).and_then(|rest| rest.strip_prefix(' '));
        if let Some((service, rest)) = after.and_then(service) {
            return Some((change.name(), service, rest, vec![]));
        }
    }
    let (subject, rest) = service(rest)?;
    if let Some(rest) = rest.strip_prefix(phrase::BLOCKED) {
        let (by, rest) = service(rest)?;
        return Some((
            "blocked",
            subject,
            rest,
            vec![("blocked_by".into(), Value::Text(by.as_str().into()))],
        ));
    }
    let (attempts, rest) = rest.strip_prefix(phrase::EXCEEDED)?.strip_prefix(" (")?.split_once(" in ")?;
    let (window, rest) = rest.split_once("s), giving up")?;
    let figures = vec![
        ("attempts".into(), Value::Number(attempts.parse().ok()?)),
        ("window_seconds".into(), Value::Number(window.parse().ok()?)),
    ];
    Some(("given_up", subject, rest, figures))
}

/// Splits ` (failure 1 of 3)` off the front, where it stands there.
fn below(rest: &str) -> (&str, Figures) {
    let found = rest.strip_prefix(" (failure ").and_then(|rest| rest.split_once(')'));
    let threshold = found.and_then(|(count, _)| count.split_once(" of ")?.1.parse().ok());
    match (found, threshold) {
        (Some((_, rest)), Some(threshold)) => {
            (rest, vec![("failure_threshold".into(), Value::Number(threshold))])
        }
        _ => (rest, vec![]),
    }
}

/// Splits a service's name off the front.
fn service(text: &str) -> Option<(ServiceName, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((ServiceName::new(name)?, rest))
}

/// Reads ` (key: value; key: value)`, or nothing at all.
fn details(rest: &str) -> Option<Figures> {
    if rest.is_empty() {
        return Some(vec![]);
    }
    let mut rest = rest.strip_prefix(" (")?.strip_suffix(')')?;
    let mut figures = Vec::new();
    loop {
        let (key, value) = rest.split_once(": ")?;
        let (content, after) = if value.starts_with('"') {
            unquote(value)?
        } else {
            let (bare, after) = value.split_at(value.find(';').unwrap_or(value.len()));
            (bare.to_owned(), after)
        };
        figures.push((key.to_owned(), Value::Text(content)));
        match after.strip_prefix("; ") {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(figures),
            None => return None,
        }
    }
}
