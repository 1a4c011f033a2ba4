//! The failure window: record an attempt or a step of a chain, prune old ones, count what is left. `now` is an
//! argument.

use std::time::Duration;

use crate::check::severity::{Life, Rating};
use crate::clock::Timestamp;
use crate::clock::text::{age, later};
use crate::config::model::Strategy;
use crate::state::{Attempt, AttemptResult, Chain, ServiceState};

/// Drops attempts that have left the window.
pub fn prune(attempts: &mut Vec<Attempt>, now: Timestamp, window: Duration) {
    attempts.retain(|attempt| age(attempt.at, now) < window);
}

/// Attempts that lie within the window.
#[must_use]
pub fn count(attempts: &[Attempt], now: Timestamp, window: Duration) -> u32 {
    let within = attempts.iter().filter(|attempt| age(attempt.at, now) < window).count();
    u32::try_from(within).unwrap_or(u32::MAX)
}

/// When the next attempt becomes free, where `max` are used up.
#[must_use]
pub fn free_at(attempts: &[Attempt], now: Timestamp, window: Duration, max: u32) -> Option<Timestamp> {
    let mut within: Vec<Timestamp> =
        attempts.iter().map(|a| a.at).filter(|&at| age(at, now) < window).collect();
    within.sort_unstable();
    let over = within.len().checked_sub(usize::try_from(max).ok()?)?;
    within.get(over).map(|&at| later(at, window))
}

/// Records an attempt that is about to be made; its result is unknown until [`conclude`].
pub fn record(attempts: &mut Vec<Attempt>, now: Timestamp) {
    attempts.push(Attempt { at: now, result: AttemptResult::Unknown });
}

/// Dates the last attempt anew: it goes on with something that restarts once more.
pub fn renew(attempts: &mut [Attempt], now: Timestamp) {
    if let Some(last) = attempts.last_mut() {
        last.at = now;
    }
}

/// Writes the result of the last attempt.
pub fn conclude(attempts: &mut [Attempt], result: AttemptResult) {
    if let Some(last) = attempts.last_mut() {
        last.result = result;
    }
}

/// Records a restart after a dependency, and drops those that have left the window.
pub fn follow(follows: &mut Vec<Timestamp>, now: Timestamp, window: Duration) {
    follows.retain(|&at| age(at, now) < window);
    follows.push(now);
}

/// Restarts after dependencies that lie within the window.
#[must_use]
pub fn follows(follows: &[Timestamp], now: Timestamp, window: Duration) -> u32 {
    let within = follows.iter().filter(|&&at| age(at, now) < window).count();
    u32::try_from(within).unwrap_or(u32::MAX)
}

/// The chain of a service, where it began within the window.
#[must_use]
pub fn chain(state: &ServiceState, now: Timestamp, window: Duration) -> Option<&Chain> {
    state.chain.as_ref().filter(|chain| age(chain.began, now) < window)
}

/// Records a step that is about to be made. The `first` one of a pass begins the chain at its top, and where
/// the window of the last chain is over, a new one. What lives and answers does not count for its escalation.
pub fn step(
    state: &mut ServiceState,
    step: Strategy,
    rating: Rating,
    first: bool,
    now: Timestamp,
    window: Duration,
) {
    if chain(state, now, window).is_none() {
        state.chain = Some(Chain {
            began: now,
            looks: 0,
            severity: rating.severity,
            steps: vec![],
            fell_back: false,
            degraded_since: None,
            degraded_in: None,
        });
    }
    let Some(chain) = &mut state.chain else { return };
    chain.severity = rating.severity;
    if first {
        chain.looks = chain.looks.saturating_add(u32::from(rating.life == Life::Doubtful));
        chain.steps.clear();
        // A fallback that is gone with its container may be run again.
        chain.fell_back &= chain.degraded_since.is_none();
        (chain.degraded_since, chain.degraded_in) = (None, None);
    }
    chain.fell_back |= step == Strategy::Fallback;
    chain.steps.push(step);
}

/// Counts a failed look at which nothing was left to try.
pub fn saw_nothing_left(state: &mut ServiceState) {
    if let Some(chain) = &mut state.chain {
        chain.looks = chain.looks.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const WINDOW: Duration = Duration::from_secs(3600);

    fn attempts(minutes_ago: &[i64], now: Timestamp) -> Vec<Attempt> {
        minutes_ago
            .iter()
            .map(|&m| Attempt { at: now - time::Duration::minutes(m), result: AttemptResult::Failed })
            .collect()
    }

    #[test]
    fn an_attempt_leaves_the_window_exactly_when_it_is_a_window_old() {
        let now = datetime!(2026-11-21 10:00 UTC);
        let mut list = attempts(&[60, 59, 10], now);
        assert_eq!(count(&list, now, WINDOW), 2);
        prune(&mut list, now, WINDOW);
        assert_eq!(list.len(), 2);
        assert_eq!(free_at(&list, now, WINDOW, 2), Some(now + time::Duration::minutes(1)));
        assert_eq!(free_at(&list, now, WINDOW, 3), None);
    }
}
