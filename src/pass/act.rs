//! From sights to outcomes: decide about every service, dependencies first, and act where that is decided.

use super::look::{self, Sights};
use super::outcome::{self, Outcome};
use super::sight::{Place, Sight};
use super::{Pass, marker, perform};
use std::time::Duration;

use crate::check::Health;
use crate::clock::Timestamp;
use crate::config::model::Service;
use crate::decide::{Decision, Facts, Marker, Situation, Upstream, decide};
use crate::event::EventKind;
use crate::history;
use crate::store::Lock;

/// Handles every service and posts its outcome.
pub(super) fn handle_all(pass: &Pass<'_>, sights: &Sights) {
    let (unhealthy, settled): (Vec<&Service>, Vec<&Service>) =
        pass.scope.services.iter().partition(|service| {
            let sight = &sights[&service.name];
            matches!(sight.health, Some(Health::Unhealthy(_))) && !matches!(sight.marker, Marker::Present(_))
        });
    for service in settled {
        pass.board.post(&service.name, settle(&sights[&service.name]));
    }
    look::side_by_side(pass, &unhealthy, |service| {
        let outcome = handle(pass, service, &sights[&service.name]);
        pass.board.post(&service.name, outcome);
    });
    for service in unhealthy {
        look_once_more(pass, service, &sights[&service.name]);
    }
}

/// A service that nothing could be done for may have come back with a container that was started for
/// another one.
fn look_once_more(pass: &Pass<'_>, service: &Service, sight: &Sight) {
    let acted_on = sight.place.container().is_some_and(|at| pass.gates.acted_on(at));
    if !acted_on || !matches!(pass.board.wait(&service.name), Some(Outcome::Left(Decision::NoWay(_)))) {
        return;
    }
    let sight = look::look_until_healthy(pass, service, sight, Duration::ZERO, service.startup_timeout);
    if sight.health == Some(Health::Healthy) {
        pass.emit(&service.name, EventKind::HealedWithoutRestart);
        pass.board.post(&service.name, Outcome::Healed);
    }
}

/// The outcome of a service about which there is nothing to decide.
fn settle(sight: &Sight) -> Outcome {
    match (&sight.marker, &sight.health) {
        (Marker::Present(details), _) => Outcome::Left(Decision::Stopped(details.clone())),
        (_, Some(Health::Unknown(why))) => Outcome::Left(Decision::CannotTell(why.clone())),
        (_, Some(_)) => Outcome::Healthy,
        (_, None) => Outcome::NotDue,
    }
}

/// Decides about one unhealthy service, after its dependencies, and acts.
fn handle(pass: &Pass<'_>, service: &Service, first: &Sight) -> Outcome {
    let upstream = upstream(pass, service);
    let decision = consider(pass, service, first, upstream.clone());
    if pass.scope.dry_run {
        return Outcome::Would(decision);
    }
    if decision != Decision::LookAgain {
        return carry_out(pass, service, first, &upstream, decision);
    }
    // A dependant of what came back gets its startup delay; what shares a started container starts itself.
    let patience = match upstream {
        Upstream::Recovered(_) => service.startup_delay,
        _ => service.startup_timeout,
    };
    let second = look::look_until_healthy(pass, service, first, Duration::ZERO, patience);
    if second.health == Some(Health::Healthy) {
        attempting(pass, service, first);
        pass.emit(&service.name, EventKind::HealedWithoutRestart);
        return Outcome::Healed;
    }
    let decision = consider_without_hope(pass, service, &second);
    carry_out(pass, service, &second, &Upstream::Fine, decision)
}

/// What was hoped for did not happen: a dependency that came back, or a container that was started, did
/// not heal the service by itself.
pub(super) fn consider_without_hope(pass: &Pass<'_>, service: &Service, sight: &Sight) -> Decision {
    decide(service, &Facts { container: situation(sight), ..facts(pass, service, sight, Upstream::Fine) })
}

fn carry_out(
    pass: &Pass<'_>,
    service: &Service,
    sight: &Sight,
    upstream: &Upstream,
    decision: Decision,
) -> Outcome {
    match decision {
        Decision::Restart { .. } => recover(pass, service, sight, upstream),
        decision => leave(pass, service, sight, decision),
    }
}

