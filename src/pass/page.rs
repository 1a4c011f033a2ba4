//! The page that explains one service, for a tired person: the conclusion, what was seen, what was considered in
//! which order, and what is remembered.

use std::fmt::Write as _;

use super::sight::{Place, Sight};
use super::{Report, Summary, say};
use crate::alert::mask::mask;
use crate::alert::text::timestamp;
use crate::check::severity::{Life, Severity};
use crate::check::{Failure, Health};
use crate::clock::Timestamp;
use crate::clock::text::later;
use crate::config::model::{Config, Service, ServiceName, Strategy};
use crate::decide::{self, Asked, Considered, Decision, Facts, Verdict};
use crate::history;
use crate::journal::escape::shown;
use crate::state::{AttemptResult, Chain, Incident, ServiceState, Status};

/// What was decided, and on what.
pub(super) struct Considerations<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) decision: &'a Decision,
    pub(super) considered: &'a [Considered],
    /// A pass that is not asked for this service leaves it out until then.
    pub(super) due_at: Option<Timestamp>,
}

/// Of a service that passes look at; its first line is that of a dry run.
pub(super) fn page(
    config: &Config,
    service: &Service,
    sight: &Sight,
    summary: &Summary,
    considerations: &Considerations<'_>,
) -> String {
    let mut page = Page::default();
    let reports = &summary.reports;
    if let Some(report) = reports.iter().find(|report| report.service == service.name) {
        page.line(&format!("{}: {}", service.name, say::of(config, report)));
    }
    page.title("What was seen");
    seen(&mut page, service, sight, considerations);
    needed(&mut page, config, service, reports);
    page.title("What was considered, in this order");
    considered(&mut page, config, service, considerations);
    past(&mut page, service, sight.state.as_ref(), sight.at);
    page.text
}

/// Of a service that no pass looks at.
pub(super) fn disabled(service: &Service, state: Option<&ServiceState>, now: Timestamp) -> String {
    let mut page = Page::default();
    page.line(&format!(
        "{}: disabled in the configuration: no pass looks at it or restarts it",
        service.name
    ));
    past(&mut page, service, state, now);
    page.text
}

/// Lines that are safe on a terminal, with their texts one below the other.
#[derive(Default)]
struct Page {
    text: String,
}

/// As wide as the longest name of a rule.
const WIDTH: usize = 24;

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(&shown(line));
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    fn row(&mut self, name: &str, text: &str) {
        self.line(&format!("    {name:WIDTH$}  {text}"));
    }

    /// The row that decides.
    fn marked(&mut self, name: &str, text: &str) {
        self.line(&format!("=>  {name:WIDTH$}  {text}"));
    }
}

fn seen(page: &mut Page, service: &Service, sight: &Sight, considerations: &Considerations<'_>) {
    page.row("look", &sight.said());
    if let (Some(Health::Unhealthy(failure)), Some(severity)) =
        (&sight.health, decide::severity(service, considerations.facts))
    {
        page.row("severity", &how_bad(service, failure, severity, considerations.facts));
    }
    if let Some(name) = &service.container {
        let kept =
            considerations.facts.kept_by.map_or_else(String::new, |by| format!(", kept by {}", by.who));
        page.row("container", &format!("{}{kept}", container(name, sight)));
    }
    if let Some(due) = considerations.due_at {
        page.row("next look", &format!("{}, passes before that leave it out", when(due, sight.at)));
    }
}

/// Its severity, and how far that is from being counted as worse.
fn how_bad(service: &Service, failure: &Failure, severity: Severity, facts: &Facts<'_>) -> String {
    let after = service.policy.escalate_after;
    let rating = service.policy.severity.of(failure);
    let plain = rating.severity;
    let looks = facts.escalating;
    if rating.life == Life::Alive {
        return format!("{severity}, and alive: it answered itself, so that no restart helps");
    }
    if severity != plain {
        return format!(
            "{severity}, a {plain} failure that was seen {looks} times since it was first acted on"
        );
    }
    if looks <= 1 || severity == severity.escalated() {
        return severity.to_string();
    }
    let worse = severity.escalated();
    format!("{severity}, look {looks} since it was first acted on; {worse} after {after}")
}

fn container(name: &str, sight: &Sight) -> String {
    let details = sight.details.as_ref();
    match &sight.place {
        Place::Machine => name.to_owned(),
        Place::Running(at) => match details.and_then(|details| details.started_at) {
            Some(started) => format!("{}, running since {}", at.name, when(started, sight.at)),
            None => format!("{}, running", at.name),
        },
        Place::Exited(at) => match details {
            Some(details) => {
                format!("{}, not running, exited {}, {}", at.name, details.exit_code, details.judged())
            }
            None => format!("{}, not running", at.name),
        },
        Place::Nowhere(why) => mask(&why.to_string()),
    }
}

/// What it depends on, its own dependencies first.
fn needed(page: &mut Page, config: &Config, service: &Service, reports: &[Report]) {
    if service.dependencies.is_empty() {
        return;
    }
    page.title("What it depends on");
    for name in &service.dependencies {
        match reports.iter().find(|report| report.service == *name) {
            Some(report) => page.row(name.as_str(), &say::of(config, report)),
            None => page.row(name.as_str(), "disabled in the configuration, counts as up"),
        }
    }
    let far = |name: &ServiceName| *name != service.name && !service.dependencies.contains(name);
    for report in reports.iter().filter(|report| far(&report.service)) {
        page.row(report.service.as_str(), &say::of(config, report));
    }
}

