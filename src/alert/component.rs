//! What programs that watch a service are told: every change of its health once, as pure transitions.
//!
//! Unlike an alert such an event is a fact with a time: it has no reminders, is never held back for flapping,
//! and stays true however late it is delivered. What is told follows from what is so now and from what was told
//! last *there*: to the webhook that is its last event, to the log what the state remembers.

use serde::{Deserialize, Serialize};

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
    /// The webhook is told; else the log alone.
    pub posted: bool,
}

/// The last event of a service that the webhook was told, or that waits to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWord {
    /// What it told.
    pub change: Change,
    /// When it was put down.
    #[serde(with = "crate::clock::text::stored")]
    pub at: Timestamp,
    /// The first failed look of the outage.
    #[serde(default, with = "crate::clock::text::stored::option", skip_serializing_if = "Option::is_none")]
    pub down_since: Option<Timestamp>,
}

impl From<&Standing> for LastWord {
    fn from(standing: &Standing) -> Self {
        Self { change: standing.change, at: standing.at, down_since: standing.down_since }
    }
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The log alone.
    Log,
    /// The webhook too, and this was its last word; `None`: it never had one.
    Webhook(Option<LastWord>),
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
    /// Who is told.
    pub audience: Audience,
}

/// What somebody believes of a service.
#[derive(Debug, Clone, Copy)]
struct Belief {
    change: Change,
    at: Option<Timestamp>,
    down_since: Option<Timestamp>,
    /// It may be another: rather the truth twice than never.
    doubtful: bool,
}

/// Takes in what was found, after the look itself was recorded, and says what must be told, in order.
///
/// A restart that helped is told as two changes, down and recovered, also by the next pass where the one that
/// made it has died since.
#[must_use]
pub fn advance(state: &mut ServiceState, seen: Seen) -> Vec<Step> {
    let Some(now) = seen.now else { return Vec::new() };
    let mut steps = match seen.audience {
        Audience::Webhook(last) => steps(state, seen, now, of_webhook(state, last, seen.at), true),
        Audience::Log => Vec::new(),
    };
    if steps.is_empty() {
        steps = self::steps(state, seen, now, of_log(state), false);
    }
    let posting = seen.audience != Audience::Log;
    if state.standing.is_none() || !steps.is_empty() {
        let last = steps.last();
        state.standing = Some(Standing {
            change: last.map_or(now, |step| step.change),
            at: last.map_or(seen.at, |step| step.at),
            down_since: last.and_then(|step| step.down_since).filter(|_| now != Change::Recovered),
            attempt: state.attempts.last().map(|attempt| attempt.at),
            posted: last.map_or(posting, |step| step.posted),
            unrecorded: false,
        });
    }
    if let (false, Some(standing)) = (posting, &mut state.standing) {
        standing.posted = false;
    }
    steps
}

/// What the webhook believes. Where the state says that it was told something else, a record of one of the two
/// could not be made.
fn of_webhook(state: &ServiceState, last: Option<LastWord>, now: Timestamp) -> Belief {
    let posted = state.standing.as_ref().filter(|standing| standing.posted);
    let later = |standing: &&Standing| last.is_none_or(|last| standing.at > last.at);
    let last = match posted.filter(|standing| standing.unrecorded).filter(later) {
        Some(standing) => Some(standing.into()),
        None => last,
    };
    let change = last.map_or(Change::Recovered, |last| last.change);
    Belief {
        change,
        // One of the future was told by a clock that was put back since: it says nothing of when.
        at: last.map(|last| last.at).filter(|at| *at <= now),
        down_since: last.and_then(|last| last.down_since),
        doubtful: posted.is_some_and(|standing| standing.change != change),
    }
}

/// What the log says.
fn of_log(state: &ServiceState) -> Belief {
    let standing = state.standing.as_ref();
    Belief {
        change: standing.map_or(Change::Recovered, |standing| standing.change),
        at: None,
        down_since: standing.and_then(|standing| standing.down_since),
        doubtful: false,
    }
}

