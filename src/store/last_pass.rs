//! `last-pass.json`: when each service was last looked at. Kept apart from the states, so that a pass that
//! finds everything as it was writes one file and not one per service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The schema this program writes.
pub const SCHEMA: u32 = 1;

/// When passes and looks were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPass {
    /// [`SCHEMA`]
    pub schema: u32,
    /// When the last pass was recorded.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub at: Option<Timestamp>,
    /// The last look at each service.
    #[serde(default)]
    looks: BTreeMap<String, Stamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Stamp(#[serde(with = "time::serde::rfc3339")] Timestamp);

impl Default for LastPass {
    fn default() -> Self {
        Self { schema: SCHEMA, at: None, looks: BTreeMap::new() }
    }
}

impl LastPass {
    /// The last look at that service. A time in the future is read as now.
    #[must_use]
    pub fn look(&self, service: &str, now: Timestamp) -> Option<Timestamp> {
        self.looks.get(service).map(|stamp| stamp.0.min(now))
    }

    /// Takes in what a pass looked at, and forgets services that are no longer `known`. Of two passes that
    /// looked at the same service the later look stays.
    pub fn merge<'a>(
        &mut self,
        now: Timestamp,
        looked: impl IntoIterator<Item = (&'a str, Timestamp)>,
        known: impl Fn(&str) -> bool,
    ) {
        self.at = Some(now);
        for stamp in self.looks.values_mut() {
            stamp.0 = stamp.0.min(now);
        }
        for (service, at) in looked {
            let at = at.min(now);
            let stamp = self.looks.entry(service.to_owned()).or_insert(Stamp(at));
            stamp.0 = stamp.0.max(at);
        }
        self.looks.retain(|service, _| known(service));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_pass_over_one_service_keeps_the_times_of_the_others() {
        let (t1, t2) = (datetime!(2026-11-21 10:00 UTC), datetime!(2026-11-21 10:05 UTC));
        let mut last = LastPass::default();
        last.merge(t1, [("web", t1), ("db", t1), ("gone", t1)], |_| true);
        last.merge(t2, [("web", t2)], |name| name != "gone");
        assert_eq!(last.look("web", t2), Some(t2));
        assert_eq!(last.look("db", t2), Some(t1));
        assert_eq!(last.look("gone", t2), None);
        last.merge(t2, [("web", t1)], |_| true);
        assert_eq!(last.look("web", t2), Some(t2), "a slower pass does not turn time back");
    }

    #[test]
    fn a_time_in_the_future_is_read_as_now_and_rewritten_so() {
        let (now, future) = (datetime!(2026-11-21 10:00 UTC), datetime!(2030-01-01 00:00 UTC));
        let mut last = LastPass::default();
        last.merge(future, [("web", future)], |_| true);
        assert_eq!(last.look("web", now), Some(now));
        last.merge(now, [], |_| true);
        assert_eq!(last.look("web", future), Some(now));
    }
}
