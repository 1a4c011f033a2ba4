//! (being written) The one-exec protocol.

use std::io::{Read, Write};
use std::time::Duration;

use super::{Overrun, Request, RestartCommand, RunResult};
use crate::check::{Look, Unknown};
use crate::config::model::ServiceName;
use crate::process::Interrupt;

/// A shell in a container.
pub trait Agent {
    /// Its standard input.
    fn take_stdin(&mut self) -> Box<dyn Write + Send>;
    /// Its standard output.
    fn take_stdout(&mut self) -> Box<dyn Read + Send>;
    /// Waits for its end.
    fn finish(&mut self, within: Duration) -> (Option<i32>, String);
}

/// Looks.
pub fn look(_child: impl Agent, requests: &[Request<'_>], _interrupt: &Interrupt) -> Vec<Look> {
    requests.iter().map(|_| Look::unknown(Unknown::Interrupted)).collect()
}

/// Runs.
pub fn run(
    _child: impl Agent,
    _command: &RestartCommand<'_>,
    _interrupt: &Interrupt,
    _at_timeout: &mut dyn FnMut() -> Overrun,
) -> RunResult {
    RunResult::Interrupted
}

/// Removes.
///
/// # Errors
/// Always.
pub fn remove_marker(
    _child: impl Agent,
    _service: &ServiceName,
    _interrupt: &Interrupt,
) -> Result<bool, Unknown> {
    Err(Unknown::Interrupted)
}
