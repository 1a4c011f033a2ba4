//! Whole passes of the binary, and what is told of them: once a kind, one reminder a cooldown, a recovery only to
//! whom a failure was told, one message for one problem.

use crate::common;

use std::fs;

use common::fake_docker::{Answer, FakeDocker, id_of};
use common::fixture::Fixture;
use common::ntfy::Ntfy;
use common::server::Reply;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

fn ago(span: Duration) -> Value {
    json!((OffsetDateTime::now_utc() - span).format(&Rfc3339).expect("a date of our time"))
}

/// A service that is down until the file of its name exists.
fn service(fixture: &Fixture, name: &str, title: &str) -> Value {
    json!({
        "display_name": title,
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path(name).display())},
        "restart_cmd": "true",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

fn fixture() -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let web = service(&fixture, "web", "Web");
    fixture.service("web", web).ntfy(&ntfy);
    (fixture, ntfy)
}

fn set_up(fixture: &Fixture, name: &str) {
    fs::write(fixture.path(name), "").expect("the service comes up");
}

fn set_down(fixture: &Fixture, name: &str) {
    fs::remove_file(fixture.path(name)).expect("the service goes down");
}

fn edit(fixture: &Fixture, service: &str, change: impl FnOnce(&mut Value)) {
    let mut state = fixture.state(service).expect("a state");
    change(&mut state);
    let path = fixture.path("state").join(format!("{service}.json"));
    fs::write(path, state.to_string()).expect("it is written");
}

/// Moves all that was told, and what is counted, so far into the past.
fn time_passes(fixture: &Fixture, span: Duration) {
    edit(fixture, "web", |state| {
        for told in state["incident"]["told"].as_object_mut().into_iter().flat_map(|told| told.values_mut()) {
            told["last"] = ago(span);
        }
    });
}

fn message(ntfy: &Ntfy, index: usize) -> String {
    ntfy.messages()[index]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn each_kind_goes_out_once_then_one_reminder_a_cooldown() {
    let (fixture, ntfy) = fixture();
    for _ in 0..3 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(ntfy.titles(), ["Web Recovery Failed"]);
    for _ in 0..3 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Crash Loop"]);
    time_passes(&fixture, Duration::minutes(61));
    for _ in 0..3 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Crash Loop", "Web Crash Loop"]);
    assert!(message(&ntfy, 2).contains("\nAlert: SERVICE-CRASH-LOOP (reminder)\n"), "{}", message(&ntfy, 2));
}

#[test]
fn without_a_cooldown_every_pass_reminds() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["notifications"]["cooldown_seconds"] = json!(0);
    fixture.config["services"]["web"]["max_failures"] = json!(0);
    for _ in 0..3 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(ntfy.titles(), ["Web Down"; 3]);
}

#[test]
fn a_new_incident_is_told_at_once_and_its_recovery_only_after_a_healthy_window() {
    let (fixture, ntfy) = fixture();
    fixture.pass().expect_code(1);
    set_up(&fixture, "web");
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Recovered"]);
    for _ in 0..2 {
        set_down(&fixture, "web");
        fixture.pass().expect_code(1);
        set_up(&fixture, "web");
        fixture.pass().expect_code(0);
        fixture.pass().expect_code(0);
    }
    let so_far = ["Web Recovery Failed", "Web Recovered", "Web Recovery Failed", "Web Recovery Failed"];
    assert_eq!(ntfy.titles(), so_far, "a failure is told at once, flapping is not");
    edit(&fixture, "web", |state| {
        state["since"] = ago(Duration::minutes(61));
        state["last_incident"]["closed_at"] = ago(Duration::minutes(61));
    });
    fixture.pass().expect_code(0);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles()[4..], ["Web Recovered"], "once, for all of them");
}

#[test]
fn what_was_never_told_does_not_recover_aloud() {
    let (fixture, ntfy) = fixture();
    let flag = fixture.path("web");
    let mut heals = fixture;
    heals.config["services"]["web"]["restart_cmd"] = json!(format!("touch {}", flag.display()));
    heals.pass().expect_code(0);
    heals.pass().expect_code(0);
    assert_eq!(heals.count("Successfully recovered web"), 1);
    assert_eq!(ntfy.requests().len(), 0, "{:?}", ntfy.titles());
}

