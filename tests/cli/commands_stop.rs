//! `stop`, `resume` and `reset` as a person meets them: what they print, what they write, how they end.

use crate::common;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::docker::{Container, require_docker};
use common::fake_docker::{Answer, FakeDocker};
use common::fixture::Fixture;
use common::until::until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// A service on the machine that is up where the file `up` is there.
fn by_file(fixture: &Fixture, up: &str, restart_cmd: &str) -> Value {
    json!({
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path(up).display())},
        "restart_cmd": restart_cmd,
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

/// `db` that cannot be brought up, `web` that needs it, and `alone`.
fn three() -> Fixture {
    let mut fixture = Fixture::new();
    let (mut web, db, alone) = (
        by_file(&fixture, "web", "exit 0"),
        by_file(&fixture, "db", "exit 3"),
        by_file(&fixture, "alone", "exit 0"),
    );
    web["dependencies"] = json!(["db"]);
    fixture.service("db", db).service("web", web).service("alone", alone);
    fixture
}

fn marker(fixture: &Fixture, service: &str) -> Option<Value> {
    let text = fs::read_to_string(fixture.path(&format!("state/manual-stop/{service}.stopped"))).ok()?;
    Some(serde_json::from_str(&text).expect("a marker of ours is JSON"))
}

#[test]
fn a_stop_says_what_it_means_and_who_is_held_by_it() {
    let mut fixture = three();
    fixture.env("SUDO_USER", "anna");
    let done = fixture.run(&["stop", "db", "--reason", "moving the disks"]).expect_code(0);
    assert_eq!(
        done.stdout,
        "db: will not be restarted until `recovery resume db`; it was not stopped\n\
         db: not restarted meanwhile either, because they depend on it: web\n"
    );
    assert_eq!(done.stderr, "");
    let marker = marker(&fixture, "db").expect("the marker is there");
    assert_eq!((marker["schema"].as_u64(), marker["by"].as_str()), (Some(1), Some("anna")));
    assert_eq!((marker["reason"].as_str(), &marker["until"]), (Some("moving the disks"), &Value::Null));

    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("db manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("held, db is manually stopped"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Executing restart command for alone"), 1, "the rest goes on");
    assert_eq!(fixture.count("Executing restart command"), 1, "{}", fixture.log());
}

#[test]
fn a_stop_for_a_while_says_until_when() {
    let fixture = three();
    let done = fixture.run(&["stop", "web", "--for", "2h"]).expect_code(0);
    let marker = marker(&fixture, "web").expect("the marker is there");
    let time = |key: &str| {
        let text = marker[key].as_str().expect("a time");
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).expect("RFC 3339")
    };
    assert_eq!(time("until") - time("at"), time::Duration::hours(2));
    let until = &marker["until"].as_str().expect("a time")[..19];
    assert_eq!(done.stdout, format!("web: will not be restarted until {until}Z; it was not stopped\n"));
}

#[test]
fn all_means_all() {
    let fixture = three();
    fixture.run(&["stop", "--all"]).expect_code(0);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("manually stopped, skipping auto-recovery"), 3, "{}", fixture.log());
    let resumed = fixture.run(&["resume", "--all"]).expect_code(0);
    let folder = fixture.path("state/manual-stop");
    let line = |name: &str| {
        format!(
            "{name}: will be restarted again when it is down (removed {}/{name}.stopped)\n",
            folder.display()
        )
    };
    assert_eq!(resumed.stdout, [line("alone"), line("db"), line("web")].concat());
    assert_eq!(fs::read_dir(&folder).expect("the folder stays").count(), 0);
}

