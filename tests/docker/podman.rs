//! The same promises on a real podman: its listing, errors, events and states are other ones than docker's.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common;

use common::docker::require_docker;
use common::fixture::Fixture;
use common::podman::{Events, Podman};
use common::run;
use serde_json::{Value, json};

/// A program that ends with that code when it is asked to.
fn obeys(code: i32) -> String {
    format!("trap 'exit {code}' TERM; while :; do sleep 0.05; done")
}

fn service(container: &str, command: &str) -> Value {
    json!({
        "container": container,
        "health_check": {"type": "custom", "command": command},
        "restart": "container",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 10,
        "start_period_seconds": 0
    })
}

fn watched(podman: &Podman) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.setting("engine", json!(podman.program()));
    fixture
}

#[test]
fn all_kinds_of_checks_see_into_podmans_containers() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["debian", "noshell"]) else { return };
    podman.run("box", "debian", "busybox httpd -f -p 127.0.0.1:18473 -h /www");
    podman.ok(&["run", "--detach", "--name", "bare", "recovery-test/noshell"]);
    podman.ok(&["create", "--name", "new", "recovery-test/debian"]);
    podman.run("nap", "debian", &obeys(0));
    podman.ok(&["pause", "nap"]);
    let mut fixture = watched(&podman);
    let endpoint = "http://localhost:18473/health";
    let status = json!([{"path": "$.status", "equals": "ok"}]);
    for (name, check) in [
        ("http", json!({"type": "http", "endpoint": endpoint, "expect_json": status})),
        ("tcp", json!({"type": "tcp", "host": "127.0.0.1", "port": 18473})),
        ("process", json!({"type": "process", "process_name": "httpd -f"})),
        ("custom", json!({"type": "custom", "command": "test -e /www/health"})),
    ] {
        let mut service = service("box", "");
        service["health_check"] = check;
        fixture.service(name, service);
    }
    fixture.pass().expect_code(0);
    for (name, container) in [("paused", "nap"), ("gone", "nowhere"), ("created", "new"), ("bare", "bare")] {
        fixture.service(name, service(container, "true"));
    }
    let started = podman.inspect("bare", "{{.State.StartedAt}}");
    fixture.pass().expect_code(69);
    let log = fixture.log();
    for name in ["http", "tcp", "process", "custom"] {
        assert_eq!(fixture.count(&format!("Health check passed for {name} ")), 2, "{log}");
    }
    for (name, why) in [
        ("paused", "container nap is paused"),
        ("gone", "no such container: nowhere"),
        ("created", "container new is created"),
        ("bare", "container bare has no shell"),
    ] {
        let told = |line: &&str| line.contains(&format!("Cannot check {name} ")) && line.contains(why);
        assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    }
    assert_eq!(podman.inspect("nap", "{{.State.Status}}"), "paused");
    assert_eq!(podman.inspect("new", "{{.State.Status}}"), "created");
    assert_eq!(podman.inspect("bare", "{{.State.StartedAt}}"), started);
}

#[test]
fn a_container_of_podman_that_crashed_is_started() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["busybox"]) else { return };
    podman.run("box", "busybox", "[ -e /tmp/up ] && exec sleep 1000; : > /tmp/up; exit 3");
    podman.wait_for("box", "exited");
    let mut fixture = watched(&podman);
    fixture.service("web", service("box", "true"));
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(podman.inspect("box", "{{.State.Status}}"), "running");
}

/// A gentle stop leaves no event that says so, and podman tells of no signal.
#[test]
fn a_container_of_podman_that_someone_stopped_is_left_alone() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["busybox"]) else { return };
    let deaf = "trap '' TERM; while :; do sleep 0.05; done";
    let ways: [(&str, &str, &[&str]); 6] = [
        ("gentle", &obeys(0), &["stop", "gentle"]),
        ("refusing", &obeys(1), &["stop", "refusing"]),
        ("odd", &obeys(77), &["stop", "odd"]),
        ("deaf", deaf, &["stop", "--time", "1", "deaf"]),
        ("deafest", deaf, &["stop", "--time", "0", "deafest"]),
        ("killed", deaf, &["kill", "killed"]),
    ];
    let mut fixture = watched(&podman);
    for (name, text, end) in &ways {
        podman.run(name, "busybox", text);
        podman.ok(end);
        podman.wait_for(name, "exited");
        fixture.service(name, service(name, "true"));
    }
    fixture.pass().expect_code(0);
    fixture.pass().expect_code(0);
    for (name, ..) in &ways {
        let phrase = format!("{name} manually stopped, skipping auto-recovery");
        assert_eq!(fixture.count(&phrase), 2, "{}", fixture.log());
        assert_eq!(podman.inspect(name, "{{.State.Status}}"), "exited", "{name}");
    }
}

