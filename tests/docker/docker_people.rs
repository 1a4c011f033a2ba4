//! What a person says and what a person is told, with services in real containers: markers here and there, and
//! alerts over a server that is down for a while.

use crate::common;

use std::time::Duration;

use common::docker::{Container, require_docker};
use common::fixture::{Fixture, LIMIT};
use common::inside::{attempts, custom, idle};
use common::ntfy::Ntfy;
use common::run;
use common::server::Reply;
use common::until::until;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

fn failing(container: &Container) -> Fixture {
    let mut fixture = Fixture::new();
    let mut service = custom(container, "test -e /tmp/up", "echo x >> /tmp/restarts; exit 7");
    service["startup_timeout_seconds"] = json!(0);
    service["display_name"] = json!("Web");
    fixture.service("web", service);
    fixture
}

#[test]
fn a_marker_touched_in_the_container_is_honoured_until_resume() {
    let Some(docker) = require_docker() else { return };
    for (image, options) in [("debian", &[][..]), ("busybox", &["--user=app"])] {
        let container = Container::start(docker, image, options, &[]);
        let as_root = |text: &str| {
            common::docker::docker_ok(&["exec", "--user", "0", &container.id, "sh", "-c", text]);
        };
        let fixture = failing(&container);
        as_root("mkdir -p /var/run/manual-stop && touch /var/run/manual-stop/web.stopped");
        for _ in 0..2 {
            fixture.pass().expect_code(0);
        }
        assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 2, "{}", fixture.log());
        assert_eq!(fixture.count("Health check"), 0, "{}", fixture.log());
        assert_eq!(container.lines_of("/tmp/restarts"), 0);

        let done = fixture.run(&["resume", "web"]).expect_code(0);
        assert!(done.stdout.contains(&format!("the marker in container {}", container.name)), "{done:?}");
        as_root("test ! -e /var/run/manual-stop/web.stopped");
        fixture.pass().expect_code(1);
        assert_eq!(container.lines_of("/tmp/restarts"), 1, "{}", fixture.log());
    }
}

#[test]
fn a_marker_in_the_container_may_be_of_any_kind_and_size() {
    let Some(docker) = require_docker() else { return };
    let long = format!(r#"{{"schema":1,"until":"2099-01-01T00:00:00Z","reason":"{}"}}"#, "x".repeat(30_000));
    let over = format!(r#"{{"schema":1,"until":"2001-01-01T00:00:00Z","reason":"{}"}}"#, "x".repeat(30_000));
    let folder = "mkdir -p /var/run/manual-stop && cd /var/run/manual-stop &&";
    for image in ["debian", "dash", "busybox"] {
        for (what, made, stopped) in [
            ("a fifo", format!("{folder} mkfifo web.stopped"), true),
            ("a folder", format!("{folder} mkdir web.stopped"), true),
            (
                "a sparse file of 1 TB",
                format!("{folder} dd if=/dev/null of=web.stopped bs=1 seek=1099511627776"),
                true,
            ),
            ("a long reason", format!("{folder} printf '%s' '{long}' > web.stopped"), true),
            ("a long reason that is over", format!("{folder} printf '%s' '{over}' > web.stopped"), false),
        ] {
            let container = idle(docker, image);
            container.sh(&made);
            let fixture = failing(&container);
            let code = fixture.pass().code;
            assert_eq!(code, if stopped { 0 } else { 1 }, "{image}, {what}: {}", fixture.log());
            let count = fixture.count("web manually stopped, skipping auto-recovery");
            assert_eq!(count, usize::from(stopped), "{image}, {what}: {}", fixture.log());
            until(what, SOON, || (container.pid_count() == 1).then_some(()));
        }
    }
}

#[test]
fn stop_and_resume_hold_a_service_in_a_container_and_what_depends_on_it() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = failing(&container);
    let mut above = custom(&container, "test -e /tmp/up", "echo x >> /tmp/above");
    above["dependencies"] = json!(["web"]);
    fixture.service("above", above);
    let done = fixture.run(&["stop", "web", "--reason", "moving house"]).expect_code(0);
    assert!(done.stdout.contains("will not be restarted") && done.stdout.contains("above"), "{done:?}");
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
    assert!(fixture.log().contains("moving house"), "{}", fixture.log());
    assert_eq!((container.lines_of("/tmp/restarts"), container.lines_of("/tmp/above")), (0, 0));
    fixture.run(&["resume", "web"]).expect_code(0);
    fixture.pass().expect_code(1);
    assert_eq!((container.lines_of("/tmp/restarts"), container.lines_of("/tmp/above")), (1, 0));
}

#[test]
fn stop_waits_for_a_restart_that_is_under_way_and_says_so() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let slow = "echo x >> /tmp/restarts; while [ ! -e /tmp/go ]; do sleep 0.1; done; touch /tmp/up";
    fixture.service("web", custom(&container, "test -e /tmp/up", slow));
    let (pass, stop) = (fixture.command(&["run"]), fixture.command(&["stop", "web"]));
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| run::within(LIMIT, pass, b""));
        until("the restart", SOON, || (container.lines_of("/tmp/restarts") == 1).then_some(()));
        let stop = scope.spawn(|| run::within(LIMIT, stop, b""));
        let marker = fixture.path("state/manual-stop/web.stopped");
        until("the marker", SOON, || marker.exists().then_some(()));
        assert!(!stop.is_finished(), "it waits");
        container.sh("touch /tmp/go");
        pass.join().expect("the pass ends").expect_code(0);
        let said = stop.join().expect("it ends").expect_code(0).stdout;
        assert!(said.contains("is just restarting it, waiting for its end"), "{said}");
        assert!(said.contains("web: that pass is done with it"), "{said}");
    });
    assert_eq!(attempts(&fixture, "web"), ["recovered"]);
}

