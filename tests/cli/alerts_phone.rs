//! Whole passes of the binary, and what a phone makes of them: a message that takes another's place, what a touch
//! opens, which machine it is, and a recovery of which no failure was told.

use crate::common;

use std::fs;

use common::fake_docker::{Answer, FakeDocker, id_of};
use common::fixture::Fixture;
use common::ntfy::Ntfy;
use common::server::Reply;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

fn fixture() -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let file = fixture.path("web").display().to_string();
    fixture.service(
        "web",
        json!({
            "display_name": "Web",
            "health_check": {"type": "custom", "command": format!("test -e {file}")},
            "restart_cmd": format!("test -e {file}.hopeless || touch {file}"),
            "startup_delay_seconds": 0,
            "startup_timeout_seconds": 0,
            "max_failures": 20,
            "runbook_url": "https://wiki.example.org/web"
        }),
    );
    fixture.ntfy(&ntfy);
    (fixture, ntfy)
}

/// Whether a restart helps.
fn hopeless(fixture: &Fixture, yes: bool) {
    let file = fixture.path("web.hopeless");
    if yes { fs::write(file, "").expect("it is hopeless") } else { drop(fs::remove_file(file)) }
}

fn set_up(fixture: &Fixture) {
    fs::write(fixture.path("web"), "").expect("the service comes up");
}

fn set_down(fixture: &Fixture) {
    let _ = fs::remove_file(fixture.path("web"));
}

fn sequence(ntfy: &Ntfy, index: usize) -> String {
    let name = ntfy.messages()[index]["sequence_id"].as_str().unwrap_or_default().to_owned();
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!((1..=64).contains(&name.len()) && name.chars().all(valid), "ntfy refuses {name:?}");
    name
}

/// Moves what is remembered of recoveries into the past.
fn a_window_passes(fixture: &Fixture) {
    let past = (OffsetDateTime::now_utc() - Duration::days(2)).format(&Rfc3339).expect("a date of our time");
    let path = fixture.path("state/web.json");
    let mut state = fixture.state("web").expect("a state");
    state["since"] = json!(past);
    for key in ["unalerted", "last_incident"] {
        for at in ["at", "down_since", "closed_at"] {
            if state[key].get(at).is_some_and(Value::is_string) {
                state[key][at] = json!(past);
            }
        }
    }
    fs::write(path, state.to_string()).expect("it is written");
}

#[test]
fn recovered_takes_the_place_of_failed_and_the_next_incident_rings_anew() {
    let (fixture, ntfy) = fixture();
    hopeless(&fixture, true);
    fixture.pass().expect_code(1);
    set_up(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Recovered"]);
    assert_eq!(sequence(&ntfy, 0), sequence(&ntfy, 1));
    set_down(&fixture);
    fixture.pass().expect_code(1);
    assert_ne!(sequence(&ntfy, 2), sequence(&ntfy, 1), "a phone would change a shown message in silence");
}

#[test]
fn what_is_told_again_rings_again_and_the_recovery_takes_the_place_of_the_last() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["notifications"]["alert_cooldown_seconds"] = json!(60);
    fixture.config["services"]["web"]["max_failures"] = json!(1);
    hopeless(&fixture, true);
    fixture.pass().expect_code(1);
    fixture.pass().expect_code(1);
    let mut state = fixture.state("web").expect("a state");
    for told in state["incident"]["told"].as_object_mut().expect("what was told").values_mut() {
        told["last"] = json!("2026-01-01T00:00:00Z");
    }
    fs::write(fixture.path("state/web.json"), state.to_string()).expect("it is written");
    fixture.pass().expect_code(1);
    set_up(&fixture);
    fixture.pass().expect_code(0);
    let crash = "Web Crash Loop";
    assert_eq!(ntfy.titles().len(), 4, "{:?}", ntfy.titles());
    assert!(ntfy.titles()[1].contains(crash) && ntfy.titles()[2].contains(crash), "{:?}", ntfy.titles());
    let names: Vec<_> = (0..4).map(|index| sequence(&ntfy, index)).collect();
    let distinct: std::collections::BTreeSet<_> = names[..3].iter().collect();
    assert_eq!((distinct.len(), &names[3]), (3, &names[2]), "{names:?}");
}

/// Two services in a container that ended by itself.
fn in_a_box(docker: &mut FakeDocker) -> (Fixture, Ntfy) {
    docker.containers(&[("box", "exited")]);
    let ago = |minutes| {
        let at = OffsetDateTime::now_utc() - Duration::minutes(minutes);
        at.format(&Rfc3339).expect("a date of our time")
    };
    let (id, state) =
        (id_of("box"), json!({"Status": "exited", "ExitCode": 0, "StartedAt": ago(9), "FinishedAt": ago(5)}));
    let inspected = json!([{"Id": id, "Name": "/box", "State": state}]);
    docker.when(&format!("inspect --type container {id}"), Answer::ok(&inspected.to_string()));
    docker.when("events", Answer::ok("{\"Action\": \"die\", \"Actor\": {\"Attributes\": {}}}\n"));
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    fixture.fake_docker(docker).ntfy(&ntfy);
    for name in ["a", "b"] {
        let file = fixture.path(name).display().to_string();
        let service = json!({
            "container": "box", "restart": "none",
            "health_check": {"type": "custom", "command": format!("test -e {file}")}
        });
        fixture.service(name, service);
    }
    (fixture, ntfy)
}

