//! What an alert says: title, priority, tags, body. Every fact is masked and kept on its line here, so that
//! no caller can forget it.

use std::fmt::Write;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::mask::{escape_control, mask};
use crate::clock::Timestamp;
use crate::clock::text::utc;
use crate::config::model::{CustomCommand, Probe};
use crate::state::AlertKind;

/// The longest body, in bytes: ntfy makes an attachment of a longer one, or refuses it.
pub const BODY_MAX: usize = 4096;
/// The longest restart command and health check, in characters.
const COMMAND_MAX: usize = 300;
/// The longest of the other facts, in characters, so that the last line is not cut off the body.
const FACT_MAX: usize = 400;
/// The longest title, in characters.
const TITLE_MAX: usize = 200;
/// So many of the last lines of a check's output are told.
const OUTPUT_LINES: usize = 5;

/// The facts of an alert, raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// What it tells.
    pub kind: AlertKind,
    /// It was told before in this incident.
    pub reminder: bool,
    /// What the title is about: the service's display name, or the container; not used for the machine.
    pub subject: String,
    /// The services' names.
    pub services: Vec<String>,
    /// The container's real name.
    pub container: Option<String>,
    /// The machine's name.
    pub host: String,
    /// When it happened.
    pub at: Timestamp,
    /// The first failed look.
    pub down_since: Option<Timestamp>,
    /// The first healthy look, for a recovery.
    pub recovered_at: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// The check's output, or the configuration's problems one a line.
    pub output: Option<String>,
    /// See [`describe_check`].
    pub health_check: Option<String>,
    /// What was run to restart it.
    pub restart_command: Option<String>,
    /// How that ended.
    pub restart_result: Option<String>,
    /// Attempts within the window, and the window, for a crash loop.
    pub attempts: Option<(u32, Duration)>,
    /// Services that wait for this one.
    pub blocks: Vec<String>,
    /// Of the machine, in percent.
    pub memory_used: Option<u8>,
    /// Of the machine's root file system, in percent.
    pub disk_used: Option<u8>,
    /// See [`view_logs`].
    pub view_logs: Option<String>,
    /// Where a person reads what to do.
    pub runbook: Option<String>,
    /// What stands in `[…]` before the title.
    pub label: Option<String>,
    /// See [`super::sequence`].
    pub sequence: Option<String>,
}

impl Story {
    /// A story of which only this is known.
    #[must_use]
    pub fn new(kind: AlertKind, subject: &str, host: &str, at: Timestamp) -> Self {
        Self {
            kind,
            reminder: false,
            subject: subject.to_owned(),
            services: Vec::new(),
            container: None,
            host: host.to_owned(),
            at,
            down_since: None,
            recovered_at: None,
            reason: None,
            output: None,
            health_check: None,
            restart_command: None,
            restart_result: None,
            attempts: None,
            blocks: Vec::new(),
            memory_used: None,
            disk_used: None,
            view_logs: None,
            runbook: None,
            label: None,
            sequence: None,
        }
    }
}

/// 5 where a person must act, 4 for a warning, 3 for good news.
#[must_use]
pub fn priority(kind: AlertKind) -> u8 {
    match kind {
        AlertKind::ServiceDegraded => 4,
        kind if kind.is_failure() => 5,
        AlertKind::ServiceRecovered => 3,
        _ => 4,
    }
}

/// ntfy's tags.
#[must_use]
pub fn tags(kind: AlertKind) -> Vec<String> {
    let tags: &[&str] = match kind {
        AlertKind::ServiceDegraded => &["warning"],
        kind if kind.is_failure() => &["rotating_light", "alert", "auto-recovery"],
        AlertKind::ServiceRecovered => &["white_check_mark"],
        _ => &["warning"],
    };
    tags.iter().map(|&tag| tag.to_owned()).collect()
}

