//! `recovery judge`: answers one question about an answer, within limits. Started by passes, not by people.

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::check::question::{Answer, MEMORY, Question, SECONDS};

/// Reads a question from standard input, writes its answer to standard output.
///
/// # Errors
/// Where the limits cannot be set, or a pipe is broken.
pub fn run() -> anyhow::Result<()> {
    limit()?;
    let mut question = Vec::new();
    std::io::stdin().lock().read_to_end(&mut question)?;
    let answer = Question::from_bytes(&question).map_or_else(
        || Answer::CannotTell("the question was not understood".to_owned()),
        |asked| asked.answer(),
    );
    serde_json::to_writer(std::io::stdout().lock(), &answer)?;
    Ok(std::io::stdout().flush()?)
}

/// What is over a limit is ended by the system.
fn limit() -> anyhow::Result<()> {
    let set = |resource, most: u64, hard: u64| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(hard) })
    };
    set(Resource::Core, 0, 0)?;
    set(Resource::Cpu, SECONDS, SECONDS + 1)?;
    let memory = own_memory().saturating_add(MEMORY);
    Ok(set(Resource::As, memory, memory)?)
}

/// What the program itself takes before it begins, in bytes of address space.
fn own_memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    pages.map_or(MEMORY, |pages| pages * rustix::param::page_size() as u64)
}