#[test]
fn of_what_was_told_of_several_the_last_recovery_takes_the_place() {
    for together in [true, false] {
        let mut docker = FakeDocker::new();
        let (mut fixture, ntfy) = in_a_box(&mut docker);
        fixture.pass();
        fixture.pass();
        assert_eq!(ntfy.titles(), ["box Down"], "{}", fixture.log());
        // They move to the machine, where they can come up one after the other.
        for name in ["a", "b"] {
            fixture.config["services"][name].as_object_mut().expect("a service").remove("container");
        }
        for name in ["a", "b"] {
            fs::write(fixture.path(name), "").expect("it comes up");
            if !together {
                fixture.pass();
            }
        }
        fixture.pass().expect_code(0);
        let group = sequence(&ntfy, 0);
        assert_eq!(ntfy.titles().len(), 3, "{:?}", ntfy.titles());
        assert_ne!(sequence(&ntfy, 1), group, "{together}: the other one is still down");
        assert_eq!(sequence(&ntfy, 2), group, "{together}");
    }
}

#[test]
fn a_late_message_takes_the_same_place() {
    let (fixture, ntfy) = fixture();
    hopeless(&fixture, true);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    let waiting = fixture.outbox().values().next().expect("one waits").clone();
    set_up(&fixture);
    ntfy.always(None);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["Web Recovered"]);
    assert_eq!(waiting["sequence"], sequence(&ntfy, 0));
}

#[test]
fn a_touch_opens_the_runbook_and_the_text_names_it() {
    let (fixture, ntfy) = fixture();
    hopeless(&fixture, true);
    fixture.pass().expect_code(1);
    let message = &ntfy.messages()[0];
    assert_eq!(message["click"], "https://wiki.example.org/web");
    let text = message["message"].as_str().unwrap_or_default();
    assert!(text.ends_with("\n\nRunbook: https://wiki.example.org/web"), "{text}");
}

#[test]
fn the_title_says_which_machine_where_that_is_wanted() {
    let (mut fixture, ntfy) = fixture();
    hopeless(&fixture, true);
    fixture.config["notifications"]["host_label"] = json!("vps-1");
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    ntfy.always(None);
    fixture.pass().expect_code(1);
    set_up(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["[vps-1] Web Recovery Failed", "[vps-1] Web Recovered"]);
    fixture.config["services"]["web"]["health_check"]["type"] = json!("guess");
    fixture.pass().expect_code(78);
    assert!(
        ntfy.titles()[2].starts_with("[vps-1] Recovery Configuration Invalid on "),
        "{:?}",
        ntfy.titles()
    );

    let (mut fixture, ntfy) = self::fixture();
    hopeless(&fixture, true);
    fixture.config["notifications"]["host_label"] = json!(true);
    fixture.pass().expect_code(1);
    let text = ntfy.messages()[0]["message"].as_str().unwrap_or_default().to_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("Host: ")).expect("the machine's name");
    assert_eq!(ntfy.titles(), [format!("[{host}] Web Recovery Failed")]);
}

#[test]
fn a_recovery_that_needed_no_alert_is_told_once_where_that_is_wanted() {
    for place in ["service", "defaults", "notifications"] {
        let (mut fixture, ntfy) = fixture();
        match place {
            "service" => fixture.config["services"]["web"]["notify_on_recovery"] = json!(true),
            "defaults" => fixture.config["recovery"]["defaults"] = json!({"notify_on_recovery": true}),
            _ => fixture.config["notifications"]["notify_on_recovery"] = json!(true),
        }
        for _ in 0..3 {
            fixture.pass().expect_code(0);
        }
        assert_eq!(ntfy.titles(), ["Web Recovered"], "{place}: {}", fixture.log());
        let message = &ntfy.messages()[0];
        assert_eq!((&message["priority"], &message["tags"]), (&json!(3), &json!(["white_check_mark"])));
        let text = message["message"].as_str().unwrap_or_default();
        assert!(text.contains("\nAlert: SERVICE-RECOVERED\n"), "{text}");
    }
    let (mut fixture, ntfy) = fixture();
    fixture.config["notifications"]["notify_on_recovery"] = json!(true);
    fixture.config["services"]["web"]["notify_on_recovery"] = json!(false);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), Vec::<String>::new(), "the service itself has the last word");
}

#[test]
fn it_is_not_told_together_with_the_recovery_of_an_incident() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["notifications"]["notify_on_recovery"] = json!(true);
    hopeless(&fixture, true);
    fixture.pass().expect_code(1);
    hopeless(&fixture, false);
    for _ in 0..3 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Recovered"], "{}", fixture.log());

    // Nor beside the late message about a failure that was never delivered.
    let (mut fixture, ntfy) = self::fixture();
    fixture.config["notifications"]["notify_on_recovery"] = json!(true);
    hopeless(&fixture, true);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    hopeless(&fixture, false);
    ntfy.always(None);
    for _ in 0..3 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(ntfy.titles(), ["Web Recovered"], "{}", fixture.log());
}

#[test]
fn one_that_flaps_is_told_after_a_healthy_window() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["notifications"]["notify_on_recovery"] = json!(true);
    for _ in 0..4 {
        set_down(&fixture);
        fixture.pass().expect_code(0);
        fixture.pass().expect_code(0);
    }
    assert_eq!(fixture.count("Successfully recovered web"), 4);
    assert_eq!(ntfy.titles(), ["Web Recovered"], "{}", fixture.log());
    a_window_passes(&fixture);
    fixture.pass().expect_code(0);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["Web Recovered"; 2], "once, for all of them");
    set_down(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles().len(), 3, "and at once after a quiet time: {}", fixture.log());
}
