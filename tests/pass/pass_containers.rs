//! Whole passes with doubles: containers that do not run, are restarted, or are shared; and dependencies.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use recovery::check::{Health, Unknown};
use recovery::config::model::ServiceName;
use recovery::decide::{Decision, NoWay};
use recovery::engine::{ContainerDetails, ContainerEnd};
use recovery::pass::Outcome;
use recovery::state::AttemptResult;
use serde_json::json;
use world::engine::no_tool;
use world::{Done, Stage, died, down};

fn left(done: &Done, service: &str) -> Decision {
    match done.outcome(service) {
        Outcome::Left(decision) => decision.clone(),
        other => panic!("{service} was not left alone: {other:?}"),
    }
}

fn blocked(by: &str) -> Decision {
    Decision::Blocked { by: ServiceName::new(by).unwrap() }
}

fn set(stage: &Stage, container: &str, details: ContainerDetails) {
    stage.machine().containers.insert(container.to_owned(), details);
}

fn shared() -> Stage {
    Stage::new(&json!({"a": {"container": "box"}, "b": {"container": "box", "notify_on_fail": "ops"}}))
}

#[test]
fn a_container_that_died_is_started_once_for_all_in_it() {
    let stage = shared();
    set(&stage, "box", died(ContainerEnd::Died, 137));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (0, vec!["start box"]));
    for service in ["a", "b"] {
        assert!(matches!(done.outcome(service), Outcome::Recovered | Outcome::Healed));
    }
    assert_eq!(stage.state("a").attempts[0].result, AttemptResult::Recovered);
}

#[test]
fn a_container_that_cannot_be_started_is_one_alert_with_its_name() {
    let stage = shared();
    set(&stage, "box", died(ContainerEnd::Died, 1));
    stage.machine().start_fails = Some(Unknown::Other("no such image".to_owned()));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (1, vec!["start box"]));
    let mut told = done.told();
    told.sort();
    assert_eq!(told, ["box Recovery Failed → A", "box Recovery Failed → O"], "one alert a topic");
    assert!(done.alerts.iter().all(|alert| alert.services == ["a", "b"]), "{:?}", done.alerts);
    for service in ["a", "b"] {
        assert_eq!(stage.state(service).attempts.len(), 1, "{service}");
        let Outcome::Failed(attempted) = done.outcome(service) else { panic!("{:?}", done.outcome(service)) };
        assert_eq!(attempted.result, "no such image", "{service}");
    }
    assert_eq!(
        done.calls.iter().filter(|call| call.starts_with("look")).count(),
        0,
        "nobody waits for nothing"
    );
}

#[test]
fn a_container_that_ended_by_itself_with_0_is_told_and_left() {
    let stage = shared();
    set(&stage, "box", died(ContainerEnd::Finished, 0));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (1, 0));
    assert_eq!(left(&done, "a"), Decision::NoWay(NoWay::Finished));
    let mut told = done.told();
    told.sort();
    assert_eq!(told, ["box Down → A", "box Down → O"]);
}

#[test]
fn a_container_that_someone_stopped_is_left_without_a_word() {
    let stage = shared();
    set(&stage, "box", died(ContainerEnd::StoppedBySomeone, 137));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len(), done.told().len()), (0, 0, 0));
    assert!(matches!(left(&done, "a"), Decision::Stopped(_)));

    let always = Stage::new(&json!({"a": {"container": "box", "container_start": "always"}}));
    set(&always, "box", died(ContainerEnd::StoppedBySomeone, 137));
    assert_eq!(always.pass().acts(), ["start box"]);
    let no = Stage::new(&json!({"a": {"container": "box", "container_start": "no"}}));
    set(&no, "box", died(ContainerEnd::Died, 137));
    let done = no.pass();
    assert_eq!((done.exit, done.acts().len(), done.told()), (1, 0, vec!["box Down → A".to_owned()]));
}

#[test]
fn a_container_that_the_engine_restarts_itself_is_left_to_it_and_told_the_second_time() {
    let stage = shared();
    set(&stage, "box", ContainerDetails { engine_restarts_it: true, ..died(ContainerEnd::Died, 1) });
    let first = stage.pass();
    assert_eq!((first.exit, first.acts().len(), first.told().len()), (1, 0, 0));
    assert_eq!(stage.pass_after(300).told().len(), 2);
}

#[test]
fn a_paused_missing_or_changing_container_is_never_touched() {
    for state in ["paused", "restarting", "created", "removing", "dead"] {
        let stage = shared();
        set(&stage, "box", ContainerDetails { state: state.to_owned(), ..world::running() });
        let done = stage.pass();
        assert_eq!((done.exit, done.acts().len()), (69, 0), "{state}");
        assert_eq!(stage.pass_after(300).told().len(), 2, "{state}: the second time, one a topic");
    }
    let stage = shared();
    stage.machine().containers.clear();
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (69, 0));
    // Paused between the looks: the second one sees it.
    let stage = shared();
    stage.machine().kill("a");
    let mut asked = 0;
    stage.engine.on("inspect box", move |machine| {
        asked += 1;
        if asked == 2 {
            machine.containers.get_mut("box").unwrap().state = "paused".to_owned();
        }
    });
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (69, 0));
    assert!(stage.state("a").attempts.is_empty());
}

