//! Alerts kept until delivered: `STATE_DIR/outbox/`, one file an alert and destination.
//!
//! Also kept there is who was told of a failure and not yet of its recovery (`owed/`), since a recovery is
//! told only where a failure was; and what the webhook was told last of each service (`told/`). What is due is
//! decided in `alert`, how it travels in `notify`.

mod report;
mod send;
mod told;
mod waiting;

use std::fs::DirEntry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Destination};
use crate::clock::Timestamp;
use crate::state::AlertKind;
use crate::store::StoreError;
use crate::store::atomic::{self, Existing};
use crate::store::lock::fnv1a;

pub use self::report::Report;
pub use self::send::Sending;
pub use self::told::LastWords;
use self::waiting::Known;
pub use self::waiting::Waiting;

/// How long a pass sends alerts in all.
pub const BUDGET: Duration = Duration::from_secs(30);
/// So many events of a service wait for the webhook at most.
const EVENTS_MAX: usize = 100;
/// More of a file than this is not read.
const CAP: u64 = 256 * 1024;
/// Folders and files here hold topics, which are secrets.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The outbox of a state folder. Nothing is created before something is put in.
#[derive(Debug)]
pub struct Outbox {
    dir: PathBuf,
    counter: AtomicU32,
    /// What was read of its files.
    known: Mutex<Known>,
}

/// Somebody who was told of a failure and not yet of its recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Debt {
    service: String,
    to: Destination,
    #[serde(with = "crate::clock::text::stored")]
    told_at: Timestamp,
    /// The name under which a phone shows the last failure of which it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
}

