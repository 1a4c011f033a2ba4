//! Incidents as pure transitions: what was known, what was found, what must now be told.
//!
//! An incident is opened by its first alert and closed by the first healthy look. Within it each kind goes
//! out once, then one reminder per cooldown. Texts and destinations are not known here.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::clock::text::age;
use crate::state::{AlertKind, ClosedIncident, Incident, ServiceState, Told, UNKNOWN_LOOKS_TOLD, Unalerted};

use super::{Alert, Delivery};

/// What a pass found out about a service in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is healthy, or was recovered.
    Healthy,
    /// It is down, and that must be told in these words.
    Failed(AlertKind),
    /// It could not be looked at, for a reason of its own.
    Unknown,
    /// Nothing to tell: stopped, blocked, starting, at work elsewhere, or the engine is to blame.
    LeftAlone,
}

/// How patient a service's alerts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// One reminder in so much time.
    pub cooldown: Duration,
    /// The failure window: an incident that begins within it after the last one is flapping.
    pub window: Duration,
}

/// An alert that is due now. It is put into the outbox before the changed state is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What it tells.
    pub kind: AlertKind,
    /// It was told before in this incident.
    pub reminder: bool,
    /// The incident it belongs to; empty for a recovery whose incident is no longer known.
    pub incident: String,
    /// The first failed look.
    pub down_since: Option<Timestamp>,
    /// For a recovery: the first healthy look.
    pub recovered_at: Option<Timestamp>,
    /// How often this kind was told in this incident, with this time; 0 for a recovery.
    pub count: u32,
}

/// Takes in what was found, after the look itself was recorded ([`ServiceState::saw_healthy`] and its
/// siblings), and says what must be told.
///
/// `owed`: somewhere a failure of this service was delivered and its recovery was not yet put into the
/// outbox ([`crate::outbox::Outbox::owed`]).
#[must_use]
pub fn advance(
    state: &mut ServiceState,
    found: Found,
    owed: bool,
    policy: Policy,
    now: Timestamp,
) -> Option<Due> {
    match found {
        Found::LeftAlone => None,
        Found::Healthy => {
            close(state, now);
            owed.then(|| recovered(state, policy, now)).flatten()
        }
        Found::Failed(kind) => tell(state, kind, policy, now),
        Found::Unknown if state.unknown_looks >= UNKNOWN_LOOKS_TOLD => {
            tell(state, AlertKind::CheckImpossible, policy, now)
        }
        Found::Unknown => None,
    }
}

/// Whether a recovery by a restart is told although no failure was; called where [`advance`] had nothing to
/// say of a healthy look. `restarted`: since when the service was down that a restart has just helped.
#[must_use]
pub fn unalerted(
    state: &mut ServiceState,
    restarted: Option<Timestamp>,
    policy: Policy,
    now: Timestamp,
) -> Option<Due> {
    if let Some(down_since) = restarted {
        let ends = [
            state.unalerted.as_ref().map(|before| before.at),
            state.last_incident.as_ref().map(|last| last.closed_at),
        ];
        let flapping =
            ends.into_iter().flatten().any(|end| end < now && age(end, down_since) < policy.window);
        let at = state.since.unwrap_or(now);
        state.unalerted = Some(Unalerted { down_since, at, flapping, told: false });
    }
    let healthy_since = state.since.unwrap_or(now);
    let recovery = state.unalerted.as_mut().filter(|recovery| !recovery.told)?;
    if recovery.flapping && age(healthy_since, now) < policy.window {
        return None;
    }
    recovery.told = true;
    Some(Due {
        kind: AlertKind::ServiceRecovered,
        reminder: false,
        incident: format!("{:x}", recovery.at.unix_timestamp_nanos()),
        down_since: Some(recovery.down_since),
        recovered_at: Some(recovery.at),
        count: 0,
    })
}

/// The same for the machine's container engine, looks included: unreachable is told once two passes in a
/// row found it so; that it answers again closes the incident without a word.
#[must_use]
pub fn advance_engine(
    state: &mut ServiceState,
    reachable: bool,
    policy: Policy,
    now: Timestamp,
) -> Option<Due> {
    if reachable {
        state.saw_healthy(now);
        return advance(state, Found::Healthy, false, policy, now);
    }
    state.saw_unknown(now);
    let told = state.unknown_looks >= UNKNOWN_LOOKS_TOLD;
    let found = if told { Found::Failed(AlertKind::EngineUnreachable) } else { Found::LeftAlone };
    advance(state, found, false, policy, now)
}

