//! Whole passes with doubles: thresholds, severities and the chains of strategies that follow from them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use recovery::check::{Failure, Health, Unknown};
use recovery::config::model::Strategy;
use recovery::decide::{Decision, NoWay};
use recovery::engine::ContainerEnd;
use recovery::pass::Outcome;
use recovery::state::{AttemptResult, ServiceState};
use serde_json::{Value, json};
use world::engine::Run;
use world::{Done, Stage, down};

/// One service in a container of its own, with these keys.
fn web(keys: &Value) -> Stage {
    let mut service = json!({"container": "box"});
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    Stage::new(&json!({"web": service}))
}

fn timed_out() -> Health {
    Health::Unhealthy(Failure::TimedOut { after: Duration::from_secs(5) })
}

fn exit(code: i32) -> Health {
    Health::Unhealthy(Failure::Exit { code, output: String::new() })
}

/// Down like that, and no restart helps.
fn ruin(stage: &Stage, health: Health) {
    stage.machine().ruin("web");
    stage.machine().service("web").health = health;
}

fn seconds(stage: &Stage, work: impl FnOnce() -> Done) -> (i64, Done) {
    let before = stage.clock.peek();
    let done = work();
    ((stage.clock.peek() - before).whole_seconds(), done)
}

fn looks(done: &Done) -> usize {
    done.calls.iter().filter(|call| call.starts_with("look ")).count()
}

fn attempts(stage: &Stage) -> usize {
    stage.state("web").attempts.len()
}

#[test]
fn below_its_threshold_a_failure_is_counted_and_tolerated() {
    let stage = web(&json!({"failure_threshold": 3}));
    stage.machine().kill("web");
    for failure in 1..=2 {
        let done = stage.pass_after(300);
        assert_eq!((done.acts().len(), done.exit, done.told().len()), (0, 0, 0));
        assert_eq!(done.phrases(), ["Health check failed for web, not attempting recovery"]);
        assert_eq!(stage.state("web").consecutive_failures, failure);
        let tolerated = Outcome::Left(Decision::Tolerate { failures: failure, threshold: 3 });
        assert_eq!(done.outcome("web"), &tolerated);
    }
    let done = stage.pass_after(300);
    assert_eq!((done.acts(), done.outcome("web")), (vec!["run web"], &Outcome::Recovered));
}

