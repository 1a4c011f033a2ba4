//! The sidecar of `contrib/docker` on a real engine: its image of local parts, its mounts, its log.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::docker::{Container, Docker, docker, docker_ok, skipped, unique_name};
use super::fixture::LIMIT;
use super::run;
use super::until::until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_recovery");
/// What ships.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/docker");

/// Waits until its log has that.
#[track_caller]
pub fn said(sidecar: &Container, phrase: &str) {
    let heard = || log(sidecar).contains(phrase).then_some(());
    until(&format!("{phrase} in the log of {}", sidecar.name), LIMIT, heard);
}

/// All that it wrote so far.
pub fn log(sidecar: &Container) -> String {
    docker(&["logs", &sidecar.id]).stderr
}

/// With the mounts and variables of the Compose files, hardly any rest, and `more` options of `docker run`.
pub fn sidecar(
    docker: Docker,
    image: &Image,
    socket: &str,
    config: &Path,
    volume: &Volume,
    more: &[&str],
) -> Container {
    let mounts = [
        format!("--volume={socket}:/var/run/docker.sock"),
        format!("--volume={}:/etc/recovery:ro", config.display()),
        format!("--volume={}:/var/lib/recovery", volume.0),
    ];
    let mut options: Vec<_> = mounts.iter().map(String::as_str).collect();
    options.extend(["--env=RECOVERY_TRUST_CONFIG=1", "--env=RECOVERY_REST_SECONDS=1"]);
    options.extend_from_slice(more);
    Container::start(docker, &image.0, &options, &[])
}

/// Where the engine listens; `None`, after saying so, where that is no file that could be mounted.
pub fn socket() -> Option<String> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let path = host.strip_prefix("unix://").map(str::to_owned);
    if path.is_none() {
        skipped("the engine listens on no socket of this machine");
    }
    path
}

/// An image `recovery-test/NAME`, removed at Drop.
pub struct Image(pub String);

impl Image {
    pub fn from_local_parts() -> Self {
        let image = Self(unique_name());
        let mut command = Command::new(format!("{FOLDER}/build-image.sh"));
        command.args([&image.tag(), PROGRAM]);
        run::within(LIMIT, command, b"").expect_code(0);
        image
    }

    /// By the builder that is in every engine: the newer one is a plugin, and would ask registries.
    pub fn built(args: &[&str]) -> Self {
        let image = Self(unique_name());
        let mut command = Command::new("docker");
        command.env("DOCKER_BUILDKIT", "0").args(["build", "--network=none", "--tag", &image.tag()]);
        command.args(args);
        run::within(Duration::from_secs(240), command, b"").expect_code(0);
        image
    }

    pub fn of_steps(steps: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("Dockerfile"), steps.join("\n")).expect("a Dockerfile");
        Self::built(&[&folder.path().to_string_lossy()])
    }

    pub fn tag(&self) -> String {
        format!("recovery-test/{}", self.0)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["image", "rm", "--force", &self.tag()]);
    }
}

/// A volume, removed at Drop.
pub struct Volume(pub String);

impl Volume {
    pub fn create() -> Self {
        Self(docker_ok(&["volume", "create", &unique_name()]))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = docker(&["volume", "rm", "--force", &self.0]);
    }
}
