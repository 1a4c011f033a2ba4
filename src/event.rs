//! What can happen in a pass, as data. Log, statistics, dry run and reports all speak these values.
//!
//! Nothing here formats or decides; the journal renders events and reads them back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::severity::Severity;
use crate::clock::Timestamp;
use crate::config::model::{ServiceName, Strategy};

/// The wording people `grep` for. The journal writes it, the statistics count by it.
pub mod phrase {
    /// Followed by the service.
    pub const PASSED: &str = "Health check passed for ";
    /// Followed by the service, then [`TRYING`] or [`LEFT`].
    pub const FAILED: &str = "Health check failed for ";
    /// A failed look after which a restart is about to be tried.
    pub const TRYING: &str = ", attempting recovery...";
    /// A failed look after which nothing is tried.
    pub const LEFT: &str = ", not attempting recovery";
    /// Followed by the service.
    pub const EXECUTING: &str = "Executing restart command for ";
    /// Followed by the service.
    pub const RECOVERED: &str = "Successfully recovered ";
    /// Followed by the service.
    pub const RECOVERY_FAILED: &str = "Failed to recover ";
    /// Follows the service.
    pub const EXCEEDED: &str = " exceeded max failures";
    /// Follows the service.
    pub const STOPPED: &str = " manually stopped, skipping auto-recovery";
    /// Follows the service, followed by what blocks it.
    pub const BLOCKED: &str = " is blocked by ";
    /// Follows the service.
    pub const HEALED: &str = " healthy again without restart";
    /// Followed by the service.
    pub const CANNOT_CHECK: &str = "Cannot check ";
    /// Followed by the service.
    pub const FALLBACK: &str = "Executing fallback command for ";
    /// Follows the service.
    pub const DEGRADED: &str = " is degraded";

    /// Text from outside that contains one of these is written so that it does not: neither the
    /// statistics nor anybody's `grep` may take a detail for something that happened.
    pub const FRAGMENTS: &[&str] = &[
        "Health check passed",
        "Health check failed",
        "attempting recovery",
        "Attempting recovery",
        "Executing restart command for",
        "Successfully recovered",
        "Failed to recover",
        "exceeded max failures",
        "manually stopped, skipping auto-recovery",
        "is blocked by",
        "healthy again without restart",
        "Cannot check",
        "Executing fallback command for",
        "is degraded",
        "Recovery successful",
        "Recovery failed",
        "COMPONENT_DOWN ",
        "COMPONENT_GIVEN_UP ",
        "COMPONENT_DEGRADED ",
        "COMPONENT_UNKNOWN ",
        "COMPONENT_RECOVERED ",
    ];
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To whom; `None`: to the pass as a whole.
    pub service: Option<ServiceName>,
    /// What.
    pub kind: EventKind,
    /// The container it lives in, by its real name where that is known.
    pub container: Option<String>,
    /// What was being done about it; [`Action::None`] for what is no step of a recovery.
    pub action: Action,
}

impl Event {
    /// An event of which no more is known.
    #[must_use]
    pub fn new(at: Timestamp, service: Option<ServiceName>, kind: EventKind) -> Self {
        Self { at, service, kind, container: None, action: Action::None }
    }

    /// What programs know it by, the same in the log and in webhooks; `None` for a note. The table of all
    /// of them is in `docs/events.md`.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        Some(match &self.kind {
            EventKind::CheckPassed { .. } => "CHECK_PASSED",
            EventKind::CheckFailed { .. } => "CHECK_FAILED",
            EventKind::CannotCheck { .. } => "CHECK_IMPOSSIBLE",
            EventKind::ManuallyStopped { .. } => "RECOVERY_STOPPED",
            EventKind::Blocked { .. } => "RECOVERY_BLOCKED",
            EventKind::GivenUp { .. } => "RECOVERY_GIVEN_UP",
            EventKind::HealedWithoutRestart => "RECOVERY_NOT_NEEDED",
            EventKind::Executing { .. } | EventKind::ExecutingFallback { .. } => "RECOVERY_STARTED",
            EventKind::Recovered { .. } => "RECOVERY_SUCCEEDED",
            EventKind::RecoveryFailed { .. } => "RECOVERY_FAILED",
            EventKind::Degraded { .. } => "RECOVERY_DEGRADED",
            EventKind::Component(component) => component.change.code(),
            EventKind::Note { .. } => return None,
        })
    }

    /// Whether the component was seen well (or not) at the end of what this tells; `None`: not seen.
    #[must_use]
    pub fn success(&self) -> Option<bool> {
        match &self.kind {
            EventKind::CheckPassed { .. } | EventKind::HealedWithoutRestart | EventKind::Recovered { .. } => {
                Some(true)
            }
            EventKind::CheckFailed { .. }
            | EventKind::Blocked { .. }
            | EventKind::GivenUp { .. }
            | EventKind::RecoveryFailed { .. }
            | EventKind::Degraded { .. } => Some(false),
            EventKind::Component(component) => component.change.success(),
            EventKind::CannotCheck { .. }
            | EventKind::ManuallyStopped { .. }
            | EventKind::Executing { .. }
            | EventKind::ExecutingFallback { .. }
            | EventKind::Note { .. } => None,
        }
    }
}

