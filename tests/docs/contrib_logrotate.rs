//! `contrib/logrotate` run by logrotate itself, with passes under way: no line is lost, and `recovery stats` counts
//! every check in whatever rotation made of the log.

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::docker::{required, skipped};
use common::fixture::{Fixture, LIMIT};
use common::run::{self, Finished};
use common::until::until;
use serde_json::{Value, json};

const SHIPPED: &str = include_str!("../../contrib/logrotate");

/// A fixture, and the shipped file for its log.
struct Rotation {
    fixture: Fixture,
}

impl Rotation {
    /// `None`, after saying so, where there is no logrotate. `more` stands beside the shipped directives.
    fn prepare(more: &str) -> Option<Self> {
        if !installed() {
            assert!(!required(), "logrotate is not installed");
            skipped("logrotate is not installed");
            return None;
        }
        let fixture = Fixture::new();
        let logs = "/var/log/recovery.log /var/log/recovery/*.log";
        assert!(SHIPPED.contains(logs), "the shipped file names other logs now");
        let mut text = SHIPPED.replace(logs, &fixture.path("recovery.log").to_string_lossy());
        if !rustix::process::geteuid().is_root() {
            text = text.replace("create 0640 root adm", "create 0640");
        }
        fs::write(fixture.path("logrotate"), text.replace("weekly", &format!("weekly\n{more}")))
            .expect("a file");
        Some(Self { fixture })
    }

    #[track_caller]
    fn rotate(&self) {
        let state = self.fixture.path("logrotate.state");
        let mut command = logrotate();
        command.arg("--force").arg("--state").arg(state).arg(self.fixture.path("logrotate"));
        let done = run::within(LIMIT, command, b"").expect_code(0);
        assert_eq!(done.stderr, "");
    }

    /// The log and its siblings as they lie there, sorted by name.
    fn files(&self) -> Vec<String> {
        let entries = self.fixture.path("").read_dir().expect("the folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("recovery.log")).collect();
        names.sort();
        names
    }

    /// Checks as `recovery stats` counts them over all of them.
    #[track_caller]
    fn checks(&self) -> u64 {
        let said = self.fixture.run(&["stats", "--json"]).expect_code(0).stdout;
        let stats: Value = serde_json::from_str(&said).expect("JSON");
        stats["total"]["checks"].as_u64().expect("a number")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.fixture.path(name)).unwrap_or_default()
    }
}

/// The shipped text itself, its paths included, has nothing that logrotate complains of.
#[test]
fn logrotate_reads_the_shipped_file_without_a_complaint() {
    if Rotation::prepare("").is_none() {
        return;
    }
    let said = debug(SHIPPED);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(complaint(&said), None);
    for log in ["/var/log/recovery.log", "/var/log/recovery/*.log"] {
        assert!(said.stderr.contains(log), "{}", said.stderr);
    }
    let wrong = debug(&SHIPPED.replace("compress", "commpress"));
    assert!(complaint(&wrong).is_some(), "it complains of nothing: {}", wrong.stderr);
}

/// A pass that has the log open writes on into the renamed file. That is why the file may not be compressed at once.
#[test]
fn a_pass_during_a_rotation_loses_no_line() {
    let Some(mut rotation) = Rotation::prepare("") else { return };
    let (down, go) = (rotation.fixture.path("up"), rotation.fixture.path("go"));
    rotation.fixture.service("slow", slow(&down, &go));
    let command = rotation.fixture.command(&["run"]);
    let pass = std::thread::spawn(move || run::within(LIMIT, command, b""));
    let restarting =
        || rotation.read("recovery.log").contains("Executing restart command for slow").then_some(());
    until("the restart", LIMIT, restarting);

    rotation.rotate();
    assert_eq!(rotation.read("recovery.log"), "");
    fs::write(&go, "").expect("the restart may end");
    pass.join().expect("a pass").expect_code(0);

    let renamed = rotation.read("recovery.log.1");
    for phrase in ["Health check failed for slow, attempting", "Successfully recovered slow"] {
        assert_eq!(renamed.matches(phrase).count(), 1, "{renamed}");
    }
    rotation.fixture.pass().expect_code(0);
    assert_eq!(rotation.read("recovery.log").matches("Health check passed for slow").count(), 1);
    assert_eq!(rotation.checks(), 2);
    rotation.rotate();
    assert_eq!(rotation.files(), ["recovery.log", "recovery.log.1", "recovery.log.2.gz"]);
    assert_eq!(rotation.checks(), 2);
}

#[test]
fn every_check_is_counted_over_many_rotations_with_passes_side_by_side() {
    let Some(mut rotation) = Rotation::prepare("") else { return };
    for name in ["a", "b", "c"] {
        rotation.fixture.service(name, json!({"health_check": {"type": "custom", "command": ["true"]}}));
    }
    drop(rotation.fixture.command(&[]));
    let (rounds, passes) = (6, 3);
    for round in 0..rounds {
        // Each pass meets one rotation at most, as it does in life, where a rotation comes once a week.
        let running: Vec<_> = (0..passes)
            .map(|_| rotation.fixture.bare_command(&["run"]))
            .map(|command| std::thread::spawn(move || run::within(LIMIT, command, b"")))
            .collect();
        if round % 2 == 0 {
            let begun = || (!rotation.read("recovery.log").is_empty()).then_some(());
            until("the first line", LIMIT, begun);
        }
        rotation.rotate();
        for pass in running {
            pass.join().expect("a pass").expect_code(0);
        }
    }
    assert!(rotation.files().len() > 3, "{:?}", rotation.files());
    assert_eq!(rotation.checks(), rounds * passes * 3, "{:?}", rotation.files());
}

#[test]
fn rotated_files_that_are_named_by_date_are_counted_too() {
    let Some(mut rotation) = Rotation::prepare("dateext") else { return };
    rotation.fixture.service("a", json!({"health_check": {"type": "custom", "command": ["true"]}}));
    rotation.fixture.pass().expect_code(0);
    rotation.rotate();
    rotation.fixture.pass().expect_code(0);
    let files = rotation.files();
    assert!(files.len() == 2 && files[1].starts_with("recovery.log-2"), "{files:?}");
    assert_eq!(rotation.checks(), 2);
}

/// Down until it was restarted; its restart ends only when it may.
fn slow(up: &Path, go: &Path) -> Value {
    let (up, go) = (up.display(), go.display());
    json!({
        "health_check": {"type": "custom", "command": format!("test -e '{up}'")},
        "restart_cmd": format!("until test -e '{go}'; do sleep 0.05; done; touch '{up}'"),
        "startup_delay_seconds": 0
    })
}

/// `logrotate --debug` on a copy of that text: it says what it would do, and does nothing.
fn debug(text: &str) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("recovery"), text).expect("a copy");
    let mut command = logrotate();
    command
        .arg("--debug")
        .arg("--state")
        .arg(folder.path().join("state"))
        .arg(folder.path().join("recovery"));
    run::within(LIMIT, command, b"")
}

/// The first line that is about something wrong, and not the notice that this is but a rehearsal.
fn complaint(said: &Finished) -> Option<&str> {
    let is_one = |line: &&str| ["error", "warning", "unknown"].iter().any(|word| line.contains(word));
    said.stderr.lines().filter(|line| !line.contains("in debug mode")).find(is_one)
}

fn logrotate() -> Command {
    let mut command = Command::new("logrotate");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C");
    command
}

fn installed() -> bool {
    logrotate().arg("--version").output().is_ok_and(|output| output.status.success())
}
