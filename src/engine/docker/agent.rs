//! A shell inside a container, at the other end of `docker exec`.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::client::{Client, not_started};
use crate::check::Unknown;
use crate::engine::{ContainerRef, batch};
use crate::process::{self, Collector, End, Interrupt};

/// Kept of the client's own error messages.
const ERROR_CAP: usize = 16 * 1024;

/// A running `docker exec -i … sh`. Dropped early, its client is killed; what runs in the container is
/// bounded by the script there.
#[derive(Debug)]
pub struct ExecAgent {
    child: Child,
    stderr: Option<Collector>,
}

impl ExecAgent {
    /// Starts a shell in a container.
    ///
    /// # Errors
    /// Where the client could not be started.
    pub fn start(client: &Client, container: &ContainerRef, user: Option<&str>) -> Result<Self, Unknown> {
        let mut command = client.command();
        command.args(["exec", "-i"]);
        if let Some(user) = user {
            command.args(["-u", user]);
        }
        command.args([&container.id, "sh"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::spawn(&mut command).map_err(not_started)?;
        let stderr = child.stderr.take().map(|pipe| Collector::start(pipe, ERROR_CAP));
        Ok(Self { child, stderr })
    }
}

impl batch::Agent for ExecAgent {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        match self.child.stdin.take() {
            Some(pipe) => Box::new(pipe),
            None => Box::new(std::io::sink()),
        }
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        match self.child.stdout.take() {
            Some(pipe) => Box::new(pipe),
            None => Box::new(std::io::empty()),
        }
    }

    fn finish(&mut self, within: Duration) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let code = match process::wait(&mut self.child, Instant::now() + within, &Interrupt::default()) {
            End::Exited(code) => Some(code),
            End::TimedOut | End::Interrupted => {
                process::end(&mut self.child, Duration::ZERO);
                None
            }
        };
        let drained = Instant::now() + Duration::from_millis(200);
        let stderr = self.stderr.take().map(|collector| collector.take(drained)).unwrap_or_default();
        (code, String::from_utf8_lossy(&stderr.bytes).into_owned())
    }
}

impl Drop for ExecAgent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process::end(&mut self.child, Duration::ZERO);
        }
    }
}
