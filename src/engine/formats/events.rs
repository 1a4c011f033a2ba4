//! `docker events`: what happened to a container.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Dialect, times};
use crate::clock::Timestamp;

/// One event, in docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `kill`, `stop`, `die`, …
    pub action: String,
    /// Of a `kill`, where the engine tells it.
    pub signal: Option<i32>,
    /// When, by the engine's clock.
    pub at: Option<Timestamp>,
}

/// How to ask for the ends and stops of a container within that time. Podman answers nothing to a time in the past
/// as `--until`; what came later is left out when its answer is read.
#[must_use]
pub fn question(dialect: Dialect, id: &str, since: Timestamp, until: Timestamp) -> Vec<String> {
    let (bound, wanted) = match dialect {
        Dialect::Docker => (format!("--until={}", seconds(until)), ["die", "kill", "stop"]),
        Dialect::Podman => ("--stream=false".to_owned(), ["cleanup", "kill", "stop"]),
    };
    let mut call = vec!["events".to_owned(), format!("--since={}", seconds(since)), bound];
    call.push(format!("--filter=container={id}"));
    call.extend(wanted.map(|event| format!("--filter=event={event}")));
    call.push("--format={{json .}}".to_owned());
    call
}

fn seconds(at: Timestamp) -> String {
    format!("{}.{:09}", at.unix_timestamp(), at.nanosecond())
}

/// Reads events, one JSON object a line. Lines that are none are skipped: without events the exit code
/// decides, and in doubt that leaves the container alone.
#[must_use]
pub fn parse(answer: &[u8], dialect: Dialect) -> Vec<Event> {
    let answer = String::from_utf8_lossy(answer);
    match dialect {
        Dialect::Docker => objects::<Raw>(&answer).map(Event::from).collect(),
        Dialect::Podman => podman(objects(&answer)),
    }
}

fn objects<T: for<'t> Deserialize<'t>>(answer: &str) -> impl Iterator<Item = T> {
    answer.lines().filter_map(|line| serde_json::from_str(line).ok())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    action: String,
    #[serde(default)]
    actor: Actor,
    #[serde(default, rename = "timeNano")]
    nanoseconds: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl From<Raw> for Event {
    fn from(raw: Raw) -> Self {
        let signal = raw.actor.attributes.get("signal").and_then(|text| text.parse().ok());
        let at = Timestamp::from_unix_timestamp_nanos(raw.nanoseconds.into()).ok();
        Self { action: raw.action, signal, at: at.filter(|_| raw.nanoseconds != 0) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Podmans {
    status: String,
    #[serde(default)]
    time: String,
}

/// `podman stop` leaves `stop` only where it had to kill at once. But it cleans up after the container, which the
/// end of every container is followed by anyway: a second `cleanup` is a person's stop. That there is none proves
/// nothing, since an exec that is still running keeps it away; and `died` is written at every end, so that it does
/// not tell who ended it, either.
fn podman(events: impl Iterator<Item = Podmans>) -> Vec<Event> {
    let mut cleaned = false;
    let understood = |event: Podmans| {
        let action = match event.status.as_str() {
            "cleanup" if std::mem::replace(&mut cleaned, true) => "stop".to_owned(),
            "cleanup" | "died" => return None,
            "start" => {
                cleaned = false;
                event.status
            }
            _ => event.status,
        };
        Some(Event { action, signal: None, at: times::timestamp(&event.time) })
    };
    events.filter_map(understood).collect()
}