#[test]
fn a_failure_that_could_not_be_delivered_becomes_one_late_message() {
    let (fixture, ntfy) = fixture();
    ntfy.always(Some(Reply::status(503, "busy")));
    for _ in 0..4 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(fixture.outbox().len(), 2, "recovery failed, and crash loop");
    set_up(&fixture, "web");
    fixture.pass().expect_code(75);
    ntfy.always(None);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["Web Recovered"], "{}", fixture.log());
    let message = &ntfy.messages()[0];
    assert_eq!((&message["priority"], &message["tags"]), (&json!(3), &json!(["white_check_mark"])));
    let text = message["message"].as_str().unwrap_or_default();
    assert!(text.contains("Status: was down ") && text.contains(", recovered; delivery delayed"), "{text}");
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles().len(), 1);
}

#[test]
fn a_recovery_says_how_long_it_was_down_and_goes_to_whom_the_failure_was_told() {
    let (mut fixture, ntfy) = fixture();
    fixture.pass().expect_code(1);
    edit(&fixture, "web", |state| {
        state["incident"]["down_since"] = ago(Duration::minutes(90));
        state["since"] = ago(Duration::minutes(90));
    });
    // Meanwhile the service's alerts go elsewhere.
    fixture.config["notifications"]["ntfy"]["topics"]["ops"] = json!("other-topic");
    fixture.config["services"]["web"]["notify_on_fail"] = json!("ops");
    set_up(&fixture, "web");
    fixture.pass().expect_code(0);
    let told: Vec<Value> = ntfy.messages().into_iter().filter(|m| m["title"] == "Web Recovered").collect();
    assert!(told.iter().any(|message| message["topic"] == "test-topic"), "{told:?}");
    let text = told[0]["message"].as_str().unwrap_or_default();
    assert!(text.contains("Was down for: 1h 30m"), "{text}");
    assert_eq!((&told[0]["priority"], &told[0]["tags"]), (&json!(3), &json!(["white_check_mark"])));
}

#[test]
fn the_root_cause_tells_all_it_blocks_and_goes_to_their_topics_too() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["notifications"]["ntfy"]["topics"] =
        json!({"alerts": "test-topic", "web-people": "topic-web", "api-people": "topic-api"});
    let (db, mut api) = (service(&fixture, "db", "Database"), service(&fixture, "api", "Api"));
    api["dependencies"] = json!(["web"]);
    api["notify_on_fail"] = json!("api-people");
    fixture.service("db", db).service("api", api);
    fixture.config["services"]["web"]["dependencies"] = json!(["db"]);
    fixture.config["services"]["web"]["notify_on_fail"] = json!("web-people");
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["Database Recovery Failed"; 3]);
    let mut topics: Vec<String> =
        ntfy.messages().iter().map(|m| m["topic"].as_str().unwrap_or_default().to_owned()).collect();
    topics.sort();
    assert_eq!(topics, ["test-topic", "topic-api", "topic-web"]);
    assert!(message(&ntfy, 0).contains("\nBlocks: web, api\n"), "{}", message(&ntfy, 0));
    for name in ["db", "web", "api"] {
        set_up(&fixture, name);
    }
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles()[3..], ["Database Recovered"; 3], "to all who heard of it, and of nothing else");
}

