//! Many checks, or one restart command, in a container through one `exec`: a dialogue with a tiny shell
//! script, the *agent*. `docs/batch-protocol.md` describes it.
//!
//! Starting the container client belongs in the engine; here is only what goes through its pipes.

mod carried;
mod command;
mod dialogue;
mod driver;
mod listing;
mod records;
mod script;
#[cfg(test)]
mod shells;
mod slot;
#[cfg(test)]
mod tests;
mod verdict;

use std::io::{Read, Write};
use std::time::Duration;

use self::command::Run;
pub use self::command::Sink;
pub use self::dialogue::SIDE_BY_SIDE;
use self::dialogue::{Conversation, Progress};
use self::driver::{Heard, Line};
use self::records::Record;
pub use self::verdict::could_not_fork;
use super::formats::errors;
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
    /// Waits bounded for the end after stdin was dropped, and after a signal only briefly; kills the client if
    /// needed; returns the exit code if there is any, and the capped text of standard error.
    fn finish(&mut self, within: Duration, interrupt: &Interrupt) -> (Option<i32>, String);
}

/// What happens while the checks are made.
#[derive(Debug)]
pub enum Step {
    /// The agent has announced itself.
    Started,
    /// That request is settled while others are not yet.
    Look(usize, Look),
}

/// Whether a check must not share its agent with others: it would find their processes, or hold them up.
#[must_use]
pub fn must_be_alone(request: &Request<'_>) -> bool {
    script::looks_at_processes(&request.check.probe)
}

