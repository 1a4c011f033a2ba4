//! Whole passes of the binary while the file system of the state is full, or read-only: nothing is restarted
//! blindly, what is to be told is told, and nothing is lost when there is room again.
//!
//! The file systems are small real ones, so these tests need root; without it they say that they are skipped.

use crate::common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::docker::{required, skipped};
use common::fixture::{Fixture, LIMIT};
use common::hook::Hook;
use common::ntfy::Ntfy;
use common::run;
use common::server::Reply;
use serde_json::{Value, json};

/// A small file system of its own; gone at Drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, after saying so, where nothing can be mounted.
    fn mount(at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&at).expect("a folder to mount on");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "recovery-test"]).arg(&at);
        let done = mount.output();
        if done.as_ref().is_ok_and(|done| done.status.success()) {
            return Some(Self(at));
        }
        assert!(!required(), "nothing can be mounted, and RECOVERY_REQUIRE_DOCKER=1 is set: {done:?}");
        skipped("nothing can be mounted here");
        None
    }

    /// Uses up the last byte.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("room for a name");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    /// There is room again.
    fn free(&self) {
        fs::remove_file(self.0.join("filler")).expect("what filled it can be removed");
    }

    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(&self.0);
        run::within(LIMIT, mount, b"").expect_code(0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A service that is down until the file `up` exists; its restarts are counted in `restarts`.
fn down(fixture: &Fixture, restart: &str) -> Value {
    json!({
        "display_name": "Web",
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path("up").display())},
        "restart_cmd": format!("echo x >> {}; {restart}", fixture.path("restarts").display()),
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

fn restarts(fixture: &Fixture) -> usize {
    fs::read_to_string(fixture.path("restarts")).unwrap_or_default().lines().count()
}

fn set_up(fixture: &Fixture) {
    fs::write(fixture.path("up"), "").expect("the service comes up");
}

/// What killed or failed writers would leave.
fn temporary_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(temporary_files(&entry.path()));
        } else if entry.file_name().to_string_lossy().ends_with(".tmp") {
            found.push(entry.path());
        }
    }
    found
}

/// A fixture with a service that is down, an ntfy server, and the state on a small disk.
fn on_small_disk(options: &str, restart: &str) -> Option<(Fixture, Ntfy, SmallDisk)> {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let disk = SmallDisk::mount(fixture.path("state"), options)?;
    fixture.service("web", down(&fixture, restart)).ntfy(&ntfy);
    Some((fixture, ntfy, disk))
}

fn attempts(fixture: &Fixture) -> usize {
    fixture.state("web").map_or(0, |state| state["attempts"].as_array().map_or(0, Vec::len))
}

