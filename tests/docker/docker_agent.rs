//! The agent in real containers that make it hard: shared process ids, an environment like the agent's own, images of
//! another busybox.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use crate::common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::docker::{Container, docker_ok, require_docker, required, skipped, unique_name};
use common::fixture::{Fixture, LIMIT};
use common::inside::{custom, idle, observed};
use common::run;
use common::until::until;
use serde_json::json;

/// Runs a pass over that service as cron does, by a shell that has its name in its arguments.
fn by_cron(fixture: &Fixture, name: &str) -> i32 {
    let pass = fixture.command(&["run", "--service", name]);
    let words = std::iter::once(pass.get_program()).chain(pass.get_args());
    let text: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{}; exit $?", text.join(" ")));
    for (key, value) in pass.get_envs() {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    run::within(LIMIT, shell, b"").code
}

#[test]
fn in_a_container_that_shares_the_machine_s_process_ids_no_pass_is_a_service() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = Container::start(docker, image, &["--pid=host"], &[]);
        let name = unique_name();
        let client = unique_name();
        let mut fixture = Fixture::new();
        let by_name =
            |pattern: &str| observed(&container, json!({"type": "process", "process_name": pattern}));
        fixture.service(&name, by_name(&name));
        assert_eq!(by_cron(&fixture, &name), 1, "{image}: {}", fixture.log());
        assert_eq!(fixture.count("(reason: no matching process"), 1, "{image}: {}", fixture.log());
        // The client of this very look has the container's id in its arguments.
        fixture.service(&client, by_name(&format!("exec .*{}", container.id)));
        assert_eq!(by_cron(&fixture, &client), 1, "{image}: {}", fixture.log());
        // What really runs is seen, by whatever pass.
        let mut real = Command::new("sleep").arg0_named(&name).spawn().unwrap();
        let code = by_cron(&fixture, &name);
        real.kill().unwrap();
        real.wait().unwrap();
        assert_eq!(code, 0, "{image}: {}", fixture.log());
    }
}

trait Named {
    fn arg0_named(&mut self, name: &str) -> &mut Self;
}

impl Named for Command {
    fn arg0_named(&mut self, name: &str) -> &mut Self {
        std::os::unix::process::CommandExt::arg0(self, name).arg("600")
    }
}

#[test]
fn the_agent_of_a_container_whose_process_ids_are_shared_is_known() {
    let Some(docker) = require_docker() else { return };
    for (image, agent) in [("debian", &["sh", "-s", ":rcvy:"][..]), ("busybox", &["sh", "-s", ":rcvy:"][..])]
    {
        let other = idle(docker, image);
        let mut client = Command::new("docker");
        client.args(["exec", "-i", &other.id]).args(agent).stdin(Stdio::piped());
        let mut client = client.spawn().unwrap();
        until("the other agent runs", LIMIT, || {
            other
                .processes()
                .iter()
                .any(|line| line.starts_with("sh ") && line.ends_with(":rcvy:"))
                .then_some(())
        });
        let container = Container::start(docker, image, &[&format!("--pid=container:{}", other.id)], &[]);
        let mut fixture = Fixture::new();
        fixture.service("web", observed(&container, json!({"type": "process", "process_name": ":rcvy:"})));
        fixture.pass().expect_code(1);
        client.kill().unwrap();
        client.wait().unwrap();
    }
}

