//! `docker events`: what happened to a container.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::clock::Timestamp;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `kill`, `stop`, `die`, …
    pub action: String,
    /// Of a `kill`.
    pub signal: Option<i32>,
}

/// A time as `--since` and `--until` take it.
#[must_use]
pub fn seconds(at: Timestamp) -> String {
    format!("{}.{:09}", at.unix_timestamp(), at.nanosecond())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    action: String,
    #[serde(default)]
    actor: Actor,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// Reads events, one JSON object a line. Lines that are none are skipped: without events the exit code
/// decides, and in doubt that leaves the container alone.
#[must_use]
pub fn parse(answer: &[u8]) -> Vec<Event> {
    String::from_utf8_lossy(answer)
        .lines()
        .filter_map(|line| serde_json::from_str::<Raw>(line).ok())
        .map(|raw| {
            let signal = raw.actor.attributes.get("signal").and_then(|text| text.parse().ok());
            Event { action: raw.action, signal }
        })
        .collect()
}
