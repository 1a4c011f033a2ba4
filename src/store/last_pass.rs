//! `last-pass.json`: when each service was last looked at, and in which containers. Kept apart from the states, so
//! that a pass that finds everything as it was writes one file and not one per service.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Timestamp;
use crate::clock::boot::{Boot, Moment};
use crate::engine::{Container, ContainerRef};

/// The schema this program writes.
pub const SCHEMA: u32 = 1;

/// When passes and looks were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPass {
    /// [`SCHEMA`]
    pub schema: u32,
    /// When the last pass was recorded.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub at: Option<Timestamp>,
    /// The last look at each service.
    #[serde(default)]
    looks: BTreeMap<String, Stamp>,
    /// The full ids of running containers, by name. What is here only makes the next pass faster.
    #[serde(default, deserialize_with = "full_ids", skip_serializing_if = "BTreeMap::is_empty")]
    containers: BTreeMap<String, String>,
    /// The boot in which these times were written, and by which clock.
    #[serde(default, deserialize_with = "Boot::lenient", skip_serializing_if = "Option::is_none")]
    boot: Option<Boot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Stamp(#[serde(with = "crate::clock::text::stored")] Timestamp);

impl Default for LastPass {
    fn default() -> Self {
        Self { schema: SCHEMA, at: None, looks: BTreeMap::new(), containers: BTreeMap::new(), boot: None }
    }
}

impl LastPass {
    /// Reads all times in the terms of the present clock; one in the future is now.
    pub(super) fn put_right(&mut self, moment: &Moment) {
        let reading = moment.reading(&mut self.boot);
        self.at.iter_mut().for_each(|at| reading.put_right(at));
        self.looks.values_mut().for_each(|stamp| reading.put_right(&mut stamp.0));
    }

    /// The last look at that service.
    #[must_use]
    pub fn look(&self, service: &str) -> Option<Timestamp> {
        self.looks.get(service).map(|stamp| stamp.0)
    }

    /// The containers that ran when they were last listed, as in a listing.
    #[must_use]
    pub fn containers(&self) -> Vec<Container> {
        let container = |(name, id): (&String, &String)| Container {
            at: ContainerRef { id: id.clone(), name: name.clone() },
            state: "running".to_owned(),
            networkless: false,
            kept_by: None,
            published: Vec::new(),
        };
        self.containers.iter().map(container).collect()
    }

    /// Replaces the containers, ids by name; what is no full id is left out.
    pub fn remember(&mut self, mut containers: BTreeMap<String, String>) {
        containers.retain(|_, id| is_full_id(id));
        self.containers = containers;
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
        for (service, at) in looked {
            let stamp = self.looks.entry(service.to_owned()).or_insert(Stamp(at));
            stamp.0 = stamp.0.max(at);
        }
        self.looks.retain(|service, _| known(service));
    }
}

/// Anything else could name another container, or be an option.
fn is_full_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Damage here costs no more than what is damaged.
fn full_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let found = serde_json::Value::deserialize(deserializer)?;
    let entries = found.as_object().into_iter().flatten();
    let texts = entries.filter_map(|(name, id)| Some((name.clone(), id.as_str()?.to_owned())));
    Ok(texts.filter(|(_, id)| is_full_id(id)).collect())
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
        assert_eq!(last.look("web"), Some(t2));
        assert_eq!(last.look("db"), Some(t1));
        assert_eq!(last.look("gone"), None);
        last.merge(t2, [("web", t1)], |_| true);
        assert_eq!(last.look("web"), Some(t2), "a slower pass does not turn time back");
    }

    #[test]
    fn only_full_ids_are_remembered_and_nothing_else_is_lost_by_damage() {
        let id = "0f".repeat(32);
        let old = r#"{"schema":1,"at":null,"looks":{"web":"2026-11-21T10:00:00Z"}"#;
        let looked = Some(datetime!(2026-11-21 10:00 UTC));
        let read = |text: &str| {
            let last: LastPass = serde_json::from_str(text).unwrap();
            assert_eq!(last.look("web"), looked, "{text}");
            last.containers()
        };
        assert_eq!(read(&format!("{old}}}")), []);
        for wrong in
            ["null", "7", "[]", "\"x\"", r#"{"box":7}"#, r#"{"box":"be34"}"#, r#"{"box":"--privileged"}"#]
        {
            assert_eq!(read(&format!("{old},\"containers\":{wrong}}}")), [], "{wrong}");
        }
        let found = read(&format!(r#"{old},"containers":{{"box":"{id}","other":null}}}}"#));
        assert_eq!(found.iter().map(|c| (c.at.name.as_str(), &c.at.id)).collect::<Vec<_>>(), [("box", &id)]);
    }

    #[test]
    fn what_is_no_longer_listed_is_forgotten() {
        let ids = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "a".repeat(64))).collect();
        let mut last = LastPass::default();
        last.remember(ids(&["web", "db"]));
        last.remember(ids(&["db"]));
        assert_eq!(last.containers().len(), 1);
    }

    #[test]
    fn a_time_in_the_future_is_read_as_now_and_rewritten_so() {
        let (now, future) = (datetime!(2026-11-21 10:00 UTC), datetime!(2030-01-01 00:00 UTC));
        let mut last = LastPass::default();
        last.merge(future, [("web", future)], |_| true);
        last.put_right(&Moment { wall: now, boot: None });
        assert_eq!((last.look("web"), last.at), (Some(now), Some(now)));
    }
}