impl Outbox {
    /// The one below that state folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("outbox"), counter: AtomicU32::new(0), known: Mutex::default() }
    }

    /// Keeps an alert until it is delivered. Where the same is already waiting (a reminder of what was never
    /// delivered), nothing is added. A recovery settles what is owed to its destination.
    ///
    /// # Errors
    /// [`StoreError`]; the caller then sends at once, with [`Outbox::send_now`].
    pub fn put(&self, alert: &Alert) -> Result<(), StoreError> {
        atomic::create_folder(&self.dir, FOLDER_MODE)?;
        if alert.event.is_some() {
            return self.put_event(alert);
        }
        let known = self.known()?.0.values().any(|waiting| same(waiting, alert));
        if !known {
            let sequence = self.replaced(alert)?.or_else(|| alert.sequence.clone());
            self.add(&Alert { sequence, ..alert.clone() }, 0)?;
        }
        if alert.kind == AlertKind::ServiceRecovered {
            for service in services(alert) {
                remove(&self.debt_file(service, &alert.to))?;
            }
        }
        Ok(())
    }

    /// Keeps a component's event behind those that wait, wherever the clock was put meanwhile; one that would say
    /// of its service what the last one of it says already is not needed.
    fn put_event(&self, event: &Alert) -> Result<(), StoreError> {
        let least = {
            let (waiting, _) = self.known()?;
            let mut of_it = waiting.values().filter(|w| w.event.is_some() && w.services == event.services);
            if of_it.next_back().is_some_and(|last| last.event == event.event) {
                return Ok(());
            }
            waiting.keys().filter_map(|path| number_of(path)).max().map_or(0, |last| last + 1)
        };
        self.add(event, least)
    }

    /// Where a failure of that service was delivered, and its recovery is not yet in the outbox.
    ///
    /// # Errors
    /// As [`Outbox::waiting`].
    pub fn owed(&self, service: &str) -> Result<Vec<Destination>, StoreError> {
        let of_it = self.debts()?.into_iter().filter(|debt| debt.service == service);
        let mut owed: Vec<_> = of_it.map(|debt| debt.to).collect();
        owed.sort();
        Ok(owed)
    }

    fn debts(&self) -> Result<Vec<Debt>, StoreError> {
        let mut debts = Vec::new();
        for entry in entries(&self.dir.join("owed"))? {
            // One that cannot be read means one "recovered" less, which is no reason to stop a pass.
            let content = atomic::read(&entry.path(), CAP).ok().flatten().unwrap_or_default();
            debts.extend(serde_json::from_slice::<Debt>(&content));
        }
        Ok(debts)
    }

    /// The name of the message on a phone whose place a recovery takes: the last one about a failure of its services.
    /// One that others are in as well, who are still down, keeps its place until the last of them is well.
    fn replaced(&self, alert: &Alert) -> Result<Option<String>, StoreError> {
        if alert.kind != AlertKind::ServiceRecovered {
            return Ok(None);
        }
        let there = self.debts()?.into_iter().filter(|debt| debt.to == alert.to);
        let is_well = |debt: &Debt| services(alert).any(|service| service == debt.service);
        let (mut ended, open): (Vec<Debt>, Vec<Debt>) = there.partition(is_well);
        ended.retain(|debt| open.iter().all(|other| other.sequence != debt.sequence));
        Ok(ended.into_iter().max_by_key(|debt| debt.told_at).and_then(|debt| debt.sequence))
    }

    /// Writes the file; it sorts by the alert's time, or by `least` where that is later.
    fn add(&self, alert: &Alert, least: i128) -> Result<(), StoreError> {
        let content = serde_json::to_vec(alert).map_err(|e| StoreError::io("write", &self.dir, e.into()))?;
        loop {
            let number = self.counter.fetch_add(1, Ordering::Relaxed);
            let nanos = alert.at.unix_timestamp_nanos().max(least);
            let name = format!("{nanos:020}-{}-{number:06}.json", std::process::id());
            let path = self.dir.join(name);
            match atomic::write(&path, &content, FILE_MODE, Existing::Keep) {
                Ok(()) => return Ok(()),
                // Another outbox of this process, or of a container with the same process id.
                Err(e) if e.kind() == ErrorKind::AlreadyExists && number < u32::MAX => {}
                Err(e) => return Err(StoreError::io("write", &path, e)),
            }
        }
    }

    fn debt_file(&self, service: &str, to: &Destination) -> PathBuf {
        self.dir.join("owed").join(key(service, to))
    }

    /// Remembers what follows from a delivery: of a failure, that its recovery will be told there; of a component's
    /// event, that it was the last word on it. Nothing follows from other kinds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn owe(&self, alert: &Alert, now: Timestamp) -> Result<(), StoreError> {
        if alert.event.is_some() {
            return self.remember(alert);
        }
        if !alert.kind.is_failure() {
            return Ok(());
        }
        let folder = self.dir.join("owed");
        atomic::create_folder(&folder, FOLDER_MODE)?;
        for service in services(alert) {
            let path = self.debt_file(service, &alert.to);
            let (to, sequence) = (alert.to.clone(), alert.sequence.clone());
            let debt = Debt { service: service.to_owned(), to, told_at: now, sequence };
            let fail = |e| StoreError::io("write", &path, e);
            let content = serde_json::to_vec(&debt).map_err(|e| fail(e.into()))?;
            atomic::write(&path, &content, FILE_MODE, Existing::Replace).map_err(fail)?;
        }
        Ok(())
    }

    /// Moves a file into a folder of the outbox, where people find it.
    fn set_aside(&self, path: &Path, folder: &str) -> Result<PathBuf, StoreError> {
        let folder = self.dir.join(folder);
        atomic::create_folder(&folder, FOLDER_MODE)?;
        let to = folder.join(path.file_name().unwrap_or_default());
        std::fs::rename(path, &to).map_err(|e| StoreError::io("set aside", path, e))?;
        Ok(to)
    }
}

/// The name of a file about one service and one destination; neither can be read from it.
fn key(service: &str, to: &Destination) -> String {
    let key = match to {
        Destination::Ntfy { topic } => format!("{service} ntfy {topic}"),
        Destination::Command => format!("{service} command"),
        Destination::Webhook => format!("{service} webhook"),
    };
    format!("{:016x}.json", fnv1a(key.as_bytes()))
}

/// What a file's name sorts by.
fn number_of(path: &Path) -> Option<i128> {
    path.file_name()?.to_str()?.split('-').next()?.parse().ok()
}

/// Whether both tell the same to the same.
fn same(a: &Alert, b: &Alert) -> bool {
    a.kind == b.kind && a.to == b.to && a.incidents == b.incidents && a.services == b.services
}

/// The keys of the subjects an alert is about.
fn services(alert: &Alert) -> impl Iterator<Item = &str> {
    alert.incidents.iter().map(|(service, _)| service.as_str())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// What lies in a folder; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let fail = |e| StoreError::io("read", folder, e);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(fail),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(fail(e)),
    }
}
