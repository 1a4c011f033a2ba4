//! What an alert tells, gathered: from the service, its sight and its outcome to a report.

use std::collections::BTreeSet;

use super::sight::Sight;
use super::{Outcome, Pass};
use crate::alert::incident::Due;
use crate::alert::text::{self, Story};
use crate::alert::{self, Destination, Report, destinations, machine_destinations};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::{RestartMethod, Service, ServiceName};
use crate::decide::Decision;
use crate::machine;
use crate::store::Subject;

/// What is told of a service.
pub(super) fn of_service(
    pass: &Pass<'_>,
    service: &Service,
    sight: &Sight,
    outcome: &Outcome,
    outcomes: &[(ServiceName, Outcome)],
    due: &Due,
) -> Report {
    let blocked = blocked_by(&service.name, outcomes);
    let container = sight.place.container().map(|at| at.name.clone());
    let (reason, restart_result) = match outcome {
        Outcome::Failed(attempted) | Outcome::Degraded(attempted) => {
            (attempted.reason.clone(), Some(attempted.result.clone()))
        }
        other => (reason(sight, other), None),
    };
    let story = Story {
        reminder: due.reminder,
        services: vec![service.name.to_string()],
        container: container.clone().or_else(|| service.container.clone()),
        down_since: due.down_since,
        recovered_at: due.recovered_at,
        reason: Some(reason),
        output: output(sight),
        health_check: Some(text::describe_check(&service.check.probe)),
        restart_command: service.restart_cmd.clone().filter(|_| is_restarted(service)),
        restart_result,
        attempts: match outcome {
            Outcome::Left(Decision::GiveUp { attempts, window, .. }) => Some((*attempts, *window)),
            _ => None,
        },
        blocks: blocked.iter().map(ToString::to_string).collect(),
        memory_used: machine::memory_used_percent(),
        disk_used: machine::disk_used_percent(),
        view_logs: text::view_logs(
            &pass.config.recovery.engine,
            container.as_deref(),
            service.log_path.as_deref(),
        ),
        runbook: service.runbook_url.clone(),
        label: alert::label(&pass.config.notifications, pass.world.host),
        sequence: Some(alert::sequence(pass.world.host, service.name.as_str(), due)),
        ..Story::new(due.kind, &service.display_name, pass.world.host, pass.now())
    };
    let told = std::iter::once(service).chain(blocked.iter().filter_map(|name| pass.config.service(name)));
    Report {
        story,
        incidents: vec![(service.name.to_string(), due.incident.clone())],
        // One that is not there, or paused, is known by the name it was looked for under.
        group: container.or_else(|| service.container.clone()).filter(|_| is_container_trouble(sight)),
        to: destinations(told.map(|service| &service.notify), &pass.config.notifications),
    }
}

/// Whether it is ever restarted.
fn is_restarted(service: &Service) -> bool {
    service.restart != RestartMethod::Never && service.max_failures > 0
}

/// What is told of the container engine.
pub(super) fn of_engine(pass: &Pass<'_>, why: &Unknown, due: &Due) -> Report {
    Report {
        story: Story {
            reminder: due.reminder,
            down_since: due.down_since,
            reason: Some(why.to_string()),
            memory_used: machine::memory_used_percent(),
            disk_used: machine::disk_used_percent(),
            label: alert::label(&pass.config.notifications, pass.world.host),
            sequence: Some(alert::sequence(pass.world.host, Subject::Engine.key(), due)),
            ..Story::new(due.kind, "", pass.world.host, pass.now())
        },
        incidents: vec![(Subject::Engine.key().to_owned(), due.incident.clone())],
        group: None,
        to: everybody(pass),
    }
}

/// An engine that is gone concerns whoever hears of a service in a container.
fn everybody(pass: &Pass<'_>) -> BTreeSet<Destination> {
    let contained =
        pass.config.services.iter().filter(|service| service.enabled && service.container.is_some());
    let mut to = machine_destinations(&pass.config.notifications);
    if to.is_empty() {
        to = destinations(contained.map(|service| &service.notify), &pass.config.notifications);
    }
    to
}

/// Its title, for the log.
pub(super) fn title(report: &Report) -> String {
    text::title(&report.story)
}

fn blocked_by(name: &ServiceName, outcomes: &[(ServiceName, Outcome)]) -> Vec<ServiceName> {
    outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Left(Decision::Blocked { by }) if by == name))
        .map(|(blocked, _)| blocked.clone())
        .collect()
}

/// Why a service is not well, and why it was left so, masked.
pub(super) fn reason(sight: &Sight, outcome: &Outcome) -> String {
    let seen = sight.reason();
    match outcome {
        Outcome::Unknown(why) => why.to_string(),
        Outcome::Left(decision @ (Decision::NoWay(_) | Decision::Unsafe(_) | Decision::OutOfTime)) => {
            format!("{seen}; {}", super::outcome::why_left(decision).unwrap_or_default())
        }
        Outcome::NotRecorded => format!("{seen}; not restarted, since the attempt could not be recorded"),
        _ => seen,
    }
}

fn output(sight: &Sight) -> Option<String> {
    match &sight.health {
        Some(Health::Unhealthy(Failure::Exit { output, .. })) if !output.is_empty() => Some(output.clone()),
        _ => None,
    }
}

fn is_container_trouble(sight: &Sight) -> bool {
    matches!(
        sight.health,
        Some(
            Health::Unhealthy(Failure::ContainerNotRunning { .. })
                | Health::Unknown(
                    Unknown::NoSuchContainer(_)
                        | Unknown::ContainerState { .. }
                        | Unknown::NetworkGone(_)
                        | Unknown::NoShell(_)
                )
        )
    )
}
