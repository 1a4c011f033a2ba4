//! What is remembered of a service between passes, as pure data with a schema version.
//!
//! Reading, locking and replacing the file is the store's; what follows from it is `history`'s,
//! `decide`'s and `alert`'s.

mod counted;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::severity::Severity;
use crate::clock::Timestamp;
use crate::clock::boot::Boot;
use crate::config::model::Strategy;
use crate::event::Change;

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
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub since: Option<Timestamp>,
    /// Failed looks in a row; only a healthy look resets it.
    #[serde(default)]
    pub consecutive_failures: u32,
    /// Looks in a row that could not tell (counted up to 2, so that the file rests afterwards).
    #[serde(default)]
    pub unknown_looks: u32,
    /// The first of them.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub unknown_since: Option<Timestamp>,
    /// Restart attempts, oldest first, pruned to the failure window.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// The container start for which the start period was granted; forgotten at a healthy look.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub start_granted: Option<Timestamp>,
    /// What was tried against the present failure; forgotten at a healthy look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// When it was restarted last; only of services that others follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<Restarted>,
    /// What it followed, by the names of its dependencies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub followed: BTreeMap<String, Followed>,
    /// When it was restarted after dependencies, pruned to the failure window.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "times")]
    pub follows: Vec<Timestamp>,
    /// The open incident.
    #[serde(default)]
    pub incident: Option<Incident>,
    /// The last closed one: a new one soon after it is flapping, and alerts of it may still wait.
    #[serde(default)]
    pub last_incident: Option<ClosedIncident>,
    /// What programs that watch it were told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The last recovery that needed no alert, where such ones are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unalerted: Option<Unalerted>,
    /// The boot in which these times were written, and by which clock.
    #[serde(default, deserialize_with = "Boot::lenient", skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
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
            unknown_since: None,
            attempts: Vec::new(),
            start_granted: None,
            chain: None,
            restarted: None,
            followed: BTreeMap::new(),
            follows: Vec::new(),
            incident: None,
            last_incident: None,
            standing: None,
            unalerted: None,
            boot: None,
        }
    }

    /// A look said healthy.
    pub fn saw_healthy(&mut self, now: Timestamp) {
        self.turn(Status::Healthy, now);
        self.consecutive_failures = 0;
        self.start_granted = None;
        self.chain = None;
    }

    /// A look said unhealthy, and it counts.
    pub fn saw_unhealthy(&mut self, now: Timestamp) {
        self.turn(Status::Unhealthy, now);
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
    }

    /// A look could not tell, for a reason of this service's own (not the engine's).
    pub fn saw_unknown(&mut self, now: Timestamp) {
        if self.unknown_looks == 0 {
            self.unknown_since = Some(now);
        }
        self.unknown_looks = (self.unknown_looks + 1).min(UNKNOWN_LOOKS_TOLD);
    }

    fn turn(&mut self, status: Status, now: Timestamp) {
        if self.status != status || self.since.is_none() {
            self.status = status;
            self.since = Some(now);
        }
        self.unknown_looks = 0;
        self.unknown_since = None;
    }
}

/// The steps that were tried against a failure, one window long: then it begins anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// When its first step was recorded.
    #[serde(with = "crate::clock::text::stored")]
    pub began: Timestamp,
    /// Failed looks since then at which a step was made or considered: these count for the escalation.
    #[serde(default)]
    pub looks: u32,
    /// The severity of the failure when its last step was recorded.
    pub severity: Severity,
    /// Steps of the last pass that made any, each recorded before it was made.
    #[serde(default)]
    pub steps: Vec<Strategy>,
    /// Its fallback was run.
    #[serde(default)]
    pub fell_back: bool,
    /// Since when its fallback is what runs.
    #[serde(default, with = "crate::clock::text::stored::option", skip_serializing_if = "Option::is_none")]
    pub degraded_since: Option<Timestamp>,
    /// The start of the container in which that is so: with another one the fallback is gone.
    #[serde(default, with = "crate::clock::text::stored::option", skip_serializing_if = "Option::is_none")]
    pub degraded_in: Option<Timestamp>,
}

/// A restart that was recorded before it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// By our clock.
    #[serde(with = "crate::clock::text::stored")]
    pub at: Timestamp,
    /// It was its container's, which the engine dates as well.
    pub container: bool,
}

