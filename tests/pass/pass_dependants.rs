//! Whole passes with doubles: services that are restarted after a dependency, and containers that live on another
//! one's network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::world;

use std::time::Duration;

use recovery::check::{Health, Unknown};
use recovery::decide::{Action, Decision};
use recovery::engine::ContainerEnd;
use recovery::event::EventKind;
use recovery::pass::Outcome;
use recovery::state::Status;
use serde_json::{Value, json};
use world::effects::{Blow, Killed};
use world::engine::{Run, died, no_tool};
use world::{Done, Stage, down};

/// What follows `vpn`, and nothing more.
fn after(service: &str) -> Value {
    json!([{"service": service, "restart": true}])
}

/// `web` follows `vpn`; both live in containers and have commands.
fn boxed() -> Stage {
    Stage::new(&json!({
        "vpn": {"container": "tunnel"},
        "web": {"container": "box", "dependencies": after("vpn")}
    }))
}

/// The same on the machine itself.
fn bare() -> Stage {
    Stage::new(&json!({"vpn": {}, "web": {"dependencies": after("vpn")}}))
}

/// Somebody starts a container anew, so that what lives in it is well.
fn start(stage: &Stage, container: &str) {
    stage.advance(10);
    let now = stage.clock.peek();
    stage.machine().came_up(container, now);
    stage.advance(290);
}

/// `box` lives on the network of `owner`.
fn network(stage: &Stage, owner: &str) {
    stage.machine().networks.insert("box".to_owned(), owner.to_owned());
}

fn followed(service: &str) -> Outcome {
    Outcome::Followed(Stage::name(service))
}

fn failed_checks(done: &Done) -> usize {
    done.events.iter().filter(|event| matches!(event.kind, EventKind::CheckFailed { .. })).count()
}

#[test]
fn what_depends_on_a_restarted_service_is_restarted_after_it_though_it_looks_healthy() {
    for stage in [boxed(), bare()] {
        stage.pass();
        stage.machine().kill("vpn");
        let done = stage.pass_after(300);
        assert_eq!((done.acts(), done.exit), (vec!["run vpn", "run web"], 0));
        assert_eq!(done.outcome("web"), &followed("vpn"));
        assert_eq!(
            done.phrases(),
            [
                "Health check passed for web",
                "Health check failed for vpn, attempting recovery...",
                "Executing restart command for vpn",
                "Successfully recovered vpn",
                "Executing restart command for web"
            ]
        );
        assert!(done.notes("web is restarted after vpn, on which it depends"));
        assert!(done.notes("web was restarted after vpn, and is healthy"));
        assert!(done.told().is_empty());
        let web = stage.state("web");
        assert_eq!((web.attempts.len(), web.status, web.consecutive_failures), (0, Status::Healthy, 0));
        // Once.
        for _ in 0..3 {
            assert_eq!(stage.pass_after(300).acts().len(), 0);
        }
    }
}

#[test]
fn a_dependency_without_the_word_is_not_followed() {
    let stage = Stage::new(
        &json!({"vpn": {"container": "tunnel"}, "web": {"container": "box", "dependencies": ["vpn"]}}),
    );
    stage.machine().kill("vpn");
    let done = stage.pass();
    assert_eq!(done.acts(), ["run vpn"]);
    start(&stage, "tunnel");
    let done = stage.pass();
    assert_eq!(done.acts().len(), 0);
    assert!(!done.calls.iter().any(|call| call.starts_with("runs ")), "{:?}", done.calls);
}

#[test]
fn a_container_that_anybody_started_is_followed_once() {
    let stage = boxed();
    assert_eq!(stage.pass().acts().len(), 0);
    for _ in 0..2 {
        start(&stage, "tunnel");
        let done = stage.pass();
        assert_eq!((done.acts(), done.outcome("web"), done.exit), (vec!["run web"], &followed("vpn"), 0));
        // Its own container was not started anew, so that only memory tells.
        assert_eq!(stage.pass_after(300).acts().len(), 0);
    }
    // One that was started after it is fresh.
    start(&stage, "tunnel");
    start(&stage, "box");
    assert_eq!(stage.pass().acts().len(), 0);
}

#[test]
fn one_call_tells_when_containers_were_started() {
    let stage = boxed();
    let calls = stage.pass().calls;
    let runs: Vec<&String> = calls.iter().filter(|call| call.starts_with("runs ")).collect();
    assert_eq!(runs, ["runs box tunnel"]);
    assert!(!calls.iter().any(|call| call.starts_with("inspect ")), "{calls:?}");
}

