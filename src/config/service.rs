//! The keys of one service, and of `recovery.defaults`, which has the same.
//!
//! Reads single values only; what follows from several keys or services is in `rules` and `read`.

use std::time::Duration;

use super::field::{Field, Section, is_variable_name};
use super::health_check::url_problem;
use super::model::{ContainerStart, RestartMethod, Service};
use super::policy::{POLICY_KEYS, PolicyKeys};
use super::problem::{Severity, quoted};
use super::shell_text::shell;

/// The keys of a service but for those of its policy.
const SERVICE_KEYS: [&str; 20] = [
    "enabled",
    "type",
    "display_name",
    "container",
    "restart_cmd",
    "restart",
    "restart_timeout_seconds",
    "container_start",
    "startup_delay_seconds",
    "startup_timeout_seconds",
    "start_period_seconds",
    "max_failures",
    "failure_window_seconds",
    "notify_on_fail",
    "notify_on_recovery",
    "runbook_url",
    "log_path",
    "env",
    "user",
    "dependencies",
];

/// Keys that only a health check has, and that no other tool would put beside it.
const CHECK_KEYS: [&str; 8] = [
    "timeout_seconds",
    "interval_seconds",
    "process_name",
    "headers_env",
    "tls_verify",
    "expect_status",
    "expect_body",
    "expect_json",
];

pub(super) const DAY: f64 = 86_400.0;
pub(super) const YEAR: f64 = 366.0 * DAY;

/// One service as far as it could be read, with what the rules need to point at.
pub(super) struct Draft<'a, 't> {
    pub(super) service: Service,
    pub(super) keys: ServiceKeys<'a, 't>,
    pub(super) section: Section<'a, 't>,
    /// Where its name stands.
    pub(super) at: usize,
    /// Whether nobody is to hear of it on the operator's word.
    pub(super) silenced: bool,
}

/// What was written; `None`: not set, or wrong and complained of.
#[derive(Default)]
pub(super) struct ServiceKeys<'a, 't> {
    pub(super) enabled: Option<bool>,
    pub(super) kind: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) container: Option<String>,
    pub(super) restart_cmd: Option<String>,
    pub(super) restart: Option<(RestartMethod, Field<'a, 't>)>,
    pub(super) restart_timeout: Option<Duration>,
    pub(super) container_start: Option<ContainerStart>,
    pub(super) startup_delay: Option<Duration>,
    pub(super) startup_timeout: Option<Duration>,
    pub(super) start_period: Option<Duration>,
    pub(super) max_failures: Option<u32>,
    pub(super) failure_window: Option<(Duration, Field<'a, 't>)>,
    pub(super) notify: Option<NotifyKey<'a, 't>>,
    pub(super) notify_on_recovery: Option<bool>,
    pub(super) runbook_url: Option<String>,
    pub(super) log_path: Option<(String, Field<'a, 't>)>,
    pub(super) env: Option<Vec<(String, String)>>,
    pub(super) user: Option<String>,
    pub(super) dependencies: Option<Vec<DependencyKey<'a, 't>>>,
    pub(super) policy: PolicyKeys<'a, 't>,
}

/// One entry of `dependencies` as written: a name, or `{"service": "vpn", "restart": true}`.
#[derive(Clone)]
pub(super) struct DependencyKey<'a, 't> {
    pub(super) name: String,
    /// Whether it is to be followed.
    pub(super) restart: bool,
    /// Where its name stands.
    pub(super) field: Field<'a, 't>,
}

/// `notify_on_fail` as written.
#[derive(Clone)]
pub(super) enum NotifyKey<'a, 't> {
    /// `null`
    Nobody,
    /// A key of `topics`, or `topic:NAME`.
    Topic(String, Field<'a, 't>),
}

impl<'a, 't> ServiceKeys<'a, 't> {
    /// Of one service; `health_check` is read elsewhere.
    pub(super) fn of_service(section: &Section<'a, 't>) -> Self {
        let mut known = all_keys();
        known.push("health_check");
        section.only_or(&known, |key| {
            let text = format!("belongs into health_check: {{\"health_check\": {{\"{key}\": …}}}}");
            CHECK_KEYS.contains(&key).then_some((Severity::Error, text))
        });
        Self::read(section)
    }

    /// Of `recovery.defaults`, with `timeout_seconds` for health checks.
    pub(super) fn of_defaults(section: &Section<'a, 't>) -> (Self, Option<Duration>) {
        let mut known = all_keys();
        known.push("timeout_seconds");
        section.only_or(&known, |key| {
            (key == "health_check").then(|| {
                (
                    Severity::Warning,
                    "ignored: of a health check only timeout_seconds has a default".to_owned(),
                )
            })
        });
        let timeout = section.get("timeout_seconds").and_then(|field| check_timeout(&field));
        (Self::read(section), timeout)
    }

