//! One call of the engine's command line, bounded, its errors understood.
//!
//! Every error of the client exits 1, whatever it is, so that only its text can tell.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::check::Unknown;
use crate::process::{self, End, Interrupt, Leftovers, Limits, StartError};

/// More than any listing or inspection of a machine is long.
const ANSWER_CAP: usize = 64 * 1024 * 1024;
/// Kept of an error message.
const ERROR_CAP: usize = 16 * 1024;

/// The engine's command line.
#[derive(Debug, Clone)]
pub struct Client {
    program: PathBuf,
}

impl Client {
    /// `engine` is a path, or a name looked for in `PATH` and in the usual folders.
    #[must_use]
    pub fn new(engine: &str) -> Self {
        let found = if engine.contains('/') { None } else { process::find_program(engine, &["/snap/bin"]) };
        Self { program: found.unwrap_or_else(|| PathBuf::from(engine)) }
    }

    /// A call in its own process group, marked as ours for process checks on the machine.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = process::in_own_group(&self.program);
        command.env(process::CHECK_MARK, "engine");
        command
    }

    /// Asks a question that changes nothing, and returns the answer on standard output.
    ///
    /// # Errors
    /// As told by standard error; `container` names what was asked about.
    pub fn ask(
        &self,
        arguments: &[&str],
        container: &str,
        within: Duration,
        interrupt: &Interrupt,
    ) -> Result<Vec<u8>, Unknown> {
        let mut command = self.command();
        command.args(arguments);
        let limits = Limits {
            deadline: within,
            stdout_cap: ANSWER_CAP,
            stderr_cap: ERROR_CAP,
            leftovers: Leftovers::Spare,
        };
        let done = process::run(command, b"", &limits, interrupt).map_err(not_started)?;
        match done.end {
            End::Exited(0) => Ok(done.stdout.bytes),
            End::Exited(code) => Err(understand(&done.stderr.bytes, code, container)),
            End::TimedOut => Err(Unknown::EngineSilent { after: within }),
            End::Interrupted => Err(Unknown::Interrupted),
        }
    }

    /// Gives an order that must not be left half done: a signal to us ends our waiting, not the order.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn order(
        &self,
        arguments: &[&str],
        container: &str,
        within: Duration,
        interrupt: &Interrupt,
    ) -> Result<(), Unknown> {
        // Its errors go to memory, since a pipe of ours would break once we are gone. Without them the
        // exit code still tells.
        let mut errors = process::scratch().ok();
        let theirs =
            errors.as_ref().and_then(|file| file.try_clone().ok()).map_or_else(Stdio::null, Into::into);
        let mut command = process::in_own_session(&self.program);
        command.env(process::CHECK_MARK, "engine");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(theirs);
        let mut child = process::spawn(&mut command).map_err(not_started)?;
        match process::wait(&mut child, Instant::now() + within, interrupt) {
            End::Exited(0) => Ok(()),
            End::Exited(code) => {
                Err(understand(&errors.as_mut().map(read_back).unwrap_or_default(), code, container))
            }
            End::TimedOut => {
                process::end(&mut child, Duration::from_millis(500));
                Err(Unknown::EngineSilent { after: within })
            }
            End::Interrupted => Err(Unknown::Interrupted),
        }
    }
}

fn read_back(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read back is an error without words; the exit code still tells.
    let _ = file.rewind().and_then(|()| file.take(ERROR_CAP as u64).read_to_end(&mut bytes));
    bytes
}

/// The command line itself could not be run.
#[must_use]
pub fn not_started(error: StartError) -> Unknown {
    Unknown::EngineUnreachable(match error {
        StartError::NotFound(program) => {
            format!("{program}: command not found; install it, or set recovery.engine to its path")
        }
        refused @ StartError::Refused { .. } => refused.to_string(),
    })
}