/// What must be told to who believes that.
fn steps(state: &ServiceState, seen: Seen, now: Change, was: Belief, posted: bool) -> Vec<Step> {
    let down_since = match was.down_since {
        Some(since) if was.change != Change::Recovered => Some(since),
        _ => state.since.filter(|_| state.status == Status::Unhealthy),
    };
    let step = |change, at, down_since| Step { change, at, down_since, posted };
    let recovered = |down_since| step(Change::Recovered, healthy_since(state, seen.at, was.at), down_since);
    match (was.change, now) {
        (Change::Recovered, Change::Recovered) if !was.doubtful => match silent_outage(state, seen, was.at) {
            Some(down) => vec![step(Change::Down, down, Some(down)), recovered(Some(down))],
            None => Vec::new(),
        },
        (_, Change::Recovered) => vec![recovered(down_since)],
        // What is given up is down; that it is tried again does not make it so anew.
        (Change::GivenUp, Change::Down) if !was.doubtful => Vec::new(),
        (was_so, now) if was_so == now && !was.doubtful => Vec::new(),
        (_, now) => vec![step(now, seen.at, down_since)],
    }
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
fn silent_outage(state: &ServiceState, seen: Seen, told_at: Option<Timestamp>) -> Option<Timestamp> {
    if state.standing.as_ref().is_some_and(|standing| standing.change != Change::Recovered) {
        return None;
    }
    let restarted = restarted_since(state, seen.recovered.is_some());
    let attempt = state.attempts.last().filter(|_| restarted).map(|attempt| attempt.at);
    let down = attempt.or(seen.recovered).map(|down| down.min(seen.at))?;
    // Of an earlier one it was told, by a pass that died before its state could say so.
    (seen.recovered.is_some() || told_at.is_none_or(|told| down > told)).then_some(down)
}

/// The first healthy look; one before what was told last was of another time.
fn healthy_since(state: &ServiceState, at: Timestamp, told_at: Option<Timestamp>) -> Timestamp {
    let since = state.since.filter(|_| state.status == Status::Healthy).map_or(at, |since| since.min(at));
    if told_at.is_some_and(|told| since <= told) { at } else { since }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::boot::Moment;
    use crate::state::{Attempt, AttemptResult};
    use Change::{Degraded, Down, GivenUp, Recovered, Unknown};
    use time::macros::datetime;

    fn minute(n: i64) -> Timestamp {
        datetime!(2026-11-21 10:00 UTC) + time::Duration::minutes(n)
    }

    struct Watched {
        state: ServiceState,
        posting: bool,
        last: Option<LastWord>,
    }

    impl Watched {
        fn new() -> Self {
            Self { state: ServiceState::new("web"), posting: true, last: None }
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
            self.advance(Seen { now: Some(now), at: minute(at), recovered: None, audience: Audience::Log })
        }

        /// What is told to the webhook is its last word.
        fn advance(&mut self, seen: Seen) -> Vec<Step> {
            let audience = if self.posting { Audience::Webhook(self.last) } else { Audience::Log };
            let steps = advance(&mut self.state, Seen { audience, ..seen });
            for step in steps.iter().filter(|step| step.posted) {
                self.last = Some(LastWord { change: step.change, at: seen.at, down_since: step.down_since });
            }
            steps
        }

        fn told(&mut self, at: i64, now: Change) -> Vec<Change> {
            self.see(at, now).into_iter().map(|step| step.change).collect()
        }
    }

    #[test]
    fn each_change_is_told_once_with_its_time() {
        let mut web = Watched::new();
        assert_eq!(web.told(0, Recovered), []);
        let step = |change, at, since| {
            vec![Step { change, at: minute(at), down_since: Some(minute(since)), posted: true }]
        };
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
        let seen =
            Seen { now: Some(Recovered), at: minute(0), recovered: None, audience: Audience::Webhook(None) };
        assert_eq!(web.advance(seen), []);
        assert_eq!(web.told(5, Recovered), []);
    }

    #[test]
    fn what_was_brought_back_without_a_restart_was_down_all_the_same() {
        let mut web = Watched::new();
        web.state.saw_healthy(minute(1));
        let seen = Seen {
            now: Some(Recovered),
            at: minute(1),
            recovered: Some(minute(0)),
            audience: Audience::Webhook(None),
        };
        let changes: Vec<_> = web.advance(seen).iter().map(|s| (s.change, s.at)).collect();
        assert_eq!(changes, [(Down, minute(0)), (Recovered, minute(1))]);
    }

    #[test]
    fn nothing_seen_is_nothing_told() {
        let mut web = Watched::new();
        web.told(0, Down);
        let before = web.state.clone();
        let seen = Seen { now: None, at: minute(5), recovered: None, audience: Audience::Webhook(None) };
        assert_eq!(web.advance(seen), []);
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
        assert_eq!(web.told(20, GivenUp), [GivenUp]);
        web.posting = true;
        assert_eq!([web.told(25, GivenUp), web.told(30, Down)], [vec![GivenUp], vec![]]);
    }

    #[test]
    fn a_webhook_that_comes_and_goes_hears_whole_pairs() {
        let play = |steps: &[(Change, bool)]| {
            let mut web = Watched::new();
            let mut heard = Vec::new();
            for (at, &(now, posting)) in (0..).zip(steps) {
                web.posting = posting;
                let posted = web.see(at, now).into_iter().filter(|step| step.posted);
                heard.extend(posted.map(|step| step.change));
            }
            heard
        };
        assert_eq!(play(&[(Recovered, false), (Down, false), (Recovered, true)]), []);
        let gone_while_down =
            [(Recovered, true), (Down, true), (Recovered, false), (Recovered, true), (Recovered, true)];
        assert_eq!(play(&gone_while_down), [Down, Recovered]);
        let gone_while_well =
            [(Down, true), (Recovered, true), (Down, false), (Recovered, true), (Down, true)];
        assert_eq!(play(&gone_while_well), [Down, Recovered, Down]);
    }

    #[test]
    fn the_log_hears_of_an_end_that_the_webhook_need_not_hear_of() {
        let mut web = Watched { posting: false, ..Watched::new() };
        web.told(0, Down);
        web.posting = true;
        let steps = web.see(5, Recovered);
        assert_eq!(steps.iter().map(|s| (s.change, s.posted)).collect::<Vec<_>>(), [(Recovered, false)]);
        assert_eq!(web.see(10, Recovered), []);
    }

    #[test]
    fn a_state_that_is_lost_or_behind_makes_no_last_word_wrong() {
        for lost in [true, false] {
            let mut web = Watched::new();
            web.told(0, Recovered);
            let before = web.state.clone();
            web.told(5, Down);
            web.state = if lost { ServiceState::new("web") } else { before.clone() };
            assert_eq!(web.see(10, Recovered)[0].change, Recovered);
            let told = web.last.unwrap();
            web.state = before;
            assert_eq!(web.told(15, Down), [Down], "the state died before it could say that it recovered");
            assert!(told.at < web.last.unwrap().at);
        }
    }

    #[test]
    fn where_the_webhooks_record_and_the_state_differ_the_truth_is_told_again() {
        let mut web = Watched::new();
        web.told(0, Down);
        web.last = None;
        assert_eq!([web.told(5, Down), web.told(10, Down)], [vec![Down], vec![]]);
        web.last = None;
        assert_eq!([web.told(15, Recovered), web.told(20, Recovered)], [vec![Recovered], vec![]]);
    }

    #[test]
    fn what_only_the_state_could_record_is_told_once() {
        let mut web = Watched::new();
        web.told(0, Down);
        web.last = None;
        web.state.standing.as_mut().unwrap().unrecorded = true;
        assert_eq!([web.told(5, Down), web.told(10, Recovered)], [vec![], vec![Recovered]]);
        assert_eq!([web.told(15, Recovered), web.told(20, Down)], [vec![], vec![Down]]);
    }

    #[test]
    fn a_recovery_is_never_dated_before_the_outage_it_ends() {
        let mut web = Watched::new();
        web.told(0, Recovered);
        let before = web.state.clone();
        web.told(5, Down);
        web.state = before;
        assert_eq!(web.see(10, Recovered)[0].at, minute(10), "the state knows of no outage");
    }

    #[test]
    fn a_clock_that_was_put_back_hides_no_restart() {
        let mut web = Watched::new();
        web.told(0, Recovered);
        web.restart(6000);
        assert_eq!(web.told(6001, Recovered), [Down, Recovered]);
        web.state.put_right(&Moment { wall: minute(10), boot: None });
        web.state.attempts.clear();
        web.restart(15);
        assert!(restarted_since(&web.state, false));
        assert_eq!(web.told(16, Recovered), [Down, Recovered]);
    }

    #[test]
    fn unknown_ends_in_recovered() {
        let mut web = Watched::new();
        assert_eq!([web.told(0, Unknown), web.told(5, Recovered)], [[Unknown], [Recovered]]);
    }
}
