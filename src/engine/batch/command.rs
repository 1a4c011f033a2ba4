//! The host's side of a restart command: start it, wait for its end, ask what to do where it takes too long.

use std::time::Duration;

use super::driver::{Heard, Line};
use super::records::{self, Record};
use super::{Agent, dialogue, script, verdict};
use crate::check::Unknown;
use crate::engine::formats::errors;
use crate::engine::{Overrun, RestartCommand, RunResult};
use crate::process::Interrupt;

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
}

impl<'a, A: Agent> Run<'a, A> {
    pub(super) fn open(child: A, nonce: &'a str, script: String, interrupt: &'a Interrupt) -> Self {
        Self { line: Line::open(child, script), nonce, interrupt, noise: String::new() }
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
                Some(Record::Start { .. }) => return Some(Step::Started),
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
        match self.end(self.line.now() + ANSWER) {
            Some(RunResult::Exited(_)) | None => RunResult::TimedOut,
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

/// What stands in the way of even trying.
pub(super) fn obstacle(command: &RestartCommand<'_>) -> Option<Unknown> {
    script::obstacle_in_env(command.env)
        .or_else(|| script::nul_in(command.text))
        .or_else(|| command.log_path.and_then(script::nul_in))
}
