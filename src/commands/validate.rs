//! `recovery validate`: what is wrong with the configuration, or what was understood of it. Touches nothing.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::config::model::{
    Config, Notifications, Notify, Probe, RestartMethod, Service, ServiceName, Topic, Vantage,
};
use crate::config::{self, ConfigError, Env, Problem, Severity, TrustPolicy};
use crate::exit_code::ExitCode;
use crate::plan;

/// The `--json` form.
#[derive(Serialize)]
struct Report<'a> {
    valid: bool,
    file: String,
    problems: Vec<Item<'a>>,
    services: usize,
}

/// One problem in it; `line` and `column` are missing where it has no place in the file.
#[derive(Serialize)]
struct Item<'a> {
    severity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    path: &'a str,
    text: &'a str,
}

/// Validates the configuration at `path`: problems to `err`, the summary to `out`; with `json` all to `out`.
///
/// # Errors
/// Where `out` or `err` cannot be written.
pub fn run(
    path: &Path,
    env: &Env<'_>,
    trust: TrustPolicy,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let loaded = config::load(path, env, trust);
    let (code, problems, config) = match &loaded {
        Ok(loaded) => (ExitCode::Ok, &loaded.warnings, Some(&loaded.config)),
        Err(ConfigError { problems, .. }) => (ExitCode::Config, problems, None),
    };
    if json {
        let report = report(path, problems, config);
        serde_json::to_writer(&mut *out, &report)?;
        writeln!(out)?;
        return Ok(code);
    }
    for problem in problems {
        writeln!(err, "{}", problem.render(path))?;
    }
    match config {
        Some(config) => summarize(path, config, problems, out)?,
        None => writeln!(err, "{}: not valid, {}", path.display(), counts(problems))?,
    }
    Ok(code)
}

fn report<'a>(path: &Path, problems: &'a [Problem], config: Option<&Config>) -> Report<'a> {
    let item = |problem: &'a Problem| Item {
        severity: problem.severity.to_string(),
        line: (problem.line > 0).then_some(problem.line),
        column: (problem.line > 0).then_some(problem.column),
        path: &problem.path,
        text: &problem.text,
    };
    Report {
        valid: config.is_some(),
        file: path.display().to_string(),
        problems: problems.iter().map(item).collect(),
        services: config.map_or(0, |config| config.services.len()),
    }
}

/// "1 error, 2 warnings"
fn counts(problems: &[Problem]) -> String {
    let one = |severity: Severity, name: &str| {
        let count = problems.iter().filter(|problem| problem.severity == severity).count();
        (count > 0).then(|| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
    };
    let both: Vec<String> =
        [one(Severity::Error, "error"), one(Severity::Warning, "warning")].into_iter().flatten().collect();
    if both.is_empty() { "no warnings".to_owned() } else { both.join(", ") }
}

fn summarize(path: &Path, config: &Config, problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: valid, {}", path.display(), counts(problems))?;
    let order = plan::order(config);
    writeln!(out, "services: {}, enabled: {}", config.services.len(), order.len())?;
    for service in &order {
        writeln!(out, "  {}", describe(service, &config.notifications))?;
    }
    let names = |list: Vec<&Service>| list.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let disabled: Vec<&Service> = config.services.iter().filter(|service| !service.enabled).collect();
    if !disabled.is_empty() {
        writeln!(out, "disabled: {}", names(disabled))?;
    }
    let unheard: Vec<&Service> = order.iter().copied().filter(|s| s.notify == Notify::Nobody).collect();
    if !unheard.is_empty() {
        writeln!(out, "nobody hears of: {}", names(unheard))?;
    }
    writeln!(out, "alerts: {}", alerts(config))?;
    writeln!(out, "state: {}", config.recovery.state_dir.display())?;
    match &config.recovery.log_file {
        Some(file) => writeln!(out, "log: {}", file.display()),
        None => writeln!(out, "log: standard error"),
    }
}

/// `web: http in container services, restarted by its command, after db; told: topic alerts`
fn describe(service: &Service, notifications: &Notifications) -> String {
    let place = match (&service.container, service.check.from) {
        (None, _) => "on this machine".to_owned(),
        (Some(container), Vantage::Container) => format!("in container {container}"),
        (Some(container), Vantage::Machine) => format!("of container {container}, from this machine"),
    };
    let restart = match service.restart {
        _ if service.max_failures == 0 => "never restarted",
        RestartMethod::Command => "restarted by its command",
        RestartMethod::Container => "restarted with its container",
        RestartMethod::Never => "never restarted",
    };
    let mut text = format!("{}: {} {place}, {restart}", service.name, probe(&service.check.probe));
    if !service.dependencies.is_empty() {
        let follows = |name: &ServiceName| service.follows.contains(name);
        let named =
            |name| if follows(name) { format!("{name} (restarted after it)") } else { name.to_string() };
        let names: Vec<String> = service.dependencies.iter().map(named).collect();
        text.push_str(&format!(", needs {}", names.join(", ")));
    }
    text.push_str("; told: ");
    text.push_str(&match &service.notify {
        Notify::Nobody => "nobody".to_owned(),
        Notify::CommandOnly => ways_without_topic(notifications),
        Notify::Topic(to) => topic(to),
    });
    text
}

fn ways_without_topic(notifications: &Notifications) -> String {
    let command = notifications.command.as_ref().map(|_| "the notification command");
    let webhook = notifications.webhook.as_ref().map(|_| "the webhook");
    command.into_iter().chain(webhook).collect::<Vec<_>>().join(" and ")
}

fn probe(probe: &Probe) -> &'static str {
    match probe {
        Probe::Http(_) => "http check",
        Probe::Tcp { .. } => "tcp check",
        Probe::Process { .. } => "process check",
        Probe::Custom { .. } => "custom check",
    }
}

/// By its label: a topic itself is a secret.
fn topic(topic: &Topic) -> String {
    match &topic.label {
        Some(label) => format!("topic {label}"),
        None => "a literal topic".to_owned(),
    }
}

fn alerts(config: &Config) -> String {
    let notifications = &config.notifications;
    let by_command = notifications.command.as_ref().map(|_| "the notification command".to_owned());
    let by_webhook =
        notifications.webhook.as_ref().map(|_| "the webhook (how services fare, nothing else)".to_owned());
    let ways: Vec<String> =
        [notifications.server.clone(), by_command, by_webhook].into_iter().flatten().collect();
    if ways.is_empty() { "only logged".to_owned() } else { ways.join(" and ") }
}
