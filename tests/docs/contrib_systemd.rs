//! `contrib/systemd-timer` by systemd's own tools: both units and the hardening are read without a complaint, and
//! say what is promised. The real run of them is in `contrib_systemd_run.rs`.

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::docker::{required, skipped};
use common::fixture::LIMIT;
use common::run::{self, Finished};
use recovery::exit_code::ExitCode;

const SERVICE: &str = include_str!("../../contrib/systemd-timer/recovery.service");
const TIMER: &str = include_str!("../../contrib/systemd-timer/recovery.timer");
const HARDENING: &str = include_str!("../../contrib/systemd-timer/hardening.conf");
const INSTALLED: &str = "/usr/local/bin/recovery";

/// The values of `key`, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let pairs = unit.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    pairs.filter(|(found, _)| *found == key).map(|(_, value)| value).collect()
}

#[test]
fn the_service_says_what_is_promised() {
    let promised = [
        ("Type", "oneshot"),
        ("KillMode", "process"),
        ("StateDirectory", "recovery"),
        ("LogsDirectory", "recovery"),
        ("SuccessExitStatus", "1 69 75"),
    ];
    for (key, value) in promised {
        assert_eq!(values(SERVICE, key), [value], "{key}");
    }
    let findings =
        [ExitCode::Down, ExitCode::CannotLook, ExitCode::TryAgain].map(|code| code.number().to_string());
    assert_eq!(values(SERVICE, "SuccessExitStatus"), [findings.join(" ")]);
    // A program that is restarted on the machine inherits what stands here.
    let sections = ["Protect", "Private", "Restrict", "SystemCall", "Capability", "NoNewPrivileges"];
    let narrows = |line: &&str| sections.iter().any(|section| line.starts_with(section));
    assert_eq!(SERVICE.lines().find(narrows), None);
}

/// systemd reads a `#` only at the beginning of a line: after a value it is a part of it.
#[test]
fn no_value_ends_in_what_was_meant_as_a_comment() {
    for unit in [SERVICE, TIMER, HARDENING] {
        let value = |line: &&str| !line.starts_with('#') && line.contains('#');
        assert_eq!(unit.lines().find(value), None);
    }
}

#[test]
fn systemd_reads_service_timer_and_hardening_without_a_complaint() {
    if !installed() {
        return;
    }
    for hardening in [None, Some(HARDENING)] {
        let done = verify(SERVICE, TIMER, hardening);
        assert_eq!((done.code, complaints(&done)), (0, vec![]), "hardened: {}", hardening.is_some());
    }
    // It would have complained: of the service, of the timer, and of the drop-in.
    let wrong = |text: &str| {
        text.replace("oneshot", "oneshoot").replace("*:0/5", "*:0/x").replace("=strict", "=strikt")
    };
    for (service, timer, hardening) in [
        (wrong(SERVICE), TIMER.to_owned(), HARDENING.to_owned()),
        (SERVICE.to_owned(), wrong(TIMER), HARDENING.to_owned()),
        (SERVICE.to_owned(), TIMER.to_owned(), wrong(HARDENING)),
    ] {
        assert_ne!(complaints(&verify(&service, &timer, Some(&hardening))), Vec::<String>::new());
    }
}

/// From 0 (nothing is allowed) to 10. The plain service is near 10, as it must be: it hands its rights on.
#[test]
fn the_hardening_brings_the_exposure_down() {
    if !installed() {
        return;
    }
    let (plain, hardened) = (exposure(None), exposure(Some(HARDENING)));
    let (Some(plain), Some(hardened)) = (plain, hardened) else {
        return skipped("this systemd-analyze judges no file that is not installed");
    };
    assert!(hardened <= 3.0 && hardened < plain, "{plain} → {hardened}");
}

fn exposure(hardening: Option<&str>) -> Option<f64> {
    let folder = unit_folder(SERVICE, TIMER, hardening);
    let mut command = Command::new("systemd-analyze");
    command
        .args(["security", "--no-pager", "--offline=true", "./recovery.service"])
        .current_dir(folder.path());
    let said = run::within(LIMIT, command.plain(), b"");
    if said.stderr.contains("unrecognized option") {
        return None;
    }
    let line = said
        .stdout
        .lines()
        .rev()
        .find(|line| line.contains("exposure level"))
        .unwrap_or_else(|| panic!("{said:?}"));
    line.split(' ').find_map(|word| word.parse().ok())
}

fn verify(service: &str, timer: &str, hardening: Option<&str>) -> Finished {
    let folder = unit_folder(service, timer, hardening);
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "./recovery.service", "./recovery.timer"]).current_dir(folder.path());
    run::within(LIMIT, command.plain(), b"")
}

/// What it says about these units; it may have complaints about the machine's own.
fn complaints(said: &Finished) -> Vec<String> {
    said.stderr.lines().filter(|line| line.contains("recovery")).map(str::to_owned).collect()
}

/// The units in a folder of their own. `verify` wants the program to exist: the path of this build stands for the
/// one where it will be installed, and nothing else is changed.
fn unit_folder(service: &str, timer: &str, hardening: Option<&str>) -> tempfile::TempDir {
    assert_eq!(values(service, "ExecStart").len(), 1);
    assert!(values(service, "ExecStart")[0].starts_with(INSTALLED));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a unit");
    write("recovery.service", &service.replace(INSTALLED, env!("CARGO_BIN_EXE_recovery")));
    write("recovery.timer", timer);
    if let Some(text) = hardening {
        fs::create_dir(folder.path().join("recovery.service.d")).expect("a folder");
        write("recovery.service.d/hardening.conf", text);
    }
    folder
}

/// `false`, after saying so, where systemd's tools are missing.
fn installed() -> bool {
    let found = Path::new("/usr/bin/systemd-analyze").exists() || Path::new("/bin/systemd-analyze").exists();
    if !found {
        assert!(!required(), "systemd-analyze is not installed");
        skipped("systemd-analyze is not installed");
    }
    found
}

/// Output without colours and in English.
trait Plain {
    fn plain(self) -> Command;
}

impl Plain for Command {
    fn plain(mut self) -> Command {
        self.env("SYSTEMD_COLORS", "0").env("SYSTEMD_EMOJI", "0").env("LC_ALL", "C");
        self
    }
}
