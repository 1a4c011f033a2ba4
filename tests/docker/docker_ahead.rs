//! The exec that is begun while the containers are still being listed: it saves time, and can do nothing else.

use crate::common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::docker::{Container, docker_ok, require_docker};
use common::fake_docker::{Answer, FakeDocker, id_of};
use common::fixture::Fixture;
use common::inside::{custom, idle};
use common::until::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// An engine's command through which `ps` waits for the file `go`. Before it says that it waits it gives those begun
/// with it time to be noted: more would be noticed then.
fn gated(fixture: &mut Fixture, docker: &str) {
    let here = fixture.path("");
    let here = here.display();
    let script = format!(
        "#!/bin/sh\ncd {here}\ncase $1 in\n\
         exec) echo \"$*\" >> begun ;;\n\
         ps) sleep 0.5; touch listing; until [ -e go ] || [ ! -e engine ]; do sleep 0.05; done ;;\nesac\nexec {docker} \"$@\"\n"
    );
    let program = fixture.path("engine");
    fs::write(&program, script).expect("the script is written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is made executable");
    fixture.setting("engine", json!(program));
}

fn go(fixture: &Fixture) {
    fs::write(fixture.path("go"), "").expect("the file is written");
}

fn begin(fixture: &Fixture) -> Child {
    for file in ["go", "begun", "listing"] {
        let _ = fs::remove_file(fixture.path(file));
    }
    let mut pass = fixture.command(&["run"]);
    pass.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn begun(fixture: &Fixture) -> Vec<String> {
    let text = fs::read_to_string(fixture.path("begun")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn end_of(pass: &mut Child) -> Option<i32> {
    until("the end of the pass", SOON, || pass.try_wait().expect("it can be waited for")).code()
}

/// A fake engine with running containers, whose execs run here, and a first pass that remembers them.
fn remembered(names: &[&str], service: impl Fn(&str) -> Value) -> (FakeDocker, Fixture) {
    let mut fake = FakeDocker::new();
    let list: Vec<_> = names.iter().map(|name| (*name, "running")).collect();
    fake.containers(&list).when("exec", Answer::RunsHere);
    let mut fixture = Fixture::new();
    fixture.fake_docker(&fake);
    for name in names {
        fixture.service(&format!("in-{name}"), service(name));
    }
    fixture.pass().expect_code(0);
    (fake, fixture)
}

fn well(container: &str) -> Value {
    json!({"container": container, "health_check": {"type": "custom", "command": "true"}, "restart": "none"})
}

/// The execs since that many: the ids into which they went, with what was sent there.
fn execs(fake: &FakeDocker, before: usize) -> Vec<(String, String)> {
    let calls = fake.calls_of("exec").into_iter().skip(before);
    calls.map(|call| (call.argv[2].clone(), call.stdin)).collect()
}

/// Another container under the same name, as after `docker compose up`.
fn replaced(fake: &mut FakeDocker, name: &str) -> String {
    let id = id_of("other");
    let row = json!({"ID": id, "Names": name, "State": "running", "Status": "Up 1 second"});
    fake.when("ps", Answer::ok(&format!("{row}\n")));
    id
}

#[test]
fn the_exec_is_there_before_the_listing_and_waits_for_it() {
    let (fake, mut fixture) = remembered(&["box"], well);
    gated(&mut fixture, &fake.program().to_string_lossy());
    let mut pass = begin(&fixture);
    until("the exec", SOON, || execs(&fake, 1).pop());
    until("the listing", SOON, || fixture.path("listing").exists().then_some(()));
    assert_eq!(execs(&fake, 1), [(id_of("box"), String::new())], "no word before the listing is there");
    go(&fixture);
    assert_eq!(end_of(&mut pass), Some(0), "{}", fixture.log());
    let execs = execs(&fake, 1);
    assert_eq!(execs.len(), 1, "it is the one exec of the pass: {execs:?}");
    assert!(execs[0].1.contains("recovery_agent"), "{execs:?}");
}

#[test]
fn no_more_are_begun_than_may_run_at_once() {
    let (fake, mut fixture) = remembered(&["a", "b", "c"], well);
    fixture.setting("max_parallel", json!(2));
    gated(&mut fixture, &fake.program().to_string_lossy());
    let mut pass = begin(&fixture);
    until("both execs", SOON, || (begun(&fixture).len() >= 2).then_some(()));
    until("the listing", SOON, || fixture.path("listing").exists().then_some(()));
    assert_eq!(begun(&fixture).len(), 2);
    go(&fixture);
    assert_eq!(end_of(&mut pass), Some(0), "{}", fixture.log());
    assert_eq!(begun(&fixture).len(), 3);
}

#[test]
fn where_one_thing_is_done_after_the_other_the_listing_comes_first() {
    let (fake, mut fixture) = remembered(&["a", "b"], well);
    fixture.setting("max_parallel", json!(1));
    let before = fake.calls().len();
    fixture.pass().expect_code(0);
    let calls: Vec<String> = fake.calls().into_iter().skip(before).map(|call| call.argv[0].clone()).collect();
    assert_eq!(calls, ["ps", "exec", "exec"]);
}

#[test]
fn a_container_that_was_replaced_is_looked_into_and_not_the_old_one() {
    for old in [Answer::RunsHere, Answer::fails("Error response from daemon: No such container: x\n", 1)] {
        let (mut fake, fixture) = remembered(&["box"], well);
        let new = replaced(&mut fake, "box");
        fake.when(&format!("exec -i {}", id_of("box")), old);
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Health check passed for in-box"), 2, "{}", fixture.log());
        let seen = execs(&fake, 1);
        for (id, script) in &seen {
            assert_eq!(script.is_empty(), *id != new, "{seen:?}");
        }
        let before = fake.calls_of("exec").len();
        fixture.pass().expect_code(0);
        assert_eq!(execs(&fake, before).len(), 1, "only the new one is remembered");
    }
}

#[test]
fn an_exec_that_came_too_early_says_nothing_of_the_container() {
    let (mut fake, fixture) = remembered(&["box"], well);
    fake.when_once("exec", Answer::fails("Error response from daemon: Container x is not running\n", 1));
    fixture.pass().expect_code(0);
    assert_eq!(fake.calls_of("exec").len(), 3, "the first pass's, the early one, and one afresh");
    assert_eq!(fixture.count("Health check passed for in-box"), 2, "{}", fixture.log());
}

#[test]
fn a_container_that_is_gone_is_forgotten() {
    let (mut fake, fixture) = remembered(&["box"], well);
    fake.when("ps", Answer::ok(""));
    fixture.pass().expect_code(69);
    let before = fake.calls_of("exec").len();
    fixture.pass().expect_code(69);
    assert_eq!(execs(&fake, before), []);
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
}

#[test]
fn an_engine_that_is_gone_leaves_no_client_behind() {
    let (mut fake, fixture) = remembered(&["box"], well);
    fake.when("exec", Answer::Hangs).when("ps", Answer::no_engine());
    fixture.pass().expect_code(69);
    let program = fake.program();
    let is_left = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*program.to_string_lossy())
    };
    let left = fs::read_dir("/proc").expect("/proc is there").flatten().any(is_left);
    assert!(!left, "a client of the pass is still there");
    assert_eq!(fixture.count("Cannot check in-box"), 1, "{}", fixture.log());
}

#[test]
fn where_nothing_can_be_seen_nothing_is_begun_early() {
    let (mut fake, fixture) = remembered(&["box"], well);
    fake.when(
        "exec",
        Answer::Says(
            "OCI runtime exec failed: exec: \"sh\": executable file not found\n".into(),
            String::new(),
            126,
        ),
    );
    fixture.pass().expect_code(69);
    let before = fake.calls_of("exec").len();
    fixture.pass().expect_code(69);
    assert_eq!(execs(&fake, before).len(), 1, "one failing exec a pass, as before");
}

#[test]
fn what_is_stopped_or_not_due_gets_no_exec() {
    let rarely = |name: &str| {
        let mut service = well(name);
        service["health_check"]["interval_seconds"] = json!(3600);
        service
    };
    let (fake, fixture) = remembered(&["box"], rarely);
    fixture.pass().expect_code(0);
    assert_eq!(fake.calls_of("exec").len(), 1);

    let (fake, fixture) = remembered(&["box"], well);
    fixture.touch_marker("in-box");
    fixture.pass().expect_code(0);
    assert_eq!(fake.calls_of("exec").len(), 1);
}

#[test]
fn what_was_written_by_hand_is_no_container() {
    let (fake, fixture) = remembered(&["box"], well);
    let file = fixture.path("state/last-pass.json");
    let whole = fs::read_to_string(&file).expect("it was written");
    for wrong in ["--privileged", "be34", ""] {
        fs::write(&file, whole.replace(&id_of("box"), wrong)).expect("it is written");
        let before = fake.calls_of("exec").len();
        fixture.pass().expect_code(0);
        let seen = execs(&fake, before);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].0, id_of("box"));
    }
}

