//! A container engine of a test's own, in network and mount namespaces of its own: one that may be stopped, killed,
//! started again and made a Swarm without touching the machine's. Its mounts go with its processes.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::docker::{self, Docker};
use super::run::{self, Finished, there_is};
use super::until::until;

/// How long anything may take it.
const LIMIT: Duration = Duration::from_secs(60);

/// A second `dockerd`. Everything of it is ended and removed at Drop, its containers among it.
pub struct SecondEngine {
    folder: tempfile::TempDir,
    /// Also the name of its control group.
    name: String,
    namespaces: Option<Namespaces>,
    daemon: Option<Child>,
}

impl SecondEngine {
    /// Starts one without images and containers. `None`, after saying so, where that cannot be had.
    #[track_caller]
    pub fn start(_: Docker) -> Option<Self> {
        let tools = ["dockerd", "unshare", "nsenter", "ip"];
        if !rustix::process::geteuid().is_root() || !tools.iter().all(|tool| there_is(tool)) {
            assert!(
                !docker::required(),
                "no second engine, and RECOVERY_REQUIRE_DOCKER=1 is set: {tools:?}, root"
            );
            docker::skipped(&format!("a second engine needs root and {tools:?}"));
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut engine = Self { folder, name: docker::unique_name(), namespaces: None, daemon: None };
        engine.write_files();
        engine.start_again();
        Some(engine)
    }

    /// Copies an image of the machine's engine, `recovery-test/IMAGE`.
    #[track_caller]
    pub fn copy_image(&self, image: &str) {
        let mut command = Command::new("bash");
        let pipe = "set -o pipefail; docker save \"$1\" | docker -H \"$2\" load";
        command.args(["-c", pipe, "copy", &format!("recovery-test/{image}"), &self.host()]);
        run::within(LIMIT, command, b"").expect_code(0);
    }

    /// For `-H` or `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock"))
    }

    /// A `docker` that speaks to it, to be named as `recovery.engine`.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    /// Runs `docker` against it, whatever the exit code.
    pub fn docker(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(self.program());
        command.args(args);
        run::within(LIMIT, command, b"")
    }

    /// The same where failing is a defect of the test; its standard output without the last newline.
    #[track_caller]
    pub fn docker_ok(&self, args: &[&str]) -> String {
        self.docker(args).expect_code(0).stdout.trim_end().to_owned()
    }

