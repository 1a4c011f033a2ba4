//! The keys that say how a service's failures are judged and what is tried against them, in which order.

use std::time::Duration;

use super::field::{Field, Section};
use super::model::{Policy, Retry, Strategies, Strategy};
use super::problem::quoted;
use super::shell_text::shell;
use crate::check::severity::{Severity, SeverityMap};

/// In a service and in `recovery.defaults`.
pub(super) const POLICY_KEYS: [&str; 8] = [
    "failure_threshold",
    "success_threshold",
    "escalate_after",
    "severity",
    "strategies",
    "retry",
    "cleanup_cmd",
    "fallback_cmd",
];

/// Unless the file says otherwise, or there are more attempts.
const ESCALATE_AFTER: u32 = 5;

const SEVERITIES: [(&str, Severity); 3] = [
    ("transient", Severity::Transient),
    ("recoverable", Severity::Recoverable),
    ("critical", Severity::Critical),
];

const STRATEGIES: [(&str, Strategy); 4] = [
    ("retry", Strategy::Retry),
    ("restart", Strategy::Restart),
    ("restart-container", Strategy::RestartContainer),
    ("fallback", Strategy::Fallback),
];

/// What was written; `None`: not set, or wrong and complained of.
#[derive(Default)]
pub(super) struct PolicyKeys<'a, 't> {
    pub(super) failure_threshold: Option<u32>,
    pub(super) success_threshold: Option<(u32, Field<'a, 't>)>,
    pub(super) escalate_after: Option<(u32, Field<'a, 't>)>,
    severity: Option<SeverityMap>,
    pub(super) strategies: Option<(ChainKeys, Field<'a, 't>)>,
    retry: Option<RetryKeys>,
    pub(super) cleanup_cmd: Option<(String, Field<'a, 't>)>,
    pub(super) fallback_cmd: Option<(String, Field<'a, 't>)>,
}

/// `strategies` as written: only some of the severities may be there.
#[derive(Clone, Default)]
pub(super) struct ChainKeys {
    transient: Option<Vec<Strategy>>,
    recoverable: Option<Vec<Strategy>>,
    critical: Option<Vec<Strategy>>,
}

impl ChainKeys {
    /// Whether one of the chains that are written has that step.
    pub(super) fn names(&self, step: Strategy) -> bool {
        [&self.transient, &self.recoverable, &self.critical]
            .into_iter()
            .flatten()
            .flatten()
            .any(|s| *s == step)
    }
}

#[derive(Clone, Copy)]
struct RetryKeys {
    attempts: Option<u32>,
    base_delay: Option<Duration>,
}

impl<'a, 't> PolicyKeys<'a, 't> {
    pub(super) fn read(section: &Section<'a, 't>) -> Self {
        let whole = |key: &str, max: u32| Some((section.get(key)?.whole(1, max)?, section.get(key)?));
        let text = |key: &str| section.get(key).and_then(|field| Some((shell(&field)?, field)));
        Self {
            failure_threshold: whole("failure_threshold", 1000).map(|(number, _)| number),
            success_threshold: whole("success_threshold", 1000),
            escalate_after: whole("escalate_after", 1_000_000),
            severity: section.get("severity").and_then(|field| severity(&field)),
            strategies: section.get("strategies").and_then(|field| Some((chains(&field)?, field))),
            retry: section.get("retry").and_then(|field| retry(&field)),
            cleanup_cmd: text("cleanup_cmd"),
            fallback_cmd: text("fallback_cmd"),
        }
    }

