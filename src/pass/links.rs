//! What services need of each other: the dependencies of the configuration, and those that only the engine knows,
//! since a container may live on another's network. Also when their containers were started.
//!
//! Both are asked for once a pass, in one call, and only of containers that it can matter for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Mutex;

use super::gates::Gates;
use super::sight::container_of;
use crate::check::Unknown;
use crate::clock::Timestamp;
use crate::config::model::{Config, RestartMethod, Service, ServiceName};
use crate::engine::{Container, ContainerRef, Engine, Run};
use crate::plan;

/// One dependency of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// What is needed.
    pub(super) on: ServiceName,
    /// Whatever restarts it is followed, on the operator's word.
    pub(super) restarts: bool,
    /// Its container's network is this service's too: a start of the one leaves the other without.
    pub(super) network: bool,
    /// To follow it would restart, in the end, what it follows itself, and so go on for ever.
    pub(super) endless: bool,
}

impl Need {
    /// Whether a restart of it can have to be followed.
    pub(super) fn is_followed(&self) -> bool {
        (self.restarts || self.network) && !self.endless
    }
}

/// The needs of all services in a pass.
#[derive(Debug, Default)]
pub(super) struct Links<'a> {
    /// The services in the order in which they are taken.
    pub(super) order: Vec<&'a Service>,
    needs: HashMap<ServiceName, Vec<Need>>,
    homes: HashMap<ServiceName, ContainerRef>,
    /// Containers whose network's owner is gone.
    orphans: HashSet<ContainerRef>,
    runs: Mutex<Runs>,
}

/// What is restarted as one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Service(ServiceName),
    Container(ContainerRef),
}

/// The last known run of each container, and when in the order of looks and restarts it was asked for.
type Runs = BTreeMap<ContainerRef, (u64, Option<Run>)>;

