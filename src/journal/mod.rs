//! The log: events become lines of text or JSON, and lines become events again.
//!
//! Both formats carry the same facts, which `facts` lists once. The formats are documented for people in
//! `docs/log.md`. What the figures mean is told by [`crate::stats`]; here nothing is counted.

pub mod escape;
mod facts;
pub mod files;
mod json;
mod sink;
mod text;

use crate::event::Event;

pub use sink::{Journal, Options, Verbosity, debug_notes};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `TIME LEVEL phrase (details)`
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Whoever takes down what happens: the real [`Journal`], or a list in a test.
pub trait Record: Send + Sync {
    /// Takes down one event. It never fails: what could not be written is remembered.
    fn record(&self, event: &Event);
}

/// The line of an event, without its newline. It holds no control character.
#[must_use]
pub fn render(event: &Event, format: Format) -> String {
    match format {
        Format::Text => text::render(event),
        Format::Json => json::render(event),
    }
}

/// The event of one line of ours, in either format; `None` for other people's lines.
#[must_use]
pub fn parse(line: &str) -> Option<Event> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.starts_with('{') { json::parse(line) } else { text::parse(line) }
}

#[cfg(test)]
mod tests;
