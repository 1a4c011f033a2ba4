//! How a container's run ended, as the engine's events tell it.
//!
//! A person's `docker stop` or `docker kill` leaves a `kill` or `stop` event; a crash, a kill from inside
//! and one from the machine leave only `die`. The exit code alone cannot tell: a program without a TERM
//! handler is stopped with 137.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::ContainerEnd;
use crate::engine::formats::events::{self, Event};
use crate::engine::formats::inspect::Inspected;

/// How much later than its process's end the engine may write a container's last event. Waited for where
/// the end is younger than this.
const AFTER: time::Duration = time::Duration::seconds(2);
/// How much longer than the stop time-out a stop may have been under way.
const BEFORE: Duration = Duration::from_secs(15);
/// HUP, USR1 and USR2: sent to running programs as messages, to reload or to reopen a log.
const MESSAGES: [i32; 3] = [1, 10, 12];

/// The time around a container's end in which a stop or kill belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    since: Timestamp,
    until: Timestamp,
}

impl Window {
    /// On the engine's own clock, and never reaching back into an earlier run.
    #[must_use]
    pub fn around(container: &Inspected, finished_at: Timestamp) -> Self {
        // The engine's clock may be at the end of time; ours must not overflow with it.
        let before = time::Duration::try_from(container.stop_timeout + BEFORE).unwrap_or(time::Duration::MAX);
        let earliest = finished_at.saturating_sub(before);
        let began = container.started_at.filter(|&at| at <= finished_at);
        Self {
            since: began.map_or(earliest, |began| began.max(earliest)),
            until: finished_at.saturating_add(AFTER),
        }
    }

    /// As seconds for `--since` and `--until`.
    #[must_use]
    pub fn arguments(&self) -> (String, String) {
        (events::seconds(self.since), events::seconds(self.until))
    }
}

/// How the run ended.
#[must_use]
pub fn end(events: &[Event], container: &Inspected) -> ContainerEnd {
    let exit_code = container.exit_code;
    let by_someone = events.iter().any(|event| match event.action.as_str() {
        "stop" => true,
        "kill" => event.signal.is_none_or(|n| !MESSAGES.contains(&n) || exit_code == 128 + n),
        _ => false,
    });
    let by_itself = if exit_code == 0 { ContainerEnd::Finished } else { ContainerEnd::Died };
    if by_someone {
        ContainerEnd::StoppedBySomeone
    } else if events.iter().any(|event| event.action == "die" || event.action == "died") {
        by_itself
    } else {
        match exit_code {
            0 | 130 | 143 => ContainerEnd::StoppedBySomeone,
            137 if !container.oom_killed => ContainerEnd::StoppedBySomeone,
            _ => by_itself,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContainerEnd::{Died, Finished, StoppedBySomeone};
    use time::macros::datetime;

    fn container(exit_code: i32, oom_killed: bool) -> Inspected {
        Inspected {
            state: "exited".into(),
            started_at: Some(datetime!(2026-11-21 10:00 UTC)),
            finished_at: Some(datetime!(2026-11-21 12:00:00.5 UTC)),
            exit_code,
            oom_killed,
            engine_restarts_it: false,
            stop_timeout: Duration::from_secs(10),
        }
    }

    const KILL_15: &str = r#"{"status":"kill","id":"272d","from":"box","Type":"container","Action":"kill","Actor":{"ID":"272d","Attributes":{"image":"box","name":"x","signal":"15"}},"scope":"local","time":1795301645,"timeNano":1795301645741574259}"#;
    const DIE_137: &str = r#"{"status":"die","id":"272d","from":"box","Type":"container","Action":"die","Actor":{"ID":"272d","Attributes":{"exitCode":"137","image":"box","name":"x"}},"scope":"local","time":1795301646,"timeNano":1795301646773388696}"#;
    const STOP: &str = r#"{"status":"stop","id":"272d","from":"box","Type":"container","Action":"stop","Actor":{"ID":"272d","Attributes":{"image":"box","name":"x"}},"scope":"local","time":1795301646,"timeNano":1795301646828403123}"#;

    fn ended(lines: &[&str], exit_code: i32) -> ContainerEnd {
        end(&events::parse(lines.join("\n").as_bytes()), &container(exit_code, false))
    }

    #[test]
    fn a_stop_or_kill_by_someone_is_told_from_a_death() {
        assert_eq!(ended(&[KILL_15, DIE_137, STOP], 137), StoppedBySomeone);
        assert_eq!(ended(&[KILL_15, DIE_137], 137), StoppedBySomeone);
        assert_eq!(ended(&[DIE_137, STOP], 0), StoppedBySomeone);
        assert_eq!(ended(&[DIE_137], 137), Died);
        assert_eq!(ended(&[DIE_137], 143), Died);
        assert_eq!(ended(&[DIE_137], 0), Finished);
    }

    #[test]
    fn a_message_sent_by_signal_stops_nothing_unless_it_was_deadly() {
        let hangup = KILL_15.replace("\"15\"", "\"1\"");
        assert_eq!(ended(&[&hangup, DIE_137], 3), Died);
        assert_eq!(ended(&[&hangup, DIE_137], 129), StoppedBySomeone);
    }

    #[test]
    fn without_events_the_exit_code_decides_and_leaves_alone_in_doubt() {
        for code in [0, 130, 137, 143] {
            assert_eq!(ended(&["garbage"], code), StoppedBySomeone, "{code}");
        }
        assert_eq!(ended(&[], 3), Died);
        assert_eq!(end(&[], &container(137, true)), Died);
        assert_eq!(end(&[], &container(143, true)), StoppedBySomeone);
    }

    #[test]
    fn the_window_never_reaches_into_an_earlier_run() {
        let mut container = container(3, false);
        let finished = datetime!(2026-11-21 12:00:00.5 UTC);
        let far = Window::around(&container, finished);
        assert_eq!(far.arguments(), ("1795262375.500000000".into(), "1795262402.500000000".into()));
        container.started_at = Some(datetime!(2026-11-21 12:00 UTC));
        assert_eq!(Window::around(&container, finished).arguments().0, "1795262400.000000000");
    }
}