/// What an error of the command line means for `container`.
#[must_use]
pub fn understand(stderr: &[u8], code: i32, container: &str) -> Unknown {
    let text = String::from_utf8_lossy(stderr);
    let line = telling_line(&text);
    let lower = text.to_lowercase();
    let says = |what: &str| lower.contains(what);
    let state = |state: &str| Unknown::ContainerState { container: container.into(), state: state.into() };
    if says("permission denied") && (says("connect") || says("socket")) {
        let remedy = "run as root, or as a member of the engine's group";
        Unknown::EngineUnreachable(format!("permission denied on its socket; {remedy}"))
    } else if is_connection_trouble(&lower) || matches!(code, 126 | 127) {
        Unknown::EngineUnreachable(if line.is_empty() { format!("exit {code}") } else { line })
    } else if says("no such container") || says("no such object") || says("no container with name or id") {
        Unknown::NoSuchContainer(container.to_owned())
    } else if says("is paused") || says("paused container") {
        state("paused")
    } else if says("is restarting") {
        state("restarting")
    } else if says("removal of container") || says("marked for removal") {
        state("removing")
    } else if line.is_empty() {
        Unknown::Other(format!("the engine's command line ended with {code} and said nothing"))
    } else {
        Unknown::Other(line)
    }
}

fn is_connection_trouble(lower: &str) -> bool {
    [
        "cannot connect to the",
        "is the docker daemon running",
        "error during connect",
        "failed to connect to the docker api",
        "connection refused",
        "dial unix",
        "context deadline exceeded",
        "i/o timeout",
        "unable to resolve docker endpoint",
        "context not found",
        "client version",
        "unable to connect to podman",
    ]
    .iter()
    .any(|sign| lower.contains(sign))
}

/// The first line that is more than a warning, in one line, without the engine's preamble.
fn telling_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().find(|line| !line.to_lowercase().starts_with("warning"));
    let line = first.or_else(|| lines.next()).unwrap_or_default();
    let line = line.strip_prefix("Error response from daemon:").unwrap_or(line).trim();
    line.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(text: &str) -> Unknown {
        understand(text.as_bytes(), 1, "web")
    }

    #[test]
    fn an_engine_that_cannot_be_asked_is_told_from_a_container_that_is_gone() {
        for text in [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "error during connect: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.41/x\": EOF",
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "Got permission denied while trying to connect to the Docker daemon socket",
            "Failed to initialize: unable to resolve docker endpoint: context \"x\": context not found",
        ] {
            assert!(matches!(understood(text), Unknown::EngineUnreachable(_)), "{text}");
        }
        let gone = Unknown::NoSuchContainer("web".into());
        assert_eq!(understood("Error response from daemon: No such container: abc"), gone);
        assert_eq!(understood("Error: No such object: abc"), gone);
        let paused = "Error response from daemon: cannot start a paused container, try unpause instead";
        assert_eq!(
            understood(paused),
            Unknown::ContainerState { container: "web".into(), state: "paused".into() }
        );
    }

    #[test]
    fn other_refusals_are_passed_on_in_one_line() {
        let text = "WARNING: old\nError response from daemon: driver failed programming external \
                    connectivity: port is already allocated\nError: failed to start containers: web\n";
        assert_eq!(
            understood(text),
            Unknown::Other(
                "driver failed programming external connectivity: port is already allocated".into()
            )
        );
        assert_eq!(
            understand(b"", 7, "web"),
            Unknown::Other("the engine's command line ended with 7 and said nothing".into())
        );
    }

    #[test]
    fn a_missing_command_line_names_the_remedy() {
        let client = Client::new("no-such-engine-here");
        let error = client.ask(&["ps"], "", Duration::from_secs(5), &Interrupt::default()).unwrap_err();
        assert_eq!(
            error,
            Unknown::EngineUnreachable(
                "no-such-engine-here: command not found; install it, or set recovery.engine to its path"
                    .into()
            )
        );
    }
}