#[test]
fn an_unknown_name_among_known_ones_writes_nothing() {
    let fixture = three();
    for command in ["stop", "resume", "reset"] {
        let done = fixture.run(&[command, "web", "alonr"]).expect_code(2);
        assert_eq!(done.stderr, "error: unknown service \"alonr\"; did you mean \"alone\"?\n", "{command}");
        assert_eq!(done.stdout, "");
    }
    let done = fixture.run(&["run", "-s", "alonr"]).expect_code(2);
    assert_eq!(done.stderr, "error: unknown service \"alonr\"; did you mean \"alone\"?\n");
    assert_eq!(fixture.state_files(), []);
}

#[test]
fn wrong_usage_exits_2_and_writes_nothing() {
    let fixture = three();
    for args in [
        &["stop"][..],
        &["resume"],
        &["reset"],
        &["stop", "--all", "web"],
        &["stop", "web", "--for", "soon"],
        &["--no-deps"],
        &["--dry-run", "stop", "web"],
        &["run", "-v", "-q"],
        &["run", "--log-format", "xml"],
        &["frobnicate"],
        &["stats", "--since", "yesterday"],
        &["stats", "--since", "1h", "--until", "2h"],
        &["demo-service"],
    ] {
        let done = fixture.run(args).expect_code(2);
        assert!(done.stderr.starts_with("error: "), "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{args:?}");
    }
    assert_eq!((fixture.state_files(), fixture.log()), (vec![], String::new()));
}

#[test]
fn a_reset_lets_a_given_up_service_be_tried_again() {
    let mut fixture = three();
    let mut db = by_file(&fixture, "db", "exit 3");
    db["max_failures"] = json!(1);
    fixture.service("db", db);
    fixture.run(&["run", "-s", "db"]).expect_code(1);
    fixture.run(&["run", "-s", "db"]).expect_code(1);
    assert_eq!(fixture.count("Executing restart command for db"), 1);
    assert_eq!(fixture.count("db exceeded max failures (1 in 1200s), giving up"), 1, "{}", fixture.log());

    let reset = fixture.run(&["reset", "db", "web"]).expect_code(0);
    assert_eq!(
        reset.stdout,
        "db: 1 restart attempt forgotten, it will be tried again\nweb: no restart attempts were remembered\n"
    );
    fixture.run(&["run", "-s", "db"]).expect_code(1);
    assert_eq!(fixture.count("Executing restart command for db"), 2, "{}", fixture.log());
    let resumed = fixture.run(&["resume", "db"]).expect_code(0);
    assert_eq!(resumed.stdout, "db: will be restarted again when it is down (there was no marker)\n");
    assert_eq!(fixture.state("db").expect("a state")["attempts"], json!([]), "resume forgets them, too");
}

