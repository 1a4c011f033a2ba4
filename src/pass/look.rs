//! Looking: all services at first, in one go a target; later one at a time.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::sight::{self, Place, Sight};
use super::{Pass, ended, follow, lines, marker};
use crate::check::{Failure, Health, Look, Unknown};
use crate::clock::Timestamp;
use crate::clock::text::later;
use crate::config::model::{
    ContainerStart, CustomCommand, HealthCheck, MissingProgram, Probe, Service, ServiceName, Vantage,
};
use crate::decide::Marker;
use crate::engine::{ContainerDetails, ContainerEnd, ContainerRef, Request, Target};
use crate::event::Level;
use crate::state::{ServiceState, Status};
use crate::store::Lock;

/// The sights of a pass, one a service.
pub(super) type Sights = HashMap<ServiceName, Sight>;

/// Looks at every service that is due, then at the dependencies of those that are not well.
pub(super) fn look_at_all(pass: &Pass<'_>) -> Sights {
    let services = &pass.scope.services;
    let mut sights: Sights =
        services.iter().map(|service| (service.name.clone(), before_looking(pass, service))).collect();
    let due: Vec<&Service> =
        services.iter().copied().filter(|service| is_due(pass, service, &sights[&service.name])).collect();
    look_at(pass, &due, &mut sights);
    let upstream = unseen_dependencies(pass, &sights);
    look_at(pass, &upstream, &mut sights);
    for service in services {
        lines::settled(pass, service, &sights[&service.name]);
    }
    sights
}

fn before_looking(pass: &Pass<'_>, service: &Service) -> Sight {
    let state = remembered(pass, service);
    Sight {
        at: pass.now(),
        order: pass.gates.next(),
        health: None,
        duration: Duration::ZERO,
        marker: marker::on_machine(pass, &service.name),
        place: sight::place(pass, service),
        details: None,
        being_stopped: false,
        state,
    }
}

/// What is remembered; a damaged file is set aside, and its service left alone in this pass.
pub(super) fn remembered(pass: &Pass<'_>, service: &Service) -> Option<ServiceState> {
    let store = pass.world.store;
    let error = match store.recall(&service.name, &pass.moment()) {
        Ok(recalled) => return Some(recalled.state),
        Err(error) => error,
    };
    pass.io_trouble(Some(&service.name), &error);
    if error.is_damaged()
        && !pass.scope.dry_run
        && let Ok(Lock::Held(guard)) = store.try_lock(&service.name, pass.now())
        && guard.load().is_err_and(|error| error.is_damaged())
    {
        match guard.quarantine(pass.now()) {
            Ok(aside) => {
                let text = format!("{} was set aside as {}", service.name, aside.display());
                pass.note(Some(&service.name), Level::Error, &format!("the damaged state of {text}"));
            }
            Err(error) => pass.io_trouble(Some(&service.name), &error),
        }
    }
    None
}

/// Stopped services are not looked at; named and unhealthy ones always are; others when they are due.
fn is_due(pass: &Pass<'_>, service: &Service, sight: &Sight) -> bool {
    if matches!(sight.marker, Marker::Present(_)) {
        return false;
    }
    let Some(due) = due_at(pass, service, sight) else { return true };
    if pass.scope.named.contains(&service.name) || follow::is_pending(pass, service, sight) {
        return true;
    }
    log::debug!("{} is not due: its interval is over at {due}", service.name);
    false
}

/// When a pass looks at it again, where its interval is not over; what is not well is always due.
pub(super) fn due_at(pass: &Pass<'_>, service: &Service, sight: &Sight) -> Option<Timestamp> {
    let interval = service.check.interval?;
    let well = sight.state.as_ref().is_some_and(|state| state.status == Status::Healthy);
    let last = pass.last_pass.look(service.name.as_str()).filter(|_| well)?;
    Some(is_over_at(interval, last)).filter(|due| sight.at < *due)
}

/// When the interval since a look is over, less a tenth for the jitter of the schedule.
pub(super) fn is_over_at(interval: Duration, last: Timestamp) -> Timestamp {
    later(last, interval.mul_f64(0.9))
}

/// The dependencies, near and far, that were not due, of services that may be restarted.
fn unseen_dependencies<'a>(pass: &Pass<'a>, sights: &Sights) -> Vec<&'a Service> {
    let moving = follow::moving(pass, sights);
    let mut wanted: Vec<&ServiceName> = Vec::new();
    // Backwards through the plan: a service's dependencies stand before it.
    for service in pass.links.order.iter().rev() {
        if moving.contains(&service.name) || wanted.contains(&&service.name) {
            wanted.extend(pass.links.needs(&service.name).iter().map(|need| &need.on));
        }
    }
    let unseen = |service: &&Service| {
        let sight = &sights[&service.name];
        sight.health.is_none()
            && !matches!(sight.marker, Marker::Present(_))
            && wanted.contains(&&service.name)
    };
    pass.scope.services.iter().copied().filter(unseen).collect()
}