    /// The policy that these keys and the defaults make, for a service with so many attempts.
    pub(super) fn policy(&self, defaults: &Self, max_failures: u32) -> Policy {
        let written = |pick: fn(&ChainKeys) -> &Option<Vec<Strategy>>| {
            let of = |keys: &Self| keys.strategies.as_ref().and_then(|(chains, _)| pick(chains).clone());
            of(self).or_else(|| of(defaults))
        };
        let chain = |pick: fn(&ChainKeys) -> &Option<Vec<Strategy>>, otherwise: &[Strategy]| {
            written(pick).unwrap_or_else(|| otherwise.to_vec())
        };
        let text = |pick: fn(&Self) -> &Option<(String, Field<'a, 't>)>| {
            pick(self).as_ref().or(pick(defaults).as_ref()).map(|(text, _)| text.clone())
        };
        let retry = |pick: fn(&RetryKeys) -> Option<u32>| {
            self.retry.as_ref().and_then(pick).or_else(|| defaults.retry.as_ref().and_then(pick))
        };
        let base_delay = |keys: &Self| keys.retry.and_then(|retry| retry.base_delay);
        let success = |keys: &Self| keys.success_threshold.as_ref().map(|(number, _)| *number);
        let escalate = |keys: &Self| keys.escalate_after.as_ref().map(|(number, _)| *number);
        Policy {
            failure_threshold: self.failure_threshold.or(defaults.failure_threshold).unwrap_or(1),
            success_threshold: success(self).or_else(|| success(defaults)).unwrap_or(1),
            // A failure that counted as worse before its last attempt would never get that one.
            escalate_after: escalate(self)
                .or_else(|| escalate(defaults))
                .unwrap_or_else(|| max_failures.max(ESCALATE_AFTER)),
            severity: self.severity.clone().or_else(|| defaults.severity.clone()).unwrap_or_default(),
            strategies: Strategies {
                transient: chain(|keys| &keys.transient, &Strategies::TRANSIENT),
                recoverable: chain(|keys| &keys.recoverable, &Strategies::RECOVERABLE),
                critical: chain(|keys| &keys.critical, &Strategies::CRITICAL),
                alive: written(|keys| &keys.critical).unwrap_or_default(),
            },
            retry: Retry {
                attempts: retry(|retry| retry.attempts).unwrap_or(4),
                base_delay: base_delay(self)
                    .or_else(|| base_delay(defaults))
                    .unwrap_or(Duration::from_secs(1)),
            },
            cleanup_cmd: text(|keys| &keys.cleanup_cmd),
            fallback_cmd: text(|keys| &keys.fallback_cmd),
        }
    }
}

/// `{"exit_codes": {"3": "critical"}, "http_status": {"507": "critical"}, "tls": "recoverable"}`
fn severity(field: &Field<'_, '_>) -> Option<SeverityMap> {
    let section = field.section()?;
    section.only(&["exit_codes", "http_status", "tls", "unresolved"]);
    let word = |key: &str| section.get(key).and_then(|field| field.word(&SEVERITIES));
    let numbers = |key: &str, min: u16, max: u16| -> Vec<(u16, Severity)> {
        let entries = section.get(key).and_then(|field| field.section()).map(|section| section.entries());
        let entry = |(key, _, value): (&str, usize, Field<'_, '_>)| {
            let number = key.parse::<u16>().ok().filter(|number| (min..=max).contains(number));
            if number.is_none() {
                value.error(format!("{} is no whole number from {min} to {max}", quoted(key)));
            }
            number.zip(value.word(&SEVERITIES))
        };
        entries.into_iter().flatten().filter_map(entry).collect()
    };
    let exit_codes = numbers("exit_codes", 1, 255);
    Some(SeverityMap {
        exit_codes: exit_codes.into_iter().map(|(code, severity)| (i32::from(code), severity)).collect(),
        http_status: numbers("http_status", 100, 599).into_iter().collect(),
        tls: word("tls"),
        unresolved: word("unresolved"),
    })
}

/// `{"recoverable": ["restart", "restart-container", "fallback"]}`
fn chains(field: &Field<'_, '_>) -> Option<ChainKeys> {
    let section = field.section()?;
    section.only(&["transient", "recoverable", "critical"]);
    let chain = |key: &str| section.get(key).and_then(|field| steps(&field));
    Some(ChainKeys {
        transient: chain("transient"),
        recoverable: chain("recoverable"),
        critical: chain("critical"),
    })
}

/// An empty chain is one: nothing is done.
fn steps(field: &Field<'_, '_>) -> Option<Vec<Strategy>> {
    let items = field.list("a list such as [\"restart\", \"fallback\"]")?;
    let mut steps: Vec<Strategy> = Vec::new();
    for item in &items {
        let step = item.word(&STRATEGIES)?;
        if steps.contains(&step) {
            item.error(format!("\"{}\" stands there twice; each step is made once a pass", step.as_str()));
            return None;
        }
        steps.push(step);
    }
    Some(steps)
}

/// `{"attempts": 4, "base_delay_seconds": 1}`
fn retry(field: &Field<'_, '_>) -> Option<RetryKeys> {
    let section = field.section()?;
    section.only(&["attempts", "base_delay_seconds"]);
    Some(RetryKeys {
        // With ten, the last delay is 256 times the first.
        attempts: section.get("attempts").and_then(|field| field.whole(1, 10)),
        base_delay: section.get("base_delay_seconds").and_then(|field| field.seconds(0.0, 60.0)),
    })
}
