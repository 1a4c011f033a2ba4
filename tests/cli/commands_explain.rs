//! `recovery explain` as a person meets it: whole pages, the same words and exit code as a dry run, and nothing
//! that is written.

use crate::common;

use std::fs;

use common::docker::require_docker;
use common::fake_docker::{Answer, FakeDocker};
use common::fixture::Fixture;
use common::inside::{custom, idle};
use common::run::Finished;
use regex::Regex;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A service on the machine that is down.
fn down() -> Value {
    json!({
        "health_check": {"type": "custom", "command": "exit 1"},
        "restart_cmd": "token=abc ./start &",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

fn with(mut service: Value, keys: &Value) -> Value {
    for (key, value) in keys.as_object().expect("keys") {
        service[key] = value.clone();
    }
    service
}

fn one(keys: &Value) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service("web", with(down(), keys));
    fixture
}

fn ago(seconds: i64) -> String {
    (OffsetDateTime::now_utc() - time::Duration::seconds(seconds)).format(&Rfc3339).expect("a time")
}

/// What earlier passes left of `web`, besides what every state has.
fn remember(fixture: &Fixture, keys: &Value) {
    let state = json!({
        "schema": 1, "service": "web", "status": "unhealthy", "since": ago(1530), "consecutive_failures": 3
    });
    fs::create_dir_all(fixture.path("state")).expect("a folder");
    fs::write(fixture.path("state/web.json"), with(state, keys).to_string()).expect("a state");
}

/// Explains `web`, and holds it against the dry run: the same words, the same exit code, nothing written.
#[track_caller]
fn explain(fixture: &Fixture) -> Finished {
    let before = fixture.state_files();
    let done = fixture.run(&["explain", "web"]);
    assert_eq!((fixture.state_files(), fixture.log()), (before, String::new()));
    let dry = fixture.run(&["run", "--dry-run", "--service", "web"]);
    assert_eq!(done.code, dry.code, "{done:?}");
    if fixture.config["services"]["web"]["enabled"] != json!(false) {
        let first = done.stdout.lines().next();
        assert_eq!(first, dry.stdout.lines().find(|line| line.starts_with("web: ")));
        assert_eq!(done.stdout.matches("\n=>  ").count(), 1, "one rule decides:\n{}", done.stdout);
    }
    done
}

/// The page with its times, as they differ, left out.
fn page(fixture: &Fixture, code: i32) -> String {
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").expect("a valid expression");
    let done = explain(fixture).expect_code(code);
    assert_eq!(done.stderr, "");
    let folder = fixture.path("").display().to_string();
    time.replace_all(&done.stdout, "T").replace(&folder, "DIR/")
}

/// The row that decided.
#[track_caller]
fn decided(fixture: &Fixture, code: i32) -> String {
    let page = page(fixture, code);
    let row = page.lines().find_map(|line| line.strip_prefix("=>  ")).expect("one decides");
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_service_that_is_down_is_explained_with_its_past() {
    let mut fake = FakeDocker::new();
    fake.containers(&[("box", "running")]).when("exec", Answer::RunsHere);
    let mut fixture = one(&json!({
        "container": "box", "restart": "container", "dependencies": ["db", "off"],
        "fallback_cmd": "./reduced", "strategies": {"recoverable": ["retry", "restart", "fallback"]}
    }));
    let up = json!({"health_check": {"type": "custom", "command": "exit 0"}, "restart_cmd": "x"});
    fixture.service("disk", up.clone());
    fixture.service("db", with(up.clone(), &json!({"dependencies": ["disk"]})));
    fixture.service("off", with(up, &json!({"enabled": false})));
    fixture.fake_docker(&fake);
    let told = json!({
        "SERVICE-DOWN": {"first": ago(1230), "last": ago(1230), "count": 1},
        "SERVICE-RECOVERY-FAILED": {"first": ago(1230), "last": ago(630), "count": 2}
    });
    remember(
        &fixture,
        &json!({
            "start_granted": ago(20000),
            "attempts": [
                {"at": ago(90_000), "result": "failed"},
                {"at": ago(1230), "result": "failed"},
                {"at": ago(630), "result": "unknown"}
            ],
            "chain": {"began": ago(1230), "looks": 2, "severity": "recoverable", "steps": ["retry", "restart"]},
            "incident": {"id": "i", "opened_at": ago(1230), "flapping": true, "told": told}
        }),
    );
    assert_eq!(
        page(&fixture, 1),
        "\
web: down (exit 1): would look again up to 4 times, then go on with what its strategies say

What was seen
    look                      unhealthy, exit 1
    severity                  recoverable, look 3 since it was first acted on; critical after 5
    container                 box, running since T (60 min ago)

What it depends on
    db                        healthy
    off                       disabled in the configuration, counts as up
    disk                      healthy

What was considered, in this order
    manual stop               no marker
    look                      unhealthy
    marker folder             can be read
    state file                can be read
    stop of the container     it runs
    boot grace                the machine did not just boot
    start period              over, or granted once already
    dependencies              none of them is in the way
    restart of a dependency   none of them was restarted
    container just started    not in this pass
    failure threshold         reached, this is failure 4 and 1 is enough
    degraded                  no fallback is in effect
    strategies                for a recoverable failure: retry, restart, fallback
=>  retry                     would look again up to 4 times, then go on with what its strategies say
    restart                   only where what comes before it does not help
    fallback                  only where what comes before it does not help

What is remembered
    status                    unhealthy since T (25 min ago)
    failed looks in a row     3 before this look
    restart attempts          2 of 3 within 3600 s
                              T (20 min ago): did not help
                              T (10 min ago): its result is not known, the pass ended first
    next attempt              free now
    tried last                retry, restart against a recoverable failure
    first acted on            T (20 min ago)
    begins anew               T (in 39 min)
    start period              30 s, granted to the start of T (5 h ago)
    incident                  open since T (20 min ago), flapping
    told                      SERVICE-RECOVERY-FAILED: T (20 min ago), 2 times, last T (10 min ago)
                              SERVICE-DOWN: T (20 min ago)
"
    );
    for action in ["start", "restart", "stop", "kill"] {
        assert_eq!(fake.calls_of(action), []);
    }
}

#[test]
fn a_stopped_service_is_explained_by_its_marker() {
    let fixture = one(&json!({}));
    fixture.touch_marker("web");
    assert_eq!(page(&fixture, 0), "\
web: left alone, manually stopped (until it is removed, marker: DIR/state/manual-stop/web.stopped)

What was seen
    look                      not looked at

What was considered, in this order
=>  manual stop               would be left alone, manually stopped: until it is removed, marker: DIR/state/manual-stop/web.stopped

What is remembered
    status                    never looked at
    failed looks in a row     0 before this look
    restart attempts          0 of 3 within 3600 s
    next attempt              free now
    tried                     nothing against a present failure
    incident                  none
");
}

#[test]
fn a_service_that_is_not_due_is_looked_at_and_says_so() {
    let mut fixture = one(&json!({}));
    fixture.config["services"]["web"]["health_check"] =
        json!({"type": "custom", "command": "exit 0", "interval_seconds": 7200});
    remember(
        &fixture,
        &json!({"status": "healthy", "consecutive_failures": 0, "attempts": [{"at": ago(1230), "result": "recovered"}]}),
    );
    let looks = json!({"schema": 1, "at": ago(1230), "looks": {"web": ago(1230)}});
    fs::write(fixture.path("state/last-pass.json"), looks.to_string()).expect("a file");
    assert_eq!(
        page(&fixture, 0),
        "\
web: healthy

What was seen
    look                      healthy
    next look                 T (in 87 min), passes before that leave it out

What was considered, in this order
    manual stop               no marker
=>  look                      healthy, nothing to do

What is remembered
    status                    healthy since T (25 min ago)
    failed looks in a row     0 before this look
    restart attempts          1 of 3 within 86400 s
                              T (20 min ago): helped
    next attempt              free now
    tried                     nothing against a present failure
    incident                  none
"
    );
}

#[test]
fn what_cannot_be_seen_says_why() {
    let mut fake = FakeDocker::new();
    fake.containers(&[("box", "paused")]);
    let mut fixture = one(&json!({"container": "box"}));
    fixture.fake_docker(&fake);
    remember(
        &fixture,
        &json!({
            "unknown_looks": 2, "unknown_since": ago(630), "last_incident":
            {"id": "i", "opened_at": ago(90_000), "closed_at": ago(88_000)}
        }),
    );
    assert_eq!(
        page(&fixture, 69),
        "\
web: cannot be checked: container box is paused

What was seen
    look                      unknown, container box is paused
    container                 container box is paused

What was considered, in this order
    manual stop               no marker
=>  look                      cannot be checked: container box is paused

What is remembered
    status                    unhealthy since T (25 min ago)
    failed looks in a row     3 before this look
    could not be looked at    since T (10 min ago)
    restart attempts          0 of 3 within 3600 s
    next attempt              free now
    tried                     nothing against a present failure
    start period              30 s, not used since it was last healthy
    incident                  none open, the last one ended T (24 h ago)
"
    );
}

#[test]
fn what_is_blocked_names_the_root_of_it() {
    let mut fixture = one(&json!({"dependencies": ["db"]}));
    fixture.service("disk", with(down(), &json!({"restart": "none"})));
    fixture.service("db", with(down(), &json!({"dependencies": ["disk"]})));
    assert_eq!(
        page(&fixture, 1),
        "\
web: down (exit 1): would be left alone, blocked by disk

What was seen
    look                      unhealthy, exit 1
    severity                  recoverable

What it depends on
    db                        down (exit 1): would be left alone, blocked by disk
    disk                      down (exit 1): would be left alone, nothing to restart it with

What was considered, in this order
    manual stop               no marker
    look                      unhealthy
    marker folder             can be read
    state file                can be read
    stop of the container     it has no container
    boot grace                the machine did not just boot
    start period              it has no container
=>  dependencies              would be left alone, blocked by disk

What is remembered
    status                    never looked at
    failed looks in a row     0 before this look
    restart attempts          0 of 3 within 3600 s
    next attempt              free now
    tried                     nothing against a present failure
    incident                  none
"
    );
    fixture.touch_marker("disk");
    assert_eq!(decided(&fixture, 0), "dependencies would be left alone, held, disk is manually stopped");
}

#[test]
fn a_disabled_service_is_not_looked_at() {
    let fixture = one(&json!({"enabled": false}));
    let done = explain(&fixture).expect_code(0);
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        (
            "\
web: disabled in the configuration: no pass looks at it or restarts it

What is remembered
    status                    never looked at
    failed looks in a row     0 before this look
    restart attempts          0 of 3 within 3600 s
    next attempt              free now
    tried                     nothing against a present failure
    incident                  none
",
            ""
        )
    );
}

#[test]
fn every_other_end_is_one_row() {
    let chain = |degraded: bool| {
        let mut chain =
            json!({"began": ago(630), "looks": 5, "severity": "recoverable", "steps": ["restart"]});
        if degraded {
            chain["degraded_since"] = json!(ago(600));
        }
        chain
    };
    let attempts = json!([{"at": ago(630), "result": "failed"}]);
    for (keys, state, code, expected) in [
        (
            json!({"failure_threshold": 9}),
            json!({}),
            0,
            "failure threshold would be left alone, failure 4 of 9",
        ),
        (
            json!({"fallback_cmd": "x"}),
            json!({"chain": chain(true)}),
            1,
            "degraded would be left alone, degraded since T, its strategies begin anew at T",
        ),
        (
            json!({"max_failures": 1}),
            json!({"attempts": attempts}),
            1,
            "no step is left would be left alone, given up until T",
        ),
        (
            json!({"restart": "none"}),
            json!({}),
            1,
            "no step is left would be left alone, nothing to restart it with",
        ),
        (
            json!({"strategies": {"recoverable": []}}),
            json!({}),
            1,
            "no step is left would be left alone, no strategy is left for a recoverable failure, a person must act",
        ),
        (
            json!({"cleanup_cmd": "rm -rf /tmp/lock; curl -u me:secret@host"}),
            json!({}),
            1,
            "restart would look again, then restart it (attempt 1 of 3): rm -rf /tmp/lock; curl -u me:***, then token=*** ./start &",
        ),
        (
            json!({"fallback_cmd": "PASSWORD=x ./less"}),
            json!({"consecutive_failures": 5, "chain": chain(false)}),
            1,
            "fallback would look again, then run its fallback: PASSWORD=*** ./less",
        ),
        (
            json!({"severity": {"exit_codes": {"1": "transient"}}}),
            json!({}),
            1,
            "retry would look again up to 4 times, then go on with what its strategies say",
        ),
    ] {
        let fixture = one(&keys);
        remember(&fixture, &state);
        assert_eq!(decided(&fixture, code), expected, "{keys}");
    }
}

#[test]
fn a_state_that_cannot_be_read_is_left_as_it_is() {
    let fixture = one(&json!({}));
    fs::create_dir_all(fixture.path("state")).expect("a folder");
    fs::write(fixture.path("state/web.json"), "damaged").expect("a file");
    let done = explain(&fixture).expect_code(74);
    assert!(done.stdout.contains("=>  state file "), "{}", done.stdout);
    assert!(done.stdout.ends_with("    state file                cannot be read, so nothing is known\n"));
    assert!(done.stderr.contains("web.json"), "{}", done.stderr);
}

#[test]
fn it_works_where_no_state_can_be_written() {
    let mut fixture = one(&json!({}));
    fixture.setting("state_dir", json!("/proc/no-such-folder"));
    fixture.pass().expect_code(74);
    fs::remove_file(fixture.path("recovery.log")).unwrap_or_default();
    assert_eq!(
        decided(&fixture, 1),
        "restart would look again, then restart it (attempt 1 of 3): token=*** ./start &"
    );
}

#[test]
fn what_came_from_outside_is_masked_and_cannot_colour_the_terminal() {
    let mut fixture = one(&json!({"restart_cmd": "one\ntwo\u{1b}[2J password=hunter2"}));
    fixture.config["services"]["web"]["health_check"]["command"] =
        json!("printf '\\033[31mpassword=hunter2 \\007'; exit 3");
    let page = page(&fixture, 1);
    assert!(
        page.contains("\\u{1b}[31mpassword=***") && page.contains("one\\ntwo\\u{1b}[2J password=***"),
        "{page}"
    );
    assert!(!page.contains("hunter2") && !page.contains(['\u{1b}', '\u{7}']), "{page:?}");
}

#[test]
fn a_name_that_is_not_configured_is_wrong_usage() {
    let done = one(&json!({})).run(&["explain", "wep"]).expect_code(2);
    assert_eq!(done.stderr, "error: unknown service \"wep\"; did you mean \"web\"?\n");
    one(&json!({})).run(&["explain"]).expect_code(2);
    let mut wrong = one(&json!({}));
    wrong.config["services"]["web"]["restart_command"] = json!("x");
    wrong.run(&["explain", "web"]).expect_code(78);
}

#[test]
fn a_real_container_is_looked_at_and_left_alone() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    fixture.service(
        "web",
        with(custom(&container, "test -e /tmp/up", "touch /tmp/up"), &json!({"start_period_seconds": 0})),
    );
    let before = container.state();
    assert_eq!(
        decided(&fixture, 1),
        "restart would look again, then restart it (attempt 1 of 3): touch /tmp/up"
    );
    container.sh("test ! -e /tmp/up");
    container.sh("touch /tmp/up");
    assert_eq!(decided(&fixture, 0), "look healthy, nothing to do");
    assert_eq!(container.state(), before);
    container.act("kill");
    container.wait_for("exited");
    let killed = page(&fixture, 0);
    assert!(
        killed.contains("=>  stop of the container     would be left alone, manually stopped: "),
        "{killed}"
    );
    assert_eq!(container.state().status, "exited");
}
