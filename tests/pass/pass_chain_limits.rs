//! What ends a chain, or keeps a step of it from being made: what was seen meanwhile, clocks that were put back,
//! fallbacks that do not help, containers that are gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use std::time::Duration;

use recovery::check::{Failure, Health};
use recovery::decide::Decision;
use recovery::engine::ContainerEnd;
use recovery::pass::Outcome;
use serde_json::{Value, json};
use world::engine::{Run, no_tool};
use world::{Done, Stage, died, down};

/// One service with these keys, in a container of its own.
fn web(keys: &Value) -> Stage {
    let mut service = json!({"container": "box"});
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    Stage::new(&json!({"web": service}))
}

/// The same on the machine.
fn bare(keys: &Value) -> Stage {
    Stage::new(&json!({"web": keys}))
}

/// Passes every five minutes.
fn passes(stage: &Stage, number: usize) -> Vec<Done> {
    (0..number).map(|_| stage.pass_after(300)).collect()
}

/// How often that was done in them.
fn count(passes: &[Done], act: &str) -> usize {
    passes.iter().flat_map(Done::acts).filter(|done| *done == act).count()
}

const A_YEAR: i64 = 365 * 86_400;

#[test]
fn looks_at_which_it_was_blocked_after_a_restart_do_not_escalate_either() {
    let stage = Stage::new(&json!({"db": {"restart": "none"}, "web": {"dependencies": ["db"]}}));
    stage.machine().ruin("web");
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
    stage.machine().ruin("db");
    assert_eq!(count(&passes(&stage, 6), "run web"), 0);
    stage.machine().heal("db");
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

#[test]
fn a_clock_that_was_put_back_keeps_nothing_degraded_for_longer_than_a_window() {
    let stage = bare(&json!({"fallback_cmd": "web fallback", "failure_window_seconds": 3600}));
    stage.machine().ruin("web");
    assert_eq!(stage.pass().acts(), ["run web", "fallback web"]);
    stage.clock.jump(-A_YEAR);
    assert_eq!(count(&passes(&stage, 11), "run web"), 0);
    assert!(count(&passes(&stage, 3), "run web") > 0, "{:?}", stage.state("web").chain);
}

#[test]
fn a_clock_that_was_put_back_keeps_nothing_escalated_for_longer_than_a_window() {
    let stage = bare(&json!({"escalate_after": 1, "failure_window_seconds": 3600}));
    stage.machine().ruin("web");
    stage.pass();
    stage.clock.jump(-A_YEAR);
    assert_eq!(count(&passes(&stage, 11), "run web"), 0);
    assert!(count(&passes(&stage, 3), "run web") > 0, "{:?}", stage.state("web").chain);
}

#[test]
fn a_clock_that_was_put_back_makes_no_container_young_again() {
    let stage = web(&json!({}));
    stage.pass();
    stage.clock.jump(-A_YEAR);
    stage.machine().ruin("web");
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

/// A cleanup during which that happens: the restart after it is not made.
fn is_held_back(
    keys: &Value,
    looks: &[Health],
    happens: impl FnMut(&mut world::engine::Machine) + Send + 'static,
) {
    let mut all = json!({"cleanup_cmd": "web cleanup"});
    for (key, value) in keys.as_object().unwrap() {
        all[key] = value.clone();
    }
    let stage = web(&all);
    stage.machine().ruin("web");
    stage.machine().service("web").next = [&[down(), down()], looks].concat().into();
    stage.engine.on("cleanup web", happens);
    let done = stage.pass();
    assert_eq!(done.acts(), ["cleanup web"], "{:?}", done.outcome("web"));
}

#[test]
fn what_can_no_longer_be_seen_after_its_cleanup_is_not_restarted() {
    for keys in [json!({}), json!({"restart": "container"})] {
        is_held_back(&keys, &[no_tool()], |_| {});
    }
}

#[test]
fn what_turns_critical_during_its_cleanup_is_not_restarted() {
    is_held_back(&json!({}), &[Health::Unhealthy(Failure::Exit { code: 78, output: String::new() })], |_| {});
}

#[test]
fn what_is_well_after_its_cleanup_is_not_restarted() {
    is_held_back(&json!({}), &[Health::Healthy], |_| {});
}

#[test]
fn a_container_that_a_person_stops_during_a_cleanup_stays_stopped() {
    is_held_back(&json!({"restart": "container"}), &[], |machine| {
        machine.containers.insert("box".to_owned(), died(ContainerEnd::StoppedBySomeone, 143));
    });
}

#[test]
fn a_person_who_stops_it_during_its_cleanup_is_obeyed() {
    for run in [Run::Exits(0), Run::Hangs] {
        let stage = web(&json!({"cleanup_cmd": "web cleanup"}));
        stage.machine().ruin("web");
        stage.machine().service("web").cleanup = run;
        let marker = stage.marker("web");
        stage.engine.on("cleanup web", move |_| {
            std::fs::create_dir_all(marker.parent().unwrap()).unwrap();
            std::fs::write(&marker, "").unwrap();
        });
        let done = stage.pass();
        assert_eq!(done.acts(), ["cleanup web"]);
        assert!(
            matches!(done.outcome("web"), Outcome::Left(Decision::Stopped(_))),
            "{:?}",
            done.outcome("web")
        );
    }
}

#[test]
fn a_cleanup_is_told_before_it_is_run() {
    let stage = web(&json!({"cleanup_cmd": "web cleanup"}));
    stage.machine().kill("web");
    assert!(stage.pass().notes("running the cleanup of web: web cleanup"));
}

#[test]
fn a_fallback_that_does_not_help_is_run_once_a_window_and_the_crash_loop_is_told() {
    let stage = web(&json!({"fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    stage.machine().service("web").fallback = Run::Exits(3);
    let done = passes(&stage, 11);
    assert_eq!((count(&done, "run web"), count(&done, "fallback web")), (3, 1));
    let told: Vec<String> = done.iter().flat_map(Done::told).collect();
    assert_eq!(told, ["web Recovery Failed → A", "web Crash Loop → A"]);
}

#[test]
fn a_fallback_without_any_restart_is_run_once_a_window_too() {
    for fallback in [Run::Exits(0), Run::Exits(3)] {
        let stage = web(&json!({"fallback_cmd": "web fallback", "max_failures": 0}));
        stage.machine().ruin("web");
        stage.machine().service("web").fallback = fallback;
        assert_eq!(count(&passes(&stage, 3), "fallback web"), 1);
    }
}

#[test]
fn a_fallback_that_fails_alone_ends_with_a_phrase() {
    let stage = web(&json!({"fallback_cmd": "web fallback", "max_failures": 0}));
    stage.machine().ruin("web");
    stage.machine().service("web").fallback = Run::Exits(3);
    assert_eq!(stage.pass().phrases().last().unwrap(), "Failed to recover web");
}

#[test]
fn a_fallback_is_gone_with_its_container() {
    let stage = web(&json!({"fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    assert_eq!(stage.pass().acts(), ["run web", "fallback web"]);
    stage.machine().containers.insert("box".to_owned(), died(ContainerEnd::Died, 137));
    // It is started again, which does not help either; so the fallback is run in it.
    assert_eq!(stage.pass_after(300).acts(), ["start box", "run web", "fallback web"]);
    // Somebody restarts it.
    let started_at = Some(stage.clock.peek());
    let running = recovery::engine::ContainerDetails { started_at, ..world::running() };
    stage.machine().containers.insert("box".to_owned(), running);
    assert_eq!(stage.pass_after(300).acts(), ["run web", "fallback web"]);
}

#[test]
fn a_fallback_on_the_machine_is_gone_with_its_boot() {
    let stage = bare(&json!({"fallback_cmd": "web fallback"}));
    stage.machine().ruin("web");
    assert_eq!(stage.pass().acts(), ["run web", "fallback web"]);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
    stage.clock.booted(Duration::ZERO);
    assert_eq!(stage.pass_after(200).acts(), ["run web", "fallback web"]);
}

#[test]
fn the_start_period_of_our_own_restart_does_not_end_the_chain() {
    let keys = json!({"restart": "container", "fallback_cmd": "web fallback", "start_period_seconds": 60});
    let stage = web(&keys);
    stage.machine().ruin("web");
    assert_eq!(stage.pass().acts(), ["restart box", "fallback web"]);
}

#[test]
fn what_depends_on_a_service_that_was_just_degraded_is_looked_at_first() {
    let stage = Stage::new(&json!({
        "db": {"container": "box", "fallback_cmd": "db fallback"},
        "web": {"dependencies": ["db"]}
    }));
    stage.machine().ruin("db");
    // It is down at the look of the pass, and connects again within two seconds of the fallback.
    stage.machine().service("web").next = [down(), down()].into();
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("web")), (vec!["run db", "fallback db"], &Outcome::Healed));
}

#[test]
fn a_fallback_that_is_left_running_wants_its_healthy_looks_too() {
    let stage = web(&json!({"fallback_cmd": "web fallback", "success_threshold": 3}));
    stage.machine().ruin("web");
    stage.machine().service("web").fallback = Run::Hangs;
    stage.machine().service("web").after_fallback = vec![Health::Healthy, down()];
    assert!(matches!(stage.pass().outcome("web"), Outcome::Failed(_)));
}

#[test]
fn a_fallback_that_nobody_can_see_is_not_called_a_restart() {
    let stage = web(&json!({"fallback_cmd": "web fallback", "max_failures": 0}));
    stage.machine().ruin("web");
    stage.machine().service("web").after_fallback = vec![no_tool()];
    assert!(stage.pass().notes("web was brought to its fallback, but it cannot be seen whether that helped"));
}

#[test]
fn a_restart_in_vain_has_failed_also_where_another_pass_is_at_the_container() {
    let stage = web(&json!({"strategies": {"recoverable": ["restart", "restart-container"]}}));
    stage.machine().ruin("web");
    let guard = stage.store.try_lock_container("box", stage.clock.peek()).unwrap();
    let done = stage.pass();
    assert_eq!((done.exit, done.told()), (1, vec!["web Recovery Failed → A".to_owned()]));
    drop(guard);
}

#[test]
fn a_marker_folder_that_becomes_unreadable_while_a_container_starts_holds_back_the_command() {
    let stage = web(&json!({}));
    stage.machine().ruin("web");
    stage.machine().containers.insert("box".to_owned(), died(ContainerEnd::Died, 137));
    let marker = stage.marker("web");
    stage.engine.on("start box", move |_| {
        let folder = marker.parent().unwrap();
        let _ = std::fs::remove_dir_all(folder);
        std::os::unix::fs::symlink(folder, folder).unwrap();
    });
    let done = stage.pass();
    assert_eq!((done.acts(), done.exit), (vec!["start box"], 74), "{:?}", done.outcome("web"));
}

#[test]
fn a_command_that_was_run_in_a_started_container_is_not_run_again_as_a_step() {
    let stage = web(&json!({"strategies": {"recoverable": ["restart-container", "restart"]}}));
    stage.machine().ruin("web");
    stage.machine().containers.insert("box".to_owned(), died(ContainerEnd::Died, 137));
    assert_eq!(stage.pass().acts(), ["start box", "run web"]);
}

#[test]
fn a_restart_of_the_container_late_in_a_chain_comes_after_a_look_under_its_own_lock() {
    let stage = web(&json!({"strategies": {"recoverable": ["restart", "restart-container"]}}));
    stage.machine().ruin("web");
    // Down until the startup time-out of the command, well right afterwards: 1 + 1 + 26 looks.
    stage.machine().service("web").after_run = [vec![down(); 26], vec![Health::Healthy]].concat();
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("web")), (vec!["run web"], &Outcome::Healed));
}

#[test]
fn what_anothers_restart_of_the_container_healed_is_seen_so() {
    let stage = Stage::new(&json!({
        "a": {"container": "box", "failure_threshold": 2},
        "b": {"container": "box", "restart": "container"}
    }));
    stage.machine().kill("a");
    stage.machine().kill("b");
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("a")), (vec!["restart box"], &Outcome::Healed));
    assert_eq!(stage.state("a").consecutive_failures, 0);
}