#[test]
fn an_image_s_own_variables_and_functions_change_nothing() {
    let Some(docker) = require_docker() else { return };
    let variables = [
        "N=1",
        "E=exit 9",
        "B=/bin/false",
        "O=x",
        "OLD=1",
        "d=x",
        "f=x",
        "c=exit 8",
        "tools=curl",
        "PIECES=x",
        "BASH_VERSION=5",
        "IFS=e",
        "TMOUT=1",
        "FUNCNEST=1",
        "SHELLOPTS=noglob:nounset",
        "BASH_FUNC_printf%%=() { :; }",
        "BASH_FUNC_read%%=() { :; }",
        "RECOVERY_CHECK=mine",
    ];
    let nonce = regex::Regex::new("[0-9a-f]{32}").unwrap();
    let options: Vec<&str> = variables.iter().flat_map(|variable| ["--env", variable]).collect();
    for image in ["debian", "dash", "busybox"] {
        let container =
            Container::start(docker, image, &options, &["httpd", "-f", "-p", "8080", "-h", "/www"]);
        let container =
            if image == "busybox" { Container::start(docker, image, &options, &[]) } else { container };
        let mut fixture = Fixture::new();
        let look = |check: serde_json::Value| observed(&container, check);
        let own =
            "test \"$N$E$B$O$c\" = \"1exit 9/bin/falsexexit 8\"; s=$?; echo \"$N $E $B $O $c\"; exit $s";
        fixture.service("own", look(json!({"type": "custom", "command": own})));
        // It looks at nothing that is shared, so it goes with the others.
        let late = "sleep 2; test \"$N\" = 1";
        fixture.service("late", look(json!({"type": "custom", "command": late})));
        let process = if image == "busybox" { "sleep" } else { "httpd" };
        fixture.service("process", look(json!({"type": "process", "process_name": process})));
        fixture.pass().expect_code(0);
        let restart = "env >/tmp/seen; touch /tmp/up";
        fixture.service("web", custom(&container, "test -e /tmp/up", restart));
        fixture.pass().expect_code(0);
        let seen = container.sh("cat /tmp/seen");
        assert!(seen.lines().any(|line| line == "N=1"), "{image}: {seen}");
        assert!(!seen.contains("rcvy") && !seen.contains("RCVY"), "{image}: {seen}");
        // The only long hexadecimal number there could be is a nonce of ours.
        assert!(!nonce.is_match(&seen), "{image}: {seen}");
    }
}

/// The busybox that this machine does not have in PATH, static or dynamic, below that folder.
fn other_busybox(folder: &Path) -> Option<()> {
    let own = Command::new("sh").args(["-c", "ldd \"$(command -v busybox)\" 2>&1"]).output().unwrap();
    let own = String::from_utf8_lossy(&own.stdout).into_owned();
    let package = if own.contains(".so") { "busybox-static" } else { "busybox" };
    let text = format!("apt-get download -qq {package} && dpkg -x ./*.deb root");
    let done = Command::new("timeout").args(["120", "sh", "-c", &text]).current_dir(folder).output().unwrap();
    if !done.status.success() {
        assert!(!required(), "no {package}: {}", String::from_utf8_lossy(&done.stderr));
        skipped(&format!("{package} cannot be had"));
        return None;
    }
    let program = ["root/bin/busybox", "root/usr/bin/busybox"].map(|path| folder.join(path));
    std::fs::create_dir(folder.join("bin")).unwrap();
    symlink(program.iter().find(|path| path.exists()).unwrap(), folder.join("bin/busybox")).unwrap();
    Some(())
}

#[test]
fn the_images_are_built_with_a_static_and_a_dynamic_busybox() {
    let Some(_) = require_docker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(()) = other_busybox(folder.path()) else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-images.sh");
    let mut build = Command::new(script);
    build.env("RECOVERY_TEST_IMAGES", "recovery-test-other-busybox");
    build.env("PATH", format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap()));
    run::within(Duration::from_secs(180), build, b"").expect_code(0);
    for image in ["debian", "dash", "busybox"] {
        let name = unique_name();
        let full = format!("recovery-test-other-busybox/{image}");
        let id = docker_ok(&["run", "--detach", "--network=none", "--name", &name, &full]);
        let container = Container { id, name };
        let mut fixture = Fixture::new();
        let mut web = custom(&container, "", "httpd -f -p 8080 -h /www &");
        let url = "http://localhost:8080/health";
        web["health_check"] = json!({"type": "http", "endpoint": url, "timeout_seconds": 5});
        fixture.service("web", web);
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Successfully recovered web"), 1, "{image}: {}", fixture.log());
        let look = |check: serde_json::Value| observed(&container, check);
        fixture.service("process", look(json!({"type": "process", "process_name": "httpd -f"})));
        fixture.service("custom", look(json!({"type": "custom", "command": "test -e /www/health"})));
        let tcp = look(json!({"type": "tcp", "port": 8080}));
        if image != "dash" {
            fixture.service("tcp", tcp);
        }
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Health check failed"), 1, "{image}: {}", fixture.log());
    }
}