/// One line.
#[must_use]
pub fn title(story: &Story) -> String {
    let (subject, host) = (line(&story.subject), line(&story.host));
    let title = match story.kind {
        AlertKind::ServiceRecoveryFailed => format!("{subject} Recovery Failed"),
        AlertKind::ServiceCrashLoop => format!("{subject} Crash Loop"),
        AlertKind::ServiceDown => format!("{subject} Down"),
        AlertKind::ServiceDegraded => format!("{subject} Degraded"),
        AlertKind::CheckImpossible => format!("{subject} Cannot Be Checked"),
        AlertKind::EngineUnreachable => format!("Docker Unreachable on {host}"),
        AlertKind::RecoveryConfigInvalid => format!("Recovery Configuration Invalid on {host}"),
        AlertKind::ServiceRecovered => format!("{subject} Recovered"),
    };
    cut_chars(&labelled(story.label.as_deref(), &title), TITLE_MAX)
}

/// A title with what stands before it.
#[must_use]
pub fn labelled(label: Option<&str>, title: &str) -> String {
    label.map_or_else(|| title.to_owned(), |label| format!("[{}] {title}", line(label)))
}

/// At most [`BODY_MAX`] bytes.
#[must_use]
pub fn body(story: &Story) -> String {
    let mut out = Lines::default();
    head(story, &mut out);
    out.blank();
    let reminder = if story.reminder { " (reminder)" } else { "" };
    out.fact("Alert", Some(&format!("{}{reminder}", story.kind)));
    out.fact("Host", Some(&story.host));
    out.fact("Time", Some(&timestamp(story.at)));
    out.fact("Down since", story.down_since.map(timestamp).as_deref());
    out.fact("Recovered at", story.recovered_at.map(timestamp).as_deref());
    out.fact("Reason", story.reason.as_deref());
    out.tail("Output", story.output.as_deref());
    out.long("Health check", story.health_check.as_deref(), COMMAND_MAX);
    out.long("Restart command", story.restart_command.as_deref(), COMMAND_MAX);
    out.fact("Restart result", story.restart_result.as_deref());
    let blocks = story.blocks.join(", ");
    out.fact("Blocks", (!blocks.is_empty()).then_some(blocks.as_str()));
    out.machine(story);
    if story.view_logs.is_some() || story.runbook.is_some() {
        out.blank();
    }
    out.long("View logs", story.view_logs.as_deref(), COMMAND_MAX);
    out.fact("Runbook", story.runbook.as_deref());
    cut_bytes(out.0.trim_end(), BODY_MAX)
}

fn head(story: &Story, out: &mut Lines) {
    let (status, attempt, action) = match story.kind {
        AlertKind::ServiceRecoveryFailed => ("Failed health check", "Failed", "Manual intervention needed"),
        AlertKind::ServiceCrashLoop => ("Failed health check", "Given up", "Manual intervention needed"),
        AlertKind::ServiceDown if story.restart_command.is_some() => {
            ("Failed health check", "None at this look", "Manual intervention needed")
        }
        AlertKind::ServiceDown => ("Failed health check", "None configured", "Manual intervention needed"),
        AlertKind::ServiceDegraded => {
            ("Degraded, its fallback runs", "Fallback", "Look after it before its fallback is not enough")
        }
        AlertKind::CheckImpossible => {
            ("Cannot be checked", "None, its health is not known", "Make the check possible again")
        }
        AlertKind::EngineUnreachable => {
            ("Container engine unreachable", "None", "Look after the container engine")
        }
        AlertKind::RecoveryConfigInvalid => {
            ("Configuration invalid, no service is looked at", "None", "Correct the configuration")
        }
        AlertKind::ServiceRecovered => ("Healthy", "", "None"),
    };
    let services = story.services.join(", ");
    out.fact("Service", (!services.is_empty()).then_some(services.as_str()));
    out.fact("Status", Some(status));
    if story.kind == AlertKind::ServiceRecovered {
        out.fact("Was down for", story.down_since.zip(story.recovered_at).map(span).as_deref());
    } else {
        let count =
            story.attempts.map(|(n, window)| format!(" after {n} attempts in {} s", window.as_secs()));
        out.fact("Recovery attempt", Some(&format!("{attempt}{}", count.unwrap_or_default())));
    }
    out.fact("Container", story.container.as_deref());
    out.fact("Action required", (action != "None").then_some(action));
}

