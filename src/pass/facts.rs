//! What a decision about one service rests on, gathered from its sight and from the pass.

use super::sight::{self, Place, Sight};
use super::{Pass, follow};
use crate::check::Health;
use crate::check::severity::Severity;
use crate::clock::Timestamp;
use crate::clock::text::later;
use crate::config::model::{Service, ServiceName, Strategy};
use crate::decide::{self, Decision, Facts, Reduced, Situation, Upstream, decide};
use crate::history;
use crate::state::Chain;

/// How far a pass has come with the chain of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// The steps that were made in this pass.
    pub(super) made: Vec<Strategy>,
    /// The worst severity that one of them was made against.
    pub(super) worst: Option<Severity>,
    /// Whether this pass has counted the failed look.
    pub(super) counted: bool,
    /// What was decided is under way: a container that this pass started has no start period.
    pub(super) begun: bool,
    /// The dependency after which it was restarted in this pass.
    pub(super) followed: Option<ServiceName>,
}

/// Decides about a service as it was seen first.
pub(super) fn decision(pass: &Pass<'_>, service: &Service, sight: &Sight, upstream: Upstream) -> Decision {
    decide(service, &facts(pass, service, sight, upstream, &Progress::default()))
}

/// The same where hope is over: a dependency that came back, or a container that was started, did not heal
/// the service by itself, and its own steps are what is left.
pub(super) fn decision_without_hope(
    pass: &Pass<'_>,
    service: &Service,
    sight: &Sight,
    progress: &Progress,
) -> Decision {
    let facts = facts(pass, service, sight, Upstream::Fine, progress);
    decide(service, &Facts { container: situation(sight), ..facts })
}

/// How bad what was seen is, with what its repetition makes of it.
pub(super) fn severity(
    pass: &Pass<'_>,
    service: &Service,
    sight: &Sight,
    progress: &Progress,
) -> Option<Severity> {
    decide::severity(service, &facts(pass, service, sight, Upstream::Fine, progress))
}

/// All of it; `decide` makes the decision of this.
pub(super) fn facts<'s>(
    pass: &'s Pass<'_>,
    service: &Service,
    sight: &'s Sight,
    upstream: Upstream,
    progress: &'s Progress,
) -> Facts<'s> {
    let now = pass.now();
    let window = service.failure_window;
    let attempts = sight.state.as_ref().map_or(&[][..], |state| &state.attempts);
    let failed = sight.state.as_ref().map_or(0, |state| state.consecutive_failures);
    let failures = failed.saturating_add(u32::from(!progress.counted));
    let chain = sight.state.as_ref().and_then(|state| history::chain(state, now, window));
    let acted_on = sight.place.container().is_some_and(|at| pass.gates.acted_on(at));
    Facts {
        health: sight.health.as_ref().unwrap_or(&Health::Healthy),
        marker: sight.marker.clone(),
        remembered: sight.state.is_some(),
        booting: pass.world.clock.uptime().is_some_and(|uptime| uptime < pass.config.recovery.boot_grace),
        starting: progress.made.is_empty() && !progress.begun && is_starting(pass, service, sight, now),
        upstream,
        follow: follow::due(pass, service, sight)
            .filter(|_| !acted_on && progress.made.is_empty() && progress.followed.is_none()),
        container: match situation(sight) {
            Situation::Running if acted_on => Situation::JustStarted,
            other => other,
        },
        kept_by: sight.place.container().and_then(|at| sight::keeper(pass, at)),
        attempts: history::count(attempts, now, window),
        free_at: history::free_at(attempts, now, window, service.max_failures),
        follows: sight.state.as_ref().map_or(0, |state| history::follows(&state.follows, now, window)),
        failures,
        escalating: chain.map_or(1, |chain| chain.looks.saturating_add(u32::from(!progress.counted))),
        made: &progress.made,
        worst: progress.worst,
        container_spent: acted_on && !progress.made.is_empty(),
        fallback_spent: chain.is_some_and(|chain| chain.fell_back && chain.degraded_since.is_none()),
        degraded: chain
            .filter(|chain| progress.made.is_empty() && still_runs(pass, sight, chain, now))
            .and_then(|chain| {
                Some(Reduced { since: chain.degraded_since?, until: later(chain.began, window) })
            }),
        time_left: pass.time_left(),
    }
}

/// Whether what a fallback started can still be there: neither its container nor the machine was started since.
fn still_runs(pass: &Pass<'_>, sight: &Sight, chain: &Chain, now: Timestamp) -> bool {
    let Some(since) = chain.degraded_since else { return false };
    match (&sight.place, &sight.details) {
        (Place::Exited(_), _) => false,
        (Place::Running(_), Some(details)) => details.started_at == chain.degraded_in,
        (Place::Machine, _) => pass.world.clock.uptime().is_none_or(|uptime| now - since <= uptime),
        (Place::Running(_) | Place::Nowhere(_), _) => true,
    }
}

fn situation(sight: &Sight) -> Situation {
    match (&sight.place, &sight.details) {
        (Place::Exited(_), Some(details)) => Situation::NotRunning {
            end: details.end,
            sign: details.sign,
            engine_restarts_it: details.engine_restarts_it,
        },
        (Place::Running(_), _) if sight.being_stopped => Situation::BeingStopped,
        _ => Situation::Running,
    }
}

/// Whether its container is within its start period, for the first time since it was seen healthy.
fn is_starting(pass: &Pass<'_>, service: &Service, sight: &Sight, now: Timestamp) -> bool {
    let (Place::Running(at), Some(state)) = (&sight.place, &sight.state) else { return false };
    let started = match &sight.details {
        Some(details) => details.started_at,
        // Of what is well the engine was asked only where it may have to follow a dependency.
        None => pass.links.started(pass.world.engine, &pass.gates, at),
    };
    let Some(started) = started else { return false };
    let granted = state.start_granted.is_none_or(|granted| granted == started);
    // One in the future was dated by a clock that has been put back since: nobody knows its age.
    granted && started <= now && now - started < service.start_period
}

/// The worst of its dependencies; waits until all of them are settled.
pub(super) fn upstream(pass: &Pass<'_>, service: &Service) -> Upstream {
    let needs = pass.links.needs(&service.name).iter();
    needs
        .filter_map(|need| Some(pass.board.wait(&need.on)?.upstream(&need.on)))
        .max()
        .unwrap_or(Upstream::Fine)
}
