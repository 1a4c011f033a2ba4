//! The forms in which custom checks are written, and what they say where a program is missing.

use recovery::check::{Failure, Health, Unknown};

/// Nothing can be said. `mytool` and `gone` are missing; `probe` is there and says no, without a word; `yes` says yes;
/// `@` is a folder with a few files that cannot be run.
pub const CANNOT_LOOK: &[&str] = &[
    "printf '{\"status\":\"ok\"}'; mytool || exit 1",
    "mytool",
    "mytool status || exit 1",
    "mytool | grep -q up",
    "mytool status | grep -q up || exit 1",
    "[ \"$(mytool)\" = up ]",
    "[ \"`mytool`\" = up ] || exit 1",
    "if ! mytool; then exit 1; fi",
    "if mytool; then exit 0; else exit 1; fi",
    "mytool && exit 0; exit 1",
    "mytool status; test $? -eq 0",
    "mytool status; exit $?",
    "out=$(mytool) || exit 1",
    "out=$(mytool); [ \"$out\" = up ]",
    "case $(mytool) in up) ;; *) exit 1 ;; esac",
    "sh -c mytool || exit 1",
    "sh -c 'mytool || exit 1'",
    "eval mytool || exit 1",
    "exec mytool",
    "command mytool || exit 1",
    "(mytool) || exit 1",
    "{ mytool; } || exit 1",
    "mytool || { echo down; exit 1; }",
    "mytool || gone || exit 1",
    "probe || mytool || exit 1",
    "yes && mytool || exit 1",
    "yes | mytool | grep -q up",
    "for i in 1 2; do mytool && exit 0; done; exit 1",
    "up() { mytool; }; up || exit 1",
    "env mytool || exit 1",
    "env A=b mytool || exit 1",
    "timeout 3 mytool || exit 1",
    "echo a | xargs mytool || exit 1",
    "nohup mytool || exit 1",
    "@/gone/mytool || exit 1",
    "@/interpreter || exit 1",
    "@/plain || exit 1",
    "@/folder || exit 1",
    "@/script || exit 1",
    "@/script | grep -q up",
];

/// The service is down.
pub const DOWN: &[&str] = &[
    "probe",
    "probe || exit 1",
    "mytool || probe",
    "mytool -fs || probe -q || exit 1",
    "mytool && exit 0; probe && exit 0; exit 1",
    "mytool; probe || exit 1",
    "if mytool; then exit 0; fi; probe || exit 1",
    "mytool || { probe; } || exit 1",
    "mytool || probe | grep -q up || exit 1",
    "mytool || [ -S @/socket ] || exit 1",
    "probe || { mytool down; exit 1; }",
    "probe && exit 0 || mytool down; exit 1",
    "for i in 1 2; do probe && exit 0; mytool $i; done; exit 1",
    "for i in 1 2; do if probe; then exit 0; fi; mytool x; done; exit 1",
    "echo 'curl: (22) 404 not found'; probe",
    "echo 'command not found in registry'; exit 1",
    "echo 'mytool: not found'; exit 1",
    "cat @/log; exit 1",
    "grep mytool @/log && exit 1",
    "read -r pid <@/pid && kill -0 $pid",
    "cat @/pid || exit 1",
    // Nobody can hear it there.
    "mytool 2>/dev/null || exit 1",
];

/// What makes the folder `@` and the programs, run by the `sh` of a container.
pub const PREPARE: &str = "mkdir -p /tmp/place/folder && cd /tmp/place && \
    printf '#!/bin/sh\\nexit 1\\n' | tee plain >probe && printf '#!/bin/sh\\n' >yes && \
    printf '#!/no/such/interpreter\\n' >interpreter && printf '#!/bin/sh\\nmytool || exit 1\\n' >script && \
    echo 'sh: 1: mytool: not found' >log && chmod 755 probe yes interpreter script";

/// The forms of which `look` says something else than it should, with what it says.
pub fn wrong(look: impl Fn(&[&str]) -> Vec<Health>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (texts, unknown) in [(CANNOT_LOOK, true), (DOWN, false)] {
        for (text, health) in texts.iter().zip(look(texts)) {
            let right = match &health {
                Health::Unknown(Unknown::NoTool(_)) => unknown,
                Health::Unhealthy(Failure::Exit { .. }) => !unknown,
                _ => false,
            };
            if !right {
                wrong.push(format!("{text}: {health:?}"));
            }
        }
    }
    wrong
}
