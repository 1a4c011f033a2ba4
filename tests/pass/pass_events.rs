//! Whole passes with doubles: the changes of a component's health, each told once, whatever happens to the pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use recovery::alert::Destination;
use recovery::check::Health;
use recovery::outbox::Outbox;
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

/// What waits to be sent.
fn waiting(stage: &Stage) -> Vec<String> {
    let outbox = Outbox::new(stage.store.dir());
    outbox.waiting().unwrap().into_iter().map(|waiting| waiting.alert.title).collect()
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
        let (mut effect, mut twice) = (0, 0);
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
            let heard: Vec<String> = stage.notifier.take().into_iter().map(|alert| alert.title).collect();
            let waits = waiting(&stage);
            stage.machine().calls.clear();
            stage.log.take();
            let later = posted(&stage.pass_after(300));
            // Twice only where the pass died between the server's yes and its record of it.
            let unrecorded = heard.last().filter(|last| waits.first() == Some(*last));
            let kept = heard.len() - usize::from(unrecorded.is_some());
            let told: Vec<String> = heard[..kept].iter().chain(&later).cloned().collect();
            assert_eq!(told, wanted, "effect {effect}: {heard:?}, then {later:?}");
            twice += usize::from(unrecorded.is_some());
            effect += 1;
        }
        assert!(effect > 20, "only {effect} effects were cut");
        assert!(twice >= wanted.len(), "{twice} times it died between the server's yes and the record");
    }
}

/// Two services that nothing restarts; a pass that finds both changed dies at each of its effects in turn, and
/// when the next one comes they are as they were. Each time: what was told of the first, in order.
fn turned_back_after_a_cut(down: bool) -> Vec<Vec<String>> {
    let service = json!({"restart": "none", "restart_cmd": null});
    let mut played = Vec::new();
    for effect in 0.. {
        let stage = stage(&json!({"a": service, "b": service}));
        let set = |down: bool| {
            for name in ["a", "b"] {
                if down { stage.machine().ruin(name) } else { stage.machine().heal(name) }
            }
        };
        let mut told = stage.pass().alerts;
        if !down {
            set(true);
            told.extend(stage.pass_after(300).alerts);
        }
        stage.advance(300);
        set(down);
        stage.effects.plan(Some((effect, Blow::Cut)));
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.pass())).is_err();
        stage.effects.plan(None);
        if !cut {
            break;
        }
        told.extend(stage.notifier.take());
        set(!down);
        for _ in 0..3 {
            told.extend(stage.pass_after(300).alerts);
        }
        let of_a = told.iter().filter(|alert| alert.to == Destination::Webhook && alert.services == ["a"]);
        let mut of_a: Vec<_> = of_a.map(|alert| alert.title.clone()).collect();
        // One of which the server's yes was lost comes again.
        of_a.dedup();
        played.push(of_a);
    }
    assert!(played.len() > 10, "only {} effects were cut", played.len());
    played
}

#[test]
fn a_down_that_a_killed_pass_left_is_followed_by_its_recovered() {
    for (effect, told) in turned_back_after_a_cut(true).into_iter().enumerate() {
        assert!(
            told.is_empty() || told == ["COMPONENT_DOWN a", "COMPONENT_RECOVERED a"],
            "effect {effect}: {told:?}"
        );
    }
}

#[test]
fn a_recovered_that_a_killed_pass_left_is_not_the_last_word_on_what_is_down() {
    let (down, up) = ("COMPONENT_DOWN a", "COMPONENT_RECOVERED a");
    for (effect, told) in turned_back_after_a_cut(false).into_iter().enumerate() {
        assert!(told == [down] || told == [down, up, down], "effect {effect}: {told:?}");
    }
}

#[test]
fn a_state_that_is_lost_tells_of_the_end_and_not_of_the_outage_again() {
    for damage in [None, Some("{")] {
        let stage = stage(&json!({"web": {"restart": "none", "restart_cmd": null}}));
        stage.machine().ruin("web");
        assert_eq!(posted(&stage.pass()), ["COMPONENT_DOWN web"]);
        let lose = || {
            let path = stage.store.dir().join("web.json");
            std::fs::remove_file(&path).unwrap();
            if let Some(text) = damage {
                std::fs::write(&path, text).unwrap();
            }
        };
        lose();
        assert_eq!(posted(&stage.pass_after(300)), [] as [&str; 0]);
        lose();
        stage.machine().heal("web");
        let told: Vec<_> = (0..3).flat_map(|_| posted(&stage.pass_after(300))).collect();
        assert_eq!(told, ["COMPONENT_RECOVERED web"]);
    }
}

#[test]
fn what_was_always_well_leaves_no_record_of_what_was_told() {
    let stage = stage(&json!({"db": {}, "web": {}}));
    stage.machine().ruin("web");
    stage.pass();
    let told = std::fs::read_dir(stage.store.dir().join("outbox/told")).unwrap().count();
    assert_eq!(told, 1);
}

#[test]
fn the_log_tells_them_also_where_there_is_no_webhook() {
    let stage = Stage::new(&json!({"web": {}}));
    stage.machine().kill("web");
    assert_eq!(stage.pass().changes(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"]);
    assert_eq!(stage.pass_after(300).changes(), [] as [&str; 0]);
}

#[test]
fn an_outage_after_the_clock_was_put_back_is_told_as_well() {
    let stage = stage(&json!({"web": {"max_failures": 100}}));
    stage.pass();
    stage.machine().kill("web");
    assert_eq!(posted(&stage.pass_after(300)), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"]);
    stage.clock.jump(-86400);
    assert_eq!(posted(&stage.pass_after(300)), [] as [&str; 0]);
    // A pass that restarts it and dies before it can tell anybody.
    stage.machine().kill("web");
    stage.advance(300);
    for effect in 0.. {
        stage.effects.plan(Some((effect, Blow::Cut)));
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.pass())).is_err();
        stage.effects.plan(None);
        assert!(cut, "no pass brought it back");
        if stage.machine().service("web").health == Health::Healthy {
            break;
        }
    }
    stage.notifier.take();
    assert_eq!(posted(&stage.pass_after(300)), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"]);
}
