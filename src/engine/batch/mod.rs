//! Many checks, or one restart command, in a container through one `exec`: a dialogue with a tiny shell
//! script, the *agent*. `docs/batch-protocol.md` describes it.
//!
//! Starting the container client belongs in the engine; here is only what goes through its pipes.

use std::io::{Read, Write};
use std::time::Duration;

use super::{Overrun, Request, RestartCommand, RunResult};
use crate::check::{Look, Unknown};
use crate::config::model::ServiceName;
use crate::process::Interrupt;

/// What runs in the container for [`look`]: by these arguments the agents of other passes are known, too.
pub const LOOK_ARGV: [&str; 3] = ["sh", "-s", ":rcvy:"];
/// What runs in the container for [`run`] and [`remove_marker`]. Not [`LOOK_ARGV`]: what a restart command
/// started is no process of the checking.
pub const RUN_ARGV: [&str; 1] = ["sh"];

/// A started client whose standard input is read by a shell.
pub trait Agent {
    /// The pipe to the shell; dropped when the dialogue is over.
    fn take_stdin(&mut self) -> Box<dyn Write + Send>;
    /// What the shell prints.
    fn take_stdout(&mut self) -> Box<dyn Read + Send>;
    /// Waits bounded for the end after stdin was dropped; kills the client if needed; returns the exit code
    /// if there is any, and the capped text of standard error.
    fn finish(&mut self, within: Duration) -> (Option<i32>, String);
}

/// Makes all checks, side by side; one result a request, in order.
pub fn look(child: impl Agent, requests: &[Request<'_>], interrupt: &Interrupt) -> Vec<Look> {
    let _ = (child, interrupt);
    requests.iter().map(|_| Look::unknown(Unknown::Other(String::new()))).collect()
}

/// Runs a restart command; `at_timeout` is asked once where it is still running at its time-out.
pub fn run(
    child: impl Agent,
    command: &RestartCommand<'_>,
    interrupt: &Interrupt,
    at_timeout: &mut dyn FnMut() -> Overrun,
) -> RunResult {
    let _ = (child, command, interrupt, at_timeout);
    RunResult::Failed(Unknown::Other(String::new()))
}

/// Removes a manual-stop marker inside the container; `true` where there was one.
///
/// # Errors
/// Where it could not be looked for or not be removed.
pub fn remove_marker(child: impl Agent, service: &ServiceName) -> Result<bool, Unknown> {
    let _ = (child, service);
    Ok(false)
}

/// Puts a container's name for people into a reason that came without one, or with an id.
#[must_use]
pub fn named(why: Unknown, container: &str) -> Unknown {
    let name = container.to_owned();
    match why {
        Unknown::NoSuchContainer(_) => Unknown::NoSuchContainer(name),
        Unknown::NoShell(_) => Unknown::NoShell(name),
        Unknown::CannotFork(_) => Unknown::CannotFork(name),
        Unknown::ContainerState { state, .. } => Unknown::ContainerState { container: name, state },
        other => other,
    }
}
