//! Real containers. Without an engine the tests that need one say that they are skipped; where
//! `RECOVERY_REQUIRE_DOCKER=1` is set they fail instead.

use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::run::{self, Finished};
use super::until::until;

/// How long the engine may take for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// Proof that an engine answers and the test images are there.
#[derive(Debug, Clone, Copy)]
pub struct Docker(());

/// `None`, after saying so on standard error, where no engine answers.
pub fn require_docker() -> Option<Docker> {
    static READY: OnceLock<bool> = OnceLock::new();
    let ready = *READY.get_or_init(|| {
        let answers = engine_answers();
        if answers {
            build_images();
        }
        answers
    });
    if ready {
        return Some(Docker(()));
    }
    assert!(!required(), "no container engine answers, and RECOVERY_REQUIRE_DOCKER=1 is set");
    skipped("no container engine");
    None
}

/// Says so on the real standard error: `eprintln!` of a test that passes is not shown.
pub fn skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {reason} ({test})");
}

/// Whether a missing engine is a failure here.
pub fn required() -> bool {
    std::env::var_os("RECOVERY_REQUIRE_DOCKER").is_some_and(|value| value == "1")
}

fn engine_answers() -> bool {
    // `timeout`, since an engine can accept the connection and never answer.
    let mut probe = Command::new("timeout");
    probe.args(["-k", "1", "10", "docker", "version", "--format", "{{.Server.Version}}"]);
    probe.output().is_ok_and(|output| output.status.success())
}

fn build_images() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-images.sh");
    run::within(Duration::from_secs(180), Command::new(script), b"").expect_code(0);
}

/// Runs `docker` with these arguments, whatever its exit code.
pub fn docker(args: &[&str]) -> Finished {
    let mut command = Command::new("docker");
    command.args(args);
    run::within(LIMIT, command, b"")
}

/// The same where failing is a defect of the test; its standard output without the last newline.
#[track_caller]
pub fn docker_ok(args: &[&str]) -> String {
    docker(args).expect_code(0).stdout.trim_end().to_owned()
}

/// A running container, removed at Drop.
pub struct Container {
    /// Its full id.
    pub id: String,
    /// Its unique name.
    pub name: String,
}

/// The state of a container as the engine words it (`running`, `exited`, …), with its last exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `running`, `exited`, `paused`, `restarting`, `created`, `dead`.
    pub status: String,
    /// The last exit code.
    pub exit_code: i32,
    /// When it was started last, as the engine words it: another text means that it was started again.
    pub started_at: String,
}

impl Container {
    /// Runs `recovery-test/IMAGE` detached, with further options of `docker run`, and `command` instead of the
    /// image's own where that is not empty.
    #[track_caller]
    pub fn start(_: Docker, image: &str, options: &[&str], command: &[&str]) -> Self {
        let name = unique_name();
        let image = format!("recovery-test/{image}");
        let mut args = vec!["run", "--detach", "--name", &name];
        // No test reaches the outside, unless it asks for a network to be reached by.
        if !options.iter().any(|option| option.starts_with("--net")) {
            args.push("--network=none");
        }
        args.extend_from_slice(options);
        args.push(&image);
        args.extend_from_slice(command);
        let id = docker_ok(&args);
        Self { id, name }
    }

    /// Runs a command in it, whatever its exit code.
    pub fn exec(&self, command: &[&str]) -> Finished {
        let mut args = vec!["exec", &self.id];
        args.extend_from_slice(command);
        docker(&args)
    }

    /// Runs shell text in it that must succeed; its output without the last newline.
    #[track_caller]
    pub fn sh(&self, text: &str) -> String {
        self.exec(&["sh", "-c", text]).expect_code(0).stdout.trim_end().to_owned()
    }

    /// Starts a program in it that outlives the call.
    #[track_caller]
    pub fn spawn(&self, text: &str) {
        docker_ok(&["exec", "--detach", &self.id, "sh", "-c", text]);
    }

    /// Its state now.
    #[track_caller]
    pub fn state(&self) -> State {
        let format = "{{.State.Status}}\n{{.State.ExitCode}}\n{{.State.StartedAt}}";
        let text = docker_ok(&["inspect", "--format", format, &self.id]);
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().expect("three lines were asked for");
        let status = next();
        State { status, exit_code: next().parse().expect("an exit code"), started_at: next() }
    }

    /// Waits until it has that status.
    #[track_caller]
    pub fn wait_for(&self, status: &str) {
        until(&format!("{} {status}", self.name), LIMIT, || (self.state().status == status).then_some(()));
    }

    /// The address under which the machine reaches it, where it was started with a network.
    #[track_caller]
    pub fn address(&self) -> String {
        docker_ok(&[
            "inspect",
            "--format",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            &self.id,
        ])
    }

    /// The command lines of its living processes as the machine sees them: no tool of the container is needed,
    /// and none of the asking is among them. The dead ones that its first process does not reap are left out.
    #[track_caller]
    pub fn processes(&self) -> Vec<String> {
        let text = docker_ok(&["top", &self.id, "-eo", "pid,args"]);
        let args = |line: &str| {
            line.trim_start().split_once(char::is_whitespace).map(|(_, args)| args.trim().to_owned())
        };
        text.lines().skip(1).filter_map(args).filter(|line| !line.ends_with("<defunct>")).collect()
    }

    /// How many living processes it has.
    #[track_caller]
    pub fn pid_count(&self) -> usize {
        self.processes().len()
    }

    /// How many of them have `text` in their command line.
    #[track_caller]
    pub fn count(&self, text: &str) -> usize {
        self.processes().iter().filter(|line| line.contains(text)).count()
    }

    /// How many lines a file in it has, 0 where there is none: for restarts that count themselves with
    /// `echo x >> FILE`.
    #[track_caller]
    pub fn lines_of(&self, file: &str) -> usize {
        self.sh(&format!("cat '{file}' 2>/dev/null | wc -l")).trim().parse().expect("a number")
    }

    /// `docker ACTION CONTAINER`, which must succeed: `pause`, `unpause`, `start`, `kill`, …
    #[track_caller]
    pub fn act(&self, action: &str) {
        docker_ok(&[action, &self.id]);
    }

    /// Stops it as a person would, without waiting for a program that has no TERM handler.
    #[track_caller]
    pub fn stop(&self) {
        docker_ok(&["stop", "--time", "1", &self.id]);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ =
            Command::new("timeout").args(["60", "docker", "rm", "--force", "--volumes", &self.id]).output();
    }
}

/// A name that no other test process and no earlier run has.
pub fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("recovery-test-{:x}-{}-{number}", since_epoch.subsec_nanos(), std::process::id())
}