#[test]
fn a_restart_of_the_container_follows_a_restart_of_the_container() {
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel", "restart": "container"},
        "web": {"container": "box", "restart": "container", "dependencies": after("vpn")}
    }));
    stage.machine().kill("vpn");
    let done = stage.pass_after(300);
    assert_eq!(done.acts(), ["restart tunnel", "restart box"]);
    assert_eq!(done.outcome("web"), &followed("vpn"));
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn a_container_that_died_and_was_started_is_followed() {
    let stage = boxed();
    stage.machine().containers.insert("tunnel".to_owned(), died(ContainerEnd::Died, 1));
    let done = stage.pass_after(300);
    assert_eq!(done.acts(), ["start tunnel", "run web"]);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn followers_of_followers_follow_in_order() {
    let stage = Stage::new(&json!({
        "top": {"container": "high", "dependencies": after("web")},
        "web": {"container": "box", "dependencies": after("vpn")},
        "vpn": {"container": "tunnel"}
    }));
    stage.pass();
    stage.machine().kill("vpn");
    let done = stage.pass_after(300);
    assert_eq!(done.acts(), ["run vpn", "run web", "run top"]);
    assert_eq!((done.outcome("top"), done.exit), (&followed("web"), 0));
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn what_is_down_besides_is_recovered_by_following_and_uses_no_attempt() {
    let stage = boxed();
    stage.pass();
    stage.machine().kill("vpn");
    stage.machine().kill("web");
    let done = stage.pass_after(300);
    assert_eq!(done.acts(), ["run vpn", "run web"]);
    assert_eq!(done.outcome("web"), &Outcome::Recovered);
    assert!(done.phrases().contains(&"Successfully recovered web".to_owned()));
    assert_eq!(stage.state("web").attempts.len(), 0);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn what_is_down_after_it_followed_is_told_and_tried_again_at_the_next_pass() {
    let stage = boxed();
    stage.pass();
    start(&stage, "tunnel");
    stage.machine().service("web").after_run = vec![down()];
    let done = stage.pass();
    assert_eq!((done.acts(), done.exit), (vec!["run web"], 1));
    assert_eq!(failed_checks(&done), 0);
    assert_eq!(done.phrases().last().unwrap(), "Failed to recover web");
    assert_eq!(done.told(), ["web Recovery Failed → A"]);
    let web = stage.state("web");
    assert_eq!((web.attempts.len(), web.consecutive_failures, web.status), (0, 1, Status::Unhealthy));
    stage.machine().service("web").after_run = vec![Health::Healthy];
    let done = stage.pass_after(300);
    assert_eq!((done.acts(), done.exit), (vec!["run web"], 0));
    assert_eq!(
        (done.outcome("web"), done.told()),
        (&Outcome::Recovered, vec!["web Recovered → A".to_owned()])
    );
    assert_eq!(stage.state("web").attempts.len(), 1);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn a_dependency_that_is_down_or_limps_along_is_followed_only_once_it_is_well() {
    for fallback in [json!(null), json!("vpn fallback")] {
        let stage = Stage::new(&json!({
            "vpn": {"container": "tunnel", "fallback_cmd": fallback},
            "web": {"container": "box", "dependencies": after("vpn")}
        }));
        stage.pass();
        stage.machine().ruin("vpn");
        let done = stage.pass_after(300);
        assert!(!done.acts().contains(&"run web"), "{:?}", done.acts());
        assert_eq!(done.outcome("web"), &Outcome::Healthy);
        stage.machine().heal("vpn");
        let done = stage.pass_after(300);
        assert_eq!((done.acts(), done.outcome("web")), (vec!["run web"], &followed("vpn")));
    }
}

#[test]
fn what_must_not_be_touched_is_not_restarted_after_anything() {
    type Change = fn(&Stage);
    let cases: [(&str, Change); 6] = [
        ("a marker", |stage| stage.stop("web", "")),
        ("a marker inside", |stage| stage.machine().service("web").marker = Some(Vec::new())),
        ("unknown", |stage| stage.machine().service("web").health = no_tool()),
        ("booting", |stage| stage.clock.booted(Duration::from_secs(60))),
        ("stopped container", |stage| {
            let stopped = died(ContainerEnd::StoppedBySomeone, 143);
            stage.machine().containers.insert("box".to_owned(), stopped);
        }),
        ("a marker at the second look", |stage| {
            let mut looks = 0;
            stage.engine.on("look box: web", move |machine| {
                looks += 1;
                if looks == 2 {
                    machine.service("web").marker = Some(Vec::new());
                }
            });
        }),
    ];
    for (name, change) in cases {
        let stage = boxed();
        stage.pass();
        start(&stage, "tunnel");
        change(&stage);
        assert_eq!(stage.pass().acts().len(), 0, "{name}");
    }
}

#[test]
fn where_it_could_not_follow_it_does_so_later() {
    let stage = boxed();
    stage.pass();
    start(&stage, "tunnel");
    stage.stop("web", "");
    assert_eq!(stage.pass().acts().len(), 0);
    stage.resume("web");
    stage.clock.booted(Duration::from_secs(60));
    let done = stage.pass();
    assert!(done.notes("web is not restarted after its dependency yet: the machine just booted"));
    assert_eq!((done.acts().len(), done.outcome("web"), done.exit), (0, &Outcome::Healthy, 0));
    stage.clock.booted(Duration::from_secs(6000));
    assert_eq!(stage.pass().acts(), ["run web"]);
}

#[test]
fn another_pass_that_is_at_it_is_left_to_it() {
    let stage = boxed();
    stage.pass();
    start(&stage, "tunnel");
    let held = stage.store.try_lock(&Stage::name("web"), stage.clock.peek()).unwrap();
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.exit), (0, 0));
    assert!(done.notes("web is left to follow: another pass is at it"));
    drop(held);
    assert_eq!(stage.pass().acts(), ["run web"]);
}

#[test]
fn a_service_that_was_not_due_follows_and_so_does_one_whose_dependency_was_not() {
    let check = json!({"type": "tcp", "port": 1, "interval_seconds": 3600});
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel", "health_check": check},
        "web": {"container": "box", "health_check": check, "dependencies": after("vpn")}
    }));
    stage.pass();
    start(&stage, "tunnel");
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("vpn")), (vec!["run web"], &Outcome::Healthy));
    // So was what else it needs, where another dependency is about to be restarted.
    let stage = Stage::new(&json!({
        "disk": {"health_check": check},
        "vpn": {},
        "web": {"dependencies": ["disk", {"service": "vpn", "restart": true}]}
    }));
    stage.pass();
    stage.machine().kill("vpn");
    stage.machine().ruin("disk");
    assert!(!stage.pass_after(300).acts().contains(&"run web"));
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel", "health_check": check},
        "web": {"container": "box", "health_check": check, "dependencies": after("vpn")}
    }));
    stage.pass();
    // It was looked at before it was followed.
    start(&stage, "tunnel");
    stage.machine().ruin("vpn");
    assert!(!stage.pass().acts().contains(&"run web"));
}

