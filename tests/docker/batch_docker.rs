//! The batch protocol through a real `docker exec`, in containers of one busybox. Skipped, visibly, where no
//! engine answers; `RECOVERY_REQUIRE_DOCKER=1` makes that a failure.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use recovery::check::{Failure, Health, Look, Unknown};
use recovery::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use recovery::engine::batch::{self, Agent};
use recovery::engine::{Overrun, Request, RestartCommand, RunResult};
use recovery::process::Interrupt;

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).stdin(Stdio::null()).output().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A container that is removed in the end.
struct Container {
    id: String,
}

impl Container {
    /// `None`, visibly, where there is no engine or no static busybox.
    fn start(options: &[&str]) -> Option<Self> {
        let engine = Command::new("docker").arg("version").stdin(Stdio::null()).output();
        let busybox =
            ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|file| fs::metadata(file).is_ok());
        let (true, Some(busybox)) = (engine.is_ok_and(|output| output.status.success()), busybox) else {
            assert!(std::env::var_os("RECOVERY_REQUIRE_DOCKER").is_none(), "no engine, or no busybox");
            eprintln!("skipped: no container engine answers, or busybox is not installed");
            return None;
        };
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "etc", "proc", "dev", "tmp", "var/run", "lib", "lib64"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::copy(busybox, root.path().join("bin/busybox")).unwrap();
        let applets = Command::new(busybox).arg("--list").output().unwrap();
        for applet in words(&applets).lines().filter(|&applet| applet != "busybox") {
            let _ = std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet));
        }
        // Where busybox is not static it needs its libraries.
        let needed = Command::new("ldd").arg(busybox).output();
        for word in needed.map(|output| words(&output)).unwrap_or_default().split_whitespace() {
            if let Some(inside) = word.strip_prefix('/') {
                let to = root.path().join(inside);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(word, to).unwrap();
            }
        }
        fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nworker:x:500:500::/:/bin/sh\n")
            .unwrap();
        let folder = root.path().to_str().unwrap();
        let tag = "recovery-batch-test:busybox";
        let import = format!("tar -C '{folder}' -c . | docker import - {tag}");
        assert!(Command::new("sh").args(["-c", &import]).output().unwrap().status.success());
        let mut args = vec!["run", "-d", "--init", "--network", "none"];
        args.extend(options);
        args.extend([tag, "sleep", "4000"]);
        let run = docker(&args);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        Some(Self { id: words(&run) })
    }

    fn exec(&self, user: Option<&str>, argv: &[&str]) -> Exec {
        let mut command = Command::new("docker");
        command.args(["exec", "-i"]);
        if let Some(user) = user {
            command.args(["-u", user]);
        }
        command.arg(&self.id).args(argv);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Exec(command.spawn().unwrap())
    }

    fn look(&self, user: Option<&str>, checks: &[HealthCheck]) -> Vec<Look> {
        look(self.exec(user, &batch::LOOK_ARGV), checks)
    }

    /// Waits until the processes in the container are so many that match, or none.
    fn until_processes(&self, text: &str, there: bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while words(&docker(&["top", &self.id])).contains(text) != there {
            assert!(Instant::now() < end, "{text}: should be there: {there}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.id]);
    }
}

struct Exec(Child);

impl Agent for Exec {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.0.stdin.take().unwrap())
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(self.0.stdout.take().unwrap())
    }

    fn finish(&mut self, within: Duration, _: &Interrupt) -> (Option<i32>, String) {
        let end = Instant::now() + within;
        while self.0.try_wait().unwrap().is_none() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let code = self.0.wait().unwrap().code();
        let mut text = String::new();
        let _ = self.0.stderr.take().unwrap().read_to_string(&mut text);
        (code, text)
    }
}

fn look(agent: Exec, checks: &[HealthCheck]) -> Vec<Look> {
    let name = ServiceName::new("svc").unwrap();
    let request = |check| Request { service: &name, check, env: &[], user: None };
    let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
    batch::look(agent, &requests, &Interrupt::default(), &mut |_| {})
}

fn check(probe: Probe, seconds: u64) -> HealthCheck {
    HealthCheck { probe, timeout: Duration::from_secs(seconds), from: Vantage::Container, interval: None }
}

fn shell(text: &str, seconds: u64) -> HealthCheck {
    check(
        Probe::Custom {
            command: CustomCommand::Shell(text.into()),
            expect_json: Vec::new(),
            missing_program: MissingProgram::Unknown,
        },
        seconds,
    )
}

fn process(pattern: &str) -> HealthCheck {
    check(Probe::Process { pattern: regex::Regex::new(pattern).unwrap() }, 5)
}

