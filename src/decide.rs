//! The policy: from facts to a [`Decision`], purely. Every variant says why.
//!
//! Dry run, log, alert and exit code all render that one value, so they cannot disagree. The rules stand
//! in the order in which they are asked; the first that holds wins.

use std::time::Duration;

use crate::check::{Health, Unknown};
use crate::clock::Timestamp;
use crate::config::model::{ContainerStart, RestartMethod, Service, ServiceName};
use crate::engine::ContainerEnd;

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
    /// Its container.
    pub container: Situation,
    /// Attempts that lie within the window.
    pub attempts: u32,
    /// When one of them becomes free, where all are used up.
    pub free_at: Option<Timestamp>,
    /// The pass may still begin something.
    pub time_left: bool,
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
    /// It does not run.
    NotRunning {
        /// How it ended.
        end: ContainerEnd,
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
    /// Act.
    Restart {
        /// The number of this attempt within the window, from 1.
        attempt: u32,
        /// What to do.
        action: Action,
    },
}

/// Why there is nothing to restart a service with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWay {
    /// `restart` is "none".
    NotConfigured,
    /// `max_failures` is 0.
    NeverAllowed,
    /// Its container is not running and `container_start` is "no".
    StartForbidden,
    /// Its container ended by itself with exit code 0.
    Finished,
    /// Its container is left to the engine's own restart policy.
    EngineRestartsIt,
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

/// Decides about one service.
#[must_use]
pub fn decide(service: &Service, facts: &Facts<'_>) -> Decision {
    if let Marker::Present(details) = &facts.marker {
        return Decision::Stopped(details.clone());
    }
    match facts.health {
        Health::Healthy => Decision::Healthy,
        Health::Unknown(why) => Decision::CannotTell(why.clone()),
        Health::Unhealthy(_) => leave(service, facts).unwrap_or_else(|| act(service, facts)),
    }
}

/// The reasons to leave an unhealthy service alone that do not depend on how it would be restarted.
fn leave(service: &Service, facts: &Facts<'_>) -> Option<Decision> {
    if let Marker::Unreadable(why) = &facts.marker {
        return Some(Decision::Unsafe(why.clone()));
    }
    if !facts.remembered {
        return Some(Decision::Unsafe("its state file cannot be read".to_owned()));
    }
    if stopped_by_someone(service, facts.container) {
        return Some(Decision::Stopped("its container was stopped by someone".to_owned()));
    }
    if facts.booting {
        return Some(Decision::Booting);
    }
    if facts.starting {
        return Some(Decision::Starting);
    }
    match &facts.upstream {
        Upstream::Stopped(by) => Some(Decision::Held { by: by.clone() }),
        Upstream::Down(by) => Some(Decision::Blocked { by: by.clone() }),
        Upstream::Recovered(_) => Some(Decision::LookAgain),
        Upstream::Fine if facts.container == Situation::JustStarted => Some(Decision::LookAgain),
        Upstream::Fine => None,
    }
}

fn stopped_by_someone(service: &Service, container: Situation) -> bool {
    service.container_start != ContainerStart::Always
        && matches!(container, Situation::NotRunning { end: ContainerEnd::StoppedBySomeone, .. })
}

/// What is done about an unhealthy service that nothing holds back.
fn act(service: &Service, facts: &Facts<'_>) -> Decision {
    let action = match action(service, facts.container) {
        Ok(action) => action,
        Err(why) => return Decision::NoWay(why),
    };
    if service.max_failures == 0 {
        return Decision::NoWay(NoWay::NeverAllowed);
    }
    if facts.attempts >= service.max_failures {
        return Decision::GiveUp {
            attempts: facts.attempts,
            window: service.failure_window,
            until: facts.free_at,
        };
    }
    if !facts.time_left {
        return Decision::OutOfTime;
    }
    Decision::Restart { attempt: facts.attempts + 1, action }
}

fn action(service: &Service, container: Situation) -> Result<Action, NoWay> {
    match (service.restart, container) {
        (RestartMethod::Never, _) => Err(NoWay::NotConfigured),
        (_, Situation::NotRunning { end, engine_restarts_it }) => {
            start(service.container_start, end, engine_restarts_it)
        }
        (RestartMethod::Command, _) => Ok(Action::Command),
        (RestartMethod::Container, _) => Ok(Action::RestartContainer),
    }
}

fn start(policy: ContainerStart, end: ContainerEnd, engine_restarts_it: bool) -> Result<Action, NoWay> {
    match (policy, end) {
        (ContainerStart::No, _) => Err(NoWay::StartForbidden),
        (ContainerStart::Always, _) => Ok(Action::StartContainer),
        (ContainerStart::OnFailure, _) if engine_restarts_it => Err(NoWay::EngineRestartsIt),
        (ContainerStart::OnFailure, ContainerEnd::Died) => Ok(Action::StartContainer),
        // Stopped by someone was left alone before; what remains ended by itself with 0.
        (ContainerStart::OnFailure, _) => Err(NoWay::Finished),
    }
}
