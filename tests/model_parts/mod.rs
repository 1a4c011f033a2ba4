//! The parts of the model: random scenarios, how they are played, and what must hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod play;
pub mod rules;
pub mod scenario;
