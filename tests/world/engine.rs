//! Services and containers by script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use recovery::check::{Failure, Health, Look, Unknown};
use recovery::clock::Timestamp;
use recovery::config::model::{CustomCommand, Probe, ServiceName, Strategy};
use recovery::engine::ended::{Events, Signs, judge};
use recovery::engine::{
    self, Container, ContainerDetails, ContainerEnd, ContainerRef, Earlier, Engine, Keeper, Overrun, Request,
    RestartCommand, RunResult, Sign, Target,
};
use recovery::state::{AttemptResult, ServiceState};

use super::clock::{BEGINNING, FakeClock};
use super::effects::Effects;

/// An unhealthy look.
pub fn down() -> Health {
    Health::Unhealthy(Failure::Refused { to: "localhost:1".to_owned() })
}

/// A look for which there is no tool.
pub fn no_tool() -> Health {
    Health::Unknown(Unknown::NoTool("nc is missing".to_owned()))
}

/// What an engine that is not there says.
pub fn no_engine() -> Unknown {
    Unknown::EngineUnreachable("Cannot connect to the Docker daemon".to_owned())
}

/// What a `restart_cmd` does.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    /// It ends with that code.
    Exits(i32),
    /// It does not end.
    Hangs,
    /// It cannot be run, or nobody knows.
    Fails(Unknown),
    /// A signal comes meanwhile.
    Interrupted,
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Where it lives.
    pub home: Option<String>,
    /// What the next looks say.
    pub next: VecDeque<Health>,
    /// What looks say afterwards.
    pub health: Health,
    /// What the looks after its `restart_cmd` say; the last one stays. Empty: nothing changes.
    pub after_run: Vec<Health>,
    /// The same after a start or restart of its container.
    pub after_start: Vec<Health>,
    /// The same after its `fallback_cmd`.
    pub after_fallback: Vec<Health>,
    /// How its `restart_cmd` ends.
    pub run: Run,
    /// How its `fallback_cmd` ends.
    pub fallback: Run,
    /// How its `cleanup_cmd` ends.
    pub cleanup: Run,
    /// The marker in its container.
    pub marker: Option<Vec<u8>>,
    /// What looks said so far.
    pub seen: Vec<Health>,
}

impl Service {
    /// Well, and healed by a restart.
    pub fn new(home: Option<String>) -> Self {
        Self {
            home,
            next: VecDeque::new(),
            health: Health::Healthy,
            after_run: vec![Health::Healthy],
            after_start: vec![Health::Healthy],
            after_fallback: Vec::new(),
            run: Run::Exits(0),
            fallback: Run::Exits(0),
            cleanup: Run::Exits(0),
            marker: None,
            seen: Vec::new(),
        }
    }

    fn turn(&mut self, looks: &[Health]) {
        if let Some((last, before)) = looks.split_last() {
            self.next = before.iter().cloned().collect();
            self.health = last.clone();
        }
    }

    fn look(&mut self) -> Health {
        let health = self.next.pop_front().unwrap_or_else(|| self.health.clone());
        self.seen.push(health.clone());
        health
    }
}

/// One container that has been running for a day.
pub fn running() -> ContainerDetails {
    ContainerDetails {
        state: "running".to_owned(),
        started_at: Some(BEGINNING - time::Duration::DAY),
        exit_code: 0,
        finished_at: None,
        end: ContainerEnd::Died,
        sign: Sign::Events,
        start_error: None,
        engine_restarts_it: false,
        stop_timeout: Duration::from_secs(10),
    }
}

/// One container that ended like that.
pub fn died(end: ContainerEnd, exit_code: i32) -> ContainerDetails {
    let finished_at = Some(BEGINNING - time::Duration::MINUTE);
    ContainerDetails { state: "exited".to_owned(), finished_at, exit_code, end, ..running() }
}

