//! A port that the engine publishes is accepted by the engine's own proxy, whoever listens behind it.

use crate::common;

use common::docker::{Container, Docker, docker_ok, require_docker};
use common::fixture::Fixture;
use serde_json::{Value, json};

/// A container with port 8080 published on the loopback, and that port of the machine.
fn published(docker: Docker, command: &str) -> (Container, u16) {
    let options = ["--network=bridge", "--publish", "127.0.0.1::8080"];
    let container = Container::start(docker, "busybox", &options, &["sh", "-c", command]);
    let port = docker_ok(&["port", &container.id, "8080/tcp"]);
    let port = port.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    (container, port)
}

fn pass(container: &Container, check: &Value) -> (i32, String) {
    let mut fixture = Fixture::new();
    fixture.service(
        "web",
        json!({
            "container": container.name, "health_check": check, "restart": "none", "start_period_seconds": 0
        }),
    );
    let code = fixture.pass().code;
    (code, fixture.log())
}

fn tcp(port: u16) -> Value {
    json!({"type": "tcp", "from": "machine", "host": "127.0.0.1", "port": port})
}

#[test]
fn accepted_by_the_engine_is_not_alive() {
    let Some(docker) = require_docker() else { return };
    let (nobody, port) = published(docker, "sleep 1000");
    let (code, log) = pass(&nobody, &tcp(port));
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("accepted and closed at once"), "{log}");
    // It is told of HTTP, too: nothing answers.
    let http = json!({"type": "http", "from": "machine", "endpoint": format!("http://127.0.0.1:{port}/")});
    let (code, log) = pass(&nobody, &http);
    assert_eq!(code, 1, "{log}");
    // Where it is said that this is how the service greets, it is healthy.
    let mut greets = tcp(port);
    greets["closed_at_once"] = json!("healthy");
    assert_eq!(pass(&nobody, &greets).0, 0);
    // Another one's container on the same port is none of this service's.
    let other = Container::start(docker, "busybox", &[], &[]);
    assert_eq!(pass(&other, &tcp(port)).0, 0);
}

#[test]
fn who_listens_behind_a_published_port_is_alive() {
    let Some(docker) = require_docker() else { return };
    let serving = |command: &str| {
        let (container, port) = published(docker, command);
        common::until::until("it listens", std::time::Duration::from_secs(30), || {
            (!container.sh("netstat -ltn | grep 8080 || true").is_empty()).then_some(())
        });
        let (code, log) = pass(&container, &tcp(port));
        assert_eq!(code, 0, "{command}: {log}");
    };
    // It waits for the other side to speak.
    serving("httpd -f -p 8080 -h /tmp");
    // It speaks first, and ends.
    serving("while :; do nc -l -p 8080 -e echo '220 hello'; done");
    // It waits in silence.
    serving("while :; do nc -l -p 8080 -e sleep 1000; done");
}
