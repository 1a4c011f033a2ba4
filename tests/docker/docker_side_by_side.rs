//! Many services at once: independent failures cost one wait, a common cause one alert, and many passes at once
//! one restart.

use crate::common;

use std::process::Command;

use common::docker::require_docker;
use common::fixture::{Fixture, LIMIT};
use common::inside::{attempts, custom, idle};
use common::ntfy::Ntfy;
use common::run;
use serde_json::json;

/// The place of the lines of the log that contain `phrase`.
fn places(fixture: &Fixture, phrase: &str) -> Vec<usize> {
    let log = fixture.log();
    log.lines().enumerate().filter(|(_, line)| line.contains(phrase)).map(|(at, _)| at).collect()
}

#[test]
fn independent_failures_wait_side_by_side_and_dependants_heal() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    fixture.ntfy(&ntfy);
    for number in 0..10 {
        let file = format!("/tmp/up-{number}");
        let mut service = custom(&container, &format!("test -e {file}"), &format!("touch {file}"));
        service["startup_delay_seconds"] = json!(4);
        fixture.service(&format!("base-{number}"), service);
        let mut above = custom(&container, &format!("test -e {file}"), "echo x >> /tmp/above");
        above["dependencies"] = json!([format!("base-{number}")]);
        fixture.service(&format!("above-{number}"), above);
    }
    fixture.pass().expect_code(0);
    let (begun, recovered) = (
        places(&fixture, "Executing restart command for base-"),
        places(&fixture, "Successfully recovered base-"),
    );
    assert_eq!((begun.len(), recovered.len()), (10, 10), "{}", fixture.log());
    assert!(begun.last() < recovered.first(), "every wait had begun before one was over:\n{}", fixture.log());
    assert_eq!(fixture.count("healthy again without restart"), 10, "{}", fixture.log());
    assert_eq!(container.lines_of("/tmp/above"), 0);
    assert_eq!(ntfy.titles(), Vec::<String>::new(), "what was healed within the pass is no news");
}

#[test]
fn a_common_cause_is_one_alert_that_names_what_it_blocks() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    fixture.ntfy(&ntfy);
    let mut database = custom(&container, "exit 1", "echo x >> /tmp/database");
    database["startup_timeout_seconds"] = json!(0);
    database["display_name"] = json!("Database");
    fixture.service("database", database);
    let mut before = "database".to_owned();
    for name in ["one", "two", "three"] {
        let mut service = custom(&container, "exit 1", "echo x >> /tmp/dependants");
        service["dependencies"] = json!([before]);
        fixture.service(name, service);
        name.clone_into(&mut before);
    }
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["Database Recovery Failed"]);
    let text = ntfy.messages()[0]["message"].as_str().expect("a text").to_owned();
    let blocks = text.lines().find(|line| line.starts_with("Blocks: ")).unwrap_or_default().to_owned();
    assert!(["one", "two", "three"].iter().all(|name| blocks.contains(name)), "{text}");
    assert_eq!(fixture.count("is blocked by database"), 3, "{}", fixture.log());
    assert_eq!((container.lines_of("/tmp/database"), container.lines_of("/tmp/dependants")), (1, 0));
}

#[test]
fn of_twenty_passes_at_once_every_attempt_is_one_run() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let mut service = custom(&container, "exit 1", "echo x >> /tmp/restarts; exit 9");
    service["startup_timeout_seconds"] = json!(0);
    service["max_failures"] = json!(5);
    fixture.service("web", service);
    let commands: Vec<Command> = (0..20).map(|_| fixture.command(&["run"])).collect();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let start = |command| scope.spawn(|| run::within(LIMIT, command, b"").code);
        let passes: Vec<_> = commands.into_iter().map(start).collect();
        passes.into_iter().map(|pass| pass.join().expect("it ends")).collect()
    });
    assert!(codes.iter().all(|code| [0, 1].contains(code)), "{codes:?}\n{}", fixture.log());
    let runs = container.lines_of("/tmp/restarts");
    assert!((1..=5).contains(&runs), "{runs}\n{}", fixture.log());
    assert_eq!(attempts(&fixture, "web"), vec!["failed"; runs], "{}", fixture.log());
    assert_eq!(fixture.count("Executing restart command for web"), runs, "{}", fixture.log());
}
