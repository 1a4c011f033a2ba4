//! What cannot be seen is not touched: containers in every state in which nothing can be said of a service.

use crate::common;

use std::time::{Duration, Instant};

use common::docker::{Container, Docker, docker, docker_ok, require_docker, unique_name};
use common::fake_docker::FakeDocker;
use common::fixture::{Fixture, LIMIT};
use common::inside::{cannot_look, custom, idle, uncounted};
use common::run;
use common::until::until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// A service whose check fails and whose restart would leave a trace.
fn failing(container: &Container) -> Fixture {
    watched(custom(container, "exit 1", "echo x >> /tmp/restarts"))
}

fn watched(service: Value) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service("web", service);
    fixture
}

/// A container that was created and never started.
fn created(_: Docker) -> Container {
    let name = unique_name();
    let id = docker_ok(&["create", "--name", &name, "--network=none", "recovery-test/debian"]);
    Container { id, name }
}

#[test]
fn a_missing_container_is_none_that_is_down() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut service = custom(&container, "exit 1", "exit 0");
    service["container"] = json!(unique_name());
    cannot_look(&watched(service.clone()), 4);

    // The engine itself takes the beginning of an id for a name.
    service["container"] = json!(container.id[..12]);
    let fixture = watched(service);
    cannot_look(&fixture, 1);
    assert!(fixture.log().contains("no such container"), "{}", fixture.log());
}

#[test]
fn a_paused_container_is_left_alone() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let fixture = failing(&container);
    container.act("pause");
    cannot_look(&fixture, 4);
    assert_eq!(container.state().status, "paused");
    container.act("unpause");
    assert_eq!(container.lines_of("/tmp/restarts"), 0);
}

#[test]
fn a_created_container_is_left_alone() {
    let Some(docker) = require_docker() else { return };
    let container = created(docker);
    cannot_look(&failing(&container), 4);
    assert_eq!(container.state().status, "created");
}

#[test]
fn a_container_that_the_engine_restarts_again_and_again_is_left_alone() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &["--restart=always"], &["sh", "-c", "exit 3"]);
    // The engine doubles its wait from 0.1 s on: late enough, a pass fits into one.
    let restarts = || docker_ok(&["inspect", "--format", "{{.RestartCount}}", &container.id]);
    let fixture = failing(&container);
    until("a long wait of the engine", LIMIT, || {
        let many = restarts().parse::<u32>().expect("a number") >= 7;
        (many && container.state().status == "restarting").then_some(())
    });
    cannot_look(&fixture, 1);
    assert!(fixture.log().contains("is restarting"), "{}", fixture.log());
}

#[test]
fn a_dead_container_is_left_alone() {
    for state in ["dead", "removing"] {
        let mut fake = FakeDocker::new();
        fake.containers(&[("box", state)]);
        let mut fixture = watched(json!({
            "container": "box",
            "health_check": {"type": "custom", "command": "exit 1"},
            "restart_cmd": "exit 0"
        }));
        fixture.fake_docker(&fake);
        cannot_look(&fixture, 4);
        assert_eq!(fake.calls_of("start"), []);
        assert_eq!(fake.calls_of("exec"), []);
    }
}

#[test]
fn a_container_at_its_limit_of_processes_is_not_down() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &["--pids-limit", "12"], &[]);
    container.spawn("for i in 1 2 3 4 5 6 7; do sleep 7777 & done");
    until("its processes", SOON, || (container.count("sleep 7777") == 7).then_some(()));
    let mut fixture = failing(&container);
    let healthy =
        custom(&container, "sleep 0.2; cat /proc/self/stat | cat >/dev/null", "echo x >> /tmp/restarts");
    for number in 0..8 {
        fixture.service(&format!("web-{number}"), healthy.clone());
    }
    fixture.service("web", healthy);
    let done = fixture.pass();
    assert_eq!(done.code, 69, "{}", fixture.log());
    uncounted(&fixture);
    // What was just ended may still count against the limit.
    until("a look at the file", SOON, || match container.exec(&["test", "-e", "/tmp/restarts"]).code {
        0 => panic!("it was restarted"),
        1 => Some(()),
        _ => None,
    });
}

#[test]
fn a_container_that_is_paused_in_the_middle_of_a_check_is_not_down() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut service = custom(&container, "touch /tmp/begun; sleep 0.5", "echo x >> /tmp/restarts");
    service["health_check"]["timeout_seconds"] = json!(1);
    let fixture = watched(service);
    let pass = fixture.command(&["run"]);
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| run::within(LIMIT, pass, b""));
        until("the check", SOON, || (container.exec(&["test", "-e", "/tmp/begun"]).code == 0).then_some(()));
        container.act("pause");
        // More than one and a half time-outs and a second: what comes then says nothing.
        let thaw = Instant::now() + Duration::from_secs(4);
        until("a long time", SOON, || (Instant::now() > thaw).then_some(()));
        container.act("unpause");
        pass.join().expect("the pass ends").expect_code(69);
    });
    uncounted(&fixture);
    assert_eq!(fixture.count("Cannot check web"), 1, "{}", fixture.log());
    until("the end of the look", SOON, || (container.pid_count() == 1).then_some(()));
}

#[test]
fn an_image_without_a_shell_is_not_down() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "noshell", &["--network=bridge"], &[]);
    let before = container.state();
    let fixture = watched(json!({
        "container": container.name,
        "health_check": {"type": "process", "process_name": "httpd"},
        "start_period_seconds": 0
    }));
    cannot_look(&fixture, 4);
    assert!(fixture.log().contains("has no shell"), "{}", fixture.log());
    let from_machine = watched(json!({
        "container": container.name,
        "health_check": {"type": "tcp", "host": container.address(), "port": 8080, "from": "machine"}
    }));
    from_machine.pass().expect_code(0);
    assert_eq!(container.state(), before);
}

#[test]
fn a_container_that_is_removed_during_a_look_is_not_down() {
    let Some(docker_here) = require_docker() else { return };
    let container = idle(docker_here, "debian");
    let fixture = watched(custom(&container, "touch /tmp/begun; sleep 2; exit 1", "exit 0"));
    let pass = fixture.command(&["run"]);
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| run::within(LIMIT, pass, b""));
        until("the check", SOON, || (container.exec(&["test", "-e", "/tmp/begun"]).code == 0).then_some(()));
        docker(&["rm", "--force", &container.id]).expect_code(0);
        pass.join().expect("the pass ends").expect_code(69);
    });
    uncounted(&fixture);
}
