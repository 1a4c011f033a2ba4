//! Whole passes with doubles: who ended a container is found out once, and nothing is done in one that is being
//! stopped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use recovery::check::Unknown;
use recovery::decide::{Decision, NoWay};
use recovery::engine::{ContainerDetails, ContainerEnd, ContainerRef};
use recovery::pass::Outcome;
use serde_json::{Value, json};
use world::engine::Run;
use world::{Done, Stage, died, running};

fn one() -> Stage {
    Stage::new(&json!({"a": {"container": "box"}}))
}

fn set(stage: &Stage, details: ContainerDetails) {
    stage.machine().containers.insert("box".to_owned(), details);
}

fn is_stopped(done: &Done, service: &str) -> bool {
    matches!(done.outcome(service), Outcome::Left(Decision::Stopped(_)))
}

/// Exit codes that say nothing, and some that would speak for a death.
#[test]
fn a_persons_stop_does_not_wear_off() {
    for code in [0, 1, 3, 137, 143] {
        let stage = one();
        set(&stage, died(ContainerEnd::StoppedBySomeone, code));
        assert!(is_stopped(&stage.pass(), "a"), "{code}");
        stage.machine().forgets = true;
        for _ in 0..3 {
            let done = stage.pass_after(7 * 3600);
            assert!(is_stopped(&done, "a"), "{code}: {:?}", done.outcome("a"));
            assert_eq!((done.exit, done.acts().len(), done.told().len()), (0, 0, 0), "{code}");
        }
    }
}

#[test]
fn what_died_by_itself_stays_so_as_events_are_forgotten() {
    let stage = Stage::new(&json!({"a": {"container": "box", "max_failures": 1}}));
    set(&stage, died(ContainerEnd::Died, 137));
    stage.machine().start_fails = Some(Unknown::Other("no such image".to_owned()));
    assert_eq!(stage.pass().acts(), ["start box"]);
    let mut machine = stage.machine();
    (machine.forgets, machine.start_fails) = (true, None);
    drop(machine);
    assert_eq!(stage.pass_after(7 * 3600).acts(), ["start box"]);
}

#[test]
fn a_service_that_is_added_later_judges_nothing_anew() {
    let stage = one();
    set(&stage, died(ContainerEnd::StoppedBySomeone, 1));
    stage.pass();
    let services = json!({"a": {"container": "box"}, "b": {"container": "box"}});
    let later = stage.with_services(&services);
    set(&later, died(ContainerEnd::StoppedBySomeone, 1));
    later.machine().forgets = true;
    let done = later.pass();
    assert!(is_stopped(&done, "a") && is_stopped(&done, "b"), "{:?}", done.outcomes);
}

#[test]
fn another_end_and_another_container_are_judged_for_themselves() {
    let stage = one();
    set(&stage, died(ContainerEnd::StoppedBySomeone, 3));
    assert!(is_stopped(&stage.pass(), "a"));
    stage.machine().forgets = true;
    let finished_at = died(ContainerEnd::Died, 3).finished_at.map(|at| at + time::Duration::SECOND);
    set(&stage, ContainerDetails { finished_at, ..died(ContainerEnd::Died, 3) });
    assert_eq!(stage.pass().acts(), ["start box"]);
}

#[test]
fn what_nobody_can_tell_is_left_alone_and_told_once() {
    for code in [0, 130, 137, 143] {
        let stage = one();
        set(&stage, died(ContainerEnd::Died, code));
        stage.machine().forgets = true;
        let done = stage.pass();
        assert_eq!(done.outcome("a"), &Outcome::Left(Decision::NoWay(NoWay::NobodyKnows)), "{code}");
        assert_eq!((done.exit, done.acts().len(), done.told()), (1, 0, vec!["box Down → A".to_owned()]));
        assert!(done.alerts[0].body.contains("recovery stop"), "{}", done.alerts[0].body);
        for _ in 0..3 {
            let done = stage.pass_after(7200);
            assert_eq!((done.exit, done.acts().len(), done.told().len()), (1, 0, 0), "{code}");
        }
        let always = Stage::new(&json!({"a": {"container": "box", "container_start": "always"}}));
        set(&always, died(ContainerEnd::Died, code));
        always.machine().forgets = true;
        assert_eq!(always.pass().acts(), ["start box"], "{code}");
    }
}

#[test]
fn a_start_that_failed_is_told_in_the_engines_words_and_tried_again_within_the_budget() {
    let stage = Stage::new(&json!({"a": {"container": "box", "max_failures": 2}}));
    let start_error = Some("bind source path does not exist".to_owned());
    let failed =
        ContainerDetails { start_error, engine_restarts_it: true, ..died(ContainerEnd::NotStarted, 127) };
    set(&stage, failed);
    stage.machine().start_fails = Some(Unknown::Other("bind source path does not exist".to_owned()));
    for _ in 0..2 {
        let done = stage.pass_after(300);
        assert_eq!((done.exit, done.acts()), (1, vec!["start box"]));
    }
    assert_eq!(stage.pass_after(300).acts().len(), 0, "its attempts are used up");
    let said = done_reason(&stage.pass_after(7200));
    assert!(said.contains("its start failed: bind source path does not exist"), "{said}");
}

