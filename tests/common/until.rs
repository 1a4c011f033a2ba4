//! Waiting for something to become true, instead of sleeping for luck.

use std::time::{Duration, Instant};

/// Asks again and again until `question` answers; panics with `what` when `limit` is over.
pub fn until<T>(what: &str, limit: Duration, mut question: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