#[test]
fn a_reset_lets_a_degraded_service_begin_its_strategies_anew() {
    let mut fixture = three();
    let mut db = by_file(&fixture, "db", "exit 3");
    db["fallback_cmd"] = json!("true");
    db["strategies"] = json!({"recoverable": ["fallback"]});
    fixture.service("db", db);
    fixture.run(&["run", "-s", "db"]).expect_code(1);
    fixture.run(&["run", "-s", "db"]).expect_code(1);
    assert_eq!(fixture.count("Executing fallback command for db"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("db is degraded"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("left_because: degraded since "), 1, "{}", fixture.log());
    let reset = fixture.run(&["reset", "db"]).expect_code(0);
    let said = "db: what was tried against its failure is forgotten, its strategies begin anew\n";
    assert_eq!(reset.stdout, said);
    fixture.run(&["run", "-s", "db"]).expect_code(1);
    assert_eq!(fixture.count("Executing fallback command for db"), 2, "{}", fixture.log());
}

/// A command under way whose standard output can be read meanwhile; ended at Drop.
struct Running {
    child: Child,
    output: std::path::PathBuf,
}

impl Running {
    fn start(mut command: Command, output: std::path::PathBuf) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.stdout(File::create(&output).expect("a file for its output"));
        Self { child: command.spawn().expect("it starts"), output }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    fn code(&mut self) -> Option<i32> {
        let mut ended = None;
        until("its end", SOON, || {
            ended = self.child.try_wait().expect("a child can be waited for");
            ended.map(drop)
        });
        ended.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_stop_waits_for_the_pass_that_is_just_restarting_it_with_all_markers_set() {
    let mut fixture = three();
    let (go, up) = (fixture.path("go"), fixture.path("alone"));
    let text = format!("until test -e {}; do sleep 0.05; done; touch {}", go.display(), up.display());
    let alone = by_file(&fixture, "alone", &text);
    fixture.service("alone", alone);
    let mut pass = Running::start(fixture.command(&["run", "-s", "alone"]), fixture.path("pass.out"));
    until("the restart", SOON, || (fixture.count("Executing restart command for alone") > 0).then_some(()));

    let mut stop = Running::start(fixture.bare_command(&["stop", "alone", "db"]), fixture.path("stop.out"));
    until("that it waits", SOON, || stop.said().contains("waiting").then_some(()));
    assert!(marker(&fixture, "alone").is_some());
    assert!(marker(&fixture, "db").is_some(), "waiting for one leaves no other open");
    fs::write(&go, "").expect("a file");
    assert_eq!((pass.code(), stop.code()), (Some(0), Some(0)));
    let pid = pass.child.id();
    assert_eq!(
        stop.said(),
        format!(
            "alone: will not be restarted until `recovery resume alone`; it was not stopped\n\
             db: will not be restarted until `recovery resume db`; it was not stopped\n\
             db: not restarted meanwhile either, because they depend on it: web\n\
             alone: a pass (process {pid}) is just restarting it, waiting for its end\n\
             alone: that pass is done with it\n"
        )
    );
}

#[test]
fn a_resume_without_an_engine_removes_the_marker_on_the_machine_and_exits_69() {
    let mut fake = FakeDocker::new();
    fake.when("", Answer::no_engine());
    let mut fixture = three();
    let mut boxed = by_file(&fixture, "boxed", "exit 0");
    boxed["container"] = json!("box");
    fixture.fake_docker(&fake).service("boxed", boxed);
    fixture.run(&["stop", "boxed"]).expect_code(0);
    assert_eq!(fake.calls(), [], "a stop needs no engine");
    let done = fixture.run(&["resume", "boxed"]).expect_code(69);
    assert!(
        done.stderr.starts_with("error: markers inside containers cannot be removed: "),
        "{}",
        done.stderr
    );
    let removed = fixture.path("state/manual-stop/boxed.stopped");
    let said = format!("boxed: its failure window was cleared (removed {})\n", removed.display());
    assert_eq!(done.stdout, said);
    assert_eq!(marker(&fixture, "boxed"), None);
    // A service on the machine needs none.
    fixture.run(&["resume", "alone"]).expect_code(0);
}

#[test]
fn a_resume_removes_the_marker_in_the_container_and_says_so() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "busybox", &[], &[]);
    let mut fixture = Fixture::new();
    let mut service = by_file(&fixture, "nothing", "exit 0");
    service["container"] = json!(container.name);
    fixture.service("web", service);
    container.sh("mkdir -p /var/run/manual-stop && touch /var/run/manual-stop/web.stopped");
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
    let done = fixture.run(&["resume", "web"]).expect_code(0);
    assert_eq!(
        done.stdout,
        format!(
            "web: will be restarted again when it is down (removed the marker in container {})\n",
            container.name
        )
    );
    assert_eq!(container.exec(&["test", "-e", "/var/run/manual-stop/web.stopped"]).code, 1);

    container.stop();
    let done = fixture.run(&["resume", "web"]).expect_code(69);
    assert_eq!(
        done.stderr,
        format!(
            "error: web: container {} is exited: a marker in it, if there is one, stays; where somebody \
             stopped it, start it\n",
            container.name
        )
    );
    assert_eq!(done.stdout, "web: its failure window was cleared (there was no marker)\n");
}
