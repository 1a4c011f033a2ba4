//! A container that was started or restarted for one service concerns all that live in it: what nobody has
//! looked at since is looked at once more, so that no pass ends well over something that it took down.

use std::time::Duration;

use super::Pass;
use super::look::{self, Sights};
use super::outcome::Outcome;
use super::sight::Sight;
use crate::check::Health;
use crate::config::model::Service;
use crate::decide::Decision;
use crate::event::{EventKind, Level};

/// Looks again where an outcome is older than the restart of its container.
pub(super) fn look_after_restarts(pass: &Pass<'_>, sights: &mut Sights) {
    if pass.scope.dry_run || pass.interrupted() {
        return;
    }
    let concerned: Vec<&Service> = pass
        .scope
        .services
        .iter()
        .copied()
        .filter(|service| is_outdated(pass, service, &sights[&service.name]))
        .collect();
    let seen = look::side_by_side(pass, &concerned, |service| {
        let before = &sights[&service.name];
        let sight = look::look_until_healthy(pass, service, before, Duration::ZERO, service.startup_timeout);
        correct(pass, service, &sight);
        sight
    });
    for (service, sight) in concerned.iter().zip(seen) {
        sights.insert(service.name.clone(), sight);
    }
}

/// Whether what is known of a service stems from before its container was started or restarted.
fn is_outdated(pass: &Pass<'_>, service: &Service, sight: &Sight) -> bool {
    let older =
        sight.place.container().and_then(|at| pass.gates.acted_at(at)).is_some_and(|at| sight.order < at);
    older
        && matches!(
            pass.board.wait(&service.name),
            Some(
                Outcome::NotDue
                    | Outcome::Healthy
                    | Outcome::Healed
                    | Outcome::Recovered
                    | Outcome::Followed(_)
                    | Outcome::Degraded(_)
                    | Outcome::Left(
                        Decision::NoWay(_)
                            | Decision::GiveUp { .. }
                            | Decision::Tolerate { .. }
                            | Decision::Degraded(_)
                            | Decision::OutOfTime
                    )
            )
        )
}

/// Posts what the new look says, where that differs from the outcome so far.
fn correct(pass: &Pass<'_>, service: &Service, sight: &Sight) {
    let name = &service.name;
    let was_left_down = matches!(pass.board.wait(name), Some(Outcome::Left(_) | Outcome::Degraded(_)));
    match &sight.health {
        Some(Health::Healthy) if was_left_down => {
            pass.emit(name, EventKind::HealedWithoutRestart);
            pass.board.post(name, Outcome::Healed);
        }
        Some(Health::Unhealthy(_)) if !was_left_down => {
            let text = format!(
                "{name} is down since its container was restarted for another service, the next pass takes care of it: {}",
                sight.reason()
            );
            pass.note(Some(name), Level::Warning, &text);
            pass.board.post(name, Outcome::TakenDown);
        }
        Some(Health::Unknown(why)) => {
            let text = format!("{name} cannot be seen since its container was restarted: {why}");
            pass.note(Some(name), Level::Warning, &text);
            pass.board.post(name, Outcome::Unknown(why.clone()));
        }
        _ => {}
    }
}
