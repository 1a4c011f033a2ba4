//! The host's side of a restart command: start it, wait for its end, ask what to do where it takes too long.

use std::time::Duration;

use super::driver::{Heard, Line};
use super::records::{self, Record, Stream};
use super::{Agent, dialogue, script, verdict};
use crate::check::Unknown;
use crate::check::judge::{SHORT_CAP, last_lines};
use crate::engine::formats::errors;
use crate::engine::{Overrun, RestartCommand, RunResult};
use crate::process::Interrupt;

/// What the agent calls the standard output of the container's first process.
const FIRST_PROCESS: &str = "/proc/1/fd/1";
/// Until the agent has done what it was told.
const ANSWER: Duration = Duration::from_secs(10);

/// What the agent said last.
enum Step {
    Started,
    Begun,
    Ended(RunResult),
}

pub(super) struct Run<'a, A: Agent> {
    line: Line<A>,
    nonce: &'a str,
    interrupt: &'a Interrupt,
    noise: String,
    output: &'a mut Output,
}

/// What is known of the command's output.
#[derive(Debug, Default)]
pub(super) struct Output {
    sink: Sink,
    /// The last lines of a command that ended by itself.
    said: Vec<u8>,
    /// Those of one that was ended.
    said_at_last: Vec<u8>,
}

/// Where the command's output went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// To its log, or nowhere.
    #[default]
    Other,
    /// To the standard output of the container's first process, so that the engine has it.
    FirstProcess,
}

impl<'a, A: Agent> Run<'a, A> {
    pub(super) fn open(
        child: A,
        nonce: &'a str,
        script: String,
        interrupt: &'a Interrupt,
        output: &'a mut Output,
    ) -> Self {
        Self { line: Line::open(child, script), nonce, interrupt, noise: String::new(), output }
    }

    /// The next step until then; `None`: nothing came.
    fn step(&mut self, deadline: Duration) -> Option<Step> {
        loop {
            let line = match self.line.hear(deadline, self.interrupt) {
                Heard::Line(line) => line,
                Heard::Nothing => return None,
                Heard::Interrupted => return Some(Step::Ended(RunResult::Interrupted)),
                Heard::End => {
                    let why = Unknown::CutOff("the connection to the container ended".into());
                    return Some(Step::Ended(RunResult::Failed(why)));
                }
            };
            match records::parse(self.nonce, &line) {
                Some(Record::Start { tools, .. }) => {
                    if tools == FIRST_PROCESS {
                        self.output.sink = Sink::FirstProcess;
                    }
                    return Some(Step::Started);
                }
                Some(Record::Piece { stream, bytes, .. }) => self.output.hear(stream, bytes),
                Some(Record::Begun { .. }) => return Some(Step::Begun),
                Some(Record::Exit { code, .. }) => return Some(Step::Ended(RunResult::Exited(code))),
                Some(Record::Killed(_)) => return Some(Step::Ended(RunResult::TimedOut)),
                Some(Record::NotStarted) => {
                    let why = Unknown::CannotFork("the container".into());
                    return Some(Step::Ended(RunResult::Failed(why)));
                }
                Some(Record::Refused(why)) => {
                    return Some(Step::Ended(RunResult::Failed(Unknown::Other(why))));
                }
                None if self.noise.len() < 4096 => {
                    self.noise.push_str(&String::from_utf8_lossy(&line));
                    self.noise.push('\n');
                }
                _ => {}
            }
        }
    }

    /// The whole dialogue.
    pub(super) fn converse(
        mut self,
        timeout: Duration,
        at_timeout: &mut dyn FnMut() -> Overrun,
    ) -> RunResult {
        match self.step(dialogue::START) {
            Some(Step::Started) => {}
            Some(Step::Ended(RunResult::Interrupted)) => {
                self.line.close(self.interrupt);
                return RunResult::Interrupted;
            }
            Some(Step::Ended(RunResult::Failed(why @ Unknown::Other(_)))) => {
                self.line.close(self.interrupt);
                return RunResult::Failed(why);
            }
            heard => {
                let silent = heard.is_none();
                let (exit, stderr) = self.line.close(self.interrupt);
                if silent && stderr.trim().is_empty() {
                    return RunResult::Failed(Unknown::EngineSilent { after: dialogue::START });
                }
                return RunResult::Failed(errors::of_exec(&self.noise, &stderr, exit));
            }
        }
        self.line.order("run\n".into());
        let began = self.line.now();
        let result = self.wait(began + timeout, at_timeout);
        let (_, stderr) = self.line.close(self.interrupt);
        match result {
            RunResult::Failed(Unknown::CutOff(_)) if verdict::could_not_fork(&stderr) => {
                RunResult::Failed(Unknown::CannotFork("the container".into()))
            }
            other => other,
        }
    }

    fn wait(&mut self, deadline: Duration, at_timeout: &mut dyn FnMut() -> Overrun) -> RunResult {
        match self.end(deadline) {
            Some(result) => return result,
            None if at_timeout() == Overrun::Leave => {
                // It may have ended while we looked.
                let ended = self.end(self.line.now());
                self.line.order("leave\n".into());
                return ended.unwrap_or(RunResult::LeftRunning);
            }
            None => {}
        }
        if let Some(result) = self.end(self.line.now()) {
            return result;
        }
        self.line.order("kill\n".into());
        let limit = self.line.now() + ANSWER;
        match self.end(limit) {
            Some(RunResult::Exited(_)) => {
                // The agent has not answered yet.
                self.end(limit);
                RunResult::TimedOut
            }
            None => RunResult::TimedOut,
            Some(result) => result,
        }
    }

    fn end(&mut self, deadline: Duration) -> Option<RunResult> {
        loop {
            match self.step(deadline)? {
                Step::Ended(result) => return Some(result),
                Step::Started | Step::Begun => {}
            }
        }
    }
}

impl Output {
    fn hear(&mut self, stream: Stream, bytes: &[u8]) {
        let said = if stream == Stream::Err { &mut self.said_at_last } else { &mut self.said };
        if said.len() < SHORT_CAP {
            said.extend_from_slice(bytes);
            said.push(b'\n');
        }
    }

    /// The result with the last lines of a command that failed, and where they went.
    pub(super) fn complete(&self, result: RunResult) -> (RunResult, Sink) {
        let result = match result {
            RunResult::Exited(code) => RunResult::exited(code, || last_lines(&self.said)),
            RunResult::TimedOut => RunResult::timed_out(last_lines(&self.said_at_last)),
            other => other,
        };
        (result, self.sink)
    }
}

/// What stands in the way of even trying.
pub(super) fn obstacle(command: &RestartCommand<'_>) -> Option<Unknown> {
    script::obstacle_in_env(command.env)
        .or_else(|| script::nul_in(command.text))
        .or_else(|| command.log_path.and_then(script::nul_in))
}
