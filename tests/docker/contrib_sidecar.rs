//! `contrib/docker` on a real engine: the sidecar brings back what dies beside it, remembers across its own
//! replacement, and ends when it is told to; the Dockerfile's steps run; the Compose file comes up.

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::docker::{Container, Docker, docker_ok, require_docker, skipped, unique_name};
use common::fixture::LIMIT;
use common::run::{self, Finished};
use common::sidecar::{FOLDER, Image, Volume, log, said, sidecar, socket};
use common::until::until;
use serde_json::{Value, json};

const SERVING: &str = "httpd -p 8080 -h /www";

#[test]
fn the_sidecar_brings_back_what_dies_beside_it_and_remembers_it() {
    let Some(docker) = require_docker() else { return };
    let Some(socket) = socket() else { return };
    let image = Image::from_local_parts();
    let victim = victim(docker);
    let (folder, volume) = (tempfile::tempdir().expect("a temporary folder"), Volume::create());
    configure(folder.path(), &victim.name);

    let first = sidecar(docker, &image, &socket, folder.path(), &volume, &["--network=none"]);
    said(&first, "Health check passed for web");
    // What has no container is looked at in the sidecar itself.
    said(&first, "Health check passed for here");
    victim.sh("killall httpd");
    said(&first, "Successfully recovered web");
    assert_eq!(serving(&victim), 1);
    assert_eq!(attempts(&first), 1, "{}", log(&first));
    first.exec(&["recovery", "stop", "web"]).expect_code(0);
    docker_ok(&["stop", "--time", "50", &first.id]);
    assert_eq!(first.state().exit_code, 0, "it did not listen to SIGTERM: {}", log(&first));
    drop(first);

    let second = sidecar(docker, &image, &socket, folder.path(), &volume, &["--network=none"]);
    victim.sh("killall httpd");
    said(&second, "web manually stopped, skipping auto-recovery");
    assert_eq!(attempts(&second), 1);
    second.exec(&["recovery", "resume", "web"]).expect_code(0);
    said(&second, "Successfully recovered web");
    assert_eq!(serving(&victim), 1);
}