    /// Ends it in order, as `systemctl stop docker` does: it stops its containers first.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        if let Some(daemon) = self.daemon.take() {
            run::finish(daemon, LIMIT);
        }
    }

    /// Kills the daemon, and with it its containerd; its containers live on until it is started again.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(daemon) = self.daemon.take() {
            run::finish(daemon, LIMIT);
        }
        until("an ended containerd", LIMIT, || {
            let alive = self.processes().iter().any(|process| process.program() == "containerd");
            (!alive).then_some(())
        });
        self.forget_processes();
    }

    /// Kills everything of it at once, its containers too, as a power cut does.
    pub fn cut_power(&mut self) {
        // What is killed late may have been forked meanwhile.
        until("all of the second engine ended", LIMIT, || {
            let all = self.processes();
            for pid in all.iter().filter_map(|process| Pid::from_raw(process.id)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            if let Some(daemon) = &mut self.daemon {
                let _ = daemon.try_wait();
            }
            all.is_empty().then_some(())
        });
        self.daemon = None;
        self.namespaces = None;
        self.forget_processes();
    }

    /// Where the machine's first process does not reap, the dead would be waited for.
    fn forget_processes(&self) {
        let _ = fs::remove_file(self.path("docker.pid"));
        let _ = fs::remove_file(self.path("exec/containerd/containerd.pid"));
    }

    /// Starts it after [`SecondEngine::stop`], [`SecondEngine::kill`] or [`SecondEngine::cut_power`].
    #[track_caller]
    pub fn start_again(&mut self) {
        let log_file = self.path("log");
        let log = File::options().create(true).append(true).open(log_file).expect("a log file");
        let namespaces = self.namespaces.get_or_insert_with(Namespaces::new);
        let mut command = namespaces.command("dockerd");
        command.args(["--config-file", &self.path("daemon.json")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.daemon = Some(command.spawn().expect("dockerd starts"));
        until("a second engine that answers", LIMIT, || {
            let ended =
                self.daemon.as_mut().is_none_or(|daemon| daemon.try_wait().is_ok_and(|end| end.is_some()));
            assert!(!ended, "{}", fs::read_to_string(self.path("log")).unwrap_or_default());
            (self.docker(&["version"]).code == 0).then_some(())
        });
    }

    fn write_files(&self) {
        let json = format!(
            r#"{{"data-root": "{0}/data", "exec-root": "{0}/exec", "pidfile": "{0}/docker.pid", "hosts": ["unix://{0}/docker.sock"],
                "storage-driver": "vfs", "iptables": false, "ip6tables": false, "cgroup-parent": "/{1}"}}"#,
            self.path(""),
            self.name
        );
        fs::write(self.path("daemon.json"), json).expect("its settings are written");
        let script = format!("#!/bin/sh\nexec docker -H {} \"$@\"\n", self.host());
        fs::write(self.program(), script).expect("its command line is written");
        fs::set_permissions(self.program(), fs::Permissions::from_mode(0o755)).expect("and made executable");
    }

    fn path(&self, name: &str) -> String {
        let path =
            if name.is_empty() { self.folder.path().to_owned() } else { self.folder.path().join(name) };
        path.to_str().expect("a temporary folder in UTF-8").to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.daemon.as_ref().map(Pid::from_child);
        pid.map_or(Ok(()), |pid| kill_process(pid, signal)).expect("the daemon can be signalled");
    }

    /// The living processes of it: all that name its folder in their command line (daemon, containerd, shims), and
    /// what those have started (containers).
    fn processes(&self) -> Vec<Process> {
        let own = self.path("");
        let (mut found, mut others): (Vec<_>, Vec<_>) =
            living().into_iter().partition(|process| process.is_daemon() && process.command.contains(&own));
        let mut next = 0;
        while let Some(parent) = found.get(next).map(|process| process.id) {
            let children = others.extract_if(.., |process| process.parent == parent);
            found.extend(children);
            next += 1;
        }
        found
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        self.cut_power();
        let groups =
            format!("find /sys/fs/cgroup -depth -type d -path '*/{}*' -exec rmdir {{}} +", self.name);
        let _ = Command::new("timeout").args(["60", "sh", "-c", &groups]).output();
    }
}

/// Network and mounts, which last while a process of ours is in them: containers outlive a killed daemon.
struct Namespaces(Child);

impl Namespaces {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "--mount",
            "sh",
            "-c",
            "ip link set lo up && echo ready && exec sleep infinity",
        ]);
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("unshare starts");
        let mut ready = [0; 6];
        let pipe = holder.stdout.as_mut().expect("standard output is a pipe");
        pipe.read_exact(&mut ready).expect("namespaces with a loopback");
        Self(holder)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net", "--mount", program]);
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Process {
    id: i32,
    parent: i32,
    command: String,
}

impl Process {
    /// The name of what it runs.
    fn program(&self) -> &str {
        let path = self.command.split(' ').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Not the clients, which name the folder too.
    fn is_daemon(&self) -> bool {
        self.program() == "dockerd" || self.program().starts_with("containerd")
    }
}

/// All processes but zombies.
fn living() -> Vec<Process> {
    let read = |id: i32| {
        let folder = Path::new("/proc").join(id.to_string());
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let command = String::from_utf8_lossy(&fs::read(folder.join("cmdline")).ok()?).replace('\0', " ");
        (state != "Z").then_some(Process { id, parent, command })
    };
    let ids = fs::read_dir("/proc").expect("/proc is there");
    ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(read).collect()
}