#[test]
fn a_service_still_down_in_its_started_container_gets_its_command_within_the_same_attempt() {
    let stage = Stage::new(&json!({"a": {"container": "box"}}));
    set(&stage, "box", died(ContainerEnd::Died, 1));
    stage.machine().kill("a").after_start = vec![down()];
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (0, vec!["start box", "run a"]));
    assert_eq!(stage.state("a").attempts.len(), 1);
    assert_eq!(done.outcome("a"), &Outcome::Recovered);
}

#[test]
fn a_container_is_restarted_where_that_is_the_method_and_once_a_pass() {
    let stage = Stage::new(&json!({
        "a": {"container": "box", "restart": "container"},
        "b": {"container": "box", "restart": "container"}
    }));
    stage.machine().kill("a");
    stage.machine().ruin("b");
    let done = stage.pass();
    assert_eq!(done.acts(), ["restart box"]);
    assert_eq!(done.outcome("a"), &Outcome::Recovered);
    assert!(matches!(done.outcome("b"), Outcome::Failed(_)), "{:?}", done.outcome("b"));
    assert_eq!(done.exit, 1);
}

#[test]
fn what_a_restarted_container_took_down_is_seen_before_the_pass_ends() {
    let services = json!({
        "b": {"container": "box"},
        "h": {"container": "box"},
        "w": {"container": "box"},
        "z": {"container": "box", "restart": "container"}
    });
    let stage = Stage::with(&services, &json!({"max_parallel": 1}), &json!(null));
    stage.machine().kill("z");
    stage.machine().kill("b");
    // Both are well until the container is restarted; then nothing starts them.
    stage.machine().service("b").after_start = vec![down()];
    stage.machine().service("h").after_start = vec![down()];
    let done = stage.pass();
    assert_eq!(done.acts(), ["run b", "restart box"]);
    assert_eq!(done.outcome("b"), &Outcome::TakenDown);
    assert_eq!(done.outcome("h"), &Outcome::TakenDown);
    assert_eq!(done.outcome("w"), &Outcome::Healthy);
    assert_eq!(done.exit, 1);
    assert_eq!(stage.state("h").consecutive_failures, 1, "the next pass finds them down, not well");
    assert_eq!(stage.state("b").attempts.len(), 1);
}

#[test]
fn what_was_given_up_and_came_back_with_its_container_is_well() {
    let stage = Stage::new(&json!({"b": {"container": "box", "max_failures": 1}, "a": {"container": "box"}}));
    stage.machine().ruin("b");
    assert_eq!(stage.pass().exit, 1);
    stage.machine().service("b").after_start = vec![Health::Healthy];
    set(&stage, "box", died(ContainerEnd::Died, 137));
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (0, vec!["start box"]));
    assert_eq!(done.outcome("b"), &Outcome::Healed);
    assert!(!done.told().iter().any(|title| title.contains("Crash Loop")), "{:?}", done.told());
}

#[test]
fn a_marker_in_the_container_holds_also_where_the_look_comes_from_the_machine() {
    let services = json!({"web": {
        "container": "box",
        "restart": "container",
        "health_check": {"type": "tcp", "port": 80, "from": "machine"}
    }});
    let stage = Stage::new(&services);
    stage.machine().ruin("web");
    stage.machine().service("web").marker = Some(Vec::new());
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (0, 0));
    assert!(matches!(left(&done, "web"), Decision::Stopped(_)));
    assert_eq!(done.phrases(), ["web manually stopped, skipping auto-recovery"], "its only line");
    stage.machine().service("web").marker = None;
    assert_eq!(stage.pass().acts(), ["restart box"]);
}

#[test]
fn a_marker_in_a_container_that_was_started_holds_back_the_restart_command() {
    for from in ["container", "machine"] {
        let check = json!({"type": "tcp", "port": 80, "from": from});
        let stage = Stage::new(&json!({"web": {"container": "box", "health_check": check}}));
        set(&stage, "box", died(ContainerEnd::Died, 137));
        stage.machine().ruin("web");
        stage.machine().service("web").marker = Some(Vec::new());
        let done = stage.pass();
        assert_eq!((done.exit, done.acts()), (0, vec!["start box"]), "{from}");
        assert!(matches!(left(&done, "web"), Decision::Stopped(_)), "{from}");
    }
}

#[test]
fn side_by_side_a_container_is_still_restarted_once_and_no_look_is_in_it_meanwhile() {
    let services: serde_json::Map<String, serde_json::Value> =
        (0..8).map(|i| (format!("s{i}"), json!({"container": "box", "restart": "container"}))).collect();
    let stage = Stage::with(&services.clone().into(), &json!({"max_parallel": 8}), &json!(null));
    for name in services.keys() {
        stage.machine().kill(name);
    }
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (0, vec!["restart box"]));
    assert_eq!(done.told().len(), 0);
}