/// One change that was ordered, and what had been seen by then.
#[derive(Debug, Clone)]
pub struct Act {
    pub call: String,
    /// The wall clock.
    pub at: Timestamp,
    pub uptime: Duration,
    /// What looks at each service had said in this pass.
    pub seen: BTreeMap<String, Vec<Health>>,
    /// The containers just before.
    pub containers: BTreeMap<String, ContainerDetails>,
    /// Services of which an attempt that is under way was on disk.
    pub recorded: Vec<String>,
    /// Services of which the step to their fallback was.
    pub falling_back: Vec<String>,
    /// Whether the engine was there.
    pub engine: bool,
}

/// All that there is.
#[derive(Default)]
pub struct Machine {
    pub acts: Vec<Act>,
    pub services: BTreeMap<String, Service>,
    pub containers: BTreeMap<String, ContainerDetails>,
    /// The id of the container whose network another one lives on.
    pub networks: BTreeMap<String, String>,
    /// Who else keeps a container, by its name.
    pub keepers: BTreeMap<String, Keeper>,
    /// The engine does not answer, or refuses.
    pub trouble: Option<Unknown>,
    /// A start or restart of a container ends so.
    pub start_fails: Option<Unknown>,
    /// The engine's events are gone, so that it can only judge by exit codes.
    pub forgets: bool,
    /// Containers that somebody is just stopping.
    pub being_stopped: BTreeSet<String>,
    pub calls: Vec<String>,
}

impl Machine {
    pub fn service(&mut self, name: &str) -> &mut Service {
        self.services.get_mut(name).expect("a service of the test")
    }

    /// The service is down; a restart heals it unless the test says otherwise.
    pub fn kill(&mut self, name: &str) -> &mut Service {
        let service = self.service(name);
        service.health = down();
        service
    }

    /// The service is down, and no restart helps.
    pub fn ruin(&mut self, name: &str) {
        let service = self.kill(name);
        service.after_run.clear();
        service.after_start.clear();
    }

    pub fn heal(&mut self, name: &str) {
        let service = self.service(name);
        service.next.clear();
        service.health = Health::Healthy;
        service.after_run = vec![Health::Healthy];
        service.after_start = vec![Health::Healthy];
    }

    /// A container is started, by whomever.
    pub fn came_up(&mut self, container: &str, now: Timestamp) {
        if let Some(details) = self.containers.get_mut(container) {
            details.state = "running".to_owned();
            details.started_at = Some(now);
        }
        for service in self.services.values_mut().filter(|s| s.home.as_deref() == Some(container)) {
            service.turn(&service.after_start.clone());
        }
    }
}

type Hook = Box<dyn FnMut(&mut Machine) + Send>;

pub struct FakeEngine {
    clock: Arc<FakeClock>,
    effects: Arc<Effects>,
    machine: Mutex<Machine>,
    hooks: Mutex<Vec<(String, Hook)>>,
    /// Where attempts are looked for before something is changed.
    state: PathBuf,
}

impl FakeEngine {
    pub fn new(clock: Arc<FakeClock>, effects: Arc<Effects>, state: PathBuf) -> Self {
        Self { clock, effects, machine: Mutex::default(), hooks: Mutex::default(), state }
    }

