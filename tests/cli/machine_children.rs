//! Bounded children, with real processes: nothing that a child does or leaves behind can hold us up.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use recovery::process::{self, End, Finished, Interrupt, Leftovers, Limits, StartError};

/// Far more than anything here takes, far less than what a hang takes.
const LONG: Duration = Duration::from_secs(60);

fn limits(deadline: Duration) -> Limits<'static> {
    Limits { deadline, stdout_cap: 4096, stderr_cap: 4096, leftovers: Leftovers::Spare }
}

fn sh(text: &str) -> Command {
    let mut command = process::in_own_group("sh");
    command.args(["-c", text]);
    command
}

fn run(text: &str, deadline: Duration) -> Finished {
    process::run(sh(text), b"", &limits(deadline), &Interrupt::default()).unwrap()
}

fn is_alive(pid: &str) -> bool {
    // A zombie is as good as gone: whoever adopts orphans here may not reap them.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

fn gone(pid: &str) -> bool {
    let end = Instant::now() + LONG;
    while is_alive(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    !is_alive(pid)
}

#[test]
fn exit_codes_signals_and_output_are_told() {
    let done = run("echo out; echo err >&2; exit 3", LONG);
    assert_eq!(done.end, End::Exited(3));
    assert_eq!((done.stdout.bytes.as_slice(), done.stderr.bytes.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(run("kill -9 $$", LONG).end, End::Exited(137));
}

#[test]
fn a_grandchild_that_holds_the_pipes_does_not_hold_us() {
    let done = run("sleep 300 & echo $!", LONG);
    let pid = String::from_utf8(done.stdout.bytes).unwrap();
    assert_eq!(done.end, End::Exited(0));
    assert!(is_alive(&pid), "it is spared");
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
}

#[test]
fn output_beyond_the_cap_is_read_and_dropped() {
    let done = run("head -c 50000000 /dev/zero; echo end >&2", LONG);
    assert_eq!(done.end, End::Exited(0));
    assert_eq!((done.stdout.bytes.len(), done.stdout.truncated), (4096, true));
    assert_eq!(done.stderr.bytes, b"end\n");
    assert!(!done.stderr.truncated);
}

#[test]
fn standard_input_is_empty_or_ours_and_may_stay_unread() {
    assert_eq!(run("cat; echo $?", LONG).stdout.bytes, b"0\n");
    let interrupt = Interrupt::default();
    let echoed = process::run(sh("cat"), b"hello", &limits(LONG), &interrupt).unwrap();
    assert_eq!(echoed.stdout.bytes, b"hello");
    let unread = process::run(sh("exit 0"), &vec![b'x'; 1 << 20], &limits(LONG), &interrupt).unwrap();
    assert_eq!(unread.end, End::Exited(0));
}

#[test]
fn at_the_deadline_the_whole_group_is_killed() {
    let done = run("sleep 300 & echo $!; wait", Duration::from_millis(300));
    assert_eq!(done.end, End::TimedOut);
    assert!(gone(&String::from_utf8(done.stdout.bytes).unwrap()));
}

#[test]
fn what_left_the_group_is_found_by_its_mark() {
    let mark = format!("MACHINE_TEST_MARK={}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut command = sh("setsid sh -c 'trap \"\" TERM; echo $$; sleep 300; sleep 300' & wait");
    command.env(name, value);
    let limits = Limits { leftovers: Leftovers::Kill { mark: &mark }, ..limits(Duration::from_millis(500)) };
    let done = process::run(command, b"", &limits, &Interrupt::default()).unwrap();
    assert_eq!(done.end, End::TimedOut);
    assert!(gone(&String::from_utf8(done.stdout.bytes).unwrap()));
}

#[test]
fn a_signal_ends_the_child_at_once() {
    let interrupt = Interrupt::default();
    interrupt.flag().store(15, Ordering::Relaxed);
    let done = process::run(sh("sleep 300"), b"", &limits(LONG), &interrupt).unwrap();
    assert_eq!(done.end, End::Interrupted);
}

#[test]
fn what_cannot_be_started_is_a_typed_error() {
    let start = |program: &str| {
        let command = process::in_own_group(program);
        process::run(command, b"", &limits(LONG), &Interrupt::default()).unwrap_err()
    };
    assert_eq!(start("/no/such/program"), StartError::NotFound("/no/such/program".into()));
    assert!(matches!(start("/etc/passwd"), StartError::Refused { .. }));
}

#[test]
fn a_session_of_its_own_keeps_the_process_id() {
    let mut command = process::in_own_session("sh");
    command.args(["-c", "echo $$ $(cut -d' ' -f6 /proc/$$/stat)"]);
    let done = process::run(command, b"", &limits(LONG), &Interrupt::default()).unwrap();
    let text = String::from_utf8(done.stdout.bytes).unwrap();
    let (pid, session) = text.trim().split_once(' ').unwrap();
    assert_eq!(pid, session);
}
