//! A pass that cannot read its configuration tells whom the last good pass would have told, and sends what waits.

use crate::common;

use std::fs;

use common::fixture::{Fixture, LIMIT};
use common::http::HttpService;
use common::ntfy::{Ntfy, refusal};
use common::run::{self, Finished};
use common::server::Reply;
use serde_json::{Value, json};

const BROKEN: &str = "{\n  \"services\": {},\n  \"recovery\": {},,\n}\n";

/// A service that is up as long as `service` says so, and cannot be brought back.
fn fixture(service: &HttpService, ntfy: &Ntfy) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service(
        "web",
        json!({
            "display_name": "Web",
            "health_check": {"type": "http", "endpoint": service.url("/health"), "timeout_seconds": 5},
            "restart_cmd": "true",
            "startup_delay_seconds": 0,
            "startup_timeout_seconds": 0
        }),
    );
    fixture.ntfy(ntfy);
    fixture
}

/// Runs it without writing the configuration anew.
fn as_it_is(fixture: &Fixture, args: &[&str]) -> Finished {
    run::within(LIMIT, fixture.bare_command(args), b"")
}

fn break_it(fixture: &Fixture) {
    fs::write(fixture.config_path(), BROKEN).expect("it is written");
}

/// How many messages with that beginning of a title arrived.
fn told(ntfy: &Ntfy, title: &str) -> usize {
    ntfy.titles().iter().filter(|told| told.starts_with(title)).count()
}

const TITLE: &str = "Recovery Configuration Invalid on ";

#[test]
fn a_comma_too_many_is_told_once_with_file_and_line_and_again_in_a_new_incident() {
    let (service, ntfy) = (HttpService::start(), Ntfy::start());
    let fixture = fixture(&service, &ntfy);
    fixture.pass().expect_code(0);
    break_it(&fixture);
    for pass in 1..=3 {
        let done = as_it_is(&fixture, &["run"]).expect_code(78);
        let first = done.stderr.lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with(&format!("{}:3:", fixture.config_path().display())), "{first}");
        assert_eq!(told(&ntfy, TITLE), 1, "pass {pass}: {}", done.stderr);
    }
    let message = &ntfy.messages()[0];
    let text = message["message"].as_str().expect("a text");
    assert!(text.contains(&format!("{}:3:", fixture.config_path().display())), "{text}");
    assert_eq!((message["topic"].as_str(), message["priority"].as_u64()), (Some("test-topic"), Some(4)));

    // Mended: the incident is over. The next one is told at once.
    fixture.pass().expect_code(0);
    break_it(&fixture);
    as_it_is(&fixture, &["run"]).expect_code(78);
    assert_eq!(told(&ntfy, TITLE), 2);
    assert_eq!(service.requests().len(), 2, "nothing is looked at meanwhile");
}

#[test]
fn a_reminder_follows_when_the_cooldown_is_over() {
    let (service, ntfy) = (HttpService::start(), Ntfy::start());
    let fixture = fixture(&service, &ntfy);
    fixture.pass().expect_code(0);
    break_it(&fixture);
    as_it_is(&fixture, &["run"]).expect_code(78);
    as_it_is(&fixture, &["run"]).expect_code(78);
    assert_eq!(told(&ntfy, TITLE), 1);
    // An hour and a little later, as far as the memory goes.
    let path = fixture.path("state/machine/configuration.json");
    let state = fs::read_to_string(&path).expect("an incident is remembered");
    fs::write(&path, an_hour_earlier(&state)).expect("it is written");
    as_it_is(&fixture, &["run"]).expect_code(78);
    as_it_is(&fixture, &["run"]).expect_code(78);
    assert_eq!(ntfy.messages().len(), 2, "{:?}", ntfy.titles());
}

/// All times in that state, 3601 s earlier. Which boot they were told in is left out, or it would be seen that no
/// hour has passed.
fn an_hour_earlier(state: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(state).expect("JSON");
    value.as_object_mut().expect("an object").remove("boot");
    let state = &value.to_string();
    use time::format_description::well_known::Rfc3339;
    let time = regex::Regex::new(r#""\d{4}-\d\d-\d\dT[^"]+Z""#).expect("a valid expression");
    let earlier = |found: &regex::Captures<'_>| {
        let at = time::OffsetDateTime::parse(found[0].trim_matches('"'), &Rfc3339).expect("a time");
        let at = at - time::Duration::seconds(3601);
        format!("\"{}\"", at.format(&Rfc3339).expect("a time"))
    };
    let changed = time.replace_all(state, earlier);
    assert_ne!(changed, *state, "there are times in it");
    changed.into_owned()
}