fn considered(page: &mut Page, config: &Config, service: &Service, considerations: &Considerations<'_>) {
    let mut in_chain = false;
    for Considered { what, verdict } in considerations.considered {
        if !in_chain && !matches!(what, Asked::Rule(_)) {
            in_chain = true;
            page.row("strategies", &chain(service, considerations.facts));
        }
        let what = what.to_string();
        match verdict {
            Verdict::Matches => page.marked(&what, &decided(config, service, considerations.decision)),
            Verdict::Passes(why) => page.row(&what, why),
            Verdict::Later => page.row(&what, "only where what comes before it does not help"),
        }
    }
}

/// `for a recoverable failure: restart, fallback`
fn chain(service: &Service, facts: &Facts<'_>) -> String {
    let severity = decide::severity(service, facts).unwrap_or(Severity::Recoverable);
    let steps = decide::strategies(service, facts).unwrap_or_default();
    let steps = if steps.is_empty() { "none".to_owned() } else { names(steps) };
    format!("for a {severity} failure: {steps}")
}

fn decided(config: &Config, service: &Service, decision: &Decision) -> String {
    match decision {
        Decision::Healthy => "healthy, nothing to do".to_owned(),
        Decision::CannotTell(why) => format!("cannot be checked: {}", mask(&why.to_string())),
        other => say::would(config, service, other).unwrap_or_default(),
    }
}

fn past(page: &mut Page, service: &Service, state: Option<&ServiceState>, now: Timestamp) {
    page.title("What is remembered");
    let Some(state) = state else {
        page.row("state file", "cannot be read, so nothing is known");
        return;
    };
    status(page, state, now);
    attempts(page, service, state, now);
    tried(page, history::chain(state, now, service.failure_window), service, now);
    if service.container.is_some() {
        let granted = match state.start_granted {
            Some(started) => format!("granted to the start of {}", when(started, now)),
            None => "not used since it was last healthy".to_owned(),
        };
        page.row("start period", &format!("{} s, {granted}", service.start_period.as_secs_f64()));
    }
    incidents(page, state, now);
}

fn status(page: &mut Page, state: &ServiceState, now: Timestamp) {
    let status = match state.status {
        Status::New => "never looked at",
        Status::Healthy => "healthy",
        Status::Unhealthy => "unhealthy",
    };
    let since = state.since.map_or_else(String::new, |since| format!(" since {}", when(since, now)));
    page.row("status", &format!("{status}{since}"));
    page.row("failed looks in a row", &format!("{} before this look", state.consecutive_failures));
    if state.unknown_looks > 0 {
        let since = state.unknown_since.map_or_else(String::new, |since| when(since, now));
        page.row("could not be looked at", &format!("since {since}"));
    }
}

fn attempts(page: &mut Page, service: &Service, state: &ServiceState, now: Timestamp) {
    let (max, window) = (service.max_failures, service.failure_window);
    let mut within = state.attempts.clone();
    history::prune(&mut within, now, window);
    page.row("restart attempts", &format!("{} of {max} within {} s", within.len(), window.as_secs_f64()));
    for attempt in &within {
        let result = match attempt.result {
            AttemptResult::Unknown => "its result is not known, the pass ended first",
            AttemptResult::Recovered => "helped",
            AttemptResult::Failed => "did not help",
        };
        page.row("", &format!("{}: {result}", when(attempt.at, now)));
    }
    let next = match history::free_at(&within, now, window, max) {
        _ if max == 0 => "never, max_failures is 0".to_owned(),
        Some(at) => when(at, now),
        None => "free now".to_owned(),
    };
    page.row("next attempt", &next);
}

/// What was tried against the present failure.
fn tried(page: &mut Page, chain: Option<&Chain>, service: &Service, now: Timestamp) {
    let Some(chain) = chain else {
        page.row("tried", "nothing against a present failure");
        return;
    };
    page.row("tried last", &format!("{} against a {} failure", names(&chain.steps), chain.severity));
    if let Some(since) = chain.degraded_since {
        page.row("degraded", &format!("since {}", when(since, now)));
    }
    page.row("first acted on", &when(chain.began, now));
    page.row("begins anew", &when(later(chain.began, service.failure_window), now));
}

fn incidents(page: &mut Page, state: &ServiceState, now: Timestamp) {
    match (&state.incident, &state.last_incident) {
        (Some(open), _) => {
            let flapping = if open.flapping { ", flapping" } else { "" };
            page.row("incident", &format!("open since {}{flapping}", when(open.opened_at, now)));
            told(page, open, now);
        }
        (None, Some(closed)) => {
            page.row("incident", &format!("none open, the last one ended {}", when(closed.closed_at, now)));
        }
        (None, None) => page.row("incident", "none"),
    }
}

fn told(page: &mut Page, incident: &Incident, now: Timestamp) {
    if incident.told.is_empty() {
        page.row("told", "nothing yet");
    }
    let mut name = "told";
    for (kind, told) in &incident.told {
        let mut text = format!("{kind}: {}", when(told.first, now));
        if told.count > 1 {
            let _ = write!(text, ", {} times, last {}", told.count, when(told.last, now));
        }
        page.row(name, &text);
        name = "";
    }
}

fn names(steps: &[Strategy]) -> String {
    steps.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(", ")
}

/// `2026-11-21T10:05:07Z (5 min ago)`
fn when(at: Timestamp, now: Timestamp) -> String {
    let seconds = (now - at).whole_seconds();
    let span = match seconds.unsigned_abs() {
        span @ ..=89 => format!("{span} s"),
        span @ ..=5399 => format!("{} min", span / 60),
        span @ ..=172_799 => format!("{} h", span / 3600),
        span => format!("{} d", span / 86_400),
    };
    let relative = if seconds < 0 { format!("in {span}") } else { format!("{span} ago") };
    format!("{} ({relative})", timestamp(at))
}
