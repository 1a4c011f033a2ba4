//! Time, as something the pass is given: the wall clock dates what lasts, the monotonic one measures.

pub mod boot;
pub mod text;

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::process::Interrupt;

/// A point in wall-clock time, always UTC.
pub type Timestamp = OffsetDateTime;

/// What the pass knows of time.
pub trait Clock: Send + Sync {
    /// The wall clock, UTC.
    fn now(&self) -> Timestamp;
    /// Monotonic time since some fixed point.
    fn monotonic(&self) -> Duration;
    /// Waits so long, or until the pass is interrupted.
    fn sleep(&self, duration: Duration);
    /// Time since the machine booted; `None` where that cannot be told.
    fn uptime(&self) -> Option<Duration>;
    /// The kernel's name for this boot; `None` where that cannot be told.
    fn boot_id(&self) -> Option<String>;
}

/// The real clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    interrupt: Interrupt,
}

impl SystemClock {
    /// A clock whose sleeps end early when `interrupt` is set.
    #[must_use]
    pub fn new(interrupt: Interrupt) -> Self {
        Self { start: Instant::now(), interrupt }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        OffsetDateTime::now_utc()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.interrupt.wait(duration);
    }

    fn uptime(&self) -> Option<Duration> {
        // It goes on while the machine sleeps.
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Some(Duration::new(u64::try_from(since.tv_sec).ok()?, u32::try_from(since.tv_nsec).ok()?))
    }

    fn boot_id(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }
}
