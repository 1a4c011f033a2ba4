//! Alerts kept until delivered: `STATE_DIR/outbox/`, one file an alert and destination.
//!
//! Also kept there is who was told of a failure and not yet of its recovery (`owed/`), since a recovery is
//! told only where a failure was; and what the webhook was told last of each service (`told/`). What is due is
//! decided in `alert`, how it travels in `notify`.

mod send;
mod told;

use std::fs::DirEntry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Delivery, Destination};
use crate::clock::{Clock, Timestamp};
use crate::notify::Notifier;
use crate::state::AlertKind;
use crate::store::atomic::{self, Existing};
use crate::store::lock::fnv1a;
use crate::store::{FileLock, Lock, StoreError};

use self::send::Sender;
pub use self::send::{Report, send_now};
pub use self::told::LastWords;

/// How long a pass sends alerts in all.
pub const BUDGET: Duration = Duration::from_secs(30);
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
}

/// An alert that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// It.
    pub alert: Alert,
}

/// Somebody who was told of a failure and not yet of its recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Debt {
    service: String,
    to: Destination,
    #[serde(with = "time::serde::rfc3339")]
    told_at: Timestamp,
    /// The name under which a phone shows the last failure of which it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
}

impl Outbox {
    /// The one below that state folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("outbox"), counter: AtomicU32::new(0) }
    }

    /// Keeps an alert until it is delivered. Where the same is already waiting (a reminder of what was never
    /// delivered), nothing is added. A recovery settles what is owed to its destination.
    ///
    /// # Errors
    /// [`StoreError`]; the caller then sends at once, with [`send_now`].
    pub fn put(&self, alert: &Alert) -> Result<(), StoreError> {
        atomic::create_folder(&self.dir, FOLDER_MODE)?;
        let waiting = self.list()?.waiting;
        if alert.event.is_some() {
            return self.put_event(alert, &waiting);
        }
        if !waiting.iter().any(|waiting| same(&waiting.alert, alert)) {
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
    fn put_event(&self, event: &Alert, waiting: &[Waiting]) -> Result<(), StoreError> {
        let mut of_it =
            waiting.iter().filter(|w| w.alert.event.is_some() && w.alert.services == event.services);
        if of_it.next_back().is_some_and(|last| last.alert.event == event.event) {
            return Ok(());
        }
        let last = waiting.iter().filter_map(|w| number_of(&w.path)).max();
        self.add(event, last.map_or(0, |last| last + 1))
    }

    /// What waits, oldest first. Files that cannot be understood are passed over.
    ///
    /// # Errors
    /// Where the folder cannot be read. That it is not there is no error.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        Ok(self.list()?.waiting)
    }

    /// Whether an alert of that incident waits.
    ///
    /// # Errors
    /// As [`Outbox::waiting`].
    pub fn waits_for(&self, service: &str, incident: &str) -> Result<bool, StoreError> {
        let of_it = |w: &Waiting| w.alert.incidents.iter().any(|(s, i)| s == service && i == incident);
        Ok(self.waiting()?.iter().any(of_it))
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

    /// Sends what waits, oldest first, until all is sent, `budget` is over or the notifier says "later"
    /// (then nothing more goes that way: ntfy, or the command).
    /// One process sends at a time; the others wait for it within their budget, and send what it left.
    ///
    /// # Errors
    /// Where the outbox cannot be read or locked. What concerns single files is in the report.
    pub fn deliver(
        &self,
        notifier: &dyn Notifier,
        clock: &dyn Clock,
        budget: Duration,
        judge: &dyn Fn(&Alert) -> Delivery,
    ) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let listing = self.list()?;
        if listing.is_empty() {
            return Ok(report);
        }
        let end = clock.monotonic() + budget;
        let Lock::Held(_held) = FileLock::acquire_within(&self.dir.join(".lock"), budget, clock)? else {
            report.waiting = listing.waiting.len();
            report.stopped = Some("another process is sending".to_owned());
            return Ok(report);
        };
        for folder in [self.dir.clone(), self.dir.join("owed"), self.dir.join(told::FOLDER)] {
            atomic::sweep_old(&folder, clock.now());
        }
        let mut sender = Sender { outbox: self, notifier, clock, end, judge, closed: Vec::new(), report };
        // Others may have put something in meanwhile, and leave it to us.
        while sender.round()? {}
        let mut report = sender.report;
        report.waiting = self.list()?.waiting.len();
        Ok(report)
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

    fn list(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for entry in entries(&self.dir)? {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || !name.ends_with(".json") {
                continue;
            }
            match atomic::read(&path, CAP) {
                Ok(Some(content)) => match serde_json::from_slice(&content) {
                    Ok(alert) => listing.waiting.push(Waiting { path, alert }),
                    Err(_) => listing.damaged.push(path),
                },
                Ok(None) => {}
                Err(StoreError::Damaged { path, .. }) => listing.damaged.push(path),
                Err(e) => listing.errors.push(e),
            }
        }
        listing.waiting.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(listing)
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

#[derive(Default)]
struct Listing {
    waiting: Vec<Waiting>,
    damaged: Vec<PathBuf>,
    errors: Vec<StoreError>,
}

impl Listing {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.damaged.is_empty() && self.errors.is_empty()
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
