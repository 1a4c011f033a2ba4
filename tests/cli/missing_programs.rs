//! A check that lacks a program says nothing of its service: the forms in which checks are written, run by the real
//! shells, as the agent runs them in a container and as the machine runs them.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use recovery::check::expect::{Condition, JsonExpectation};
use recovery::check::{Failure, Health, Unknown};
use recovery::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use recovery::engine::Request;
use recovery::engine::batch::{self, Agent};
use recovery::engine::host::Host;
use recovery::process::{self, Interrupt};

use crate::common::check_forms::{CANNOT_LOOK, wrong};
use crate::common::docker::skipped;

/// A folder that serves as the whole PATH, and holds what the checks name.
struct Place {
    folder: tempfile::TempDir,
}

fn find(program: &str) -> Option<PathBuf> {
    process::find_program(program, &[])
}

impl Place {
    /// `None`, visibly, where that shell is not installed.
    fn new(shell: &str) -> Option<Self> {
        let Some(real) = find(shell) else {
            assert!(std::env::var_os("RECOVERY_REQUIRE_SHELLS").is_none(), "{shell} is not installed");
            skipped(&format!("{shell} is not installed"));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink(real, at("sh")).unwrap();
        for tool in ["cat", "grep", "env", "timeout", "xargs", "nohup", "sleep"] {
            symlink(find(tool).unwrap(), at(tool)).unwrap();
        }
        symlink(find("false").unwrap(), at("probe")).unwrap();
        symlink(find("true").unwrap(), at("yes")).unwrap();
        let write = |name: &str, mode: u32, text: &str| {
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("interpreter", 0o755, "#!/no/such/interpreter\n");
        write("plain", 0o644, "#!/bin/sh\nexit 1\n");
        write("script", 0o755, &format!("#!{}/sh\nmytool || exit 1\n", folder.path().display()));
        write("json", 0o644, "{\"up\": false}");
        write("log", 0o644, "sh: 1: mytool: not found\n");
        fs::create_dir(at("folder")).unwrap();
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn check(&self, text: &str, missing_program: MissingProgram) -> HealthCheck {
        let text = text.replace('@', &self.path().to_string_lossy());
        let command = CustomCommand::Shell(text);
        HealthCheck {
            probe: Probe::Custom { command, expect_json: Vec::new(), missing_program },
            timeout: Duration::from_secs(20),
            from: Vantage::Container,
            interval: None,
        }
    }

    /// What these checks say where the agent makes them.
    fn by_agent(&self, checks: &[HealthCheck]) -> Vec<Health> {
        let name = ServiceName::new("svc").unwrap();
        let request = |check| Request { service: &name, check, env: &[], user: None };
        let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
        let looks = batch::look(self.start(), &requests, &Interrupt::default(), &mut |_| {});
        looks.into_iter().map(|look| look.health).collect()
    }

    fn start(&self) -> Process {
        let mut command = Command::new(self.path().join("sh"));
        command.arg0("sh").args(&batch::LOOK_ARGV[1..]).env_clear().env("PATH", self.path());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        Process(child.unwrap())
    }

    /// The same on the machine.
    fn on_machine(&self, checks: &[HealthCheck]) -> Vec<Health> {
        let name = ServiceName::new("svc").unwrap();
        let path = [("PATH".to_owned(), self.path().to_string_lossy().into_owned())];
        let request = |check| Request { service: &name, check, env: &path, user: None };
        let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
        let host = Host::new(4, Interrupt::default(), PathBuf::from("/opt/recovery"));
        host.observe(&requests).into_iter().map(|look| look.health).collect()
    }
}

struct Process(Child);

impl Agent for Process {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.0.stdin.take().unwrap())
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(self.0.stdout.take().unwrap())
    }

    fn finish(&mut self, _: Duration, _: &Interrupt) -> (Option<i32>, String) {
        // Its standard input is closed, so that it ends.
        (self.0.wait().unwrap().code(), String::new())
    }
}

/// Compares all of the table at once, so that a failure shows each form that is wrong.
fn judge(place: &Place, look: impl Fn(&[HealthCheck]) -> Vec<Health>) {
    let checks = |texts: &[&str]| -> Vec<HealthCheck> {
        texts.iter().map(|text| place.check(text, MissingProgram::Unknown)).collect()
    };
    let wrong = wrong(|texts| look(&checks(texts)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_missing_program_is_not_a_service_that_is_down_in_any_shell() {
    for shell in ["bash", "dash", "busybox"] {
        let Some(place) = Place::new(shell) else { continue };
        judge(&place, |checks| place.by_agent(checks));
    }
}

#[test]
fn a_missing_program_is_not_a_service_that_is_down_on_the_machine() {
    let Some(place) = Place::new("dash") else { return };
    judge(&place, |checks| place.on_machine(checks));
}

#[test]
fn the_operator_may_take_a_missing_program_for_a_service_that_is_down() {
    let Some(place) = Place::new("dash") else { return };
    let mut checks: Vec<HealthCheck> =
        CANNOT_LOOK.iter().map(|text| place.check(text, MissingProgram::Unhealthy)).collect();
    let mut argv = checks[0].clone();
    argv.probe = Probe::Custom {
        command: CustomCommand::Argv(vec!["no-such-program-here".to_owned()]),
        expect_json: Vec::new(),
        missing_program: MissingProgram::Unhealthy,
    };
    checks.push(argv);
    for found in [place.by_agent(&checks), place.on_machine(&checks)] {
        for health in found {
            assert!(matches!(health, Health::Unhealthy(Failure::Exit { .. })), "{health:?}");
        }
    }
}

#[test]
fn a_missing_program_is_told_by_name() {
    let Some(place) = Place::new("dash") else { return };
    let found = place.by_agent(&[place.check("mytool | grep -q up", MissingProgram::Unknown)]);
    let told = "a program of the check cannot be run: mytool: not found";
    assert_eq!(found, [Health::Unknown(Unknown::NoTool(told.to_owned()))]);
}

#[test]
fn an_expectation_that_fails_for_want_of_a_program_says_nothing() {
    let Some(place) = Place::new("busybox") else { return };
    let expects = |text: &str| {
        let mut check = place.check(text, MissingProgram::Unknown);
        if let Probe::Custom { expect_json, .. } = &mut check.probe {
            let expected = Condition::Equals(serde_json::json!(true));
            expect_json.push(JsonExpectation::new("$.up", expected).unwrap());
        }
        check
    };
    let found = place.by_agent(&[
        expects("mytool | cat"),
        expects("mytool || echo '{\"up\": false}'"),
        expects("mytool || cat @/json"),
        expects("echo '{\"up\": true}'; mytool || yes"),
    ]);
    assert!(matches!(found[0], Health::Unknown(Unknown::NoTool(_))), "{:?}", found[0]);
    assert!(matches!(found[1], Health::Unknown(Unknown::NoTool(_))), "{:?}", found[1]);
    assert!(matches!(found[2], Health::Unhealthy(_)), "{:?}", found[2]);
    assert_eq!(found[3], Health::Healthy);
}
