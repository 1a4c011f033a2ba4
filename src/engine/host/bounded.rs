//! Work that cannot be interrupted (name resolution, a library's socket), waited for with a bound.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::check::{Failure, Health, Unknown};
use crate::process::Interrupt;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Not in time.
    TimedOut,
    /// A signal came.
    Interrupted,
    /// There was no thread to be had, or it broke down.
    Broken,
}

impl Stopped {
    /// What that says about a service.
    pub fn health(self, timeout: Duration) -> Health {
        match self {
            Self::TimedOut => Health::Unhealthy(Failure::TimedOut { after: timeout }),
            Self::Interrupted => Health::Unknown(Unknown::Interrupted),
            Self::Broken => Health::Unknown(Unknown::CannotFork("this machine: no thread".to_owned())),
        }
    }
}

/// Does `work` in a thread that is left behind where it does not answer within `limit`.
pub fn run<T: Send + 'static>(
    limit: Duration,
    interrupt: &Interrupt,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    let (sender, receiver) = channel();
    let end = Instant::now() + limit;
    // Nobody may listen any more; then nobody misses the answer.
    let started = std::thread::Builder::new().spawn(move || drop(sender.send(work())));
    if started.is_err() {
        return Err(Stopped::Broken);
    }
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(Interrupt::TICK)) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(Stopped::Broken),
            Err(RecvTimeoutError::Timeout) if interrupt.is_set() => return Err(Stopped::Interrupted),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(Stopped::TimedOut),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_end_is_left_behind() {
        let (keep, never) = channel::<()>();
        let limit = Duration::from_millis(20);
        let outcome = run(limit, &Interrupt::default(), move || never.recv().is_ok());
        assert_eq!(outcome, Err(Stopped::TimedOut));
        drop(keep);
    }

    #[test]
    fn a_signal_ends_the_wait() {
        let interrupt = Interrupt::default();
        interrupt.flag().store(15, std::sync::atomic::Ordering::Relaxed);
        let (keep, never) = channel::<()>();
        let outcome = run(Duration::from_secs(3600), &interrupt, move || never.recv().is_ok());
        assert_eq!(outcome, Err(Stopped::Interrupted));
        drop(keep);
    }
}
