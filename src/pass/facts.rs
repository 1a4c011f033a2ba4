//! What a decision about one service rests on, gathered from its sight and from the pass.

use super::Pass;
use super::sight::{Place, Sight};
use crate::check::Health;
use crate::clock::Timestamp;
use crate::config::model::Service;
use crate::decide::{Decision, Facts, Situation, Upstream, decide};
use crate::history;

/// Decides about a service as it was seen.
pub(super) fn consider(pass: &Pass<'_>, service: &Service, sight: &Sight, upstream: Upstream) -> Decision {
    decide(service, &facts(pass, service, sight, upstream))
}

/// The same where hope is over: a dependency that came back, or a container that was started, did not heal
/// the service by itself, and its own restart is what is left.
pub(super) fn consider_without_hope(pass: &Pass<'_>, service: &Service, sight: &Sight) -> Decision {
    decide(service, &Facts { container: situation(sight), ..facts(pass, service, sight, Upstream::Fine) })
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
pub(super) fn upstream(pass: &Pass<'_>, service: &Service) -> Upstream {
    service
        .dependencies
        .iter()
        .filter_map(|name| Some(pass.board.wait(name)?.upstream(name)))
        .max()
        .unwrap_or(Upstream::Fine)
}
