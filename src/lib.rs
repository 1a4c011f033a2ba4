//! `recovery` looks at services, restarts what is really down, and remembers and tells what it did.
//!
//! One pass is a pipeline, and the modules stand in its order:
//!
//! ```text
//! config → plan → observe → decide → act → re-check → record → report
//! ```
//!
//! [`config`] turns a file into values that cannot be invalid. [`plan`], [`check`], [`history`], [`decide`],
//! [`event`], [`alert`] and [`stats`] are pure: facts in, values out. [`clock`], [`process`], [`engine`],
//! [`store`], [`outbox`], [`notify`] and [`journal`] touch the world. [`pass`] is the only loop.
//! `docs/design.md` draws the house.

/// As `println!`, but whoever closed standard output, or has no room for it, does not end the program.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*)));
    }};
}

/// As `eprintln!`, but where nobody can read it the program goes on: it may have more to do than to complain.
#[macro_export]
macro_rules! complain {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)));
    }};
}

pub mod config;

pub mod alert;
pub mod check;
pub mod decide;
pub mod event;
pub mod history;
pub mod plan;
pub mod state;
pub mod stats;

pub mod clock;
pub mod engine;
pub mod journal;
pub mod machine;
pub mod notify;
pub mod outbox;
pub mod pass;
pub mod process;
pub mod store;

pub mod cli;
pub mod commands;
pub mod exit_code;
pub mod when;
