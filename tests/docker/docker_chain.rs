//! Thresholds, severities and chains on real containers: what is waited out, what is tried in which order, and what
//! is left to a person.

use crate::common;

use common::docker::{Container, Docker, require_docker};
use common::fixture::Fixture;
use common::ntfy::Ntfy;
use serde_json::{Value, json};

/// A service whose check is `check`, in a container of its own that is old enough to be restarted at once. Every
/// command leaves a line in `/tmp/done`.
fn service(container: &Container, check: &str, keys: &Value) -> Value {
    let mut service = json!({
        "container": container.name,
        "health_check": {"type": "custom", "command": check, "timeout_seconds": 2},
        "restart_cmd": "echo restart >> /tmp/done",
        "restart": "command",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 1,
        "start_period_seconds": 0,
        "retry": {"attempts": 3, "base_delay_seconds": 0.5}
    });
    for (key, value) in keys.as_object().expect("keys") {
        service[key] = value.clone();
    }
    service
}

/// One container in which `/tmp/done` begins anew with the test, and a configuration with one service `web`.
fn world(docker: Docker, check: &str, keys: &Value) -> (Container, Fixture, Ntfy) {
    let container = Container::start(docker, "debian", &[], &[]);
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    fixture.ntfy(&ntfy).service("web", service(&container, check, keys));
    (container, fixture, ntfy)
}

/// What was done in it, in order.
fn done(container: &Container) -> Vec<String> {
    container.sh("cat /tmp/done 2>/dev/null || :").lines().map(str::to_owned).collect()
}

/// How many failed looks of passes were of that severity.
fn failed_as(fixture: &Fixture, severity: &str) -> usize {
    let severity = format!("severity: {severity};");
    let failed = |line: &&str| line.contains("Health check failed for web") && line.contains(&severity);
    fixture.log().lines().filter(failed).count()
}

#[test]
fn a_hiccup_below_the_threshold_is_waited_out() {
    let Some(docker) = require_docker() else { return };
    let (container, fixture, ntfy) = world(docker, "test -e /tmp/up", &json!({"failure_threshold": 2}));
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Health check failed for web, not attempting recovery (failure 1 of 2)"), 1);
    container.sh("touch /tmp/up");
    fixture.pass().expect_code(0);
    container.sh("rm /tmp/up");
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("(failure 1 of 2)"), 2, "the healthy look began it anew: {}", fixture.log());
    assert_eq!((done(&container), ntfy.titles()), (vec![], vec![]));
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), ["restart"]);
}

#[test]
fn a_recovery_wants_its_healthy_looks_in_a_row() {
    let Some(docker) = require_docker() else { return };
    // Well at every other look after the restart.
    let check = "test -e /tmp/done && { test -e /tmp/odd && rm /tmp/odd || { touch /tmp/odd; false; }; }";
    let keys = json!({"success_threshold": 2, "startup_timeout_seconds": 5});
    let (container, fixture, ntfy) = world(docker, check, &keys);
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), ["restart"]);
    assert_eq!(fixture.count("Failed to recover web"), 1, "{}", fixture.log());
    assert_eq!(ntfy.titles(), ["web Recovery Failed"]);
}

#[test]
fn a_time_out_that_passes_is_not_restarted_and_one_that_lasts_is() {
    let Some(docker) = require_docker() else { return };
    let check = "test ! -e /tmp/slow || { echo look >> /tmp/done; sleep 60; }";
    let (container, mut fixture, _ntfy) = world(docker, check, &json!({}));
    container.sh("touch /tmp/slow");
    container.spawn("sleep 5; rm /tmp/slow");
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("web healthy again without restart"), 1, "{}", fixture.log());
    assert!(!done(&container).contains(&"restart".to_owned()));
    assert_eq!(fixture.state("web").expect("a state")["attempts"], json!([]));

    container.sh("touch /tmp/slow; rm /tmp/done");
    let cures = json!({"restart_cmd": "echo restart >> /tmp/done; rm /tmp/slow"});
    fixture.service("web", service(&container, check, &cures));
    fixture.pass().expect_code(0);
    let done = done(&container);
    assert_eq!(done.last().map(String::as_str), Some("restart"), "{done:?}");
    // The look of the pass and three more.
    assert_eq!(done.iter().filter(|line| *line == "look").count(), 4, "{done:?}");
    assert_eq!(failed_as(&fixture, "transient"), 2, "{}", fixture.log());
}

