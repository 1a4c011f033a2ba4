//! Whole passes with doubles: looking twice, restarting, giving up, and all that is left alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use std::sync::{Arc, Mutex};

use recovery::check::{Health, Unknown};
use recovery::decide::Decision;
use recovery::pass::Outcome;
use recovery::state::{AttemptResult, ServiceState, Status};
use serde_json::json;
use world::engine::{Run, no_engine, no_tool};
use world::{Done, Stage, down};

fn web() -> Stage {
    Stage::new(&json!({"web": {"container": "box"}}))
}

fn left(done: &Done, service: &str) -> Decision {
    match done.outcome(service) {
        Outcome::Left(decision) => decision.clone(),
        other => panic!("{service} was not left alone: {other:?}"),
    }
}

fn results(stage: &Stage, service: &str) -> Vec<AttemptResult> {
    stage.state(service).attempts.iter().map(|attempt| attempt.result).collect()
}

#[test]
fn what_is_down_is_looked_at_twice_recorded_restarted_and_looked_at_again() {
    let stage = web();
    stage.machine().kill("web");
    let on_disk: Arc<Mutex<Option<ServiceState>>> = Arc::default();
    let (file, seen) = (stage.state_file("web"), Arc::clone(&on_disk));
    stage.engine.on("run web", move |_| {
        *seen.lock().unwrap() = Some(serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap());
    });
    let done = stage.pass();
    let (look, asked) = ("look box: web", "inspect box");
    // The third look is for a marker that was made during the second.
    assert_eq!(done.calls, ["list", look, asked, look, asked, look, "run web", look]);
    assert_eq!(
        done.phrases(),
        [
            "Health check failed for web, attempting recovery...",
            "Executing restart command for web",
            "Successfully recovered web"
        ]
    );
    assert_eq!((done.exit, done.told().len()), (0, 0));
    let during = on_disk.lock().unwrap().take().expect("the attempt was on disk before the restart");
    assert_eq!((during.status, during.attempts[0].result), (Status::Unhealthy, AttemptResult::Unknown));
    assert_eq!(results(&stage, "web"), [AttemptResult::Recovered]);
    let state = stage.state("web");
    assert_eq!((state.status, state.consecutive_failures, state.incident), (Status::Healthy, 0, None));
}

#[test]
fn a_second_look_that_is_healthy_restarts_nothing_and_counts_no_attempt() {
    let stage = web();
    stage.machine().service("web").next.push_back(down());
    let done = stage.pass();
    assert_eq!(done.acts(), Vec::<&str>::new());
    assert_eq!(
        done.phrases(),
        ["Health check failed for web, attempting recovery...", "web healthy again without restart"]
    );
    assert_eq!((done.exit, done.outcome("web")), (0, &Outcome::Healed));
    assert!(stage.state("web").attempts.is_empty());
}

#[test]
fn a_service_that_takes_its_time_is_looked_at_every_second_until_the_startup_time_out() {
    let stage = web();
    stage.machine().kill("web").after_run = vec![down(), down(), down(), Health::Healthy];
    let before = stage.clock.peek();
    let done = stage.pass();
    assert_eq!(done.outcome("web"), &Outcome::Recovered);
    assert_eq!((stage.clock.peek() - before).whole_seconds(), 5 + 3);
    assert_eq!(done.acts(), ["run web"]);

    stage.machine().ruin("web");
    let before = stage.clock.peek();
    assert!(matches!(stage.pass().outcome("web"), Outcome::Failed(_)));
    assert_eq!((stage.clock.peek() - before).whole_seconds(), 30);
}

#[test]
fn a_restart_that_does_not_help_is_told_once_and_ends_with_1() {
    let stage = web();
    stage.machine().ruin("web");
    stage.machine().service("web").run = Run::Exits(127);
    let done = stage.pass();
    assert_eq!((done.exit, done.told()), (1, vec!["web Recovery Failed → A".to_owned()]));
    assert!(done.alerts[0].body.contains("\nRestart result: exit 127\n"), "{}", done.alerts[0].body);
    assert_eq!(done.phrases().last().unwrap(), "Failed to recover web");
    assert_eq!(results(&stage, "web"), [AttemptResult::Failed]);
    let again = stage.pass_after(300);
    assert_eq!((again.exit, again.acts(), again.told().len()), (1, vec!["run web"], 0));
}

