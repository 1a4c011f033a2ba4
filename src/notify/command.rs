//! Alerts by an operator's own command: facts in the environment, the body on standard input.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Notifier, NotifyError};
use crate::alert::Alert;
use crate::alert::text::{cut_chars, line};

/// No single run takes longer: a hanging command leaves half of a pass's time for sending to ntfy.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How often the command is looked after.
const TICK: Duration = Duration::from_millis(20);
/// So much of what it said last is told.
const SAID_MAX: u64 = 1000;

/// Runs a shell text for every alert.
#[derive(Debug, Clone)]
pub struct CommandNotifier {
    text: String,
}

impl CommandNotifier {
    /// Runs that text with bash, or with sh where there is none.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

impl Notifier for CommandNotifier {
    fn send(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError> {
        run(&self.text, alert, left.min(TIMEOUT)).map_err(|why| {
            let why = cut_chars(&line(&why), 300);
            NotifyError::Later(format!("notification command: {why}"))
        })
    }
}

fn run(text: &str, alert: &Alert, left: Duration) -> Result<(), String> {
    // Its words go to a file that has no name, not to a pipe: nothing it leaves running can hold us up.
    let mut said = tempfile::tempfile().ok();
    let mut child = spawn("bash", text, alert, said.as_ref())
        .or_else(|_| spawn("sh", text, alert, said.as_ref()))
        .map_err(|e| format!("cannot be started: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A body fits into a pipe's buffer, so this never waits; a command may also not care to read it.
        let _ = stdin.write_all(alert.body.as_bytes());
    }
    match wait(&mut child, left) {
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
            Err(format!("exit {code}{}", last_words(said.as_mut())))
        }
        None => {
            kill(&child);
            let _ = child.wait();
            Err(format!("was ended after {:.0} s", left.as_secs_f64()))
        }
    }
}

fn spawn(shell: &str, text: &str, alert: &Alert, said: Option<&File>) -> std::io::Result<Child> {
    let stderr = match said {
        Some(file) => file.try_clone()?.into(),
        None => Stdio::null(),
    };
    Command::new(shell)
        .args(["-c", text])
        .env("RECOVERY_TITLE", alert.title.replace('\0', ""))
        .env("RECOVERY_PRIORITY", alert.priority.to_string())
        .env("RECOVERY_TAGS", alert.tags.join(","))
        .env("RECOVERY_KIND", alert.kind.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(stderr)
        .process_group(0)
        .spawn()
}

/// `None` where it is still running when the time is over.
fn wait(child: &mut Child, left: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + left;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(left.min(TICK));
    }
}

fn kill(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn last_words(said: Option<&mut File>) -> String {
    let Some(file) = said else { return String::new() };
    let length = file.metadata().map_or(0, |m| m.len());
    let start = length.saturating_sub(SAID_MAX);
    let mut text = Vec::new();
    let read = file.seek(std::io::SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(last) if read.is_ok() => format!(": {last}"),
        _ => String::new(),
    }
}
