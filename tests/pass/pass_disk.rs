//! Whole passes with doubles: locks, disks that fail, states that are damaged, and what is told when.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use std::fs;

use recovery::decide::Decision;
use recovery::notify::NotifyError;
use recovery::pass::Outcome;
use recovery::store::Lock;
use serde_json::json;
use world::Stage;
use world::effects::Blow;

fn web() -> Stage {
    Stage::new(&json!({"web": {}}))
}

fn later() -> NotifyError {
    NotifyError::Later("HTTP 503".to_owned())
}

#[test]
fn a_disk_that_takes_nothing_means_no_restart_and_74() {
    let whole = web();
    fs::write(whole.store.dir(), "a file where a folder is expected").unwrap();
    let lock = web();
    fs::create_dir_all(lock.store.dir().join("web.lock")).unwrap();
    for (stage, what) in [(whole, "the folder"), (lock, "the lock")] {
        stage.machine().kill("web");
        let done = stage.pass();
        assert_eq!((done.exit, done.acts().len()), (74, 0), "{what}");
        assert_eq!(done.told(), ["web Down → A"], "{what}: a person hears of it");
        assert!(done.phrases()[0].starts_with("Health check failed for web"), "{what}: {:?}", done.phrases());
    }
}

#[test]
fn a_disk_that_goes_under_the_lock_means_no_restart_either() {
    // Whatever the effect at which it goes, nothing is restarted that is not on disk.
    for effect in 0..20 {
        let stage = web();
        stage.machine().kill("web");
        stage.effects.plan(Some((effect, Blow::DiskGone)));
        let done = stage.pass();
        assert_eq!(done.exit, 74, "effect {effect}");
        stage.effects.give_disk_back();
        assert_eq!(done.acts().len(), stage.state("web").attempts.len(), "effect {effect}: {:?}", done.calls);
        stage.effects.plan(None);
        assert_eq!(stage.pass_after(300).exit, 0, "effect {effect}");
    }
}

#[test]
fn a_lock_that_another_pass_holds_is_left_to_it_and_75_where_it_is_held_too_long() {
    let stage = web();
    stage.machine().kill("web");
    let since = stage.clock.peek();
    let Lock::Held(guard) = stage.store.try_lock(&Stage::name("web"), since).unwrap() else {
        panic!("it is free")
    };
    let done = stage.pass_after(300);
    assert_eq!((done.exit, done.acts().len(), done.told().len()), (0, 0, 0));
    let Outcome::OtherPass(holder) = done.outcome("web") else { panic!("{:?}", done.outcome("web")) };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert_eq!(done.phrases(), ["Health check failed for web, not attempting recovery"]);
    assert_eq!(stage.pass_after(601).exit, 75, "longer than the pass limit of 900 s");
    drop(guard);
    assert_eq!(stage.pass_after(10).acts(), ["run web"]);
}

#[test]
fn a_dependant_of_what_another_pass_recovers_is_blocked() {
    let stage = Stage::new(&json!({"db": {}, "web": {"dependencies": ["db"]}}));
    stage.machine().kill("db");
    stage.machine().kill("web");
    let guard = stage.store.try_lock(&Stage::name("db"), stage.clock.peek()).unwrap();
    assert!(matches!(guard, Lock::Held(_)));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (0, 0));
    assert_eq!(done.outcome("web"), &Outcome::Left(Decision::Blocked { by: Stage::name("db") }));
}

#[test]
fn a_damaged_state_is_set_aside_and_its_service_left_alone_for_one_pass() {
    let stage = web();
    stage.pass();
    fs::write(stage.state_file("web"), "{\"schema\": 1, \"servi").unwrap();
    stage.machine().kill("web");
    let done = stage.pass_after(300);
    assert_eq!((done.exit, done.acts().len()), (74, 0));
    assert!(matches!(done.outcome("web"), Outcome::Left(Decision::Unsafe(_))));
    let aside = stage.store.dir().join("web.json.corrupt-20261121T100500Z");
    assert_eq!(fs::read_to_string(aside).unwrap(), "{\"schema\": 1, \"servi");
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

#[test]
fn a_newer_state_is_refused_and_not_overwritten() {
    let stage = web();
    let newer = r#"{"schema": 2, "service": "web", "status": "fine"}"#;
    fs::create_dir_all(stage.store.dir()).unwrap();
    fs::write(stage.state_file("web"), newer).unwrap();
    stage.machine().kill("web");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (74, 0));
    assert_eq!(fs::read_to_string(stage.state_file("web")).unwrap(), newer);
}

#[test]
fn a_pass_that_finds_all_as_it_was_writes_only_the_times_of_the_looks() {
    let stage = web();
    stage.pass();
    let before = stage.files();
    stage.pass_after(300);
    let after = stage.files();
    let changed: Vec<_> = after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert_eq!(changed, [&stage.store.dir().join("last-pass.json")]);
}

