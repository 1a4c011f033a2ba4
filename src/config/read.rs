//! From the text of a file to a [`Config`] or to all of its problems. Touches nothing: the owner of the file
//! and the environment are arguments.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Env;
use super::field::{Context, Field, Section};
use super::health_check;
use super::model::{
    ClosedAtOnce, Config, ContainerStart, HealthCheck, Notify, Probe, RestartMethod, Service, ServiceName,
    Vantage,
};
use super::notifications;
use super::problem::{Problem, Severity, quoted};
use super::rules;
use super::service::{DependencyKey, Draft, ServiceKeys};
use super::settings;
use super::suggest::suggest;
use super::syntax::{self, Lines};

const SECTIONS: [&str; 3] = ["services", "recovery", "notifications"];

/// Reads `bytes`, the content of `path` (absolute, its folder without symbolic links).
///
/// The configuration is there exactly where none of the problems is an error.
#[must_use]
pub fn read(
    bytes: &[u8],
    path: &Path,
    default_state_dir: PathBuf,
    env: &Env<'_>,
) -> (Option<Config>, Vec<Problem>) {
    let text = match syntax::decode(bytes) {
        Ok(text) => text,
        Err(problem) => return (None, vec![problem]),
    };
    let lines = Lines::new(text);
    let tree = match syntax::parse(text, &lines) {
        Ok(tree) => tree,
        Err(problem) => return (None, vec![problem]),
    };
    let doubles = syntax::duplicates(&tree, &lines);
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let cx = Context { lines, env, folder, problems: RefCell::new(doubles) };
    let config = whole(&Field { cx: &cx, path: String::new(), value: &tree }, path, default_state_dir);
    let mut problems = cx.problems.into_inner();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
    (config.filter(|_| !wrong), problems)
}

fn whole(root: &Field<'_, '_>, path: &Path, default_state_dir: PathBuf) -> Option<Config> {
    let root = root.section()?;
    let section = |key: &str| root.get(key).and_then(|field| field.section());
    near_misses(&root);
    let recovery = section("recovery");
    let (settings, defaults, timeout) = settings::read(recovery.as_ref(), default_state_dir);
    let notifications = section("notifications");
    let notifications = notifications::read(root.cx, notifications.as_ref());
    if let Some(key) = &defaults.notify {
        notifications.check(key);
    }
    if root.get("services").is_none() {
        root.error("\"services\" is missing: {\"services\": {\"NAME\": {\"health_check\": {…}}}}");
    }
    let entries = section("services").map_or_else(Vec::new, |section| section.entries());
    let timeout = timeout.unwrap_or(Duration::from_secs(5));
    let mut drafts: Vec<Draft<'_, '_>> = entries
        .into_iter()
        .filter_map(|(name, at, field)| draft((name, at), &field, &defaults, timeout, &notifications))
        .collect();
    rules::dependencies(root.cx, &mut drafts);
    rules::restarts(&mut drafts, &settings);
    rules::followers(&mut drafts);
    rules::windows(&mut drafts, &settings);
    rules::policies(&drafts);
    let mut notifications = notifications.notifications;
    if drafts.iter().any(|draft| matches!(draft.service.notify, Notify::Topic(_))) {
        notifications.server.get_or_insert_with(|| notifications::PUBLIC_SERVER.to_owned());
    }
    rules::listeners(root.cx, &drafts, &notifications);
    let services = drafts.into_iter().map(|draft| draft.service).collect();
    Some(Config { path: path.to_owned(), services, recovery: settings, notifications })
}

/// Unknown top-level keys belong to other tools; only a misspelt one of ours is worth a word.
fn near_misses(root: &Section<'_, '_>) {
    for (key, at, _) in root.entries() {
        if SECTIONS.contains(&key) || key.starts_with('_') || key.starts_with("x-") {
            continue;
        }
        if let Some(meant) = suggest(key, SECTIONS).filter(|meant| root.get(meant).is_none()) {
            let text = format!("not read, as it is no section of recovery; did you mean \"{meant}\"?");
            root.cx.note(Severity::Warning, Some(at), &super::problem::child("", key), text);
        }
    }
}

