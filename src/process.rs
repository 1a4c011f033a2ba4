//! One bounded child process: a deadline, its own process group, capped output, and never blocked by a
//! grandchild that holds its pipes. Also the flag that a signal sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Set by SIGTERM or SIGINT; everything that waits looks at it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// How often waits look at the flag.
    pub const TICK: Duration = Duration::from_millis(50);

    /// The signal that came, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&n| n != 0)
    }

    /// Whether a signal came.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.signal().is_some()
    }

    /// The flag itself, for `signal_hook::flag::register_usize`.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// Waits so long, or until a signal comes.
    pub fn wait(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while !self.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Self::TICK));
        }
    }
}
