//! A pass that is ended in the middle of a restart: its attempt stands, its restart goes on by itself, and
//! nothing of ours stays.

use crate::common;

use std::process::{Child, Stdio};
use std::time::Duration;

use common::docker::{Container, require_docker};
use common::fixture::Fixture;
use common::inside::{attempts, custom, idle};
use common::until::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// It is under way until `/tmp/go` is there; only then the service is up.
const SLOW: &str = "echo x >> /tmp/restarts; while [ ! -e /tmp/go ]; do sleep 0.1; done; touch /tmp/up";

fn exists(container: &Container, file: &str) -> Option<()> {
    (container.exec(&["test", "-e", file]).code == 0).then_some(())
}

fn start(fixture: &Fixture) -> Child {
    let mut pass = fixture.command(&["run"]);
    pass.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the pass is there");
}

/// Its exit code, or 128 + n.
fn end_of(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let status = until("the end of the pass", SOON, || child.try_wait().expect("it can be waited for"));
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The restart goes on, the next pass looks first, and finds neither a lock nor anything left of the first.
fn goes_on(container: &Container, fixture: &Fixture) {
    assert_eq!(attempts(fixture, "web"), ["unknown"], "{}", fixture.log());
    assert_eq!(container.lines_of("/tmp/restarts"), 1);
    container.sh("touch /tmp/go");
    until("the end of the restart", SOON, || exists(container, "/tmp/up"));
    until("the end of all", SOON, || (container.pid_count() == 1).then_some(()));
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Health check passed for web"), 1, "{}", fixture.log());

    // An unknown attempt counts, and the lock is free.
    container.sh("rm /tmp/up");
    fixture.pass().expect_code(0);
    assert_eq!(attempts(fixture, "web"), ["unknown", "recovered"], "{}", fixture.log());
    assert_eq!(fixture.count("another pass"), 0, "{}", fixture.log());
    assert_eq!(container.lines_of("/tmp/restarts"), 2);
}

fn ended_in_a_restart(image: &str, signal: Signal, code: i32) {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, image);
    let mut fixture = Fixture::new();
    fixture.service("web", custom(&container, "test -e /tmp/up", SLOW));
    let mut pass = start(&fixture);
    until("the restart", SOON, || exists(&container, "/tmp/restarts"));
    send(&pass, signal);
    assert_eq!(end_of(&mut pass), code);
    goes_on(&container, &fixture);
}

#[test]
fn a_pass_that_is_killed_in_a_restart_has_used_up_its_attempt() {
    ended_in_a_restart("busybox", Signal::KILL, 137);
}

#[test]
fn a_pass_that_is_asked_to_end_in_a_restart_leaves_it_to_itself() {
    ended_in_a_restart("debian", Signal::TERM, 143);
}

fn ended_in_a_look(image: &str, signal: Signal, code: i32) {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, image);
    let mut fixture = Fixture::new();
    let check = "trap '' TERM; touch /tmp/begun; setsid sleep 4321 & sleep 4322";
    let mut service = custom(&container, check, "echo x >> /tmp/restarts");
    service["health_check"]["timeout_seconds"] = json!(300);
    fixture.service("web", service);
    let mut pass = start(&fixture);
    until("the look", SOON, || exists(&container, "/tmp/begun"));
    send(&pass, signal);
    assert_eq!(end_of(&mut pass), code);
    until("the end of all", SOON, || (container.pid_count() == 1).then_some(()));
    assert_eq!(container.lines_of("/tmp/restarts"), 0);
    assert_eq!(attempts(&fixture, "web"), Vec::<String>::new());
}

#[test]
fn a_pass_that_is_killed_in_a_look_leaves_no_process() {
    ended_in_a_look("debian", Signal::KILL, 137);
    ended_in_a_look("busybox", Signal::KILL, 137);
}

#[test]
fn a_pass_that_is_interrupted_in_a_look_ends_its_checks() {
    ended_in_a_look("dash", Signal::INT, 130);
}
