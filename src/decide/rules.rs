//! The reasons to leave a service alone, in the order in which they are asked.

use std::borrow::Cow;

use super::{Decision, Facts, Marker, Situation, Upstream};
use crate::check::Health;
use crate::config::model::{ContainerStart, Service};
use crate::engine::ContainerEnd;

/// A decision, or why the rule makes none.
pub(super) type Answer = Result<Decision, Cow<'static, str>>;

type Rule = fn(&Service, &Facts<'_>) -> Answer;

/// The first that decides wins.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("stopped by a person", stopped),
    ("what the look says", look),
    ("the marker can be read", marker_readable),
    ("its state can be read", state_readable),
    ("its container was stopped by someone", container_stopped),
    ("the machine just booted", booting),
    ("its container is still starting", starting),
    ("its dependencies", upstream),
    ("its container was just started", just_started),
    ("its failure threshold", threshold),
    ("it is degraded", degraded),
];

fn stopped(_: &Service, facts: &Facts<'_>) -> Answer {
    match &facts.marker {
        Marker::Present(details) => Ok(Decision::Stopped(details.clone())),
        Marker::Absent => Err("there is no marker".into()),
        Marker::Unreadable(_) => Err("nobody can tell".into()),
    }
}

fn look(_: &Service, facts: &Facts<'_>) -> Answer {
    match facts.health {
        Health::Healthy => Ok(Decision::Healthy),
        Health::Unknown(why) => Ok(Decision::CannotTell(why.clone())),
        Health::Unhealthy(_) => Err("it is unhealthy".into()),
    }
}

fn marker_readable(_: &Service, facts: &Facts<'_>) -> Answer {
    match &facts.marker {
        Marker::Unreadable(why) => Ok(Decision::Unsafe(why.clone())),
        Marker::Present(_) | Marker::Absent => Err("it can".into()),
    }
}

fn state_readable(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.remembered {
        return Err("it can".into());
    }
    Ok(Decision::Unsafe("its state file cannot be read".to_owned()))
}

fn container_stopped(service: &Service, facts: &Facts<'_>) -> Answer {
    match facts.container {
        Situation::NotRunning { end: ContainerEnd::StoppedBySomeone, .. } => {
            if service.container_start == ContainerStart::Always {
                return Err("it was, and container_start is \"always\"".into());
            }
            Ok(Decision::Stopped("its container was stopped by someone".to_owned()))
        }
        Situation::NotRunning { .. } => Err("it ended by itself".into()),
        Situation::Running | Situation::JustStarted => Err("none of its is".into()),
    }
}

fn booting(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.booting { Ok(Decision::Booting) } else { Err("it did not".into()) }
}

fn starting(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.starting { Ok(Decision::Starting) } else { Err("it is not".into()) }
}

fn upstream(_: &Service, facts: &Facts<'_>) -> Answer {
    match &facts.upstream {
        Upstream::Stopped(by) => Ok(Decision::Held { by: by.clone() }),
        Upstream::Down(by) => Ok(Decision::Blocked { by: by.clone() }),
        Upstream::Recovered(_) => Ok(Decision::LookAgain),
        Upstream::Fine => Err("nothing is known against them".into()),
    }
}

fn just_started(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.container == Situation::JustStarted {
        return Ok(Decision::LookAgain);
    }
    Err("it was not, in this pass".into())
}

fn threshold(service: &Service, facts: &Facts<'_>) -> Answer {
    let (failures, threshold) = (facts.failures, service.policy.failure_threshold);
    if failures < threshold {
        return Ok(Decision::Tolerate { failures, threshold });
    }
    Err(format!("failure {failures}, and {threshold} is enough").into())
}

fn degraded(_: &Service, facts: &Facts<'_>) -> Answer {
    match facts.degraded {
        Some(reduced) => Ok(Decision::Degraded(reduced)),
        None => Err("it is not".into()),
    }
}
