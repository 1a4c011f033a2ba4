//! Whole passes with doubles: the changes of a component's health, each told once, whatever happens to the pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use recovery::alert::Destination;
use serde_json::{Value, json};
use world::Stage;
use world::effects::Blow;

fn stage(services: &Value) -> Stage {
    let webhook = json!({"webhook": {"url": "http://localhost:1/hook"}, "ntfy": null, "default_topic": null});
    Stage::with(services, &Value::Null, &webhook)
}

/// What the webhook was sent.
fn posted(done: &world::stage::Done) -> Vec<String> {
    let events = done.alerts.iter().filter(|alert| alert.to == Destination::Webhook);
    events.map(|alert| alert.title.clone()).collect()
}

#[test]
fn what_is_tolerated_is_not_down() {
    let stage = stage(&json!({"web": {"failure_threshold": 3, "max_failures": 9}}));
    stage.machine().ruin("web");
    assert_eq!([posted(&stage.pass()), posted(&stage.pass_after(300))], [vec![] as Vec<String>, vec![]]);
    assert_eq!(posted(&stage.pass_after(300)), ["COMPONENT_DOWN web"]);
    stage.machine().heal("web");
    assert_eq!(posted(&stage.pass_after(300)), ["COMPONENT_RECOVERED web"]);
    stage.machine().ruin("web");
    assert_eq!(posted(&stage.pass_after(300)), [] as [&str; 0]);
    stage.machine().heal("web");
    assert_eq!(posted(&stage.pass_after(300)), [] as [&str; 0], "a hiccup");
}

#[test]
fn what_is_blocked_and_tolerated_is_not_down_either() {
    let stage = stage(&json!({"db": {}, "web": {"dependencies": ["db"], "failure_threshold": 2}}));
    stage.machine().ruin("db");
    stage.machine().ruin("web");
    assert_eq!(posted(&stage.pass()), ["COMPONENT_DOWN db"]);
    assert_eq!(posted(&stage.pass_after(300)), ["COMPONENT_DOWN web"]);
}

#[test]
fn a_fallback_is_a_change_of_its_own() {
    let stage = stage(&json!({"web": {"fallback_cmd": "web readonly"}}));
    stage.machine().ruin("web");
    let done = stage.pass();
    assert_eq!(posted(&done), ["COMPONENT_DEGRADED web"], "{:?}", done.events);
    let event: Value = serde_json::from_str(&done.alerts[0].body).unwrap();
    assert_eq!((&event["action"], &event["success"]), (&json!("fallback"), &json!(false)));
    assert_eq!(event["severity"], "recoverable");
    assert_eq!(posted(&stage.pass_after(300)), [] as [&str; 0]);
    stage.machine().heal("web");
    assert_eq!(posted(&stage.pass_after(300)), ["COMPONENT_RECOVERED web"]);
}

#[test]
fn a_pass_killed_anywhere_loses_no_event_and_tells_them_in_order() {
    for (ruined, wanted) in
        [(true, vec!["COMPONENT_DOWN web"]), (false, vec!["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"])]
    {
        let mut effect = 0;
        loop {
            let stage = stage(&json!({"web": {}}));
            stage.pass();
            stage.advance(300);
            if ruined {
                stage.machine().ruin("web");
            } else {
                stage.machine().kill("web");
            }
            stage.effects.plan(Some((effect, Blow::Cut)));
            let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.pass())).is_err();
            stage.effects.plan(None);
            if !cut {
                break;
            }
            let mut told: Vec<String> = stage.notifier.take().into_iter().map(|alert| alert.title).collect();
            stage.machine().calls.clear();
            stage.log.take();
            told.extend(posted(&stage.pass_after(300)));
            let again = told.len();
            told.dedup();
            assert_eq!(told, wanted, "effect {effect}");
            assert!(again <= told.len() + 1, "effect {effect}: sent {again} times");
            effect += 1;
        }
        assert!(effect > 20, "only {effect} effects were cut");
    }
}

#[test]
fn the_log_tells_them_also_where_there_is_no_webhook() {
    let stage = Stage::new(&json!({"web": {}}));
    stage.machine().kill("web");
    assert_eq!(stage.pass().changes(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"]);
    assert_eq!(stage.pass_after(300).changes(), [] as [&str; 0]);
}
