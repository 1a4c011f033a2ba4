//! `recovery explain`: what a pass would do about one service, and why. Changes nothing.

use std::io::Write as _;

use crate::cli::Global;
use crate::exit_code::ExitCode;
use crate::journal::{Format, Journal, Options};
use crate::pass::Scope;
use crate::pass::explain::explain;
use crate::plan;
use crate::store::Store;

/// Looks at the service and at what it depends on, and prints what would be done and everything that was
/// considered.
///
/// # Errors
/// Where the signals cannot be watched, or this program's own path cannot be told.
pub fn run(global: &Global, name: &str) -> anyhow::Result<ExitCode> {
    let config = match super::open(global) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let named = plan::find(&config, name)
        .and_then(|service| Ok((service, plan::select(&config, &[name.to_owned()], true)?)));
    let (service, services) = match named {
        Ok(named) => named,
        Err(unknown) => return Ok(super::usage(&unknown)),
    };
    let scope = Scope { services, named: [service.name.clone()].into(), dry_run: true };
    let store = Store::open(&config.recovery);
    // What cannot be read is told on standard error; the log stays as it is.
    let journal =
        Journal::new(Options { file: None, format: Format::Text, verbosity: super::verbosity(global) });
    let (page, exit) = super::run::in_the_world(&config, &store, &journal, |world| {
        explain(world, &config, &scope, service)
    })?;
    // Whoever closed standard output does not want to read it.
    let _ = std::io::stdout().write_all(page.as_bytes());
    Ok(exit)
}