#[test]
fn a_dry_run_says_what_would_follow() {
    let stage = boxed();
    stage.pass();
    stage.machine().kill("vpn");
    let done = stage.dry_run();
    let follow = Decision::Follow { after: Stage::name("vpn"), action: Action::Command, down: false };
    assert_eq!(done.outcome("web"), &Outcome::Would(follow.clone()));
    stage.machine().heal("vpn");
    start(&stage, "tunnel");
    let files = stage.files();
    let done = stage.dry_run();
    assert_eq!((done.outcome("web"), done.exit), (&Outcome::Would(follow), 0));
    assert_eq!((done.acts().len(), stage.files()), (0, files));
}

#[test]
fn max_failures_of_0_and_a_pass_over_its_time_never_follow() {
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel"},
        "web": {"container": "box", "restart": "none", "restart_cmd": null}
    }));
    network(&stage, "id-of-tunnel");
    start(&stage, "tunnel");
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.outcome("web")), (0, &Outcome::Healthy));
    let stage = Stage::with(
        &json!({"vpn": {"container": "tunnel"}, "web": {"container": "box", "dependencies": after("vpn")}}),
        &json!({"pass_timeout_seconds": 60}),
        &json!({}),
    );
    start(&stage, "tunnel");
    let clock = std::sync::Arc::clone(&stage.clock);
    stage.engine.on("look box: web", move |_| clock.advance(Duration::from_secs(61)));
    assert_eq!(stage.pass().acts().len(), 0);
}