fn draft<'a, 't>(
    (name, at): (&str, usize),
    field: &Field<'a, 't>,
    defaults: &ServiceKeys<'a, 't>,
    timeout: Duration,
    notifications: &notifications::Read,
) -> Option<Draft<'a, 't>> {
    let valid = ServiceName::new(name);
    if valid.is_none() {
        let text = format!(
            "{} cannot name a service: letters, digits, \".\", \"_\", \"-\", at most {}, not \".\" or \"-\" first",
            quoted(name),
            ServiceName::MAX_LEN
        );
        field.cx.note(Severity::Error, Some(at), &field.path, text);
    }
    let section = field.section()?;
    let keys = ServiceKeys::of_service(&section);
    if let Some(key) = &keys.notify {
        notifications.check(key);
    }
    let container = keys.container.clone().or_else(|| defaults.container.clone());
    let check = match section.get("health_check") {
        None => {
            section.error("\"health_check\" is missing: every service needs one");
            None
        }
        Some(field) => {
            field.section().and_then(|check| health_check::read(&check, timeout, container.is_some()))
        }
    };
    let notify = keys.notify.as_ref().or(defaults.notify.as_ref());
    let silenced = matches!(notify, Some(super::service::NotifyKey::Nobody));
    let notify = notifications.who(notify);
    let delay = keys.startup_delay.or(defaults.startup_delay).unwrap_or(Duration::from_secs(5));
    let startup = keys.startup_timeout.or(defaults.startup_timeout).unwrap_or(Duration::from_secs(30));
    let text = |own: &Option<String>, default: &Option<String>| own.clone().or_else(|| default.clone());
    let max_failures = keys.max_failures.or(defaults.max_failures).unwrap_or(3);
    let service = Service {
        name: valid?,
        enabled: keys.enabled.or(defaults.enabled).unwrap_or(true),
        kind: text(&keys.kind, &defaults.kind).unwrap_or_else(|| "daemon".to_owned()),
        display_name: text(&keys.display_name, &defaults.display_name).unwrap_or_else(|| name.to_owned()),
        log_path: log_path(keys.log_path.as_ref().or(defaults.log_path.as_ref()), container.is_some()),
        container,
        // Already complained of; the other rules are still applied to this service.
        check: check.unwrap_or_else(placeholder),
        restart_cmd: text(&keys.restart_cmd, &defaults.restart_cmd),
        // Depends on other services: decided by `rules::restarts`.
        restart: RestartMethod::Never,
        restart_timeout: keys.restart_timeout.or(defaults.restart_timeout).unwrap_or(Duration::from_secs(60)),
        container_start: keys
            .container_start
            .or(defaults.container_start)
            .unwrap_or(ContainerStart::OnFailure),
        startup_delay: delay,
        startup_timeout: startup.max(delay),
        start_period: keys.start_period.or(defaults.start_period).unwrap_or(Duration::from_secs(30)),
        max_failures,
        // Computed by `rules::windows` where it is not set.
        failure_window: Duration::ZERO,
        notify,
        notify_on_recovery: keys
            .notify_on_recovery
            .or(defaults.notify_on_recovery)
            .unwrap_or(notifications.notify_on_recovery),
        runbook_url: text(&keys.runbook_url, &defaults.runbook_url),
        env: keys.env.clone().or_else(|| defaults.env.clone()).unwrap_or_default(),
        user: text(&keys.user, &defaults.user),
        // Filled by `rules::dependencies`, which knows all names.
        dependencies: Vec::new(),
        follows: Vec::new(),
        policy: keys.policy.policy(&defaults.policy, max_failures),
    };
    let mut keys = keys;
    keys.restart = keys.restart.or_else(|| defaults.restart.clone());
    keys.failure_window = keys.failure_window.or_else(|| defaults.failure_window.clone());
    keys.policy.escalate_after =
        keys.policy.escalate_after.or_else(|| defaults.policy.escalate_after.clone());
    keys.dependencies = keys.dependencies.or_else(|| inherited(defaults, name));
    Some(Draft { service, keys, section, at, silenced })
}

/// Stands for a health check that could not be read; a configuration with one is never handed out.
fn placeholder() -> HealthCheck {
    HealthCheck {
        probe: Probe::Tcp { host: String::new(), port: 0, closed_at_once: ClosedAtOnce::Refused },
        timeout: Duration::ZERO,
        from: Vantage::Machine,
        interval: None,
    }
}

/// The default dependencies, of which a service that is itself among them is free.
fn inherited<'a, 't>(defaults: &ServiceKeys<'a, 't>, name: &str) -> Option<Vec<DependencyKey<'a, 't>>> {
    let list = defaults.dependencies.as_ref()?;
    let itself = list.iter().any(|dependency| dependency.name == name);
    (!itself).then(|| list.clone())
}

/// In a container as it is written; on the machine absolute.
fn log_path(key: Option<&(String, Field<'_, '_>)>, in_container: bool) -> Option<String> {
    let (text, field) = key?;
    if in_container {
        return Some(text.clone());
    }
    field.file_path().map(|path| path.to_string_lossy().into_owned())
}
