//! A configuration that became invalid is told also where the state is damaged, cannot be written, or its outbox
//! is none.

use crate::common;

use std::fs;

use common::fixture::Fixture;
use common::ntfy::Ntfy;
use common::server::Reply;
use serde_json::json;

/// A configuration that a pass was made with.
fn fixture() -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    fixture.service("web", json!({"health_check": {"type": "custom", "command": "true"}})).ntfy(&ntfy);
    fixture.pass().expect_code(0);
    (fixture, ntfy)
}

fn break_it(fixture: &mut Fixture) {
    fixture.config["services"]["web"]["health_check"]["type"] = json!("guess");
}

#[track_caller]
fn told(ntfy: &Ntfy, times: usize) {
    let titles = ntfy.titles();
    let of_it = titles.iter().filter(|title| title.starts_with("Recovery Configuration Invalid on ")).count();
    assert_eq!(of_it, times, "{titles:?}");
}

#[test]
fn a_damaged_memory_is_set_aside_and_silences_nothing() {
    let (mut fixture, ntfy) = fixture();
    fs::create_dir_all(fixture.path("state/machine")).expect("the folder is made");
    let memory = fixture.path("state/machine/configuration.json");
    fs::write(&memory, "{").expect("the damage is done");
    break_it(&mut fixture);
    fixture.pass().expect_code(78);
    fixture.pass().expect_code(78);
    told(&ntfy, 1);
    let aside = fs::read_dir(fixture.path("state/machine")).expect("the folder").flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains(".json.corrupt-")).count();
    assert_eq!(aside, 1);
}

#[test]
fn a_damaged_memory_of_a_valid_configuration_is_said_once() {
    let (fixture, _ntfy) = fixture();
    fs::create_dir_all(fixture.path("state/machine")).expect("the folder is made");
    fs::write(fixture.path("state/machine/configuration.json"), "{").expect("the damage is done");
    let done = fixture.pass().expect_code(74);
    assert!(done.stderr.contains("configuration.json is damaged"), "{}", done.stderr);
    assert_eq!(fixture.pass().expect_code(0).stderr, "");
}

#[test]
fn a_memory_that_cannot_be_had_silences_nothing() {
    let (mut fixture, ntfy) = fixture();
    fs::write(fixture.path("state/machine"), "").expect("a file where a folder belongs");
    break_it(&mut fixture);
    let done = fixture.pass().expect_code(78);
    assert!(done.stderr.contains("told without remembering"), "{}", done.stderr);
    told(&ntfy, 1);
}

#[test]
fn what_can_be_neither_kept_nor_sent_is_told_later() {
    let (mut fixture, ntfy) = fixture();
    fs::write(fixture.path("state/outbox"), "").expect("a file where a folder belongs");
    break_it(&mut fixture);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(78);
    told(&ntfy, 0);
    ntfy.always(None);
    fixture.pass().expect_code(78);
    told(&ntfy, 1);
    fixture.pass().expect_code(78);
    told(&ntfy, 1);
}
