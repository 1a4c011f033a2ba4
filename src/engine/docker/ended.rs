//! What an engine's events say of the end of a container's run, and of a stop that is under way.
//!
//! A person's `docker stop` or `docker kill` leaves a `kill` or `stop` event; a crash, a kill from inside
//! and one from the machine leave only `die`. The exit code alone cannot tell: a program without a TERM
//! handler is stopped with 137.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::ended::{Earlier, Events};
use crate::engine::formats::events::Event;
use crate::engine::formats::inspect::Inspected;

/// How much later than its process's end the engine may write a container's last event. Waited for where
/// the end is younger than this.
const AFTER: time::Duration = time::Duration::seconds(2);
/// How much longer than the stop time-out a stop may have been under way.
const BEFORE: Duration = Duration::from_secs(15);
/// An engine or a machine that was ended in order is back within so long.
const REBOOT: time::Duration = time::Duration::minutes(15);
/// A stop that was given more time than the container's own is taken to be under way for at least so long.
const DRAIN: Duration = Duration::from_secs(300);
/// HUP, USR1, USR2, CONT, TTIN, TTOU and WINCH: sent to running programs as messages, to reload or to reopen a log.
const MESSAGES: [i32; 7] = [1, 10, 12, 18, 21, 22, 28];

/// The time around a container's end in which a stop or kill belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where it begins.
    pub since: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
}

impl Window {
    /// On the engine's own clock, and never reaching back into an earlier run.
    #[must_use]
    pub fn around(container: &Inspected, finished_at: Timestamp) -> Self {
        let until = finished_at.saturating_add(AFTER);
        Self { since: since(container, finished_at, container.stop_timeout + BEFORE), until }
    }

    /// From the start of the run that ended until now: who was sent a signal may take its time, and a stop between
    /// two restarts by the engine comes after the end.
    #[must_use]
    pub fn whole(container: &Inspected, finished_at: Timestamp, now: Timestamp) -> Self {
        let around = Self::around(container, finished_at);
        let began = container.started_at.filter(|&at| at <= finished_at);
        Self { since: began.unwrap_or(around.since), until: around.until.max(now) }
    }

    /// In which a stop that is under way now began.
    #[must_use]
    pub fn before(container: &Inspected, now: Timestamp) -> Self {
        Self { since: since(container, now, longest_stop(container)), until: now }
    }
}

fn longest_stop(container: &Inspected) -> Duration {
    container.stop_timeout.max(DRAIN).saturating_add(BEFORE)
}

/// The engine's clock may be at the end of time; ours must not overflow with it.
fn since(container: &Inspected, end: Timestamp, before: Duration) -> Timestamp {
    let before = time::Duration::try_from(before).unwrap_or(time::Duration::MAX);
    let earliest = end.saturating_sub(before);
    container.started_at.filter(|&at| at <= end).map_or(earliest, |began| began.max(earliest))
}

/// What they say of the end of a container that does not run.
#[must_use]
pub fn said(events: &[Event], container: &Inspected) -> Events {
    let named = |name: &str| events.iter().any(|event| event.action == name);
    let deadly = |signal: i32| container.exit_code == 128_i32.saturating_add(signal);
    // What lived on for longer had it for a message, whatever it was.
    let earliest = container.finished_at.map(|ended| since(container, ended, longest_stop(container)));
    let in_time = |event: &Event| event.at.zip(earliest).is_none_or(|(at, earliest)| at >= earliest);
    let killed = events
        .iter()
        .filter(|event| event.action == "kill" && in_time(event))
        .any(|event| event.signal.is_none_or(|signal| is_a_stop(signal, container) || deadly(signal)));
    match (named("stop") || killed, named("die")) {
        (true, _) => Events::SomebodyStopped,
        (false, true) if named("kill") => Events::OnlyMessages,
        (false, true) => Events::NobodyStopped,
        (false, false) => Events::Silent,
    }
}

/// Whether they tell of somebody who is just stopping a container that runs: somebody but us, whose last restart may
/// have failed half way.
#[must_use]
pub fn is_being_stopped(events: &[Event], container: &Inspected, earlier: &Earlier) -> bool {
    let latest = time::Duration::try_from(container.stop_timeout.saturating_add(BEFORE)).ok();
    let is_ours = |event: &&Event| {
        let (Some(at), Some(restarted), Some(latest)) = (event.at, earlier.restarted_at, latest) else {
            return false;
        };
        restarted.saturating_sub(AFTER) <= at && at - restarted <= latest
    };
    events.iter().filter(|event| !is_ours(event)).any(|event| match event.action.as_str() {
        "stop" => true,
        "kill" => event.signal.is_none_or(|signal| is_a_stop(signal, container)),
        _ => false,
    })
}