/// What was done about a component, or decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Nothing.
    #[default]
    None,
    /// It is about to be tried; the lines that follow say what.
    Recover,
    /// Looked again, after ever longer waits.
    Retry,
    /// Its restart command.
    Restart,
    /// Its container was restarted.
    RestartContainer,
    /// Its container was started.
    StartContainer,
    /// Its fallback command.
    Fallback,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Recover,
        Self::Retry,
        Self::Restart,
        Self::RestartContainer,
        Self::StartContainer,
        Self::Fallback,
    ];

    /// As it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Recover => "recover",
            Self::Retry => "retry",
            Self::Restart => "restart",
            Self::RestartContainer => "restart-container",
            Self::StartContainer => "start-container",
            Self::Fallback => "fallback",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

impl From<Strategy> for Action {
    fn from(step: Strategy) -> Self {
        match step {
            Strategy::Retry => Self::Retry,
            Strategy::Restart => Self::Restart,
            Strategy::RestartContainer => Self::RestartContainer,
            Strategy::Fallback => Self::Fallback,
        }
    }
}

/// How a component's health changed, as programs that watch it are told: once a change, not once a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is down.
    Down,
    /// It is down, and nothing more is tried for now.
    GivenUp,
    /// It runs in a reduced way.
    Degraded,
    /// It could not be looked at twice in a row.
    Unknown,
    /// It is well again.
    Recovered,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Down, Self::GivenUp, Self::Degraded, Self::Unknown, Self::Recovered];

    /// Its `kind` in logs and webhooks.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.words().0
    }

    /// Its `event` in JSON logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Down => ("COMPONENT_DOWN", "component_down"),
            Self::GivenUp => ("COMPONENT_GIVEN_UP", "component_given_up"),
            Self::Degraded => ("COMPONENT_DEGRADED", "component_degraded"),
            Self::Unknown => ("COMPONENT_UNKNOWN", "component_unknown"),
            Self::Recovered => ("COMPONENT_RECOVERED", "component_recovered"),
        }
    }

    /// See [`Event::success`].
    #[must_use]
    pub fn success(self) -> Option<bool> {
        match self {
            Self::Recovered => Some(true),
            Self::Unknown => None,
            Self::Down | Self::GivenUp | Self::Degraded => Some(false),
        }
    }
}

/// What is told of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Which.
    pub change: Change,
    /// The machine it happened on.
    pub host: String,
    /// Why, masked.
    pub reason: Option<String>,
    /// Failed looks in a row.
    pub consecutive_failures: u32,
    /// How bad the last of them was, where it was judged.
    pub severity: Option<Severity>,
    /// The first failed look of the outage.
    pub down_since: Option<Timestamp>,
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

impl Level {
    /// As it stands in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|level| level.as_str() == text)
    }
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
        /// The `failure_threshold` that it has not reached: `… (failure 1 of 3)`.
        below: Option<u32>,
        /// Failed looks in a row, this one included.
        consecutive_failures: u32,
        /// How bad it is; unknown in lines of older versions.
        severity: Option<Severity>,
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
        /// How bad the failure is; unknown in lines of older versions.
        severity: Option<Severity>,
    },
    /// `Executing fallback command for S`
    ExecutingFallback {
        /// What was run, masked.
        what: String,
    },
    /// `S is degraded`
    Degraded {
        /// From the beginning of the attempt.
        duration: Duration,
        /// What the last look said.
        reason: String,
        /// How the steps that were tried ended, the fallback last.
        result: String,
    },
    /// `COMPONENT_DOWN S` and its like: the component's health changed.
    Component(Component),
    /// Anything else worth a line; never counted by statistics.
    Note {
        /// How serious.
        level: Level,
        /// One line, without a leading phrase of the above.
        text: String,
    },
}
