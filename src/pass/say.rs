//! What became of each service, in words: a dry run's plan, and the closing summary at a terminal.

use super::outcome::{self, Outcome};
use super::{Report, Summary};
use crate::alert::mask::mask;
use crate::config::model::{Config, Service};
use crate::decide::{Action, Decision};
use crate::journal::escape::shown;

/// One line a service: what would be done, and why.
#[must_use]
pub fn plan(config: &Config, summary: &Summary) -> String {
    lines(summary, |report| of(config, report))
}

/// One line a service: what was done.
#[must_use]
pub fn closing(summary: &Summary) -> String {
    lines(summary, was)
}

fn lines(summary: &Summary, say: impl Fn(&Report) -> String) -> String {
    summary
        .reports
        .iter()
        .map(|report| shown(&format!("{}: {}", report.service, say(report))) + "\n")
        .collect()
}

/// What would be done about one service, and why.
pub(super) fn of(config: &Config, report: &Report) -> String {
    let Outcome::Would(decision) = &report.outcome else { return was(report) };
    match config.service(&report.service).and_then(|service| would(config, service, decision)) {
        Some(would) if matches!(decision, Decision::Follow { down: false, .. }) => {
            format!("healthy: {would}")
        }
        Some(would) => format!("down ({}): {would}", report.reason),
        None => was(report),
    }
}

/// What is done about a service that is down; `None` where it is not known to be.
pub(super) fn would(config: &Config, service: &Service, decision: &Decision) -> Option<String> {
    Some(match decision {
        Decision::Follow { after, action, .. } => {
            format!("would look again, then restart it after {after}: {}", what(config, service, *action))
        }
        Decision::Retry => format!(
            "would look again up to {} times, then go on with what its strategies say",
            service.policy.retry.attempts
        ),
        Decision::Fallback => {
            let fallback = service.policy.fallback_cmd.as_deref().unwrap_or_default();
            format!("would look again, then run its fallback: {}", mask(fallback))
        }
        Decision::Restart { attempt, action, .. } => {
            let what = what(config, service, *action);
            format!(
                "would look again, then restart it (attempt {attempt} of {}): {what}",
                service.max_failures
            )
        }
        Decision::LookAgain => "would look again after what it depends on is back".to_owned(),
        other => format!("would be left alone, {}", outcome::why_left(other)?),
    })
}

fn what(config: &Config, service: &Service, action: Action) -> String {
    let container = service.container.as_deref().unwrap_or_default();
    let engine = &config.recovery.engine;
    let cleanup =
        service.policy.cleanup_cmd.as_deref().map_or_else(String::new, |text| mask(text) + ", then ");
    match action {
        Action::Command => cleanup + &mask(service.restart_cmd.as_deref().unwrap_or_default()),
        Action::StartContainer => format!("{engine} start {container}"),
        Action::RestartContainer => format!("{cleanup}{engine} restart {container}"),
    }
}

fn was(report: &Report) -> String {
    match &report.outcome {
        Outcome::NotDue => "not due".to_owned(),
        Outcome::Healthy => "healthy".to_owned(),
        Outcome::Healed => "healthy again without restart".to_owned(),
        Outcome::Recovered => "was down, recovered".to_owned(),
        Outcome::Followed(after) => format!("healthy, restarted after {after}"),
        Outcome::Failed(attempted) => {
            format!("down, restarting did not help ({}): {}", attempted.result, attempted.reason)
        }
        Outcome::Degraded(attempted) => {
            format!("down, degraded ({}): {}", attempted.result, attempted.reason)
        }
        Outcome::Unknown(why) => format!("cannot be checked: {}", mask(&why.to_string())),
        Outcome::OtherPass(holder) => format!("down ({}), {}", report.reason, outcome::busy(holder)),
        Outcome::TakenDown => {
            format!("down since its container was restarted for another service ({})", report.reason)
        }
        Outcome::Interrupted => "interrupted".to_owned(),
        Outcome::NotRecorded => format!("down ({}), not restarted: it could not be recorded", report.reason),
        Outcome::Left(Decision::CannotTell(why)) | Outcome::Would(Decision::CannotTell(why)) => {
            format!("cannot be checked: {}", mask(&why.to_string()))
        }
        Outcome::Left(Decision::Stopped(details)) | Outcome::Would(Decision::Stopped(details)) => {
            format!("left alone, manually stopped ({details})")
        }
        Outcome::Left(decision) | Outcome::Would(decision) => match outcome::why_left(decision) {
            Some(why) => format!("down ({}), left alone: {why}", report.reason),
            None => "healthy".to_owned(),
        },
    }
}