/// Decides about a service as it was seen.
fn consider(pass: &Pass<'_>, service: &Service, sight: &Sight, upstream: Upstream) -> Decision {
    decide(service, &facts(pass, service, sight, upstream))
}

fn facts<'s>(pass: &Pass<'_>, service: &Service, sight: &'s Sight, upstream: Upstream) -> Facts<'s> {
    let now = pass.now();
    let window = service.failure_window;
    let attempts = sight.state.as_ref().map_or(&[][..], |state| &state.attempts);
    Facts {
        health: sight.health.as_ref().unwrap_or(&Health::Healthy),
        marker: sight.marker.clone(),
        remembered: sight.state.is_some(),
        booting: pass.world.clock.uptime().is_some_and(|uptime| uptime < pass.config.recovery.boot_grace),
        starting: is_starting(service, sight, now),
        upstream,
        container: match situation(sight) {
            Situation::Running if sight.place.container().is_some_and(|at| pass.gates.acted_on(at)) => {
                Situation::JustStarted
            }
            other => other,
        },
        attempts: history::count(attempts, now, window),
        free_at: history::free_at(attempts, now, window, service.max_failures),
        time_left: pass.time_left(),
    }
}

fn situation(sight: &Sight) -> Situation {
    match (&sight.place, &sight.details) {
        (Place::Exited(_), Some(details)) => {
            Situation::NotRunning { end: details.end, engine_restarts_it: details.engine_restarts_it }
        }
        _ => Situation::Running,
    }
}

/// Whether its container is within its start period, for the first time since it was seen healthy.
fn is_starting(service: &Service, sight: &Sight, now: Timestamp) -> bool {
    let (Place::Running(_), Some(details), Some(state)) = (&sight.place, &sight.details, &sight.state) else {
        return false;
    };
    let Some(started) = details.started_at else { return false };
    let granted = state.start_granted.is_none_or(|granted| granted == started);
    granted && now - started < service.start_period
}

/// The worst of its dependencies; waits until all of them are settled.
fn upstream(pass: &Pass<'_>, service: &Service) -> Upstream {
    service
        .dependencies
        .iter()
        .filter_map(|name| Some(pass.board.wait(name)?.upstream(name)))
        .max()
        .unwrap_or(Upstream::Fine)
}

/// Takes the service's lock and reads again what may have changed; only then the attempt begins.
fn recover(pass: &Pass<'_>, service: &Service, sight: &Sight, upstream: &Upstream) -> Outcome {
    let guard = match pass.world.store.try_lock(&service.name, pass.now()) {
        Ok(Lock::Held(guard)) => guard,
        Ok(Lock::Busy(holder)) => {
            failed(pass, service, sight, Some(outcome::busy(&holder)), false);
            return Outcome::OtherPass(holder);
        }
        Err(error) => return not_recorded(pass, service, sight, &error),
    };
    let state = match guard.load() {
        Ok(state) => state,
        Err(error) => return not_recorded(pass, service, sight, &error),
    };
    let sight =
        Sight { state: Some(state), marker: marker::on_machine(pass, &service.name), ..sight.clone() };
    match decide(
        service,
        &Facts { container: situation(&sight), ..facts(pass, service, &sight, upstream.clone()) },
    ) {
        Decision::Restart { action, .. } => {
            attempting(pass, service, &sight);
            perform::attempt(pass, service, guard, sight, action)
        }
        decision => leave(pass, service, &sight, decision),
    }
}

fn not_recorded(pass: &Pass<'_>, service: &Service, sight: &Sight, error: &dyn std::fmt::Display) -> Outcome {
    failed(pass, service, sight, Some("its state cannot be recorded".to_owned()), false);
    pass.io_trouble(Some(&service.name), error);
    Outcome::NotRecorded
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

fn attempting(pass: &Pass<'_>, service: &Service, sight: &Sight) {
    failed(pass, service, sight, None, false);
}

/// Writes the line of a failed look. One within a `grace` (machine or container just started) counts as none.
fn failed(pass: &Pass<'_>, service: &Service, sight: &Sight, left_because: Option<String>, grace: bool) {
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
