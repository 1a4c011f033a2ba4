//! The lines of the log in which a look ends: what it said, and what is done about it.

use super::Pass;
use super::facts::{self, Progress};
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
            failed(pass, service, sight, Left::By(&decision));
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

/// Writes that something is about to be tried.
pub(super) fn attempting(pass: &Pass<'_>, service: &Service, sight: &Sight) {
    failed(pass, service, sight, Left::Not);
}

/// Why nothing is tried after a failed look.
pub(super) enum Left<'d> {
    /// Something is.
    Not,
    /// It was decided.
    By(&'d Decision),
    /// It is not possible.
    Because(String),
}

/// Writes the line of a failed look. One within a grace (machine or container just started) counts as none.
pub(super) fn failed(pass: &Pass<'_>, service: &Service, sight: &Sight, left: Left<'_>) {
    let before = sight.state.as_ref().map_or(0, |state| state.consecutive_failures);
    let grace = matches!(left, Left::By(Decision::Booting | Decision::Starting));
    let (left_because, below) = match left {
        Left::Not => (None, None),
        Left::By(Decision::Tolerate { threshold, .. }) => (None, Some(*threshold)),
        Left::By(decision) => (outcome::why_left(decision), None),
        Left::Because(why) => (Some(why), None),
    };
    pass.emit(
        &service.name,
        EventKind::CheckFailed {
            duration: sight.duration,
            reason: sight.reason(),
            left_because,
            below,
            consecutive_failures: before + u32::from(!grace),
            severity: facts::severity(pass, service, sight, &Progress::default()),
        },
    );
}
