//! What each kind of event says: its name, level, sentence and figures. The one table behind both formats.

use std::time::Duration;

use time::macros::format_description;

use crate::check::severity::Severity;
use crate::clock::Timestamp;
use crate::clock::text::{parse, utc};
use crate::config::model::ServiceName;
use crate::event::{Action, Change, Component, Event, EventKind, Level, phrase};

/// An event in words and figures.
pub(super) struct Facts {
    /// The `event` of the JSON format.
    pub name: &'static str,
    pub level: Level,
    /// The sentence, without details. For a note the note itself, raw.
    pub message: String,
    /// Told by the sentence already; only the JSON format repeats them.
    pub told: Vec<Figure>,
    /// Told in the details.
    pub details: Vec<Figure>,
    /// What programs ask for: told by the sentence already, and the same for all events.
    pub common: Vec<Figure>,
}

/// One figure and its key, the same in both formats.
pub(super) type Figure = (&'static str, Value);

/// A figure's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Flag(bool),
    Text(String),
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Flag(_) => None,
        }
    }
}

/// `2026-11-21T10:05:07.123Z`
pub(super) fn stamp(at: Timestamp) -> String {
    let layout = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    utc(at).format(layout).expect("every part of the layout is known")
}

/// Reads what [`stamp`] wrote.
pub(super) fn unstamp(text: &str) -> Option<Timestamp> {
    parse(text)
}

fn millis(duration: Duration) -> Value {
    Value::Number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: u32) -> Value {
    Value::Number(number.into())
}

/// Describes an event. An event that needs a service and has none is told of `?`, which reads back as a note.
pub(super) fn of(event: &Event) -> Facts {
    let mut facts = sentence(event);
    let flag = event.success().map(|success| ("success", Value::Flag(success)));
    let action = ("action", text(event.action.as_str()));
    if event.action == usual_action(&event.kind) {
        facts.common.extend(event.code().map(|_| action));
    } else {
        facts.details.push(action);
    }
    facts.details.extend(event.container.as_deref().map(|name| ("container_name", text(name))));
    facts.common.extend(event.code().map(|code| ("kind", text(code))));
    facts.common.extend(event.service.as_ref().map(|name| ("component_name", text(name.as_str()))));
    facts.common.extend(flag);
    facts
}

/// What the sentence alone says was done.
pub(super) fn usual_action(kind: &EventKind) -> Action {
    match kind {
        EventKind::CheckFailed { left_because: None, below: None, .. } => Action::Recover,
        EventKind::Executing { .. } | EventKind::Recovered { .. } | EventKind::RecoveryFailed { .. } => {
            Action::Restart
        }
        EventKind::ExecutingFallback { .. } | EventKind::Degraded { .. } => Action::Fallback,
        _ => Action::None,
    }
}

/// What an event says in words and figures of its own.
fn sentence(event: &Event) -> Facts {
    let s = event.service.as_ref().map_or("?", ServiceName::as_str);
    let say = |name, level, message: String, details| Facts {
        name,
        level,
        message,
        told: vec![],
        details,
        common: vec![],
    };
    match &event.kind {
        EventKind::CheckPassed { duration } => say(
            "check_passed",
            Level::Info,
            format!("{}{s}", phrase::PASSED),
            vec![("duration_ms", millis(*duration))],
        ),
        EventKind::CheckFailed { duration, reason, left_because, below, consecutive_failures, severity } => {
            let trying = left_because.is_none() && below.is_none();
            let end = if trying { phrase::TRYING } else { phrase::LEFT };
            let count = below.map(|threshold| format!(" (failure {consecutive_failures} of {threshold})"));
            let message = format!("{}{s}{end}{}", phrase::FAILED, count.unwrap_or_default());
            let mut details = vec![("reason", text(reason))];
            details.extend(left_because.as_deref().map(|why| ("left_because", text(why))));
            details.push(("consecutive_failures", number(*consecutive_failures)));
            details.extend(severity.map(|severity| ("severity", text(severity.as_str()))));
            details.push(("duration_ms", millis(*duration)));
            Facts {
                told: below.map(|threshold| ("failure_threshold", number(threshold))).into_iter().collect(),
                ..say("check_failed", Level::Warning, message, details)
            }
        }
        EventKind::CannotCheck { reason } => say(
            "cannot_check",
            Level::Warning,
            format!("{}{s}", phrase::CANNOT_CHECK),
            vec![("reason", text(reason))],
        ),
        EventKind::ManuallyStopped { details } => say(
            "manually_stopped",
            Level::Info,
            format!("{s}{}", phrase::STOPPED),
            if details.is_empty() { vec![] } else { vec![("details", text(details))] },
        ),
        EventKind::Blocked { by } => Facts {
            told: vec![("blocked_by", text(by.as_str()))],
            ..say("blocked", Level::Warning, format!("{s}{}{by}", phrase::BLOCKED), vec![])
        },
        EventKind::GivenUp { attempts, window, until } => {
            let seconds = window.as_secs();
            let message = format!("{s}{} ({attempts} in {seconds}s), giving up", phrase::EXCEEDED);
            let until = until.map(|until| ("until", Value::Text(stamp(until)))).into_iter().collect();
            Facts {
                told: vec![("attempts", number(*attempts)), ("window_seconds", Value::Number(seconds))],
                ..say("given_up", Level::Error, message, until)
            }
        }
        EventKind::HealedWithoutRestart => {
            say("healed_without_restart", Level::Info, format!("{s}{}", phrase::HEALED), vec![])
        }
        EventKind::Executing { what, attempt, max } => say(
            "executing",
            Level::Info,
            format!("{}{s}", phrase::EXECUTING),
            vec![("command", text(what)), ("attempt", number(*attempt)), ("max_attempts", number(*max))],
        ),
        EventKind::Recovered { duration, attempt, note } => {
            let mut details = vec![("duration_ms", millis(*duration)), ("attempt", number(*attempt))];
            details.extend(note.as_deref().map(|note| ("note", text(note))));
            say("recovered", Level::Info, format!("{}{s}", phrase::RECOVERED), details)
        }
        EventKind::RecoveryFailed { duration, attempt, reason, restart_result, severity } => {
            let mut details = vec![("reason", text(reason)), ("restart_result", text(restart_result))];
            details.extend(severity.map(|severity| ("severity", text(severity.as_str()))));
            details.push(("duration_ms", millis(*duration)));
            details.push(("attempt", number(*attempt)));
            say("recovery_failed", Level::Error, format!("{}{s}", phrase::RECOVERY_FAILED), details)
        }
        EventKind::ExecutingFallback { what } => say(
            "executing_fallback",
            Level::Warning,
            format!("{}{s}", phrase::FALLBACK),
            vec![("command", text(what))],
        ),
        EventKind::Degraded { duration, reason, result } => say(
            "degraded",
            Level::Error,
            format!("{s}{}", phrase::DEGRADED),
            vec![("reason", text(reason)), ("result", text(result)), ("duration_ms", millis(*duration))],
        ),
        EventKind::Component(component) => component_facts(s, component),
        EventKind::Note { level, text } => say("note", *level, text.clone(), vec![]),
    }
}

