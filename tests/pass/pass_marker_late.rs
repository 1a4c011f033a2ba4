//! A marker that is made while we look: it holds, whatever would have been done next.

use crate::world;

use std::fs;

use recovery::decide::Decision;
use recovery::engine::ContainerEnd;
use recovery::pass::Outcome;
use serde_json::{Value, json};
use world::engine::Machine;
use world::{Stage, died, down};

/// Where a person makes it.
#[derive(Debug, Clone, Copy)]
enum Where {
    Machine,
    Container,
}

/// When: right after that look has begun, and has read the markers.
#[derive(Debug, Clone, Copy)]
enum When {
    /// The look with that number.
    Look(usize),
    /// The first one after that was done.
    After(&'static str),
}

impl When {
    /// Whether that is now, where so many looks were answered already.
    fn is_now(self, machine: &Machine, looks: usize) -> bool {
        match self {
            Self::Look(number) => looks == number,
            Self::After(act) => machine.calls.iter().any(|call| call == act),
        }
    }
}

/// A person makes the marker when the engine is asked about the container: an unhealthy look does so last.
fn stop_during(stage: &Stage, place: Where, when: When) {
    let marker = stage.marker("web");
    fs::create_dir_all(marker.parent().expect("a folder")).expect("it can be made");
    let mut looks = 0;
    stage.engine.on("inspect box", move |machine| {
        looks += 1;
        if when.is_now(machine, looks) {
            match place {
                Where::Machine => fs::write(&marker, "").expect("it can be written"),
                Where::Container => machine.service("web").marker = Some(Vec::new()),
            }
        }
    });
}

fn web(keys: &Value) -> Stage {
    let mut service = json!({"container": "box", "startup_delay_seconds": 0, "startup_timeout_seconds": 0});
    for (key, value) in keys.as_object().expect("keys") {
        service[key] = value.clone();
    }
    let stage = Stage::new(&json!({"web": service}));
    stage.machine().ruin("web");
    stage
}

#[test]
fn a_marker_that_is_made_during_a_look_holds_back_whatever_comes_next() {
    let cleanup = json!({"cleanup_cmd": "web cleanup"});
    let container = json!({"restart": "container"});
    let both = json!({"restart": "container", "cleanup_cmd": "web cleanup"});
    let fallback = json!({"fallback_cmd": "web fallback"});
    let own = json!({"strategies": {"recoverable": ["restart", "restart-container"]}});
    let first = json!({"fallback_cmd": "web fallback", "strategies": {"recoverable": ["fallback"]}});
    let from_machine = json!({"health_check": {"type": "tcp", "port": 1, "from": "machine"}});
    let (during, after) = (When::Look, When::After);
    let steps: [(&Value, When, &[&str]); 9] = [
        (&json!({}), during(2), &[]),
        (&from_machine, during(2), &[]),
        (&cleanup, during(2), &[]),
        (&cleanup, during(3), &["cleanup web"]),
        (&container, during(2), &[]),
        (&both, during(3), &["cleanup web"]),
        (&fallback, after("run web"), &["run web"]),
        (&first, during(2), &[]),
        (&own, after("run web"), &["run web"]),
    ];
    for (keys, when, acts) in steps {
        for place in [Where::Machine, Where::Container] {
            let stage = web(keys);
            stop_during(&stage, place, when);
            let done = stage.pass();
            assert_eq!(done.acts(), acts, "{keys} {when:?} {place:?}");
            let left = done.outcome("web");
            assert!(
                matches!(left, Outcome::Left(Decision::Stopped(_))),
                "{keys} {when:?} {place:?} {left:?}"
            );
            let attempts = stage.state("web").attempts.len();
            assert_eq!(attempts > 0, !acts.is_empty(), "{keys} {when:?} {place:?}: {attempts} attempts");
        }
    }
}

#[test]
fn a_marker_that_is_made_while_its_started_container_is_looked_at_holds_back_its_command() {
    for place in [Where::Machine, Where::Container] {
        let stage = web(&json!({}));
        stage.machine().containers.insert("box".to_owned(), died(ContainerEnd::Died, 1));
        stage.machine().service("web").after_start = vec![down()];
        stop_during(&stage, place, When::After("start box"));
        let done = stage.pass();
        assert_eq!(done.acts(), ["start box"], "{place:?}");
        let left = done.outcome("web");
        assert!(matches!(left, Outcome::Left(Decision::Stopped(_))), "{place:?} {left:?}");
    }
}

#[test]
fn a_marker_that_is_made_during_the_second_look_holds_back_what_would_follow_a_dependency() {
    for place in [Where::Machine, Where::Container] {
        let stage = Stage::new(&json!({
            "vpn": {"container": "tunnel"},
            "web": {"container": "box", "dependencies": [{"service": "vpn", "restart": true}]}
        }));
        stage.pass();
        stage.machine().kill("vpn");
        let marker = stage.marker("web");
        fs::create_dir_all(marker.parent().expect("a folder")).expect("it can be made");
        let mut looks = 0;
        stage.engine.on("look box: web", move |machine| {
            looks += 1;
            match place {
                Where::Machine if looks == 2 => fs::write(&marker, "").expect("it can be written"),
                // Right after the second look.
                Where::Container if looks == 3 => machine.service("web").marker = Some(Vec::new()),
                _ => {}
            }
        });
        let done = stage.pass_after(300);
        assert_eq!(done.acts(), ["run vpn"], "{place:?}");
        let left = done.outcome("web");
        assert!(matches!(left, Outcome::Left(Decision::Stopped(_))), "{place:?} {left:?}");
    }
}
