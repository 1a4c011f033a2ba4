//! Shells of this machine that play the part of a container's `sh`, with a PATH that holds only the tools that a
//! test wants there.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use recovery::check::Look;
use recovery::engine::Request;
use recovery::engine::batch::{self, Agent};
use recovery::process::Interrupt;

use super::docker::{required, skipped};

/// A folder that serves as the agent's whole PATH.
pub struct ShellContainer {
    bin: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl ShellContainer {
    /// With that program as `sh`, and these tools, `NAME` or `NAME=PROGRAM`. `None`, visibly, where one is not
    /// installed.
    pub fn new(shell: &str, tools: &[&str]) -> Option<Self> {
        let bin = tempfile::tempdir().expect("a temporary folder");
        let shell = format!("sh={shell}");
        for tool in tools.iter().chain(&[shell.as_str()]) {
            let (name, program) = tool.split_once('=').unwrap_or((tool, tool));
            let Some(real) = find(program) else {
                assert!(!required(), "{program} is not installed, and RECOVERY_REQUIRE_DOCKER=1 is set");
                skipped(&format!("{program} is not installed"));
                return None;
            };
            symlink(real, bin.path().join(name)).expect("a link");
        }
        Some(Self { bin, env: Vec::new() })
    }

    /// Sets a variable of the container's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One look at all of them.
    pub fn look(&self, requests: &[Request<'_>]) -> Vec<Look> {
        let mut command = Command::new(self.bin.path().join("sh"));
        // A busybox is asked for `sh` by its first argument.
        command.arg0(batch::LOOK_ARGV[0]).args(&batch::LOOK_ARGV[1..]);
        command.env_clear().env("PATH", self.bin.path()).envs(self.env.iter().map(|(n, v)| (n, v)));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        batch::look(Process(child.expect("a shell")), requests, &Interrupt::default(), &mut |_| {})
    }
}

/// Where a program is, as a shell would find it.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

struct Process(Child);

impl Agent for Process {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.0.stdin.take().expect("a pipe"))
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(self.0.stdout.take().expect("a pipe"))
    }

    fn finish(&mut self, within: Duration, _: &Interrupt) -> (Option<i32>, String) {
        let end = Instant::now() + within;
        loop {
            match self.0.try_wait().expect("a child of ours") {
                Some(status) => return (status.code(), String::new()),
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                None => {
                    self.0.kill().expect("a child of ours");
                    self.0.wait().expect("a child of ours");
                    return (None, String::new());
                }
            }
        }
    }
}
