//! What programs that watch a service are told: every change of its health once, as pure transitions.
//!
//! Unlike an alert such an event is a fact with a time: it has no reminders, is never held back for flapping,
//! and stays true however late it is delivered.

use crate::clock::Timestamp;
use crate::event::Change;
use crate::state::{ServiceState, Standing, Status};

/// One change that must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub change: Change,
    /// When it was so.
    pub at: Timestamp,
    /// The first failed look of the outage.
    pub down_since: Option<Timestamp>,
}

/// What a pass found, for those who watch.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How the service is; `None`: nothing that counts was seen.
    pub now: Option<Change>,
    /// When it was looked at.
    pub at: Timestamp,
    /// When this pass saw it down, where it has brought it back since.
    pub recovered: Option<Timestamp>,
    /// There is a webhook to tell.
    pub posting: bool,
}

/// Takes in what was found, after the look itself was recorded, and says what must be told, in order.
///
/// A restart that helped is told as two changes, down and recovered, also by the next pass where the one that
/// made it has died since.
#[must_use]
pub fn advance(state: &mut ServiceState, seen: Seen) -> Vec<Step> {
    let Some(now) = seen.now else { return Vec::new() };
    let before = state.standing.clone();
    let was = before.as_ref().map_or(Change::Recovered, |standing| standing.change);
    let down_since = match before.as_ref().and_then(|standing| standing.down_since) {
        Some(since) if was != Change::Recovered => Some(since),
        _ => state.since.filter(|_| state.status == Status::Unhealthy),
    };
    let step = |change, at, down_since| Step { change, at, down_since };
    let unposted = seen.posting && before.as_ref().is_some_and(|standing| !standing.posted);
    let steps = match (was, now) {
        (Change::Recovered, Change::Recovered) => match silent_outage(state, seen) {
            Some(down) => vec![
                step(Change::Down, down, Some(down)),
                step(Change::Recovered, healthy_since(state, seen.at), Some(down)),
            ],
            None => Vec::new(),
        },
        (_, Change::Recovered) => {
            vec![step(Change::Recovered, healthy_since(state, seen.at), down_since)]
        }
        // What is given up is down; that it is tried again does not make it so anew.
        (Change::GivenUp, Change::Down) if unposted => vec![step(Change::GivenUp, seen.at, down_since)],
        (Change::GivenUp, Change::Down) => Vec::new(),
        (was, now) if was == now && !unposted => Vec::new(),
        (_, now) => vec![step(now, seen.at, down_since)],
    };
    if before.is_none() || !steps.is_empty() {
        let last = steps.last();
        state.standing = Some(Standing {
            change: last.map_or(now, |step| step.change),
            at: last.map_or(seen.at, |step| step.at),
            down_since: last.and_then(|step| step.down_since).filter(|_| now != Change::Recovered),
            attempt: state.attempts.last().map(|attempt| attempt.at),
            posted: seen.posting,
        });
    }
    steps
}

/// Whether a restart was tried since what was told last; an earlier attempt is nobody's news any more.
#[must_use]
pub fn restarted_since(state: &ServiceState, recovered: bool) -> bool {
    let Some(last) = state.attempts.last() else { return false };
    match &state.standing {
        Some(standing) => standing.attempt.is_none_or(|known| last.at > known),
        None => recovered,
    }
}

/// When it was down in an outage of which nobody was told. Of one that a restart ended that is on record.
fn silent_outage(state: &ServiceState, seen: Seen) -> Option<Timestamp> {
    let restarted = restarted_since(state, seen.recovered.is_some());
    let attempt = state.attempts.last().filter(|_| restarted).map(|attempt| attempt.at);
    attempt.or(seen.recovered).map(|down| down.min(seen.at))
}

