//! All doubles together with a configuration and a real folder, and one whole pass over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use recovery::alert::{Alert, Destination};
use recovery::config::model::{Config, ServiceName};
use recovery::config::read::read;
use recovery::event::{Event, EventKind};
use recovery::journal::{self, Format};
use recovery::pass::{self, Outcome, Scope, World};
use recovery::plan;
use recovery::process::Interrupt;
use recovery::state::ServiceState;
use recovery::store::{Markers, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::clock::FakeClock;
use super::effects::Effects;
use super::engine::{FakeEngine, Machine, Service, running};
use super::people::{FakeNotifier, Log};

pub struct Stage {
    pub dir: TempDir,
    pub clock: Arc<FakeClock>,
    pub effects: Arc<Effects>,
    pub engine: FakeEngine,
    pub notifier: FakeNotifier,
    pub log: Log,
    pub interrupt: Interrupt,
    pub config: Config,
    pub store: Store,
}

/// What one pass did.
#[derive(Debug)]
pub struct Done {
    pub exit: u8,
    pub outcomes: BTreeMap<String, Outcome>,
    /// Calls to the engine, in order.
    pub calls: Vec<String>,
    pub events: Vec<Event>,
    /// What was delivered.
    pub alerts: Vec<Alert>,
}

impl Done {
    /// The calls that change something.
    pub fn acts(&self) -> Vec<&str> {
        let acts = |call: &&String| {
            ["run ", "start ", "restart ", "cleanup ", "fallback "].iter().any(|act| call.starts_with(act))
        };
        self.calls.iter().filter(acts).map(String::as_str).collect()
    }

    /// The phrases of the log, without their details; notes and the events of components are left out.
    pub fn phrases(&self) -> Vec<String> {
        let counts = |event: &&Event| !matches!(event.kind, EventKind::Note { .. } | EventKind::Component(_));
        self.events.iter().filter(counts).map(phrase).collect()
    }

    /// The events of components, as `COMPONENT_DOWN web`.
    pub fn changes(&self) -> Vec<String> {
        let changes = self.events.iter().filter(|event| matches!(event.kind, EventKind::Component(_)));
        changes.map(phrase).collect()
    }

    /// Whether a note holds that text.
    pub fn notes(&self, text: &str) -> bool {
        self.events
            .iter()
            .any(|event| matches!(&event.kind, EventKind::Note { text: note, .. } if note.contains(text)))
    }

    /// The titles of what was delivered, with the topic each went to.
    pub fn told(&self) -> Vec<String> {
        self.alerts.iter().map(|alert| format!("{} → {}", alert.title, topic(alert))).collect()
    }

    pub fn outcome(&self, service: &str) -> &Outcome {
        &self.outcomes[service]
    }
}

pub fn topic(alert: &Alert) -> &str {
    match &alert.to {
        Destination::Ntfy { topic } => topic,
        Destination::Command => "command",
        Destination::Webhook => "webhook",
    }
}

fn phrase(event: &Event) -> String {
    let line = journal::render(event, Format::Text);
    let line = line.splitn(3, ' ').nth(2).unwrap_or_default();
    line.split(" (").next().unwrap_or_default().to_owned()
}

/// A temporary folder where fsync costs little, where there is such a place.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("recovery-pass-").tempdir_in(place).expect("a temporary folder")
}

/// Fills in what a test does not care for.
fn whole(services: &Value, recovery: &Value, notifications: &Value) -> Value {
    let mut filled = serde_json::Map::new();
    for (name, keys) in services.as_object().expect("services by name") {
        let mut service = json!({
            "health_check": {"type": "tcp", "port": 1},
            "restart_cmd": format!("{name} start"),
            "restart": "command"
        });
        merge(&mut service, keys);
        filled.insert(name.clone(), service);
    }
    let mut recovery_section = json!({"max_parallel": 1});
    merge(&mut recovery_section, recovery);
    let mut notifications_section = json!({
        "ntfy": {"server": "http://localhost:1", "topics": {"alerts": "A", "ops": "O"}},
        "default_topic": "alerts"
    });
    merge(&mut notifications_section, notifications);
    json!({"services": filled, "recovery": recovery_section, "notifications": notifications_section})
}

fn merge(into: &mut Value, keys: &Value) {
    let Some(keys) = keys.as_object() else { return };
    for (key, value) in keys {
        into[key] = value.clone();
    }
}

impl Stage {
    /// These services, by name with the keys that matter, all well, their containers running.
    pub fn new(services: &Value) -> Self {
        Self::with(services, &Value::Null, &Value::Null)
    }