/// The base images cannot be had here; in their place stand images of local parts, with a `cargo` that hands out
/// the program and an `apt-get` that does nothing. Paths, stages and the result are real.
#[test]
fn the_steps_of_the_dockerfile_run() {
    let Some(_) = require_docker() else { return };
    let parts = Image::from_local_parts();
    let builder = Image::of_steps(&[
        &format!("FROM {}", parts.tag()),
        "RUN /usr/local/bin/busybox --install -s /bin && mkdir /opt && mv /usr/local/bin/recovery /opt",
        "RUN printf '#!/bin/sh\\ntest -f Cargo.lock && test -f src/main.rs && ! test -e target && \
         mkdir -p target/release && cp /opt/recovery target/release/' > /usr/local/bin/cargo",
        "RUN printf '#!/bin/sh\\n' > /usr/local/bin/apt-get && chmod +x /usr/local/bin/*",
    ]);
    let bare =
        Image::of_steps(&[&format!("FROM {}", builder.tag()), "RUN rm /usr/local/bin/docker /opt/recovery"]);

    let bases = [("BUILD_BASE", &builder), ("CLIENT_BASE", &builder), ("RUN_BASE", &bare)];
    let bases = bases.map(|(name, image)| format!("{name}={}", image.tag()));
    let file = format!("{FOLDER}/Dockerfile");
    let mut args: Vec<_> = bases.iter().flat_map(|base| ["--build-arg", base]).collect();
    args.extend(["--file", &file, env!("CARGO_MANIFEST_DIR")]);
    let image = Image::built(&args);

    let run = |program| docker_ok(&["run", "--rm", "--network=none", &image.tag(), program, "--version"]);
    assert_eq!(run("recovery"), concat!("recovery ", env!("CARGO_PKG_VERSION")));
    assert!(run("docker").starts_with("Docker version"));
    let command = docker_ok(&["image", "inspect", "--format", "{{json .Config.Cmd}}", &image.tag()]);
    assert_eq!(command, r#"["/usr/local/bin/passes"]"#);
    docker_ok(&["run", "--rm", "--network=none", &image.tag(), "sh", "-n", "/usr/local/bin/passes"]);
}

#[test]
fn the_compose_file_comes_up() {
    let Some(_) = require_docker() else { return };
    let Some(compose) = compose() else { return skipped("Compose is not installed") };
    if socket().is_none_or(|path| path != "/var/run/docker.sock") {
        return skipped("the engine listens elsewhere than the Compose file says");
    }
    let image = Image::from_local_parts();
    let name = unique_name();
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("config")).expect("a folder");
    // As it ships, but for the victim's name, which the whole engine shares.
    for file in ["compose.yaml", "config/system-config.json"] {
        let text = fs::read_to_string(Path::new(FOLDER).join(file)).expect("it ships");
        let text = text
            .replace("container_name: victim", &format!("container_name: {name}"))
            .replace(r#""container": "victim""#, &format!(r#""container": "{name}""#));
        assert!(text.contains(&name), "{text}");
        fs::write(folder.path().join(file), text).expect("a copy");
    }
    let project = Project { compose, folder, name, image: image.tag() };
    project.run(&["up", "--detach", "--no-build"]).expect_code(0);
    let passed = || project.run(&["logs", "recovery"]).stdout.contains("Health check passed for web");
    until("a pass of the sidecar", LIMIT, || passed().then_some(()));
}

/// Writes what the sidecar looks after: the victim's web server, and something in the sidecar itself.
fn configure(folder: &Path, victim: &str) {
    let config = json!({
        "recovery": {"schedule_seconds": 1, "boot_grace_seconds": 0},
        "services": {
            "web": {
                "container": victim,
                "health_check": {"type": "http", "endpoint": "http://localhost:8080/health"},
                "restart_cmd": SERVING,
                "startup_delay_seconds": 0,
                "start_period_seconds": 0,
                "max_failures": 10
            },
            "here": {"health_check": {"type": "custom", "command": "test -x /usr/local/bin/passes"}}
        }
    });
    fs::write(folder.join("system-config.json"), config.to_string()).expect("the configuration");
}

fn victim(docker: Docker) -> Container {
    let serve = format!("{SERVING}; while :; do sleep 1000; done");
    Container::start(docker, "busybox", &["--init"], &["sh", "-c", &serve])
}

/// How many web servers it has, not counting the shell that names one in its arguments.
fn serving(victim: &Container) -> usize {
    victim.processes().iter().filter(|line| *line == SERVING).count()
}

fn attempts(sidecar: &Container) -> usize {
    let state: Value = serde_json::from_str(&sidecar.sh("cat /var/lib/recovery/web.json")).expect("JSON");
    state["attempts"].as_array().expect("attempts").len()
}

/// The command that Compose has on this machine.
fn compose() -> Option<Vec<&'static str>> {
    let answers = |command: &[&str]| {
        let asked = Command::new(command[0]).args(&command[1..]).arg("version").output();
        asked.is_ok_and(|output| output.status.success())
    };
    [vec!["docker", "compose"], vec!["docker-compose"]].into_iter().find(|command| answers(command))
}

/// A Compose project, taken down with its volume at Drop.
struct Project {
    compose: Vec<&'static str>,
    folder: tempfile::TempDir,
    name: String,
    image: String,
}

impl Project {
    fn run(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(self.compose[0]);
        command.args(&self.compose[1..]).args(["--project-name", &self.name]).args(args);
        command.current_dir(self.folder.path());
        command.env("RECOVERY_IMAGE", &self.image).env("VICTIM_IMAGE", "recovery-test/busybox");
        run::within(LIMIT, command, b"")
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.run(&["down", "--volumes", "--timeout", "30"]);
    }
}