    fn act(&self, call: String) -> MutexGuard<'_, Machine> {
        let mut machine = self.call(call.clone());
        let seen: BTreeMap<_, _> =
            machine.services.iter().map(|(name, service)| (name.clone(), service.seen.clone())).collect();
        let act = Act {
            call,
            at: self.clock.peek(),
            uptime: self.clock.uptime_now(),
            recorded: seen.keys().filter(|name| self.under_way(name)).cloned().collect(),
            falling_back: seen.keys().filter(|name| self.is_falling_back(name)).cloned().collect(),
            seen,
            containers: machine.containers.clone(),
            engine: machine.trouble.is_none(),
        };
        machine.acts.push(act);
        machine
    }

    fn under_way(&self, service: &str) -> bool {
        let last =
            self.on_disk(service).and_then(|state| state.attempts.last().map(|attempt| attempt.result));
        last == Some(AttemptResult::Unknown)
    }

    fn is_falling_back(&self, service: &str) -> bool {
        let chain = self.on_disk(service).and_then(|state| state.chain);
        chain.is_some_and(|chain| chain.steps.last() == Some(&Strategy::Fallback))
    }

    fn on_disk(&self, service: &str) -> Option<ServiceState> {
        // A disk that went after the attempt was recorded has it still.
        let away = self.state.with_extension("away");
        let folder = if self.state.is_dir() { &self.state } else { &away };
        let content = std::fs::read(folder.join(format!("{service}.json"))).unwrap_or_default();
        serde_json::from_slice(&content).ok()
    }

    pub fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap()
    }

    /// Does something whenever that call arrives, before it has its effect.
    pub fn on(&self, call: &str, hook: impl FnMut(&mut Machine) + Send + 'static) {
        self.hooks.lock().unwrap().push((call.to_owned(), Box::new(hook)));
    }

    fn call(&self, call: String) -> MutexGuard<'_, Machine> {
        self.effects.tick();
        let mut machine = self.hooked(&call);
        machine.calls.push(call);
        machine
    }

    fn hooked(&self, call: &str) -> MutexGuard<'_, Machine> {
        let mut machine = self.machine();
        for (_, hook) in self.hooks.lock().unwrap().iter_mut().filter(|(on, _)| *on == call) {
            hook(&mut machine);
        }
        machine
    }

    fn come_up(&self, call: String, container: &ContainerRef) -> Result<(), Unknown> {
        let mut machine = self.act(call);
        if let Some(trouble) = machine.trouble.clone().or_else(|| machine.start_fails.clone()) {
            return Err(trouble);
        }
        machine.came_up(&container.name, self.clock.peek());
        drop(machine);
        self.effects.tick();
        Ok(())
    }
}

fn without_events(exit_code: i32) -> Signs {
    Signs {
        failed_start: false,
        ran: true,
        our_restart: false,
        exit_code,
        oom_killed: false,
        events: Events::Silent,
        manually_stopped: None,
        with_engine: false,
    }
}

fn at(name: &str) -> ContainerRef {
    ContainerRef { id: format!("id-of-{name}"), name: name.to_owned() }
}

fn name_of(target: &Target) -> &str {
    match target {
        Target::Machine => "machine",
        Target::Container(container) => &container.name,
    }
}