#[test]
fn what_a_person_must_mend_is_told_and_not_restarted() {
    let Some(docker) = require_docker() else { return };
    let check = "exit $(cat /tmp/code)";
    let (container, mut fixture, ntfy) = world(docker, check, &json!({}));
    container.sh("echo 78 > /tmp/code");
    fixture.pass().expect_code(1);
    assert_eq!((done(&container), ntfy.titles()), (vec![], vec!["web Down".to_owned()]));
    assert_eq!(failed_as(&fixture, "critical"), 1, "{}", fixture.log());
    // As the service's owner says.
    container.sh("echo 3 > /tmp/code");
    let own = json!({"severity": {"exit_codes": {"3": "critical", "78": "recoverable"}}});
    fixture.service("web", service(&container, check, &own));
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), Vec::<String>::new());
    container.sh("echo 78 > /tmp/code");
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), ["restart"]);
}

#[test]
fn a_chain_goes_from_the_command_to_the_container_to_the_fallback() {
    let Some(docker) = require_docker() else { return };
    let chain = json!({
        "strategies": {"recoverable": ["restart", "restart-container", "fallback"]},
        "fallback_cmd": "echo fallback >> /tmp/done"
    });
    let (container, mut fixture, ntfy) = world(docker, "test -e /tmp/up", &chain);
    fixture.service("page", json!({
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path("page").display())},
        "restart_cmd": format!("touch {}", fixture.path("page").display()),
        "startup_delay_seconds": 0,
        "dependencies": ["web"]
    }));
    let before = container.state().started_at;
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), ["restart", "fallback"]);
    assert_ne!(container.state().started_at, before, "its container was restarted between the two");
    assert_eq!((fixture.count("Failed to recover web"), fixture.count("web is degraded")), (2, 1));
    assert_eq!(fixture.state("web").expect("a state")["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(ntfy.titles(), ["web Degraded"]);
    assert_eq!(
        fixture.count("Successfully recovered page"),
        1,
        "a degraded service blocks nobody: {}",
        fixture.log()
    );

    fixture.pass().expect_code(1);
    assert_eq!((done(&container).len(), ntfy.titles().len()), (2, 1), "it is left alone: {}", fixture.log());
    container.sh("touch /tmp/up");
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["web Degraded", "web Recovered"]);
}

#[test]
fn a_cleanup_takes_away_what_keeps_it_from_starting() {
    let Some(docker) = require_docker() else { return };
    let keys = json!({
        "cleanup_cmd": "echo cleanup >> /tmp/done; rm -f /tmp/lock",
        "restart_cmd": "echo restart >> /tmp/done; test ! -e /tmp/lock && touch /tmp/up"
    });
    let (container, fixture, _ntfy) = world(docker, "test -e /tmp/up", &keys);
    container.sh("touch /tmp/lock");
    fixture.pass().expect_code(0);
    assert_eq!(done(&container), ["cleanup", "restart"]);
}

#[test]
fn after_too_many_failed_looks_no_restart_is_tried_any_more() {
    let Some(docker) = require_docker() else { return };
    let keys = json!({"escalate_after": 1, "fallback_cmd": "echo fallback >> /tmp/done; false"});
    let (container, fixture, _ntfy) = world(docker, "test -e /tmp/up", &keys);
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), ["restart", "fallback"], "{}", fixture.log());
    fixture.pass().expect_code(1);
    assert_eq!(done(&container), ["restart", "fallback"], "critical: {}", fixture.log());
    assert_eq!(failed_as(&fixture, "critical"), 1, "{}", fixture.log());
}