fn in_box(title: &str) -> Value {
    json!({
        "display_name": title,
        "container": "box",
        "health_check": {"type": "custom", "command": "true"},
        "restart_cmd": "true",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

fn with_box(fake: &FakeDocker) -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    fixture.fake_docker(fake).ntfy(&ntfy);
    fixture.service("web", in_box("Web")).service("db", in_box("Database"));
    (fixture, ntfy)
}

#[test]
fn one_containers_trouble_is_one_alert_with_the_container_in_its_title() {
    let mut fake = FakeDocker::new();
    fake.containers(&[("box-container", "exited")]);
    let id = id_of("box-container");
    let state = json!({"Status": "exited", "ExitCode": 0, "StartedAt": ago(Duration::minutes(9)),
                       "FinishedAt": ago(Duration::minutes(5))});
    let inspected = json!([{"Id": id, "Name": "/box-container", "State": state}]);
    fake.when(&format!("inspect --type container {id}"), Answer::ok(&inspected.to_string()));
    fake.when("events", Answer::ok("{\"Action\": \"die\", \"Actor\": {\"Attributes\": {}}}\n"));
    let (fixture, ntfy) = with_box(&fake);
    fixture.pass().expect_code(1);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["box-container Down"], "{}", fixture.log());
    let text = message(&ntfy, 0);
    assert!(text.starts_with("Service: db, web\n"), "{text}");
    assert!(text.contains("\nContainer: box-container\n"), "{text}");
}

#[test]
fn a_container_that_is_not_there_is_one_alert_at_the_second_look() {
    let mut fake = FakeDocker::new();
    fake.containers(&[]);
    let (fixture, ntfy) = with_box(&fake);
    fixture.pass().expect_code(69);
    assert_eq!(ntfy.titles(), Vec::<String>::new());
    for _ in 0..3 {
        fixture.pass().expect_code(69);
    }
    assert_eq!(ntfy.titles(), ["box Cannot Be Checked"], "{}", fixture.log());
    let message = &ntfy.messages()[0];
    assert_eq!((&message["priority"], &message["tags"]), (&json!(4), &json!(["warning"])));
    let text = message["message"].as_str().unwrap_or_default();
    assert!(text.starts_with("Service: db, web\n") && text.contains("\nAlert: CHECK-IMPOSSIBLE\n"), "{text}");
}

#[test]
fn what_cannot_be_checked_is_told_at_the_second_look_in_a_row() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["services"]["web"]["health_check"]["command"] = json!("no-such-program-anywhere");
    fixture.pass().expect_code(69);
    fixture.config["services"]["web"]["health_check"]["command"] = json!("true");
    fixture.pass().expect_code(0);
    fixture.config["services"]["web"]["health_check"]["command"] = json!("no-such-program-anywhere");
    fixture.pass().expect_code(69);
    assert_eq!(ntfy.titles(), Vec::<String>::new(), "not two in a row");
    for _ in 0..3 {
        fixture.pass().expect_code(69);
    }
    assert_eq!(ntfy.titles(), ["Web Cannot Be Checked"], "{}", fixture.log());
    fixture.config["services"]["web"]["health_check"]["command"] = json!("true");
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles().len(), 1, "no failure was told, so no recovery is");
}

#[test]
fn an_engine_that_is_gone_is_one_alert_for_the_machine_at_the_second_look() {
    let mut fake = FakeDocker::new();
    fake.when("", Answer::no_engine());
    let (mut fixture, ntfy) = with_box(&fake);
    fixture.pass().expect_code(69);
    assert_eq!(ntfy.titles(), Vec::<String>::new());
    for _ in 0..3 {
        fixture.pass().expect_code(69);
    }
    let titles = ntfy.titles();
    assert!(titles.len() == 1 && titles[0].starts_with("Docker Unreachable on "), "{titles:?}");
    let message = &ntfy.messages()[0];
    assert_eq!((&message["priority"], &message["tags"]), (&json!(4), &json!(["warning"])));
    // Where nobody is told of the machine, those are who hear of a service in a container.
    fixture.config["notifications"]["cooldown_seconds"] = json!(0);
    fixture.config["notifications"].as_object_mut().expect("a section").remove("default_topic");
    fixture.config["notifications"]["ntfy"]["topics"] = json!({"ops": "topic-ops"});
    fixture.config["services"]["web"]["notify_on_fail"] = json!("ops");
    fixture.pass().expect_code(69);
    assert_eq!(ntfy.messages()[1]["topic"], "topic-ops", "{:?}", ntfy.messages());
}

#[test]
fn who_wants_no_alerts_gets_none() {
    let (mut fixture, ntfy) = fixture();
    fixture.config["services"]["web"]["notify_on_fail"] = Value::Null;
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.requests().len(), 0);
    assert_eq!(fixture.count("goes to nobody"), 1, "{}", fixture.log());
}

#[test]
fn a_service_stopped_by_a_person_is_told_to_nobody() {
    let (fixture, ntfy) = fixture();
    fixture.run(&["stop", "web"]).expect_code(0);
    for _ in 0..3 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(ntfy.requests().len(), 0);
}