/// A pass over a real container that waits for the listing, its agent being there already.
fn waits_inside(fixture: &mut Fixture, container: &Container) -> Child {
    fixture.service("web", custom(container, "test ! -e /tmp/down", "echo x >> /tmp/restarts"));
    fixture.pass().expect_code(0);
    gated(fixture, "docker");
    let pass = begin(fixture);
    until("the agent", SOON, || (container.count("sh -s :rcvy:") == 1).then_some(()));
    pass
}

fn nothing_is_left(container: &Container) {
    until("the end of the agent", SOON, || (container.pid_count() == 1).then_some(()));
    assert_eq!(container.lines_of("/tmp/restarts"), 0);
}

#[test]
fn a_real_agent_waits_for_the_listing_and_then_looks() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "busybox"] {
        let container = idle(docker, image);
        let mut fixture = Fixture::new();
        let mut pass = waits_inside(&mut fixture, &container);
        go(&fixture);
        assert_eq!(end_of(&mut pass), Some(0), "{}", fixture.log());
        assert_eq!(begun(&fixture).len(), 1, "{:?}", begun(&fixture));
        assert_eq!(fixture.count("Health check passed for web"), 2, "{}", fixture.log());
        nothing_is_left(&container);
    }
}

#[test]
fn a_pass_that_ends_while_the_agent_waits_takes_it_along() {
    let Some(docker) = require_docker() else { return };
    for (image, signal, code) in [("debian", Signal::KILL, None), ("dash", Signal::TERM, Some(143))] {
        let container = idle(docker, image);
        let mut fixture = Fixture::new();
        let mut pass = waits_inside(&mut fixture, &container);
        kill_process(Pid::from_child(&pass), signal).expect("the pass is there");
        assert_eq!(end_of(&mut pass), code);
        nothing_is_left(&container);
        go(&fixture);
    }
}