#[test]
fn what_waits_in_the_outbox_is_delivered_all_the_same() {
    let (service, ntfy) = (HttpService::start(), Ntfy::start());
    let fixture = fixture(&service, &ntfy);
    service.answer(Reply::status(503, "busy"));
    ntfy.always(Some(refusal(429, 42901, "too many requests")));
    fixture.pass().expect_code(1);
    assert_eq!((fixture.outbox().len(), ntfy.titles().len()), (1, 0));
    ntfy.always(None);
    break_it(&fixture);
    as_it_is(&fixture, &["run"]).expect_code(78);
    assert_eq!((told(&ntfy, "Web Recovery Failed"), told(&ntfy, TITLE)), (1, 1), "{:?}", ntfy.titles());
    assert!(fixture.outbox().is_empty());
}

#[test]
fn a_message_that_cannot_be_sent_waits_too() {
    let (service, ntfy) = (HttpService::start(), Ntfy::start());
    let fixture = fixture(&service, &ntfy);
    fixture.pass().expect_code(0);
    break_it(&fixture);
    ntfy.always(Some(Reply::Close));
    let done = as_it_is(&fixture, &["run"]).expect_code(78);
    assert!(done.stderr.contains("1 alert waits for the next pass"), "{}", done.stderr);
    assert_eq!(fixture.outbox().len(), 1);
    ntfy.always(None);
    as_it_is(&fixture, &["run"]).expect_code(78);
    assert_eq!(told(&ntfy, TITLE), 1);
    assert!(fixture.outbox().is_empty());
}

#[test]
fn a_file_that_is_gone_is_told_of_like_a_wrong_one() {
    let (service, ntfy) = (HttpService::start(), Ntfy::start());
    let fixture = fixture(&service, &ntfy);
    fixture.pass().expect_code(0);
    fs::remove_file(fixture.config_path()).expect("it was there");
    as_it_is(&fixture, &["run"]).expect_code(78);
    assert_eq!(told(&ntfy, TITLE), 1, "{:?}", ntfy.titles());
}

#[test]
fn looking_only_tells_nobody_and_writes_nothing() {
    let (service, ntfy) = (HttpService::start(), Ntfy::start());
    let fixture = fixture(&service, &ntfy);
    fixture.pass().expect_code(0);
    let before = fixture.state_files();
    break_it(&fixture);
    for args in
        [&["run", "--dry-run"][..], &["validate"], &["stop", "web"], &["resume", "web"], &["reset", "web"]]
    {
        as_it_is(&fixture, args).expect_code(78);
    }
    assert_eq!((ntfy.requests().len(), fixture.state_files()), (0, before));
}

#[test]
fn without_a_good_pass_before_it_says_that_nobody_is_told() {
    let fixture = Fixture::new();
    break_it(&fixture);
    let done = as_it_is(&fixture, &["run"]).expect_code(78);
    assert!(
        done.stderr
            .ends_with("note: nobody is told of this: no pass with this configuration was ever made\n"),
        "{}",
        done.stderr
    );
    assert_eq!(fixture.state_files(), []);
}

#[test]
fn validate_says_the_same_as_json() {
    let fixture = Fixture::new();
    break_it(&fixture);
    let text = as_it_is(&fixture, &["validate"]).expect_code(78);
    assert_eq!(text.stdout, "");
    assert!(text.stderr.ends_with(": not valid, 1 error\n"), "{}", text.stderr);
    let json = as_it_is(&fixture, &["validate", "--json"]).expect_code(78);
    assert_eq!(json.stderr, "");
    let said: Value = serde_json::from_str(&json.stdout).expect("one object");
    assert_eq!((&said["valid"], &said["problems"][0]["line"]), (&json!(false), &json!(3)));
    let first = text.stderr.lines().next().unwrap_or_default();
    assert!(first.ends_with(said["problems"][0]["text"].as_str().expect("a text")), "{first}\n{said}");
}
