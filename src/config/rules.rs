//! What follows from several keys or several services: dependencies, the way to restart, the failure window,
//! and who would hear of an alert.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::field::{Context, Field};
use super::model::{
    Notifications, Notify, RestartMethod, Service, ServiceName, Settings, Strategies, Strategy,
};
use super::problem::Severity;
use super::service::{DependencyKey, Draft};
use super::suggest::suggest;
use crate::plan;

/// The shortest default failure window.
const LEAST_WINDOW: Duration = Duration::from_secs(300);

/// Fills in the dependencies; complains of unknown ones, of contradictions and of cycles.
pub(super) fn dependencies(cx: &Context<'_>, drafts: &mut [Draft<'_, '_>]) {
    let names: Vec<ServiceName> = drafts.iter().map(|draft| draft.service.name.clone()).collect();
    let index: HashMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut complained = HashSet::new();
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for (draft, edges) in drafts.iter_mut().zip(&mut edges) {
        for DependencyKey { name, restart, field } in draft.keys.dependencies.iter().flatten() {
            match index.get(name.as_str()) {
                Some(&to) if edges.contains(&to) => {
                    let contradicts = draft.service.follows.contains(&names[to]) != *restart;
                    if contradicts && complained.insert(field.at()) {
                        let text =
                            format!("{} is there twice, with and without", super::problem::quoted(name));
                        field.error(text + " \"restart\": true; leave one of them out");
                    }
                }
                Some(&to) => {
                    edges.push(to);
                    draft.service.dependencies.push(names[to].clone());
                    if *restart {
                        draft.service.follows.push(names[to].clone());
                    }
                }
                // An inherited list is complained of once.
                None if !complained.insert(field.at()) => {}
                None => {
                    let known = names.iter().map(ServiceName::as_str);
                    let meant = suggest(name, known).map(|meant| format!("; did you mean \"{meant}\"?"));
                    let text = format!("unknown service {}", super::problem::quoted(name));
                    field.error(text + &meant.unwrap_or_default());
                }
            }
        }
    }
    for cycle in plan::cycles(&edges) {
        let path: Vec<&str> = cycle.iter().map(|&i| names[i].as_str()).collect();
        let first = &drafts[cycle[0]];
        let field = first.section.get("dependencies");
        let at = field.as_ref().map_or(first.at, Field::at);
        let place = super::problem::child(&first.section.path, "dependencies");
        let text =
            format!("these services need each other: {}; remove one of the dependencies", path.join(" → "));
        cx.note(Severity::Error, Some(at), &place, text);
    }
}

/// Decides how each service is restarted.
pub(super) fn restarts(drafts: &mut [Draft<'_, '_>], settings: &Settings) {
    let mut inhabitants: HashMap<String, Vec<ServiceName>> = HashMap::new();
    for service in drafts.iter().map(|draft| &draft.service).filter(|service| service.enabled) {
        if let Some(container) = &service.container {
            let container = plain(container, settings).to_owned();
            inhabitants.entry(container).or_default().push(service.name.clone());
        }
    }
    for draft in drafts.iter_mut() {
        let container = draft.service.container.as_ref().map(|name| plain(name, settings));
        let sharing = container.and_then(|name| inhabitants.get(name)).into_iter().flatten();
        let others: Vec<&str> =
            sharing.filter(|name| **name != draft.service.name).map(ServiceName::as_str).collect();
        draft.service.restart = match &draft.keys.restart {
            Some((method, _)) => *method,
            None if draft.service.restart_cmd.is_some() => RestartMethod::Command,
            None if container.is_some() && others.is_empty() => RestartMethod::Container,
            None => RestartMethod::Never,
        };
        complain_of_restart(draft, &others);
    }
}

/// Complains of services that are to follow a dependency and that nothing may restart. Those that would follow
/// only by default do not.
pub(super) fn followers(drafts: &mut [Draft<'_, '_>]) {
    for draft in drafts.iter_mut() {
        let service = &mut draft.service;
        let why = match service.restart {
            RestartMethod::Never => "nothing restarts this service",
            _ if service.max_failures == 0 => "max_failures is 0",
            _ => continue,
        };
        service.follows.clear();
        let own = draft.section.get("dependencies").is_some();
        let follows = draft.keys.dependencies.iter().flatten().find(|key| key.restart);
        if let Some(key) = follows.filter(|_| own && draft.service.enabled) {
            key.field
                .error(format!("is to be followed by a restart, but {why}; leave \"restart\": true out"));
        }
    }
}

