//! Whole passes of the binary over a memory that was written by a clock a year off: no attempt is freed early or
//! held longer than a window, no reminder is lost, and times of the future are rewritten.

use crate::common;

use std::fs;
use std::process::Command;

use common::docker::{required, skipped};
use common::fixture::{Fixture, LIMIT};
use common::ntfy::Ntfy;
use common::run::{self, Finished};
use common::server::Reply;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const YEAR: Duration = Duration::days(365);

fn stamp(at: OffsetDateTime) -> Value {
    json!(at.format(&Rfc3339).expect("a date of our time"))
}

fn ago(span: Duration) -> Value {
    stamp(OffsetDateTime::now_utc() - span)
}

/// A time that the program wrote, which must not lie in the future.
#[track_caller]
fn is_past(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let at = OffsetDateTime::parse(text, &Rfc3339).expect("RFC 3339");
    assert!(at <= OffsetDateTime::now_utc(), "in the future: {text}");
}

/// A service that is down, in a window of an hour, whose restarts are counted.
fn fixture() -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let service = json!({
        "display_name": "Web",
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path("up").display())},
        "restart_cmd": format!("echo x >> {}", fixture.path("restarts").display()),
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    });
    fixture.service("web", service).ntfy(&ntfy);
    (fixture, ntfy)
}

fn restarts(fixture: &Fixture) -> usize {
    fs::read_to_string(fixture.path("restarts")).unwrap_or_default().lines().count()
}

fn set_up(fixture: &Fixture) {
    fs::write(fixture.path("up"), "").expect("the service comes up");
}

