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
/// How long the client may take to end after a signal: it only has to pass on that its standard input has ended.
const HASTE: Duration = Duration::from_secs(1);

/// A running `docker exec -i … sh`. Dropped early, its client is killed; what runs in the container is
/// bounded by the script there.
#[derive(Debug)]
pub struct ExecAgent {
    child: Child,
    stderr: Option<Collector>,
}

impl ExecAgent {
    /// Starts `shell`, a program with its arguments, in a container.
    ///
    /// # Errors
    /// Where the client could not be started.
    pub fn start(
        client: &Client,
        container: &ContainerRef,
        user: Option<&str>,
        shell: &[&str],
    ) -> Result<Self, Unknown> {
        let mut command = client.command();
        command.args(["exec", "-i"]);
        if let Some(user) = user {
            command.args(["-u", user]);
        }
        command.arg(&container.id).args(shell);
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

    fn finish(&mut self, within: Duration, interrupt: &Interrupt) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let until = Instant::now() + within;
        let mut end = process::wait(&mut self.child, until, interrupt);
        if matches!(end, End::Interrupted) {
            let soon = until.min(Instant::now() + HASTE);
            end = process::wait(&mut self.child, soon, &Interrupt::default());
        }
        let code = match end {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::Ordering;

    use super::*;
    use batch::Agent;

    fn start(program: &str, user: Option<&str>) -> Result<ExecAgent, Unknown> {
        let at = ContainerRef { id: "be34".into(), name: "web".into() };
        ExecAgent::start(&Client::new(program), &at, user, &["sh"])
    }

    /// `echo` shows what the engine's command line is asked to do.
    fn asked(user: Option<&str>) -> String {
        let mut agent = start("echo", user).unwrap();
        let mut text = String::new();
        agent.take_stdout().read_to_string(&mut text).unwrap();
        assert_eq!(agent.finish(Duration::from_secs(60), &Interrupt::default()), (Some(0), String::new()));
        text
    }

    #[test]
    fn the_shell_is_started_by_full_id_as_the_user_asked_for() {
        assert_eq!(asked(None), "exec -i be34 sh\n");
        assert_eq!(asked(Some("app:app")), "exec -i -u app:app be34 sh\n");
    }

    #[test]
    fn what_the_client_says_in_error_is_kept() {
        let (code, text) = start("ls", None).unwrap().finish(Duration::from_secs(60), &Interrupt::default());
        assert_eq!(code, Some(2));
        assert!(text.contains("be34"), "{text}");
    }

    #[test]
    fn a_client_that_ends_late_is_not_waited_for_after_a_signal() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("ends-late");
        std::fs::write(&program, "#!/bin/sh\nsleep 20\nexit 7\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let interrupt = Interrupt::default();
        interrupt.flag().store(15, Ordering::SeqCst);
        let mut agent = start(program.to_str().unwrap(), None).unwrap();
        assert_eq!(agent.finish(Duration::from_secs(60), &interrupt), (None, String::new()));
    }

    #[test]
    fn a_client_that_does_not_start_is_the_engines_trouble() {
        assert!(start("/no/such/engine", None).is_err_and(|why| why.is_engine()));
    }
}
