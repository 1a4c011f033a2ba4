//! Runs a command to its end within a deadline, with its output in files: a grandchild that keeps them open
//! cannot hang a test. [`through_pipes`] is for the tests of exactly that.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; 128 + n where signal n ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Finished {
    /// Panics with all the output where the exit code is another one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs `command` with `stdin` as its standard input; panics, after ending its process group, at the deadline.
pub fn within(limit: Duration, mut command: Command, stdin: &[u8]) -> Finished {
    let mut input = tempfile::tempfile().expect("a temporary file");
    input.write_all(stdin).expect("standard input is written");
    input.rewind().expect("a file can be rewound");
    let (mut out, mut err) =
        (tempfile::tempfile().expect("a temporary file"), tempfile::tempfile().expect("a temporary file"));
    command.stdin(input);
    command.stdout(out.try_clone().expect("a second handle"));
    command.stderr(err.try_clone().expect("a second handle"));
    let begin = Instant::now();
    let mut child = spawn(&mut command);
    let status = wait(&mut child, begin + limit);
    let elapsed = begin.elapsed();
    let (stdout, stderr) = (whole(&mut out), whole(&mut err));
    let Some(status) = status else {
        panic!("{command:?} did not end within {limit:?}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    };
    Finished { code: code(status), stdout, stderr, elapsed }
}

/// Runs `command` with pipes, as cron does, and waits for their end: panics where something it started still
/// holds one when the deadline is over.
pub fn through_pipes(limit: Duration, mut command: Command) -> Finished {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = spawn(&mut command);
    let out = drain(child.stdout.take().expect("standard output is a pipe"));
    let err = drain(child.stderr.take().expect("standard error is a pipe"));
    let status =
        wait(&mut child, begin + limit).unwrap_or_else(|| panic!("{command:?} did not end within {limit:?}"));
    let rest = || (begin + limit).saturating_duration_since(Instant::now());
    let stdout =
        out.recv_timeout(rest()).unwrap_or_else(|_| panic!("{command:?}: standard output is still open"));
    let stderr =
        err.recv_timeout(rest()).unwrap_or_else(|_| panic!("{command:?}: standard error is still open"));
    Finished { code: code(status), stdout, stderr, elapsed: begin.elapsed() }
}

/// Waits for a command that was started elsewhere with its output nowhere; panics, after killing it, when it has
/// not ended within `limit`.
pub fn finish(mut child: Child, limit: Duration) -> Finished {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            let nothing = String::new;
            return Finished {
                code: code(status),
                stdout: nothing(),
                stderr: nothing(),
                elapsed: begin.elapsed(),
            };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill().and_then(|()| child.wait());
    panic!("process {} did not end within {limit:?}", child.id());
}

/// Whether the machine has a program.
pub fn there_is(program: &str) -> bool {
    let asked = Command::new("sh").args(["-c", &format!("command -v {program} >/dev/null")]).status();
    asked.is_ok_and(|end| end.success())
}

/// Starts it as the leader of its own process group, so that all of it can be ended.
fn spawn(command: &mut Command) -> Child {
    command.process_group(0).spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// `None`: the deadline was over, and its process group has been killed.
fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if Instant::now() >= end {
            let group = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn whole(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("a file can be read back");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn drain(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}
