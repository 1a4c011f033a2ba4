//! One bounded child process: a deadline, its own process group, capped output, and never blocked by a
//! grandchild that holds its pipes. Also the flag that a signal sets.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use thiserror::Error;

use crate::check::judge::Output;

/// Set by SIGTERM or SIGINT; everything that waits looks at it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// How often waits look at the flag.
    pub const TICK: Duration = Duration::from_millis(50);

    /// The signal that came, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&n| n != 0)
    }

    /// Whether a signal came.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.signal().is_some()
    }

    /// The flag itself, for `signal_hook::flag::register_usize`.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// Waits so long, or until a signal comes.
    pub fn wait(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while !self.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Self::TICK));
        }
    }
}

/// In the environment of everything that is started in order to look, and of nothing that is started to
/// live on: by it the checking is told from what is checked.
pub const CHECK_MARK: &str = "RECOVERY_CHECK";

/// How often a running child is looked at where the system cannot tell us of its end.
const POLL: Duration = Duration::from_millis(10);
/// How long to wait, after a child's exit, for pipes that a grandchild may still hold. Not less: on a loaded machine
/// the reader comes late, and an answer that is cut short would be misread.
const DRAIN: Duration = Duration::from_secs(3);

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// It is killed after so long.
    pub deadline: Duration,
    /// Bytes kept of its standard output; more is read and dropped.
    pub stdout_cap: usize,
    /// Bytes kept of its standard error.
    pub stderr_cap: usize,
    /// What stays behind a child that ended by itself.
    pub leftovers: Leftovers<'a>,
}

/// What to do with processes that a child leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers<'a> {
    /// Let them be where the child ended by itself.
    Spare,
    /// Kill its group, and whatever holds this entry (`NAME=value`) in its environment.
    Kill {
        /// The entry, put into the child's environment by the caller.
        mark: &'a str,
    },
}

/// A child that is over.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// How long it ran.
    pub took: Duration,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With that exit code; 128 + n for a signal.
    Exited(i32),
    /// Killed by us at its deadline.
    TimedOut,
    /// Killed by us because a signal came.
    Interrupted,
}

/// Why a child was not started.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    /// There is no such program.
    #[error("{0}: command not found")]
    NotFound(String),
    /// The system refused (not executable, busy, no process or memory left, …).
    #[error("cannot run {program}: {reason}")]
    Refused {
        /// The program.
        program: String,
        /// What the system said.
        reason: String,
    },
}