impl<'a> Links<'a> {
    /// Of these services, in the order of the plan.
    pub(super) fn find(
        engine: &dyn Engine,
        config: &Config,
        services: &[&'a Service],
        listing: &Result<Vec<Container>, Unknown>,
    ) -> Self {
        let mut links = Self { order: services.to_vec(), ..Self::default() };
        for service in services {
            links.needs.insert(service.name.clone(), configured(service));
        }
        let Ok(listing) = listing else { return links };
        for service in services {
            if let Some(container) = container_of(config, service, listing) {
                links.homes.insert(service.name.clone(), container.at.clone());
            }
        }
        links.ask(engine, &links.worth_asking(listing), 0);
        let mut owners = links.owners(listing);
        if !owners.is_empty() {
            links.ask(engine, &owners.values().cloned().collect(), 0);
            owners.retain(|_, owner| !links.is_on_host(owner));
            links.join(&owners);
        }
        links.break_circles(config, listing);
        links
    }

    /// The dependencies of a service.
    pub(super) fn needs(&self, service: &ServiceName) -> &[Need] {
        self.needs.get(service).map_or(&[], Vec::as_slice)
    }

    /// Whether it is restarted after a dependency.
    pub(super) fn is_follower(&self, service: &ServiceName) -> bool {
        self.needs(service).iter().any(Need::is_followed)
    }

    /// Whether another service is restarted after it.
    pub(super) fn is_followed(&self, service: &ServiceName) -> bool {
        self.needs.values().flatten().any(|need| need.on == *service && need.is_followed())
    }

    /// The container that a service lives in.
    pub(super) fn home(&self, service: &ServiceName) -> Option<&ContainerRef> {
        self.homes.get(service)
    }

    /// Whether a container lives on the network of one that is gone.
    pub(super) fn is_orphan(&self, container: &ContainerRef) -> bool {
        self.orphans.contains(container)
    }

    /// When a container was started, asked again where that was in this pass.
    pub(super) fn started(
        &self,
        engine: &dyn Engine,
        gates: &Gates,
        container: &ContainerRef,
    ) -> Option<Timestamp> {
        let known = self.runs.lock().expect("the map is never held across a panic").get(container).cloned();
        let (order, run) = known?;
        let run = if gates.acted_at(container).is_some_and(|at| at > order) {
            self.ask(engine, &BTreeSet::from([container.clone()]), gates.next());
            self.runs.lock().expect("the map is never held across a panic").get(container).cloned()?.1
        } else {
            run
        };
        run?.started_at
    }

    /// Asks anew about all containers of a follower and of what it follows.
    pub(super) fn refresh(&self, engine: &dyn Engine, gates: &Gates, service: &ServiceName) {
        let followed = self.needs(service).iter().filter(|need| need.is_followed());
        let names = followed.map(|need| &need.on).chain([service]);
        self.ask(engine, &names.filter_map(|name| self.homes.get(name).cloned()).collect(), gates.next());
    }

    fn ask(&self, engine: &dyn Engine, containers: &BTreeSet<ContainerRef>, order: u64) {
        if containers.is_empty() {
            return;
        }
        let containers: Vec<ContainerRef> = containers.iter().cloned().collect();
        let answer = engine.runs(&containers).unwrap_or_else(|why| {
            // What cannot be seen is not followed; the looks will say what is wrong.
            log::debug!("the engine does not tell when containers were started: {why}");
            BTreeMap::new()
        });
        let mut runs = self.runs.lock().expect("the map is never held across a panic");
        for at in containers {
            let run = answer.get(&at).cloned();
            runs.insert(at, (order, run));
        }
    }

    /// Containers of followers, of what they follow, and those that may live on another's network.
    fn worth_asking(&self, listing: &[Container]) -> BTreeSet<ContainerRef> {
        let followers = self.order.iter().filter(|service| self.is_follower(&service.name));
        let concerned: HashSet<&ServiceName> =
            followers.flat_map(|service| service.follows.iter().chain([&service.name])).collect();
        let networkless: HashSet<&ContainerRef> =
            listing.iter().filter(|container| container.networkless).map(|container| &container.at).collect();
        let wanted = |(name, at): &(&ServiceName, &ContainerRef)| {
            concerned.contains(*name) || networkless.contains(*at)
        };
        self.homes.iter().filter(wanted).map(|(_, at)| at.clone()).collect()
    }

    /// Whether a container has the machine's own network, which outlives it.
    fn is_on_host(&mut self, container: &ContainerRef) -> bool {
        let runs = self.runs.get_mut().expect("the map is never held across a panic");
        runs.get(container).and_then(|(_, run)| run.as_ref()).is_some_and(|run| run.on_host)
    }

    /// By container the one whose network it lives on; remembers those of which that is gone.
    fn owners(&mut self, listing: &[Container]) -> BTreeMap<ContainerRef, ContainerRef> {
        let runs = self.runs.get_mut().expect("the map is never held across a panic");
        let mut owners = BTreeMap::new();
        for (at, (_, run)) in runs.iter() {
            let Some(owner) = run.as_ref().and_then(|run| run.network_of.as_ref()) else { continue };
            match listing.iter().find(|other| other.at.id == *owner || other.at.name == *owner) {
                Some(other) => drop(owners.insert(at.clone(), other.at.clone())),
                None => drop(self.orphans.insert(at.clone())),
            }
        }
        owners
    }

    /// Services of one container are restarted together, so what follows from service to service without a circle
    /// may yet be one: from container to container. No step of such a circle is followed.
    ///
    /// All enabled services count, also those that are no part of this pass: another pass may take them.
    fn break_circles(&mut self, config: &Config, listing: &[Container]) {
        let homes: HashMap<&ServiceName, ContainerRef> = config
            .services
            .iter()
            .filter(|service| service.enabled)
            .filter_map(|service| Some((&service.name, container_of(config, service, listing)?.at.clone())))
            .collect();
        let map = Map { homes };
        // Who shares a container did not agree to its restart, unless that is how they are restarted.
        for service in self.order.iter().filter(|service| service.restart != RestartMethod::Container) {
            if map.is_shared(&service.name) {
                let needs = self.needs.get_mut(&service.name).into_iter().flatten();
                needs.for_each(|need| need.network = false);
            }
        }
        let mut leads: Vec<(Part, Part)> = Vec::new();
        for service in config.services.iter().filter(|service| service.enabled) {
            let needs = self.needs.get(&service.name).cloned().unwrap_or_else(|| configured(service));
            for need in needs.iter().filter(|need| need.is_followed()) {
                let to = map.restarted_by(service, need);
                leads.extend(map.parts(&need.on).into_iter().map(|from| (from, to.clone())));
            }
        }
        for service in &self.order {
            for need in self.needs.get_mut(&service.name).into_iter().flatten() {
                need.endless = need.is_followed()
                    && reaches(&leads, &map.restarted_by(service, need), &map.parts(&need.on));
                if need.endless {
                    log::debug!("{} is not restarted after {}: that would never end", service.name, need.on);
                }
            }
        }
    }

    /// Makes what lives on another container's network depend on the services there, except where the
    /// configuration says the opposite.
    fn join(&mut self, owners: &BTreeMap<ContainerRef, ContainerRef>) {
        let home = |service: &Service| self.homes.get(&service.name);
        let mut found = Vec::new();
        for (child, at) in self.order.iter().enumerate() {
            let Some(owner) = home(at).and_then(|home| owners.get(home)) else { continue };
            let others = self.order.iter().enumerate().filter(|(_, other)| home(other) == Some(owner));
            found.extend(others.map(|(on, _)| (child, on)));
        }
        let index = |name: &ServiceName| self.order.iter().position(|service| service.name == *name);
        let mut edges: Vec<Vec<usize>> = self
            .order
            .iter()
            .map(|service| self.needs(&service.name).iter().filter_map(|need| index(&need.on)).collect())
            .collect();
        for (child, on) in found {
            let name = self.order[on].name.clone();
            if edges[child].contains(&on) {
                let needs = self.needs.get_mut(&self.order[child].name).into_iter().flatten();
                for need in needs.filter(|need| need.on == name) {
                    need.network = true;
                }
                continue;
            }
            edges[child].push(on);
            if !plan::cycles(&edges).is_empty() {
                edges[child].pop();
                continue;
            }
            let needs = self.needs.entry(self.order[child].name.clone()).or_default();
            needs.push(Need { on: name, restarts: false, network: true, endless: false });
        }
        self.order = plan::walk(&edges).into_iter().map(|i| self.order[i]).collect();
    }
}

/// Where services live.
struct Map<'c> {
    homes: HashMap<&'c ServiceName, ContainerRef>,
}

