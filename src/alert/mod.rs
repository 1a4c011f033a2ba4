//! Incidents and what is told of them: which alerts follow from what happened, their text, their masking.
//!
//! Pure. Keeping alerts is the outbox's, sending them the notifier's.
//!
//! A pass turns every [`incident::Due`] into a [`Report`], lets [`group`] join those of one container, and
//! puts the [`Report::alerts`] into the outbox.

pub mod component;
pub mod incident;
pub mod late;
pub mod mask;
pub mod text;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::model::{HostLabel, Notifications, Notify};
use crate::event::{Change, Event};
use crate::state::AlertKind;
use crate::store::lock::fnv1a;

use self::text::Story;

/// One message to one destination, as it lies in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it tells.
    pub kind: AlertKind,
    /// What its title is about: a service's display name, a container, or empty for the machine.
    #[serde(default)]
    pub subject: String,
    /// The machine it happened on.
    #[serde(default)]
    pub host: String,
    /// The services it is about (none for the machine's own alerts), the first one first.
    pub services: Vec<String>,
    /// The incident it belongs to: `(subject's key, incident id)` of every service in it.
    pub incidents: Vec<(String, String)>,
    /// When it happened.
    #[serde(with = "crate::clock::text::stored")]
    pub at: Timestamp,
    /// Since when the service was down.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub down_since: Option<Timestamp>,
    /// Where it goes.
    pub to: Destination,
    /// 1 to 5.
    pub priority: u8,
    /// ntfy tags.
    pub tags: Vec<String>,
    /// One line, masked.
    pub title: String,
    /// At most 4,096 bytes, masked; of a component's event its JSON, whole.
    pub body: String,
    /// What stands in `[…]` before every title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// On a phone a message takes the place of the one before it with the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// What a touch opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<String>,
    /// The change of a component's health that it tells programs of. It is delivered as it is, in its turn,
    /// or refused as it is: what follows of incidents does not concern it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Change>,
}

impl Alert {
    /// What the webhook is sent of a component's event, `body` being its JSON; `None` for any other event.
    #[must_use]
    pub fn of_event(event: &Event, body: String, now: Timestamp) -> Option<Self> {
        let crate::event::EventKind::Component(component) = &event.kind else { return None };
        let service = event.service.as_ref()?;
        let kind = match component.change {
            Change::Down => AlertKind::ServiceDown,
            Change::Degraded => AlertKind::ServiceDegraded,
            Change::GivenUp => AlertKind::ServiceCrashLoop,
            Change::Unknown => AlertKind::CheckImpossible,
            Change::Recovered => AlertKind::ServiceRecovered,
        };
        Some(Self {
            kind,
            subject: service.to_string(),
            host: component.host.clone(),
            services: vec![service.to_string()],
            incidents: Vec::new(),
            at: now,
            down_since: component.down_since,
            to: Destination::Webhook,
            priority: text::priority(kind),
            tags: Vec::new(),
            title: format!("{} {service}", component.change.code()),
            body,
            label: None,
            sequence: None,
            click: None,
            event: Some(component.change),
        })
    }

    /// Its name in the log.
    #[must_use]
    pub fn name(&self) -> String {
        match self.event {
            Some(_) => format!("event {}", self.title),
            None => format!("{}: {}", self.kind, self.title),
        }
    }
}

/// Where one alert goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// An ntfy topic (secret).
    Ntfy {
        /// Its name.
        topic: String,
    },
    /// The operator's own command.
    Command,
    /// The webhook, whose address is known only where something is sent.
    Webhook,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ntfy { .. } => "Ntfy(***)",
            Self::Command => "Command",
            Self::Webhook => "Webhook",
        })
    }
}

/// How an alert that waited is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// What it tells still holds.
    AsItIs,
    /// Its incident is over: one message says so, and that it comes late.
    Over {
        /// When the trouble began.
        from: Timestamp,
        /// When it ended; `None` where that is no longer known.
        to: Option<Timestamp>,
    },
}

/// Where alerts of services with these settings go, each destination once.
#[must_use]
pub fn destinations<'a>(
    notify: impl IntoIterator<Item = &'a Notify>,
    notifications: &Notifications,
) -> BTreeSet<Destination> {
    let mut found = BTreeSet::new();
    for wanted in notify {
        if let (Notify::Topic(topic), Some(_)) = (wanted, &notifications.server) {
            found.insert(Destination::Ntfy { topic: topic.secret.clone() });
        }
        if *wanted != Notify::Nobody && notifications.command.is_some() {
            found.insert(Destination::Command);
        }
    }
    found
}

