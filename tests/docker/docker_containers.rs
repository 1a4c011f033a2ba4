//! Containers that do not run: started where that is wanted, left alone where a person stopped them, told where
//! nothing may be done.

use crate::common;

use common::docker::{Container, Docker, require_docker};
use common::fixture::Fixture;
use common::inside::custom;
use common::ntfy::Ntfy;
use serde_json::{Value, json};

/// Counts its starts, and ends with the code in `/tmp/end` as soon as that is there.
const MORTAL: &str = "echo x >> /tmp/starts; while [ ! -e /tmp/end ]; do sleep 0.05; done; \
                      read -r code < /tmp/end; rm /tmp/end; exit \"$code\"";

fn mortal(docker: Docker) -> Container {
    Container::start(docker, "debian", &[], &["sh", "-c", MORTAL])
}

/// Ends by itself.
fn end(container: &Container, code: &str) {
    container.sh(&format!("echo {code} > /tmp/end.new; mv /tmp/end.new /tmp/end"));
    container.wait_for("exited");
}

/// Up whenever its container runs.
fn service(container: &Container, container_start: Option<&str>) -> Value {
    let mut service = custom(container, "true", "");
    service["restart_cmd"] = Value::Null;
    service["restart"] = json!("container");
    service["container_start"] = json!(container_start);
    service["display_name"] = json!("Web");
    service
}

fn watched(service: Value, ntfy: &Ntfy) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service("web", service).ntfy(ntfy);
    fixture
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Died,
    Finished,
    Stopped,
    Killed,
}

#[derive(Debug, PartialEq)]
enum Then {
    Started,
    /// In silence: a person's word.
    Left,
    /// And told.
    Down,
}

#[track_caller]
fn check(way: Way, container_start: Option<&str>, then: &Then) {
    let Some(docker) = require_docker() else { return };
    let container = mortal(docker);
    let ntfy = Ntfy::start();
    let fixture = watched(service(&container, container_start), &ntfy);
    match way {
        Way::Died => end(&container, "3"),
        Way::Finished => end(&container, "0"),
        Way::Stopped => container.stop(),
        Way::Killed => container.act("kill"),
    }
    container.wait_for("exited");
    let before = container.state();
    fixture.pass().expect_code(i32::from(*then == Then::Down));
    fixture.pass().expect_code(i32::from(*then == Then::Down));
    let log = fixture.log();
    assert_eq!(container.state() != before, *then == Then::Started, "{way:?} {container_start:?}:\n{log}");
    assert_eq!(fixture.count("Successfully recovered web") == 1, *then == Then::Started, "{log}");
    assert_eq!(
        fixture.count("web manually stopped, skipping auto-recovery") == 2,
        *then == Then::Left,
        "{log}"
    );
    let told: &[&str] = if *then == Then::Down { &["Web Down"] } else { &[] };
    assert_eq!(
        ntfy.titles().iter().map(|title| title.replace(&container.name, "Web")).collect::<Vec<_>>(),
        told
    );
}

#[test]
fn a_container_that_died_is_started_unless_that_is_forbidden() {
    check(Way::Died, None, &Then::Started);
    check(Way::Died, Some("always"), &Then::Started);
    check(Way::Died, Some("no"), &Then::Down);
}

#[test]
fn a_container_that_someone_stopped_is_left_alone_unless_it_shall_always_run() {
    check(Way::Stopped, None, &Then::Left);
    check(Way::Stopped, Some("always"), &Then::Started);
    check(Way::Stopped, Some("no"), &Then::Left);
}

#[test]
fn a_container_that_someone_killed_is_left_alone_unless_it_shall_always_run() {
    check(Way::Killed, None, &Then::Left);
    check(Way::Killed, Some("always"), &Then::Started);
}

#[test]
fn a_container_that_finished_is_told_unless_it_shall_always_run() {
    check(Way::Finished, None, &Then::Down);
    check(Way::Finished, Some("always"), &Then::Started);
}

#[test]
fn a_container_with_several_services_is_started_once() {
    let Some(docker) = require_docker() else { return };
    let container = mortal(docker);
    let mut fixture = Fixture::new();
    for name in ["a", "b", "c"] {
        fixture.service(name, custom(&container, "true", "echo x >> /tmp/commands"));
    }
    // One that does not come up with its container gets its command, within the same attempt.
    let mut service = custom(&container, "test -e /tmp/d", "echo x >> /tmp/commands; touch /tmp/d");
    service["startup_timeout_seconds"] = json!(0);
    fixture.service("d", service);
    end(&container, "3");
    fixture.pass().expect_code(0);
    assert_eq!(container.lines_of("/tmp/starts"), 2, "{}", fixture.log());
    assert_eq!(container.lines_of("/tmp/commands"), 1, "{}", fixture.log());
    assert_eq!(fixture.count(&format!("docker start {}", container.name)), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Failed to recover"), 0, "{}", fixture.log());
    fixture.pass().expect_code(0);
    assert_eq!(container.lines_of("/tmp/starts"), 2);
}

#[test]
fn a_container_that_runs_is_restarted_as_a_whole() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &["--stop-timeout=1"], &["sh", "-c", MORTAL]);
    let mut fixture = Fixture::new();
    let mut first = service(&container, None);
    first["health_check"]["command"] = json!("test $(wc -l < /tmp/starts) -ge 2");
    let mut second = custom(&container, "test $(wc -l < /tmp/starts) -ge 2", "exit 0");
    second["restart_cmd"] = Value::Null;
    second["restart"] = json!("container");
    fixture.service("first", first).service("second", second);
    fixture.pass().expect_code(0);
    assert_eq!(container.lines_of("/tmp/starts"), 2, "{}", fixture.log());
    assert_eq!(fixture.count(&format!("docker restart {}", container.name)), 1, "{}", fixture.log());
    fixture.pass().expect_code(0);
    assert_eq!(container.lines_of("/tmp/starts"), 2);
}