/// The last restart of a dependency after which a service was restarted, recorded before it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Followed {
    /// The [`Restarted::at`] of the dependency.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub restart: Option<Timestamp>,
    /// The start of its container, by the engine's clock.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub container_start: Option<Timestamp>,
    /// How often that was begun; a pass may be killed between the record and the restart.
    #[serde(default)]
    pub tries: u32,
    /// It was made.
    #[serde(default)]
    pub done: bool,
}

/// So many looks in a row must have been unable to tell before that is told.
pub const UNKNOWN_LOOKS_TOLD: u32 = 2;

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
    #[serde(with = "crate::clock::text::stored")]
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
    /// Down, and kept going in a reduced way.
    ServiceDegraded,
    /// It could not be looked at twice in a row.
    CheckImpossible,
    /// The engine could not be asked twice in a row.
    EngineUnreachable,
    /// The configuration is wrong.
    RecoveryConfigInvalid,
    /// It is well again.
    ServiceRecovered,
}

impl AlertKind {
    /// Whether it says that a service is down; only such an alert is followed by a `SERVICE-RECOVERED`.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::ServiceRecoveryFailed | Self::ServiceCrashLoop | Self::ServiceDown | Self::ServiceDegraded
        )
    }

    /// Its name in messages and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceRecoveryFailed => "SERVICE-RECOVERY-FAILED",
            Self::ServiceCrashLoop => "SERVICE-CRASH-LOOP",
            Self::ServiceDown => "SERVICE-DOWN",
            Self::ServiceDegraded => "SERVICE-DEGRADED",
            Self::CheckImpossible => "CHECK-IMPOSSIBLE",
            Self::EngineUnreachable => "ENGINE-UNREACHABLE",
            Self::RecoveryConfigInvalid => "RECOVERY-CONFIG-INVALID",
            Self::ServiceRecovered => "SERVICE-RECOVERED",
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An open incident: from the first alert to the first healthy look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Unique among the service's incidents; alerts in the outbox refer to it.
    pub id: String,
    /// When the first alert was due.
    #[serde(with = "crate::clock::text::stored")]
    pub opened_at: Timestamp,
    /// The first failed look; `None` while it only could not be looked at.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub down_since: Option<Timestamp>,
    /// It began within the failure window of the one before.
    #[serde(default)]
    pub flapping: bool,
    /// What was told, when.
    #[serde(default)]
    pub told: BTreeMap<AlertKind, Told>,
}

impl Incident {
    /// When the trouble began, as far as that is known.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.down_since.unwrap_or(self.opened_at)
    }
}

/// How often one kind of alert went out within an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The first time.
    #[serde(with = "crate::clock::text::stored")]
    pub first: Timestamp,
    /// The last time.
    #[serde(with = "crate::clock::text::stored")]
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
    #[serde(with = "crate::clock::text::stored")]
    pub closed_at: Timestamp,
}

/// What programs that watch a service were told of it last. What is found is told where it differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What; [`Change::Recovered`] also for a service that was never anything but well.
    pub change: Change,
    /// When that was so.
    #[serde(with = "crate::clock::text::stored")]
    pub at: Timestamp,
    /// The first failed look of the outage.
    #[serde(default, with = "crate::clock::text::stored::option", skip_serializing_if = "Option::is_none")]
    pub down_since: Option<Timestamp>,
    /// The latest restart attempt that it speaks of; a later one is an outage of its own.
    #[serde(default, with = "crate::clock::text::stored::option", skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Timestamp>,
    /// There was a webhook that was told.
    #[serde(default)]
    pub posted: bool,
    /// It was told, and only this state could say so: the outbox had no room for the record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrecorded: bool,
}

/// A recovery that needed no alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unalerted {
    /// When the service was seen down.
    #[serde(with = "crate::clock::text::stored")]
    pub down_since: Timestamp,
    /// The first healthy look.
    #[serde(with = "crate::clock::text::stored")]
    pub at: Timestamp,
    /// It came soon after another one, so it is told after a healthy window.
    #[serde(default)]
    pub flapping: bool,
    /// It was told, or need not be any more.
    pub told: bool,
}

/// A list of times as text.
mod times {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::clock::Timestamp;

    #[derive(Serialize, Deserialize)]
    struct Time(#[serde(with = "crate::clock::text::stored")] Timestamp);

    pub fn serialize<S: Serializer>(times: &[Timestamp], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(times.iter().map(|&time| Time(time)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Timestamp>, D::Error> {
        Ok(Vec::<Time>::deserialize(deserializer)?.into_iter().map(|time| time.0).collect())
    }
}