    fn read(section: &Section<'a, 't>) -> Self {
        let text = |key: &str| section.get(key)?.text();
        let seconds = |key: &str, min: f64, max: f64| section.get(key)?.seconds(min, max);
        Self {
            enabled: section.get("enabled").and_then(|field| field.flag()),
            kind: text("type"),
            display_name: text("display_name"),
            container: section.get("container").and_then(|field| container_name(&field)),
            restart_cmd: section.get("restart_cmd").and_then(|field| shell(&field)),
            restart: section.get("restart").and_then(|field| Some((restart(&field)?, field))),
            restart_timeout: seconds("restart_timeout_seconds", 1.0, DAY),
            container_start: section.get("container_start").and_then(|field| container_start(&field)),
            startup_delay: seconds("startup_delay_seconds", 0.0, DAY),
            startup_timeout: seconds("startup_timeout_seconds", 0.0, DAY),
            start_period: seconds("start_period_seconds", 0.0, 7.0 * DAY),
            max_failures: section.get("max_failures").and_then(|field| field.whole(0, 1000)),
            failure_window: section
                .get("failure_window_seconds")
                .and_then(|field| Some((field.seconds(1.0, YEAR)?, field))),
            notify: section.get_or_null("notify_on_fail").and_then(|field| notify(&field)),
            notify_on_recovery: section.get("notify_on_recovery").and_then(|field| field.flag()),
            runbook_url: section.get("runbook_url").and_then(|field| runbook_url(&field)),
            log_path: section.get("log_path").and_then(|field| Some((field.text()?, field))),
            env: section.get("env").and_then(|field| environment(&field)),
            user: section.get("user").and_then(|field| user(&field)),
            dependencies: section.get("dependencies").and_then(|field| dependencies(&field)),
            policy: PolicyKeys::read(section),
        }
    }
}

/// Keys that a service and `recovery.defaults` have in common.
pub(super) fn all_keys() -> Vec<&'static str> {
    SERVICE_KEYS.iter().chain(&POLICY_KEYS).copied().collect()
}

/// `timeout_seconds` of a health check.
pub(super) fn check_timeout(field: &Field<'_, '_>) -> Option<Duration> {
    field.seconds(0.1, 3600.0)
}

fn restart(field: &Field<'_, '_>) -> Option<RestartMethod> {
    field.word(&[
        ("command", RestartMethod::Command),
        ("container", RestartMethod::Container),
        ("none", RestartMethod::Never),
    ])
}

fn container_start(field: &Field<'_, '_>) -> Option<ContainerStart> {
    field.word(&[
        ("no", ContainerStart::No),
        ("on-failure", ContainerStart::OnFailure),
        ("always", ContainerStart::Always),
    ])
}

/// What engines take for a name.
fn container_name(field: &Field<'_, '_>) -> Option<String> {
    field.text_where("a container's name (letters, digits, \".\", \"_\", \"-\")", |name| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    })
}

fn user(field: &Field<'_, '_>) -> Option<String> {
    field.text_where("a user as \"docker exec -u\" takes it (name, number, or user:group)", |name| {
        !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-$".contains(&b))
    })
}

fn notify<'a, 't>(field: &Field<'a, 't>) -> Option<NotifyKey<'a, 't>> {
    if field.is_null() {
        return Some(NotifyKey::Nobody);
    }
    Some(NotifyKey::Topic(field.text()?, field.clone()))
}

/// It is shown on a phone, and opened there.
fn runbook_url(field: &Field<'_, '_>) -> Option<String> {
    const MAX: usize = 1000;
    let text = field.text()?;
    let wrong = match url_problem(&text) {
        Some(wrong) => wrong,
        None if authority(&text).contains('@') => {
            "contains a user or password, and is shown to everybody told"
        }
        None if text.len() > MAX => "is longer than 1000 bytes",
        None => return Some(text),
    };
    field.error(format!("{wrong}; expected a URL such as \"https://wiki.example.org/runbooks/web\""));
    None
}

/// Host and port of a URL, with user and password where it has them.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn environment(field: &Field<'_, '_>) -> Option<Vec<(String, String)>> {
    let entries = field.section()?.entries();
    let pair = |(name, _, value): (&str, usize, Field<'_, '_>)| {
        if !is_variable_name(name) {
            value.error(format!(
                "{} cannot name an environment variable: letters, digits and \"_\", not a digit first",
                quoted(name)
            ));
            return None;
        }
        Some((name.to_owned(), value.any_text()?))
    };
    Some(entries.into_iter().filter_map(pair).collect())
}

fn dependencies<'a, 't>(field: &Field<'a, 't>) -> Option<Vec<DependencyKey<'a, 't>>> {
    let items = field.list("a list of service names")?;
    Some(items.iter().filter_map(dependency).collect())
}

fn dependency<'a, 't>(item: &Field<'a, 't>) -> Option<DependencyKey<'a, 't>> {
    if !item.is_object() {
        return Some(DependencyKey { name: item.text()?, restart: false, field: item.clone() });
    }
    let section = item.section()?;
    section.only(&["service", "restart"]);
    let restart = section.get("restart").map(|field| field.flag());
    let Some(field) = section.get("service") else {
        section.error("\"service\" is missing: {\"service\": \"NAME\", \"restart\": true}");
        return None;
    };
    // Where `restart` is wrong that was said, and the name is still judged.
    Some(DependencyKey { name: field.text()?, restart: restart.flatten().unwrap_or(false), field })
}
