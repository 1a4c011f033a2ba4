//! From what a pass found to the events that programs are told: which changes there were is
//! `alert::component`'s, here they get their facts.

use super::sight::Sight;
use super::{Outcome, Pass, facts, story};
use crate::alert::component::{self, Audience, Step};
use crate::alert::incident::Found;
use crate::alert::mask::mask;
use crate::alert::text::cut_chars;
use crate::clock::Timestamp;
use crate::config::model::{Notify, Service};
use crate::decide::Decision;
use crate::event::{Change, Component, Event, EventKind};
use crate::state::{AlertKind, ServiceState, UNKNOWN_LOOKS_TOLD};

/// The longest reason, in characters: a receiver that finds an event too long would lose it.
const REASON_MAX: usize = 1000;

/// What was found out about a service in the end.
pub(super) struct Seen<'s> {
    pub(super) service: &'s Service,
    pub(super) sight: &'s Sight,
    pub(super) outcome: &'s Outcome,
    pub(super) found: Found,
    /// The engine could not be asked twice in a row: nobody knows how its containers' services are.
    pub(super) engine_lost: bool,
    pub(super) audience: Audience,
}

/// An event of a component.
pub(super) struct Told {
    pub(super) event: Event,
    /// The webhook is told; else the log alone.
    pub(super) posted: bool,
}

/// Takes it into the state, after the look itself; the events that follow, as they are logged and posted.
pub(super) fn follow(pass: &Pass<'_>, state: &mut ServiceState, seen: &Seen<'_>) -> Vec<Told> {
    let steps = component::advance(
        state,
        component::Seen {
            now: change(seen, state),
            at: seen.sight.at,
            recovered: recovered_at(pass, seen),
            audience: seen.audience,
        },
    );
    let last = steps.last().map(|step| step.change);
    let told = |step: Step| Told {
        event: event(pass, state, seen, step, last == Some(step.change)),
        posted: step.posted,
    };
    steps.into_iter().map(told).collect()
}

/// When this pass saw it down, where it has brought it back since.
fn recovered_at(pass: &Pass<'_>, seen: &Seen<'_>) -> Option<Timestamp> {
    let failed = || pass.heard.of(&seen.service.name).failed_at.unwrap_or(seen.sight.at);
    (*seen.outcome == Outcome::Recovered).then(failed)
}

/// Whether a service's events go to the webhook; one of which nobody is to hear has none.
pub(super) fn posts(pass: &Pass<'_>, service: &Service) -> bool {
    pass.config.notifications.webhook.is_some() && service.notify != Notify::Nobody
}

/// What was found, to programs that watch; `None`: nothing that counts, or nothing new.
fn change(seen: &Seen<'_>, state: &ServiceState) -> Option<Change> {
    match (seen.outcome, seen.found) {
        (_, Found::Healthy) => Some(Change::Recovered),
        (_, Found::Failed(AlertKind::ServiceCrashLoop)) => Some(Change::GivenUp),
        (_, Found::Failed(AlertKind::ServiceDegraded)) => Some(Change::Degraded),
        (_, Found::Failed(_)) => Some(Change::Down),
        (_, Found::Unknown) => (state.unknown_looks >= UNKNOWN_LOOKS_TOLD).then_some(Change::Unknown),
        // People are told of the engine once; each component is one that nobody can look at.
        (Outcome::Unknown(why) | Outcome::Left(Decision::CannotTell(why)), _) if why.is_engine() => {
            seen.engine_lost.then_some(Change::Unknown)
        }
        // People are told with what blocks it; that it is down is true all the same.
        (Outcome::Left(Decision::Blocked { .. }), _)
            if state.consecutive_failures >= seen.service.policy.failure_threshold =>
        {
            Some(Change::Down)
        }
        (_, Found::LeftAlone) => None,
    }
}

fn event(pass: &Pass<'_>, state: &ServiceState, seen: &Seen<'_>, step: Step, is_last: bool) -> Event {
    let name = seen.service.name.clone();
    let said = pass.heard.of(&name);
    let well = step.change == Change::Recovered;
    // The last sight is of what is told last; what came before it is known from the lines of this pass.
    let heard_last = said.reason.as_deref() == Some(seen.sight.reason().as_str());
    let (reason, severity) = if is_last {
        let reason = mask(&story::reason(seen.sight, seen.outcome));
        let seen_so = || facts::severity(pass, seen.service, seen.sight, &facts::Progress::default());
        // Of one look both; what a line said of it counts the looks that were made before it.
        (Some(reason), if heard_last { said.severity } else { seen_so() })
    } else {
        (said.reason, said.severity)
    };
    let kind = EventKind::Component(Component {
        change: step.change,
        host: pass.world.host.to_owned(),
        reason: reason
            .filter(|reason| !well && !reason.is_empty())
            .map(|reason| cut_chars(&reason, REASON_MAX)),
        consecutive_failures: if well {
            0
        } else {
            state.consecutive_failures.max(said.consecutive_failures)
        },
        severity: severity.filter(|_| !well),
        down_since: step.down_since,
    });
    Event {
        container: pass.container_name(&name),
        action: said.action,
        ..Event::new(step.at, Some(name), kind)
    }
}
