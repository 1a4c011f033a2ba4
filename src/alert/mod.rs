//! Incidents and what is told of them: which alerts follow from what happened, their text, their masking.
//!
//! Pure. Keeping alerts is the outbox's, sending them the notifier's.
//!
//! A pass turns every [`incident::Due`] into a [`Report`], lets [`group`] join those of one container, and
//! puts the [`Report::alerts`] into the outbox.

pub mod incident;
pub mod late;
pub mod mask;
pub mod text;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::model::{Notifications, Notify};
use crate::state::AlertKind;

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
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// Since when the service was down.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub down_since: Option<Timestamp>,
    /// Where it goes.
    pub to: Destination,
    /// 1 to 5.
    pub priority: u8,
    /// ntfy tags.
    pub tags: Vec<String>,
    /// One line, masked.
    pub title: String,
    /// At most 4,096 bytes, masked.
    pub body: String,
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
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ntfy { .. } => "Ntfy(***)",
            Self::Command => "Command",
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
mod tests {
    use super::*;

    fn report(service: &str, group: Option<&str>, kind: AlertKind, topic: &str) -> Report {
        Report {
            story: Story { kind, blocks: vec!["web".into()], ..Story::sample(service) },
            incidents: vec![(service.to_owned(), format!("id-{service}"))],
            group: group.map(str::to_owned),
            to: BTreeSet::from([Destination::Ntfy { topic: topic.to_owned() }]),
        }
    }

    #[test]
    fn nobody_means_nobody_and_the_command_hears_of_all_others() {
        use crate::config::model::{Token, Topic};
        let topic = |secret: &str| Notify::Topic(Topic { label: None, secret: secret.into() });
        let ntfy = |topic: &str| Destination::Ntfy { topic: topic.into() };
        let mut to = Notifications {
            server: Some("http://localhost".into()),
            default_topic: None,
            token: Token::None,
            cooldown: std::time::Duration::from_secs(3600),
            command: Some("mail ops".into()),
        };
        let all = [topic("a"), topic("b"), topic("a"), Notify::Nobody, Notify::CommandOnly];
        assert_eq!(destinations(&all, &to), [ntfy("a"), ntfy("b"), Destination::Command].into());
        assert_eq!(destinations(&[Notify::Nobody], &to), BTreeSet::new());
        assert_eq!(machine_destinations(&to), [Destination::Command].into());
        to.server = None;
        assert_eq!(destinations(&all[..1], &to), [Destination::Command].into());
        to.command = None;
        assert_eq!(destinations(&all, &to), BTreeSet::new());
    }

    #[test]
    fn one_containers_trouble_is_one_alert_a_destination() {
        use AlertKind::{ServiceDown, ServiceRecoveryFailed};
        let joined = group(vec![
            report("db", Some("box"), ServiceDown, "ops"),
            report("cache", None, ServiceDown, "ops"),
            report("web", Some("box"), ServiceDown, "dev"),
            report("api", Some("box"), ServiceRecoveryFailed, "dev"),
        ]);
        let titles: Vec<_> = joined.iter().map(|r| text::title(&r.story)).collect();
        assert_eq!(titles, ["box Recovery Failed", "cache Down"]);
        assert_eq!(joined[0].story.services, ["api", "db", "web"]);
        assert!(joined[0].story.blocks.is_empty(), "what is in trouble itself is not blocked");
        let alerts = joined[0].alerts();
        assert_eq!(alerts.len(), 2);
        assert!(
            alerts.iter().all(|a| a.incidents.len() == 3 && a.body.starts_with("Service: api, db, web\n"))
        );
    }
}