/// Where the machine's own alerts go (engine, configuration): to the default topic, and to the command.
#[must_use]
pub fn machine_destinations(notifications: &Notifications) -> BTreeSet<Destination> {
    let topic = notifications.default_topic.clone().map_or(Notify::CommandOnly, Notify::Topic);
    destinations([&topic], notifications)
}

/// Something that must be told, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What.
    pub story: Story,
    /// `(subject's key, incident id)`
    pub incidents: Vec<(String, String)>,
    /// The container whose trouble it is: all that is told of it is told in one alert.
    pub group: Option<String>,
    /// To whom.
    pub to: BTreeSet<Destination>,
}

/// The name under which a message stands on a phone. One that still shows a message of that name changes it without
/// a sound, so that every message about a failure, reminders included, has a name of its own. A recovery takes the
/// name of the failure that it ends where that was delivered ([`crate::outbox`]).
#[must_use]
pub fn sequence(host: &str, subject: &str, due: &incident::Due) -> String {
    let key = format!("{host}\n{subject}\n{}\n{}\n{}", due.incident, due.kind, due.count);
    let readable: String = subject
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' })
        .take(SEQUENCE_NAME_MAX)
        .collect();
    format!("{readable}-{:016x}", fnv1a(key.as_bytes()))
}

/// ntfy takes 64 of `[-_A-Za-z0-9]`; 17 of them make the name unique.
const SEQUENCE_NAME_MAX: usize = 47;

/// What stands before every title.
#[must_use]
pub fn label(notifications: &Notifications, host: &str) -> Option<String> {
    match &notifications.host_label {
        None => None,
        Some(HostLabel::Own) => Some(host.to_owned()),
        Some(HostLabel::Text(text)) => Some(text.clone()),
    }
}

impl Report {
    /// One alert a destination.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let (title, body) = (text::title(&self.story), text::body(&self.story));
        let alert = |to: &Destination| Alert {
            kind: self.story.kind,
            subject: text::line(&self.story.subject),
            host: self.story.host.clone(),
            services: self.story.services.clone(),
            incidents: self.incidents.clone(),
            at: self.story.at,
            down_since: self.story.down_since,
            to: to.clone(),
            priority: text::priority(self.story.kind),
            tags: text::tags(self.story.kind),
            title: title.clone(),
            body: body.clone(),
            label: self.story.label.as_deref().map(text::line),
            sequence: self.story.sequence.clone(),
            click: self.story.runbook.clone(),
            event: None,
        };
        self.to.iter().map(alert).collect()
    }
}

/// Joins what is told of one container's trouble into one report with the container in its title. The
/// first report's facts stand for all; services, what they block, and destinations are united.
#[must_use]
pub fn group(reports: Vec<Report>) -> Vec<Report> {
    let mut joined: Vec<Report> = Vec::new();
    for mut report in reports {
        let same = |other: &&mut Report| {
            report.group.is_some()
                && other.group == report.group
                && (other.story.kind == report.story.kind
                    || other.story.kind.is_failure() && report.story.kind.is_failure())
        };
        if let Some(first) = joined.iter_mut().find(same) {
            // What was tried says more than that nothing could be.
            if tells_more(report.story.kind, first.story.kind) {
                report.story.subject.clone_from(&first.story.subject);
                std::mem::swap(&mut first.story, &mut report.story);
            }
            extend(&mut first.story.services, report.story.services);
            extend(&mut first.story.blocks, report.story.blocks);
            first.story.down_since = match (first.story.down_since, report.story.down_since) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            extend(&mut first.incidents, report.incidents);
            first.story.runbook = first.story.runbook.take().or(report.story.runbook);
            // What is told of several must not take the place of what is told of one.
            if first.story.services.len() > 1 {
                let both = first.story.sequence.take().zip(report.story.sequence);
                first.story.sequence = both.map(|(a, b)| joined_sequence(&a, &b));
            }
            first.to.extend(report.to);
        } else {
            if let Some(container) = &report.group {
                report.story.subject.clone_from(container);
            }
            joined.push(report);
        }
    }
    for report in &mut joined {
        let own = &report.story.services;
        report.story.blocks.retain(|blocked| !own.contains(blocked));
    }
    joined
}

fn joined_sequence(one: &str, other: &str) -> String {
    format!("several-{:016x}", fnv1a(format!("{one} {other}").as_bytes()))
}

fn tells_more(one: AlertKind, other: AlertKind) -> bool {
    let rank = |kind| match kind {
        AlertKind::ServiceRecoveryFailed => 2,
        AlertKind::ServiceCrashLoop => 1,
        _ => 0,
    };
    rank(one) > rank(other)
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

#[cfg(test)]
mod tests;
