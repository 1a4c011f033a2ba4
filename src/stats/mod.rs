//! Success rates from logs: bytes of lines go in, figures come out, in memory that does not grow with the log.
//!
//! [`Scanner`] finds what happened in lines of ours and of plain shell runners, [`Tally`] counts it, [`count`] lets
//! several threads scan. Opening and ordering files is [`crate::journal::files`]', showing figures is [`mod@crate::commands::stats`]'.
//! `docs/log.md` tells people what counts.

mod crew;
mod instant;
mod line;
mod tally;

pub use crew::count;
pub use instant::{Calendar, to_timestamp};
pub use line::{Fact, Kind, Scanner, first_time};
pub use tally::{Figures, Filter, Outcome, Tally};

#[cfg(test)]
mod tests;