#[test]
fn used_up_attempts_are_given_up_told_once_reminded_and_free_again_as_the_window_slides() {
    let stage = web();
    stage.machine().ruin("web");
    for _ in 0..3 {
        assert_eq!(stage.pass_after(300).acts(), ["run web"]);
    }
    let given_up = stage.pass_after(300);
    assert_eq!(given_up.acts(), Vec::<&str>::new());
    assert_eq!(
        given_up.phrases(),
        ["Health check failed for web, not attempting recovery", "web exceeded max failures"]
    );
    assert_eq!((given_up.exit, given_up.told()), (1, vec!["web Crash Loop → A".to_owned()]));
    let mut told = Vec::new();
    let mut acts = 0;
    let first = stage.clock.peek();
    while (stage.clock.peek() - first).whole_seconds() < 3600 {
        let done = stage.pass_after(300);
        acts += done.acts().len();
        told.extend(done.told());
    }
    // The first attempt left the window, then the second, …
    assert!((1..=3).contains(&acts), "{acts}");
    assert_eq!(told.iter().filter(|title| title.contains("Crash Loop")).count(), 1, "{told:?}");
}

#[test]
fn an_attempt_keeps_its_time_however_long_ago_its_pass_began() {
    let stage = Stage::new(&json!({"slow": {}, "web": {}}));
    stage.machine().ruin("slow");
    stage.machine().ruin("web");
    stage.pass();
    let act = stage.machine().acts.iter().find(|act| act.call == "run web").map(|act| act.at);
    assert_eq!(Some(stage.state("web").attempts[0].at), act);
}

#[test]
fn a_recovery_forgives_nothing() {
    let stage = web();
    for _ in 0..3 {
        stage.machine().kill("web");
        assert_eq!(stage.pass_after(300).outcome("web"), &Outcome::Recovered);
    }
    stage.machine().kill("web");
    let done = stage.pass_after(300);
    assert!(matches!(left(&done, "web"), Decision::GiveUp { attempts: 3, .. }));
    assert_eq!((done.exit, done.acts().len()), (1, 0));
}

#[test]
fn what_cannot_be_looked_at_is_not_restarted_not_counted_and_told_the_second_time() {
    let stage = web();
    stage.machine().service("web").health = no_tool();
    let first = stage.pass();
    assert_eq!((first.exit, first.acts().len(), first.told().len()), (69, 0, 0));
    assert_eq!(first.phrases(), ["Cannot check web"]);
    let second = stage.pass_after(300);
    assert_eq!((second.exit, second.told()), (69, vec!["web Cannot Be Checked → A".to_owned()]));
    assert_eq!(stage.pass_after(300).told().len(), 0);
    let state = stage.state("web");
    assert_eq!((state.consecutive_failures, state.attempts.len()), (0, 0));
}

#[test]
fn a_look_that_turns_unknown_before_the_restart_restarts_nothing() {
    let stage = web();
    stage.machine().service("web").next.extend([down(), no_tool()]);
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (69, 0));
    assert!(stage.state("web").attempts.is_empty());
}

#[test]
fn an_engine_that_is_gone_is_one_alert_for_the_machine_the_second_time() {
    let services = json!({"a": {"container": "box"}, "b": {"container": "bar"}, "c": {}});
    for trouble in [no_engine(), Unknown::EngineSilent { after: std::time::Duration::from_secs(10) }] {
        let stage = Stage::new(&services);
        stage.machine().trouble = Some(trouble);
        stage.machine().kill("c");
        let first = stage.pass();
        assert_eq!((first.exit, first.told().len()), (69, 0));
        assert_eq!(first.acts(), ["run c"], "the machine's own services go on");
        let second = stage.pass_after(300);
        assert_eq!(second.told(), ["Docker Unreachable on vps-1 → A"]);
        assert_eq!(stage.pass_after(300).told().len(), 0);
        stage.machine().trouble = None;
        assert_eq!((stage.pass_after(300).exit, stage.state("a").consecutive_failures), (0, 0));
    }
}

#[test]
fn an_engine_that_goes_between_the_looks_restarts_nothing() {
    let stage = web();
    stage.machine().kill("web");
    let mut looks = 0;
    stage.engine.on("look box: web", move |machine| {
        looks += 1;
        if looks == 2 {
            machine.trouble = Some(no_engine());
        }
    });
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len(), done.told().len()), (69, 0, 0));
    assert!(stage.state("web").attempts.is_empty());
}

