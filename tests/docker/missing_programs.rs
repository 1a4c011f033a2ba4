//! Checks that lack a program, in real containers of each shell.

use crate::common;

use std::time::Duration;

use common::check_forms::{PREPARE, wrong};
use common::docker::{Container, require_docker};
use common::fixture::Fixture;
use common::inside::{attempts, cannot_look, custom, idle};
use recovery::check::Health;
use recovery::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use recovery::engine::docker::DockerCli;
use recovery::engine::{ContainerRef, Request};
use recovery::process::Interrupt;
use serde_json::json;

/// What these checks say in a container whose PATH begins with the folder of the forms.
fn look(container: &Container, texts: &[&str]) -> Vec<Health> {
    let name = ServiceName::new("svc").expect("a name");
    let env = [("PATH".to_owned(), "/tmp/place:/usr/local/bin:/usr/bin:/bin".to_owned())];
    let check = |text: &&str| HealthCheck {
        probe: Probe::Custom {
            command: CustomCommand::Shell(text.replace('@', "/tmp/place")),
            expect_json: Vec::new(),
            missing_program: MissingProgram::Unknown,
        },
        timeout: Duration::from_secs(20),
        from: Vantage::Container,
        interval: None,
    };
    let checks: Vec<HealthCheck> = texts.iter().map(check).collect();
    let request = |check| Request { service: &name, check, env: &env, user: None };
    let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
    let at = ContainerRef { id: container.id.clone(), name: container.name.clone() };
    let docker = DockerCli::new("docker", Interrupt::default());
    docker.observe(&at, &requests).into_iter().map(|look| look.health).collect()
}

#[test]
fn a_missing_program_is_not_a_service_that_is_down_in_any_image() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = idle(docker, image);
        container.sh(PREPARE);
        let wrong = wrong(|texts| look(&container, texts));
        assert!(wrong.is_empty(), "{image}:\n{}", wrong.join("\n"));
    }
}

/// The usual HEALTHCHECK of two ways: the last of them decides.
#[test]
fn of_two_ways_to_ask_the_one_that_is_there_decides() {
    let Some(docker) = require_docker() else { return };
    let text = "curl -fs http://localhost:8080/health || wget -qO- http://localhost:8080/health || exit 1";
    let watch = |container: &Container| {
        let mut fixture = Fixture::new();
        fixture.service("web", custom(container, text, "httpd -p 8080 -h /www"));
        fixture
    };
    // Here is no curl, and wget is refused: that is down, and is restarted.
    for image in ["dash", "busybox"] {
        let container = idle(docker, image);
        let fixture = watch(&container);
        fixture.pass().expect_code(0);
        assert_eq!(attempts(&fixture, "web"), ["recovered"], "{image}: {}", fixture.log());
    }
    // Here is no wget: what it would have found nobody knows.
    cannot_look(&watch(&idle(docker, "debian")), 2);
    // Here is neither.
    let container = idle(docker, "busybox");
    container.sh("rm /bin/wget");
    cannot_look(&watch(&container), 2);
    assert_eq!(container.count("httpd"), 0);
}

#[test]
fn a_container_that_does_not_run_is_down_before_its_tools_and_names_matter() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &[], &["sh", "-c", "sleep 1; exit 3"]);
    container.wait_for("exited");
    let unresolved = json!({"type": "http", "endpoint": "http://no-such-name.invalid/", "from": "machine"});
    for check in [json!({"type": "custom", "command": "mytool || exit 1"}), unresolved] {
        let mut service = custom(&container, "", "");
        service["health_check"] = check;
        service["restart_cmd"] = json!(null);
        service["restart"] = json!("none");
        let mut fixture = Fixture::new();
        fixture.service("web", service);
        fixture.pass().expect_code(1);
        assert_eq!(
            fixture.count("Health check failed for web, not attempting recovery (reason: container"),
            1,
            "{}",
            fixture.log()
        );
    }
}
