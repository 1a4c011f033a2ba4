//! Which of the remembered times are counted in a window, and so are read in the terms of the present clock.
//!
//! What people and programs were told stays as it was told (an incident's begin, what its first alert said), and
//! what only tells one restart from another stays what it is (the times a dependant has followed, the starts of
//! containers, by the engine's clock).

use super::{Incident, ServiceState, Status};
use crate::clock::boot::{Moment, Reading};

impl ServiceState {
    /// Puts all counted times right. Called once, where a state is loaded.
    pub fn put_right(&mut self, moment: &Moment) {
        let reading = moment.reading(&mut self.boot);
        let mut right = |at: &mut _| reading.put_right(at);
        self.since.iter_mut().for_each(&mut right);
        self.unknown_since.iter_mut().for_each(&mut right);
        self.attempts.iter_mut().map(|attempt| &mut attempt.at).for_each(&mut right);
        self.follows.iter_mut().for_each(&mut right);
        if let Some(chain) = &mut self.chain {
            right(&mut chain.began);
            chain.degraded_since.iter_mut().for_each(&mut right);
        }
        if let Some(incident) = &mut self.incident {
            put_cooldowns_right(incident, reading);
        }
        if let Some(last) = &mut self.last_incident {
            // It ended with the first healthy look.
            let healthy = self.since.filter(|_| self.status == Status::Healthy);
            last.closed_at = reading.of_or(last.closed_at, healthy.unwrap_or(moment.wall));
            put_cooldowns_right(&mut last.incident, reading);
        }
        if let Some(recovery) = &mut self.unalerted {
            right(&mut recovery.at);
        }
        if let Some(standing) = &mut self.standing {
            // It is compared with what the webhook was told, which stays; the attempt with the attempts.
            standing.at = standing.at.min(moment.wall);
            standing.attempt.iter_mut().for_each(&mut right);
        }
    }

    /// Whether it says the same as that, in whichever boot the two were written.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        *self == Self { boot: self.boot.clone(), ..other.clone() }
    }
}

fn put_cooldowns_right(incident: &mut Incident, reading: Reading) {
    incident.told.values_mut().for_each(|told| reading.put_right(&mut told.last));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::boot::Boot;
    use serde_json::{Value, json};
    use time::macros::datetime;

    const THEN: &str = "2026-11-21T10:00:00Z";

    /// The places in a file that are no longer `THEN`.
    fn moved(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(entries) => entries.iter().for_each(|(key, value)| {
                moved(value, &format!("{at}.{key}"), found);
            }),
            Value::Array(items) => items.iter().for_each(|item| moved(item, &format!("{at}[]"), found)),
            Value::String(text) if text.starts_with("2026-11-21T") && text != THEN => {
                assert_eq!(text, "2026-11-21T12:00:00Z", "{at}");
                found.push(at.to_owned());
            }
            _ => {}
        }
    }

    #[test]
    fn what_is_counted_is_shifted_and_what_was_told_or_tells_restarts_apart_stays() {
        let told = json!({"SERVICE-DOWN": {"first": THEN, "last": THEN, "count": 1}});
        let incident = json!({"id": "1", "opened_at": THEN, "down_since": THEN, "told": told});
        let mut last = incident.clone();
        last["closed_at"] = json!(THEN);
        let file = json!({
            "schema": 1, "service": "web", "status": "unhealthy", "since": THEN, "unknown_since": THEN,
            "attempts": [{"at": THEN, "result": "failed"}], "start_granted": THEN,
            "chain": {
                "began": THEN, "severity": "recoverable", "degraded_since": THEN, "degraded_in": THEN
            },
            "restarted": {"at": THEN, "container": true},
            "followed": {"vpn": {"restart": THEN, "container_start": THEN}},
            "follows": [THEN], "incident": incident, "last_incident": last,
            "standing": {"change": "down", "at": THEN, "down_since": THEN, "attempt": THEN},
            "unalerted": {"down_since": THEN, "at": THEN, "told": false},
            "boot": {"id": "boot 1", "at": "2026-11-20T00:00:00Z"}
        });
        let mut state: ServiceState = serde_json::from_value(file).expect("a state");
        let boot = Boot { id: "boot 1".into(), at: datetime!(2026-11-20 02:00 UTC) };
        let moment = Moment { wall: datetime!(2026-11-21 12:05 UTC), boot: Some(boot) };
        state.put_right(&moment);
        let once = state.clone();
        state.put_right(&moment);
        assert_eq!(state, once, "and only once");
        let mut found = Vec::new();
        moved(&serde_json::to_value(&state).expect("JSON"), "", &mut found);
        let expected = [
            ".attempts[].at",
            ".chain.began",
            ".chain.degraded_since",
            ".follows[]",
            ".incident.told.SERVICE-DOWN.last",
            ".last_incident.closed_at",
            ".last_incident.told.SERVICE-DOWN.last",
            ".since",
            ".standing.attempt",
            ".unalerted.at",
            ".unknown_since",
        ];
        assert_eq!(found, expected);
    }
}