/// Kills passes at each of their effects: nothing that was restarted is forgotten, nothing is restarted for ever.
#[test]
fn a_pass_that_is_killed_anywhere_neither_forgets_to_follow_nor_repeats_it_for_ever() {
    let worlds: [fn() -> Stage; 2] = [boxed, bare];
    for world in worlds {
        for effect in 0.. {
            let stage = world();
            stage.pass();
            stage.machine().kill("vpn");
            stage.advance(300);
            stage.effects.plan(Some((effect, Blow::Cut)));
            let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.pass()));
            stage.effects.plan(None);
            let finished = match cut {
                Ok(_) => true,
                Err(payload) => payload.is::<Killed>().then_some(false).unwrap(),
            };
            for _ in 0..3 {
                stage.pass_after(300);
            }
            let count = |call: &str| stage.machine().acts.iter().filter(|act| act.call == call).count();
            let (vpn, web) = (count("run vpn"), count("run web"));
            assert!(vpn == 1, "{vpn} restarts of vpn, cut at {effect}");
            assert!((1..=2).contains(&web), "{web} restarts of web, cut at {effect}");
            let order = stage.machine().acts.iter().rposition(|act| act.call == "run web");
            assert!(order > stage.machine().acts.iter().rposition(|act| act.call == "run vpn"));
            if finished {
                break;
            }
        }
    }
}

/// Kills pass after pass at the same effect.
#[test]
fn passes_that_are_killed_again_and_again_do_not_restart_again_and_again() {
    for effect in 0.. {
        let stage = boxed();
        stage.pass();
        start(&stage, "tunnel");
        let mut finished = false;
        for _ in 0..6 {
            stage.effects.plan(Some((effect, Blow::Cut)));
            finished =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.pass_after(300))).is_ok();
            stage.effects.plan(None);
        }
        for _ in 0..3 {
            stage.pass_after(300);
        }
        let restarts = stage.machine().acts.len();
        // None where both tries were killed just before it.
        assert!(restarts <= 2, "{restarts} restarts, cut at {effect}");
        if finished {
            break;
        }
    }
}

#[test]
fn a_restart_that_the_engine_refuses_is_tried_once_more_and_the_service_left_as_it_is() {
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel"},
        "web": {"container": "box", "restart": "container", "dependencies": after("vpn")}
    }));
    stage.pass();
    start(&stage, "tunnel");
    stage.machine().start_fails = Some(Unknown::Other("port is already allocated".to_owned()));
    for _ in 0..2 {
        let done = stage.pass_after(300);
        assert_eq!(
            (done.acts(), done.outcome("web"), done.exit),
            (vec!["restart box"], &Outcome::Healthy, 0)
        );
        assert!(done.notes("web could not be restarted after vpn: port is already allocated"));
    }
    assert_eq!(stage.pass_after(300).acts().len(), 0);
    assert_eq!(stage.state("web").consecutive_failures, 0);
}

#[test]
fn where_it_cannot_be_recorded_nothing_is_restarted_and_nobody_is_told_that_it_is_down() {
    let stage = boxed();
    stage.pass();
    start(&stage, "tunnel");
    let mut looks = 0;
    let effects = std::sync::Arc::clone(&stage.effects);
    stage.engine.on("look box: web", move |_| {
        looks += 1;
        if looks == 2 {
            effects.take_disk();
        }
    });
    let done = stage.pass();
    assert_eq!((done.acts().len(), done.exit, done.told().len()), (0, 74, 0), "{:?}", done.outcomes);
    stage.effects.give_disk_back();
    assert_eq!(stage.pass_after(300).acts(), ["run web"]);
}