    pub fn with(services: &Value, recovery: &Value, notifications: &Value) -> Self {
        Self::in_folder(folder(), services, recovery, notifications)
    }

    /// The same folder with all that is remembered, and other services, all well.
    pub fn with_services(self, services: &Value) -> Self {
        Self::in_folder(self.dir, services, &Value::Null, &Value::Null)
    }

    fn in_folder(dir: TempDir, services: &Value, recovery: &Value, notifications: &Value) -> Self {
        let state = dir.path().join("state");
        let text = serde_json::to_vec_pretty(&whole(services, recovery, notifications)).unwrap();
        let (config, problems) = read(&text, &dir.path().join("config.json"), state.clone(), &|_| None);
        let config = config.unwrap_or_else(|| panic!("{problems:?}"));
        let interrupt = Interrupt::default();
        let effects = Arc::new(Effects::new(interrupt.clone(), state.clone()));
        let clock = Arc::new(FakeClock::new(interrupt.clone(), Arc::clone(&effects)));
        let engine = FakeEngine::new(Arc::clone(&clock), Arc::clone(&effects), state.clone());
        let mut machine = Machine::default();
        for service in &config.services {
            machine.services.insert(service.name.to_string(), Service::new(service.container.clone()));
            if let Some(container) = &service.container {
                machine.containers.insert(container.clone(), running());
            }
        }
        *engine.machine() = machine;
        let markers = Markers::in_folders(&dir.path().join("stop"), &[&dir.path().join("run")]);
        Self {
            notifier: FakeNotifier::new(Arc::clone(&effects)),
            log: Log::new(Arc::clone(&effects)),
            store: Store::at(&state, markers),
            dir,
            clock,
            effects,
            engine,
            interrupt,
            config,
        }
    }

    pub fn machine(&self) -> std::sync::MutexGuard<'_, Machine> {
        self.engine.machine()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// One whole pass.
    pub fn pass(&self) -> Done {
        self.run(&[], true, false)
    }

    /// Time passes, then one whole pass.
    pub fn pass_after(&self, seconds: u64) -> Done {
        self.advance(seconds);
        self.pass()
    }

    pub fn dry_run(&self) -> Done {
        self.run(&[], true, true)
    }

    /// One pass over the named services, over all where none is named.
    pub fn run(&self, names: &[&str], deps: bool, dry_run: bool) -> Done {
        let wanted: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let services = if names.is_empty() {
            plan::order(&self.config)
        } else {
            plan::select(&self.config, &wanted, deps).expect("known services")
        };
        let named = wanted.iter().filter_map(|name| ServiceName::new(name)).collect();
        let scope = Scope { services, named, dry_run };
        let summary = pass::run(self.world(), &self.config, &scope);
        let reports = summary.reports.into_iter();
        Done {
            exit: summary.exit.number(),
            outcomes: reports.map(|report| (report.service.to_string(), report.outcome)).collect(),
            calls: std::mem::take(&mut self.machine().calls),
            events: self.log.take(),
            alerts: self.notifier.take(),
        }
    }

    fn world(&self) -> World<'_> {
        World {
            clock: &*self.clock,
            engine: &self.engine,
            notifier: &self.notifier,
            store: &self.store,
            journal: &self.log,
            interrupt: &self.interrupt,
            host: "vps-1",
        }
    }

    pub fn end_interrupt(&self) {
        self.interrupt.flag().store(0, Ordering::SeqCst);
    }

    pub fn name(service: &str) -> ServiceName {
        ServiceName::new(service).expect("a valid name")
    }

    /// What is remembered.
    pub fn state(&self, service: &str) -> ServiceState {
        self.store.load(&Self::name(service)).expect("a state that loads")
    }

    pub fn state_file(&self, service: &str) -> PathBuf {
        self.store.dir().join(format!("{service}.json"))
    }

    pub fn stop(&self, service: &str, content: &str) {
        std::fs::create_dir_all(self.dir.path().join("stop")).unwrap();
        std::fs::write(self.marker(service), content).unwrap();
    }

    pub fn resume(&self, service: &str) {
        std::fs::remove_file(self.marker(service)).unwrap();
    }

    pub fn marker(&self, service: &str) -> PathBuf {
        self.dir.path().join("stop").join(format!("{service}.stopped"))
    }

    /// All files below the folder with their content.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    files.insert(path.clone(), Vec::new());
                    folders.push(path);
                } else {
                    files.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }
}
