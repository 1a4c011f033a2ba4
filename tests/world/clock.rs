//! Time that passes only where somebody waits or a test says so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use recovery::clock::{Clock, Timestamp};
use recovery::process::Interrupt;
use time::macros::datetime;

use super::effects::Effects;

/// When every world begins.
pub const BEGINNING: Timestamp = datetime!(2026-11-21 10:00 UTC);

pub struct FakeClock {
    times: Mutex<Times>,
    interrupt: Interrupt,
    effects: Arc<Effects>,
}

struct Times {
    wall: Timestamp,
    monotonic: Duration,
    /// Monotonic time at which the machine booted; before ours began, so a difference is kept.
    uptime: Duration,
    /// How often it did.
    boots: u32,
}

impl FakeClock {
    pub fn new(interrupt: Interrupt, effects: Arc<Effects>) -> Self {
        let times = Times {
            wall: BEGINNING,
            monotonic: Duration::from_secs(1000),
            uptime: Duration::from_secs(1_000_000),
            boots: 1,
        };
        Self { times: Mutex::new(times), interrupt, effects }
    }

    /// The wall clock, without being an effect.
    pub fn peek(&self) -> Timestamp {
        self.times.lock().unwrap().wall
    }

    /// Time passes.
    pub fn advance(&self, duration: Duration) {
        let mut times = self.times.lock().unwrap();
        times.wall += duration;
        times.monotonic += duration;
        times.uptime += duration;
    }

    /// Somebody sets the wall clock.
    pub fn jump(&self, seconds: i64) {
        self.times.lock().unwrap().wall += time::Duration::seconds(seconds);
    }

    /// The machine booted so long ago.
    pub fn booted(&self, ago: Duration) {
        let mut times = self.times.lock().unwrap();
        times.uptime = ago;
        times.boots += 1;
    }

    pub fn uptime_now(&self) -> Duration {
        self.times.lock().unwrap().uptime
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.effects.tick();
        self.peek()
    }

    fn monotonic(&self) -> Duration {
        self.times.lock().unwrap().monotonic
    }

    fn sleep(&self, duration: Duration) {
        self.effects.tick();
        if !self.interrupt.is_set() {
            self.advance(duration);
        }
    }

    fn uptime(&self) -> Option<Duration> {
        self.effects.tick();
        Some(self.uptime_now())
    }

    fn boot_id(&self) -> Option<String> {
        Some(format!("boot {}", self.times.lock().unwrap().boots))
    }
}
