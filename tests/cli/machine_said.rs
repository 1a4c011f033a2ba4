//! What an operator's commands on the machine say when they fail, and what becomes of what they leave running.

use crate::common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use common::fixture::Fixture;
use common::ntfy::Ntfy;
use common::until::until;
use recovery::config::model::ServiceName;
use recovery::engine::host::Host;
use recovery::engine::{Overrun, RestartCommand, RunResult};
use recovery::process::Interrupt;
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

fn restart(text: &str, log_path: Option<&str>, user: Option<&str>, timeout: Duration) -> RunResult {
    let service = ServiceName::new("svc").expect("a name");
    let command = RestartCommand { service: &service, text, env: &[], user, log_path, timeout };
    Host::new(1, Interrupt::default(), PathBuf::from("/opt/recovery")).run(&command, &mut || Overrun::End)
}

fn complained(code: i32, said: &str) -> RunResult {
    RunResult::Complained { code: Some(code), said: said.to_owned() }
}

#[test]
fn a_failing_command_is_told_with_its_last_five_lines() {
    let text = "for i in 1 2 3 4 5 6; do echo $i; done; echo seven >&2; exit 7";
    assert_eq!(restart(text, None, None, SOON), complained(7, "3\n4\n5\n6\nseven"));
    assert_eq!(restart("exit 7", None, None, SOON), RunResult::Exited(7));
    assert_eq!(restart("echo fine", None, None, SOON), RunResult::Exited(0));
    let long = "head -c 3000000 /dev/zero | tr '\\0' x; echo; printf end; exit 1";
    let RunResult::Complained { said, .. } = restart(long, None, None, SOON) else { panic!("no words") };
    assert!(said.ends_with("x\nend") && said.len() <= 4096, "{}", said.len());
    // What stays behind and talks on does not hold it up.
    let noisy = "(while :; do echo noise; done) & n=$!; echo begun; (sleep 1; kill $n) & exit 2";
    assert!(matches!(restart(noisy, None, None, SOON), RunResult::Complained { code: Some(2), .. }));
    let hangs = restart("echo waiting for a lock; sleep 1000", None, None, Duration::from_millis(500));
    assert_eq!(hangs, RunResult::Complained { code: None, said: "waiting for a lock".to_owned() });
}

#[test]
fn the_words_in_a_log_are_those_of_this_command_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("svc.log");
    let path = log.to_str();
    fs::write(&log, "old words\n").expect("the log is written");
    assert_eq!(restart("exit 3", path, None, SOON), RunResult::Exited(3));
    assert_eq!(restart("echo new words; exit 3", path, None, SOON), complained(3, "new words"));
    assert_eq!(fs::read_to_string(&log).expect("the log"), "old words\nnew words\n");
    // Where it cannot be opened nothing is lost.
    assert_eq!(restart("echo x; exit 3", Some("/no/such/folder/x"), None, SOON), complained(3, "x"));
    // Nor does a pipe in its place hold anybody up.
    fs::remove_file(&log).expect("the log is removed");
    rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let reader = fs::OpenOptions::new().read(true).write(true).open(&log).expect("a reader");
    assert_eq!(restart("echo x; exit 3", path, None, SOON), RunResult::Exited(3));
    drop(reader);
}

#[test]
fn another_user_is_heard_too_but_shows_no_files_of_others() {
    if !rustix::process::geteuid().is_root() {
        return common::docker::skipped("only root can become another user");
    }
    let user = Some("nobody");
    assert_eq!(restart("echo x >/dev/stderr; exit 3", None, user, SOON), complained(3, "x"));
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("all may write there");
    let at = |name: &str| folder.path().join(name);
    let (log, secret) = (at("log"), at("secret"));
    fs::write(&secret, "begin\n").expect("the secret is written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("it is a secret");
    std::os::unix::fs::symlink(&secret, &log).expect("a link");
    // Somebody writes to it while the command runs.
    let (begun, go) = (at("begun"), at("go"));
    let text =
        format!("touch '{}'; until [ -e '{}' ]; do sleep 0.05; done; exit 3", begun.display(), go.display());
    let result = std::thread::scope(|scope| {
        let run = scope.spawn(|| restart(&text, log.to_str(), user, SOON));
        until("it runs", SOON, || begun.exists().then_some(()));
        fs::write(&secret, "begin\nroot's own words\n").expect("the secret is written");
        fs::write(&go, "").expect("the sign is given");
        run.join().expect("it ends")
    });
    assert_eq!(result, RunResult::Exited(3));
}

/// A service whose restart leaves a program running that writes without end, and counts itself in `alive`.
fn noisy(end: &str) -> Fixture {
    let mut fixture = Fixture::new();
    let (alive, pid) = (fixture.path("alive"), fixture.path("pid"));
    let text = format!(
        "while head -c 100000 /dev/zero; do sleep 0.02; echo x >>'{}'; done & echo $! >'{}'; {end}",
        alive.display(),
        pid.display()
    );
    fixture.service(
        "web",
        json!({
            "health_check": {"type": "custom", "command": format!("test -e '{}'", alive.display())},
            "restart_cmd": text, "startup_delay_seconds": 0
        }),
    );
    fixture
}

fn written(fixture: &Fixture) -> u64 {
    fs::metadata(fixture.path("alive")).map_or(0, |meta| meta.len())
}

/// The processes that hold that open file, by its name in /proc.
fn holders(of: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let fds = entries.filter_map(|entry| fs::read_dir(entry.path().join("fd")).ok());
    let holds = |fd: fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy() == of);
    fds.map(|fds| fds.flatten().any(holds)).filter(|held| *held).count()
}

