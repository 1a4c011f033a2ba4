//! The policy: from facts to a [`Decision`], purely. Every variant says why.
//!
//! Dry run, log, alert and exit code all render that one value, so they cannot disagree. The `rules` that
//! leave a service alone, or restart it after a dependency, are asked in their order, and the first that holds
//! wins; where none does, the `chain` for the severity of the failure says what is tried next.

mod chain;
mod rules;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::check::severity::Severity;
use crate::check::{Health, Unknown};
use crate::clock::Timestamp;
use crate::config::model::{Service, ServiceName, Strategy};
use crate::engine::{ContainerEnd, Keeper, Sign};

pub use chain::{severity, strategies};

/// What is known of one service when it is decided about.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What the last look said.
    pub health: &'a Health,
    /// The manual-stop marker.
    pub marker: Marker,
    /// Whether its remembered state can be read.
    pub remembered: bool,
    /// The machine booted less than the boot grace ago.
    pub booting: bool,
    /// Its container is within its start period, and that was not granted before.
    pub starting: bool,
    /// The worst of its dependencies.
    pub upstream: Upstream,
    /// A dependency was restarted, or its container started, and this service is to be restarted after it.
    pub follow: Option<Follow>,
    /// Its container.
    pub container: Situation,
    /// Somebody else who keeps that container.
    pub kept_by: Option<&'a Keeper>,
    /// Attempts that lie within the window.
    pub attempts: u32,
    /// When one of them becomes free, where all are used up.
    pub free_at: Option<Timestamp>,
    /// Restarts after dependencies that lie within the window.
    pub follows: u32,
    /// Failed looks in a row, this one included.
    pub failures: u32,
    /// Those among them that count for its escalation.
    pub escalating: u32,
    /// Steps of its chain that were made in this pass.
    pub made: &'a [Strategy],
    /// The worst severity that one of them was made against.
    pub worst: Option<Severity>,
    /// Its container was started or restarted by one of them.
    pub container_spent: bool,
    /// Its fallback was run within the window of its chain, and did not keep it going.
    pub fallback_spent: bool,
    /// Its fallback runs, and the failure window of its chain is not over.
    pub degraded: Option<Reduced>,
    /// The pass may still begin something.
    pub time_left: bool,
}

/// A dependency that was restarted, and was not followed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Which.
    pub after: ServiceName,
    /// The network that both containers shared went with it, so that only a restart of the container helps.
    pub network: bool,
}

/// A service that runs in a reduced way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduced {
    /// Since its fallback.
    pub since: Timestamp,
    /// Then its chain begins anew.
    pub until: Timestamp,
}

/// The manual-stop marker of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// There is none.
    Absent,
    /// A person is at work; what the marker tells of it.
    Present(String),
    /// The folder cannot be read, so that nobody knows.
    Unreadable(String),
}

/// The worst of a service's dependencies, in rising order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// All are up, or nothing is known against them.
    Fine,
    /// This one was recovered in this pass.
    Recovered(ServiceName),
    /// This one is down, missing, paused or being recovered by another pass (the root cause).
    Down(ServiceName),
    /// This one was stopped by a person.
    Stopped(ServiceName),
}

/// The container of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// There is none, or it runs.
    Running,
    /// It runs since another service had it started or restarted in this pass.
    JustStarted,
    /// It runs, and somebody is just stopping it.
    BeingStopped,
    /// It does not run.
    NotRunning {
        /// How it ended.
        end: ContainerEnd,
        /// By what that was judged.
        sign: Sign,
        /// The engine's own restart policy brings it back.
        engine_restarts_it: bool,
    },
}

/// What is done about a service, and why.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing is to be done.
    Healthy,
    /// Left alone on a person's word.
    Stopped(String),
    /// Left alone: a person stopped this dependency.
    Held {
        /// The dependency.
        by: ServiceName,
    },
    /// Left alone: it cannot be seen.
    CannotTell(Unknown),
    /// Left alone: what must be known first cannot be read.
    Unsafe(String),
    /// Left alone: the machine just booted.
    Booting,
    /// Left alone: its container was just started.
    Starting,
    /// Left alone: its trouble is another service's.
    Blocked {
        /// The root cause.
        by: ServiceName,
    },
    /// Its cause was just recovered: look first.
    LookAgain,
    /// Restart it after a dependency, which uses up no attempt.
    Follow {
        /// The dependency.
        after: ServiceName,
        /// What to do.
        action: Action,
        /// It is down besides.
        down: bool,
    },
    /// Left alone: it has not failed often enough yet.
    Tolerate {
        /// Failed looks in a row, this one included.
        failures: u32,
        /// Its `failure_threshold`.
        threshold: u32,
    },
    /// Left alone: its fallback keeps it going.
    Degraded(Reduced),
    /// There is nothing to restart it with.
    NoWay(NoWay),
    /// Its attempts are used up.
    GiveUp {
        /// Attempts in the window.
        attempts: u32,
        /// The window.
        window: Duration,
        /// When one becomes free again.
        until: Option<Timestamp>,
    },
    /// The pass has run for too long to begin something.
    OutOfTime,
    /// Look again a few times.
    Retry,
    /// Act.
    Restart {
        /// The number of this attempt within the window, from 1.
        attempt: u32,
        /// What to do.
        action: Action,
        /// The step of the chain that it is.
        step: Strategy,
    },
    /// Run its fallback.
    Fallback,
    /// All steps of its chain were made in this pass, and none helped.
    Exhausted,
}