/// Makes all checks, side by side; one result a request, in order. `step` hears of them as they come.
pub fn look(
    child: impl Agent,
    requests: &[Request<'_>],
    interrupt: &Interrupt,
    step: &mut dyn FnMut(Step),
) -> Vec<Look> {
    converse(child, requests, interrupt, step).looks
}

/// The same; `None` where the client ended before its agent had announced itself, for whatever reason.
pub fn look_if_it_speaks(
    child: impl Agent,
    requests: &[Request<'_>],
    interrupt: &Interrupt,
    step: &mut dyn FnMut(Step),
) -> Option<Vec<Look>> {
    let said = converse(child, requests, interrupt, step);
    (!said.nothing).then_some(said.looks)
}

/// What came of a dialogue.
struct Said {
    looks: Vec<Look>,
    /// The client ended before its agent had announced itself.
    nothing: bool,
}

fn converse(
    child: impl Agent,
    requests: &[Request<'_>],
    interrupt: &Interrupt,
    step: &mut dyn FnMut(Step),
) -> Said {
    // What the checks can read of themselves must not tell how the agent speaks.
    let (nonce, mark) = match nonce().and_then(|first| Ok((first, nonce()?))) {
        Ok(both) => both,
        Err(why) => {
            let looks = requests.iter().map(|_| Look::unknown(why.clone())).collect();
            return Said { looks, nothing: false };
        }
    };
    let line = Line::open(child, script::look(&nonce, &mark, requests));
    let mut talk = Conversation::new(&nonce, requests).beside(super::host::of_the_checking);
    let why = speak(&line, &mut talk, interrupt, step);
    let nothing = matches!(why, Some(Unknown::CutOff(_))) && !talk.started();
    let (exit, stderr) = line.close(interrupt);
    let why = match why {
        Some(Unknown::EngineSilent { .. }) if !stderr.trim().is_empty() => {
            errors::of_exec(&talk.noise(), &stderr, exit)
        }
        Some(Unknown::CutOff(_)) if nothing => errors::of_exec(&talk.noise(), &stderr, exit),
        Some(Unknown::CutOff(_)) if verdict::could_not_fork(&stderr) => {
            Unknown::CannotFork("the container".into())
        }
        why => why.unwrap_or_else(|| Unknown::CutOff("the agent gave no answer".into())),
    };
    Said { looks: talk.looks(&why), nothing }
}

/// Speaks until nothing is left to say; why not, where something was.
fn speak<A: Agent>(
    line: &Line<A>,
    talk: &mut Conversation<'_>,
    interrupt: &Interrupt,
    step: &mut dyn FnMut(Step),
) -> Option<Unknown> {
    let mut late: Option<Duration> = None;
    let mut announced = false;
    loop {
        line.order(talk.orders());
        if talk.started() && !announced {
            announced = true;
            step(Step::Started);
        }
        for (index, look) in talk.settled() {
            step(Step::Look(index, look));
        }
        match talk.progress() {
            Progress::Going => {}
            Progress::Finished => break None,
            Progress::Silent => break Some(Unknown::EngineSilent { after: dialogue::START }),
        }
        match line.hear(talk.deadline(), interrupt) {
            Heard::Line(text) => {
                let now = line.now();
                talk.line(&text, now);
                // What lies in the pipe already came in time, even where we slept; but a flood of it must
                // not hide that a deadline has passed.
                if now < talk.deadline() {
                    late = None;
                } else if now > *late.get_or_insert(now) + Interrupt::TICK * 10 {
                    talk.tick(now);
                }
            }
            Heard::Nothing => talk.tick(line.now()),
            Heard::Interrupted => break Some(Unknown::Interrupted),
            Heard::End => break Some(Unknown::CutOff("the connection to the container ended".into())),
        }
    }
}

/// Runs a restart command; `at_timeout` is asked once where it is still running at its time-out.
pub fn run(
    child: impl Agent,
    command: &RestartCommand<'_>,
    interrupt: &Interrupt,
    at_timeout: &mut dyn FnMut() -> Overrun,
) -> RunResult {
    run_to(child, command, interrupt, at_timeout).0
}

/// The same, with where the command's output went.
pub fn run_to(
    child: impl Agent,
    command: &RestartCommand<'_>,
    interrupt: &Interrupt,
    at_timeout: &mut dyn FnMut() -> Overrun,
) -> (RunResult, Sink) {
    if let Some(why) = command::obstacle(command) {
        return (RunResult::Failed(why), Sink::Other);
    }
    match nonce() {
        Ok(nonce) => {
            let mut output = command::Output::default();
            let run = Run::open(child, &nonce, script::run(&nonce, command), interrupt, &mut output);
            let result = run.converse(command.timeout, at_timeout);
            output.complete(result)
        }
        Err(why) => (RunResult::Failed(why), Sink::Other),
    }
}

/// Removes a manual-stop marker inside the container; `true` where there was one.
///
/// # Errors
/// Where it could not be looked for or not be removed.
pub fn remove_marker(child: impl Agent, service: &ServiceName) -> Result<bool, Unknown> {
    let nonce = nonce()?;
    let line = Line::open(child, script::remove(&nonce, service));
    let (mut started, mut noise, mut answer) = (false, String::new(), None);
    while answer.is_none() {
        let Heard::Line(text) = line.hear(dialogue::START, &Interrupt::default()) else { break };
        match records::parse(&nonce, &text) {
            Some(Record::Start { .. }) => started = true,
            Some(Record::Yes) => answer = Some(Ok(true)),
            Some(Record::No) => answer = Some(Ok(false)),
            Some(Record::Refused(why)) => answer = Some(Err(why)),
            _ if noise.len() < 4096 => noise.push_str(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    let (exit, stderr) = line.close(&Interrupt::default());
    match answer {
        Some(Ok(was_there)) => Ok(was_there),
        Some(Err(why)) if stderr.trim().is_empty() => Err(Unknown::Other(why)),
        Some(Err(why)) => Err(Unknown::Other(format!("{why}: {}", stderr.trim()))),
        None if started => Err(Unknown::CutOff("the marker's removal was not confirmed".into())),
        None => Err(errors::of_exec(&noise, &stderr, exit)),
    }
}

/// 128 random bits: what a check prints cannot begin with them by guessing.
fn nonce() -> Result<String, Unknown> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Unknown::Other(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
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