/// Rewrites a file of the state.
fn edit(fixture: &Fixture, name: &str, change: impl FnOnce(&mut Value)) {
    let path = fixture.path("state").join(name);
    let mut value = serde_json::from_str(&fs::read_to_string(&path).expect("it is there")).expect("JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("it is written");
}

fn state(fixture: &Fixture) -> Value {
    fixture.state("web").expect("a state")
}

fn redate_attempts(fixture: &Fixture, age: Duration) {
    edit(fixture, "web.json", |state| {
        for attempt in state["attempts"].as_array_mut().expect("attempts") {
            attempt["at"] = ago(age);
        }
    });
}

#[test]
fn attempts_of_a_clock_that_was_put_back_hold_no_longer_than_a_window() {
    let (fixture, _ntfy) = fixture();
    for _ in 0..3 {
        fixture.pass().expect_code(1);
    }
    redate_attempts(&fixture, -YEAR);
    fixture.pass().expect_code(1);
    assert_eq!(restarts(&fixture), 3, "none is freed early: {}", fixture.log());
    assert_eq!(fixture.count("web exceeded max failures"), 1);
    let after = state(&fixture);
    let attempts = after["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 3);
    attempts.iter().for_each(|attempt| is_past(&attempt["at"]));
}

#[test]
fn attempts_of_a_year_ago_are_free_again() {
    let (fixture, _ntfy) = fixture();
    for _ in 0..3 {
        fixture.pass().expect_code(1);
    }
    redate_attempts(&fixture, YEAR);
    fixture.pass().expect_code(1);
    assert_eq!((restarts(&fixture), state(&fixture)["attempts"].as_array().map(Vec::len)), (4, Some(1)));
}

#[test]
fn a_reminder_waits_for_the_cooldown_and_not_for_the_future() {
    for (age, told) in [(-YEAR, 1), (Duration::minutes(59), 1), (Duration::minutes(61), 2), (YEAR, 2)] {
        let (mut fixture, ntfy) = fixture();
        fixture.config["services"]["web"]["max_failures"] = json!(0);
        fixture.pass().expect_code(1);
        assert_eq!(ntfy.titles(), ["Web Down"]);
        edit(&fixture, "web.json", |state| {
            state["incident"]["told"]["SERVICE-DOWN"]["last"] = ago(age);
            state["incident"]["opened_at"] = ago(age);
            state["incident"]["down_since"] = ago(age);
            state["since"] = ago(age);
        });
        fixture.pass().expect_code(1);
        assert_eq!(ntfy.titles().len(), told, "{age}: {:?}", ntfy.titles());
        let after = state(&fixture);
        is_past(&after["incident"]["told"]["SERVICE-DOWN"]["last"]);
        is_past(&after["since"]);
    }
}

#[test]
fn a_recovery_is_told_whatever_the_clock_did_meanwhile() {
    for age in [-YEAR, YEAR] {
        let (fixture, ntfy) = fixture();
        fixture.pass().expect_code(1);
        edit(&fixture, "web.json", |state| {
            for key in ["opened_at", "down_since"] {
                state["incident"][key] = ago(age);
            }
            state["since"] = ago(age);
        });
        set_up(&fixture);
        fixture.pass().expect_code(0);
        assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Recovered"], "{age}");
        let text = ntfy.messages()[1]["message"].as_str().unwrap_or_default().to_owned();
        assert!(!text.contains("Was down for: -"), "{text}");
        is_past(&state(&fixture)["last_incident"]["closed_at"]);
    }
}

#[test]
fn a_flapping_service_is_called_recovered_a_window_after_the_clock_was_put_back() {
    let (fixture, ntfy) = fixture();
    fixture.pass().expect_code(1);
    edit(&fixture, "web.json", |state| state["incident"]["flapping"] = json!(true));
    set_up(&fixture);
    fixture.pass().expect_code(0);
    edit(&fixture, "web.json", |state| {
        state["last_incident"]["closed_at"] = ago(-YEAR);
        state["since"] = ago(-YEAR);
    });
    fixture.pass().expect_code(0);
    let after = state(&fixture);
    is_past(&after["last_incident"]["closed_at"]);
    is_past(&after["since"]);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed"], "not yet");
    edit(&fixture, "web.json", |state| {
        state["last_incident"]["closed_at"] = ago(Duration::minutes(61));
        state["since"] = ago(Duration::minutes(61));
    });
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Recovered"]);
}

#[test]
fn a_look_in_the_future_delays_the_next_one_by_an_interval_at_most() {
    for (age, looks) in [(-YEAR, 1), (YEAR, 2)] {
        let (mut fixture, _ntfy) = fixture();
        set_up(&fixture);
        fixture.config["services"]["web"]["health_check"]["interval_seconds"] = json!(3600);
        fixture.pass().expect_code(0);
        edit(&fixture, "last-pass.json", |last| {
            last["at"] = ago(age);
            last["looks"]["web"] = ago(age);
        });
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Health check passed for web"), looks, "{age}");
        let text = fs::read_to_string(fixture.path("state/last-pass.json")).expect("it is there");
        let last: Value = serde_json::from_str(&text).expect("JSON");
        is_past(&last["at"]);
        is_past(&last["looks"]["web"]);
    }
}

#[test]
fn markers_end_by_the_clock_of_the_pass() {
    for (until, restarted) in [(-YEAR, 0), (YEAR, 1)] {
        let (fixture, _ntfy) = fixture();
        fs::create_dir_all(fixture.path("state/manual-stop")).expect("the folder of the markers");
        let marker = json!({"schema": 1, "by": "anna", "at": ago(until), "until": ago(until), "reason": "x"});
        let path = fixture.path("state/manual-stop/web.stopped");
        fs::write(&path, marker.to_string()).expect("the marker is written");
        fixture.pass();
        assert_eq!((restarts(&fixture), path.exists()), (restarted, restarted == 0), "{}", fixture.log());
    }
}

#[test]
fn alerts_of_another_year_are_delivered() {
    for age in [-YEAR, YEAR] {
        let (fixture, ntfy) = fixture();
        ntfy.always(Some(Reply::status(500, "oops")));
        fixture.pass().expect_code(1);
        let waiting = fixture.outbox();
        let name = waiting.keys().next().expect("an alert waits").clone();
        edit(&fixture, &format!("outbox/{name}"), |alert| {
            alert["at"] = ago(age);
            alert["down_since"] = ago(age);
        });
        ntfy.always(None);
        set_up(&fixture);
        fixture.pass().expect_code(0);
        assert_eq!(ntfy.titles(), ["Web Recovered"], "{age}: {}", fixture.log());
        let text = ntfy.messages()[0]["message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains("delivery delayed"), "{text}");
        assert!(fixture.outbox().is_empty());
    }
}

/// The binary under a clock that is so many seconds off, while the time since the boot is what it is.
fn pass_with_clock(fixture: &Fixture, off: &str) -> Finished {
    let plain = fixture.command(&["run"]);
    let mut command = Command::new("faketime");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").arg("-f").arg(off).arg(plain.get_program());
    command.args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    run::within(LIMIT, command, b"")
}

/// Whether there is a program that sets the clock of another one.
fn require_faketime() -> bool {
    let there = Command::new("faketime").arg("--version").output().is_ok();
    if !there {
        assert!(!required(), "faketime is missing, and RECOVERY_REQUIRE_DOCKER=1 is set");
        skipped("faketime is missing");
    }
    there
}

#[test]
fn no_jump_of_the_clock_frees_an_attempt_or_holds_one() {
    if !require_faketime() {
        return;
    }
    for clocks in [["+0s", "+0s", "+2h", "+2h", "+4h"], ["+2h", "+0s", "-2h", "+0s", "+9h"]] {
        let (mut fixture, _ntfy) = fixture();
        fixture.config["services"]["web"]["max_failures"] = json!(2);
        for off in clocks {
            pass_with_clock(&fixture, off).expect_code(1);
        }
        assert_eq!(restarts(&fixture), 2, "{clocks:?}: {}", fixture.log());
        let id = state(&fixture)["boot"]["id"].as_str().map(str::len);
        assert_eq!(id, Some(36), "{}", state(&fixture));
    }
}

#[test]
fn an_end_that_lies_in_the_future_makes_no_flapping() {
    let (fixture, _ntfy) = fixture();
    fixture.pass().expect_code(1);
    set_up(&fixture);
    fixture.pass().expect_code(0);
    edit(&fixture, "web.json", |state| {
        state["last_incident"]["closed_at"] = ago(-YEAR);
        state["since"] = ago(Duration::minutes(61));
    });
    fs::remove_file(fixture.path("up")).expect("the service goes down");
    fixture.pass().expect_code(1);
    let after = state(&fixture);
    assert_eq!(after["incident"]["flapping"], json!(false), "{after}");
    is_past(&after["last_incident"]["closed_at"]);
}

/// Times that are valid RFC 3339, and beyond what can be written or converted, or nearly so.
const EXTREMES: [&str; 6] = [
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999999999Z",
    "0000-01-01T00:00:00+23:59",
    "0000-01-01T00:00:00Z",
    "1969-12-31T23:59:59+14:00",
    "2026-11-21T10:05:07.123456789-12:34",
];

/// Every time in a file, whatever it is of, becomes that one.
fn redate(value: &mut Value, time: &str) {
    match value {
        Value::String(text) if OffsetDateTime::parse(text, &Rfc3339).is_ok() => time.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| redate(item, time)),
        Value::Object(entries) => entries.values_mut().for_each(|entry| redate(entry, time)),
        _ => {}
    }
}

#[test]
fn no_time_that_can_be_read_anywhere_ends_a_command() {
    for time in EXTREMES {
        let (mut fixture, ntfy) = fixture();
        let log = fixture.path("recovery.log");
        fixture.setting("log_file", json!(log));
        fixture.config["services"]["web"]["fallback_cmd"] = json!("true");
        fixture.config["services"]["web"]["health_check"]["interval_seconds"] = json!(600);
        ntfy.always(Some(Reply::status(500, "oops")));
        fixture.pass().expect_code(1);
        set_up(&fixture);
        fixture.pass();
        fs::remove_file(fixture.path("up")).expect("the service goes down");
        fixture.pass();
        for (name, _) in fixture.state_files().iter().filter(|(name, _)| name.ends_with(".json")) {
            edit(&fixture, name, |value| redate(value, time));
        }
        let lines: Vec<String> =
            fs::read_to_string(&log).expect("a log").lines().map(str::to_owned).collect();
        let redated = lines.iter().map(|line| {
            let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{time} {rest}\n")
        });
        fs::write(&log, redated.collect::<String>()).expect("the log is written");
        ntfy.always(None);
        let since = format!("--since={time}");
        let commands: [&[&str]; 10] = [
            &["explain", "web"],
            &["stats"],
            &["stats", &since],
            &["run", "--dry-run"],
            &["run"],
            &["stop", "web", "--for", "30000000w"],
            &["run"],
            &["resume", "web"],
            &["reset", "web"],
            &["run"],
        ];
        for command in commands {
            let done = fixture.run(command);
            assert!(!done.stderr.contains("panicked") && done.code != 101, "{time} {command:?}: {done:?}");
        }
        // A marker with such times is one; one that is over is removed.
        let marker = json!({"schema": 1, "by": "anna", "at": time, "until": time});
        fixture.touch_marker("web");
        fs::write(fixture.path("state/manual-stop/web.stopped"), marker.to_string()).expect("a marker");
        for command in [&["explain", "web"][..], &["run"]] {
            let done = fixture.run(command);
            assert!(!done.stderr.contains("panicked") && done.code != 101, "{time} {command:?}: {done:?}");
        }
        let stopped = fixture.count("web manually stopped") > 0;
        assert_eq!(stopped, time.starts_with("9999"), "{time}: {}", fixture.log());
        assert!(fixture.state_files().iter().all(|(name, _)| !name.contains("corrupt")), "{time}");
    }
}
