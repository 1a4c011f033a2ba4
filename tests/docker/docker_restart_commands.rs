//! Restart commands as operators write them: what they start lives on, and none holds up a pass.

use crate::common;

use std::time::Duration;

use common::docker::{Container, require_docker};
use common::fixture::Fixture;
use common::inside::{custom, idle};
use common::until::until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// Up while that file is there.
const UP: &str = "test -e /tmp/up";

fn watched(service: Value) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service("web", service);
    fixture
}

/// It kills what it starts by a text that stands in itself, and appends to a log of its own.
#[test]
fn a_restart_as_everyone_documents_it_does_not_kill_itself() {
    let Some(docker) = require_docker() else { return };
    let command =
        "pkill -f 'httpd -f -p 8080' || true; sleep 1; httpd -f -p 8080 -h /www >> /tmp/web.log 2>&1 &";
    // Not in busybox, which may have no pkill.
    for image in ["debian", "dash"] {
        let container = idle(docker, image);
        let mut fixture =
            watched(custom(&container, "grep -q ':1F90 ' /proc/net/tcp /proc/net/tcp6", command));
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());

        // Once more while it runs, so that there is something to kill: the marked process is gone afterwards.
        let find = "for p in /proc/[0-9]*; do grep -qs '^httpd' $p/cmdline && echo $p; done; true";
        let before = container.sh(find);
        let renewed =
            format!("! grep -qs httpd {before}/cmdline && grep -q ':1F90 ' /proc/net/tcp /proc/net/tcp6");
        fixture.config["services"]["web"]["health_check"]["command"] = json!(renewed);
        fixture.pass();
        assert_eq!(fixture.count("Successfully recovered web"), 2, "{}", fixture.log());
        assert_eq!(container.count("httpd -f -p 8080"), 1, "{:?}", container.processes());
    }
}

/// Where a pass held its pipe, it would die of its next line when the pass is over.
#[test]
fn a_program_that_keeps_writing_lives_on_after_the_pass() {
    let Some(docker) = require_docker() else { return };
    for (image, user) in [("debian", None), ("debian", Some("app")), ("dash", None), ("busybox", None)] {
        let container = idle(docker, image);
        let writer =
            "while echo tick && echo tock >&2; do echo x >> /tmp/beats; sleep 0.1; done & touch /tmp/up";
        let mut service = custom(&container, UP, writer);
        service["user"] = json!(user);
        watched(service).pass().expect_code(0);
        let then = container.lines_of("/tmp/beats");
        until("many more lines of it", SOON, || (container.lines_of("/tmp/beats") > then + 10).then_some(()));
    }
}

#[test]
fn a_command_in_the_foreground_whose_service_is_healthy_is_left_running() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut service = custom(&container, UP, "touch /tmp/up; exec sleep 4444");
    service["restart_timeout_seconds"] = json!(1);
    let fixture = watched(service);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(
        fixture.count("WARNING restart_cmd of web is still running in the foreground"),
        1,
        "{}",
        fixture.log()
    );
    fixture.pass().expect_code(0);
    assert_eq!(container.count("sleep 4444"), 1, "{:?}", container.processes());
}

#[test]
fn a_command_in_the_foreground_that_does_not_help_is_ended() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = idle(docker, image);
        let stubborn = "trap '' TERM; sleep 4444 & setsid sleep 4445 & sleep 4446";
        let mut service = custom(&container, UP, stubborn);
        service["restart_timeout_seconds"] = json!(1);
        let fixture = watched(service);
        fixture.pass().expect_code(1);
        assert_eq!(fixture.count("Failed to recover web"), 1, "{}", fixture.log());
        assert!(fixture.log().contains("ended after 1 s"), "{}", fixture.log());
        until("its end", SOON, || (container.pid_count() == 1).then_some(()));
    }
}

#[test]
fn a_command_that_reads_standard_input_finds_it_empty() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = idle(docker, image);
        let command = "cat > /tmp/read; while read -r line; do echo line >> /tmp/read; done; touch /tmp/up";
        watched(custom(&container, UP, command)).pass().expect_code(0);
        assert_eq!(container.sh("wc -c < /tmp/read").trim(), "0", "{image}");
    }
}

#[test]
fn a_command_that_prints_fifty_megabytes_holds_up_nothing() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &["--log-driver=none"], &[]);
    let print = "head -c 50000000 /dev/zero | tr '\\0' x; touch /tmp/up";
    let mut service = custom(&container, UP, print);
    watched(service.clone()).pass().expect_code(0);

    container.sh("rm /tmp/up");
    service["log_path"] = json!("/tmp/web.log");
    watched(service).pass().expect_code(0);
    assert_eq!(container.sh("wc -c < /tmp/web.log").trim(), "50000000");
}

#[test]
fn output_goes_to_the_log_path_or_where_the_containers_own_goes() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = idle(docker, image);
        let mut service =
            custom(&container, "test -e /tmp/up && rm /tmp/up", "echo said; echo wailed >&2; touch /tmp/up");
        let fixture = watched(service.clone());
        fixture.pass().expect_code(0);
        let logs = common::docker::docker(&["logs", &container.id]).expect_code(0);
        assert_eq!(format!("{}{}", logs.stdout, logs.stderr), "said\nwailed\n", "{image}");

        service["log_path"] = json!("/tmp/it's web.log");
        let fixture = watched(service);
        fixture.pass().expect_code(0);
        fixture.pass().expect_code(0);
        assert_eq!(container.sh("cat \"/tmp/it's web.log\""), "said\nwailed\nsaid\nwailed", "{image}");
    }
}

/// Where neither can be opened, it still runs.
#[test]
fn output_that_can_go_nowhere_stops_no_restart() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut service = custom(&container, UP, "echo said && touch /tmp/up");
    service["log_path"] = json!("/no/such/folder/web.log");
    service["user"] = json!("app");
    watched(service).pass().expect_code(0);
}

#[test]
fn an_exit_code_is_told_and_the_services_environment_given() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "busybox");
    let mut service = custom(&container, UP, "echo \"$GREETING\" > /tmp/said; env > /tmp/env; exit 7");
    service["env"] = json!({"GREETING": "it's $HOME \"here\""});
    service["startup_timeout_seconds"] = json!(0);
    let fixture = watched(service);
    fixture.pass().expect_code(1);
    assert!(fixture.log().contains("exit 7"), "{}", fixture.log());
    assert_eq!(container.sh("cat /tmp/said"), "it's $HOME \"here\"");
    assert_eq!(container.sh("grep -c -e RECOVERY_CHECK -e RCVY /tmp/env || true"), "0");
}
