//! Whole passes of the binary over real containers: something is really down, and is really up afterwards.

use crate::common;

use std::process::Command;
use std::time::Duration;

use common::docker::{Container, Docker, require_docker};
use common::fixture::{Fixture, LIMIT};
use common::hook::Hook;
use common::ntfy::Ntfy;
use common::run;
use common::until::until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// As operators write it: the name that is killed stands in the command that kills it.
const RESTART: &str = "pkill -f 'httpd -f' || true; echo x >> /tmp/restarts; httpd -f -p 8080 -h /www &";

/// A service `web` on port 8080 of that container, which is old enough to be restarted at once.
fn web(container: &Container, restart_cmd: &str) -> Value {
    json!({
        "container": container.name,
        "health_check": {"type": "http", "endpoint": "http://localhost:8080/health", "timeout_seconds": 3},
        "restart_cmd": restart_cmd,
        "restart": "command",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 10,
        "start_period_seconds": 0
    })
}

fn idle(docker: Docker, image: &str) -> Container {
    Container::start(docker, image, &[], &[])
}

/// Kills the service and starts it anew `image` by `image`, whatever shell and tools there are.
fn recovers_in(image: &str, restart_cmd: &str) {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, image);
    let mut fixture = Fixture::new();
    fixture.service("web", web(&container, restart_cmd));

    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(container.lines_of("/tmp/restarts"), 1);
    assert_eq!(container.count("httpd -f -p 8080"), 1, "{:?}", container.processes());

    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Health check passed for web"), 1, "{}", fixture.log());
    assert_eq!(container.lines_of("/tmp/restarts"), 1);
    assert_eq!(container.pid_count(), 2, "nothing of ours stays: {:?}", container.processes());
}

#[test]
fn a_dead_service_is_recovered_with_bash_and_curl() {
    recovers_in("debian", RESTART);
}

#[test]
fn a_dead_service_is_recovered_with_dash_and_wget_and_no_timeout() {
    recovers_in("dash", RESTART);
}

#[test]
fn a_dead_service_is_recovered_with_nothing_but_busybox() {
    recovers_in("busybox", "echo x >> /tmp/restarts; httpd -f -p 8080 -h /www &");
}

#[test]
fn a_program_left_in_the_background_holds_no_pipe_of_a_pass() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    fixture.service("web", web(&container, RESTART));
    let done = run::through_pipes(LIMIT, fixture.command(&["run"]));
    assert_eq!(done.code, 0, "{}", fixture.log());
}

#[test]
fn a_dead_process_is_not_found_in_the_words_of_its_own_check() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let mut service = web(&container, RESTART);
    service["health_check"] = json!({"type": "process", "process_name": "httpd -f -p 8080"});
    fixture.service("web", service.clone());
    service["health_check"] = json!({"type": "custom", "command": "sleep 1; echo httpd -f -p 8080"});
    service["restart"] = json!("none");
    fixture.service("beside", service);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Health check passed for beside"), 1, "{}", fixture.log());
}

#[test]
fn a_hanging_check_leaves_no_process_behind() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = idle(docker, image);
        let mut fixture = Fixture::new();
        let mut service = web(&container, RESTART);
        let command = "trap '' TERM; (sleep 4321 & sleep 4322) & setsid sleep 4323 & sleep 4324";
        service["health_check"] = json!({"type": "custom", "command": command, "timeout_seconds": 1});
        service["restart"] = json!("none");
        fixture.service("web", service);
        fixture.pass().expect_code(1);
        until("the end of the check", SOON, || (container.count("sleep 432") == 0).then_some(()));
    }
}

#[test]
fn what_a_person_stopped_or_paused_is_left_alone() {
    let Some(docker) = require_docker() else { return };
    let (stopped, paused) = (idle(docker, "debian"), idle(docker, "debian"));
    let mut fixture = Fixture::new();
    fixture.service("stopped", web(&stopped, RESTART)).service("paused", web(&paused, RESTART));
    stopped.stop();
    paused.act("pause");
    let before = stopped.state();
    fixture.pass().expect_code(69);
    assert_eq!(fixture.count("stopped manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Cannot check paused"), 1, "{}", fixture.log());
    assert_eq!(stopped.state(), before);
    assert_eq!(paused.state().status, "paused");
}

#[test]
fn a_container_that_died_by_itself_is_started() {
    let Some(docker) = require_docker() else { return };
    let command = "while [ ! -e /tmp/die ]; do sleep 0.1; done; rm /tmp/die; exit 3";
    let container = Container::start(docker, "debian", &[], &["sh", "-c", command]);
    let mut fixture = Fixture::new();
    let mut service = web(&container, RESTART);
    service["health_check"] = json!({"type": "custom", "command": "true"});
    service["restart"] = json!("container");
    fixture.service("web", service);
    fixture.pass().expect_code(0);
    container.sh("touch /tmp/die");
    container.wait_for("exited");
    fixture.pass().expect_code(0);
    assert_eq!(container.state().status, "running");
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
}

