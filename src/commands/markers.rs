//! `recovery stop` and `recovery resume`: a person is at work, and is done.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::reset::{self, Forgotten};
use crate::cli::{Global, StopArgs, Which};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::model::{Config, Service};
use crate::config::process_env;
use crate::engine::local::LocalEngine;
use crate::engine::{Container, ContainerRef, Engine};
use crate::exit_code::ExitCode;
use crate::pass::container_of;
use crate::plan;
use crate::process::Interrupt;
use crate::store::{Lock, MarkerFile, Store};

/// Sets the markers, then waits for a pass that is just restarting one of the services.
#[must_use]
pub fn stop(global: &Global, args: &StopArgs) -> ExitCode {
    let config = match super::open(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let services = match super::chosen(&config, &args.which) {
        Ok(services) => services,
        Err(unknown) => return super::usage(&unknown),
    };
    let clock = SystemClock::new(Interrupt::default());
    let now = clock.now();
    let until = match args.lasting.map(|lasting| later(now, lasting)) {
        Some(None) => return super::usage(&"--for reaches beyond the end of time; leave it out"),
        until => until.flatten(),
    };
    let marker = MarkerFile::new(person(), now, until, args.reason.clone());
    let store = Store::open(&config.recovery);
    // All of them first: what is waited for may else restart the next one meanwhile.
    let (stopped, not): (Vec<&Service>, Vec<&Service>) =
        services.into_iter().partition(|service| stop_one(&config, &store, service, &marker));
    let patience = config.recovery.pass_timeout;
    stopped
        .into_iter()
        .map(|service| wait_for_pass(&store, &clock, service, patience))
        .fold(if not.is_empty() { ExitCode::Ok } else { ExitCode::Io }, ExitCode::merge)
}

fn later(now: Timestamp, lasting: Duration) -> Option<Timestamp> {
    now.checked_add(time::Duration::try_from(lasting).ok()?)
}

/// Who is at work, as far as the environment tells.
fn person() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(process_env)
}

/// Sets the marker of a service, and says what that means; whether it could be set.
fn stop_one(config: &Config, store: &Store, service: &Service, marker: &MarkerFile) -> bool {
    let name = &service.name;
    if let Err(error) = store.markers().set(name, marker) {
        crate::complain!("error: {error}");
        return false;
    }
    let until = marker
        .until
        .map_or_else(|| format!("until `recovery resume {name}`"), |at| format!("until {}", shown(at)));
    crate::say!("{name}: will not be restarted {until}; it was not stopped");
    let held: Vec<String> = plan::dependents(config, name).iter().map(ToString::to_string).collect();
    if !held.is_empty() {
        crate::say!("{name}: not restarted meanwhile either, because they depend on it: {}", held.join(", "));
    }
    true
}

fn shown(at: Timestamp) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// A pass that holds the lock read the marker too early: what it does to the service is waited for.
fn wait_for_pass(store: &Store, clock: &dyn Clock, service: &Service, patience: Duration) -> ExitCode {
    let name = &service.name;
    let held = match store.try_lock(name, clock.now()) {
        Ok(Lock::Held(_)) => return ExitCode::Ok,
        Ok(Lock::Busy(holder)) => {
            let pid = holder.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            crate::say!("{name}: a pass{pid} is just restarting it, waiting for its end");
            store.lock_within(name, patience, clock)
        }
        Err(error) => Err(error),
    };
    match held {
        Ok(Lock::Held(_)) => crate::say!("{name}: that pass is done with it"),
        Ok(Lock::Busy(_)) => {
            crate::complain!("error: a pass is still at work on {name} after {} s", patience.as_secs());
            return ExitCode::TryAgain;
        }
        Err(error) => {
            crate::complain!("error: {error}");
            return ExitCode::Io;
        }
    }
    ExitCode::Ok
}

/// Removes the markers, here and in the containers, and forgets the failure windows.
///
/// # Errors
/// Where this program's own path cannot be told.
pub fn resume(global: &Global, which: &Which) -> anyhow::Result<ExitCode> {
    let config = match super::open(global) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let services = match super::chosen(&config, which) {
        Ok(services) => services,
        Err(unknown) => return Ok(super::usage(&unknown)),
    };
    let store = Store::open(&config.recovery);
    let engine = LocalEngine::new(&config.recovery, Interrupt::default(), std::env::current_exe()?);
    let contained = services.iter().any(|service| service.container.is_some());
    let (listing, mut exit) = match if contained { engine.list() } else { Ok(Vec::new()) } {
        Ok(listing) => (listing, ExitCode::Ok),
        Err(why) => {
            crate::complain!("error: markers inside containers cannot be removed: {why}");
            (Vec::new(), ExitCode::CannotLook)
        }
    };
    for service in services {
        exit = exit.merge(resume_one(&config, &store, &engine, &listing, service));
    }
    Ok(exit)
}

fn resume_one(
    config: &Config,
    store: &Store,
    engine: &dyn Engine,
    listing: &[Container],
    service: &Service,
) -> ExitCode {
    let name = &service.name;
    let mut exit = ExitCode::Ok;
    let mut removed: Vec<String> = Vec::new();
    match store.markers().clear(name) {
        Ok(paths) => removed.extend(paths.iter().map(|path| path.display().to_string())),
        Err(error) => {
            crate::complain!("error: {error}");
            exit = ExitCode::Io;
        }
    }
    if let Some(container) = container_of(config, service, listing) {
        match in_container(engine, container, service) {
            Ok(true) => removed.push(format!("the marker in container {}", container.at.name)),
            Ok(false) => {}
            Err(why) => {
                crate::complain!("error: {name}: {why}");
                exit = exit.merge(ExitCode::CannotLook);
            }
        }
    }
    let removed = if removed.is_empty() {
        "it was not stopped".to_owned()
    } else {
        format!("removed {}", removed.join(", "))
    };
    match reset::forget(store, service) {
        Ok(Forgotten::Attempts(_)) => {
            crate::say!("{name}: will be restarted again when it is down ({removed})");
        }
        Ok(Forgotten::Busy) => {
            crate::complain!(
                "error: {name}: a pass is at work on it, its failure window was not cleared ({removed})"
            );
            exit = exit.merge(ExitCode::TryAgain);
        }
        Err(error) => {
            crate::complain!("error: {error}");
            exit = exit.merge(ExitCode::Io);
        }
    }
    exit
}

fn in_container(engine: &dyn Engine, container: &Container, service: &Service) -> Result<bool, String> {
    let ContainerRef { name, .. } = &container.at;
    if container.state != "running" {
        return Err(format!(
            "container {name} is {}: a marker in it, if there is one, stays",
            container.state
        ));
    }
    engine
        .remove_marker(&container.at, &service.name)
        .map_err(|why| format!("the marker in container {name} cannot be looked for: {why}"))
}
