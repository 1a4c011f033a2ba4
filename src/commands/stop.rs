//! `recovery stop`: a person is at work.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use crate::cli::{Global, StopArgs};
use crate::clock::text::later;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::model::{Config, Service};
use crate::config::process_env;
use crate::exit_code::ExitCode;
use crate::plan;
use crate::process::Interrupt;
use crate::store::{Lock, MarkerFile, Store};

/// Sets the markers, then waits for a pass that is just restarting one of the services.
#[must_use]
pub fn run(global: &Global, args: &StopArgs) -> ExitCode {
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
    let until = args.lasting.map(|lasting| later(now, lasting));
    let marker = MarkerFile::new(person(), now, until, args.reason.clone());
    let store = Store::open(&config.recovery);
    let mut exit = ExitCode::Ok;
    // All markers first: waiting for one service shall not leave the next one open.
    let (stopped, failed): (Vec<&Service>, Vec<&Service>) =
        services.into_iter().partition(|service| set_marker(&config, &store, service, &marker));
    if !failed.is_empty() {
        exit = ExitCode::Io;
    }
    for service in stopped {
        exit = exit.merge(wait_for_pass(&store, &clock, service, config.recovery.pass_timeout));
    }
    exit
}

/// Who is at work, as far as the environment tells.
fn person() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(process_env)
}

/// Sets the marker and says what that means; `false`, after saying why, where it cannot be set.
fn set_marker(config: &Config, store: &Store, service: &Service, marker: &MarkerFile) -> bool {
    let name = &service.name;
    if let Err(error) = store.markers().set(name, marker) {
        crate::complain!("error: {name}: {error}");
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