impl Decision {
    /// Whether something is done: a step of a chain, or a restart after a dependency.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(self, Self::Follow { .. } | Self::Retry | Self::Restart { .. } | Self::Fallback)
    }
}

/// Why there is nothing to restart a service with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWay {
    /// `restart` is "none".
    NotConfigured,
    /// `max_failures` is 0.
    NeverAllowed,
    /// Its container is not running and `container_start` is "no".
    StartForbidden,
    /// Its container ended by itself with exit code 0.
    Finished,
    /// Nobody can tell any more whether somebody stopped its container.
    NobodyKnows,
    /// Its container is left to the engine's own restart policy.
    EngineRestartsIt,
    /// Its container is somebody else's to start and to replace.
    Kept(Keeper),
    /// Its strategies for a failure of this severity have nothing that can be done.
    NoStrategy(Severity),
    /// It answered itself, and nothing is to be tried against such an answer.
    Alive,
    /// It has no container that could be restarted.
    NoContainer,
    /// Its container was started or restarted in this pass already.
    ContainerSpent,
    /// It has no `fallback_cmd`.
    NoFallback,
    /// Its `fallback_cmd` did not keep it going, and the window of its chain is not over.
    FallbackSpent,
    /// Its `fallback_cmd` would run in its container, which is not running.
    FallbackNeedsContainer,
}

/// What a restart does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Run `restart_cmd`.
    Command,
    /// Start the container, then, where that is not enough, run `restart_cmd`.
    StartContainer,
    /// Restart the container.
    RestartContainer,
}

/// One rule or step that was considered, in the order in which they were.
#[derive(Debug, Clone, PartialEq)]
pub struct Considered {
    /// What was asked.
    pub what: Asked,
    /// What that said.
    pub verdict: Verdict,
}

/// What is asked on the way to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A rule that leaves a service alone.
    Rule(&'static str),
    /// A step of the chain.
    Step(Strategy),
    /// Whether a step is left at all.
    End,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rule(name) => name,
            Self::Step(step) => step.as_str(),
            Self::End => "no step is left",
        })
    }
}

/// What a rule or step says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// This decides.
    Matches,
    /// It does not, for this reason.
    Passes(Cow<'static, str>),
    /// A step that comes after the one that decides, where that one does not help.
    Later,
}

/// Decides about one service.
#[must_use]
pub fn decide(service: &Service, facts: &Facts<'_>) -> Decision {
    consider(service, facts).0
}

/// The same with everything that was considered on the way, in order; exactly one decided. What follows that one
/// are the steps that would be considered next.
#[must_use]
pub fn consider(service: &Service, facts: &Facts<'_>) -> (Decision, Vec<Considered>) {
    let mut considered = Vec::new();
    for (name, rule) in rules::RULES {
        match rule(service, facts) {
            Ok(decision) => {
                considered.push(Considered { what: Asked::Rule(name), verdict: Verdict::Matches });
                return (decision, considered);
            }
            Err(why) => {
                considered.push(Considered { what: Asked::Rule(name), verdict: Verdict::Passes(why) });
            }
        }
    }
    (chain::next(service, facts, &mut considered), considered)
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConfigured => "nothing to restart it with",
            Self::NeverAllowed => "max_failures is 0",
            Self::StartForbidden => "its container is not running and container_start is \"no\"",
            Self::Finished => "its container ended by itself with exit 0",
            Self::NobodyKnows => {
                "nobody can tell any more whether its container was stopped by someone: start it with the engine, \
                 or say `recovery stop`"
            }
            Self::EngineRestartsIt => "its container is left to the engine's own restart policy",
            Self::Kept(Keeper { who, helps, .. }) => {
                return write!(
                    f,
                    "its container is kept by {who}, which replaces it itself; what helps: {helps}"
                );
            }
            Self::NoStrategy(severity) => {
                return write!(f, "no strategy is left for a {severity} failure, a person must act");
            }
            Self::Alive => "it lives and answers, so that no restart helps: a person must act",
            Self::NoContainer => "it has no container to restart",
            Self::ContainerSpent => "its container had its one restart of this pass",
            Self::NoFallback => "it has no fallback_cmd",
            Self::FallbackSpent => "its fallback_cmd was run in vain within its window",
            Self::FallbackNeedsContainer => "its fallback_cmd runs in its container, which is not running",
        })
    }
}
