//! The night that `docs/decisions.md` tells of, played.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use std::time::Duration;

use recovery::check::{Failure, Health};
use recovery::pass::Outcome;
use serde_json::json;
use world::{Done, Stage};

fn refused() -> Health {
    Health::Unhealthy(Failure::Refused { to: "localhost:80".to_owned() })
}

/// The next pass of the schedule, whatever the last one took.
fn next(stage: &Stage, began: time::OffsetDateTime) -> Done {
    let spent = (stage.clock.peek() - began).whole_seconds();
    stage.advance(u64::try_from(300 - spent % 300).unwrap());
    stage.pass()
}

#[test]
fn a_night_goes_as_it_is_told() {
    let stage = Stage::new(&json!({
        "web": {"container": "box", "failure_threshold": 2, "fallback_cmd": "web fallback"},
        "page": {"dependencies": ["web"]}
    }));
    let three = stage.clock.peek();
    let timed_out = Health::Unhealthy(Failure::TimedOut { after: Duration::from_secs(5) });
    // 03:00
    stage.machine().kill("web").health = timed_out;
    stage.machine().service("web").after_run = vec![Health::Healthy];
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.told().len()), (0, 0));
    // 03:05
    let done = next(&stage, three);
    assert_eq!((done.acts(), done.outcome("web")), (vec!["run web"], &Outcome::Recovered));
    assert_eq!(done.told().len(), 0);
    // 03:10, 03:15
    assert_eq!(next(&stage, three).exit, 0);
    assert_eq!(next(&stage, three).exit, 0);
    // 03:20
    stage.machine().ruin("web");
    stage.machine().service("web").health = refused();
    assert_eq!(next(&stage, three).acts().len(), 0);
    // 03:25
    let done = next(&stage, three);
    assert_eq!(
        (done.acts(), done.told()),
        (vec!["run web", "fallback web"], vec!["web Degraded → A".to_owned()])
    );
    assert_eq!(stage.state("web").attempts.len(), 2);
    // 03:30 to 05:20
    stage.machine().kill("page");
    assert_eq!(next(&stage, three).acts(), ["run page"]);
    let mut told = Vec::new();
    for _ in 0..22 {
        let done = next(&stage, three);
        assert_eq!((done.acts().len(), done.exit), (0, 1));
        told.extend(done.told());
    }
    assert_eq!(told, ["web Degraded → A"]);
    // 05:25
    stage.machine().service("web").after_run = vec![Health::Healthy];
    let done = next(&stage, three);
    assert_eq!((done.acts(), done.told()), (vec!["run web"], vec!["web Recovered → A".to_owned()]));
    assert_eq!(stage.state("web").attempts.len(), 1);
}
