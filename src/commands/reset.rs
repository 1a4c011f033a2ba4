//! `recovery reset`: forget the failure window, so that a service that was given up is tried again.

use std::time::Duration;

use crate::cli::{Global, Which};
use crate::clock::{Clock, SystemClock};
use crate::config::model::Service;
use crate::exit_code::ExitCode;
use crate::process::Interrupt;
use crate::store::{Lock, Store, StoreError};

/// How long a pass that holds the lock is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Forgets the attempts of the services meant.
#[must_use]
pub fn run(global: &Global, which: &Which) -> ExitCode {
    let config = match super::open(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let services = match super::chosen(&config, which) {
        Ok(services) => services,
        Err(unknown) => return super::usage(&unknown),
    };
    let store = Store::open(&config.recovery);
    services.iter().map(|service| one(&store, service)).fold(ExitCode::Ok, ExitCode::merge)
}

fn one(store: &Store, service: &Service) -> ExitCode {
    let name = &service.name;
    match forget(store, service) {
        Ok(Forgotten::Attempts { number: 0, chain: true }) => {
            crate::say!("{name}: what was tried against its failure is forgotten, its strategies begin anew");
        }
        Ok(Forgotten::Attempts { number: 0, .. }) => {
            crate::say!("{name}: no restart attempts were remembered");
        }
        Ok(Forgotten::Attempts { number: n, .. }) => {
            let attempts = if n == 1 { "attempt" } else { "attempts" };
            crate::say!("{name}: {n} restart {attempts} forgotten, it will be tried again");
        }
        Ok(Forgotten::Busy) => {
            crate::complain!(
                "error: a pass is at work on {name} for longer than {} s; try again",
                PATIENCE.as_secs()
            );
            return ExitCode::TryAgain;
        }
        Err(error) => {
            crate::complain!("error: {error}");
            return ExitCode::Io;
        }
    }
    ExitCode::Ok
}

/// What became of the failure window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// What was in it.
    Attempts {
        /// So many restarts.
        number: usize,
        /// And steps of strategies against a failure that lasts.
        chain: bool,
    },
    /// A pass holds the lock.
    Busy,
}

/// Empties the failure window of a service, so that its strategies begin anew.
///
/// # Errors
/// Where the state cannot be read or written.
pub fn forget(store: &Store, service: &Service) -> Result<Forgotten, StoreError> {
    let clock = SystemClock::new(Interrupt::default());
    if let Lock::Busy(_) = store.try_lock(&service.name, clock.now())? {
        crate::say!("{}: waiting for a pass that is at work on it", service.name);
    }
    let Lock::Held(guard) = store.lock_within(&service.name, PATIENCE, &clock)? else {
        return Ok(Forgotten::Busy);
    };
    let mut state = guard.load()?;
    let number = std::mem::take(&mut state.attempts).len();
    let chain = state.chain.take().is_some();
    guard.save(&state)?;
    Ok(Forgotten::Attempts { number, chain })
}
