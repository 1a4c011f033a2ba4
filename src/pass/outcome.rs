//! How the handling of one service ended, and what that means for its dependants and for the exit code.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::sight::Sight;
use crate::check::Unknown;
use crate::clock::Timestamp;
use crate::config::model::ServiceName;
use crate::decide::{Decision, Upstream};
use crate::exit_code::ExitCode;
use crate::store::Holder;

/// The end of one service's part of a pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Not looked at: its interval has not passed.
    NotDue,
    /// The first look was healthy.
    Healthy,
    /// A later look was healthy; nothing was restarted.
    Healed,
    /// A restart helped.
    Recovered,
    /// Well before, restarted after a dependency, and well again.
    Followed(ServiceName),
    /// A restart did not help.
    Failed(Attempted),
    /// Nothing brought it back, and its fallback keeps it going in a reduced way.
    Degraded(Attempted),
    /// A restart was made, or a look, and then nobody could see whether it is well.
    Unknown(Unknown),
    /// Left alone, as decided.
    Left(Decision),
    /// Left to another pass that holds its lock.
    OtherPass(Holder),
    /// Well before, and down since its container was restarted for another service.
    TakenDown,
    /// A dry run: this would be done.
    Would(Decision),
    /// A signal ended the pass first.
    Interrupted,
    /// What was to be recorded before acting could not be; nothing was done.
    NotRecorded,
}

/// A restart that did not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// What the last look said, masked.
    pub reason: String,
    /// How the restart itself ended (`exit 127`).
    pub result: String,
}

impl Outcome {
    /// Whether the state was written while the service was acted on.
    pub(super) fn acted(&self) -> bool {
        matches!(self, Self::Recovered | Self::Followed(_) | Self::Failed(_) | Self::Degraded(_))
    }

    /// What it means for the services that depend on `service`.
    pub(super) fn upstream(&self, service: &ServiceName) -> Upstream {
        let this = service.clone();
        match self {
            Self::NotDue | Self::Healthy => Upstream::Fine,
            Self::Healed | Self::Recovered | Self::Followed(_) => Upstream::Recovered(this),
            Self::Unknown(why) | Self::Left(Decision::CannotTell(why)) => {
                if why.blocks_dependants() {
                    Upstream::Down(this)
                } else {
                    Upstream::Fine
                }
            }
            Self::Left(decision) => match decision {
                Decision::Healthy => Upstream::Fine,
                Decision::Stopped(_) => Upstream::Stopped(this),
                Decision::Held { by } => Upstream::Stopped(by.clone()),
                Decision::Blocked { by } => Upstream::Down(by.clone()),
                // What runs in a reduced way is there for those that need it.
                Decision::Degraded(_) => Upstream::Fine,
                _ => Upstream::Down(this),
            },
            // It was just brought to run in a reduced way: what needs it may heal by that.
            Self::Degraded(_) => Upstream::Recovered(this),
            Self::Would(
                Decision::Fallback
                | Decision::Follow { .. }
                | Decision::Retry
                | Decision::Restart { .. }
                | Decision::LookAgain,
            ) => Upstream::Recovered(this),
            Self::Would(decision) => Self::Left(decision.clone()).upstream(service),
            Self::Failed(_)
            | Self::TakenDown
            | Self::OtherPass(_)
            | Self::Interrupted
            | Self::NotRecorded => Upstream::Down(this),
        }
    }

    /// Its part of the exit code. A lock that was held for longer than `pass_limit` is left to try again.
    #[must_use]
    pub fn exit_code(&self, now: Timestamp, pass_limit: Duration) -> ExitCode {
        match self {
            Self::NotDue | Self::Healthy | Self::Healed | Self::Recovered | Self::Followed(_) => ExitCode::Ok,
            Self::Failed(_) | Self::Degraded(_) | Self::TakenDown => ExitCode::Down,
            Self::Unknown(Unknown::Interrupted) | Self::Interrupted => ExitCode::Ok,
            Self::Unknown(_) => ExitCode::CannotLook,
            Self::OtherPass(Holder { since: Some(since), .. }) if now - *since > pass_limit => {
                ExitCode::TryAgain
            }
            Self::OtherPass(_) => ExitCode::Ok,
            Self::NotRecorded => ExitCode::Io,
            Self::Left(decision) | Self::Would(decision) => match decision {
                Decision::CannotTell(why) => Self::Unknown(why.clone()).exit_code(now, pass_limit),
                Decision::Unsafe(_) => ExitCode::Io,
                Decision::NoWay(_) | Decision::GiveUp { .. } | Decision::OutOfTime => ExitCode::Down,
                // A dry run ends as the pass would begin: the service is down now.
                Decision::Retry | Decision::Restart { .. } | Decision::Fallback | Decision::LookAgain => {
                    ExitCode::Down
                }
                Decision::Degraded(_) | Decision::Exhausted => ExitCode::Down,
                Decision::Follow { down, .. } if *down => ExitCode::Down,
                Decision::Healthy
                | Decision::Follow { .. }
                | Decision::Stopped(_)
                | Decision::Held { .. }
                | Decision::Booting
                | Decision::Starting
                | Decision::Tolerate { .. }
                | Decision::Blocked { .. } => ExitCode::Ok,
            },
        }
    }
}

/// In words, why a service is left alone; `None` where it is not.
pub(super) fn why_left(decision: &Decision) -> Option<String> {
    Some(match decision {
        Decision::Healthy
        | Decision::CannotTell(_)
        | Decision::Follow { .. }
        | Decision::Retry
        | Decision::Restart { .. }
        | Decision::Fallback
        | Decision::LookAgain => return None,
        Decision::Stopped(details) => format!("manually stopped: {details}"),
        Decision::Held { by } => format!("held, {by} is manually stopped"),
        Decision::Unsafe(why) => format!("not safe: {why}"),
        Decision::Booting => "the machine just booted".to_owned(),
        Decision::Starting => "its container is still starting".to_owned(),
        Decision::Blocked { by } => format!("blocked by {by}"),
        Decision::Tolerate { failures, threshold } => format!("failure {failures} of {threshold}"),
        Decision::Degraded(reduced) => match (shown(reduced.since), shown(reduced.until)) {
            (Some(since), Some(until)) => {
                format!("degraded since {since}, its strategies begin anew at {until}")
            }
            _ => "degraded".to_owned(),
        },
        Decision::Exhausted => "nothing that was tried helped".to_owned(),
        Decision::GiveUp { until, .. } => match until.and_then(shown) {
            Some(until) => format!("given up until {until}"),
            None => "given up".to_owned(),
        },
        Decision::OutOfTime => "the pass is over its time limit; the next one tries".to_owned(),
        Decision::NoWay(why) => why.to_string(),
    })
}

/// In words, why a decision is not to restart, for a service that was about to be.
pub(super) fn why_not(decision: &Decision, sight: &Sight) -> String {
    match decision {
        Decision::CannotTell(why) => why.to_string(),
        other => why_left(other).unwrap_or_else(|| sight.reason()),
    }
}

/// Who else is at it, in words.
pub(super) fn busy(holder: &Holder) -> String {
    let pid = holder.pid.map_or_else(|| "of unknown id".to_owned(), |pid| pid.to_string());
    match holder.since.and_then(shown) {
        Some(since) => format!("another pass is at it, process {pid} since {since}"),
        None => format!("another pass is at it, process {pid}"),
    }
}

/// A time in whole seconds.
fn shown(at: Timestamp) -> Option<String> {
    at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}
