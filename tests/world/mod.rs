//! A world of doubles around the real [`recovery::pass::run`]: virtual time, services that live and die by
//! script, people who may be out of reach, and a real folder for what is remembered.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "shared by tests, each uses a part")]

pub mod clock;
pub mod effects;
pub mod engine;
pub mod people;
pub mod stage;

#[allow(unused_imports, reason = "each test uses a part")]
pub use engine::{died, down, running};
#[allow(unused_imports, reason = "each test uses a part")]
pub use stage::{Done, Stage};