#[test]
fn an_engine_that_goes_after_the_restart_leaves_an_attempt_of_unknown_end() {
    let stage = web();
    stage.machine().kill("web");
    stage.engine.on("run web", |machine| machine.trouble = Some(no_engine()));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts(), done.told().len()), (69, vec!["run web"], 0));
    assert_eq!(results(&stage, "web"), [AttemptResult::Unknown]);
}

#[test]
fn a_marker_leaves_a_service_and_what_needs_it_alone_without_a_code() {
    let stage =
        Stage::new(&json!({"db": {}, "web": {"dependencies": ["db"]}, "top": {"dependencies": ["web"]}}));
    for name in ["db", "web", "top"] {
        stage.machine().ruin(name);
    }
    stage.stop("db", "");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len(), done.told().len()), (0, 0, 0));
    assert_eq!(done.calls, ["look machine: web top"], "what is stopped is not looked at");
    assert_eq!(done.phrases()[0], "db manually stopped, skipping auto-recovery");
    assert_eq!(left(&done, "web"), Decision::Held { by: Stage::name("db") });
    assert_eq!(left(&done, "top"), Decision::Held { by: Stage::name("db") });
    stage.resume("db");
    assert_eq!(stage.pass_after(300).acts(), ["run db"]);
}

#[test]
fn a_marker_in_the_container_or_set_between_the_looks_is_honoured() {
    let stage = web();
    stage.machine().kill("web").marker = Some(Vec::new());
    let done = stage.pass();
    assert!(matches!(left(&done, "web"), Decision::Stopped(_)));
    assert_eq!((done.exit, done.acts().len()), (0, 0));

    let stage = web();
    stage.machine().kill("web");
    let (folder, marker) = (stage.dir.path().join("stop"), stage.marker("web"));
    stage.engine.on("inspect box", move |_| {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&marker, "").unwrap();
    });
    let done = stage.pass();
    assert!(matches!(left(&done, "web"), Decision::Stopped(_)));
    assert_eq!((done.exit, done.acts().len()), (0, 0));
}

#[test]
fn an_expired_marker_is_removed_and_holds_nothing() {
    let stage = web();
    stage.machine().kill("web");
    let marker = r#"{"schema": 1, "by": "anna", "until": "2026-11-21T09:59:59Z"}"#;
    stage.stop("web", marker);
    assert_eq!(stage.pass().acts(), ["run web"]);
    assert!(!stage.marker("web").exists());
    // In a container it is passed over: a look writes nothing there.
    let stage = web();
    stage.machine().kill("web").marker = Some(marker.into());
    assert_eq!(stage.pass().acts(), ["run web"]);
}

#[test]
fn where_markers_cannot_be_read_nothing_is_restarted() {
    let stage = web();
    stage.machine().kill("web");
    std::fs::write(stage.dir.path().join("stop"), "a file where a folder is expected").unwrap();
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (74, 0));
    assert!(matches!(left(&done, "web"), Decision::Unsafe(_)));
}

#[test]
fn after_boot_nothing_is_restarted_nor_counted_yet() {
    let stage = web();
    stage.machine().ruin("web");
    stage.clock.booted(std::time::Duration::from_secs(119));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len(), left(&done, "web")), (0, 0, Decision::Booting));
    assert_eq!(stage.state("web").consecutive_failures, 0);
    assert_eq!(stage.pass_after(1).acts(), ["run web"]);
}

#[test]
fn a_young_container_is_left_to_start_once_until_it_was_seen_healthy() {
    let stage = web();
    stage.machine().ruin("web");
    let flap = |ago: i64| {
        let started = stage.clock.peek() - time::Duration::seconds(ago);
        stage.machine().containers.get_mut("box").unwrap().started_at = Some(started);
    };
    flap(29);
    let first = stage.pass();
    assert_eq!((first.exit, left(&first, "web")), (0, Decision::Starting));
    assert_eq!(stage.state("web").consecutive_failures, 0);
    stage.advance(10);
    flap(5);
    assert_eq!(stage.pass().acts(), ["run web"], "another start without a healthy look is not granted");
    stage.machine().heal("web");
    stage.pass_after(300);
    stage.machine().ruin("web");
    flap(5);
    assert_eq!(left(&stage.pass(), "web"), Decision::Starting);
}