#[test]
fn a_command_that_could_not_be_begun_is_tried_once_more() {
    let stage = boxed();
    stage.pass();
    start(&stage, "tunnel");
    stage.machine().service("web").run = Run::Fails(Unknown::Other("no shell".to_owned()));
    assert_eq!(stage.pass().acts(), ["run web"]);
    stage.machine().service("web").run = Run::Exits(0);
    assert_eq!(stage.pass_after(300).outcome("web"), &followed("vpn"));
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn a_container_on_the_network_of_another_follows_its_starts_without_a_word_of_the_configuration() {
    // In the wrong order, and with a command that could not give it a network.
    let stage = Stage::new(&json!({"app": {"container": "box"}, "vpn": {"container": "tunnel"}}));
    network(&stage, "id-of-tunnel");
    assert_eq!(stage.pass().acts().len(), 0);
    start(&stage, "tunnel");
    let done = stage.pass();
    assert_eq!((done.acts(), done.outcome("app")), (vec!["restart box"], &followed("vpn")));
    assert_eq!(stage.pass_after(300).acts().len(), 0);
    // A restart inside the other container leaves the network as it is.
    stage.machine().kill("vpn");
    assert_eq!(stage.pass_after(300).acts(), ["run vpn"]);
    // What is down there blocks it.
    stage.machine().ruin("vpn");
    stage.machine().ruin("app");
    let done = stage.pass_after(300);
    assert_eq!(done.outcome("app"), &Outcome::Left(Decision::Blocked { by: Stage::name("vpn") }));
}

#[test]
fn where_the_configuration_says_the_opposite_of_the_network_the_configuration_holds() {
    let stage = Stage::new(&json!({
        "web": {"container": "box"},
        "vpn": {"container": "tunnel", "dependencies": ["web"]}
    }));
    network(&stage, "id-of-tunnel");
    stage.machine().kill("web");
    stage.machine().kill("vpn");
    let done = stage.pass();
    assert_eq!((done.acts(), done.exit), (vec!["run web", "run vpn"], 0));
    start(&stage, "tunnel");
    assert_eq!(stage.pass().acts().len(), 0);
}

#[test]
fn who_begins_to_follow_leaves_old_restarts_alone_and_forgets_no_new_one() {
    let stage = Stage::new(
        &json!({"vpn": {}, "web": {"dependencies": after("vpn")}, "late": {"dependencies": after("vpn")}}),
    );
    stage.stop("late", "");
    stage.pass();
    stage.machine().kill("vpn");
    assert_eq!(stage.pass_after(300).acts(), ["run vpn", "run web"]);
    // As if it had been written into the configuration only now.
    std::fs::remove_file(stage.state_file("late")).unwrap();
    stage.resume("late");
    for _ in 0..2 {
        assert_eq!(stage.pass_after(300).acts().len(), 0);
    }
    // Down for some passes, then well by itself.
    stage.machine().ruin("vpn");
    for _ in 0..4 {
        assert!(!stage.pass_after(300).acts().contains(&"run late"));
    }
    stage.machine().heal("vpn");
    assert_eq!(stage.pass_after(300).acts(), ["run late", "run web"]);
    assert_eq!(stage.pass_after(300).acts().len(), 0);
}

#[test]
fn a_container_on_a_network_that_is_gone_is_unknown_and_says_what_helps() {
    for health in [Health::Healthy, down()] {
        let stage = Stage::new(&json!({"vpn": {"container": "tunnel"}, "web": {"container": "box"}}));
        network(&stage, "id-of-the-one-before");
        stage.machine().service("web").health = health;
        for pass in 1..=2 {
            let done = stage.pass_after(300);
            assert_eq!((done.acts().len(), done.exit), (0, 69));
            let gone = Decision::CannotTell(Unknown::NetworkGone("box".to_owned()));
            assert_eq!(done.outcome("web"), &Outcome::Left(gone));
            assert_eq!(done.told().len(), usize::from(pass == 2));
            if let Some(alert) = done.alerts.first() {
                assert_eq!(alert.title, "box Cannot Be Checked");
                assert!(alert.body.contains("docker compose up -d --force-recreate box"), "{}", alert.body);
            }
        }
        assert_eq!(stage.state("web").consecutive_failures, 0);
    }
}

#[test]
fn a_dead_container_on_a_network_that_is_gone_is_not_started_and_a_stopped_one_left_alone() {
    use ContainerEnd::{Died, StoppedBySomeone};
    for (end, start, exit) in
        [(Died, "on-failure", 69), (StoppedBySomeone, "on-failure", 0), (StoppedBySomeone, "always", 69)]
    {
        let stage = Stage::new(&json!({
            "vpn": {"container": "tunnel"},
            "web": {"container": "box", "container_start": start}
        }));
        network(&stage, "id-of-the-one-before");
        stage.machine().containers.insert("box".to_owned(), died(end, 1));
        let done = stage.pass();
        assert_eq!((done.acts().len(), done.exit), (0, exit));
    }
}

/// Services of one container are restarted together: `a` in `one` is followed by `b` in `two`, and that by `c`,
/// whose restart is that of `one`.
#[test]
fn what_would_come_around_to_its_own_cause_is_not_followed_for_ever() {
    let follow = |on: &str| json!([{"service": on, "restart": true}]);
    for last in [
        json!({"container": "one", "restart": "container", "dependencies": follow("b")}),
        json!({"container": "two", "restart": "container", "dependencies": follow("a")}),
    ] {
        let stage = Stage::new(&json!({
            "a": {"container": "one", "restart": "container"},
            "b": {"container": "two", "restart": "container", "dependencies": follow("a")},
            "c": last
        }));
        stage.pass();
        stage.machine().kill("a");
        stage.pass_after(300);
        stage.pass_after(300);
        for _ in 0..3 {
            assert_eq!(stage.pass_after(300).acts(), Vec::<&str>::new());
        }
    }
}

/// The same over two passes of which each sees only its half.
#[test]
fn a_circle_is_seen_whatever_part_of_it_a_pass_takes() {
    let stage = Stage::new(&json!({
        "a": {"container": "one", "restart": "container"},
        "b": {"container": "two", "restart": "container", "dependencies": after("a")},
        "c": {"container": "two", "restart": "container"},
        "d": {"container": "one", "restart": "container", "dependencies": after("c")}
    }));
    stage.pass();
    stage.machine().kill("a");
    for round in 0..4 {
        stage.advance(300);
        let one = stage.run(&["b"], true, false);
        stage.advance(60);
        let two = stage.run(&["d"], true, false);
        assert!(
            round == 0 || one.acts().is_empty() && two.acts().is_empty(),
            "{:?} {:?}",
            one.acts(),
            two.acts()
        );
    }
}

#[test]
fn a_dependency_that_flaps_drags_nobody_along_for_ever() {
    let stage = boxed();
    stage.pass();
    let mut acts = 0;
    for _ in 0..12 {
        start(&stage, "tunnel");
        acts += stage.pass().acts().len();
    }
    assert!((1..=3).contains(&acts), "{acts} restarts of a healthy service in an hour");
}

#[test]
fn a_stopped_container_that_answers_from_elsewhere_is_not_started() {
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel"},
        "web": {
            "container": "box", "restart": "container", "dependencies": after("vpn"),
            "health_check": {"type": "tcp", "port": 1, "from": "machine"}
        }
    }));
    stage.pass();
    start(&stage, "tunnel");
    stage.machine().containers.insert("box".to_owned(), died(ContainerEnd::StoppedBySomeone, 143));
    assert_eq!(stage.pass().acts(), Vec::<&str>::new());
}

