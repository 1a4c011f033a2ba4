//! An engine that is not there, refuses, hangs or talks nonsense: an error each time, and never a wait
//! without end. Needs no engine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use recovery::check::Unknown;
use recovery::engine::ContainerRef;
use recovery::engine::docker::DockerCli;
use recovery::process::Interrupt;

/// An engine's command line that is a shell script.
fn fake(folder: &tempfile::TempDir, script: &str) -> DockerCli {
    let path = folder.path().join("engine");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    DockerCli::new(path.to_str().unwrap(), Interrupt::default())
}

fn list(script: &str) -> Result<usize, Unknown> {
    let folder = tempfile::tempdir().unwrap();
    let cli = fake(&folder, script);
    // Another test's fork may hold the script open for writing for a moment.
    loop {
        match cli.list() {
            Err(Unknown::EngineUnreachable(text)) if text.contains("Text file busy") => {}
            answer => return answer.map(|list| list.len()),
        }
    }
}

#[test]
fn trouble_with_the_listing_is_trouble_with_the_engine() {
    for script in [
        "echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1",
        "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
        "echo 'something quite new' >&2; exit 1",
        "echo hello",
        "exit 1",
        "kill -9 $$",
    ] {
        let answer = list(script);
        assert!(answer.as_ref().is_err_and(Unknown::is_engine), "{script}: {answer:?}");
    }
    let missing = DockerCli::new("/no/such/engine", Interrupt::default()).list().unwrap_err();
    assert!(matches!(&missing, Unknown::EngineUnreachable(text) if text.contains("command not found")));
}

#[test]
fn a_listing_comes_through_warnings_and_old_versions() {
    let row = r#"{"ID":"ab","Names":"web","Status":"Up 2 hours"}"#;
    assert_eq!(list(&format!("echo 'WARNING: x' >&2; echo '{row}'")), Ok(1));
    let old = format!(
        "case \"$*\" in *State*) echo 'template parsing error: no field State' >&2; exit 64;; esac; echo '{row}'"
    );
    assert_eq!(list(&old), Ok(1));
}

#[test]
fn an_engine_that_never_answers_is_silent_and_ended() {
    assert_eq!(list("sleep 300"), Err(Unknown::EngineSilent { after: Duration::from_secs(10) }));
}

#[test]
fn an_order_that_is_not_carried_out_in_time_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let cli = fake(&folder, "sleep 300");
    let at = ContainerRef { id: "ab".into(), name: "web".into() };
    let after = Duration::from_millis(300);
    let answer = loop {
        match cli.restart(&at, Duration::ZERO, after) {
            // Another test's fork may hold the script open for writing for a moment.
            Err(Unknown::EngineUnreachable(text) | Unknown::Other(text)) if text.contains("busy") => {}
            answer => break answer,
        }
    };
    assert_eq!(answer, Err(Unknown::EngineSilent { after }));
}