/// The first healthy look.
fn healthy_since(state: &ServiceState, at: Timestamp) -> Timestamp {
    state.since.filter(|_| state.status == Status::Healthy).map_or(at, |since| since.min(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Attempt, AttemptResult};
    use Change::{Degraded, Down, GivenUp, Recovered, Unknown};
    use time::macros::datetime;

    fn minute(n: i64) -> Timestamp {
        datetime!(2026-11-21 10:00 UTC) + time::Duration::minutes(n)
    }

    struct Watched {
        state: ServiceState,
        posting: bool,
    }

    impl Watched {
        fn new() -> Self {
            Self { state: ServiceState::new("web"), posting: true }
        }

        fn restart(&mut self, at: i64) {
            self.state.saw_unhealthy(minute(at));
            self.state.attempts.push(Attempt { at: minute(at), result: AttemptResult::Unknown });
        }

        fn see(&mut self, at: i64, now: Change) -> Vec<Step> {
            match now {
                Recovered => self.state.saw_healthy(minute(at)),
                Unknown => self.state.saw_unknown(minute(at)),
                _ => self.state.saw_unhealthy(minute(at)),
            }
            let seen = Seen { now: Some(now), at: minute(at), recovered: None, posting: self.posting };
            advance(&mut self.state, seen)
        }

        fn told(&mut self, at: i64, now: Change) -> Vec<Change> {
            self.see(at, now).into_iter().map(|step| step.change).collect()
        }
    }

    #[test]
    fn each_change_is_told_once_with_its_time() {
        let mut web = Watched::new();
        assert_eq!(web.told(0, Recovered), []);
        let step = |change, at, since| vec![Step { change, at: minute(at), down_since: Some(minute(since)) }];
        assert_eq!(web.see(5, Down), step(Down, 5, 5));
        assert_eq!(web.told(10, Down), []);
        assert_eq!(web.see(15, GivenUp), step(GivenUp, 15, 5));
        // An attempt became free and failed, then it is given up again.
        assert_eq!([web.told(20, Down), web.told(25, GivenUp)], [[], []]);
        assert_eq!(web.told(30, Degraded), [Degraded]);
        assert_eq!(web.see(35, Recovered), step(Recovered, 35, 5));
        assert_eq!(web.told(40, Recovered), []);
        assert_eq!(web.see(45, Down), step(Down, 45, 45));
    }

    #[test]
    fn a_restart_that_helped_is_an_outage_also_where_its_pass_died() {
        let mut web = Watched::new();
        web.told(0, Recovered);
        web.restart(5);
        let steps = web.see(6, Recovered);
        assert_eq!(
            steps.iter().map(|s| (s.change, s.at)).collect::<Vec<_>>(),
            [(Down, minute(5)), (Recovered, minute(6))]
        );
        assert_eq!(web.told(10, Recovered), []);
        web.restart(15);
        assert_eq!(web.told(16, Down), [Down]);
        assert_eq!(web.told(20, Recovered), [Recovered], "that attempt was told of");
        assert_eq!(web.told(25, Recovered), []);
    }

    #[test]
    fn what_happened_before_anything_was_told_is_no_news() {
        let mut web = Watched::new();
        web.restart(-60);
        web.state.saw_healthy(minute(0));
        let seen = Seen { now: Some(Recovered), at: minute(0), recovered: None, posting: true };
        assert_eq!(advance(&mut web.state, seen), []);
        assert_eq!(web.told(5, Recovered), []);
    }

    #[test]
    fn what_was_brought_back_without_a_restart_was_down_all_the_same() {
        let mut web = Watched::new();
        web.state.saw_healthy(minute(1));
        let seen = Seen { now: Some(Recovered), at: minute(1), recovered: Some(minute(0)), posting: true };
        let changes: Vec<_> = advance(&mut web.state, seen).iter().map(|s| (s.change, s.at)).collect();
        assert_eq!(changes, [(Down, minute(0)), (Recovered, minute(1))]);
    }

    #[test]
    fn nothing_seen_is_nothing_told() {
        let mut web = Watched::new();
        web.told(0, Down);
        let before = web.state.clone();
        let seen = Seen { now: None, at: minute(5), recovered: None, posting: true };
        assert_eq!(advance(&mut web.state, seen), []);
        assert_eq!(web.state, before);
    }

    #[test]
    fn a_webhook_that_is_new_hears_of_what_is_down() {
        let mut web = Watched { posting: false, ..Watched::new() };
        assert_eq!(web.told(0, Down), [Down], "the log hears of it");
        assert_eq!(web.told(5, Down), []);
        web.posting = true;
        assert_eq!([web.told(10, Down), web.told(15, Down)], [vec![Down], vec![]]);
        web.posting = false;
        web.told(20, GivenUp);
        web.posting = true;
        assert_eq!([web.told(25, Down), web.told(30, Down)], [vec![GivenUp], vec![]]);
    }

    #[test]
    fn unknown_ends_in_recovered() {
        let mut web = Watched::new();
        assert_eq!([web.told(0, Unknown), web.told(5, Recovered)], [[Unknown], [Recovered]]);
    }
}