#[test]
fn a_container_that_stops_while_the_agent_waits_is_not_read_from_it() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let mut pass = waits_inside(&mut fixture, &container);
    container.act("pause");
    go(&fixture);
    assert_eq!(end_of(&mut pass), Some(69), "{}", fixture.log());
    assert!(fixture.log().contains("paused"), "{}", fixture.log());
    container.act("unpause");
    nothing_is_left(&container);
}

#[test]
fn a_restart_goes_to_the_container_that_bears_the_name_now() {
    let Some(docker) = require_docker() else { return };
    let (old, mut new) = (idle(docker, "debian"), idle(docker, "debian"));
    let mut fixture = Fixture::new();
    let restart = "echo x >> /tmp/restarts; until [ -e /tmp/go ]; do sleep 0.1; done; touch /tmp/up";
    fixture.service("web", custom(&old, "test -e /tmp/up", restart));
    old.sh("touch /tmp/up");
    fixture.pass().expect_code(0);
    let other = format!("{}-old", old.name);
    docker_ok(&["rename", &old.id, &other]);
    docker_ok(&["rename", &new.id, &old.name]);
    new.name.clone_from(&old.name);
    let mut pass = begin(&fixture);
    until("the restart", SOON, || (new.lines_of("/tmp/restarts") == 1).then_some(()));
    until("the end of the early agent", SOON, || (old.pid_count() == 1).then_some(()));
    new.sh("touch /tmp/go");
    assert_eq!(end_of(&mut pass), Some(0), "{}", fixture.log());
    assert_eq!((old.lines_of("/tmp/restarts"), new.lines_of("/tmp/restarts")), (0, 1), "{}", fixture.log());
    for container in [&old, &new] {
        until("the end of all", SOON, || (container.pid_count() == 1).then_some(()));
    }
}