fn component_facts(service: &str, component: &Component) -> Facts {
    let Component { change, host, reason, consecutive_failures, severity, down_since } = component;
    let mut details: Vec<Figure> =
        reason.as_deref().map(|reason| ("reason", text(reason))).into_iter().collect();
    details.push(("consecutive_failures", number(*consecutive_failures)));
    details.extend(severity.map(|severity| ("severity", text(severity.as_str()))));
    details.extend(down_since.map(|since| ("down_since", Value::Text(stamp(since)))));
    details.push(("host", text(host)));
    Facts {
        name: change.name(),
        level: match change {
            Change::Down | Change::GivenUp => Level::Error,
            Change::Degraded | Change::Unknown => Level::Warning,
            Change::Recovered => Level::Info,
        },
        message: format!("{} {service}", change.code()),
        told: vec![],
        details,
        common: vec![],
    }
}

/// Finds a figure by its key.
pub(super) type Get<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// The kind of the event called `name` with these figures; `None` for a name or figures that are not ours.
pub(super) fn rebuild(name: &str, get: Get<'_>) -> Option<EventKind> {
    let string = |key| get(key).and_then(|value| value.text().map(str::to_owned));
    let count = |key| get(key).and_then(|value| value.number()).and_then(|n| u32::try_from(n).ok());
    let severity = || Severity::parse(&string("severity")?);
    let duration = || get("duration_ms").and_then(|value| value.number()).map(Duration::from_millis);
    Some(match name {
        "check_passed" => EventKind::CheckPassed { duration: duration()? },
        "check_failed" => EventKind::CheckFailed {
            duration: duration()?,
            reason: string("reason")?,
            left_because: string("left_because"),
            below: count("failure_threshold"),
            consecutive_failures: count("consecutive_failures")?,
            severity: severity(),
        },
        "cannot_check" => EventKind::CannotCheck { reason: string("reason")? },
        "manually_stopped" => EventKind::ManuallyStopped { details: string("details").unwrap_or_default() },
        "blocked" => EventKind::Blocked { by: ServiceName::new(&string("blocked_by")?)? },
        "given_up" => EventKind::GivenUp {
            attempts: count("attempts")?,
            window: Duration::from_secs(get("window_seconds")?.number()?),
            until: match string("until") {
                Some(until) => Some(unstamp(&until)?),
                None => None,
            },
        },
        "healed_without_restart" => EventKind::HealedWithoutRestart,
        "executing" => EventKind::Executing {
            what: string("command")?,
            attempt: count("attempt")?,
            max: count("max_attempts")?,
        },
        "recovered" => {
            EventKind::Recovered { duration: duration()?, attempt: count("attempt")?, note: string("note") }
        }
        "recovery_failed" => EventKind::RecoveryFailed {
            duration: duration()?,
            attempt: count("attempt")?,
            reason: string("reason")?,
            restart_result: string("restart_result")?,
            severity: severity(),
        },
        "executing_fallback" => EventKind::ExecutingFallback { what: string("command")? },
        "degraded" => EventKind::Degraded {
            duration: duration()?,
            reason: string("reason")?,
            result: string("result")?,
        },
        name => {
            let change = Change::ALL.into_iter().find(|change| change.name() == name)?;
            EventKind::Component(Component {
                change,
                host: string("host")?,
                reason: string("reason"),
                consecutive_failures: count("consecutive_failures")?,
                severity: severity(),
                down_since: match string("down_since") {
                    Some(since) => Some(unstamp(&since)?),
                    None => None,
                },
            })
        }
    })
}

/// The event with what all events may have besides.
pub(super) fn with_context(mut event: Event, get: Get<'_>) -> Event {
    let string = |key| get(key).and_then(|value| value.text().map(str::to_owned));
    event.container = string("container_name");
    let written = string("action").and_then(|action| Action::parse(&action));
    event.action = written.unwrap_or_else(|| usual_action(&event.kind));
    event
}
