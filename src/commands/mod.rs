//! (being written)

pub mod validate;
pub mod demo_service;
//! One short file a subcommand: open, do, say.

pub mod stats;