#[test]
fn a_disk_that_is_full_from_the_start_restarts_nothing_and_tells_at_once() {
    let Some((fixture, ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    disk.fill();
    for pass in 1..=2 {
        fixture.pass().expect_code(74);
        assert_eq!(restarts(&fixture), 0, "an attempt that cannot be recorded is not made");
        assert_eq!(ntfy.titles(), vec!["Web Down"; pass], "{}", fixture.log());
    }
    let text = ntfy.messages()[0]["message"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("not restarted, since the attempt could not be recorded"), "{text}");
    assert!(fixture.count("alerts that cannot be kept are sent at once") == 2, "{}", fixture.log());
    assert!(fixture.count("free some space") > 0, "{}", fixture.log());
    assert_eq!(temporary_files(&disk.0), Vec::<PathBuf>::new());

    disk.free();
    fixture.pass().expect_code(1);
    assert_eq!((restarts(&fixture), attempts(&fixture)), (1, 1), "{}", fixture.log());
    assert!(fixture.outbox().is_empty());
    assert_eq!(ntfy.titles().last().map(String::as_str), Some("Web Recovery Failed"));
    set_up(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles().last().map(String::as_str), Some("Web Recovered"), "{}", fixture.log());
}

#[test]
fn a_disk_without_room_for_another_name_restarts_nothing_and_tells_at_once() {
    // The folder itself, and not one file more.
    let Some((fixture, ntfy, disk)) = on_small_disk("size=1m,nr_inodes=1", "true") else { return };
    fixture.pass().expect_code(74);
    assert_eq!(restarts(&fixture), 0);
    assert_eq!(ntfy.titles(), ["Web Down"], "{}", fixture.log());
    disk.remount("nr_inodes=1000");
    fixture.pass().expect_code(1);
    assert_eq!(restarts(&fixture), 1);
    assert!(fixture.outbox().is_empty());
}

#[test]
fn what_was_remembered_before_the_disk_filled_up_still_counts_afterwards() {
    let Some((fixture, ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    fixture.pass().expect_code(1);
    fixture.pass().expect_code(1);
    let before = fixture.state("web");
    assert_eq!((restarts(&fixture), attempts(&fixture)), (2, 2));
    disk.fill();
    fixture.pass().expect_code(74);
    fixture.pass().expect_code(74);
    assert_eq!(fixture.state("web"), before, "the old state is there whole");
    assert_eq!(restarts(&fixture), 2);
    assert_eq!(temporary_files(&disk.0), Vec::<PathBuf>::new());
    disk.free();
    fixture.pass().expect_code(1);
    fixture.pass().expect_code(1);
    assert_eq!(restarts(&fixture), 3, "the third attempt, and then it is given up");
    assert_eq!(fixture.count("web exceeded max failures"), 1, "{}", fixture.log());
    assert!(ntfy.titles().contains(&"Web Crash Loop".to_owned()), "{:?}", ntfy.titles());
}

#[test]
fn a_disk_that_a_restart_fills_up_keeps_the_attempt_and_tells_at_once() {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let Some(disk) = SmallDisk::mount(fixture.path("state"), "size=128k") else { return };
    let fill = format!("head -c 1000000 /dev/zero > {}/filler", disk.0.display());
    fixture.service("web", down(&fixture, &fill)).ntfy(&ntfy);
    fixture.pass().expect_code(74);
    assert_eq!((restarts(&fixture), attempts(&fixture)), (1, 1));
    assert_eq!(fixture.state("web").expect("it was recorded before")["attempts"][0]["result"], "unknown");
    assert_eq!(ntfy.titles(), ["Web Recovery Failed"], "{}", fixture.log());
    assert_eq!(fixture.count("Failed to recover web"), 1);
    disk.free();
    set_up(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(restarts(&fixture), 1);
    assert_eq!(temporary_files(&disk.0), Vec::<PathBuf>::new());
}

#[test]
fn an_alert_that_can_neither_be_kept_nor_sent_is_told_later() {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let Some(disk) = SmallDisk::mount(fixture.path("state/outbox"), "size=64k") else { return };
    fixture.service("web", down(&fixture, "true")).ntfy(&ntfy);
    disk.fill();
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(74);
    assert_eq!((restarts(&fixture), attempts(&fixture)), (1, 1), "the state has room");
    assert_eq!(ntfy.titles(), Vec::<String>::new());
    disk.free();
    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed"], "{}", fixture.log());
}

#[test]
fn an_event_on_a_full_disk_is_posted_at_once_or_told_later() {
    let (mut fixture, hook) = (Fixture::new(), Hook::start());
    let Some(disk) = SmallDisk::mount(fixture.path("state/outbox"), "size=64k") else { return };
    fixture.service("web", down(&fixture, "true"));
    fixture.config["notifications"] = json!({"webhook": {"url": hook.url("/")}});
    disk.fill();
    hook.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(74);
    assert_eq!((restarts(&fixture), hook.told().len()), (1, 0));
    hook.always(None);
    fixture.pass().expect_code(74);
    disk.free();
    fixture.pass().expect_code(1);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web"], "{}", fixture.log());
}

#[test]
fn alerts_that_wait_go_out_from_a_full_disk_and_their_recovery_follows() {
    let Some((fixture, ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    ntfy.always(Some(Reply::status(500, "oops")));
    fixture.pass().expect_code(1);
    assert_eq!(fixture.outbox().len(), 1);
    disk.fill();
    ntfy.always(None);
    fixture.pass().expect_code(74);
    assert!(ntfy.titles().contains(&"Web Recovery Failed".to_owned()), "{:?}", ntfy.titles());
    assert!(fixture.outbox().is_empty(), "what was delivered makes room");
    disk.free();
    set_up(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles().last().map(String::as_str), Some("Web Recovered"), "{}", fixture.log());
}

#[test]
fn on_a_full_disk_a_person_is_told_that_the_marker_could_not_be_set() {
    let Some((fixture, _ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    disk.fill();
    let stop = fixture.run(&["stop", "web", "--reason", "work"]).expect_code(74);
    assert!(stop.stderr.contains("free some space"), "{}", stop.stderr);
    assert!(!stop.stdout.contains("will not be restarted"), "{}", stop.stdout);
    assert_eq!(temporary_files(&disk.0), Vec::<PathBuf>::new());
    disk.free();
    fixture.run(&["stop", "web", "--reason", "work"]).expect_code(0);
    disk.fill();
    fixture.pass().expect_code(74);
    assert_eq!(restarts(&fixture), 0);
    assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 1, "{}", fixture.log());
    fixture.run(&["resume", "web"]);
    assert!(!fixture.path("state/manual-stop/web.stopped").exists(), "removing needs no room");
}

#[test]
fn a_failure_window_is_not_forgotten_halfway_on_a_full_disk() {
    let Some((fixture, _ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    fixture.pass().expect_code(1);
    let before = fixture.state("web");
    disk.fill();
    let reset = fixture.run(&["reset", "web"]).expect_code(74);
    assert!(reset.stderr.contains("free some space"), "{}", reset.stderr);
    assert_eq!(fixture.state("web"), before);
    disk.free();
    fixture.run(&["reset", "web"]).expect_code(0);
    assert_eq!(attempts(&fixture), 0);
}

#[test]
fn a_log_on_a_full_disk_goes_to_standard_error() {
    let mut fixture = Fixture::new();
    let Some(disk) = SmallDisk::mount(fixture.path("log"), "size=64k") else { return };
    fixture.setting("log_file", json!("log/recovery.log"));
    fixture.service("web", down(&fixture, "true"));
    disk.fill();
    let done = fixture.pass().expect_code(74);
    assert_eq!(restarts(&fixture), 1, "a log is no reason to stop");
    assert!(done.stderr.contains("Executing restart command for web"), "{}", done.stderr);
    assert!(done.stderr.contains("cannot write the log"), "{}", done.stderr);
    assert!(fixture.state("web").is_some());
    disk.free();
    fixture.pass().expect_code(1);
    let log = fs::read_to_string(disk.0.join("recovery.log")).expect("the log");
    assert!(log.contains("Executing restart command for web"), "{log}");
    assert!(log.lines().all(|line| line.starts_with("20")), "whole lines only: {log}");
}

#[test]
fn a_healthy_service_on_a_full_disk_is_no_healthy_watchdog() {
    let Some((fixture, ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    set_up(&fixture);
    fixture.pass().expect_code(0);
    disk.fill();
    fixture.pass().expect_code(74);
    assert_eq!(fixture.count("Health check passed for web"), 2);
    let last_pass = fs::read_to_string(disk.0.join("last-pass.json")).expect("the times of the last looks");
    assert!(serde_json::from_str::<Value>(&last_pass).is_ok(), "whole: {last_pass}");
    disk.free();
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), Vec::<String>::new());
}

#[test]
fn a_state_folder_that_became_read_only_restarts_nothing_and_tells_at_once() {
    let Some((fixture, ntfy, disk)) = on_small_disk("size=128k", "true") else { return };
    fixture.pass().expect_code(1);
    let before = fixture.state_files();
    disk.remount("ro");
    let done = fixture.pass().expect_code(74);
    assert!(done.stderr.contains("Read-only file system"), "{}", done.stderr);
    assert_eq!(restarts(&fixture), 1);
    assert_eq!(fixture.state_files(), before);
    assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Down"], "{}", fixture.log());
    disk.remount("rw");
    fixture.pass().expect_code(1);
    assert_eq!((restarts(&fixture), attempts(&fixture)), (2, 2));
}

#[test]
fn a_read_only_state_folder_hides_no_engine_that_is_gone() {
    use common::fake_docker::{Answer, FakeDocker};
    let (mut fixture, ntfy, mut fake) = (Fixture::new(), Ntfy::start(), FakeDocker::new());
    let Some(disk) = SmallDisk::mount(fixture.path("state"), "size=128k") else { return };
    fake.when("", Answer::no_engine());
    let check = json!({"type": "tcp", "port": 1});
    fixture.fake_docker(&fake).ntfy(&ntfy).service("web", json!({"container": "box", "health_check": check}));
    disk.remount("ro");
    fixture.pass().expect_code(74);
    assert!(
        ntfy.titles().iter().any(|title| title.starts_with("Docker Unreachable on ")),
        "{:?}",
        ntfy.titles()
    );
}

#[test]
fn an_ordinary_users_settings_that_cannot_be_kept_are_said() {
    let mut fixture = Fixture::new();
    let Some(disk) = SmallDisk::mount(fixture.path("xdg"), "size=64k,mode=0777") else { return };
    fixture.service("web", json!({"health_check": {"type": "custom", "command": "true"}}));
    fixture.env("XDG_STATE_HOME", &disk.0.display().to_string());
    let pass = || {
        let mut own = Command::new("chown");
        own.args(["-R", "1000:1000"]).arg(fixture.path("."));
        let command = fixture.command(&["run"]);
        run::within(LIMIT, own, b"").expect_code(0);
        let mut user = Command::new("setpriv");
        user.args(["--reuid=1000", "--regid=1000", "--clear-groups"]).arg(command.get_program());
        user.args(command.get_args()).env_clear().current_dir(fixture.path("."));
        user.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run::within(LIMIT, user, b"")
    };
    disk.fill();
    let done = pass().expect_code(74);
    assert!(done.stderr.contains("last-good") && done.stderr.contains("free some space"), "{}", done.stderr);
    assert_eq!(fixture.count("Health check passed for web"), 1, "the pass goes on");
    assert_eq!(temporary_files(&disk.0), Vec::<PathBuf>::new());
    disk.free();
    pass().expect_code(0);
}

#[test]
fn an_event_that_cannot_be_kept_is_posted_after_those_that_wait_or_not_at_all() {
    let Some((mut fixture, _ntfy, disk)) = on_small_disk("size=256k", "true") else { return };
    let hook = Hook::start();
    fixture.config["notifications"] = json!({"webhook": {"url": hook.url("/hook")}});
    hook.always(Some(Reply::Close));
    fixture.pass().expect_code(1);
    disk.fill();
    set_up(&fixture);
    hook.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(74);
    let asked = hook.requests().iter().filter(|r| r.body.windows(9).any(|w| w == b"RECOVERED")).count();
    assert_eq!(asked, 0, "not before what waits: {}", fixture.log());
    hook.always(None);
    fixture.pass().expect_code(74);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"], "{}", fixture.log());
    disk.free();
    for code in [0, 0] {
        fixture.pass().expect_code(code);
    }
    assert_eq!(hook.told().last().map(String::as_str), Some("COMPONENT_RECOVERED web"), "{}", fixture.log());
    assert!(fixture.outbox().is_empty());
}
