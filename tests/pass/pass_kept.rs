//! Whole passes with doubles: a container that an orchestrator keeps is looked at and told of, and never started or
//! restarted, whatever way leads there.

use crate::world;

use recovery::decide::{Decision, NoWay};
use recovery::engine::{ContainerEnd, Keeper};
use recovery::pass::Outcome;
use serde_json::{Value, json};
use world::{Stage, died, down};

fn swarm() -> Keeper {
    Keeper { who: "Docker Swarm", helps: "docker service update --force shop_web".into(), replaces: true }
}

/// `web` in a container of Swarm's, and more services.
fn kept(services: &Value) -> Stage {
    let stage = Stage::new(services);
    stage.machine().keepers.insert("box".into(), swarm());
    stage
}

fn is_kept(outcome: &Outcome) -> bool {
    *outcome == Outcome::Left(Decision::NoWay(NoWay::Kept(swarm())))
}

#[test]
fn what_fails_in_a_kept_container_is_told_with_what_helps() {
    let stage = kept(&json!({"web": {"container": "box", "restart": "container"}}));
    stage.machine().kill("web");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts().len()), (1, 0));
    assert!(is_kept(done.outcome("web")), "{:?}", done.outcome("web"));
    assert_eq!(done.told(), ["web Down → A"]);
    let alert = format!("{:?}", done.alerts);
    assert!(alert.contains("its container is kept by Docker Swarm, which replaces it itself"), "{alert}");
    assert!(alert.contains("docker service update --force shop_web"), "{alert}");
    assert!(stage.state("web").attempts.is_empty());
}

#[test]
fn a_kept_container_that_does_not_run_is_not_started_however_it_ended() {
    for start in ["on-failure", "always"] {
        for restart in ["container", "command"] {
            for (end, code) in [
                (ContainerEnd::Died, 137),
                (ContainerEnd::Finished, 0),
                (ContainerEnd::StoppedBySomeone, 143),
            ] {
                let stage = kept(&json!({
                    "web": {"container": "box", "restart": restart, "container_start": start}
                }));
                stage.machine().containers.insert("box".into(), died(end, code));
                let done = stage.pass();
                assert_eq!((done.exit, done.acts().len()), (1, 0), "{start} {restart} {end:?}");
                assert!(is_kept(done.outcome("web")), "{start} {restart} {end:?}: {:?}", done.outcome("web"));
            }
        }
    }
}

#[test]
fn commands_run_in_a_kept_container_as_ever() {
    let stage = kept(&json!({"web": {"container": "box"}}));
    stage.machine().kill("web");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (0, vec!["run web"]));

    // A chain that names the container too ends with the command.
    let strategies = json!({"recoverable": ["restart", "restart-container"]});
    let stage = kept(&json!({"web": {"container": "box", "strategies": strategies}}));
    stage.machine().ruin("web");
    let done = stage.pass();
    assert_eq!((done.exit, done.acts()), (1, vec!["run web"]));
}

#[test]
fn a_kept_container_follows_no_dependency() {
    let after = json!([{"service": "db", "restart": true}]);
    let stage = kept(&json!({
        "db": {},
        "web": {"container": "box", "restart": "container", "dependencies": after}
    }));
    stage.pass();
    stage.machine().kill("db");
    let done = stage.pass_after(300);
    assert_eq!((done.exit, done.acts()), (0, vec!["run db"]), "web is well, and stays as it is");

    // Nor its network.
    let stage = kept(&json!({
        "vpn": {"container": "tunnel", "restart": "container"},
        "web": {"container": "box", "restart": "container"}
    }));
    stage.machine().networks.insert("box".into(), "id-of-tunnel".into());
    stage.pass();
    stage.machine().kill("vpn");
    stage.machine().service("web").health = down();
    let done = stage.pass_after(300);
    assert_eq!(done.acts(), ["restart tunnel"]);
}