/// The same for the configuration: wrong is told at once.
#[must_use]
pub fn advance_configuration(
    state: &mut ServiceState,
    valid: bool,
    policy: Policy,
    now: Timestamp,
) -> Option<Due> {
    if valid {
        state.saw_healthy(now);
        return advance(state, Found::Healthy, false, policy, now);
    }
    state.saw_unhealthy(now);
    advance(state, Found::Failed(AlertKind::RecoveryConfigInvalid), false, policy, now)
}

/// How an alert that waits is to be delivered, given the states of what it is about. Over is an alert of
/// which every incident is over; where a state cannot be read, the alert goes as it is.
pub fn judge(alert: &Alert, state_of: &dyn Fn(&str) -> Option<ServiceState>) -> Delivery {
    if alert.kind == AlertKind::ServiceRecovered || alert.incidents.is_empty() {
        return Delivery::AsItIs;
    }
    let from = alert.down_since.unwrap_or(alert.at);
    let mut to = None;
    for (service, id) in &alert.incidents {
        let Some(state) = state_of(service) else { return Delivery::AsItIs };
        if state.incident.as_ref().is_some_and(|open| open.id == *id) {
            return Delivery::AsItIs;
        }
        let last = state.last_incident.as_ref().filter(|last| last.incident.id == *id);
        let closed = last.map(|last| last.closed_at);
        // Neither open nor the last one: it was put there by a pass that has not saved its state (it died,
        // or is about to), or it is long over. In the first case its failure must not be called recovered.
        if closed.is_none() && state.last_incident_before(alert.at) {
            return Delivery::AsItIs;
        }
        to = to.max(closed);
    }
    Delivery::Over { from, to }
}

impl ServiceState {
    /// Whether everything this state knows of incidents is older than that.
    fn last_incident_before(&self, at: Timestamp) -> bool {
        let open = self.incident.as_ref().map(|i| i.opened_at);
        let closed = self.last_incident.as_ref().map(|c| c.incident.opened_at);
        open.max(closed).is_none_or(|known| known < at)
    }
}

fn tell(state: &mut ServiceState, kind: AlertKind, policy: Policy, now: Timestamp) -> Option<Due> {
    let down_since = kind_means_down(kind).then(|| state.since.unwrap_or(now));
    let began = down_since.or(state.unknown_since).unwrap_or(now);
    let last = state.last_incident.as_ref();
    // An end after the begin was dated by a clock that was put back since.
    let flapping =
        last.is_some_and(|last| last.closed_at <= began && age(last.closed_at, began) < policy.window);
    let incident = state.incident.get_or_insert_with(|| Incident {
        id: format!("{:x}", now.unix_timestamp_nanos()),
        opened_at: now,
        down_since: None,
        flapping,
        told: std::collections::BTreeMap::new(),
    });
    incident.down_since = incident.down_since.or(down_since);
    // A recovery that still waits to be told is overtaken: the end of this incident tells of both.
    if let (true, Some(recovery)) = (kind.is_failure(), &mut state.unalerted) {
        recovery.told = true;
    }

    let reminder = incident.told.contains_key(&kind);
    // What was told of it in other words a minute ago needs no reminder.
    let alike = incident.told.iter().filter(|(other, _)| other.is_failure() == kind.is_failure());
    let last_told = alike.map(|(_, told)| told.last).max();
    if reminder && last_told.is_some_and(|last| age(last, now) < policy.cooldown) {
        return None;
    }
    let told = incident.told.entry(kind).or_insert(Told { first: now, last: now, count: 0 });
    told.last = now;
    told.count = told.count.saturating_add(1);
    let count = told.count;
    Some(Due {
        kind,
        reminder,
        incident: incident.id.clone(),
        down_since: incident.down_since,
        recovered_at: None,
        count,
    })
}

fn kind_means_down(kind: AlertKind) -> bool {
    kind.is_failure()
}

fn close(state: &mut ServiceState, now: Timestamp) {
    if let Some(incident) = state.incident.take() {
        state.last_incident = Some(ClosedIncident { incident, closed_at: now });
    }
}

/// The recovery that is owed, unless the service flaps and has not been healthy for a whole window.
fn recovered(state: &ServiceState, policy: Policy, now: Timestamp) -> Option<Due> {
    let mut due = Due {
        kind: AlertKind::ServiceRecovered,
        reminder: false,
        incident: String::new(),
        down_since: None,
        recovered_at: None,
        count: 0,
    };
    let Some(last) = &state.last_incident else { return Some(due) };
    let healthy_since = state.since.map_or(last.closed_at, |since| since.max(last.closed_at));
    if last.incident.flapping && age(healthy_since, now) < policy.window {
        return None;
    }
    due.incident.clone_from(&last.incident.id);
    due.down_since = last.incident.down_since;
    due.recovered_at = Some(last.closed_at);
    Some(due)
}

#[cfg(test)]
mod tests;
