//! From sights to outcomes: decide about every service, dependencies first, and act where that is decided.

use std::time::Duration;

use super::facts::Progress;
use super::lines::Left;
use super::look::{self, Sights};
use super::outcome::{self, Outcome};
use super::sight::Sight;
use super::{Pass, aftermath, facts, follow, lines, marker, perform};
use crate::check::Health;
use crate::config::model::Service;
use crate::decide::{Decision, Marker, Upstream};
use crate::event::EventKind;
use crate::store::Lock;

/// Handles every service and posts its outcome; `sights` then holds what was seen last.
pub(super) fn handle_all(pass: &Pass<'_>, sights: &mut Sights) {
    let (open, settled): (Vec<&Service>, Vec<&Service>) =
        pass.links.order.iter().partition(|service| is_open(pass, service, &sights[&service.name]));
    for service in settled {
        pass.board.post(&service.name, settle(&sights[&service.name]));
    }
    let seen = look::side_by_side(pass, &open, |service| {
        let duty = pass.board.duty(&service.name);
        let (outcome, sight) = handle(pass, service, &sights[&service.name]);
        duty.done(outcome);
        sight
    });
    for (service, sight) in open.iter().zip(seen) {
        sights.insert(service.name.clone(), sight);
    }
    aftermath::look_after_restarts(pass, sights);
}

/// Whether there is something to decide about a service: it is down, or it may have to follow a dependency.
fn is_open(pass: &Pass<'_>, service: &Service, sight: &Sight) -> bool {
    let follows = || !is_unknown(sight) && pass.links.is_follower(&service.name);
    !matches!(sight.marker, Marker::Present(_)) && (look::is_down(sight) || follows())
}

fn is_unknown(sight: &Sight) -> bool {
    matches!(sight.health, Some(Health::Unknown(_)))
}

/// The outcome of a service about which there is nothing to decide.
pub(super) fn settle(sight: &Sight) -> Outcome {
    match (&sight.marker, &sight.health) {
        (Marker::Present(details), _) => Outcome::Left(Decision::Stopped(details.clone())),
        (_, Some(Health::Unknown(why))) => Outcome::Left(Decision::CannotTell(why.clone())),
        (_, Some(_)) => Outcome::Healthy,
        (_, None) => Outcome::NotDue,
    }
}

/// Decides about one service, after its dependencies, and acts; with what was seen last.
fn handle(pass: &Pass<'_>, service: &Service, first: &Sight) -> (Outcome, Sight) {
    let upstream = facts::upstream(pass, service);
    if !look::is_down(first) {
        return follow::well(pass, service, first, upstream);
    }
    let mut first = first.clone();
    look::marker_inside(pass, service, &mut first);
    let mut decision = facts::decision(pass, service, &first, upstream.clone());
    if decision.acts() {
        look::stop_under_way(pass, service, &mut first);
        decision = facts::decision(pass, service, &first, upstream.clone());
    }
    if pass.scope.dry_run {
        return (Outcome::Would(decision), first);
    }
    if decision != Decision::LookAgain {
        return carry_out(pass, service, &first, decision);
    }
    // A dependant of what came back gets its startup delay; what shares a started container starts itself.
    let patience = match upstream {
        Upstream::Recovered(_) => service.startup_delay,
        _ => service.startup_timeout,
    };
    let second = look::look_until_healthy(pass, service, &first, Duration::ZERO, patience);
    if second.health == Some(Health::Healthy) {
        lines::attempting(pass, service, &first);
        pass.emit(&service.name, EventKind::HealedWithoutRestart);
        return (Outcome::Healed, second);
    }
    let decision = facts::decision_without_hope(pass, service, &second, &Progress::default());
    carry_out(pass, service, &second, decision)
}

fn carry_out(pass: &Pass<'_>, service: &Service, sight: &Sight, decision: Decision) -> (Outcome, Sight) {
    match decision {
        decision if decision.acts() => recover(pass, service, sight),
        decision => (lines::leave(pass, service, sight, decision), sight.clone()),
    }
}

/// Takes the service's lock and reads again what may have changed; only then the attempt begins.
fn recover(pass: &Pass<'_>, service: &Service, sight: &Sight) -> (Outcome, Sight) {
    let not_recorded = |error: &dyn std::fmt::Display| {
        lines::failed(pass, service, sight, Left::Because("its state cannot be recorded".to_owned()));
        pass.io_trouble(Some(&service.name), error);
        (Outcome::NotRecorded, sight.clone())
    };
    let guard = match pass.world.store.try_lock(&service.name, pass.now()) {
        Ok(Lock::Held(guard)) => guard,
        Ok(Lock::Busy(holder)) => {
            lines::failed(pass, service, sight, Left::Because(outcome::busy(&holder)));
            return (Outcome::OtherPass(holder), sight.clone());
        }
        Err(error) => return not_recorded(&error),
    };
    let state = match guard.recall(&pass.moment()) {
        Ok(state) => state,
        Err(error) => return not_recorded(&error),
    };
    if pass.links.is_follower(&service.name) {
        pass.links.refresh(pass.world.engine, &pass.gates, &service.name);
    }
    let marker = marker::on_machine(pass, &service.name);
    let sight = Sight { state: Some(state), marker, ..sight.clone() };
    match facts::decision_without_hope(pass, service, &sight, &Progress::default()) {
        decision if decision.acts() => {
            lines::attempting(pass, service, &sight);
            perform::attempt(pass, service, guard, sight, decision)
        }
        decision => (lines::leave(pass, service, &sight, decision), sight),
    }
}