/// Looks at these services, one call a target, targets side by side.
fn look_at(pass: &Pass<'_>, services: &[&Service], sights: &mut Sights) {
    let mut targets: BTreeMap<Option<ContainerRef>, Vec<&Service>> = BTreeMap::new();
    for service in services {
        let place = &sights[&service.name].place;
        log::debug!("looking at {} ({place:?})", service.name);
        match target(service, place) {
            Some(target) => targets.entry(target).or_default().push(service),
            None => set(sights, service, &Look::unknown(Unknown::Interrupted)),
        }
    }
    let groups: Vec<_> = targets.into_iter().collect();
    let looks = side_by_side(pass, &groups, |(at, group)| observe(pass, at.as_ref(), group));
    for ((_, group), looks) in groups.iter().zip(&looks) {
        for (service, look) in group.iter().zip(looks) {
            set(sights, service, look);
        }
    }
    let asked: Vec<ContainerRef> = containers_to_ask(services, sights);
    let details = side_by_side(pass, &asked, |at| pass.gates.command(|| ended::inspect(pass, at)));
    let details: HashMap<_, _> = asked.into_iter().zip(details).collect();
    for service in services {
        let sight = sights.get_mut(&service.name).expect("every service of the plan has a sight");
        let details = sight.place.container().and_then(|at| details.get(at)).cloned();
        complete(service, sight, details);
        without_network(pass, service, sight);
    }
}

/// Whether a look found it down.
pub(super) fn is_down(sight: &Sight) -> bool {
    matches!(sight.health, Some(Health::Unhealthy(_)))
}

/// In a container whose network is gone a look says nothing, and no restart helps. One that a person stopped is
/// none of our business.
fn without_network(pass: &Pass<'_>, service: &Service, sight: &mut Sight) {
    let by_someone = || sight.details.as_ref().is_some_and(|it| it.end == ContainerEnd::StoppedBySomeone);
    let stopped = || by_someone() && service.container_start != ContainerStart::Always;
    let gone = match &sight.place {
        Place::Running(at) if pass.links.is_orphan(at) => at,
        Place::Exited(at) if pass.links.is_orphan(at) && !stopped() => at,
        _ => return,
    };
    sight.health = Some(Health::Unknown(Unknown::NetworkGone(gone.name.clone())));
}

/// Where a service's check runs: `Some(None)` on the machine; `None`: nowhere.
fn target(service: &Service, place: &Place) -> Option<Option<ContainerRef>> {
    match (place, service.check.from) {
        (Place::Machine, _) | (_, Vantage::Machine) => Some(None),
        (Place::Running(at), Vantage::Container) => Some(Some(at.clone())),
        (Place::Exited(_) | Place::Nowhere(_), Vantage::Container) => None,
    }
}

fn set(sights: &mut Sights, service: &Service, look: &Look) {
    let sight = sights.get_mut(&service.name).expect("every service of the plan has a sight");
    take(sight, look);
}

fn take(sight: &mut Sight, look: &Look) {
    sight.health = Some(look.health.clone());
    sight.duration = look.duration;
    if let Some(content) = &look.marker
        && sight.marker == Marker::Absent
    {
        let container = sight.place.container().map_or("", |at| &at.name);
        sight.marker = marker::in_container(content, container, sight.at);
    }
}

fn observe(pass: &Pass<'_>, at: Option<&ContainerRef>, services: &[&Service]) -> Vec<Look> {
    pass.gates.command_in(at, || observe_now(pass, at, services))
}

fn observe_now(pass: &Pass<'_>, at: Option<&ContainerRef>, services: &[&Service]) -> Vec<Look> {
    let checks: Vec<Cow<'_, HealthCheck>> =
        services.iter().map(|service| sight::asked(pass, service)).collect();
    let requests: Vec<Request<'_>> = services
        .iter()
        .zip(&checks)
        .map(|(service, check)| Request {
            service: &service.name,
            check,
            env: &service.env,
            user: service.user.as_deref(),
        })
        .collect();
    let target = at.map_or(Target::Machine, |at| Target::Container(at.clone()));
    let looks = pass.world.engine.observe(&target, &requests);
    debug_assert_eq!(looks.len(), services.len());
    let judged = |(look, service): (Look, &&Service)| Look {
        health: service.policy.severity.judged(look.health),
        ..look
    };
    looks.into_iter().zip(services).map(judged).collect()
}