#[test]
fn an_image_without_a_shell_is_looked_at_from_the_machine_and_restarted_as_a_container() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "noshell", &["--network=bridge"], &[]);
    let mut fixture = Fixture::new();
    let endpoint = format!("http://{}:8080", container.address());
    let check =
        |path: &str| json!({"type": "http", "endpoint": format!("{endpoint}{path}"), "from": "machine"});
    let mut service = web(&container, RESTART);
    service["restart_cmd"] = Value::Null;
    service["restart"] = json!("container");
    service["startup_timeout_seconds"] = json!(3);
    service["health_check"] = check("/health");
    fixture.service("web", service.clone());
    fixture.pass().expect_code(0);
    let before = container.state();
    service["health_check"] = check("/nothing-here");
    fixture.service("web", service.clone());
    fixture.pass().expect_code(1);
    assert_ne!(container.state().started_at, before.started_at);

    // From inside there is nothing to look with: not down, and nothing is restarted.
    let before = container.state();
    service["health_check"] = json!({"type": "http", "endpoint": "http://localhost:8080/health"});
    fixture.service("web", service);
    fixture.pass().expect_code(69);
    assert_eq!(container.state(), before);
}

#[test]
fn twenty_passes_at_once_restart_it_once() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    fixture.service("web", web(&container, RESTART));
    // All prepared first: each preparation writes the configuration, which no running pass may see half written.
    let commands: Vec<Command> = (0..20).map(|_| fixture.command(&["run"])).collect();
    std::thread::scope(|scope| {
        for command in commands {
            scope.spawn(|| run::within(LIMIT, command, b"").expect_code(0));
        }
    });
    assert_eq!(container.lines_of("/tmp/restarts"), 1, "{}", fixture.log());
    assert_eq!(container.count("httpd -f -p 8080"), 1);
}

#[test]
fn a_service_that_does_not_come_up_is_given_up_and_told_once() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    let mut service = web(&container, "echo x >> /tmp/restarts; exit 7");
    service["startup_timeout_seconds"] = json!(0);
    service["display_name"] = json!("Web");
    fixture.service("web", service).ntfy(&ntfy);
    for _ in 0..5 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(container.lines_of("/tmp/restarts"), 3, "{}", fixture.log());
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Crash Loop"]);
    fixture.run(&["reset", "web"]).expect_code(0);
    fixture.pass().expect_code(1);
    assert_eq!(container.lines_of("/tmp/restarts"), 4);
}

#[test]
fn programs_are_told_of_an_outage_its_degradation_and_its_end() {
    let Some(docker) = require_docker() else { return };
    let (container, hook) = (idle(docker, "debian"), Hook::start());
    let mut fixture = Fixture::new();
    fixture.service("web", web(&container, RESTART));
    fixture.config["notifications"] = json!({"webhook": {"url": hook.url("/status")}});
    fixture.pass().expect_code(0);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"], "{}", fixture.log());
    for event in hook.events() {
        assert_eq!((&event["container_name"], &event["action"]), (&json!(container.name), &json!("restart")));
    }
    assert_eq!(hook.events()[0]["severity"], "recoverable");

    container.exec(&["pkill", "-f", "httpd -f"]).expect_code(0);
    fixture.config["services"]["web"]["restart_cmd"] = json!("exit 7");
    fixture.config["services"]["web"]["startup_timeout_seconds"] = json!(0);
    fixture.config["services"]["web"]["fallback_cmd"] = json!("touch /tmp/reduced");
    for _ in 0..2 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(hook.told()[2..], ["COMPONENT_DEGRADED web"], "{}", fixture.log());
    assert_eq!(hook.events()[2]["action"], "fallback");
    container.spawn("httpd -f -p 8080 -h /www");
    until("it answers", SOON, || (fixture.pass().code == 0).then_some(()));
    assert_eq!(hook.told()[3..], ["COMPONENT_RECOVERED web"], "{}", fixture.log());
}

#[test]
fn a_dry_run_looks_and_changes_nothing() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    fixture.service("web", web(&container, RESTART));
    fixture.run(&["--dry-run"]).expect_code(1);
    assert_eq!(container.lines_of("/tmp/restarts"), 0);
    assert_eq!(fixture.state_files(), []);
    assert_eq!(fixture.log(), "");
}
