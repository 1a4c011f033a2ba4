//! What is remembered of a service between passes, as pure data with a schema version.
//!
//! Reading, locking and replacing the file is the store's; what follows from it is `history`'s,
//! `decide`'s and `alert`'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The schema this program writes. A file with a higher number is refused, not overwritten.
pub const SCHEMA: u32 = 1;

/// The content of `STATE_DIR/SERVICE.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The service's name, for the reader of the file.
    pub service: String,
    /// What the last look that could tell said.
    pub status: Status,
    /// Since when it has been so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<Timestamp>,
    /// Failed looks in a row; only a healthy look resets it.
    pub consecutive_failures: u32,
    /// Looks in a row that could not tell (counted up to 2, so that the file rests afterwards).
    pub unknown_looks: u32,
    /// Restart attempts, oldest first, pruned to the failure window.
    pub attempts: Vec<Attempt>,
    /// The container start for which the start period was granted; forgotten at a healthy look.
    #[serde(with = "time::serde::rfc3339::option")]
    pub start_granted: Option<Timestamp>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// The last closed one, while something may still follow from it.
    pub last_incident: Option<ClosedIncident>,
}

impl ServiceState {
    /// Of a service that was never looked at.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self {
            schema: SCHEMA,
            service: service.to_owned(),
            status: Status::New,
            since: None,
            consecutive_failures: 0,
            unknown_looks: 0,
            attempts: Vec::new(),
            start_granted: None,
            incident: None,
            last_incident: None,
        }
    }
}

/// What the last look that could tell said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never looked at.
    New,
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
}

/// One restart attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was recorded, before anything was done.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// What came of it.
    pub result: AttemptResult,
}

/// What came of a restart attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptResult {
    /// It was begun; where a later pass still reads this, its pass died or was interrupted.
    Unknown,
    /// A re-check was healthy.
    Recovered,
    /// None was.
    Failed,
}

/// The kinds of alerts, by their names in messages and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum AlertKind {
    /// A restart did not help.
    ServiceRecoveryFailed,
    /// Given up.
    ServiceCrashLoop,
    /// Down, and no way to restart it.
    ServiceDown,
    /// It could not be looked at twice in a row.
    CheckImpossible,
    /// The engine could not be asked twice in a row.
    EngineUnreachable,
    /// The configuration is wrong.
    RecoveryConfigInvalid,
    /// It is well again.
    ServiceRecovered,
}

/// An open incident: from the first alert to the first healthy look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Unique; alerts in the outbox refer to it.
    pub id: String,
    /// When the first alert was due.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: Timestamp,
    /// The first failed look.
    #[serde(with = "time::serde::rfc3339")]
    pub down_since: Timestamp,
    /// The container whose trouble this is, where its alert was one for several services.
    pub group: Option<String>,
    /// What was told, when.
    pub told: BTreeMap<AlertKind, Told>,
    /// Labels or hashes of the destinations are not kept here: a recovered message goes where the
    /// service's alerts go, and to these further services' topics, whom the incident blocked.
    pub also: Vec<String>,
}

/// How often one kind of alert went out within an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The first time.
    #[serde(with = "time::serde::rfc3339")]
    pub first: Timestamp,
    /// The last time.
    #[serde(with = "time::serde::rfc3339")]
    pub last: Timestamp,
    /// How often.
    pub count: u32,
}

/// An incident that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedIncident {
    /// The incident as it was.
    #[serde(flatten)]
    pub incident: Incident,
    /// The first healthy look.
    #[serde(with = "time::serde::rfc3339")]
    pub closed_at: Timestamp,
    /// The `SERVICE-RECOVERED` that waits until the service has been healthy for a whole window.
    pub recovered_pending: bool,
}