/// Containers about which a decision will want to know more: those that do not run, and those of
/// unhealthy services.
fn containers_to_ask(services: &[&Service], sights: &Sights) -> Vec<ContainerRef> {
    let mut asked: Vec<ContainerRef> = services
        .iter()
        .map(|service| &sights[&service.name])
        .filter(|sight| match sight.place {
            Place::Exited(_) => !matches!(sight.health, Some(Health::Healthy)),
            _ => matches!(sight.health, Some(Health::Unhealthy(_))),
        })
        .filter_map(|sight| sight.place.container().cloned())
        .collect();
    asked.sort();
    asked.dedup();
    asked
}

/// Brings together what the check and what the engine said.
fn complete(service: &Service, sight: &mut Sight, details: Option<Result<ContainerDetails, Unknown>>) {
    let on_machine = service.check.from == Vantage::Machine;
    if on_machine && matches!(sight.health, Some(Health::Healthy)) {
        return;
    }
    let health = match (&sight.place, details) {
        (Place::Nowhere(why), _) => Some(Health::Unknown(why.clone())),
        (_, Some(Err(why))) => Some(Health::Unknown(why)),
        (place, Some(Ok(details))) => {
            let health = agree(place, &details, sight.health.take());
            sight.details = Some(details);
            health
        }
        (_, None) => return,
    };
    sight.health = health;
}

/// The engine was asked after the check: where it contradicts the listing, nothing is known.
fn agree(place: &Place, details: &ContainerDetails, checked: Option<Health>) -> Option<Health> {
    match (place, details.state.as_str()) {
        (Place::Exited(at), "exited") => Some(sight::not_running(at, details)),
        (Place::Running(_), "running") => checked,
        (Place::Exited(at) | Place::Running(at), state) => Some(Health::Unknown(Unknown::ContainerState {
            container: at.name.clone(),
            state: format!("{state} (it changed while it was looked at)"),
        })),
        (Place::Machine | Place::Nowhere(_), _) => checked,
    }
}

/// Looks at one service afresh, its container and marker too, as one of the pass's commands.
pub(super) fn look_again(pass: &Pass<'_>, service: &Service, before: &Sight) -> Sight {
    let at = before.place.container().cloned();
    pass.gates.command_in(at.as_ref(), || look_now(pass, service, before))
}

/// The same for a caller that holds a place among the commands already.
pub(super) fn look_now(pass: &Pass<'_>, service: &Service, before: &Sight) -> Sight {
    let mut sight = Sight {
        at: pass.now(),
        order: pass.gates.next(),
        health: None,
        marker: marker::on_machine(pass, &service.name),
        details: None,
        being_stopped: false,
        ..before.clone()
    };
    ask_service(pass, service, &mut sight);
    if sight.health == Some(Health::Healthy) {
        without_network(pass, service, &mut sight);
        return sight;
    }
    if let Some(at) = before.place.container() {
        let details = ended::inspect(pass, at);
        sight.place = match &details {
            Ok(details) => sight::place_in(at, &details.state),
            Err(why) => Place::Nowhere(why.clone()),
        };
        sight.details = details.ok();
        if matches!(before.place, Place::Exited(_)) && service.check.from == Vantage::Container {
            ask_service(pass, service, &mut sight);
        }
    }
    let details = sight.details.clone().map(Ok);
    complete(service, &mut sight, details);
    without_network(pass, service, &mut sight);
    sight
}

/// Makes the service's own check, where it can be made.
fn ask_service(pass: &Pass<'_>, service: &Service, sight: &mut Sight) {
    let Some(at) = target(service, &sight.place) else { return };
    if let Some(look) = observe_now(pass, at.as_ref(), &[service]).pop() {
        take(sight, &look);
    }
}

/// The markers as they are now, right before something is done: one may have been made while a look took its time.
pub(super) fn marker_now(pass: &Pass<'_>, service: &Service, sight: &mut Sight) {
    if sight.marker == Marker::Absent && may_be_acted_on(pass, service, sight) {
        sight.marker = marker::on_machine(pass, &service.name);
        ask_for_marker(pass, service, sight);
    }
}

/// The marker in the container of a service that is looked at from the machine: its look does not see it.
pub(super) fn marker_inside(pass: &Pass<'_>, service: &Service, sight: &mut Sight) {
    if service.check.from == Vantage::Machine && may_be_acted_on(pass, service, sight) {
        ask_for_marker(pass, service, sight);
    }
}

