//! `recovery run`: one pass.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::{Global, LogFormat, RunArgs};
use crate::clock::SystemClock;
use crate::config::ConfigError;
use crate::config::model::{Config, ServiceName};
use crate::engine::local::LocalEngine;
use crate::exit_code::ExitCode;
use crate::journal::{Format, Journal, Options};
use crate::machine;
use crate::notify::Notifiers;
use crate::pass::{self, Scope, Summary, World, say};
use crate::plan::{self, UnknownService};
use crate::process::Interrupt;
use crate::store::{LastGood, Store};

/// Makes one pass and says how it ended.
///
/// Who may not write the state learns so before anything is looked at. Any other trouble with it is the
/// pass's: it still looks and tells, and restarts nothing.
///
/// # Errors
/// Where the signals cannot be watched, or this program's own path cannot be told.
pub fn run(global: &Global, args: &RunArgs) -> anyhow::Result<ExitCode> {
    if args.no_deps && args.services.is_empty() {
        return Ok(super::usage(&"--no-deps goes with --service"));
    }
    let config = match super::load(global) {
        Ok(config) => config,
        Err(error) => {
            crate::complain!("{error}");
            return Ok(told(global, args, &error));
        }
    };
    let scope = match scope(&config, args) {
        Ok(scope) => scope,
        Err(unknown) => return Ok(super::usage(&unknown)),
    };
    say_disabled(&config, &scope);
    let store = Store::open(&config.recovery);
    let mut prepared = ExitCode::Ok;
    if !args.dry_run {
        if let Err(error) = store.prepare() {
            crate::complain!("error: {error}");
            if error.is_denied() {
                return Ok(ExitCode::Io);
            }
            prepared = ExitCode::Io;
        }
        prepared = prepared.merge(keep_last_good(&config, &store));
    }
    let journal = journal(&config, global, args);
    let summary = in_the_world(&config, &store, &journal, |world| pass::run(world, &config, &scope))?;
    let exit = if journal.failed() { summary.exit.merge(ExitCode::Io) } else { summary.exit };
    let exit = exit.merge(prepared);
    show(&config, &scope, &summary, global.quiet);
    Ok(exit)
}

/// A pass without a configuration tells somebody, unless it was to change nothing.
fn told(global: &Global, args: &RunArgs, error: &ConfigError) -> ExitCode {
    if args.dry_run {
        return ExitCode::Config;
    }
    super::invalid::tell(&super::located(global).0, error).unwrap_or_else(|error| {
        crate::complain!("error: {error}");
        ExitCode::Config
    })
}

fn scope<'a>(config: &'a Config, args: &RunArgs) -> Result<Scope<'a>, UnknownService> {
    let services = if args.services.is_empty() {
        plan::order(config)
    } else {
        plan::select(config, &args.services, !args.no_deps)?
    };
    let named = args.services.iter().filter_map(|name| ServiceName::new(name)).collect();
    Ok(Scope { services, named, dry_run: args.dry_run })
}

/// Who asks for a disabled service shall not take silence for health.
fn say_disabled(config: &Config, scope: &Scope<'_>) {
    for service in config.services.iter().filter(|service| scope.named.contains(&service.name)) {
        if !service.enabled {
            crate::complain!(
                "warning: {} is disabled in the configuration, it is not looked at",
                service.name
            );
        }
    }
}

/// What a later pass needs to tell that the configuration can no longer be read. It lies in the default state
/// folder, since nobody can then read which one is configured; a pass that cannot write there is still a pass.
fn keep_last_good(config: &Config, store: &Store) -> ExitCode {
    let clock = SystemClock::new(Interrupt::default());
    match super::invalid::valid(&config.path, &LastGood::of(config), store, &clock) {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            crate::complain!(
                "warning: {error}; should the configuration become invalid, nobody would be told"
            );
            // Who keeps the state elsewhere need not be allowed to write there.
            if error.is_denied() { ExitCode::Ok } else { ExitCode::Io }
        }
    }
}

/// A dry run leaves the log file alone.
fn journal(config: &Config, global: &Global, args: &RunArgs) -> Journal {
    let file: Option<PathBuf> = args.log_file.clone().or_else(|| config.recovery.log_file.clone());
    Journal::new(Options {
        file: file.filter(|_| !args.dry_run),
        format: match args.log_format {
            Some(LogFormat::Json) => Format::Json,
            Some(LogFormat::Text) | None => Format::Text,
        },
        verbosity: super::verbosity(global),
    })
}

/// Builds the real world and does something in it.
pub(super) fn in_the_world<T>(
    config: &Config,
    store: &Store,
    journal: &Journal,
    act: impl FnOnce(World<'_>) -> T,
) -> anyhow::Result<T> {
    let interrupt = Interrupt::default();
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let number = usize::try_from(signal).context("signal numbers are positive")?;
        signal_hook::flag::register_usize(signal, interrupt.flag(), number)
            .context("cannot watch for signals")?;
    }
    let clock = SystemClock::new(interrupt.clone());
    let exe = std::env::current_exe().context("cannot tell this program's own path")?;
    let world = World {
        clock: &clock,
        engine: &LocalEngine::new(&config.recovery, interrupt.clone(), exe),
        notifier: &Notifiers::new(&config.notifications).heeding(&interrupt),
        store,
        journal,
        interrupt: &interrupt,
        host: &machine::host_name(),
    };
    Ok(act(world))
}

/// A dry run's plan; else, at a terminal only, a closing summary.
fn show(config: &Config, scope: &Scope<'_>, summary: &Summary, quiet: bool) {
    let mut out = std::io::stdout();
    let text = if scope.dry_run {
        say::plan(config, summary)
    } else if out.is_terminal() && !quiet {
        say::closing(summary)
    } else {
        return;
    };
    // Whoever closed standard output does not want to read it.
    let _ = out.write_all(text.as_bytes());
}