fn done_reason(done: &Done) -> String {
    done.alerts.iter().map(|alert| alert.body.clone()).collect()
}

#[test]
fn a_dry_run_remembers_nothing() {
    let stage = one();
    set(&stage, died(ContainerEnd::StoppedBySomeone, 1));
    let before = stage.files();
    stage.dry_run();
    assert_eq!(stage.files(), before);
}

#[test]
fn that_we_restart_a_container_is_written_down_before() {
    let stage = Stage::new(&json!({"a": {"container": "box", "restart": "container"}}));
    stage.machine().kill("a");
    assert_eq!(stage.pass().acts(), ["restart box"]);
    let at = ContainerRef { id: "id-of-box".to_owned(), name: "box".to_owned() };
    let restarted = stage.store.container(&at).unwrap().restarted_at.unwrap();
    let started = stage.machine().containers["box"].started_at.unwrap();
    assert!(restarted <= started, "{restarted} {started}");
}

#[test]
fn nothing_is_done_in_a_container_that_is_being_stopped() {
    for service in [
        json!({"container": "box"}),
        json!({"container": "box", "restart": "container"}),
        json!({"container": "box", "container_start": "always"}),
        json!({"container": "box", "fallback_cmd": "a fallback", "strategies": {"recoverable": ["fallback"]}}),
    ] {
        let stage = Stage::new(&json!({"a": service}));
        stage.machine().ruin("a");
        stage.machine().being_stopped.insert("box".to_owned());
        let done = stage.pass();
        assert!(is_stopped(&done, "a"), "{:?}", done.outcome("a"));
        assert_eq!((done.exit, done.acts().len(), done.told().len()), (0, 0, 0));
        stage.machine().being_stopped.clear();
        assert_eq!(stage.pass().acts().len(), 1, "and when it is over it is");
    }
}

#[test]
fn a_stop_that_begins_after_the_first_look_is_seen_before_anything_is_done() {
    for service in [json!({"container": "box"}), json!({"container": "box", "restart": "container"})] {
        let stage = Stage::new(&json!({"a": service}));
        stage.machine().ruin("a");
        let mut looks = 0;
        stage.engine.on("look box: a", move |machine| {
            looks += 1;
            if looks == 2 {
                machine.being_stopped.insert("box".to_owned());
            }
        });
        let done = stage.pass();
        assert!(is_stopped(&done, "a") && done.acts().is_empty(), "{:?}", done.calls);
    }
}

#[test]
fn an_engine_that_cannot_be_asked_about_a_stop_lets_nothing_be_done() {
    let stage = one();
    stage.machine().ruin("a");
    stage.engine.on("stops box", |machine| machine.trouble = Some(world::engine::no_engine()));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (69, 0));
}

fn with_cleanup(keys: &Value) -> Stage {
    let mut service = json!({"container": "box", "cleanup_cmd": "a cleanup"});
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    Stage::new(&json!({"a": service}))
}

#[test]
fn a_cleanup_that_a_dead_container_made_impossible_is_mentioned() {
    let stage = with_cleanup(&json!({}));
    set(&stage, died(ContainerEnd::Died, 3));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (0, vec!["start box"]));
    assert!(done.notes("the cleanup of a was not run: container box is not running"), "{:?}", done.events);
}

#[test]
fn only_what_was_restarted_is_said_to_have_been() {
    let stage = with_cleanup(&json!({"restart": "container"}));
    stage.machine().kill("a").cleanup = Run::Fails(world::engine::no_engine());
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (69, vec!["cleanup a"]));
    assert!(done.notes("the cleanup of a was begun, and it was not restarted: "), "{:?}", done.events);
    assert!(!done.notes("was restarted"), "{:?}", done.events);
    // One that was is.
    let stage = Stage::new(&json!({"a": {"container": "box"}}));
    set(&stage, running());
    stage.machine().kill("a").run = Run::Fails(world::engine::no_engine());
    let done = stage.pass();
    assert!(done.notes("a was restarted, but it cannot be seen whether that helped"), "{:?}", done.events);
}

#[test]
fn a_cleanup_that_could_not_be_run_is_told_as_such() {
    let stage = with_cleanup(&json!({}));
    stage.machine().kill("a").cleanup = Run::Fails(Unknown::Other("no such user".to_owned()));
    let done = stage.pass();
    let Outcome::Failed(attempted) = done.outcome("a") else { panic!("{:?}", done.outcome("a")) };
    assert_eq!(attempted.result, "its cleanup could not be run: no such user");
}
