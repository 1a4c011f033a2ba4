//! Incidents and what is told of them: which alerts follow from what happened, their text, their masking.
//!
//! Pure. Keeping alerts is the outbox's, sending them the notifier's.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::state::AlertKind;

/// One message to one destination, as it lies in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it tells.
    pub kind: AlertKind,
    /// The services it is about (none for the machine's own alerts), the first one first.
    pub services: Vec<String>,
    /// The incident it belongs to: `(service, incident id)` of every service in it.
    pub incidents: Vec<(String, String)>,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// Since when the service was down.
    #[serde(with = "time::serde::rfc3339::option")]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
