//! Services inside real containers, as most tests configure them, and what must hold of them afterwards.

use serde_json::{Value, json};

use super::docker::{Container, Docker};
use super::fixture::Fixture;

/// A container that does nothing but sleep.
#[track_caller]
pub fn idle(docker: Docker, image: &str) -> Container {
    Container::start(docker, image, &[], &[])
}

/// A service that is up while the shell text `check` succeeds in the container, which is old enough to be
/// restarted at once.
pub fn custom(container: &Container, check: &str, restart_cmd: &str) -> Value {
    json!({
        "container": container.name,
        "health_check": {"type": "custom", "command": check, "timeout_seconds": 3},
        "restart_cmd": restart_cmd,
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 10,
        "start_period_seconds": 0
    })
}

/// The same without a way to restart it.
pub fn observed(container: &Container, check: Value) -> Value {
    let mut service = custom(container, "", "");
    service["health_check"] = check;
    service["restart_cmd"] = Value::Null;
    service["restart"] = json!("none");
    service
}

/// The restart attempts in a service's state, by their results.
pub fn attempts(fixture: &Fixture, service: &str) -> Vec<String> {
    let state = fixture.state(service).unwrap_or_default();
    let attempts = state["attempts"].as_array().cloned().unwrap_or_default();
    attempts.iter().map(|attempt| attempt["result"].as_str().expect("a result").to_owned()).collect()
}

/// Makes `passes` passes that cannot look at the only service, `web`: each says so and ends with 69, nothing is
/// restarted and nothing counted.
#[track_caller]
pub fn cannot_look(fixture: &Fixture, passes: usize) {
    let before = fixture.count("Cannot check web");
    for _ in 0..passes {
        fixture.pass().expect_code(69);
    }
    assert_eq!(fixture.count("Cannot check web"), before + passes, "{}", fixture.log());
    uncounted(fixture);
}

/// No restart was begun, and no failure of `web` was counted.
#[track_caller]
pub fn uncounted(fixture: &Fixture) {
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    assert_eq!(fixture.count("Health check failed"), 0, "{}", fixture.log());
    assert_eq!(attempts(fixture, "web"), Vec::<String>::new());
    let failures = fixture.state("web").map_or(json!(0), |state| state["consecutive_failures"].clone());
    assert_eq!(failures, 0);
}
