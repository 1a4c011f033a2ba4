//! Who ended a container, on real engines: a person's stop is left alone however long ago it was and however it was
//! made, and whatever else ended it is not taken for one.

use crate::common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::docker::{Container, docker_ok, require_docker};
use common::fixture::Fixture;
use common::inside::custom;
use common::ntfy::Ntfy;
use common::run;
use common::second_engine::SecondEngine;
use common::until::until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// Ends with 1 where it is told to end.
const REFUSING: &str = "trap 'exit 1' TERM; echo ready; while :; do sleep 0.1; done";
/// The same with 0.
const POLITE: &str = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
/// Takes no notice.
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.1; done";

/// A second engine, one container for each of these programs, by name, and a service in each.
struct Second {
    engine: SecondEngine,
    fixture: Fixture,
    names: Vec<&'static str>,
}

impl Second {
    fn start(programs: &[(&'static str, &str)]) -> Option<Self> {
        let engine = SecondEngine::start(require_docker()?)?;
        engine.copy_image("debian");
        let mut fixture = Fixture::new();
        fixture.setting("engine", json!(engine.program()));
        for (name, program) in programs {
            let image = "recovery-test/debian";
            let run = ["run", "-d", "--name", name, "--network=none", "--stop-timeout=1", image, "sh", "-c"];
            engine.docker_ok(&[&run[..], &[program]].concat());
            fixture.service(name, up_with(name));
        }
        let second = Self { engine, fixture, names: programs.iter().map(|(name, _)| *name).collect() };
        for name in &second.names {
            until("its traps", SOON, || (second.engine.docker_ok(&["logs", name]) == "ready").then_some(()));
        }
        Some(second)
    }

    fn status(&self, name: &str) -> String {
        self.engine.docker_ok(&["inspect", "--format", "{{.State.Status}}", name])
    }

    fn running(&self) -> Vec<&str> {
        self.names.iter().copied().filter(|name| self.status(name) == "running").collect()
    }

    fn shoot(&self, name: &str) {
        let pid = self.engine.docker_ok(&["inspect", "--format", "{{.State.Pid}}", name]);
        run::within(SOON, kill(&pid), b"").expect_code(0);
        until("its end", SOON, || (self.status(name) == "exited").then_some(()));
    }

    /// An engine keeps only its latest 256 events; more than these happen.
    fn forget_events(&self) {
        let path = self.engine.host().replace("unix://", "");
        for _ in 0..300 {
            let mut stream = UnixStream::connect(&path).expect("its socket");
            let tag = "/images/recovery-test/debian/tag?repo=forget&tag=it";
            write!(stream, "POST {tag} HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n")
                .expect("a request");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert!(answer.contains(" 201 "), "{answer}");
        }
    }

    fn stopped(&self, name: &str) -> usize {
        self.fixture.count(&format!("{name} manually stopped, skipping auto-recovery"))
    }
}

fn kill(pid: &str) -> Command {
    let mut command = Command::new("kill");
    command.args(["-9", pid]);
    command
}

/// Up whenever its container runs.
fn up_with(container: &str) -> Value {
    json!({
        "container": container,
        "health_check": {"type": "custom", "command": "true", "timeout_seconds": 3},
        "restart": "container",
        "startup_delay_seconds": 0,
        "start_period_seconds": 0,
        "display_name": container
    })
}

#[test]
fn neither_a_persons_stop_nor_a_kill_of_the_machine_wears_off_with_the_events() {
    let programs = [("early", REFUSING), ("late", REFUSING), ("shot", DEAF)];
    let Some(second) = Second::start(&programs) else { return };
    second.engine.docker_ok(&["stop", "early"]);
    second.fixture.pass().expect_code(0);
    assert_eq!(second.stopped("early"), 1, "{}", second.fixture.log());
    second.engine.docker_ok(&["stop", "late"]);
    second.shoot("shot");
    second.forget_events();
    let said = second.fixture.run(&["explain", "late"]).stdout;
    assert!(said.contains("was stopped by someone: by the engine's record of the container"), "{said}");
    second.fixture.pass().expect_code(0);
    let log = second.fixture.log();
    assert_eq!((second.stopped("early"), second.stopped("late")), (2, 1), "{log}");
    assert_eq!(second.fixture.count("Successfully recovered shot"), 1, "{log}");
    assert_eq!(second.running(), ["shot"], "{log}");
    assert!(log.contains("container shot exited 137, ended by itself: by the engine's record"), "{log}");
}

#[test]
fn what_ended_with_the_engine_was_stopped_by_nobody() {
    let programs = [("polite", POLITE), ("deaf", DEAF), ("refusing", REFUSING), ("stopped", REFUSING)];
    let Some(mut second) = Second::start(&programs) else { return };
    let ntfy = Ntfy::start();
    second.fixture.ntfy(&ntfy);
    second.engine.docker_ok(&["stop", "stopped"]);
    second.fixture.pass().expect_code(0);
    second.engine.stop();
    second.engine.start_again();
    assert_eq!(second.running(), Vec::<&str>::new());
    second.fixture.pass().expect_code(1);
    let log = second.fixture.log();
    // One that ended with 0 is told, not started.
    assert_eq!(second.running(), ["deaf", "refusing"], "{log}");
    assert_eq!((second.stopped("stopped"), second.stopped("polite")), (2, 0), "{log}");
    assert_eq!(ntfy.titles(), ["polite Down"], "{log}");
    // A power cut, too.
    second.engine.cut_power();
    second.engine.start_again();
    second.fixture.pass().expect_code(1);
    let log = second.fixture.log();
    assert_eq!(second.running(), ["deaf", "refusing"], "{log}");
    assert_eq!(second.stopped("stopped"), 3, "{log}");
}

/// A folder that a container needs to start, and that is sometimes away.
struct Mount {
    folder: tempfile::TempDir,
}

impl Mount {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("here")).expect("the folder to be mounted");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn option(&self) -> String {
        format!("--mount=type=bind,src={},dst=/data", self.path("here").display())
    }

    fn take_away(&self) {
        fs::rename(self.path("here"), self.path("away")).expect("it is taken away");
    }

    fn bring_back(&self) {
        fs::rename(self.path("away"), self.path("here")).expect("it is brought back");
    }
}

#[test]
fn a_container_that_our_restart_could_not_start_again_is_started_when_it_can_be() {
    let Some(docker) = require_docker() else { return };
    let mount = Mount::new();
    let options = [&mount.option(), "--stop-timeout=1"];
    let container = Container::start(docker, "debian", &options, &["sh", "-c", POLITE]);
    let mut service = custom(&container, "test -e /data/up", "");
    service["restart_cmd"] = Value::Null;
    service["restart"] = json!("container");
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    fixture.service("web", service).ntfy(&ntfy);
    mount.take_away();
    fixture.pass().expect_code(1);
    assert_eq!(container.state().status, "exited", "{}", fixture.log());
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("manually stopped"), 0, "{}", fixture.log());
    assert!(fixture.log().contains("its start failed: "), "{}", fixture.log());
    fs::write(mount.path("away/up"), "").expect("what it needs is there");
    mount.bring_back();
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(ntfy.titles().last().map(|title| title.ends_with("Recovered")), Some(true));
}