#[test]
fn a_recovery_is_told_where_a_failure_was_delivered_and_only_there() {
    let stage = web();
    stage.machine().ruin("web");
    assert_eq!(stage.pass().told(), ["web Recovery Failed → A"]);
    stage.machine().heal("web");
    let done = stage.pass_after(300);
    assert_eq!(done.told(), ["web Recovered → A"]);
    assert_eq!(
        (done.alerts[0].priority, done.alerts[0].tags.clone()),
        (3, vec!["white_check_mark".to_owned()])
    );
    assert!(done.alerts[0].body.contains("\nWas down for: 5m"), "{}", done.alerts[0].body);
    assert_eq!(stage.pass_after(300).told().len(), 0);

    let silent = web();
    silent.machine().kill("web");
    assert_eq!(silent.pass().told().len(), 0, "what was recovered at once was never told");
    assert_eq!(silent.pass_after(300).told().len(), 0);
}

#[test]
fn an_alert_that_waits_ends_with_75_and_comes_late_as_one_message() {
    let stage = web();
    stage.machine().ruin("web");
    stage.notifier.set_unreachable(true);
    assert_eq!(stage.pass().exit, 1);
    stage.machine().heal("web");
    assert_eq!(stage.pass_after(300).exit, 75);
    stage.notifier.set_unreachable(false);
    let done = stage.pass_after(300);
    assert_eq!((done.exit, done.told()), (0, vec!["web Recovered → A".to_owned()]));
    assert!(
        done.alerts[0].body.contains("was down 10:00–10:05Z, recovered; delivery delayed"),
        "{}",
        done.alerts[0].body
    );
    assert_eq!(stage.pass_after(300).told().len(), 0);
}

#[test]
fn what_is_refused_goes_in_short_form_and_what_must_wait_waits() {
    let stage = web();
    stage.machine().ruin("web");
    stage.notifier.next([NotifyError::Rejected("HTTP 413".to_owned())]);
    let done = stage.pass();
    assert!(done.alerts[0].body.contains("(short form"), "{}", done.alerts[0].body);
    stage.machine().heal("web");
    stage.notifier.next([later()]);
    let waits = stage.pass_after(300);
    assert_eq!((waits.exit, waits.told().len()), (75, 0));
    assert_eq!(stage.pass_after(300).told(), ["web Recovered → A"]);
}

#[test]
fn a_service_that_flaps_is_told_recovered_after_a_whole_healthy_window() {
    let stage = Stage::new(&json!({"web": {"failure_window_seconds": 1200, "max_failures": 9}}));
    stage.machine().ruin("web");
    stage.pass();
    stage.machine().heal("web");
    assert_eq!(stage.pass_after(300).told(), ["web Recovered → A"]);
    stage.machine().ruin("web");
    assert_eq!(stage.pass_after(300).told(), ["web Recovery Failed → A"], "a new incident is told at once");
    stage.machine().heal("web");
    let mut healthy = 0;
    loop {
        let done = stage.pass_after(300);
        if !done.told().is_empty() {
            assert_eq!(done.told(), ["web Recovered → A"]);
            break;
        }
        healthy += 300;
        assert!(healthy <= 1200, "it was never told");
    }
    assert_eq!(healthy, 1200);
}

#[test]
fn a_lasting_incident_is_reminded_of_once_a_cooldown() {
    let stage = Stage::new(&json!({"web": {"restart": "none", "restart_cmd": null}}));
    stage.machine().ruin("web");
    let told: Vec<usize> = (0..37).map(|_| stage.pass_after(300).told().len()).collect();
    let at: Vec<usize> = (0..37).filter(|&i| told[i] > 0).collect();
    assert_eq!(at, [0, 12, 24, 36], "3600 s are twelve passes");
}

#[test]
fn a_pass_killed_anywhere_loses_no_attempt_and_no_alert() {
    let mut effect = 0;
    loop {
        let stage = web();
        stage.machine().ruin("web");
        stage.effects.plan(Some((effect, Blow::Cut)));
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.pass())).is_err();
        stage.effects.plan(None);
        if !cut {
            break;
        }
        let acted = !stage.machine().acts.is_empty();
        assert!(!acted || !stage.state("web").attempts.is_empty(), "effect {effect}");
        let before = stage.notifier.take().len();
        stage.machine().calls.clear();
        stage.log.take();
        let told = before + stage.pass_after(300).told().len();
        assert!((1..=2).contains(&told), "effect {effect}: told {told} times");
        effect += 1;
    }
    assert!(effect > 20, "only {effect} effects were cut");
}
