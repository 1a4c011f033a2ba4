//! All that is read from an engine, and nothing else: what is asked for and what its answers mean.
//!
//! Engines and their versions differ in little things, and each of them has once been taken for a fault of a
//! service: so they stand together. How a call is made belongs in [`super::docker`], what follows from an answer
//! in the modules that ask.

pub mod errors;
pub mod events;
pub mod inspect;
pub mod keeper;
pub mod listing;
pub mod record;
pub mod runs;
pub mod signals;

mod proxy;
#[cfg(test)]
mod samples;
mod states;
mod times;

/// Whose words an answer is in. It is told by the answers, never by the name of the command line: `docker` may well
/// be podman's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Docker's, and those who speak as it does.
    Docker,
    /// Podman's own.
    Podman,
}