/// Whether a restart of ours was ordered during the run that ended, so that it was to run again.
#[must_use]
pub fn is_ours(container: &Inspected, earlier: &Earlier) -> bool {
    let (Some(began), Some(ended)) = (container.started_at, container.finished_at) else { return false };
    let latest = container.stop_timeout.saturating_add(BEFORE);
    earlier.restarted_at.is_some_and(|at| {
        began < at && at <= ended && time::Duration::try_from(latest).is_ok_and(|latest| ended - at <= latest)
    })
}

/// Whether it ended when the engine or the machine did, in the run in which it was last seen.
#[must_use]
pub fn is_with_engine(container: &Inspected, earlier: &Earlier, engine_began: Option<Timestamp>) -> bool {
    let (Some(began), Some(ended)) = (container.started_at, container.finished_at) else { return false };
    let seen = earlier.seen_at.is_some_and(|at| began <= at && at <= ended);
    let just_before = |next: Timestamp| ended <= next.saturating_add(AFTER) && next - ended <= REBOOT;
    seen && [engine_began, earlier.booted_at].into_iter().flatten().any(just_before)
}

fn is_a_stop(signal: i32, container: &Inspected) -> bool {
    container.stop_signal == Some(signal) || !MESSAGES.contains(&signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::formats::{Dialect, events};
    use Events::{NobodyStopped, OnlyMessages, Silent, SomebodyStopped};
    use time::macros::datetime;

    fn container(exit_code: i32) -> Inspected {
        Inspected {
            state: "exited".into(),
            started_at: Some(datetime!(2026-11-21 10:00 UTC)),
            finished_at: Some(datetime!(2026-11-21 12:00:00.5 UTC)),
            exit_code,
            oom_killed: false,
            engine_restarts_it: false,
            stop_timeout: Duration::from_secs(10),
            stop_signal: None,
            start_error: None,
            record: None,
            dialect: Dialect::Docker,
        }
    }

    const KILL_15: &str = r#"{"status":"kill","id":"272d","from":"box","Type":"container","Action":"kill","Actor":{"ID":"272d","Attributes":{"image":"box","name":"x","signal":"15"}},"scope":"local","time":1795301645,"timeNano":1795301645741574259}"#;
    const DIE_137: &str = r#"{"status":"die","id":"272d","from":"box","Type":"container","Action":"die","Actor":{"ID":"272d","Attributes":{"exitCode":"137","image":"box","name":"x"}},"scope":"local","time":1795301646,"timeNano":1795301646773388696}"#;
    const STOP: &str = r#"{"status":"stop","id":"272d","from":"box","Type":"container","Action":"stop","Actor":{"ID":"272d","Attributes":{"image":"box","name":"x"}},"scope":"local","time":1795301646,"timeNano":1795301646828403123}"#;

    fn of(lines: &[&str]) -> Vec<Event> {
        events::parse(lines.join("\n").as_bytes(), Dialect::Docker)
    }

    fn ended(lines: &[&str], exit_code: i32) -> Events {
        said(&of(lines), &container(exit_code))
    }

    #[test]
    fn a_stop_or_kill_by_someone_is_told_from_a_death() {
        assert_eq!(ended(&[KILL_15, DIE_137, STOP], 137), SomebodyStopped);
        assert_eq!(ended(&[KILL_15, DIE_137], 1), SomebodyStopped);
        assert_eq!(ended(&[DIE_137, STOP], 0), SomebodyStopped);
        assert_eq!(ended(&[STOP], 4), SomebodyStopped, "between two restarts by the engine");
        assert_eq!(ended(&[DIE_137], 137), NobodyStopped);
        assert_eq!(ended(&[], 137), Silent);
        assert_eq!(ended(&["garbage"], 0), Silent);
    }

    fn being_stopped(lines: &[&str], container: &Inspected) -> bool {
        is_being_stopped(&of(lines), container, &Earlier::default())
    }

    #[test]
    fn a_restart_of_ours_that_failed_half_way_is_nobody_who_stops_it() {
        // The kill of the sample is of 14:47:25 UTC on that day.
        let killed = of(&[KILL_15]).remove(0).at.unwrap();
        let ours = |seconds: i64| {
            let restarted_at = killed.checked_sub(time::Duration::seconds(seconds));
            !is_being_stopped(&of(&[KILL_15]), &container(0), &Earlier { restarted_at, ..Earlier::default() })
        };
        assert!(ours(0) && ours(10) && ours(25), "within the stop time-out and a little more");
        assert!(!ours(26), "after it");
        assert!(!ours(-60), "before it was ordered");
    }

    #[test]
    fn a_message_sent_by_signal_stops_nothing_unless_it_was_deadly_or_is_the_containers_own_stop() {
        for (signal, code) in [(1, 129), (10, 138), (12, 140), (18, 146), (21, 149), (22, 150), (28, 156)] {
            let message = KILL_15.replace("\"15\"", &format!("\"{signal}\""));
            assert_eq!(ended(&[&message, DIE_137], 3), OnlyMessages, "{signal}");
            assert_eq!(ended(&[&message, DIE_137], code), SomebodyStopped, "{signal}");
            assert!(!being_stopped(&[&message], &container(0)), "{signal}");
            let own = Inspected { stop_signal: Some(signal), ..container(0) };
            assert_eq!(said(&of(&[&message, DIE_137]), &own), SomebodyStopped, "{signal}");
            assert!(being_stopped(&[&message], &own), "{signal}");
        }
    }

    #[test]
    fn a_signal_that_was_outlived_was_a_message() {
        let at = |at: Timestamp| Event { action: "kill".into(), signal: Some(15), at: Some(at) };
        let die = of(&[DIE_137]).remove(0);
        let said = |at| said(&[at, die.clone()], &container(3));
        assert_eq!(said(at(datetime!(2026-11-21 11:56 UTC))), SomebodyStopped);
        assert_eq!(said(at(datetime!(2026-11-21 11:50 UTC))), OnlyMessages);
    }

    #[test]
    fn a_stop_that_is_under_way_is_seen() {
        assert!(being_stopped(&[KILL_15], &container(0)));
        assert!(!being_stopped(&[], &container(0)));
        let mut drained = container(0);
        drained.started_at = Some(datetime!(2026-11-21 10:00 UTC));
        let now = datetime!(2026-11-21 12:00 UTC);
        assert_eq!(Window::before(&drained, now).since, datetime!(2026-11-21 11:54:45 UTC));
        drained.stop_timeout = Duration::from_secs(600);
        assert_eq!(Window::before(&drained, now).since, datetime!(2026-11-21 11:49:45 UTC));
        drained.started_at = Some(datetime!(2026-11-21 11:59 UTC));
        assert_eq!(Window::before(&drained, now).since, datetime!(2026-11-21 11:59 UTC));
    }

    #[test]
    fn the_window_never_reaches_into_an_earlier_run() {
        let mut container = container(3);
        let finished = datetime!(2026-11-21 12:00:00.5 UTC);
        let far = Window::around(&container, finished);
        assert_eq!(far.since, datetime!(2026-11-21 11:59:35.5 UTC));
        assert_eq!(far.until, datetime!(2026-11-21 12:00:02.5 UTC));
        container.started_at = Some(datetime!(2026-11-21 12:00 UTC));
        assert_eq!(Window::around(&container, finished).since, datetime!(2026-11-21 12:00 UTC));
        let now = datetime!(2026-11-21 12:00:09 UTC);
        let whole = Window::whole(&container, finished, now);
        assert_eq!((whole.since, whole.until), (datetime!(2026-11-21 12:00 UTC), now));
    }

    #[test]
    fn an_end_by_our_own_restart_is_known_from_an_end_before_or_after_it() {
        let ours = |at| {
            let earlier = Earlier { restarted_at: Some(at), ..Earlier::default() };
            is_ours(&container(137), &earlier)
        };
        assert!(ours(datetime!(2026-11-21 11:59:50 UTC)));
        assert!(!ours(datetime!(2026-11-21 9:00 UTC)), "it made that run begin");
        assert!(!ours(datetime!(2026-11-21 11:00 UTC)), "long before");
        assert!(!ours(datetime!(2026-11-21 12:01 UTC)), "after it");
    }

    #[test]
    fn what_ended_with_the_engine_was_seen_and_ended_just_before_the_engine_or_machine_began() {
        let seen = Some(datetime!(2026-11-21 11:58 UTC));
        let back = Some(datetime!(2026-11-21 12:01 UTC));
        let earlier = |seen_at, booted_at| Earlier { seen_at, booted_at, ..Earlier::default() };
        let with = |earlier, engine| is_with_engine(&container(137), &earlier, engine);
        assert!(with(earlier(seen, None), back));
        assert!(with(earlier(seen, back), None));
        assert!(!with(earlier(None, back), back), "never seen");
        assert!(!with(earlier(Some(datetime!(2026-11-21 9:00 UTC)), back), back), "seen in an earlier run");
        assert!(!with(earlier(seen, Some(datetime!(2026-11-20 8:00 UTC))), None), "no end of the engine");
        assert!(!with(earlier(seen, None), Some(datetime!(2026-11-21 13:00 UTC))), "long before it");
    }
}
