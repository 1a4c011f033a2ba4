//! A check that failed for want of one of its programs says nothing of its service.
//!
//! In shell text a missing program seldom ends the check with 127: `prog || exit 1`, `prog | grep up` and
//! `[ "$(prog)" = up ]` end with 1. What tells it is the shell's own line on standard error; whether that program
//! decided the result, or another one that ran after it, is told by the text.

mod blame;
mod complaint;
mod syntax;

use self::syntax::{Node, Simple, Word};
use crate::config::model::CustomCommand;

/// The program for want of which a check failed, with the words that say so; `None` where the failure is one of the
/// service. `said` is what the check wrote to standard error, or both its streams in one.
#[must_use]
pub fn decided(command: &CustomCommand, said: &[u8]) -> Option<String> {
    let complaints = complaint::all(said);
    let last = complaints.last()?;
    let tree = match command {
        CustomCommand::Shell(text) => syntax::parse(text),
        CustomCommand::Argv(argv) => {
            let words = argv.iter().map(|word| Word::literal(word)).collect();
            Some(Node::Simple(Simple { words, ..Simple::default() }))
        }
    };
    let told = match &tree {
        Some(tree) => blame::missing(tree, &complaints)?,
        // Text that is not understood: nothing may have come after it.
        None => Some(last).filter(|complaint| complaint.last && complaint.is_plain())?,
    };
    Some(format!("{}: {}", told.program, told.why))
}

/// Whether a variable of the shell can be called that.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The last part of a path.
fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests;