impl Engine for FakeEngine {
    fn list(&self) -> Result<Vec<Container>, Unknown> {
        let machine = self.call("list".to_owned());
        match &machine.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(machine
                .containers
                .iter()
                .map(|(name, details)| Container {
                    at: at(name),
                    state: details.state.clone(),
                    networkless: machine.networks.contains_key(name),
                    kept_by: machine.keepers.get(name).cloned(),
                    published: Vec::new(),
                })
                .collect()),
        }
    }

    fn inspect(&self, container: &ContainerRef, earlier: &Earlier) -> Result<ContainerDetails, Unknown> {
        let machine = self.call(format!("inspect {}", container.name));
        if let Some(trouble) = &machine.trouble {
            return Err(trouble.clone());
        }
        let found = machine.containers.get(&container.name).cloned();
        let mut details = found.ok_or_else(|| Unknown::NoSuchContainer(container.name.clone()))?;
        if machine.forgets && details.state == "exited" {
            let known = earlier.judged.filter(|known| known.finished_at == details.finished_at);
            (details.end, details.sign) = known
                .map_or_else(|| judge(&without_events(details.exit_code)), |known| (known.end, known.sign));
        }
        Ok(details)
    }

    fn is_being_stopped(&self, container: &ContainerRef, _: &Earlier) -> Result<bool, Unknown> {
        let machine = self.hooked(&format!("stops {}", container.name));
        match &machine.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(machine.being_stopped.contains(&container.name)),
        }
    }

    fn runs(&self, containers: &[ContainerRef]) -> Result<BTreeMap<ContainerRef, engine::Run>, Unknown> {
        let names: Vec<&str> = containers.iter().map(|at| at.name.as_str()).collect();
        let machine = self.call(format!("runs {}", names.join(" ")));
        if let Some(trouble) = &machine.trouble {
            return Err(trouble.clone());
        }
        let run = |at: &ContainerRef| {
            let started_at = machine.containers.get(&at.name)?.started_at;
            let network = machine.networks.get(&at.name).cloned();
            let on_host = network.as_deref() == Some("host");
            let network_of = network.filter(|_| !on_host);
            Some((at.clone(), engine::Run { started_at, network_of, on_host }))
        };
        Ok(containers.iter().filter_map(run).collect())
    }

    fn observe(&self, target: &Target, requests: &[Request<'_>]) -> Vec<Look> {
        let names: Vec<&str> = requests.iter().map(|request| request.service.as_str()).collect();
        let mut machine = self.call(format!("look {}: {}", name_of(target), names.join(" ")));
        let trouble = match target {
            Target::Machine => None,
            Target::Container(container) => machine.trouble.clone().or_else(|| {
                let up = machine.containers.get(&container.name).is_some_and(|c| c.state == "running");
                (!up).then(|| Unknown::CutOff(format!("container {} is not running", container.name)))
            }),
        };
        requests
            .iter()
            .map(|request| {
                let service = machine.service(request.service.as_str());
                let health = match &trouble {
                    Some(trouble) => Health::Unknown(trouble.clone()),
                    // Only the marker is wanted.
                    None if matches!(&request.check.probe, Probe::Custom { command, .. } if *command == CustomCommand::Shell(":".into())) => {
                        Health::Healthy
                    }
                    None => service.look(),
                };
                let inside = matches!(target, Target::Container(_));
                Look { health, duration: Duration::ZERO, marker: service.marker.clone().filter(|_| inside) }
            })
            .collect()
    }

    fn run(
        &self,
        target: &Target,
        command: &RestartCommand<'_>,
        at_timeout: &mut dyn FnMut() -> Overrun,
    ) -> RunResult {
        // The commands of the tests say themselves what they are for.
        let what =
            ["cleanup", "fallback"].into_iter().find(|what| command.text.ends_with(what)).unwrap_or("run");
        let mut machine = self.act(format!("{what} {}", command.service));
        if let (Target::Container(_), Some(trouble)) = (target, machine.trouble.clone()) {
            return RunResult::Failed(trouble);
        }
        let service = machine.service(command.service.as_str());
        let (run, looks) = match what {
            "cleanup" => (service.cleanup.clone(), Vec::new()),
            "fallback" => (service.fallback.clone(), service.after_fallback.clone()),
            _ => (service.run.clone(), service.after_run.clone()),
        };
        if !matches!(run, Run::Fails(_)) {
            service.turn(&looks);
        }
        // The command may act on this engine's double through its hooks only, so the lock can go.
        drop(machine);
        self.effects.tick();
        match run {
            Run::Exits(code) => RunResult::Exited(code),
            Run::Fails(why) => RunResult::Failed(why),
            Run::Interrupted => RunResult::Interrupted,
            Run::Hangs => {
                self.clock.advance(command.timeout);
                match at_timeout() {
                    Overrun::Leave => RunResult::LeftRunning,
                    Overrun::End => RunResult::TimedOut,
                }
            }
        }
    }

    fn start(&self, container: &ContainerRef, _timeout: Duration) -> Result<(), Unknown> {
        self.come_up(format!("start {}", container.name), container)
    }

    fn restart(&self, container: &ContainerRef, _stop: Duration, _timeout: Duration) -> Result<(), Unknown> {
        self.come_up(format!("restart {}", container.name), container)
    }

    fn remove_marker(&self, _container: &ContainerRef, service: &ServiceName) -> Result<bool, Unknown> {
        let mut machine = self.call(format!("remove marker of {service}"));
        Ok(machine.service(service.as_str()).marker.take().is_some())
    }
}