impl Map<'_> {
    /// Whether another service lives in the same container.
    fn is_shared(&self, service: &ServiceName) -> bool {
        let Some(home) = self.homes.get(service) else { return false };
        self.homes.iter().any(|(other, at)| *other != service && at == home)
    }

    /// What a service is restarted by after that dependency.
    fn restarted_by(&self, service: &Service, need: &Need) -> Part {
        let whole = need.network || service.restart == RestartMethod::Container;
        match self.homes.get(&service.name).filter(|_| whole) {
            Some(home) => Part::Container(home.clone()),
            None => Part::Service(service.name.clone()),
        }
    }

    /// Whatever restarts a service: its own restart, and that of its container.
    fn parts(&self, service: &ServiceName) -> Vec<Part> {
        let home = self.homes.get(service).cloned().map(Part::Container);
        home.into_iter().chain([Part::Service(service.clone())]).collect()
    }
}

/// Whether a restart of `from` leads to one of `goals`, itself included.
fn reaches(leads: &[(Part, Part)], from: &Part, goals: &[Part]) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while at < reached.len() {
        let here = reached[at];
        for (_, to) in leads.iter().filter(|(before, _)| before == here) {
            if !reached.contains(&to) {
                reached.push(to);
            }
        }
        at += 1;
    }
    goals.iter().any(|goal| reached.contains(&goal))
}

fn configured(service: &Service) -> Vec<Need> {
    let need = |on: &ServiceName| Need {
        on: on.clone(),
        restarts: service.follows.contains(on),
        network: false,
        endless: false,
    };
    service.dependencies.iter().map(need).collect()
}
