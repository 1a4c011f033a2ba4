//! Services that are restarted after a dependency: whether they are to be now, what is remembered of it, and those
//! of them that are well.
//!
//! A restart that was not followed yet is found in two ways: what we restarted is dated in the state of the
//! dependency, by our clock; what anybody started by the starts of both containers, by the engine's. The clocks
//! are never compared with each other. What was followed is remembered by the same two times.

use std::collections::HashSet;

use super::facts::{self, Progress};
use super::links::Need;
use super::look::{self, Sights};
use super::sight::{Place, Sight};
use super::{Outcome, Pass, act, marker, outcome, perform};
use crate::clock::Timestamp;
use crate::config::model::{RestartMethod, Service, ServiceName};
use crate::decide::{Action, Decision, Follow, Upstream};
use crate::engine::ContainerRef;
use crate::event::Level;
use crate::state::{Followed, Restarted, ServiceState};
use crate::store::Lock;

/// A restart that is killed between its record and its end is made once more, and then no more: nobody knows
/// whether it was made.
const TRIES: u32 = 2;

/// The dependency after which a service is to be restarted now: one that is well, and was restarted.
pub(super) fn due(pass: &Pass<'_>, service: &Service, sight: &Sight) -> Option<Follow> {
    let followed = pass.links.needs(&service.name).iter().filter(|need| need.is_followed());
    followed.into_iter().find_map(|need| {
        let outcome = pass.board.posted(&need.on)?;
        let behind = match &outcome {
            Outcome::Would(decision) => would_be_behind(need, decision),
            Outcome::NotDue
            | Outcome::Healthy
            | Outcome::Healed
            | Outcome::Recovered
            | Outcome::Followed(_) => behind(pass, service, sight, need),
            // It is down, or only limps along, or nobody can see it.
            _ => None,
        };
        Some(Follow { after: need.on.clone(), network: behind? == Behind::Start && need.network })
    })
}

/// Whether a service will have to be restarted after a dependency, as far as that can be told before anything is
/// done.
pub(super) fn is_pending(pass: &Pass<'_>, service: &Service, sight: &Sight) -> bool {
    let mut followed = pass.links.needs(&service.name).iter().filter(|need| need.is_followed());
    followed.any(|need| behind(pass, service, sight, need).is_some())
}

/// Services that may be restarted in this pass: those that are down, those that are behind a dependency, and those
/// that follow them.
pub(super) fn moving<'a>(pass: &Pass<'a>, sights: &Sights) -> HashSet<&'a ServiceName> {
    let mut moving = HashSet::new();
    for service in &pass.links.order {
        let sight = &sights[&service.name];
        let mut followed = pass.links.needs(&service.name).iter().filter(|need| need.is_followed());
        if look::is_down(sight)
            || followed.any(|need| moving.contains(&need.on) || behind(pass, service, sight, need).is_some())
        {
            moving.insert(&service.name);
        }
    }
    moving
}

/// What of a dependency a service has not followed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A start of its container.
    Start,
    /// A restart of ours.
    Restart,
}

/// What a dry run's decision about a dependency would leave a service behind.
fn would_be_behind(need: &Need, decision: &Decision) -> Option<Behind> {
    let (Decision::Restart { action, .. } | Decision::Follow { action, .. }) = decision else { return None };
    match action {
        Action::Command => need.restarts.then_some(Behind::Restart),
        Action::StartContainer | Action::RestartContainer => Some(Behind::Start),
    }
}

/// What of a dependency a service has not followed yet; nothing where its own state cannot be read.
fn behind(pass: &Pass<'_>, service: &Service, sight: &Sight, need: &Need) -> Option<Behind> {
    // A container that does not run is left to the rules for such: a person may have stopped it.
    if matches!(sight.place, Place::Exited(_)) {
        return None;
    }
    let last = sight.state.as_ref()?.followed.get(need.on.as_str());
    let unfinished = last.is_some_and(|last| !last.done && last.tries < TRIES);
    let (own, others) = (sight.place.container(), pass.links.home(&need.on));
    let start = others.filter(|at| own != Some(*at)).and_then(|at| started(pass, at));
    // On the machine nobody knows since when a service runs: there only what this pass did is seen.
    let is_later = |start: Timestamp| match own {
        Some(own) => started(pass, own).is_some_and(|own| start > own),
        None => sight.place == Place::Machine && others.is_some_and(|at| pass.gates.acted_on(at)),
    };
    // A restart by command leaves the start of its own container as it is, so that only memory ends it: without one,
    // starts before this pass are an old story.
    let has_begun =
        last.is_some() || renews(service, need) || others.is_some_and(|at| pass.gates.acted_on(at));
    let is_new = |start| unfinished || last.and_then(|last| last.container_start) != Some(start);
    if has_begun && start.is_some_and(|start| is_new(start) && is_later(start)) {
        return Some(Behind::Start);
    }
    let restarted = restarted(pass, &need.on).filter(|_| need.restarts)?;
    // Of containers the engine's times tell more.
    if restarted.container && own.is_some() {
        return None;
    }
    let is_new = match last {
        Some(last) => unfinished || last.restart != Some(restarted.at),
        None => restarted.at >= pass.began_at,
    };
    is_new.then_some(Behind::Restart)
}

