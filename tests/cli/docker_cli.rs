//! What the real engine says of real containers. Without an engine these are skipped, and say so; with
//! `RECOVERY_REQUIRE_DOCKER=1` they fail instead.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use recovery::check::{Failure, Health, Unknown};
use recovery::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use recovery::engine::docker::DockerCli;
use recovery::engine::host::Host;
use recovery::engine::{
    ContainerDetails, ContainerEnd, ContainerRef, Earlier, Overrun, Request, RestartCommand, RunResult,
};
use recovery::process::Interrupt;

const LONG: Duration = Duration::from_secs(60);

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn docker_ok(arguments: &[&str]) -> String {
    let done = docker(arguments);
    assert!(done.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Whether there is an engine to test with.
fn engine() -> bool {
    let there = Command::new("docker").arg("version").output().is_ok_and(|done| done.status.success());
    if !there {
        assert!(std::env::var_os("RECOVERY_REQUIRE_DOCKER").is_none_or(|v| v != "1"), "no engine");
        eprintln!("skipped: no engine");
    }
    there
}

/// A busybox image from the local binary and its libraries; nothing can be pulled.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let name = "recovery-test-docker-cli:busybox-2".to_owned();
        if docker(&["image", "inspect", &name]).status.success() {
            return name;
        }
        let root = tempfile::tempdir().unwrap();
        let busybox = recovery::process::find_program("busybox", &[]).expect("busybox is needed here");
        add(root.path(), &busybox, "bin/busybox");
        for library in libraries(&busybox) {
            add(root.path(), &library, library.to_str().unwrap().trim_start_matches('/'));
        }
        for tool in [
            "sh", "sleep", "kill", "true", "cat", "test", "rm", "ls", "sed", "tr", "head", "od", "date",
            "wc", "mkdir", "awk", "grep", "setsid", "timeout",
        ] {
            std::os::unix::fs::symlink("busybox", root.path().join("bin").join(tool)).unwrap();
        }
        let archive = root.path().join("root.tar");
        let tar = |arguments: &[&str]| Command::new("tar").args(arguments).status().unwrap();
        let folders: Vec<String> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut call = vec!["-C", root.path().to_str().unwrap(), "-cf", archive.to_str().unwrap()];
        call.extend(folders.iter().map(String::as_str));
        assert!(tar(&call).success());
        docker_ok(&["import", archive.to_str().unwrap(), &name]);
        name
    })
}

fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = Command::new("ldd").arg(program).output().unwrap().stdout;
    String::from_utf8(listed)
        .unwrap()
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

fn add(root: &Path, file: &Path, place: &str) {
    let place = root.join(place);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::copy(file, place).unwrap();
}

/// A container that is removed at the end of its test.
struct Sandbox(ContainerRef);

impl Sandbox {
    fn create(verb: &[&str], options: &[&str], command: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("recovery-test-{}-{count}", std::process::id());
        let call = [verb, &["--name", &name], options, &[image()], command].concat();
        let id = docker_ok(&call);
        Self(ContainerRef { id, name })
    }

    fn run(options: &[&str], command: &[&str]) -> Self {
        Self::create(&["run", "-d"], options, command)
    }

    fn sh(text: &str) -> Self {
        Self::run(&[], &["sh", "-c", text])
    }

    fn inspect(&self) -> ContainerDetails {
        cli().inspect(&self.0, &Earlier::default()).unwrap()
    }

    fn state(&self) -> String {
        docker_ok(&["inspect", "-f", "{{.State.Status}}", &self.0.id])
    }