/// It goes on writing, and nobody stays once it has ended.
#[track_caller]
fn lives_on_and_leaves_nobody(fixture: &Fixture) {
    let before = written(fixture);
    until("it goes on", SOON, || (written(fixture) > before + 100).then_some(()));
    let pid = fs::read_to_string(fixture.path("pid")).expect("its number").trim().to_owned();
    let pipe = fs::read_link(format!("/proc/{pid}/fd/1")).expect("its output").to_string_lossy().into_owned();
    assert!(pipe.starts_with("pipe:"), "{pipe}");
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status().expect("kill runs");
    assert!(killed.success());
    until("nobody holds the pipe", SOON, || (holders(&pipe) == 0).then_some(()));
}

#[test]
fn a_program_that_is_left_running_writes_on_after_the_pass() {
    let fixture = noisy("true");
    fixture.pass().expect_code(0);
    lives_on_and_leaves_nobody(&fixture);
}

#[test]
fn a_program_that_is_left_running_outlives_a_pass_that_was_killed() {
    let fixture = noisy("sleep 1000");
    let mut pass = fixture.command(&["run"]).spawn().expect("a pass");
    until("it was restarted", SOON, || (written(&fixture) > 0).then_some(()));
    pass.kill().and_then(|()| pass.wait()).expect("it is killed");
    let shell = fs::read_to_string(fixture.path("pid")).expect("its number");
    lives_on_and_leaves_somebody_in_the_foreground(&fixture, shell.trim());
}

/// The shell that waits in the foreground holds the pipe as well.
fn lives_on_and_leaves_somebody_in_the_foreground(fixture: &Fixture, pid: &str) {
    let parent = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent").trim().to_owned()
    };
    let group = format!("-{}", parent(pid));
    let before = written(fixture);
    until("it goes on", SOON, || (written(fixture) > before + 100).then_some(()));
    let pipe = fs::read_link(format!("/proc/{pid}/fd/1")).expect("its output").to_string_lossy().into_owned();
    let killed = std::process::Command::new("kill").args(["-9", "--", &group]).status().expect("kill runs");
    assert!(killed.success());
    until("nobody holds the pipe", SOON, || (holders(&pipe) == 0).then_some(()));
}

#[test]
fn the_words_of_a_failing_restart_are_in_the_log_and_in_the_alert() {
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    fixture.ntfy(&ntfy).service(
        "web",
        json!({
            "health_check": {"type": "custom", "command": "exit 1"},
            "cleanup_cmd": "echo no such lock >&2; exit 4",
            "restart_cmd": "echo 'token=abc123'; echo 'Failed to restart web.service: Unit not found.' >&2; exit 5",
            "startup_delay_seconds": 0, "startup_timeout_seconds": 0
        }),
    );
    fixture.pass().expect_code(1);
    let said = "exit 5: token=*** | Failed to restart web.service: Unit not found.";
    assert_eq!(fixture.count(&format!("restart_result: {said}")), 1, "{}", fixture.log());
    assert_eq!(fixture.count("the cleanup of web failed (exit 4: no such lock)"), 1, "{}", fixture.log());
    let alerts = ntfy.messages();
    assert!(
        alerts.iter().any(|alert| alert.to_string().contains(&format!("Restart result: {said}"))),
        "{alerts:?}"
    );
}
