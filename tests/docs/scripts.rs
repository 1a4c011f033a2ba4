//! The project's own scripts end by a word where they fail.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join(".ci/run"), root.join("bench/run")];
    for folder in ["scripts", "bench", "contrib/docker"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        found.extend(files.filter(|file| file.extension().is_some_and(|end| end == "sh")));
    }
    found
}

#[test]
fn a_bash_script_says_which_command_it_ended_with() {
    let mut seen = 0;
    for file in scripts() {
        let text = fs::read_to_string(&file).unwrap();
        // What is only read by another script has that one's trap.
        if !text.starts_with("#!/usr/bin/env bash") {
            continue;
        }
        let trap =
            |line: &str| line.starts_with("trap ") && line.contains("$LINENO") && line.ends_with(" ERR");
        assert!(text.lines().any(trap), "{}: no ERR trap", file.display());
        // A function's failure reaches the trap only with -E.
        let silent = |line: &str| line.starts_with("set -e");
        assert!(!text.lines().any(silent), "{}: set -e without -E", file.display());
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}

/// With a tool in front of PATH that fails in silence, as one does in a pipe.
#[test]
fn the_images_script_names_line_and_command_of_a_silent_failure() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("tar", "exit 3"), ("engine", "cat >/dev/null; exit 0")] {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-images.sh"))
        .env("PATH", path)
        .env("TMPDIR", folder.path())
        .env("RECOVERY_TEST_ENGINE", "engine")
        .env("RECOVERY_TEST_IMAGES", "never-built")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(3), "{said}");
    assert!(said.contains("test-images: line ") && said.contains("import"), "{said}");
}
