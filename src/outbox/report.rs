//! What came of sending, and how it is said.

use std::path::PathBuf;

use crate::alert::Alert;
use crate::event::{Change, Level};
use crate::store::StoreError;

/// What came of sending.
#[derive(Debug, Default)]
pub struct Report {
    /// What was delivered, as it was sent.
    pub delivered: Vec<Alert>,
    /// What was refused for good, also in short form, with the server's reason; kept in `rejected/`.
    pub rejected: Vec<(Alert, String)>,
    /// What no receiver is configured for any more; kept in `rejected/`.
    pub homeless: Vec<Alert>,
    /// How many events were dropped because too many of their service waited.
    pub dropped: usize,
    /// What is left for the next pass.
    pub waiting: usize,
    /// How many of those are events.
    pub waiting_events: usize,
    /// Why sending ended early, each reason once.
    pub stopped: Vec<String>,
    /// Files that could not be understood; kept in `damaged/`.
    pub damaged: Vec<PathBuf>,
    /// Files that could not be read, moved or removed.
    pub errors: Vec<StoreError>,
    /// What could be neither kept nor sent; only of [`super::Outbox::send_now`].
    pub unsent: Vec<Alert>,
}

impl Report {
    /// What the log says of all that, except for what went wrong with files.
    #[must_use]
    pub fn lines(&self) -> Vec<(Level, String)> {
        let mut lines = Vec::new();
        for alert in &self.delivered {
            let text = match event(alert) {
                Some(words) => format!("delivered to the webhook: {words}"),
                None => format!("delivered {}", alert.name()),
            };
            lines.push((Level::Info, text));
        }
        for (alert, why) in &self.rejected {
            let what = event(alert)
                .map_or_else(|| format!("alert {}", alert.title), |words| format!("event ({words})"));
            let text = format!("{what} was refused for good and is kept in outbox/rejected: {why}");
            lines.push((Level::Error, text));
        }
        if !self.homeless.is_empty() {
            let what = counted(0, self.homeless.len(), ["was", "were"]);
            let text = format!("{what} moved to outbox/rejected: no webhook is configured any more");
            lines.push((Level::Warning, text));
        }
        if self.dropped > 0 {
            let what = counted(0, self.dropped, ["was", "were"]);
            let text =
                format!("{what} dropped, the oldest: no more than {} of a service wait", super::EVENTS_MAX);
            lines.push((Level::Warning, text));
        }
        lines.extend(self.waits().map(|text| (Level::Warning, text)));
        lines
    }

    /// That something waits, where something does.
    fn waits(&self) -> Option<String> {
        let why = match self.stopped.as_slice() {
            [] => "the time for sending is over".to_owned(),
            reasons => reasons.join("; "),
        };
        let alerts = self.waiting.saturating_sub(self.waiting_events);
        let what = counted(alerts, self.waiting_events, ["waits", "wait"]);
        (self.waiting > 0).then(|| format!("{what} for the next pass ({why})"))
    }
}

/// `2 alerts and 1 event wait`
fn counted(alerts: usize, events: usize, verb: [&str; 2]) -> String {
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let what = match (alerts, events) {
        (_, 0) => plural(alerts, "alert"),
        (0, _) => plural(events, "event"),
        _ => format!("{} and {}", plural(alerts, "alert"), plural(events, "event")),
    };
    format!("{what} {}", verb[usize::from(alerts + events != 1)])
}

/// An event in words that are none of the phrases of the log, which stand for what happens now.
fn event(alert: &Alert) -> Option<String> {
    let subject = &alert.subject;
    Some(match alert.event? {
        Change::Down => format!("{subject} is down"),
        Change::GivenUp => format!("{subject} was given up"),
        Change::Degraded => format!("{subject} runs its fallback"),
        Change::Unknown => format!("{subject} is unknown"),
        Change::Recovered => format!("{subject} is well again"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_and_events_are_counted_by_their_names() {
        let said = |waiting, waiting_events| {
            Report { waiting, waiting_events, ..Report::default() }.waits().unwrap_or_default()
        };
        assert_eq!(said(0, 0), "");
        assert_eq!(said(1, 0), "1 alert waits for the next pass (the time for sending is over)");
        assert!(said(1, 1).starts_with("1 event waits for"));
        assert!(said(3, 1).starts_with("2 alerts and 1 event wait for"));
    }
}
