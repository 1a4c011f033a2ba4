//! Passes that are killed or asked to end at random instants: nothing is forgotten, nothing untold, nothing left.
//!
//! `RECOVERY_KILLS` says how many (20), `RECOVERY_SEED` repeats a run whose seed was printed.

#![allow(clippy::unwrap_used)]

use crate::common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use common::fixture::{Fixture, LIMIT};
use common::ntfy::Ntfy;
use common::run::{self, Finished};
use common::until::until;
use recovery::config::model::ServiceName;
use recovery::outbox::Outbox;
use recovery::state::ServiceState;
use recovery::store::{Markers, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const SERVICES: [&str; 4] = ["back", "heals", "broken", "dead"];

/// A generous bound on what a pass may still do after a signal.
const END: Duration = Duration::from_secs(60);

/// Four services on the machine, whose pass restarts two and tells of three.
struct World {
    fixture: Fixture,
    ntfy: Ntfy,
    /// The state folder before the pass: `back` was down, and that was told.
    before: PathBuf,
    /// Messages up to then.
    told_before: usize,
    /// How long an undisturbed pass takes.
    pass: Duration,
}

impl World {
    fn new() -> Self {
        let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
        fixture.ntfy(&ntfy);
        for name in SERVICES {
            let file = |end: &str| fixture.path(&format!("{name}.{end}")).display().to_string();
            let heal = if name == "heals" { format!("touch {}; ", file("up")) } else { String::new() };
            let mut service = json!({
                "health_check": {"type": "custom", "command": format!("test -e {}", file("up")), "timeout_seconds": 60},
                "restart_cmd": format!("echo x >> {}; sleep 0.05; {heal}echo x >> {}", file("begun"), file("ended")),
                "startup_delay_seconds": 0,
                "startup_timeout_seconds": 0,
                "max_failures": if name == "broken" { 1 } else { 3 }
            });
            if name == "dead" {
                service["restart_cmd"] = Value::Null;
                service["restart"] = json!("none");
            }
            fixture.service(name, service);
        }
        let before = fixture.path("before");
        let mut world = Self { fixture, ntfy, before, told_before: 0, pass: Duration::ZERO };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        for name in ["heals", "broken", "dead"] {
            self.set_up(name, true);
        }
        self.fixture.pass().expect_code(1);
        assert_eq!(self.ntfy.titles(), ["back Recovery Failed"]);
        self.told_before = 1;
        copy(&self.state_dir(), &self.before);
        let times: [Duration; 3] = std::array::from_fn(|_| {
            self.reset();
            let pass = self.fixture.pass().expect_code(1);
            self.expect_all_told();
            pass.elapsed
        });
        self.pass = times.into_iter().max().unwrap();
    }

    /// As it was before: `back` came back by itself, all others are down.
    fn reset(&mut self) {
        fs::remove_dir_all(self.state_dir()).unwrap();
        copy(&self.before, &self.state_dir());
        for name in SERVICES {
            self.set_up(name, name == "back");
            for end in ["begun", "ended"] {
                let _ = fs::remove_file(self.fixture.path(&format!("{name}.{end}")));
            }
        }
        let _ = fs::remove_file(self.fixture.path("recovery.log"));
        self.told_before = self.ntfy.messages().len();
    }

    fn set_up(&self, name: &str, up: bool) {
        let file = self.fixture.path(&format!("{name}.up"));
        if up { fs::write(file, "").unwrap() } else { drop(fs::remove_file(file)) }
    }

    fn state_dir(&self) -> PathBuf {
        self.fixture.path("state")
    }

    fn lines(&self, name: &str, end: &str) -> usize {
        fs::read_to_string(self.fixture.path(&format!("{name}.{end}"))).unwrap_or_default().lines().count()
    }

    fn states(&self) -> Vec<ServiceState> {
        let store = Store::at(&self.state_dir(), Markers::in_folders(&self.fixture.path("stop"), &[]));
        let load = |name| store.load(&ServiceName::new(name).unwrap()).unwrap();
        SERVICES.into_iter().map(load).collect()
    }

    /// Every file can be read, and no restart was begun that is not on record.
    fn expect_sound(&self) {
        let begun = SERVICES.map(|name| self.lines(name, "begun"));
        for (state, begun) in self.states().iter().zip(begun) {
            // The one attempt of `back` was made before.
            let recorded = state.attempts.len() - usize::from(state.service == "back");
            assert!(recorded >= begun, "{begun} restarts, on record: {state:?}");
        }
        let outbox = Outbox::new(&self.state_dir());
        let files = names(&self.state_dir().join("outbox"));
        let alerts = files.iter().filter(|name| name.ends_with(".json") && !name.starts_with('.')).count();
        assert_eq!(outbox.waiting().unwrap().len(), alerts, "{files:?}");
        serde_json::from_slice::<Value>(&fs::read(self.state_dir().join("last-pass.json")).unwrap()).unwrap();
    }

    /// Nobody holds a lock any more.
    fn expect_unlocked(&self) {
        for path in files(&self.state_dir()).iter().filter(|path| path.to_string_lossy().ends_with("lock")) {
            let file = fs::File::open(path).unwrap();
            // A command that is just being started may hold a copy until it runs.
            until(&format!("{} is free", path.display()), END, || {
                fs2::FileExt::try_lock_exclusive(&file).ok()
            });
        }
    }

    /// `(service, kind)` of every message since the reset.
    fn told(&self) -> Vec<(String, String)> {
        let line = |text: &str, key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned()
        };
        let tell = |message: &Value| {
            let text = message["message"].as_str().unwrap().to_owned();
            (line(&text, "Service: "), line(&text, "Alert: "))
        };
        self.ntfy.messages()[self.told_before..].iter().map(tell).collect()
    }

    /// All that must be told was told, and no more often than a death between yes and record explains.
    fn expect_all_told(&self) {
        let told = self.told();
        let count = |name: &str, kinds: &[&str]| {
            told.iter().filter(|(service, kind)| service == name && kinds.contains(&kind.as_str())).count()
        };
        for (name, kinds) in [
            ("back", &["SERVICE-RECOVERED"][..]),
            ("dead", &["SERVICE-DOWN"]),
            ("broken", &["SERVICE-RECOVERY-FAILED", "SERVICE-CRASH-LOOP"]),
        ] {
            assert!(count(name, kinds) >= 1, "{name} was not told: {told:?}\n{}", self.fixture.log());
        }
        for (name, kind) in &told {
            assert_ne!(name, "heals", "nothing was wrong with it: {told:?}");
            assert!(count(name, &[kind]) <= 2, "{told:?}");
        }
        // What the state says was told, and what was written to the outbox, has arrived.
        for state in self.states() {
            for kind in state.incident.iter().flat_map(|incident| incident.told.keys()) {
                assert!(count(&state.service, &[kind.name()]) >= 1, "{kind} of {}: {told:?}", state.service);
            }
        }
        assert_eq!(self.fixture.outbox().len(), 0);
    }

    /// Temporary files of killed passes do not last. Some have many writers, so that only their age tells that
    /// nobody is writing them: they are made old.
    fn age_rubbish(&self) {
        for path in rubbish(&self.state_dir()) {
            let old = SystemTime::now() - Duration::from_secs(7200);
            fs::File::open(path).unwrap().set_modified(old).unwrap();
        }
    }

    fn start(&self) -> Child {
        let mut command = self.fixture.command(&["run"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Starts a pass and sends it `signal` after so long, unless it has ended by then.
    fn disturb(&self, signal: Signal, after: Duration) -> (Finished, bool) {
        let begin = Instant::now();
        let mut child = self.start();
        std::thread::sleep(after.saturating_sub(begin.elapsed()));
        let in_time = child.try_wait().unwrap().is_none();
        if in_time {
            kill_process(Pid::from_child(&child), signal).unwrap();
        }
        (run::finish(child, END), in_time)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &to) } else { fs::copy(&path, &to).map(drop).unwrap() }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn rubbish(folder: &Path) -> Vec<PathBuf> {
    let mut files = files(folder);
    files.retain(|path| path.extension().is_some_and(|end| end == "tmp"));
    files
}

/// Instants between the start of a pass and a little after its end.
struct Instants(u64, Duration);

impl Instants {
    fn of(world: &World) -> Self {
        let seed = std::env::var("RECOVERY_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap());
        println!("RECOVERY_SEED={seed}, a pass takes {:?}", world.pass);
        Self(seed, world.pass)
    }

    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX);
        self.1.mul_f64(part * 1.1)
    }
}

fn kills() -> usize {
    std::env::var("RECOVERY_KILLS").ok().map_or(20, |count| count.parse().unwrap())
}

#[test]
fn a_pass_that_is_killed_forgets_nothing() {
    let mut world = World::new();
    let mut instants = Instants::of(&world);
    let mut hit = 0;
    for round in 0..kills() {
        world.reset();
        let after = instants.next();
        println!("round {round}: killed after {after:?}");
        let (_, in_time) = world.disturb(Signal::KILL, after);
        hit += usize::from(in_time);
        world.expect_sound();
        world.expect_unlocked();
        world.age_rubbish();
        world.fixture.pass().expect_code(1);
        world.expect_sound();
        world.expect_all_told();
        assert_eq!(rubbish(&world.state_dir()), [] as [PathBuf; 0]);
        until("every restart that was begun ends", END, || {
            SERVICES.iter().all(|name| world.lines(name, "begun") == world.lines(name, "ended")).then_some(())
        });
    }
    println!("{hit} of {} passes were hit", kills());
    assert!(hit > kills() / 4, "the instants miss the passes");
}

#[test]
fn a_pass_that_is_asked_to_end_says_so_and_leaves_restarts_alone() {
    let mut world = World::new();
    let mut instants = Instants::of(&world);
    for round in 0..kills() {
        let (signal, code) = if round % 2 == 0 { (Signal::TERM, 143) } else { (Signal::INT, 130) };
        world.reset();
        let after = instants.next();
        println!("round {round}: signal {signal:?} after {after:?}");
        let (done, in_time) = world.disturb(signal, after);
        let begun = SERVICES.map(|name| world.lines(name, "begun"));
        if done.code == 1 {
            // It had come to its end before the signal did.
            world.expect_all_told();
        } else {
            assert!(in_time, "{done:?}");
            assert_eq!(done.code, code, "{}", world.fixture.log());
        }
        world.expect_sound();
        world.expect_unlocked();
        assert_eq!(rubbish(&world.state_dir()), [] as [PathBuf; 0]);
        for (name, begun) in SERVICES.into_iter().zip(begun) {
            until("a restart in flight ends by itself", END, || {
                (world.lines(name, "ended") >= begun).then_some(())
            });
        }
        world.fixture.pass().expect_code(1);
        world.expect_sound();
        world.expect_all_told();
    }
}

#[test]
fn twenty_passes_at_once_restart_once() {
    let mut fixture = Fixture::new();
    let (up, runs) = (fixture.path("up"), fixture.path("runs"));
    fixture.service(
        "svc",
        json!({
            "health_check": {"type": "custom", "command": format!("test -e {}", up.display()), "timeout_seconds": 60},
            "restart_cmd": format!("echo x >> {}; sleep 0.05; touch {}", runs.display(), up.display()),
            "startup_delay_seconds": 0
        }),
    );
    let rounds = (kills() / 10).max(1);
    for round in 0..rounds {
        let _ = fs::remove_file(&up);
        let _ = fs::remove_dir_all(fixture.path("state"));
        fs::write(&runs, "").unwrap();
        let commands: Vec<Command> = (0..20).map(|_| fixture.command(&["run"])).collect();
        let passes: Vec<_> = commands
            .into_iter()
            .map(|command| std::thread::spawn(move || run::within(LIMIT, command, b"")))
            .collect();
        for pass in passes {
            pass.join().unwrap().expect_code(0);
        }
        assert_eq!(fs::read_to_string(&runs).unwrap(), "x\n", "round {round}:\n{}", fixture.log());
        assert_eq!(fixture.state("svc").unwrap()["attempts"].as_array().unwrap().len(), 1);
    }
}