    fn await_state(&self, state: &str) {
        let end = Instant::now() + LONG;
        while self.state() != state {
            assert!(Instant::now() < end, "{} is never {state}", self.0.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until its program has said so, its traps are not set.
    fn await_ready(&self) {
        let end = Instant::now() + LONG;
        while docker_ok(&["logs", &self.0.id]) != "ready" {
            assert!(Instant::now() < end, "{} is never ready", self.0.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ended(self) -> (i32, ContainerEnd) {
        self.await_state("exited");
        let details = self.inspect();
        assert_eq!(details.state, "exited");
        (details.exit_code, details.end)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0.id]);
    }
}

fn cli() -> DockerCli {
    DockerCli::new("docker", Interrupt::default())
}

#[test]
fn the_listing_tells_every_state() {
    if !engine() {
        return;
    }
    let boxes = [
        ("running", Sandbox::run(&[], &["sleep", "300"])),
        ("paused", Sandbox::run(&[], &["sleep", "300"])),
        ("exited", Sandbox::sh("exit 3")),
        ("created", Sandbox::create(&["create"], &[], &["true"])),
    ];
    docker_ok(&["pause", &boxes[1].1.0.id]);
    boxes[2].1.await_state("exited");
    let list = cli().list().unwrap();
    for (state, made) in &boxes {
        let found = list.iter().find(|container| container.at == made.0).expect("it is listed");
        assert_eq!(found.state, *state);
        assert_eq!(made.inspect().state, *state);
    }
    docker_ok(&["unpause", &boxes[1].1.0.id]);
}

#[test]
fn how_a_container_ended_is_told_from_the_events() {
    if !engine() {
        return;
    }
    let stubborn = Sandbox::run(&["--stop-timeout", "1"], &["sleep", "300"]);
    let willing = Sandbox::sh("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done");
    let killed = Sandbox::run(&[], &["sleep", "300"]);
    let reloaded = Sandbox::sh("trap 'exit 4' HUP; echo ready; while :; do sleep 0.1; done");
    let from_outside = Sandbox::run(&[], &["sleep", "300"]);
    let from_inside = Sandbox::run(&["--init"], &["sh", "-c", "sleep 0.2; kill -9 $$"]);
    let by_themselves = [
        (Sandbox::sh("exit 3"), (3, ContainerEnd::Died)),
        (Sandbox::sh("exit 143"), (143, ContainerEnd::Died)),
        (Sandbox::sh("exit 0"), (0, ContainerEnd::Finished)),
    ];
    willing.await_ready();
    reloaded.await_ready();
    docker_ok(&["stop", &stubborn.0.id, &willing.0.id]);
    docker_ok(&["kill", &killed.0.id]);
    docker_ok(&["kill", "-s", "HUP", &reloaded.0.id]);
    if rustix::process::geteuid().is_root() {
        let pid = docker_ok(&["inspect", "-f", "{{.State.Pid}}", &from_outside.0.id]);
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        assert_eq!(from_outside.ended(), (137, ContainerEnd::Died));
    }
    assert_eq!(stubborn.ended(), (137, ContainerEnd::StoppedBySomeone));
    assert_eq!(willing.ended(), (0, ContainerEnd::StoppedBySomeone));
    assert_eq!(killed.ended(), (137, ContainerEnd::StoppedBySomeone));
    assert_eq!(reloaded.ended(), (4, ContainerEnd::Died));
    assert_eq!(from_inside.ended(), (137, ContainerEnd::Died));
    for (made, expected) in by_themselves {
        assert_eq!(made.ended(), expected);
    }
}

#[test]
fn an_earlier_stop_says_nothing_of_a_later_crash() {
    if !engine() {
        return;
    }
    let made = Sandbox::run(&["--stop-timeout", "1"], &["sh", "-c", "sleep 1; exit 6"]);
    docker_ok(&["stop", &made.0.id]);
    docker_ok(&["start", &made.0.id]);
    assert_eq!(made.ended(), (6, ContainerEnd::Died));
}

#[test]
fn the_engines_own_restart_policy_is_seen() {
    if !engine() {
        return;
    }
    let always = Sandbox::run(&["--restart", "always"], &["sleep", "300"]);
    let spent = Sandbox::run(&["--restart", "on-failure:1"], &["sh", "-c", "exit 5"]);
    let plain = Sandbox::run(&["--stop-timeout", "7"], &["sleep", "300"]);
    assert!(always.inspect().engine_restarts_it);
    let details = plain.inspect();
    assert!(!details.engine_restarts_it && details.started_at.is_some());
    assert_eq!(details.stop_timeout, Duration::from_secs(7));
    let end = Instant::now() + LONG;
    while spent.inspect().engine_restarts_it {
        assert!(Instant::now() < end, "its tries are never spent");
    }
    assert_eq!(spent.ended(), (5, ContainerEnd::Died));
}

#[test]
fn containers_are_started_and_restarted() {
    if !engine() {
        return;
    }
    let made = Sandbox::create(&["create"], &["--stop-timeout", "1"], &["sleep", "300"]);
    cli().start(&made.0, LONG).unwrap();
    let first = made.inspect();
    assert_eq!(first.state, "running");
    cli().restart(&made.0, first.stop_timeout, LONG).unwrap();
    let second = made.inspect();
    assert_eq!(second.state, "running");
    assert!(second.started_at > first.started_at);
    docker_ok(&["pause", &made.0.id]);
    let state = Unknown::ContainerState { container: made.0.name.clone(), state: "paused".into() };
    assert_eq!(cli().start(&made.0, LONG), Err(state));
    docker_ok(&["unpause", &made.0.id]);
}

#[test]
fn a_signal_leaves_a_restart_under_way_to_the_engine() {
    if !engine() {
        return;
    }
    let made = Sandbox::run(&[], &["sleep", "300"]);
    let before = made.inspect().started_at;
    let interrupt = Interrupt::default();
    interrupt.flag().store(15, Ordering::Relaxed);
    let interrupted = DockerCli::new("docker", interrupt).restart(&made.0, Duration::from_secs(1), LONG);
    assert_eq!(interrupted, Err(Unknown::Interrupted));
    let end = Instant::now() + LONG;
    while made.inspect().started_at == before {
        assert!(Instant::now() < end, "the restart was lost");
        std::thread::sleep(Duration::from_millis(50));
    }
    made.await_state("running");
}

#[test]
fn a_container_that_is_gone_is_named() {
    if !engine() {
        return;
    }
    let made = Sandbox::sh("exit 0");
    made.await_state("exited");
    let at = made.0.clone();
    drop(made);
    let gone = Unknown::NoSuchContainer(at.name.clone());
    assert_eq!(cli().inspect(&at, &Earlier::default()), Err(gone.clone()));
    assert_eq!(cli().start(&at, LONG), Err(gone.clone()));
    assert_eq!(cli().restart(&at, Duration::ZERO, LONG), Err(gone));
}

#[test]
fn checks_and_restarts_reach_into_a_container() {
    if !engine() {
        return;
    }
    let made = Sandbox::run(&["-u", "7"], &["sleep", "300"]);
    let service = ServiceName::new("svc").unwrap();
    let check = |text: &str| HealthCheck {
        probe: Probe::Custom {
            command: CustomCommand::Shell(text.into()),
            expect_json: Vec::new(),
            missing_program: MissingProgram::Unknown,
        },
        timeout: Duration::from_secs(20),
        from: Vantage::Container,
        interval: None,
    };
    let (root, own, three) = (check("test -w /"), check("test ! -w /"), check("exit 3"));
    let request = |check, user| Request { service: &service, check, env: &[], user };
    let requests = [request(&own, None), request(&root, Some("0")), request(&three, None)];
    let looks = cli().observe(&made.0, &requests);
    assert_eq!((&looks[0].health, &looks[1].health), (&Health::Healthy, &Health::Healthy));
    assert!(matches!(looks[2].health, Health::Unhealthy(Failure::Exit { code: 3, .. })), "{looks:?}");
    let command = RestartCommand {
        service: &service,
        text: "sleep 299 & exit 4",
        env: &[],
        user: Some("0"),
        log_path: None,
        timeout: LONG,
    };
    assert_eq!(cli().run(&made.0, &command, &mut || Overrun::End), RunResult::Exited(4));
    assert!(docker_ok(&["top", &made.0.id]).contains("sleep 299"));
    assert_eq!(cli().remove_marker(&made.0, &service), Ok(false));
    docker_ok(&["pause", &made.0.id]);
    let state = Unknown::ContainerState { container: made.0.name.clone(), state: "paused".into() };
    assert_eq!(cli().observe(&made.0, &requests[..1])[0].health, Health::Unknown(state));
    docker_ok(&["unpause", &made.0.id]);
}

#[test]
fn a_process_inside_a_container_is_none_of_the_machine() {
    if !engine() {
        return;
    }
    let seconds = format!("7700.{}", std::process::id());
    let made = Sandbox::run(&[], &["sleep", &seconds]);
    assert_eq!(made.state(), "running");
    let pid = docker_ok(&["inspect", "-f", "{{.State.Pid}}", &made.0.id]);
    // An engine on another machine or in a virtual one has no such process here.
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if !line.contains(&seconds) {
        eprintln!("skipped: the engine's processes are not seen here");
        return;
    }
    let pattern = regex::Regex::new(&format!("sleep {seconds}")).unwrap();
    let check = HealthCheck {
        probe: Probe::Process { pattern },
        timeout: Duration::from_secs(5),
        from: Vantage::Machine,
        interval: None,
    };
    let service = ServiceName::new("svc").unwrap();
    let request = Request { service: &service, check: &check, env: &[], user: None };
    let host = Host::new(1, Interrupt::default(), PathBuf::from("/opt/recovery"));
    let health = host.observe(&[request]).remove(0).health;
    assert!(matches!(health, Health::Unhealthy(Failure::NoProcess { .. })), "{health:?}");
}