fn may_be_acted_on(pass: &Pass<'_>, service: &Service, sight: &Sight) -> bool {
    match sight.health {
        Some(Health::Unhealthy(_)) => true,
        Some(Health::Healthy) => pass.links.is_follower(&service.name),
        Some(Health::Unknown(_)) | None => false,
    }
}

/// Looks for a marker in the container, and for nothing else.
///
/// A container that has no shell has no person's marker either; where anything else keeps us from looking,
/// nobody knows whether there is one.
fn ask_for_marker(pass: &Pass<'_>, service: &Service, sight: &mut Sight) {
    let (Marker::Absent, Place::Running(at)) = (&sight.marker, sight.place.clone()) else { return };
    let nothing = Probe::Custom {
        command: CustomCommand::Shell(":".to_owned()),
        expect_json: Vec::new(),
        missing_program: MissingProgram::Unknown,
    };
    let timeout = service.check.timeout;
    let check = HealthCheck { probe: nothing, timeout, from: Vantage::Container, interval: None };
    let request = Request { service: &service.name, check: &check, env: &[], user: None };
    let target = Target::Container(at.clone());
    let mut looks = pass.gates.command_in(Some(&at), || pass.world.engine.observe(&target, &[request]));
    let Some(look) = looks.pop() else { return };
    match (look.marker, look.health) {
        (Some(content), _) => sight.marker = marker::in_container(&content, &at.name, sight.at),
        (None, Health::Unknown(Unknown::NoShell(_)) | Health::Healthy) => {}
        (None, Health::Unknown(why)) => sight.health = Some(Health::Unknown(why)),
        (None, Health::Unhealthy(why)) => {
            let text = format!("its container cannot be asked for a marker: {why}");
            sight.health = Some(Health::Unknown(Unknown::Other(text)));
        }
    }
}

/// Whether somebody is just stopping the container of a service about which something would be done.
pub(super) fn stop_under_way(pass: &Pass<'_>, service: &Service, sight: &mut Sight) {
    let Place::Running(at) = &sight.place else { return };
    if sight.marker != Marker::Absent || !may_be_acted_on(pass, service, sight) {
        return;
    }
    match ended::is_being_stopped(pass, at) {
        Ok(being_stopped) => sight.being_stopped = being_stopped,
        Err(why) => sight.health = Some(Health::Unknown(why)),
    }
}

/// Waits `delay`, then looks every second until the service is healthy or `limit` has passed; at least once.
pub(super) fn look_until_healthy(
    pass: &Pass<'_>,
    service: &Service,
    before: &Sight,
    delay: Duration,
    limit: Duration,
) -> Sight {
    look_until_steady(pass, service, before, delay, limit, 1)
}

/// The same until so many looks in a row were healthy: fewer within `limit` are a failure.
pub(super) fn look_until_steady(
    pass: &Pass<'_>,
    service: &Service,
    before: &Sight,
    delay: Duration,
    limit: Duration,
    wanted: u32,
) -> Sight {
    let began = pass.world.clock.monotonic();
    pass.world.clock.sleep(delay);
    let mut healthy = 0;
    loop {
        let mut sight = look_again(pass, service, before);
        log::debug!("looked at {} again: {}", service.name, sight.said());
        let well = sight.health == Some(Health::Healthy);
        healthy = if well { healthy + 1 } else { 0 };
        let spent = pass.world.clock.monotonic().saturating_sub(began);
        if healthy >= wanted || spent >= limit || pass.interrupted() {
            if well && healthy < wanted {
                sight.health = Some(Health::Unhealthy(Failure::Unsteady { healthy, wanted }));
            }
            return sight;
        }
        pass.world.clock.sleep(Duration::from_secs(1));
    }
}

/// Runs `work` on every item, side by side where the pass may; results in order.
pub(super) fn side_by_side<I: Sync, T: Send>(
    pass: &Pass<'_>,
    items: &[I],
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    if pass.in_turn() || items.len() < 2 {
        return items.iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        // Where no further thread can be had, this one does the work; in the order of the plan, so that
        // whatever it waits for is under way or done.
        let begun: Vec<_> = items
            .iter()
            .map(|item| {
                std::thread::Builder::new().spawn_scoped(scope, move || work(item)).map_err(|_| work(item))
            })
            .collect();
        let done = |thread: std::thread::ScopedJoinHandle<'_, T>| {
            thread.join().expect("the work on a service does not panic")
        };
        begun.into_iter().map(|begun| begun.map_or_else(|done| done, done)).collect()
    })
}