#[test]
fn a_marker_that_is_made_during_a_slow_second_look_is_honoured() {
    let Some(docker) = require_docker() else { return };
    let slow = "echo x >> /tmp/looks; [ $(grep -c x /tmp/looks) -eq 1 ] && exit 1
        while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 1";
    for image in ["debian", "busybox"] {
        for inside in [true, false] {
            let container = idle(docker, image);
            let mut fixture = failing(&container);
            let mut service = custom(&container, slow, "echo x >> /tmp/restarts");
            service["health_check"]["timeout_seconds"] = json!(30);
            fixture.service("web", service);
            let pass = fixture.command(&["run"]);
            std::thread::scope(|scope| {
                let pass = scope.spawn(|| run::within(LIMIT, pass, b""));
                until("the second look", SOON, || (container.lines_of("/tmp/looks") == 2).then_some(()));
                if inside {
                    container.sh("mkdir -p /var/run/manual-stop && touch /var/run/manual-stop/web.stopped");
                } else {
                    fixture.touch_marker("web");
                }
                container.sh("touch /tmp/go");
                pass.join().expect("the pass ends").expect_code(0);
            });
            assert_eq!(container.lines_of("/tmp/restarts"), 0, "{image} {inside}: {}", fixture.log());
            assert_eq!(attempts(&fixture, "web"), Vec::<String>::new(), "{image} {inside}");
            assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
        }
    }
}

#[test]
fn an_alert_outlives_a_server_that_is_down_and_the_recovery_is_told_after_it() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let ntfy = Ntfy::start();
    ntfy.always(Some(Reply::Close));
    let mut fixture = failing(&container);
    fixture.ntfy(&ntfy);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.outbox().len(), 1, "{}", fixture.log());
    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed"]);
    assert!(fixture.outbox().is_empty(), "{:?}", fixture.outbox());
    container.sh("touch /tmp/up");
    for _ in 0..2 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Recovered"]);
    let last = &ntfy.messages()[1];
    assert_eq!((&last["priority"], &last["tags"]), (&json!(3), &json!(["white_check_mark"])));
}

#[test]
fn an_alert_that_waited_until_the_recovery_is_one_calm_message() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let ntfy = Ntfy::start();
    ntfy.always(Some(Reply::Close));
    let mut fixture = failing(&container);
    fixture.ntfy(&ntfy);
    fixture.pass().expect_code(1);
    container.sh("touch /tmp/up");
    fixture.pass().expect_code(75);
    ntfy.always(None);
    for _ in 0..2 {
        fixture.pass().expect_code(0);
    }
    let messages = ntfy.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["priority"], 3);
    assert!(
        messages[0]["message"].as_str().is_some_and(|text| text.contains("delivery delayed")),
        "{messages:?}"
    );
}