/// A container's name without the suffix with which it may be written or looked up.
fn plain<'n>(name: &'n str, settings: &Settings) -> &'n str {
    name.strip_suffix(&settings.container_suffix).filter(|short| !short.is_empty()).unwrap_or(name)
}

fn complain_of_restart(draft: &Draft<'_, '_>, others: &[&str]) {
    let service = &draft.service;
    let shared = others.join(", ");
    match &draft.keys.restart {
        Some((RestartMethod::Command, field)) if service.restart_cmd.is_none() => {
            field.error("\"command\" needs a restart_cmd");
        }
        Some((RestartMethod::Container, field)) if service.container.is_none() => {
            field.error("\"container\" needs a container");
        }
        Some((RestartMethod::Container, field)) if service.enabled && !others.is_empty() => {
            field.warn(format!("restarting the container also restarts {shared}"));
        }
        None if service.enabled && service.restart == RestartMethod::Never => {
            let why = if service.container.is_none() {
                "nothing can restart it".to_owned()
            } else {
                format!("nothing can restart it, as its container is shared with {shared}")
            };
            let other = if service.container.is_some() { "\"restart\": \"container\", " } else { "" };
            draft.warn(format!("{why}; set restart_cmd, {other}or \"restart\": \"none\" if that is meant"));
        }
        _ => {}
    }
    if draft.service.enabled && service.container.is_none() && draft.keys.container_start.is_some() {
        draft.warn("container_start means nothing without a container");
    }
    if let (Some(delay), Some(timeout)) = (draft.keys.startup_delay, draft.keys.startup_timeout)
        && timeout < delay
    {
        draft.warn("startup_timeout_seconds is less than startup_delay_seconds; the delay is used for both");
    }
}

/// Complains of strategies that can never be made, and of commands that no strategy runs.
pub(super) fn policies(drafts: &[Draft<'_, '_>]) {
    for draft in drafts.iter().filter(|draft| draft.service.enabled) {
        let (service, keys) = (&draft.service, &draft.keys.policy);
        let policy = &service.policy;
        let has = |step: Strategy| {
            let chains = &policy.strategies;
            [&chains.transient, &chains.recoverable, &chains.critical].into_iter().any(|c| c.contains(&step))
        };
        if let Some((chains, field)) = &keys.strategies {
            let never = matches!(draft.keys.restart, Some((RestartMethod::Never, _)));
            if chains.names(Strategy::RestartContainer) && service.container.is_none() {
                field.error("\"restart-container\" needs a container");
            }
            if never && (chains.names(Strategy::Restart) || chains.names(Strategy::RestartContainer)) {
                field.error("restarts it, but \"restart\" is \"none\"; leave one of them out");
            }
            if chains.names(Strategy::Fallback) && policy.fallback_cmd.is_none() {
                field.warn("\"fallback\" does nothing without a fallback_cmd");
            }
        }
        if let Some((_, field)) = keys.fallback_cmd.as_ref().filter(|_| !has(Strategy::Fallback)) {
            field.warn("no strategy runs it; add \"fallback\" to one of strategies");
        }
        let by_itself = service.restart != RestartMethod::Never && has(Strategy::Restart);
        let restarts = by_itself || has(Strategy::RestartContainer);
        if let Some((_, field)) = keys.cleanup_cmd.as_ref().filter(|_| !restarts || service.max_failures == 0)
        {
            field.warn("it is run before a restart, and nothing restarts this service");
        }
        if let Some((_, field)) = &keys.escalate_after
            && let Some(text) = attempts_out_of_reach(service)
        {
            field.warn(text);
        }
        if let Some((wanted, field)) = &keys.success_threshold {
            let time = service.startup_timeout - service.startup_delay;
            if Duration::from_secs(u64::from(wanted - 1)) > time {
                field.warn(format!(
                    "{wanted} looks, one a second, do not fit between startup_delay_seconds and \
                     startup_timeout_seconds ({} s): no restart would ever count as a recovery",
                    time.as_secs_f64()
                ));
            }
        }
    }
}