#[test]
fn a_container_of_podman_that_is_being_stopped_is_not_looked_into() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["busybox"]) else { return };
    podman.run("box", "busybox", "trap '' TERM; while :; do sleep 0.05; done");
    let mut fixture = watched(&podman);
    fixture.service("web", service("box", "false"));
    let mut stop = Command::new(podman.program());
    stop.args(["stop", "--time", "5", "box"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let stop = stop.spawn().expect("podman starts");
    podman.wait_for("box", "stopping");
    fixture.pass().expect_code(69);
    run::finish(stop, Duration::from_secs(60));
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("container box is stopping"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("web manually stopped"), 1, "{}", fixture.log());
    assert_eq!(podman.inspect("box", "{{.State.Status}}"), "exited");
}

#[test]
fn without_podmans_events_the_exit_code_decides() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::keeping(docker, Events::None, &["busybox"]) else { return };
    podman.run("crashed", "busybox", "[ -e /tmp/up ] && exec sleep 1000; : > /tmp/up; exit 3");
    podman.run("stopped", "busybox", &obeys(0));
    podman.ok(&["stop", "stopped"]);
    podman.wait_for("crashed", "exited");
    let mut fixture = watched(&podman);
    fixture.service("web", service("crashed", "true")).service("db", service("stopped", "true"));
    // Nobody can tell who ended the other one, so it is left alone and told.
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("left_because: nobody can tell any more"), 1, "{}", fixture.log());
    assert_eq!(podman.inspect("stopped", "{{.State.Status}}"), "exited");
}

#[test]
fn a_failing_service_of_podman_has_its_container_restarted() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["busybox"]) else { return };
    podman.run("box", "busybox", &format!("echo x >> /tmp/starts; {}", obeys(0)));
    let mut fixture = watched(&podman);
    fixture.service("web", service("box", "[ $(wc -l < /tmp/starts) -ge 2 ]"));
    fixture.pass().expect_code(0);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(podman.ok(&["exec", "box", "cat", "/tmp/starts"]), "x\nx");
}

#[test]
fn a_dead_service_in_podman_is_restarted_by_its_command_and_lives_on() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["debian"]) else { return };
    podman.run("box", "debian", &obeys(0));
    let mut web = service("box", "");
    web["health_check"] = json!({"type": "http", "endpoint": "http://127.0.0.1:18474/health"});
    web["restart"] = json!("command");
    web["restart_cmd"] = json!(
        "pkill -f 'httpd -f -p 127.0.0.1:18474' || true; busybox httpd -f -p 127.0.0.1:18474 -h /www &"
    );
    let mut fixture = watched(&podman);
    fixture.service("web", web);
    fixture.pass().expect_code(0);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Health check passed for web"), 1, "{}", fixture.log());
}

/// What the package `podman-docker` brings.
#[test]
fn a_docker_that_is_podman_is_known_by_its_answers() {
    let Some(docker) = require_docker() else { return };
    let Some(podman) = Podman::start(docker, &["busybox"]) else { return };
    podman.run("box", "busybox", "[ -e /tmp/up ] && exec sleep 1000; : > /tmp/up; exit 3");
    podman.run("odd", "busybox", &obeys(77));
    podman.ok(&["stop", "odd"]);
    podman.wait_for("box", "exited");
    let mut fixture = watched(&podman);
    fixture.setting("engine", json!(podman.as_docker()));
    fixture.service("web", service("box", "true"));
    fixture.service("odd", service("odd", "true"));
    fixture.pass().expect_code(0);
    fixture.service("gone", service("nowhere", "true"));
    fixture.pass().expect_code(69);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("odd manually stopped"), 2, "{}", fixture.log());
    assert_eq!(fixture.count("no such container: nowhere"), 1, "{}", fixture.log());
}