#[test]
fn a_restart_that_does_not_end_is_looked_at_and_left_or_ended() {
    let stage = web();
    stage.machine().kill("web").run = Run::Hangs;
    let done = stage.pass();
    assert_eq!((done.exit, done.outcome("web")), (0, &Outcome::Recovered));
    assert!(done.notes("still running in the foreground after 60 s"));

    stage.machine().ruin("web");
    let done = stage.pass_after(300);
    assert_eq!((done.exit, done.acts()), (1, vec!["run web"]));
    let Outcome::Failed(attempted) = done.outcome("web") else { panic!("{:?}", done.outcome("web")) };
    assert_eq!(attempted.result, "ended after 60 s");
}

#[test]
fn a_restart_that_cannot_be_made_has_failed_and_one_cut_off_is_unknown() {
    let fails = |why: Unknown| {
        let stage = web();
        stage.machine().ruin("web");
        stage.machine().service("web").run = Run::Fails(why);
        let done = stage.pass();
        (done.exit, results(&stage, "web"), done.told().len())
    };
    assert_eq!(fails(Unknown::NoShell("box".into())), (1, vec![AttemptResult::Failed], 1));
    assert_eq!(fails(Unknown::CutOff("gone".into())), (69, vec![AttemptResult::Unknown], 0));
    assert_eq!(fails(no_engine()), (69, vec![AttemptResult::Unknown], 0));
}

#[test]
fn an_interrupted_pass_begins_nothing_and_what_it_began_is_unknown() {
    let stage = web();
    stage.machine().kill("web");
    let flag = stage.interrupt.flag();
    stage.engine.on("look box: web", move |_| flag.store(15, std::sync::atomic::Ordering::SeqCst));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (143, 0));
    assert!(stage.state("web").attempts.is_empty());

    let stage = web();
    stage.machine().kill("web").run = Run::Interrupted;
    let flag = stage.interrupt.flag();
    stage.engine.on("run web", move |_| flag.store(15, std::sync::atomic::Ordering::SeqCst));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts(), done.told().len()), (143, vec!["run web"], 0));
    assert_eq!(results(&stage, "web"), [AttemptResult::Unknown]);
    stage.end_interrupt();
    let next = stage.pass_after(300);
    assert_eq!((next.exit, next.outcome("web")), (0, &Outcome::Healthy), "the next pass looks first");
}

#[test]
fn a_pass_over_its_limit_begins_nothing_new() {
    let services = json!({"a": {"startup_delay_seconds": 40}, "b": {}});
    let stage = Stage::with(&services, &json!({"pass_timeout_seconds": 30}), &json!(null));
    stage.machine().kill("a").run = Run::Hangs;
    stage.machine().ruin("b");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts(), left(&done, "b")), (1, vec!["run a"], Decision::OutOfTime));
    assert_eq!(done.told().len(), 0, "often it is over by the next pass");
    assert!(stage.state("b").attempts.is_empty());
}

#[test]
fn never_means_never() {
    let services = json!({"a": {"max_failures": 0}, "b": {"restart": "none", "restart_cmd": null}});
    let stage = Stage::new(&services);
    stage.machine().ruin("a");
    stage.machine().ruin("b");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (1, 0));
    assert_eq!(done.told(), ["a Down → A", "b Down → A"]);
    assert!(done.alerts[0].body.contains("\nRecovery attempt: None configured\n"));
}

#[test]
fn a_dry_run_says_what_it_would_do_and_changes_nothing() {
    let stage = Stage::new(&json!({
        "web": {"container": "box"}, "given-up": {}, "old": {}, "unknown": {}
    }));
    stage.machine().ruin("given-up");
    for _ in 0..3 {
        stage.pass_after(300);
    }
    stage.machine().kill("web");
    stage.machine().service("unknown").health = no_tool();
    stage.stop("old", r#"{"schema": 1, "until": "2026-11-21T09:00:00Z"}"#);
    std::fs::write(stage.state_file("old"), "damaged").unwrap();
    let before = stage.files();
    let done = stage.dry_run();
    assert_eq!(stage.files(), before);
    assert_eq!((done.acts().len(), done.alerts.len(), done.phrases().len()), (0, 0, 0));
    assert!(matches!(done.outcome("web"), Outcome::Would(Decision::Restart { attempt: 1, .. })));
    assert!(matches!(done.outcome("given-up"), Outcome::Would(Decision::GiveUp { .. })));
    assert_eq!(done.exit, 74);
}
