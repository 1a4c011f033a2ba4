//! What lies in the outbox. Its files never change, so each is read once a process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use super::{CAP, Outbox, entries};
use crate::alert::Alert;
use crate::store::StoreError;
use crate::store::atomic;

/// An alert that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// It.
    pub alert: Alert,
}

/// What was read of the files that are still there; their names sort by age.
pub(super) type Known = BTreeMap<PathBuf, Alert>;

#[derive(Default)]
pub(super) struct Listing {
    pub(super) waiting: Vec<Waiting>,
    pub(super) damaged: Vec<PathBuf>,
    pub(super) errors: Vec<StoreError>,
}

impl Listing {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.damaged.is_empty() && self.errors.is_empty()
    }
}

impl Outbox {
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
        let of_it = |alert: &Alert| alert.incidents.iter().any(|(s, i)| s == service && i == incident);
        Ok(self.known()?.0.values().any(of_it))
    }

    pub(super) fn list(&self) -> Result<Listing, StoreError> {
        let (known, mut listing) = self.known()?;
        let waiting =
            |(path, alert): (&PathBuf, &Alert)| Waiting { path: path.clone(), alert: alert.clone() };
        listing.waiting = known.iter().map(waiting).collect();
        Ok(listing)
    }

    /// What waits, without copying it; the listing has the rest.
    pub(super) fn known(&self) -> Result<(MutexGuard<'_, Known>, Listing), StoreError> {
        // It is right after a panic elsewhere too: it is compared with the folder now.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *known);
        let mut listing = Listing::default();
        for entry in entries(&self.dir)? {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || !name.ends_with(".json") {
                continue;
            }
            match before.remove(&path).map_or_else(|| read(&path), |alert| Ok(Some(alert))) {
                Ok(Some(alert)) => drop(known.insert(path, alert)),
                Ok(None) => {}
                Err(StoreError::Damaged { path, .. }) => listing.damaged.push(path),
                Err(e) => listing.errors.push(e),
            }
        }
        Ok((known, listing))
    }
}

/// One file; `None` where it is gone.
fn read(path: &Path) -> Result<Option<Alert>, StoreError> {
    let Some(content) = atomic::read(path, CAP)? else { return Ok(None) };
    let damaged = |e: serde_json::Error| StoreError::Damaged { path: path.to_owned(), what: e.to_string() };
    serde_json::from_slice(&content).map(Some).map_err(damaged)
}