#[test]
fn a_read_only_container_and_another_user_are_looked_at_in_one_exec() {
    let Some(container) = Container::start(&["--read-only", "--tmpfs", "/var/run/manual-stop"]) else {
        return;
    };
    docker(&["exec", &container.id, "touch", "/var/run/manual-stop/svc.stopped"]);
    let mut checks = vec![process("^sleep 4000$"), process("^nothing$")];
    checks.extend((0..50).map(|n| shell(&format!("echo {n}; exit {}", n % 3), 20)));
    for user in [None, Some("worker")] {
        let looks = container.look(user, &checks);
        assert!(looks.iter().all(|look| look.marker.as_deref() == Some(b"")), "{user:?}");
        assert_eq!(looks[0].health, Health::Healthy, "{user:?}");
        assert!(matches!(looks[1].health, Health::Unhealthy(Failure::NoProcess { .. })), "{user:?}");
        for (n, look) in looks[2..].iter().enumerate() {
            let code = i32::try_from(n % 3).unwrap();
            let expected = match code {
                0 => Health::Healthy,
                _ => Health::Unhealthy(Failure::Exit { code, output: n.to_string() }),
            };
            assert_eq!(look.health, expected, "{user:?} {n}");
        }
    }
    let name = ServiceName::new("svc").unwrap();
    assert_eq!(batch::remove_marker(container.exec(None, &batch::RUN_ARGV), &name), Ok(true));
    assert_eq!(batch::remove_marker(container.exec(None, &batch::RUN_ARGV), &name), Ok(false));
}

#[test]
fn a_client_that_is_killed_leaves_nothing_in_the_container() {
    let Some(container) = Container::start(&[]) else { return };
    let agent = container.exec(None, &batch::LOOK_ARGV);
    let client = rustix::process::Pid::from_child(&agent.0);
    let text = shell("trap '' TERM HUP; setsid sleep 777 & sleep 777; sleep 777", 60);
    let looks = thread::scope(|scope| {
        let looks = scope.spawn(|| look(agent, std::slice::from_ref(&text)));
        container.until_processes("sleep 777", true);
        rustix::process::kill_process(client, rustix::process::Signal::KILL).unwrap();
        looks.join().unwrap()
    });
    assert!(matches!(looks[0].health, Health::Unknown(Unknown::CutOff(_))), "{:?}", looks[0]);
    container.until_processes("sleep 777", false);
    container.until_processes(":rcvy:", false);
}

#[test]
fn a_container_that_cannot_fork_says_nothing_of_its_services() {
    let Some(container) = Container::start(&["--pids-limit", "12"]) else { return };
    let checks: Vec<HealthCheck> = (0..20).map(|_| shell("sleep 1; exit 0", 20)).collect();
    for look in container.look(None, &checks) {
        assert!(!matches!(look.health, Health::Unhealthy(_)), "{look:?}");
    }
    container.until_processes(":rcvy:", false);
    container.until_processes("sleep 1\n", false);
}

#[test]
fn a_paused_container_says_nothing_of_its_services() {
    let Some(container) = Container::start(&[]) else { return };
    let agent = container.exec(None, &batch::LOOK_ARGV);
    let text = shell("sleep 2; exit 0", 3);
    let looks = thread::scope(|scope| {
        let looks = scope.spawn(|| look(agent, std::slice::from_ref(&text)));
        container.until_processes("sleep 2", true);
        docker(&["pause", &container.id]);
        looks.join().unwrap()
    });
    assert!(matches!(looks[0].health, Health::Unknown(Unknown::Frozen { .. })), "{:?}", looks[0]);
    let paused = container.look(None, &[shell("exit 0", 3)]);
    assert!(
        matches!(&paused[0].health, Health::Unknown(Unknown::ContainerState { state, .. }) if state == "paused"),
        "{:?}",
        paused[0]
    );
    docker(&["unpause", &container.id]);
    container.until_processes("sleep 2", false);
    container.until_processes(":rcvy:", false);
}

#[test]
fn what_a_restart_command_starts_lives_on() {
    let Some(container) = Container::start(&[]) else { return };
    let name = ServiceName::new("svc").unwrap();
    let text = "pkill -f 'sleep 888' || true; sh -c 'while sleep 1; do echo alive; done' & sleep 888 &";
    let command = RestartCommand {
        service: &name,
        text,
        env: &[],
        user: None,
        log_path: None,
        timeout: Duration::from_secs(20),
    };
    let agent = container.exec(None, &batch::RUN_ARGV);
    let result = batch::run(agent, &command, &Interrupt::default(), &mut || Overrun::End);
    assert_eq!(result, RunResult::Exited(0));
    container.until_processes("sleep 888", true);
    // Its output goes where the container's own goes.
    let end = Instant::now() + Duration::from_secs(20);
    while !words(&docker(&["logs", &container.id])).contains("alive\nalive") {
        assert!(Instant::now() < end, "what it started prints nothing");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_missing_container_and_an_unknown_user_are_told() {
    let Some(container) = Container::start(&[]) else { return };
    let user = container.look(Some("nobody9"), &[shell("exit 0", 3)]);
    assert!(matches!(user[0].health, Health::Unknown(Unknown::Other(_))), "{:?}", user[0]);
    let gone = Container { id: "recovery-batch-test-gone".into() };
    let looks = gone.look(None, &[shell("exit 0", 3)]);
    // Whoever asked knows its name.
    let expected = Health::Unknown(Unknown::NoSuchContainer("the container".into()));
    assert_eq!(looks[0].health, expected);
}