#[test]
fn unrelated_failures_cost_one_startup_wait() {
    let services: serde_json::Map<String, serde_json::Value> =
        (0..6).map(|i| (format!("s{i}"), json!({}))).collect();
    let stage = Stage::with(&services.clone().into(), &json!({"max_parallel": 6}), &json!(null));
    for name in services.keys() {
        stage.machine().kill(name);
    }
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (0, 6));
    assert!(services.keys().all(|name| done.outcome(name) == &Outcome::Recovered));
}

fn chain() -> Stage {
    Stage::new(&json!({
        "db": {},
        "app": {"dependencies": ["db"], "notify_on_fail": "ops"},
        "web": {"dependencies": ["app"]}
    }))
}

#[test]
fn what_is_blocked_is_told_in_its_root_causes_alert_and_to_its_topics() {
    let stage = chain();
    for name in ["db", "app", "web"] {
        stage.machine().ruin(name);
    }
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (1, vec!["run db"]));
    assert_eq!((left(&done, "app"), left(&done, "web")), (blocked("db"), blocked("db")));
    assert_eq!(done.told(), ["db Recovery Failed → A", "db Recovery Failed → O"]);
    assert!(done.alerts[0].body.contains("\nBlocks: app, web\n"), "{}", done.alerts[0].body);
    assert!(done.phrases().contains(&"web is blocked by db".to_owned()));
}

#[test]
fn after_a_dependency_came_back_its_dependants_are_looked_at_first() {
    let stage = chain();
    stage.machine().kill("db");
    stage.machine().kill("app");
    stage.machine().ruin("web");
    stage.engine.on("run db", |machine| machine.heal("app"));
    let done = stage.pass();
    assert_eq!(done.outcome("app"), &Outcome::Healed);
    assert!(done.phrases().contains(&"app healthy again without restart".to_owned()));
    assert_eq!((done.acts(), done.exit), (vec!["run db", "run web"], 1), "what did not heal is restarted");
}

#[test]
fn a_dependency_that_only_cannot_be_checked_does_not_block_and_a_missing_one_does() {
    let stage = chain();
    stage.machine().service("db").health = no_tool();
    stage.machine().kill("app");
    let done = stage.pass();
    assert_eq!((done.acts(), done.exit), (vec!["run app"], 69));

    let stage = Stage::new(&json!({"db": {"container": "box"}, "app": {"dependencies": ["db"]}}));
    stage.machine().containers.clear();
    stage.machine().kill("app");
    let done = stage.pass();
    assert_eq!((done.acts().len(), left(&done, "app"), done.exit), (0, blocked("db"), 69));
}

#[test]
fn selection_takes_dependencies_along_unless_told_not_to() {
    let stage = chain();
    stage.machine().ruin("db");
    stage.machine().kill("app");
    let done = stage.run(&["app"], true, false);
    assert_eq!((done.acts(), left(&done, "app")), (vec!["run db"], blocked("db")));
    let done = stage.run(&["app"], false, false);
    assert_eq!((done.acts(), done.outcomes.len(), done.exit), (vec!["run app"], 1, 0));
}

#[test]
fn a_disabled_dependency_is_satisfied() {
    let stage = Stage::new(&json!({"db": {"enabled": false}, "app": {"dependencies": ["db"]}}));
    stage.machine().ruin("db");
    stage.machine().kill("app");
    assert_eq!(stage.pass().acts(), ["run app"]);
}

#[test]
fn an_interval_is_kept_less_a_tenth_except_for_what_is_down_named_or_needed() {
    let interval = json!({"type": "tcp", "port": 1, "interval_seconds": 600});
    let stage = Stage::new(&json!({
        "db": {"health_check": interval},
        "web": {"dependencies": ["db"]}
    }));
    assert_eq!(stage.pass().calls, ["look machine: db web"]);
    let second = stage.pass_after(300);
    assert_eq!(
        (second.calls.clone(), second.outcome("db")),
        (vec!["look machine: web".to_owned()], &Outcome::NotDue)
    );
    assert_eq!(stage.pass_after(240).calls, ["look machine: db web"], "540 s are near enough");
    assert_eq!(stage.run(&["db"], true, false).calls, ["look machine: db"], "it was named");
    stage.machine().kill("web");
    let done = stage.pass_after(10);
    assert_eq!(done.calls[..2], ["look machine: web", "look machine: db"], "a dependant is to be acted on");
    assert_eq!(done.acts(), ["run web"]);
    stage.advance(600);
    stage.machine().ruin("db");
    stage.pass();
    assert!(stage.pass_after(10).calls[0].contains("db"), "what is down is always due");
}

#[test]
fn a_look_that_only_one_pass_in_the_middle_fails_leaves_nothing_behind() {
    let stage = Stage::new(&json!({"a": {"container": "box"}}));
    stage.pass();
    stage.machine().service("a").next.push_back(down());
    assert_eq!(stage.pass_after(300).outcome("a"), &Outcome::Healed);
    let state = stage.state("a");
    assert_eq!((state.consecutive_failures, state.incident), (0, None));
    assert_eq!(stage.machine().service("a").seen.last(), Some(&Health::Healthy));
}
