//! One call of the engine's command line, bounded, its errors understood.
//!
//! Every error of the client exits 1, whatever it is, so that only its text can tell.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::check::Unknown;
use crate::clock::Timestamp;
use crate::engine::formats::errors::{self, Asked};
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

    /// When a local engine began, told by its file beside its socket.
    #[must_use]
    pub fn engine_began(&self) -> Option<Timestamp> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let file = Path::new(host.strip_prefix("unix://")?).with_extension("pid");
        std::fs::metadata(file).and_then(|found| found.modified()).ok().map(Timestamp::from)
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
            End::Exited(code) => Err(errors::of_call(&done.stderr.bytes, code, container, Asked::Question)),
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
            End::Exited(code) => Err(errors::of_call(
                &errors.as_mut().map(read_back).unwrap_or_default(),
                code,
                container,
                Asked::Order,
            )),
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

#[cfg(test)]
mod tests {
    use super::*;

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