#[test]
fn a_start_that_the_engine_gave_up_is_tried_again_and_told_in_its_words() {
    let Some(docker) = require_docker() else { return };
    for policy in ["--restart=unless-stopped", "--restart=on-failure:3"] {
        let mount = Mount::new();
        let program = "while [ ! -e /data/end ]; do sleep 0.1; done; exit 3";
        let container =
            Container::start(docker, "debian", &[&mount.option(), policy], &["sh", "-c", program]);
        let mut fixture = Fixture::new();
        fixture.service("web", up_with(&container.name));
        mount.take_away();
        fs::write(mount.path("away/end"), "").expect("its end");
        container.wait_for("exited");
        fixture.pass().expect_code(1);
        let said = fixture.run(&["explain", "web"]).stdout;
        assert!(said.contains("nobody stopped it: the engine could not start it"), "{said}");
        fs::remove_file(mount.path("away/end")).expect("no more end");
        mount.bring_back();
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
        assert_eq!(container.state().status, "running");
    }
}

#[test]
fn nothing_is_done_in_a_container_that_someone_is_just_stopping() {
    let Some(docker) = require_docker() else { return };
    let draining = "trap 'echo draining; while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 0' TERM; \
                    echo ready; while :; do sleep 0.1; done";
    let container = Container::start(docker, "debian", &["--stop-timeout=1"], &["sh", "-c", draining]);
    let mut fixture = Fixture::new();
    fixture.service("command", custom(&container, "test -e /tmp/up", "echo x >> /tmp/restarts"));
    let mut whole = custom(&container, "test -e /tmp/up", "");
    whole["restart_cmd"] = Value::Null;
    whole["restart"] = json!("container");
    fixture.service("whole", whole);
    until("its traps", SOON, || (docker_ok(&["logs", &container.id]) == "ready").then_some(()));
    let before = container.state();
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| docker_ok(&["stop", "--time", "45", &container.id]));
        until("its drain", SOON, || docker_ok(&["logs", &container.id]).contains("draining").then_some(()));
        let said = fixture.run(&["explain", "command"]).stdout;
        fixture.pass().expect_code(0);
        let log = fixture.log();
        assert_eq!(container.state(), before, "{log}");
        assert_eq!(container.lines_of("/tmp/restarts"), 0, "{log}");
        assert_eq!(fixture.count("manually stopped, skipping auto-recovery"), 2, "{log}");
        assert!(said.contains("its container is just being stopped by someone"), "{said}");
        container.sh("touch /tmp/go");
        stop.join().expect("the stop ends");
    });
    fixture.pass().expect_code(0);
    assert_eq!(container.state().status, "exited", "{}", fixture.log());
    // Who is started again is not being stopped any more.
    container.act("start");
    fixture.pass();
    assert_eq!(container.lines_of("/tmp/restarts"), 1, "{}", fixture.log());
}

