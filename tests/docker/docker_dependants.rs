//! Services that are restarted after a dependency, in real containers: a parent that is restarted by the pass or by
//! a person, and a child that lives on the parent's network.

use crate::common;

use common::docker::{Container, Docker, docker_ok, require_docker};
use common::fixture::Fixture;
use common::inside::{attempts, custom};
use serde_json::{Value, json};

/// What sleeps as a first process is not asked for long to end.
const QUICK: &str = "--stop-timeout=0";

fn quick(docker: Docker) -> Container {
    Container::start(docker, "busybox", &[QUICK], &[])
}

/// A child on the network of `parent`.
fn child(parent: &Container) -> Option<Container> {
    let network = format!("--network=container:{}", parent.name);
    Some(Container::start(require_docker()?, "busybox", &[&network, QUICK], &[]))
}

/// A service that is up whatever happens, and whose restarts can be counted.
fn well(container: &Container) -> Value {
    custom(container, "true", "echo x >> /tmp/restarts")
}

fn network(container: &Container) -> String {
    container.sh("readlink /proc/self/ns/net")
}

fn restart(container: &Container) {
    docker_ok(&["restart", "--time", "0", &container.id]);
}

#[test]
fn a_service_follows_the_command_of_what_it_depends_on_and_the_start_of_its_container() {
    let Some(docker) = require_docker() else { return };
    let (parent, other) = (quick(docker), quick(docker));
    let mut fixture = Fixture::new();
    fixture.service("vpn", custom(&parent, "test -e /tmp/up", "touch /tmp/up"));
    let mut web = well(&other);
    web["dependencies"] = json!([{"service": "vpn", "restart": true}]);
    fixture.service("web", web);

    fixture.pass().expect_code(0);
    assert_eq!(other.lines_of("/tmp/restarts"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("web is restarted after vpn, on which it depends"), 1, "{}", fixture.log());
    assert_eq!((fixture.count("Health check failed for web"), attempts(&fixture, "web").len()), (0, 0));
    fixture.pass().expect_code(0);
    assert_eq!(other.lines_of("/tmp/restarts"), 1, "{}", fixture.log());

    // By hand. What the restart took with it stays, since the file does.
    restart(&parent);
    for _ in 0..2 {
        fixture.pass().expect_code(0);
        assert_eq!(other.lines_of("/tmp/restarts"), 2, "{}", fixture.log());
    }
    restart(&parent);
    restart(&other);
    fixture.pass().expect_code(0);
    assert_eq!(other.lines_of("/tmp/restarts"), 2, "{}", fixture.log());
}

#[test]
fn a_child_gets_back_the_network_that_a_restart_of_its_parent_took() {
    let Some(docker) = require_docker() else { return };
    let parent = quick(docker);
    let Some(child) = child(&parent) else { return };
    let mut fixture = Fixture::new();
    // The child stands first, and does not say that it depends on anything.
    fixture.service("app", well(&child));
    fixture.service("vpn", well(&parent));
    fixture.pass().expect_code(0);
    assert_eq!(network(&child), network(&parent));

    restart(&parent);
    assert_ne!(network(&child), network(&parent));
    fixture.pass().expect_code(0);
    assert_eq!(network(&child), network(&parent), "{}", fixture.log());
    assert_eq!(fixture.count("Executing restart command for app"), 1, "{}", fixture.log());
    let started = child.state().started_at;
    fixture.pass().expect_code(0);
    assert_eq!(child.state().started_at, started, "{}", fixture.log());
}

#[test]
fn a_child_follows_a_parent_that_the_pass_restarts_or_starts() {
    let Some(docker) = require_docker() else { return };
    // It can be killed from inside. What lies in its shared memory is gone after a restart.
    let loops = "trap 'exit 3' USR1; while :; do sleep 0.05; done";
    let parent = Container::start(docker, "debian", &[QUICK], &["sh", "-c", loops]);
    let Some(child) = child(&parent) else { return };
    let mut fixture = Fixture::new();
    fixture.service("app", well(&child));
    let mut vpn = custom(&parent, "test ! -e /dev/shm/down", "");
    vpn["restart_cmd"] = Value::Null;
    fixture.service("vpn", vpn);
    fixture.pass().expect_code(0);
    let troubles: [fn(&Container); 2] = [
        |parent| drop(parent.sh("touch /dev/shm/down")),
        |parent| {
            parent.sh("kill -USR1 1");
            parent.wait_for("exited");
        },
    ];
    for (number, trouble) in troubles.iter().enumerate() {
        trouble(&parent);
        fixture.pass().expect_code(0);
        assert_eq!(network(&child), network(&parent), "{}", fixture.log());
        assert_eq!(fixture.count("Successfully recovered vpn"), number + 1, "{}", fixture.log());
        assert_eq!(fixture.count("Executing restart command for app"), number + 1, "{}", fixture.log());
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Executing restart command"), 2 * (number + 1), "{}", fixture.log());
    }
}

#[test]
fn a_child_of_a_parent_that_was_replaced_is_unknown_and_says_what_helps() {
    let Some(docker) = require_docker() else { return };
    let parent = quick(docker);
    let Some(child) = child(&parent) else { return };
    let mut fixture = Fixture::new();
    fixture.service("app", well(&child));
    fixture.service("vpn", well(&parent));
    fixture.pass().expect_code(0);
    docker_ok(&["rm", "--force", &parent.id]);
    docker_ok(&["run", "--detach", "--name", &parent.name, "--network=none", "recovery-test/busybox"]);
    let started = child.state().started_at;
    fixture.pass().expect_code(69);
    let says = format!("docker compose up -d --force-recreate {}", child.name);
    assert_eq!(fixture.count(&says), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    assert_eq!(child.state().started_at, started);
    // Dead it cannot be started either: that is not tried.
    docker_ok(&["kill", "--signal", "KILL", &child.id]);
    let mut app = well(&child);
    app["container_start"] = json!("always");
    fixture.service("app", app);
    fixture.pass().expect_code(69);
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    docker_ok(&["rm", "--force", &parent.name]);
}