/// Lines of `name: fact`.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn blank(&mut self) {
        self.0.push('\n');
    }

    fn fact(&mut self, name: &str, fact: Option<&str>) {
        self.long(name, fact, FACT_MAX);
    }

    fn long(&mut self, name: &str, fact: Option<&str>, max: usize) {
        if let Some(fact) = fact.map(str::trim).filter(|fact| !fact.is_empty()) {
            // Writing to a String cannot fail.
            let _ = writeln!(self.0, "{name}: {}", cut_chars(&line(fact), max));
        }
    }

    fn tail(&mut self, name: &str, text: Option<&str>) {
        let masked = mask(text.unwrap_or_default());
        let lines: Vec<&str> = masked.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "{name}:");
        for text in &lines[lines.len().saturating_sub(OUTPUT_LINES)..] {
            let _ = writeln!(self.0, "  {}", cut_chars(&escape_control(text), COMMAND_MAX));
        }
    }

    fn machine(&mut self, story: &Story) {
        let memory = story.memory_used.map(|percent| format!("Memory: {percent}% used"));
        let disk = |name| story.disk_used.map(|percent| format!("{name}: {percent}% used"));
        match (memory, story.disk_used) {
            (Some(memory), Some(_)) => {
                let _ = writeln!(self.0, "{memory}, {}", disk("disk").unwrap_or_default());
            }
            (Some(one), None) => {
                let _ = writeln!(self.0, "{one}");
            }
            (None, _) => {
                if let Some(one) = disk("Disk") {
                    let _ = writeln!(self.0, "{one}");
                }
            }
        }
    }
}

/// Masked and on one line.
#[must_use]
pub fn line(text: &str) -> String {
    escape_control(&mask(text))
}

/// RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn timestamp(at: Timestamp) -> String {
    let at = utc(at);
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

/// A span of time for people: `1h 5m 7s`.
fn span((from, to): (Timestamp, Timestamp)) -> String {
    let seconds = (to - from).whole_seconds().max(0);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m {s}s"),
        _ => format!("{h}h {m}m {s}s"),
    }
}

/// At most so many characters, the last one a `…` where something was cut.
#[must_use]
pub fn cut_chars(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// At most so many bytes, cut between characters, with a `…` at the end where something was cut.
#[must_use]
pub fn cut_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary_before(max.saturating_sub('…'.len_utf8()));
    if max < '…'.len_utf8() { text[..end].to_owned() } else { format!("{}…", &text[..end]) }
}

trait Boundary {
    /// The last character boundary at or before `index`.
    fn floor_char_boundary_before(&self, index: usize) -> usize;
}

impl Boundary for str {
    fn floor_char_boundary_before(&self, index: usize) -> usize {
        (0..=index.min(self.len())).rev().find(|&i| self.is_char_boundary(i)).unwrap_or(0)
    }
}

/// What a check asks, in one line.
#[must_use]
pub fn describe_check(probe: &Probe) -> String {
    match probe {
        Probe::Http(http) => format!("HTTP {} {}", http.method, http.endpoint),
        Probe::Tcp { host, port, .. } => format!("TCP {host}:{port}"),
        Probe::Process { pattern } => format!("process {pattern}"),
        Probe::Custom { command: CustomCommand::Shell(text), .. } => format!("command {text}"),
        Probe::Custom { command: CustomCommand::Argv(argv), .. } => format!("command {}", argv.join(" ")),
    }
}

/// The command by which a person looks at the service's log; `None` where there is none.
#[must_use]
pub fn view_logs(engine: &str, container: Option<&str>, log_path: Option<&str>) -> Option<String> {
    match (container, log_path) {
        (Some(container), Some(path)) => Some(format!("{engine} exec {container} tail -50 {}", quoted(path))),
        (Some(container), None) => Some(format!("{engine} logs --tail 50 {container}")),
        (None, Some(path)) => Some(format!("tail -50 {}", quoted(path))),
        (None, None) => None,
    }
}

fn quoted(path: &str) -> String {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ':' | '@' | '%' | ',');
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
impl Story {
    /// A story for tests of this crate's alert modules.
    pub(crate) fn sample(service: &str) -> Self {
        let at = time::macros::datetime!(2026-11-21 10:05:07 UTC);
        Self {
            services: vec![service.to_owned()],
            ..Self::new(AlertKind::ServiceRecoveryFailed, service, "vps-1", at)
        }
    }
}

#[cfg(test)]
mod tests;
