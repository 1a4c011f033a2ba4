//! The JSON format: one object a line, `ts`, `level`, `event`, `service` and `message` first.

use std::fmt::Write as _;

use super::escape::quoted;
use super::facts::{self, Value, stamp, unstamp};
use crate::config::model::ServiceName;
use crate::event::{Event, EventKind, Level};

/// The object of an event, its keys always in the same order. Webhooks are sent the same.
pub(super) fn render(event: &Event) -> String {
    let facts = facts::of(event);
    let service = event.service.as_ref().map_or("null".to_owned(), |name| quoted(name.as_str()));
    // A sentence of ours is plain by construction, and must keep the phrase that a note's text may not have.
    let message = match event.kind {
        EventKind::Note { .. } => quoted(&facts.message),
        _ => format!("\"{}\"", facts.message),
    };
    let mut line = format!(
        r#"{{"ts":"{}","level":"{}","event":"{}","service":{service},"message":{message}"#,
        stamp(event.at),
        facts.level.as_str(),
        facts.name,
    );
    for (key, value) in facts.told.iter().chain(&facts.details).chain(&facts.common) {
        let written = match value {
            Value::Number(number) => write!(line, r#","{key}":{number}"#),
            Value::Flag(flag) => write!(line, r#","{key}":{flag}"#),
            Value::Text(text) => write!(line, r#","{key}":{}"#, quoted(text)),
        };
        written.expect("writing to a string cannot fail");
    }
    line.push('}');
    line
}

/// Reads one object back.
pub(super) fn parse(line: &str) -> Option<Event> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let string = |key: &str| object.get(key).and_then(serde_json::Value::as_str);
    let get = |key: &str| match object.get(key)? {
        serde_json::Value::String(text) => Some(Value::Text(text.clone())),
        number => number.as_u64().map(Value::Number),
    };
    let service = string("service").and_then(ServiceName::new);
    let kind = match string("event")? {
        "note" => {
            EventKind::Note { level: Level::parse(string("level")?)?, text: string("message")?.to_owned() }
        }
        name => facts::rebuild(name, &get)?,
    };
    if service.is_none() && !matches!(kind, EventKind::Note { .. }) {
        return None;
    }
    Some(facts::with_context(Event::new(unstamp(string("ts")?)?, service, kind), &get))
}
