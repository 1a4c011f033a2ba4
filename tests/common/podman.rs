//! A podman with storage, locks and events of a test's own, so that no two of them share anything and the machine's
//! own is not touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::docker::{self, Docker};
use super::run::{self, Finished, there_is};
use super::until::until;

/// How long anything may take it.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs wherever docker does: without a network of its own, overlay or cgroups of systemd.
const SETTINGS: &str = r#"[containers]
default_ulimits = ["nofile=1024:1024", "nproc=2048:2048"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
lock_type = "file"
"#;

/// What podman writes down of what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// All of it.
    Kept,
    /// Nothing, as some set it up.
    None,
}

/// Its containers and all it stores are removed at Drop.
pub struct Podman {
    folder: tempfile::TempDir,
}

impl Podman {
    /// One with these images, `recovery-test/IMAGE`. `None`, after saying so, where podman is missing or cannot run.
    #[track_caller]
    pub fn start(docker: Docker, images: &[&str]) -> Option<Self> {
        Self::keeping(docker, Events::Kept, images)
    }

    /// The same, with that much written down.
    #[track_caller]
    pub fn keeping(_: Docker, events: Events, images: &[&str]) -> Option<Self> {
        if !there_is("podman") {
            assert!(!docker::required(), "no podman, and RECOVERY_REQUIRE_DOCKER=1 is set");
            docker::skipped("no podman");
            return None;
        }
        let podman = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        podman.write_files(events);
        for image in images {
            podman.copy_image(image);
        }
        // Whether it can run depends on kernel, cgroups and runtime, and not on us.
        let tried = podman.call(&["run", "--rm", &format!("recovery-test/{}", images[0]), "true"]);
        if tried.code != 0 {
            docker::skipped(&format!("podman cannot run here: {}", tried.stderr.trim()));
            return None;
        }
        Some(podman)
    }

    /// The command line, to be named as `recovery.engine`.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("podman")
    }

    /// The same under docker's name, as the package `podman-docker` brings it.
    pub fn as_docker(&self) -> PathBuf {
        let path = self.folder.path().join("docker");
        let words = "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.";
        script(&path, &format!("echo '{words}' >&2\nexec {} \"$@\"\n", self.program().display()));
        path
    }

    /// Runs it, whatever the exit code.
    pub fn call(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(self.program());
        command.args(args);
        run::within(LIMIT, command, b"")
    }

    /// The same where failing is a defect of the test; its standard output without the last newline.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.call(args).expect_code(0).stdout.trim_end().to_owned()
    }

    /// Starts a container that runs this shell text.
    #[track_caller]
    pub fn run(&self, name: &str, image: &str, text: &str) {
        let image = format!("recovery-test/{image}");
        self.ok(&["run", "--detach", "--name", name, &image, "sh", "-c", text]);
    }

    /// What its inspection says in this format.
    #[track_caller]
    pub fn inspect(&self, name: &str, format: &str) -> String {
        self.ok(&["inspect", "--type", "container", "--format", format, name])
    }

    /// Waits until it has that status.
    #[track_caller]
    pub fn wait_for(&self, name: &str, status: &str) {
        let is_it = || (self.inspect(name, "{{.State.Status}}") == status).then_some(());
        until(&format!("{name} {status}"), LIMIT, is_it);
    }

    fn write_files(&self, events: Events) {
        let folder = self.folder.path().display();
        let logger = if events == Events::Kept { "file" } else { "none" };
        // The other usual runtime refuses some machines' cgroups.
        let runtime = if there_is("runc") { "runtime = \"runc\"\n" } else { "" };
        let own = format!("events_logger = \"{logger}\"\ntmp_dir = \"{folder}/tmp\"\n{runtime}");
        fs::write(self.folder.path().join("containers.conf"), format!("{SETTINGS}{own}"))
            .expect("its settings are written");
        let storage = format!("--root '{folder}/root' --runroot '{folder}/run' --storage-driver vfs");
        let text =
            format!("export CONTAINERS_CONF='{folder}/containers.conf'\nexec podman {storage} \"$@\"\n");
        script(&self.program(), &text);
    }

    #[track_caller]
    fn copy_image(&self, image: &str) {
        let mut command = Command::new("bash");
        let pipe = "set -o pipefail; docker save \"$1\" | \"$2\" load";
        command.args(["-c", pipe, "copy", &format!("recovery-test/{image}")]).arg(self.program());
        run::within(LIMIT, command, b"").expect_code(0);
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = Command::new("timeout")
            .arg("60")
            .arg(self.program())
            .args(["rm", "-f", "-a", "-t", "0"])
            .output();
    }
}

fn script(path: &std::path::Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("a command line is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("and made executable");
}
