//! One short file a subcommand: open, do, say.

pub mod demo_service;
pub mod explain;
pub mod invalid;
pub mod judge;
pub mod reset;
pub mod resume;
pub mod run;
pub mod stats;
pub mod stop;
pub mod validate;

use std::fmt::Display;
use std::path::PathBuf;

use time::OffsetDateTime;

use crate::cli::{Global, StatsArgs, Which};
use crate::config::model::{Config, Service, ServiceName};
use crate::config::{self, ConfigError, TrustPolicy, process_env};
use crate::exit_code::ExitCode;
use crate::journal::Verbosity;
use crate::plan::{self, UnknownService};
use crate::when::When;

/// Where the configuration is, and how far it is believed.
#[must_use]
pub fn located(global: &Global) -> (PathBuf, TrustPolicy) {
    let path = config::locate(global.config.as_deref(), &process_env);
    (path, TrustPolicy::of_process(&process_env, global.trust_config))
}

/// How much is said.
#[must_use]
pub fn verbosity(global: &Global) -> Verbosity {
    match (global.verbose, global.quiet) {
        (true, _) => Verbosity::Verbose,
        (_, true) => Verbosity::Quiet,
        _ => Verbosity::Normal,
    }
}

/// The configuration; its problems go to standard error.
///
/// # Errors
/// The exit code, where it cannot be used.
pub fn open(global: &Global) -> Result<Config, ExitCode> {
    load(global).map_err(|error| {
        crate::complain!("{error}");
        ExitCode::Config
    })
}

/// The configuration as it is.
///
/// # Errors
/// All its problems.
pub fn load(global: &Global) -> Result<Config, ConfigError> {
    let (path, policy) = located(global);
    log::debug!("the configuration is {}", path.display());
    config::load(&path, &process_env, policy).map(|loaded| loaded.config)
}

/// Says what was wrong with the command line.
pub fn usage(problem: &dyn Display) -> ExitCode {
    crate::complain!("error: {problem}");
    ExitCode::Usage
}

/// The services meant, enabled or not, in the order in which they were named.
///
/// # Errors
/// The first name that is not configured.
pub fn chosen<'a>(config: &'a Config, which: &Which) -> Result<Vec<&'a Service>, UnknownService> {
    if which.all {
        return Ok(config.services.iter().collect());
    }
    which.services.iter().map(|name| plan::find(config, name)).collect()
}

/// `recovery stats`
///
/// # Errors
/// Where `--since` or `--until` cannot be understood: a usage error.
pub fn stats(global: &Global, args: &StatsArgs) -> anyhow::Result<ExitCode> {
    let when = |text: &Option<String>| text.as_deref().map(str::parse::<When>).transpose();
    let (since, until) = match (when(&args.since), when(&args.until)) {
        (Ok(since), Ok(until)) => (since, until),
        (Err(error), _) | (_, Err(error)) => return Ok(usage(&error)),
    };
    let request = stats::Request {
        files: args.files.clone(),
        since,
        until,
        services: args.service.iter().cloned().collect(),
        json: args.json,
    };
    // Files that are named can be read without a configuration.
    let config = match load(global) {
        Ok(config) => Some(config),
        Err(_) if !args.files.is_empty() => None,
        Err(error) => {
            crate::complain!("{error}");
            return Ok(ExitCode::Config);
        }
    };
    let log = config.as_ref().and_then(|config| config.recovery.log_file.as_deref());
    let known: Vec<ServiceName> =
        config.iter().flat_map(|config| &config.services).map(|service| service.name.clone()).collect();
    let mut streams = stats::Streams {
        input: &mut std::io::stdin(),
        out: &mut std::io::stdout(),
        err: &mut std::io::stderr(),
    };
    Ok(stats::run(&request, log, &known, OffsetDateTime::now_utc(), &mut streams))
}

/// `recovery validate`
///
/// # Errors
/// Where standard output cannot be written.
pub fn validate(global: &Global, json: bool) -> anyhow::Result<ExitCode> {
    let (path, trust) = located(global);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    Ok(validate::run(&path, &process_env, trust, json, &mut out, &mut err)?)
}
