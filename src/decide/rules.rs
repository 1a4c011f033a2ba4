//! The reasons to leave a service alone, in the order in which they are asked, and among them the one to restart
//! it even if it is healthy.

use std::borrow::Cow;

use super::{Decision, Facts, Follow, Marker, Situation, Upstream, chain};
use crate::check::Health;
use crate::config::model::{ContainerStart, Service};
use crate::engine::ContainerEnd;

/// A decision, or why the rule makes none.
pub(super) type Answer = Result<Decision, Cow<'static, str>>;

type Rule = fn(&Service, &Facts<'_>) -> Answer;

const NO_CONTAINER: &str = "it has no container";

/// The first that decides wins.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("manual stop", stopped),
    ("look", look),
    ("marker folder", marker_readable),
    ("state file", state_readable),
    ("stop of the container", container_stopped),
    ("boot grace", booting),
    ("start period", starting),
    ("dependencies", upstream),
    ("restart of a dependency", follow),
    ("container just started", just_started),
    ("failure threshold", threshold),
    ("degraded", degraded),
];

fn stopped(_: &Service, facts: &Facts<'_>) -> Answer {
    match &facts.marker {
        Marker::Present(details) => Ok(Decision::Stopped(details.clone())),
        Marker::Absent => Err("no marker".into()),
        Marker::Unreadable(_) => Err("nobody can tell, the marker folder cannot be read".into()),
    }
}

fn look(_: &Service, facts: &Facts<'_>) -> Answer {
    match facts.health {
        Health::Healthy if facts.follow.is_none() => Ok(Decision::Healthy),
        Health::Healthy => Err("it is healthy, and is to follow a dependency".into()),
        Health::Unknown(why) => Ok(Decision::CannotTell(why.clone())),
        Health::Unhealthy(_) => Err("unhealthy".into()),
    }
}

fn marker_readable(_: &Service, facts: &Facts<'_>) -> Answer {
    match &facts.marker {
        Marker::Unreadable(why) => Ok(Decision::Unsafe(why.clone())),
        Marker::Present(_) | Marker::Absent => Err("can be read".into()),
    }
}

fn state_readable(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.remembered {
        return Err("can be read".into());
    }
    Ok(Decision::Unsafe("its state file cannot be read".to_owned()))
}

fn container_stopped(service: &Service, facts: &Facts<'_>) -> Answer {
    match facts.container {
        Situation::BeingStopped => {
            Ok(Decision::Stopped("its container is just being stopped by someone".to_owned()))
        }
        Situation::NotRunning { end, sign, .. } => match (end, facts.kept_by) {
            (ContainerEnd::StoppedBySomeone, Some(keeper)) if keeper.replaces => {
                Err(format!("{} keeps it, and stops what it replaces", keeper.who).into())
            }
            (ContainerEnd::StoppedBySomeone, _) if service.container_start == ContainerStart::Always => {
                Err(format!("somebody stopped it ({sign}), but container_start is \"always\"").into())
            }
            (ContainerEnd::StoppedBySomeone, _) => {
                Ok(Decision::Stopped(format!("its container was stopped by someone: {sign}")))
            }
            (ContainerEnd::NotStarted, _) => Err(format!("nobody stopped it: {sign}").into()),
            (ContainerEnd::Unclear, _) => Err(format!("nobody can tell who ended it: {sign}").into()),
            (ContainerEnd::Died | ContainerEnd::Finished, _) => {
                Err(format!("nobody stopped it, it ended by itself: {sign}").into())
            }
        },
        Situation::Running | Situation::JustStarted if service.container.is_none() => {
            Err(NO_CONTAINER.into())
        }
        Situation::Running | Situation::JustStarted => Err("it runs".into()),
    }
}

fn booting(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.booting { Ok(Decision::Booting) } else { Err("the machine did not just boot".into()) }
}

fn starting(service: &Service, facts: &Facts<'_>) -> Answer {
    match facts.starting {
        true => Ok(Decision::Starting),
        false if service.container.is_none() => Err(NO_CONTAINER.into()),
        false if matches!(facts.container, Situation::NotRunning { .. }) => {
            Err("its container does not run".into())
        }
        false => Err("over, or granted once already".into()),
    }
}

fn upstream(service: &Service, facts: &Facts<'_>) -> Answer {
    match &facts.upstream {
        Upstream::Stopped(by) => Ok(Decision::Held { by: by.clone() }),
        Upstream::Down(by) => Ok(Decision::Blocked { by: by.clone() }),
        Upstream::Recovered(by) if facts.follow.is_some() => Err(format!("{by} was recovered").into()),
        Upstream::Recovered(_) => Ok(Decision::LookAgain),
        Upstream::Fine => {
            Err(if service.dependencies.is_empty() { "it has none" } else { "none of them is in the way" }
                .into())
        }
    }
}

fn follow(service: &Service, facts: &Facts<'_>) -> Answer {
    let Some(Follow { after, network }) = &facts.follow else {
        return Err("none of them was restarted".into());
    };
    let down = *facts.health != Health::Healthy;
    match chain::follow(service, facts, *network) {
        Ok(action) => Ok(Decision::Follow { after: after.clone(), action, down }),
        Err(_) if !down => Ok(Decision::Healthy),
        Err(_) if matches!(facts.upstream, Upstream::Recovered(_)) => Ok(Decision::LookAgain),
        Err(why) => Err(format!("{after} was restarted, but {why}").into()),
    }
}

fn just_started(_: &Service, facts: &Facts<'_>) -> Answer {
    if facts.container == Situation::JustStarted {
        return Ok(Decision::LookAgain);
    }
    Err("not in this pass".into())
}

fn threshold(service: &Service, facts: &Facts<'_>) -> Answer {
    let (failures, threshold) = (facts.failures, service.policy.failure_threshold);
    if failures < threshold {
        return Ok(Decision::Tolerate { failures, threshold });
    }
    Err(format!("reached, this is failure {failures} and {threshold} is enough").into())
}

fn degraded(_: &Service, facts: &Facts<'_>) -> Answer {
    match facts.degraded {
        Some(reduced) => Ok(Decision::Degraded(reduced)),
        None => Err("no fallback is in effect".into()),
    }
}