#[test]
fn a_follower_in_its_start_period_is_left_alone_though_it_looks_healthy() {
    let stage = Stage::new(&json!({
        "vpn": {"container": "tunnel"},
        "web": {
            "container": "box", "restart": "container", "start_period_seconds": 600, "dependencies": after("vpn")
        }
    }));
    stage.pass();
    for (container, wait) in [("box", 5), ("tunnel", 15)] {
        let now = stage.clock.peek();
        stage.machine().came_up(container, now);
        stage.advance(wait);
    }
    assert_eq!(stage.pass().acts(), Vec::<&str>::new());
    // Afterwards it follows.
    assert_eq!(stage.pass_after(900).acts(), ["restart box"]);
}

#[test]
fn where_no_state_lasts_nothing_is_restarted_at_every_pass() {
    let stage = boxed();
    stage.pass();
    start(&stage, "tunnel");
    let acts: usize = (0..5)
        .map(|_| {
            std::fs::remove_dir_all(stage.store.dir()).unwrap();
            stage.pass_after(300).acts().len()
        })
        .sum();
    assert_eq!(acts, 0);
}

/// Nobody said that the container of two may be restarted for the network of one.
#[test]
fn a_shared_container_is_not_restarted_for_its_network_unless_that_is_how_it_is_restarted() {
    for (restart, acts) in [("command", Vec::new()), ("container", vec!["restart box"])] {
        let stage = Stage::new(&json!({
            "vpn": {"container": "tunnel"},
            "app": {"container": "box"},
            "web": {"container": "box", "restart": restart}
        }));
        network(&stage, "id-of-tunnel");
        stage.pass();
        start(&stage, "tunnel");
        assert_eq!(stage.pass().acts(), acts, "{restart}");
    }
}

#[test]
fn a_network_that_is_the_machines_own_outlives_its_container() {
    let stage = Stage::new(&json!({"vpn": {"container": "tunnel"}, "web": {"container": "box"}}));
    network(&stage, "id-of-tunnel");
    stage.machine().networks.insert("tunnel".to_owned(), "host".to_owned());
    stage.pass();
    start(&stage, "tunnel");
    assert_eq!(stage.pass().acts(), Vec::<&str>::new());
}
