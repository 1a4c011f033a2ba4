//! One short file a subcommand: open, do, say.

pub mod stats;