#[test]
fn only_a_healthy_look_resets_the_count() {
    let stage = web(&json!({"failure_threshold": 3}));
    stage.machine().ruin("web");
    stage.pass_after(300);
    stage.pass_after(300);
    stage.machine().service("web").next.push_back(world::engine::no_tool());
    stage.pass_after(300);
    assert_eq!(stage.state("web").consecutive_failures, 2);
    stage.machine().service("web").next.push_back(Health::Healthy);
    stage.pass_after(300);
    assert_eq!(stage.state("web").consecutive_failures, 0);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

#[test]
fn what_depends_on_a_tolerated_failure_is_blocked_and_not_restarted() {
    let stage = Stage::new(&json!({"db": {"failure_threshold": 2}, "web": {"dependencies": ["db"]}}));
    stage.machine().ruin("db");
    stage.machine().ruin("web");
    let done = stage.pass();
    assert_eq!(done.acts().len(), 0);
    assert!(matches!(done.outcome("web"), Outcome::Left(Decision::Blocked { .. })));
}

#[test]
fn a_recovery_wants_so_many_healthy_looks_in_a_row() {
    let stage = web(&json!({"success_threshold": 3}));
    let well = Health::Healthy;
    stage.machine().kill("web").after_run = vec![well.clone(), well.clone(), down(), well];
    let (took, done) = seconds(&stage, || stage.pass());
    assert_eq!(done.outcome("web"), &Outcome::Recovered);
    // The delay, then six looks a second apart: two, one that fails, three.
    assert_eq!(took, 5 + 5);
}

#[test]
fn too_few_healthy_looks_within_the_startup_time_out_are_a_failure() {
    let keys = json!({"success_threshold": 3, "startup_timeout_seconds": 6, "fallback_cmd": "web fallback"});
    let stage = web(&keys);
    stage.machine().kill("web").after_run = vec![Health::Healthy];
    let done = stage.pass();
    // It is well for the moment, so nothing more is done to it.
    assert_eq!(done.acts(), ["run web"]);
    let Outcome::Failed(attempted) = done.outcome("web") else { panic!("{:?}", done.outcome("web")) };
    assert_eq!(attempted.reason, "healthy for only 2 of 3 looks in a row within the startup time-out");
    assert_eq!(stage.state("web").attempts[0].result, AttemptResult::Failed);
}

#[test]
fn a_transient_failure_is_looked_at_again_ever_more_slowly_before_a_restart() {
    let stage = web(&json!({}));
    ruin(&stage, timed_out());
    stage.machine().service("web").after_run = vec![Health::Healthy];
    let (took, done) = seconds(&stage, || stage.pass());
    assert_eq!((done.acts(), done.outcome("web")), (vec!["run web"], &Outcome::Recovered));
    // At once, 1 s, 2 s, 4 s; then the startup delay.
    assert_eq!(took, 7 + 5);
    // The last but one is for a marker, right before the restart.
    assert_eq!(looks(&done), 1 + 4 + 1 + 1);
    assert_eq!(attempts(&stage), 1);
}

#[test]
fn a_transient_failure_that_passes_uses_up_no_attempt() {
    let stage = web(&json!({"retry": {"attempts": 3, "base_delay_seconds": 2}}));
    stage.machine().service("web").next = [timed_out(), timed_out(), timed_out()].into();
    let (took, done) = seconds(&stage, || stage.pass());
    assert_eq!((took, done.acts().len(), done.outcome("web")), (2 + 4, 0, &Outcome::Healed));
    assert_eq!(
        done.phrases(),
        ["Health check failed for web, attempting recovery...", "web healthy again without restart"]
    );
    assert_eq!((attempts(&stage), stage.state("web").chain), (0, None));
}

#[test]
fn what_turns_out_to_be_worse_is_not_waited_for() {
    let stage = web(&json!({}));
    ruin(&stage, down());
    stage.machine().service("web").next = [timed_out(), timed_out()].into();
    let (took, done) = seconds(&stage, || stage.pass());
    // The second of the four looks was refused; then the restart with its startup time-out.
    assert_eq!((looks(&done) > 3, done.acts()), (true, vec!["run web"]));
    assert_eq!(took, 1 + 30);
    assert!(done.notes("web is not better: looked at 2 more times"), "{:?}", done.events);
}

#[test]
fn a_person_who_stops_it_during_the_retries_is_obeyed() {
    let stage = web(&json!({}));
    ruin(&stage, timed_out());
    let marker = stage.marker("web");
    let mut count = 0;
    stage.engine.on("look box: web", move |_| {
        count += 1;
        if count == 3 {
            std::fs::create_dir_all(marker.parent().unwrap()).unwrap();
            std::fs::write(&marker, "").unwrap();
        }
    });
    let done = stage.pass();
    assert_eq!(done.acts().len(), 0);
    assert!(matches!(done.outcome("web"), Outcome::Left(Decision::Stopped(_))), "{:?}", done.outcome("web"));
}

#[test]
fn what_cannot_be_seen_during_the_retries_is_not_restarted() {
    let stage = web(&json!({}));
    ruin(&stage, timed_out());
    stage.machine().service("web").next = [timed_out(), timed_out(), world::engine::no_tool()].into();
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.exit), (0, 69));
    assert!(matches!(done.outcome("web"), Outcome::Left(Decision::CannotTell(Unknown::NoTool(_)))));
}

#[test]
fn a_critical_failure_is_for_a_person() {
    let stage = web(&json!({}));
    ruin(&stage, exit(78));
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.exit), (0, 1));
    assert!(matches!(done.outcome("web"), Outcome::Left(Decision::NoWay(NoWay::NoStrategy(_)))));
    assert_eq!(done.told(), ["web Down → A"]);
    assert!(
        done.alerts[0]
            .body
            .contains("Reason: exit 78; no strategy is left for a critical failure, a person must act"),
        "{}",
        done.alerts[0].body
    );
}

