//! A real Swarm of one node on an engine of its own: its tasks are looked at and told of, and never started or
//! restarted, since it would run a replacement beside them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common;

use common::docker::require_docker;
use common::fixture::Fixture;
use common::ntfy::Ntfy;
use common::second_engine::SecondEngine;
use common::until::until;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// Alive while its file is there.
const TASK: &str = "touch /tmp/alive; exec sleep 86400";

/// The service `shop` of two replicas; `None` where there is no second engine.
fn swarm() -> Option<SecondEngine> {
    let engine = SecondEngine::start(require_docker()?)?;
    engine.copy_image("busybox");
    engine.docker_ok(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
    let mut create =
        vec!["service", "create", "--detach", "--no-resolve-image", "--name", "shop", "--replicas", "2"];
    create.extend(["--restart-delay", "500ms", "recovery-test/busybox", "sh", "-c", TASK]);
    engine.docker_ok(&create);
    settled(&engine);
    Some(engine)
}

/// The running tasks, name and since when, once there are two and their program is up.
fn settled(engine: &SecondEngine) -> BTreeMap<String, String> {
    until("two tasks", LIMIT, || {
        let ids = engine.docker_ok(&["ps", "--quiet", "--no-trunc"]);
        let ids: Vec<&str> = ids.lines().collect();
        if ids.len() != 2
            || ids.iter().any(|id| engine.docker(&["exec", id, "test", "-e", "/tmp/alive"]).code != 0)
        {
            return None;
        }
        let mut call = vec!["inspect", "--format", "{{.Name}} {{.State.StartedAt}}"];
        call.extend(ids);
        let told = engine.docker_ok(&call);
        let pairs = told.lines().filter_map(|line| line.trim_start_matches('/').split_once(' '));
        Some(pairs.map(|(name, since)| (name.to_owned(), since.to_owned())).collect())
    })
}

fn service(container: &str) -> Value {
    json!({
        "container": container,
        "health_check": {"type": "custom", "command": "test -e /tmp/alive"},
        "restart": "container",
        "container_start": "always",
        "startup_delay_seconds": 0,
        "start_period_seconds": 0
    })
}

fn watched(engine: &SecondEngine, service: Value, ntfy: &Ntfy) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.setting("engine", json!(engine.program())).service("web", service).ntfy(ntfy);
    fixture
}

#[test]
fn a_failing_task_of_swarm_is_told_of_and_not_restarted() {
    let Some(engine) = swarm() else { return };
    let before = settled(&engine);
    let task = before.keys().next().expect("a task").clone();
    engine.docker_ok(&["exec", &task, "rm", "/tmp/alive"]);
    let ntfy = Ntfy::start();
    let fixture = watched(&engine, service(&task), &ntfy);
    let explained = fixture.run(&["explain", "web"]).expect_code(1).stdout;
    let helps = "docker service update --force shop";
    assert!(explained.contains("kept by Docker Swarm") && explained.contains(helps), "{explained}");
    fixture.pass().expect_code(1);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    let messages = ntfy.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0]["message"].as_str().is_some_and(|text| text.contains(helps)), "{messages:?}");

    // What an operator runs in it is none of Swarm's business.
    let mut own = service(&task);
    own["restart_cmd"] = json!("touch /tmp/alive");
    own["restart"] = json!("command");
    let mut fixture = fixture;
    fixture.service("web", own);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    assert_eq!(settled(&engine), before, "nothing was started beside them");
}

#[test]
fn a_dead_task_of_swarm_is_not_started_beside_its_replacement() {
    let Some(engine) = swarm() else { return };
    let before = settled(&engine);
    let task = before.keys().next().expect("a task").clone();
    engine.docker_ok(&["kill", &task]);
    let ntfy = Ntfy::start();
    let fixture = watched(&engine, service(&task), &ntfy);
    fixture.pass().expect_code(1);
    let now = until("a replacement", LIMIT, || {
        let now = settled(&engine);
        (!now.contains_key(&task)).then_some(now)
    });
    fixture.pass().expect_code(1);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    assert_eq!(settled(&engine), now, "still two, and none of them anew");
    assert_eq!(ntfy.titles().len(), 1, "{:?}", ntfy.titles());
}
