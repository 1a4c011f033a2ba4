//! What can happen in a pass, as data. Log, statistics, dry run and reports all speak these values.
//!
//! Nothing here formats or decides; the journal renders events and reads them back.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::model::ServiceName;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To whom; `None`: to the pass as a whole.
    pub service: Option<ServiceName>,
    /// What.
    pub kind: EventKind,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Normal.
    Info,
    /// Something a person may want to know.
    Warning,
    /// Something went wrong.
    Error,
}

/// What happened. Reasons are already masked; control characters are not yet escaped.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// `Health check passed for S`
    CheckPassed {
        /// Of the check.
        duration: Duration,
    },
    /// `Health check failed for S, attempting recovery...`, or `…, not attempting recovery`
    CheckFailed {
        /// Of the check.
        duration: Duration,
        /// The check's reason.
        reason: String,
        /// `None`: about to try; else why it is left (given up, blocked by db, starting, …).
        left_because: Option<String>,
        /// Failed looks in a row, this one included.
        consecutive_failures: u32,
    },
    /// `Cannot check S`
    CannotCheck {
        /// Why.
        reason: String,
    },
    /// `S manually stopped, skipping auto-recovery`
    ManuallyStopped {
        /// Who, why, until when, as far as the marker tells.
        details: String,
    },
    /// `S is blocked by D`
    Blocked {
        /// The root cause.
        by: ServiceName,
    },
    /// `S exceeded max failures (3 in 3600s), giving up`
    GivenUp {
        /// Attempts in the window.
        attempts: u32,
        /// The window.
        window: Duration,
        /// When an attempt becomes free again.
        until: Option<Timestamp>,
    },
    /// `S healthy again without restart`
    HealedWithoutRestart,
    /// `Executing restart command for S`
    Executing {
        /// What was run, masked: the restart command, `docker start NAME`, `docker restart NAME`.
        what: String,
        /// Number of this attempt within the window, from 1.
        attempt: u32,
        /// Attempts allowed.
        max: u32,
    },
    /// `Successfully recovered S`
    Recovered {
        /// From the beginning of the attempt to the healthy re-check.
        duration: Duration,
        /// Number of this attempt within the window, from 1.
        attempt: u32,
        /// How the restart itself ended, where that is worth a word.
        note: Option<String>,
    },
    /// `Failed to recover S`
    RecoveryFailed {
        /// From the beginning of the attempt.
        duration: Duration,
        /// Number of this attempt within the window, from 1.
        attempt: u32,
        /// What the last re-check said, or why the restart was not possible.
        reason: String,
        /// How the restart itself ended (`exit 127`, …).
        restart_result: String,
    },
    /// Anything else worth a line; never counted by statistics.
    Note {
        /// How serious.
        level: Level,
        /// One line, without a leading phrase of the above.
        text: String,
    },
}
