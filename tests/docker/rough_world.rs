//! The binary where the world is rough: nobody reads its output, a log that is no file, times beyond reason, a
//! person's word that is found late.

use crate::common;

use std::fs::File;
use std::process::Command;

use common::docker::{Container, require_docker};
use common::fixture::{Fixture, LIMIT};
use common::ntfy::Ntfy;
use common::run;
use serde_json::{Value, json};

fn broken() -> Value {
    json!({
        "health_check": {"type": "custom", "command": "exit 3"},
        "restart_cmd": "true",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

/// The exit code where all output meets a full disk.
fn unread(mut command: Command) -> i32 {
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut child = command.stdout(full()).stderr(full()).spawn().expect("the binary starts");
    child.wait().expect("it ends").code().unwrap_or(-1)
}

#[test]
fn output_that_nobody_takes_changes_no_exit_code() {
    let mut fixture = Fixture::new();
    fixture.service("web", broken());
    for arguments in [&["stop", "web"][..], &["reset", "web"], &["resume", "web"]] {
        assert_eq!(unread(fixture.command(arguments)), 0, "{arguments:?}");
    }
    assert_eq!(unread(fixture.command(&["stop", "wbe"])), 2);
}

#[test]
fn a_configuration_that_broke_is_told_even_where_standard_error_is_full() {
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    fixture.ntfy(&ntfy);
    fixture.pass().expect_code(0);
    let command = fixture.command(&["run"]);
    std::fs::write(fixture.path("system-config.json"), "{\"services\":").expect("written");
    assert_eq!(unread(command), 78);
    assert_eq!(ntfy.messages().len(), 1);
}

#[test]
fn a_stop_beyond_the_end_of_time_is_wrong_usage() {
    let mut fixture = Fixture::new();
    fixture.service("web", broken());
    let done = fixture.run(&["stop", "web", "--for", "99999999999d"]).expect_code(2);
    assert!(done.stderr.contains("more than a hundred years"), "{}", done.stderr);
    fixture.run(&["resume", "web"]).expect_code(0);
}

#[test]
fn a_log_that_is_a_pipe_without_reader_holds_up_nothing() {
    let mut fixture = Fixture::new();
    fixture.service("web", broken());
    let fifo = fixture.path("recovery.log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).expect("a FIFO");
    let done = run::within(LIMIT, fixture.command(&["run"]), b"").expect_code(74);
    assert!(done.stderr.contains("cannot write the log"), "{}", done.stderr);
}

#[test]
fn attempts_of_the_future_are_rewritten_so_that_they_leave_the_window() {
    let mut fixture = Fixture::new();
    fixture.service("web", broken());
    fixture.pass().expect_code(1);
    let mut state = fixture.state("web").expect("a state");
    state["attempts"] = json!([{"at": "2099-01-01T00:00:00Z", "result": "failed"},
        {"at": "2099-01-01T00:00:00Z", "result": "failed"}, {"at": "2099-01-01T00:00:00Z", "result": "failed"}]);
    std::fs::write(fixture.path("state/web.json"), state.to_string()).expect("written");
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("web exceeded max failures"), 1, "{}", fixture.log());
    let attempts = fixture.state("web").expect("a state")["attempts"].clone();
    assert!(!attempts.to_string().contains("2099"), "{attempts}");
    assert_eq!(attempts.as_array().map(Vec::len), Some(3), "{attempts}");
}

#[test]
fn all_markers_are_set_before_any_pass_is_waited_for() {
    let mut fixture = Fixture::new();
    fixture.service("one", broken()).service("two", broken());
    fixture.setting("pass_timeout_seconds", json!(1));
    fixture.pass().expect_code(1);
    let lock = File::options().write(true).open(fixture.path("state/one.lock")).expect("the lock file");
    fs2::FileExt::lock_exclusive(&lock).expect("the lock");
    let done = fixture.run(&["stop", "--all"]).expect_code(75);
    let (two, waiting) = (done.stdout.find("two: will not"), done.stdout.find("one: a pass"));
    assert!(two.is_some() && two < waiting, "{}", done.stdout);
}

/// A container that runs for ever from its second start on, and whose first run left a marker in it.
#[test]
fn a_marker_that_is_seen_only_in_the_started_container_keeps_its_command_from_running() {
    let Some(docker) = require_docker() else { return };
    let life = "test -e /first && exec sleep 86400; touch /first; mkdir -p /run/manual-stop /var/run/manual-stop; \
                touch /run/manual-stop/web.stopped /var/run/manual-stop/web.stopped; sleep 1; exit 3";
    let container = Container::start(docker, "debian", &[], &["sh", "-c", life]);
    container.wait_for("exited");
    let mut fixture = Fixture::new();
    fixture.service(
        "web",
        json!({
            "container": container.name,
            "health_check": {"type": "custom", "command": "test -e /restarted"},
            "restart_cmd": "touch /restarted",
            "startup_delay_seconds": 0,
            "startup_timeout_seconds": 0,
            "start_period_seconds": 0
        }),
    );
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("running its restart command"), 0, "{}", fixture.log());
}
