//! The lines of the log in which a look ends: what it said, and what is done about it.

use super::Pass;
use super::outcome::{self, Outcome};
use super::sight::Sight;
use crate::check::{Health, Unknown};
use crate::config::model::Service;
use crate::decide::{Decision, Marker};
use crate::event::EventKind;

/// Writes the line of a look that needs no decision.
pub(super) fn settled(pass: &Pass<'_>, service: &Service, sight: &Sight) {
    let kind = match (&sight.marker, &sight.health) {
        (Marker::Present(details), _) => EventKind::ManuallyStopped { details: details.clone() },
        (_, Some(Health::Healthy)) => EventKind::CheckPassed { duration: sight.duration },
        (_, Some(Health::Unknown(Unknown::Interrupted))) => return,
        (_, Some(Health::Unknown(why))) => EventKind::CannotCheck { reason: pass.masked(why) },
        (_, Some(Health::Unhealthy(_)) | None) => return,
    };
    pass.emit(&service.name, kind);
}

/// Writes why a service is left alone.
pub(super) fn leave(pass: &Pass<'_>, service: &Service, sight: &Sight, decision: Decision) -> Outcome {
    let name = &service.name;
    match &decision {
        Decision::Stopped(details) => {
            pass.emit(name, EventKind::ManuallyStopped { details: details.clone() });
            return Outcome::Left(decision);
        }
        Decision::CannotTell(why) => {
            pass.emit(name, EventKind::CannotCheck { reason: pass.masked(why) });
            return Outcome::Left(decision);
        }
        _ => {
            let grace = matches!(decision, Decision::Booting | Decision::Starting);
            failed(pass, service, sight, outcome::why_left(&decision), grace);
        }
    }
    match &decision {
        Decision::Blocked { by } => pass.emit(name, EventKind::Blocked { by: by.clone() }),
        Decision::GiveUp { attempts, window, until } => {
            pass.emit(name, EventKind::GivenUp { attempts: *attempts, window: *window, until: *until });
        }
        _ => {}
    }
    Outcome::Left(decision)
}

/// Writes that a restart is about to be tried.
pub(super) fn attempting(pass: &Pass<'_>, service: &Service, sight: &Sight) {
    failed(pass, service, sight, None, false);
}

/// Writes the line of a failed look. One within a `grace` (machine or container just started) counts as none.
pub(super) fn failed(
    pass: &Pass<'_>,
    service: &Service,
    sight: &Sight,
    left_because: Option<String>,
    grace: bool,
) {
    let before = sight.state.as_ref().map_or(0, |state| state.consecutive_failures);
    pass.emit(
        &service.name,
        EventKind::CheckFailed {
            duration: sight.duration,
            reason: sight.reason(),
            left_because,
            consecutive_failures: before + u32::from(!grace),
        },
    );
}
