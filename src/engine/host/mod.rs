//! The machine half of the engine: checks and restarts where `recovery` itself runs.
//!
//! Here the checks of a pass are spread over a bounded number of threads; how each kind asks is in the
//! modules below, and how answers are judged in [`crate::check::judge`].

mod bounded;
mod command;
mod http;
mod identity;
mod processes;
mod said;
mod tcp;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Overrun, Request, RestartCommand, RunResult};
use crate::check::judge::Custom;
use crate::check::{Health, Look, Unknown};
use crate::config::model::{ClosedAtOnce, Probe};
use crate::process::Interrupt;
use processes::Processes;
pub use processes::of_the_checking;

/// Threads at most for checks that wait at a connection.
const MOST_WAITING: usize = 64;

/// The machine on which `recovery` runs.
#[derive(Debug, Clone)]
pub struct Host {
    interrupt: Interrupt,
    exe: PathBuf,
    max_parallel: usize,
}

impl Host {
    /// `exe` is this program, told to commands as `RECOVERY_EXE`.
    #[must_use]
    pub fn new(max_parallel: usize, interrupt: Interrupt, exe: PathBuf) -> Self {
        Self { interrupt, exe, max_parallel: max_parallel.max(1) }
    }

    /// Makes all these checks, side by side; one result a request, in order.
    #[must_use]
    pub fn observe(&self, requests: &[Request<'_>]) -> Vec<Look> {
        let mut looks = vec![Look::unknown(Unknown::Interrupted); requests.len()];
        let rest = self.look_for_processes(requests, &mut looks);
        let looks = Mutex::new(looks);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(&(index, request)) = rest.get(next.fetch_add(1, Ordering::Relaxed)) {
                let look = self.look(request);
                looks.lock().unwrap_or_else(PoisonError::into_inner)[index] = look;
            }
        };
        std::thread::scope(|scope| {
            // Where no further thread can be had, this one does the work alone.
            for _ in 1..(self.max_parallel + waiting(&rest)).min(rest.len()) {
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        looks.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the process checks, all over one listing and before any other check starts processes of its
    /// own; the other checks, with their places, are left.
    fn look_for_processes<'a, 'b>(
        &self,
        requests: &'a [Request<'b>],
        looks: &mut [Look],
    ) -> Vec<(usize, &'a Request<'b>)> {
        let mut processes = None;
        let mut rest = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let Probe::Process { pattern } = &request.check.probe else {
                rest.push((index, request));
                continue;
            };
            let begun = Instant::now();
            let health = match processes.get_or_insert_with(|| Processes::now(&self.exe)) {
                Ok(processes) => processes.look(pattern),
                Err(why) => Health::Unknown(why.clone()),
            };
            looks[index] = Look { health, duration: begun.elapsed(), marker: None };
        }
        rest
    }

    /// Runs a `restart_cmd` in its own session.
    pub fn run(&self, command: &RestartCommand<'_>, at_timeout: &mut dyn FnMut() -> Overrun) -> RunResult {
        command::restart(command, &self.exe, &self.interrupt, at_timeout)
    }

    fn look(&self, request: &Request<'_>) -> Look {
        if self.interrupt.is_set() {
            return Look::unknown(Unknown::Interrupted);
        }
        let begun = Instant::now();
        let timeout = request.check.timeout;
        let health = match &request.check.probe {
            Probe::Http(probe) => http::look(probe, timeout, &self.interrupt),
            Probe::Tcp { host, port, closed_at_once } => {
                tcp::look(host, *port, *closed_at_once, timeout, &self.interrupt)
            }
            Probe::Process { pattern } => {
                Processes::now(&self.exe).map_or_else(Health::Unknown, |processes| processes.look(pattern))
            }
            Probe::Custom { command, expect_json, missing_program } => {
                let check = Custom { command, expect_json, missing_program: *missing_program };
                command::look(request, &check, &self.exe, &self.interrupt)
            }
        };
        let duration = begun.elapsed();
        Look { health: unless_frozen(health, duration, timeout), duration, marker: None }
    }
}

/// How many of these only wait for a while at a connection, which takes nothing of the machine.
fn waiting(requests: &[(usize, &Request<'_>)]) -> usize {
    let waits = |request: &Request<'_>| {
        matches!(request.check.probe, Probe::Tcp { closed_at_once: ClosedAtOnce::Refused, .. })
    };
    requests.iter().filter(|(_, request)| waits(request)).count().min(MOST_WAITING)
}

/// A failure that took far longer than its time-out says that we were frozen, not that the service is down.
fn unless_frozen(health: Health, took: Duration, timeout: Duration) -> Health {
    match health {
        Health::Unhealthy(_) if took > timeout.mul_f64(1.5).saturating_add(Duration::from_secs(1)) => {
            Health::Unknown(Unknown::Frozen { took })
        }
        health => health,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Failure;

    #[test]
    fn a_failure_that_took_too_long_says_nothing() {
        let down = || Health::Unhealthy(Failure::HttpError);
        let limit = Duration::from_secs(2);
        assert_eq!(unless_frozen(down(), Duration::from_secs(4), limit), down());
        let took = Duration::from_millis(4001);
        assert_eq!(unless_frozen(down(), took, limit), Health::Unknown(Unknown::Frozen { took }));
        assert_eq!(unless_frozen(Health::Healthy, took, limit), Health::Healthy);
    }
}