#[test]
fn a_service_maps_its_own_severities() {
    let stage = web(&json!({"severity": {"exit_codes": {"3": "critical", "78": "recoverable"}}}));
    ruin(&stage, exit(3));
    assert_eq!(stage.pass().acts().len(), 0);
    stage.machine().service("web").health = exit(78);
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

#[test]
fn a_second_look_that_turned_critical_restarts_nothing() {
    let stage = web(&json!({}));
    ruin(&stage, exit(78));
    stage.machine().service("web").next = [down()].into();
    let done = stage.pass();
    assert_eq!((done.acts().len(), attempts(&stage)), (0, 0));
}

#[test]
fn what_turns_out_critical_in_its_started_container_is_not_restarted() {
    let stage = web(&json!({}));
    ruin(&stage, exit(78));
    stage.machine().containers.insert("box".to_owned(), world::died(ContainerEnd::Died, 137));
    let done = stage.pass();
    assert_eq!((done.acts(), done.exit), (vec!["start box"], 1));
}

#[test]
fn what_no_restart_mends_gets_its_fallback_and_is_degraded() {
    let stage = Stage::new(&json!({
        "web": {"container": "box", "fallback_cmd": "web fallback"},
        "page": {"dependencies": ["web"]}
    }));
    stage.machine().ruin("web");
    stage.machine().kill("page");
    let done = stage.pass();
    assert_eq!(done.acts(), ["run web", "fallback web", "run page"]);
    assert!(matches!(done.outcome("web"), Outcome::Degraded(_)));
    assert_eq!(done.outcome("page"), &Outcome::Recovered);
    assert_eq!(
        done.phrases()[1..5],
        [
            "Executing restart command for web",
            "Failed to recover web",
            "Executing fallback command for web",
            "web is degraded"
        ]
    );
    assert_eq!((done.exit, done.told()), (1, vec!["web Degraded → A".to_owned()]));
    let alert = &done.alerts[0];
    assert_eq!((alert.priority, alert.tags.clone()), (4, vec!["warning".to_owned()]));
    assert!(alert.body.contains("Restart result: exit 0; then fallback: exit 0"), "{}", alert.body);
    // It stays so, is told once, and is not touched.
    let later = stage.pass_after(300);
    assert_eq!((later.acts().len(), later.told().len(), later.exit), (0, 0, 1));
    assert!(matches!(later.outcome("web"), Outcome::Left(Decision::Degraded(_))));
    // Nor does it block anybody while it is so.
    stage.machine().kill("page");
    assert_eq!(stage.pass_after(300).acts(), ["run page"]);
    // A healthy look ends it.
    stage.machine().heal("web");
    let well = stage.pass_after(300);
    assert_eq!((well.exit, well.told()), (0, vec!["web Recovered → A".to_owned()]));
    assert_eq!(stage.state("web").chain, None);
}

#[test]
fn after_a_window_the_chain_begins_anew_from_the_top() {
    let stage = web(&json!({"fallback_cmd": "web fallback", "failure_window_seconds": 3600}));
    stage.machine().ruin("web");
    let mut acts: Vec<(i64, String)> = Vec::new();
    let began = stage.clock.peek();
    for _ in 0..14 {
        let at = (stage.clock.peek() - began).whole_seconds() / 300 * 300;
        let done = stage.pass();
        acts.extend(done.acts().iter().map(|act| (at, (*act).to_owned())));
        let spent = (stage.clock.peek() - began).whole_seconds() % 300;
        stage.advance(u64::try_from(300 - spent).unwrap());
    }
    let acts: Vec<(i64, &str)> = acts.iter().map(|(at, act)| (*at, act.as_str())).collect();
    assert_eq!(acts, [(0, "run web"), (0, "fallback web"), (3600, "run web"), (3600, "fallback web")]);
}

#[test]
fn a_fallback_that_fails_leaves_nothing_degraded() {
    let stage = web(&json!({"fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    stage.machine().service("web").fallback = Run::Exits(3);
    let done = stage.pass();
    assert_eq!(done.acts(), ["run web", "fallback web"]);
    let Outcome::Failed(attempted) = done.outcome("web") else { panic!("{:?}", done.outcome("web")) };
    assert_eq!(attempted.result, "exit 0; then fallback: exit 3");
    assert_eq!(done.told(), ["web Recovery Failed → A"]);
    // The next pass begins at the top; what was in vain is not run again within the window.
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

#[test]
fn a_fallback_that_brings_it_back_is_a_recovery() {
    let stage = web(&json!({"fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    stage.machine().service("web").after_fallback = vec![Health::Healthy];
    let done = stage.pass();
    assert_eq!((done.outcome("web"), done.exit, done.told().len()), (&Outcome::Recovered, 0, 0));
    assert_eq!((attempts(&stage), stage.state("web").chain), (1, None));
}

#[test]
fn used_up_attempts_still_leave_the_fallback() {
    let stage = web(&json!({"fallback_cmd": "web fallback", "max_failures": 1}));
    stage.machine().kill("web");
    assert_eq!(stage.pass().acts(), ["run web"]);
    stage.machine().ruin("web");
    assert_eq!(stage.pass_after(300).acts(), ["fallback web"]);
    assert_eq!(attempts(&stage), 1);
}

#[test]
fn a_chain_of_ones_own_is_gone_through_in_its_order() {
    let chain = json!(["restart", "restart-container", "fallback"]);
    let stage = web(&json!({"strategies": {"recoverable": chain}, "fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    let done = stage.pass();
    assert_eq!(done.acts(), ["run web", "restart box", "fallback web"]);
    assert_eq!(attempts(&stage), 2);
    let chain = stage.state("web").chain.unwrap();
    assert_eq!(chain.steps, [Strategy::Restart, Strategy::RestartContainer, Strategy::Fallback]);
    assert!(chain.degraded_since.is_some());
}

#[test]
fn a_container_that_was_started_is_not_restarted_as_well() {
    let chain = json!(["restart", "restart-container", "fallback"]);
    let stage = web(&json!({"strategies": {"recoverable": chain}, "fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    stage.machine().containers.insert("box".to_owned(), world::died(ContainerEnd::Died, 137));
    assert_eq!(stage.pass().acts(), ["start box", "run web", "fallback web"]);
    assert_eq!(attempts(&stage), 1);
}

#[test]
fn the_first_step_that_helps_ends_the_chain() {
    let chain = json!(["restart", "restart-container", "fallback"]);
    let stage = web(&json!({"strategies": {"recoverable": chain}, "fallback_cmd": "web fallback"}));
    stage.machine().kill("web").after_run.clear();
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("web")), (vec!["run web", "restart box"], &Outcome::Recovered));
    let results: Vec<_> = stage.state("web").attempts.iter().map(|attempt| attempt.result).collect();
    assert_eq!(results, [AttemptResult::Failed, AttemptResult::Recovered]);
}

#[test]
fn a_restart_that_cannot_be_run_leads_on_to_the_fallback() {
    let stage = web(&json!({"fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    stage.machine().service("web").run = Run::Fails(Unknown::Other("no such user".to_owned()));
    assert_eq!(stage.pass().acts(), ["run web", "fallback web"]);
}

#[test]
fn a_cleanup_comes_before_a_restart_and_its_failure_holds_nothing_up() {
    let stage = web(&json!({"cleanup_cmd": "web cleanup"}));
    stage.machine().kill("web");
    assert_eq!(stage.pass().acts(), ["cleanup web", "run web"]);
    stage.machine().kill("web");
    stage.machine().service("web").cleanup = Run::Exits(1);
    let done = stage.pass_after(300);
    assert_eq!((done.acts(), done.outcome("web")), (vec!["cleanup web", "run web"], &Outcome::Recovered));
    assert!(done.notes("the cleanup of web failed (exit 1), it is restarted all the same"));
}

#[test]
fn what_is_well_again_during_its_cleanup_is_not_restarted() {
    let stage = web(&json!({"cleanup_cmd": "web cleanup"}));
    stage.machine().service("web").next = [down(), down()].into();
    stage.machine().service("web").cleanup = Run::Hangs;
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("web")), (vec!["cleanup web"], &Outcome::Recovered));
}

#[test]
fn retries_do_not_outlast_the_pass() {
    let recovery = json!({"pass_timeout_seconds": 100});
    let services = json!({"web": {"retry": {"attempts": 10, "base_delay_seconds": 10}}});
    let stage = Stage::with(&services, &recovery, &Value::Null);
    ruin(&stage, timed_out());
    let (took, done) = seconds(&stage, || stage.pass());
    // At once, after 10 s and 20 s and 40 s; the next wait would be too long.
    assert_eq!((took - 30, looks(&done) >= 5), (70, true));
    assert_eq!(done.acts(), ["run web"]);
}

#[test]
fn a_cleanup_comes_before_the_restart_of_its_container_too() {
    let stage = web(&json!({"cleanup_cmd": "web cleanup", "restart": "container"}));
    stage.machine().kill("web");
    assert_eq!(stage.pass().acts(), ["cleanup web", "restart box"]);
}

#[test]
fn what_fails_too_often_in_a_row_counts_as_worse() {
    let stage = web(&json!({
        "escalate_after": 2, "max_failures": 9, "failure_window_seconds": 36000,
        "strategies": {"transient": ["retry"]}, "fallback_cmd": "web fallback"
    }));
    ruin(&stage, timed_out());
    assert_eq!(stage.pass().acts().len(), 0);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
    // As a recoverable one from now on.
    assert_eq!(stage.pass_after(300).acts(), ["run web", "fallback web"]);

    let stage = web(&json!({"escalate_after": 2, "max_failures": 9, "failure_window_seconds": 36000}));
    stage.machine().ruin("web");
    assert_eq!(stage.pass().acts(), ["run web"]);
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
    let escalated = stage.pass_after(300);
    assert_eq!((escalated.acts().len(), escalated.told()), (0, vec!["web Down → A".to_owned()]));
}

#[test]
fn looks_at_which_it_was_blocked_do_not_escalate() {
    let stage = Stage::new(&json!({"db": {"restart": "none"}, "web": {"dependencies": ["db"]}}));
    stage.machine().ruin("db");
    stage.machine().kill("web");
    for _ in 0..8 {
        assert_eq!(stage.pass_after(300).acts().len(), 0);
    }
    stage.machine().heal("db");
    stage.machine().ruin("web");
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

/// A call to the engine, and the steps and the number of attempts that were on disk by then.
type Seen = (String, Vec<Strategy>, usize);

#[test]
fn every_step_is_on_disk_before_it_is_made() {
    let stage = web(&json!({"fallback_cmd": "web fallback"}));
    ruin(&stage, timed_out());
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    for call in ["look box: web", "fallback web"] {
        let (file, seen) = (stage.state_file("web"), Arc::clone(&seen));
        stage.engine.on(call, move |_| {
            let Ok(content) = std::fs::read(&file) else { return };
            let state: ServiceState = serde_json::from_slice(&content).unwrap();
            let steps = state.chain.map(|chain| chain.steps).unwrap_or_default();
            seen.lock().unwrap().push((call.to_owned(), steps, state.attempts.len()));
        });
    }
    stage.machine().service("web").after_run = vec![down()];
    stage.pass();
    let seen = seen.lock().unwrap();
    use Strategy::{Fallback, Restart, Retry};
    assert_eq!(seen[0], ("look box: web".to_owned(), vec![Retry], 0));
    let fallback = seen.iter().find(|(call, ..)| call == "fallback web").unwrap();
    assert_eq!((fallback.1.clone(), fallback.2), (vec![Retry, Restart, Fallback], 1));
}

#[test]
fn a_pass_over_its_time_makes_no_further_step() {
    let recovery = json!({"pass_timeout_seconds": 20});
    let services = json!({"web": {"container": "box", "fallback_cmd": "web fallback"}});
    let stage = Stage::with(&services, &recovery, &Value::Null);
    stage.machine().ruin("web");
    let done = stage.pass();
    assert_eq!(done.acts(), ["run web"]);
    assert!(matches!(done.outcome("web"), Outcome::Failed(_)));
}