/// What is wrong where a failure counts as so bad that no restart is made before all attempts were.
fn attempts_out_of_reach(service: &Service) -> Option<String> {
    let Strategies { transient, recoverable, critical, alive: _ } = &service.policy.strategies;
    let restarts = |chain: &[Strategy]| {
        let is_restart = |step: &&Strategy| matches!(step, Strategy::Restart | Strategy::RestartContainer);
        u32::try_from(chain.iter().filter(is_restart).count()).unwrap_or(u32::MAX)
    };
    let (after, max) = (service.policy.escalate_after, service.max_failures);
    let ways = [(transient, recoverable, "recoverable"), (recoverable, critical, "critical")];
    let (each, worse) = ways.into_iter().find_map(|(chain, next, worse)| {
        let each = restarts(chain);
        let ends = each > 0 && restarts(next) == 0 && after.saturating_mul(each) < max;
        ends.then_some((each, worse))
    })?;
    (service.restart != RestartMethod::Never).then(|| {
        format!(
            "after {after} failed looks a failure of {} counts as {worse}, for which nothing restarts it, so \
             its {max} attempts (max_failures) are never used up; set at least {}",
            service.name,
            max.div_ceil(each)
        )
    })
}

impl Draft<'_, '_> {
    /// A warning at the service's name.
    fn warn(&self, text: impl Into<String>) {
        self.section.cx.note(Severity::Warning, Some(self.at), &self.section.path, text);
    }
}

/// Computes the default failure windows, and warns of those that can never trip.
pub(super) fn windows(drafts: &mut [Draft<'_, '_>], settings: &Settings) {
    for draft in drafts.iter_mut() {
        // Where it fails again after each restart, so many looks lie between two attempts.
        let period = period(&draft.service, settings).saturating_mul(draft.service.policy.failure_threshold);
        let max = draft.service.max_failures;
        draft.service.failure_window = match &draft.keys.failure_window {
            Some((window, _)) => *window,
            None => period.saturating_mul(max.max(1).saturating_mul(4)).max(LEAST_WINDOW),
        };
        let needed = period.saturating_mul(max + 1);
        let acts = draft.service.enabled && max > 0 && draft.service.restart != RestartMethod::Never;
        if let Some((window, field)) = &draft.keys.failure_window
            && acts
            && *window < needed
        {
            let text = format!(
                "{max} restarts, one every {} s, never fit into {} s, so {} is never given up; set at least {}",
                period.as_secs_f64(),
                window.as_secs_f64(),
                draft.service.name,
                needed.as_secs_f64().ceil()
            );
            field.warn(text);
        }
    }
}

/// The time between two looks: the schedule, or its next multiple that covers the interval.
fn period(service: &Service, settings: &Settings) -> Duration {
    let schedule = settings.schedule;
    let interval = service.check.interval.unwrap_or(Duration::ZERO);
    // Both are bounded by the reader, and the quotient by their ratio.
    let times = (interval.as_secs_f64() / schedule.as_secs_f64()).ceil().max(1.0) as u32;
    schedule.saturating_mul(times)
}

/// Warns of services that nobody would hear of, other than on the operator's word.
pub(super) fn listeners(cx: &Context<'_>, drafts: &[Draft<'_, '_>], notifications: &Notifications) {
    if cx.has_errors() {
        // Half of the file may be missing here; warnings about the rest would mislead.
        return;
    }
    if drafts.iter().all(|draft| !draft.service.enabled) {
        cx.note(Severity::Warning, None, "services", "no service is enabled: nothing will be looked at");
        return;
    }
    let unheard = |draft: &&Draft<'_, '_>| {
        draft.service.enabled && !draft.silenced && draft.service.notify == Notify::Nobody
    };
    let ways = [&notifications.server, &notifications.command].iter().any(|way| way.is_some());
    if !ways && notifications.webhook.is_none() {
        if drafts.iter().any(|draft| unheard(&draft)) {
            let text = "no notifications are configured: alerts are only logged; \
                        set ntfy.topics, command or webhook, or NTFY_TOPIC in the environment";
            cx.note(Severity::Warning, None, "notifications", text);
        }
        return;
    }
    for draft in drafts.iter().filter(unheard) {
        draft.warn("nobody would hear of it; set notify_on_fail, or notifications.default_topic");
    }
}
