//! What a pass adds to what is remembered of a service.

use super::Outcome;
use super::sight::Sight;
use crate::check::Unknown;
use crate::decide::{Decision, NoWay};
use crate::history;
use crate::state::ServiceState;

/// Records what became of a service about which nothing was recorded while it was acted on.
pub(super) fn outcome(state: &mut ServiceState, sight: &Sight, outcome: &Outcome) {
    // What lives and answers gets no worse by answering so again.
    let alive = matches!(outcome, Outcome::Left(Decision::NoWay(NoWay::Alive)));
    if !alive
        && matches!(
            outcome,
            Outcome::Left(Decision::NoWay(_) | Decision::GiveUp { .. } | Decision::Degraded(_))
        )
    {
        history::saw_nothing_left(state);
    }
    match outcome {
        Outcome::Healthy | Outcome::Healed => state.saw_healthy(sight.at),
        Outcome::Unknown(why) | Outcome::Left(Decision::CannotTell(why)) => {
            if !why.is_engine() && *why != Unknown::Interrupted {
                state.saw_unknown(sight.at);
            }
        }
        Outcome::Left(Decision::Starting) => {
            state.start_granted = sight.details.as_ref().and_then(|details| details.started_at);
        }
        Outcome::Left(
            Decision::Held { .. }
            | Decision::Blocked { .. }
            | Decision::NoWay(_)
            | Decision::GiveUp { .. }
            | Decision::Tolerate { .. }
            | Decision::Degraded(_)
            | Decision::OutOfTime,
        )
        | Outcome::TakenDown => state.saw_unhealthy(sight.at),
        Outcome::Left(_)
        | Outcome::NotDue
        | Outcome::Recovered
        | Outcome::Followed(_)
        | Outcome::Failed(_)
        | Outcome::Degraded(_)
        | Outcome::OtherPass { .. }
        | Outcome::Would(_)
        | Outcome::Interrupted
        | Outcome::NotRecorded => {}
    }
}
