//! Whole passes with doubles: a service that answers, but not as it should, is told of and left alone; and names
//! that cannot be resolved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use recovery::check::{Distrust, Failure, Health, Unknown};
use recovery::config::model::Strategy;
use recovery::decide::{Decision, NoWay};
use recovery::engine::ContainerEnd;
use recovery::pass::Outcome;
use serde_json::{Value, json};
use world::Stage;

fn http(status: u16) -> Health {
    Health::Unhealthy(Failure::HttpStatus { status, expected: "200–399".into() })
}

fn tls() -> Health {
    Health::Unhealthy(Failure::Tls { to: "web:443".into(), why: Distrust::Expired })
}

fn unresolved() -> Health {
    Health::Unknown(Unknown::Unresolved { to: "web.vpn:80".into() })
}

/// One service in a container of its own with a fallback and these keys, which answers like that.
fn web(keys: &Value, health: Health) -> Stage {
    let mut service = json!({"container": "box", "fallback_cmd": "web fallback"});
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    let stage = Stage::new(&json!({"web": service}));
    stage.machine().ruin("web");
    stage.machine().service("web").health = health;
    stage
}

#[test]
fn what_asks_for_credentials_or_shows_a_bad_certificate_is_told_and_left_alone() {
    for health in [http(401), http(403), http(407), tls()] {
        let stage = web(&json!({}), health.clone());
        let done = stage.pass();
        assert_eq!((done.acts().len(), done.exit), (0, 1), "{health:?}");
        assert!(matches!(done.outcome("web"), Outcome::Left(Decision::NoWay(NoWay::Alive))));
        assert_eq!(done.told(), ["web Down → A"], "{health:?}");
        assert!(done.alerts[0].body.contains("it lives and answers"), "{}", done.alerts[0].body);
        // Neither does it get worse, nor does it use up anything.
        for _ in 0..8 {
            assert_eq!(stage.pass_after(300).acts().len(), 0, "{health:?}");
        }
        stage.machine().service("web").health = world::down();
        assert_eq!(stage.pass_after(300).acts()[0], "run web", "{health:?}");
    }
}

#[test]
fn an_owner_who_says_so_has_it_restarted_all_the_same() {
    let severity = |map: Value| json!({"severity": map});
    for (keys, health) in [
        (severity(json!({"http_status": {"401": "recoverable"}})), http(401)),
        (severity(json!({"http_status": {"429": "recoverable"}})), http(429)),
        (severity(json!({"tls": "recoverable"})), tls()),
        (json!({"strategies": {"critical": ["restart"]}}), http(403)),
        (json!({"strategies": {"critical": ["restart"]}}), tls()),
    ] {
        let done = web(&keys, health.clone()).pass();
        assert_eq!(done.acts()[0], "run web", "{keys} {health:?}");
    }
    let done = web(&severity(json!({"http_status": {"401": "critical"}})), http(401)).pass();
    assert_eq!(done.acts(), ["fallback web"]);
}

#[test]
fn what_asks_for_patience_gets_nothing_else() {
    let stage = web(&json!({}), http(429));
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.exit), (0, 1));
    assert_eq!(stage.state("web").chain.unwrap().steps, [Strategy::Retry]);
    for _ in 0..8 {
        assert_eq!(stage.pass_after(300).acts().len(), 0);
    }
    // Long as that was, a service that is really down then is as badly off as at first.
    stage.machine().service("web").health = world::down();
    assert_eq!(stage.pass_after(300).acts()[0], "run web");
}

#[test]
fn after_a_restart_an_answer_asks_for_no_second_one() {
    let keys = json!({"strategies": {"recoverable": ["restart", "restart-container", "fallback"]}});
    for answer in [http(401), http(429), tls()] {
        let stage = web(&keys, world::down());
        stage.machine().service("web").after_run = [answer].into();
        let done = stage.pass();
        assert_eq!((done.acts(), done.exit), (vec!["run web"], 1));
        assert!(matches!(done.outcome("web"), Outcome::Failed(_)));
    }
}

#[test]
fn a_name_that_cannot_be_resolved_restarts_nothing_unless_its_owner_says_so() {
    let stage = web(&json!({}), unresolved());
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.exit), (0, 69));
    let why = Unknown::Unresolved { to: "web.vpn:80".into() };
    assert_eq!(why.to_string(), "could not resolve the name of web.vpn:80");
    assert_eq!(done.outcome("web"), &Outcome::Left(Decision::CannotTell(why)));
    let done = web(&json!({"severity": {"unresolved": "recoverable"}}), unresolved()).pass();
    assert_eq!(done.acts()[0], "run web");
}

#[test]
fn a_container_that_does_not_run_is_down_before_its_name_matters() {
    let stage = web(
        &json!({"health_check": {"type": "http", "endpoint": "http://box/", "from": "machine"}}),
        unresolved(),
    );
    stage.machine().containers.insert("box".to_owned(), world::died(ContainerEnd::Died, 137));
    let done = stage.pass();
    assert_eq!(done.acts()[0], "start box");
}