/// Whether to follow means a new start of its own container.
fn renews(service: &Service, need: &Need) -> bool {
    need.network || service.restart == RestartMethod::Container
}

fn started(pass: &Pass<'_>, at: &ContainerRef) -> Option<Timestamp> {
    pass.links.started(pass.world.engine, &pass.gates, at)
}

/// Our last restart of a dependency, also one of this pass.
fn restarted(pass: &Pass<'_>, service: &ServiceName) -> Option<Restarted> {
    pass.world.store.load(service).ok()?.restarted
}

/// Takes into a state that its service is about to be restarted: after all that it follows. `begun`: for their
/// sake, and that it was is written by [`made`].
pub(super) fn record(pass: &Pass<'_>, service: &Service, state: &mut ServiceState, begun: bool) {
    for need in pass.links.needs(&service.name).iter().filter(|need| need.is_followed()) {
        let before = state.followed.get(need.on.as_str()).copied().unwrap_or_default();
        let start = pass.links.home(&need.on).and_then(|at| started(pass, at));
        let restart = restarted(pass, &need.on).map(|restarted| restarted.at);
        let now = Followed {
            restart: restart.or(before.restart),
            container_start: start.or(before.container_start),
            tries: 0,
            done: !begun,
        };
        let same = (before.restart, before.container_start) == (now.restart, now.container_start);
        let again = same && !before.done;
        let tries = if again { before.tries } else { 0 } + u32::from(begun);
        state.followed.insert(need.on.to_string(), Followed { tries, ..now });
    }
}

/// Takes into the state of a service that is new among the followers which restarts are an old story for it.
pub(super) fn begin(pass: &Pass<'_>, service: &Service, state: &mut ServiceState) {
    for need in pass.links.needs(&service.name).iter().filter(|need| need.restarts) {
        state.followed.entry(need.on.to_string()).or_insert_with(|| {
            let before = restarted(pass, &need.on).filter(|restarted| restarted.at < pass.began_at);
            let start = pass.links.home(&need.on).and_then(|at| started(pass, at));
            Followed {
                restart: before.map(|restarted| restarted.at),
                container_start: start.filter(|_| !renews(service, need)),
                done: true,
                ..Followed::default()
            }
        });
    }
}

/// Takes into a state that its service was restarted after what it follows.
pub(super) fn made(state: &mut ServiceState) {
    for followed in state.followed.values_mut() {
        followed.done = true;
    }
}

/// Handles a service that is well, or that was not due: it is restarted only where it is to follow a dependency.
pub(super) fn well(
    pass: &Pass<'_>,
    service: &Service,
    sight: &Sight,
    upstream: Upstream,
) -> (Outcome, Sight) {
    let decision = facts::decision(pass, service, sight, upstream);
    match decision {
        Decision::Follow { .. } if pass.scope.dry_run => (Outcome::Would(decision), sight.clone()),
        Decision::Follow { .. } => under_lock(pass, service, sight),
        Decision::Healthy => (act::settle(sight), sight.clone()),
        other => {
            let why = outcome::why_not(&other, sight);
            let text = format!("{} is not restarted after its dependency yet: {why}", service.name);
            pass.note(Some(&service.name), Level::Info, &text);
            (act::settle(sight), sight.clone())
        }
    }
}

/// Takes the service's lock and reads again what may have changed.
fn under_lock(pass: &Pass<'_>, service: &Service, sight: &Sight) -> (Outcome, Sight) {
    let as_it_is = || (act::settle(sight), sight.clone());
    let loaded = match pass.world.store.try_lock(&service.name, pass.now()) {
        Ok(Lock::Held(guard)) => guard.recall(&pass.moment()).map(|state| (guard, state)),
        Ok(Lock::Busy(holder)) => {
            let text = format!("{} is left to follow: {}", service.name, outcome::busy(&holder));
            pass.note(Some(&service.name), Level::Info, &text);
            return as_it_is();
        }
        Err(error) => Err(error),
    };
    let (guard, state) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            pass.io_trouble(Some(&service.name), &error);
            return as_it_is();
        }
    };
    pass.links.refresh(pass.world.engine, &pass.gates, &service.name);
    let marker = marker::on_machine(pass, &service.name);
    let sight = Sight { state: Some(state), marker, ..sight.clone() };
    match facts::decision_without_hope(pass, service, &sight, &Progress::default()) {
        decision @ Decision::Follow { .. } => {
            match perform::attempt(pass, service, guard, sight, decision) {
                // That was said, and nothing was done to it.
                (Outcome::NotRecorded, sight) => (act::settle(&sight), sight),
                done => done,
            }
        }
        _ => (act::settle(&sight), sight),
    }
}

/// What a second look at a service that was well says, where it is not to follow any more.
pub(super) fn no_more(pass: &Pass<'_>, service: &Service, sight: &Sight) -> Outcome {
    let outcome = act::settle(sight);
    if !look::is_down(sight) {
        return outcome;
    }
    let text = format!(
        "{} is down since it was looked at first, the next pass takes care of it: {}",
        service.name,
        sight.reason()
    );
    pass.note(Some(&service.name), Level::Warning, &text);
    Outcome::TakenDown
}