/// A file in memory, for the output of a child that may outlive us: no disk can be too full for it, and it
/// is no pipe that breaks.
///
/// # Errors
/// What the system said.
pub fn scratch() -> std::io::Result<std::fs::File> {
    Ok(rustix::fs::memfd_create("recovery-output", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

/// A command in its own process group: a Ctrl-C at the terminal does not reach it.
#[must_use]
pub fn in_own_group(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.process_group(0);
    command
}

/// A command in its own session, so that neither our end nor a terminal's hang-up reaches it.
///
/// The `setsid` program keeps the process id, as long as the child is no group leader yet. Where there is
/// none, the command gets a process group of its own instead.
#[must_use]
pub fn in_own_session(program: impl AsRef<OsStr>) -> Command {
    match find_program("setsid", &[]) {
        Some(setsid) => {
            let mut command = Command::new(setsid);
            command.arg(program);
            command
        }
        None => in_own_group(program),
    }
}

/// Where a bare program name stands: in `PATH`, then in the usual folders (cron's `PATH` is minimal), then
/// in `further` ones.
#[must_use]
pub fn find_program(name: &str, further: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/bin"].iter().chain(further).map(PathBuf::from);
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .chain(usual)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a child to its end, its deadline or an interrupt, whichever comes first.
///
/// It gets `stdin` (or an empty one) and pipes for its output. Nothing that it leaves behind can hold us
/// up, whatever pipes it holds. The command should come from [`in_own_group`] or [`in_own_session`]; on a
/// kill the whole group goes.
///
/// # Errors
/// Where it could not be started.
pub fn run(
    mut command: Command,
    stdin: &[u8],
    limits: &Limits<'_>,
    interrupt: &Interrupt,
) -> Result<Finished, StartError> {
    command.stdin(if stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = spawn(&mut command)?;
    if let Some(pipe) = child.stdin.take() {
        feed(pipe, stdin.to_vec());
    }
    let stdout = child.stdout.take().map(|pipe| Collector::start(pipe, limits.stdout_cap));
    let stderr = child.stderr.take().map(|pipe| Collector::start(pipe, limits.stderr_cap));

    let end = await_end(&mut child, begun + limits.deadline, interrupt);
    let by_itself = matches!(end, End::Exited(_));
    if let Leftovers::Kill { mark } = limits.leftovers {
        // The child is not reaped yet, so its id cannot have become another group's.
        kill_group(&child, Signal::KILL);
        let silent = [&stdout, &stderr].into_iter().flatten().all(Collector::is_done);
        // A look through all of /proc is only paid for where somebody may be left.
        if !by_itself || !silent {
            kill_marked(mark);
        }
    }
    if !by_itself {
        kill_group(&child, Signal::KILL);
    }
    reap(&mut child);
    let took = begun.elapsed();
    let drained = Instant::now() + DRAIN;
    let output = |collector: Option<Collector>| collector.map(|c| c.take(drained)).unwrap_or_default();
    Ok(Finished { end, stdout: output(stdout), stderr: output(stderr), took })
}

/// Starts a child, its errors typed.
///
/// # Errors
/// [`StartError`]
pub fn spawn(command: &mut Command) -> Result<Child, StartError> {
    command.spawn().map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        match error.kind() {
            ErrorKind::NotFound => StartError::NotFound(program),
            _ => StartError::Refused { program, reason: error.to_string() },
        }
    })
}

/// Waits for a child's own end, until a point in time, or for an interrupt. Kills nothing.
pub fn wait(child: &mut Child, until: Instant, interrupt: &Interrupt) -> End {
    let end = await_end(child, until, interrupt);
    if matches!(end, End::Exited(_)) {
        reap(child);
    }
    end
}

/// Ends a child and its group: asks with TERM, and kills what is left after `grace`.
pub fn end(child: &mut Child, grace: Duration) {
    kill_group(child, Signal::TERM);
    await_end(child, Instant::now() + grace, &Interrupt::default());
    kill_group(child, Signal::KILL);
    reap(child);
}

fn await_end(child: &mut Child, until: Instant, interrupt: &Interrupt) -> End {
    let mut watch = rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok();
    loop {
        if let Some(code) = peek(child) {
            return End::Exited(code);
        }
        if interrupt.is_set() {
            return End::Interrupted;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return End::TimedOut;
        }
        match &watch {
            // Where its exit code is not there for us, only looking again can help.
            Some(child) if ends_within(child, left.min(Interrupt::TICK)) => watch = None,
            Some(_) => {}
            None => std::thread::sleep(left.min(POLL)),
        }
    }
}

/// Waits until the watched child has ended, or so long.
fn ends_within(watch: &OwnedFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    rustix::event::poll(&mut [PollFd::new(watch, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}

/// The exit code of a child that has ended; it stays a zombie, and its id its own.
fn peek(child: &Child) -> Option<i32> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = rustix::process::waitid(WaitId::Pid(Pid::from_child(child)), options).ok()??;
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
}

/// Takes an ended child out of the process table. Bounded: one that hangs in the kernel is left there.
fn reap(child: &mut Child) {
    for _ in 0..100 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// Signals a child's whole group. A child that is just about to become a group leader is met by itself.
fn kill_group(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    if rustix::process::kill_process_group(pid, signal).is_err() {
        // The only errors are that the group is gone or never was; then there is nobody else to tell.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Kills every process that has this entry in its environment, also those that left their group.
pub fn kill_marked(mark: &str) {
    // Rounds, because a process may fork while we look; bounded, because one may hang in the kernel.
    for _ in 0..5 {
        let marked = marked(mark);
        if marked.is_empty() {
            return;
        }
        for pid in marked {
            // It may be gone by now.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(POLL);
    }
}

fn marked(mark: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .filter(|pid| {
            std::fs::read(format!("/proc/{}/environ", pid.as_raw_pid()))
                .is_ok_and(|environ| environ.split(|&b| b == 0).any(|entry| entry == mark.as_bytes()))
        })
        .collect()
}

/// Writes to a child's standard input from a thread of its own, since the child may not read it.
fn feed(mut pipe: impl Write + Send + 'static, bytes: Vec<u8>) {
    // A child that does not read its input tells us by its exit code. Without a thread it gets none.
    let _ = std::thread::Builder::new().spawn(move || pipe.write_all(&bytes));
}

/// Reads a pipe to its end in a thread that nobody waits for, and keeps the first bytes.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    so_far: Mutex<SoFar>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct SoFar {
    output: Output,
    done: bool,
}

impl Collector {
    /// Starts reading; keeps `cap` bytes and drops what follows.
    pub fn start(mut pipe: impl Read + Send + 'static, cap: usize) -> Self {
        let shared = Arc::new(Collected::default());
        let theirs = Arc::clone(&shared);
        // Without a thread the pipe is closed and the output is empty.
        let started = std::thread::Builder::new().spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => theirs.keep(&buffer[..n], cap),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            theirs.end();
        });
        if started.is_err() {
            shared.end();
        }
        Self { shared }
    }

    /// Whether the pipe came to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shared.so_far().done
    }

    /// What came until the pipe's end, or until that point in time.
    #[must_use]
    pub fn take(self, until: Instant) -> Output {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.shared.ended.wait_timeout_while(self.shared.so_far(), left, |so_far| !so_far.done);
        let (mut so_far, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut so_far.output)
    }
}

impl Collected {
    /// The output stays usable after a panic elsewhere: it only grows.
    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, bytes: &[u8], cap: usize) {
        let output = &mut self.so_far().output;
        let room = cap.saturating_sub(output.bytes.len()).min(bytes.len());
        output.bytes.extend_from_slice(&bytes[..room]);
        output.truncated |= room < bytes.len();
    }

    fn end(&self) {
        self.so_far().done = true;
        self.ended.notify_all();
    }
}
