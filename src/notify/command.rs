//! Alerts by an operator's own command: facts in the environment, the body on standard input.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{GRACE, Notifier, NotifyError};
use crate::alert::Alert;
use crate::alert::text::{cut_chars, line};
use crate::process::{self, End, Interrupt};

/// No single run takes longer: a hanging command leaves half of a pass's time for sending to ntfy.
const TIMEOUT: Duration = Duration::from_secs(15);
/// So much of what it said last is told.
const SAID_MAX: u64 = 1000;

/// Runs a shell text for every alert.
#[derive(Debug, Clone)]
pub struct CommandNotifier {
    text: String,
    interrupt: Interrupt,
}

impl CommandNotifier {
    /// Runs that text with bash, or with sh where there is none.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), interrupt: Interrupt::default() }
    }

    pub(super) fn heeding(self, interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), ..self }
    }
}

impl Notifier for CommandNotifier {
    fn send(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError> {
        run(&self.text, alert, left.min(TIMEOUT), &self.interrupt).map_err(|why| {
            let why = cut_chars(&line(&why), 300);
            NotifyError::Later(format!("notification command: {why}"))
        })
    }
}

fn run(text: &str, alert: &Alert, left: Duration, interrupt: &Interrupt) -> Result<(), String> {
    // Its words go to memory, not to a pipe: nothing it leaves running can hold us up.
    let mut said = process::scratch().ok();
    let mut child = spawn("bash", text, alert, said.as_ref())
        .or_else(|_| spawn("sh", text, alert, said.as_ref()))
        .map_err(|e| format!("cannot be started: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A body fits into a pipe's buffer, so this never waits; a command may also not care to read it.
        let _ = stdin.write_all(alert.body.as_bytes());
    }
    let mut end = process::wait(&mut child, Instant::now() + left, interrupt);
    if end == End::Interrupted {
        // An alert is not torn in two where a moment more delivers it.
        end = process::wait(&mut child, Instant::now() + left.min(GRACE), &Interrupt::default());
    }
    match end {
        End::Exited(0) => Ok(()),
        End::Exited(code) => Err(format!("exit {code}{}", last_words(said.as_mut()))),
        End::TimedOut | End::Interrupted => {
            process::end(&mut child, Duration::ZERO);
            if interrupt.is_set() {
                return Err("was ended by a signal".to_owned());
            }
            Err(format!("was ended after {:.0} s", left.as_secs_f64()))
        }
    }
}

fn spawn(shell: &str, text: &str, alert: &Alert, said: Option<&File>) -> std::io::Result<Child> {
    let stderr = match said {
        Some(file) => file.try_clone()?.into(),
        None => Stdio::null(),
    };
    process::in_own_group(shell)
        .args(["-c", text])
        .env("RECOVERY_TITLE", alert.title.replace('\0', ""))
        .env("RECOVERY_PRIORITY", alert.priority.to_string())
        .env("RECOVERY_TAGS", alert.tags.join(","))
        .env("RECOVERY_KIND", alert.kind.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
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
