//! The commands in the hands of an ordinary user, with a configuration that belongs to somebody else.

use crate::common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::docker::skipped;
use common::fixture::{Fixture, LIMIT};
use common::run::{self, Finished};
use serde_json::json;

/// The program, a configuration and a state folder that everybody may use; run as uid 1000 where this is root,
/// who may write anywhere, else as whoever this is.
struct Shared {
    fixture: Fixture,
    program: PathBuf,
}

impl Shared {
    /// With a service that is down; `state_mode` is the mode of the state folder.
    fn new(state_mode: &str) -> Option<Self> {
        let as_root = rustix::process::geteuid().is_root();
        if as_root && Command::new("setpriv").arg("--version").output().is_err() {
            skipped("there is no `setpriv` to become an ordinary user with");
            return None;
        }
        let mut fixture = Fixture::new();
        fixture.setting("log_file", serde_json::Value::Null);
        fixture.service("web", json!({"health_check": {"type": "custom", "command": "exit 1"}}));
        drop(fixture.command(&[]));
        let program = fixture.path("recovery");
        fs::copy(env!("CARGO_BIN_EXE_recovery"), &program).expect("a copy that everybody may run");
        fs::create_dir(fixture.path("state")).expect("a folder");
        let (config, folder) = (fixture.config_path(), fixture.path(""));
        for (path, mode) in [(folder, "755"), (config, "644"), (fixture.path("state"), state_mode)] {
            chmod(&path, mode);
        }
        chmod(&fixture.path("home"), "555");
        Some(Self { fixture, program })
    }

    fn run(&self, args: &[&str]) -> Finished {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.arg("--config").arg(self.fixture.config_path()).args(args).current_dir("/");
        command.env("HOME", self.fixture.path("home")).env_remove("XDG_STATE_HOME");
        run::within(LIMIT, command, b"")
    }
}

fn chmod(path: &Path, mode: &str) {
    let mut command = Command::new("chmod");
    command.arg(mode).arg(path);
    run::within(LIMIT, command, b"").expect_code(0);
}

#[test]
fn who_may_not_write_the_state_is_told_to_use_sudo() {
    let Some(shared) = Shared::new("555") else { return };
    for args in [&["run"][..], &["stop", "web"], &["resume", "web"], &["reset", "web"]] {
        let done = shared.run(args).expect_code(74);
        assert!(done.stderr.contains("permission denied; use sudo\n"), "{args:?}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{args:?}");
    }
    assert_eq!(shared.fixture.state_files(), []);
}

#[test]
fn a_dry_run_and_validate_work_for_everybody() {
    let Some(shared) = Shared::new("555") else { return };
    let looked = shared.run(&["--dry-run"]).expect_code(1);
    assert_eq!(looked.stdout, "web: down (exit 1): would be left alone, nothing to restart it with\n");
    shared.run(&["validate"]).expect_code(0);
    assert_eq!(shared.fixture.state_files(), []);
}

/// What must be known once the configuration cannot be read lies in the default state folder.
#[test]
fn a_pass_whose_own_state_folder_is_fine_goes_on_without_the_default_one() {
    let Some(shared) = Shared::new("777") else { return };
    let done = shared.run(&["run"]).expect_code(1);
    let first = done.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("warning: "), "{}", done.stderr);
    assert!(first.ends_with("should the configuration become invalid, nobody would be told"), "{first}");
    assert_eq!(done.stderr.matches("Health check failed for web").count(), 1, "{}", done.stderr);
    assert!(shared.fixture.state("web").is_some());
}