#[test]
fn a_crash_loop_that_is_stopped_between_two_tries_of_the_engine_is_stopped_by_a_person() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &["--restart=always"], &["sh", "-c", "exit 4"]);
    // The sixth try is waited for 6 s: longer after the end than any event of the end itself.
    until("a long wait between two tries", SOON, || {
        let seen = docker_ok(&["inspect", "--format", "{{.RestartCount}} {{.State.Status}}", &container.id]);
        (seen == "6 restarting").then_some(())
    });
    let finished = docker_ok(&["inspect", "--format", "{{.State.FinishedAt}}", &container.id]);
    let age = || run::within(SOON, age_of(&finished), b"").expect_code(0).stdout.trim().parse::<f64>();
    until("3 s after its end", SOON, || (age().expect("seconds") > 3.0).then_some(()));
    docker_ok(&["stop", &container.id]);
    let mut fixture = Fixture::new();
    fixture.service("web", up_with(&container.name));
    for _ in 0..2 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 2, "{}", fixture.log());
    assert_eq!(container.state().status, "exited");
}

fn age_of(time: &str) -> Command {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo \"$(date +%s.%N) $(date -d \"$1\" +%s.%N)\" | awk '{print $1 - $2}'",
        "age",
        time,
    ]);
    command
}

#[test]
fn a_message_by_signal_makes_no_stop_of_a_later_crash() {
    let Some(docker) = require_docker() else { return };
    let program = "trap : HUP; echo ready; while [ ! -e /tmp/end ]; do sleep 0.1; done; rm /tmp/end; exit 3";
    let container = Container::start(docker, "debian", &[], &["sh", "-c", program]);
    until("its traps", SOON, || (docker_ok(&["logs", &container.id]) == "ready").then_some(()));
    docker_ok(&["kill", "--signal", "HUP", &container.id]);
    container.sh("touch /tmp/end");
    container.wait_for("exited");
    let mut fixture = Fixture::new();
    fixture.service("web", up_with(&container.name));
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
}
