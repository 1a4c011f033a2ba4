//! What lasts between passes: the services' states, their locks, the markers, the times of the last looks.
//!
//! `STATE_DIR/SERVICE.json` is only replaced by who holds `SERVICE.lock`, and is read without. What the
//! values mean is not known here. Alerts are kept by the outbox.

pub mod atomic;
mod containers;
mod error;
pub mod last_good;
pub mod last_pass;
pub mod lock;
pub mod markers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use time::macros::format_description;

pub use self::containers::ContainerMemory;
pub use self::error::StoreError;
pub use self::last_good::LastGood;
pub use self::last_pass::LastPass;
pub use self::lock::{FileLock, Holder, Lock};
pub use self::markers::{Marker, MarkerFile, MarkerInfo, Markers, Place, parse_marker};

use self::atomic::Existing;
use crate::clock::boot::Moment;
use crate::clock::{Clock, Timestamp};
use crate::config::model::{ServiceName, Settings};
use crate::state::{SCHEMA, ServiceState};

/// More of a state file than this is not read.
const CAP: u64 = 4 * 1024 * 1024;
/// How long the file of the last looks is waited for: nobody holds it longer than a write takes.
const SHORT: Duration = Duration::from_secs(10);

/// Whose state a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A service's.
    Service(ServiceName),
    /// The container engine's: one for the machine.
    Engine,
    /// The configuration's.
    Configuration,
}

impl Subject {
    /// By which alerts refer to it. No service's name begins with a dot.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Service(name) => name.as_str(),
            Self::Engine => ".engine",
            Self::Configuration => ".configuration",
        }
    }

    /// The subject of that key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        match key {
            ".engine" => Some(Self::Engine),
            ".configuration" => Some(Self::Configuration),
            name => ServiceName::new(name).map(Self::Service),
        }
    }

    /// Path below the state folder, without the ending.
    fn stem(&self) -> String {
        match self {
            // Its file would be that of the last looks.
            Self::Service(name) if name.as_str() == "last-pass" => ".last-pass".to_owned(),
            Self::Service(name) => name.as_str().to_owned(),
            Self::Engine => "machine/engine".to_owned(),
            Self::Configuration => "machine/configuration".to_owned(),
        }
    }
}

impl From<&ServiceName> for Subject {
    fn from(name: &ServiceName) -> Self {
        Self::Service(name.clone())
    }
}

/// The state folder. Nothing is created before something is locked or written.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    markers: Markers,
}

impl Store {
    /// The one of this configuration.
    #[must_use]
    pub fn open(settings: &Settings) -> Self {
        Self::at(&settings.state_dir, Markers::of(settings))
    }

    /// The one in that folder.
    #[must_use]
    pub fn at(dir: &Path, markers: Markers) -> Self {
        Self { dir: dir.to_owned(), markers }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manual-stop markers on the machine.
    #[must_use]
    pub fn markers(&self) -> &Markers {
        &self.markers
    }

    /// Creates the folder where it is missing, and asks whether we may write in it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn prepare(&self) -> Result<(), StoreError> {
        atomic::create_folder(&self.dir, 0o755)?;
        rustix::fs::access(&self.dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
            .map_err(|errno| StoreError::io("write in", &self.dir, errno.into()))
    }

    /// Reads a state without locking; a new one where nothing is known yet.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed, also not where the file is damaged.
    pub fn load(&self, subject: impl Into<Subject>) -> Result<ServiceState, StoreError> {
        let subject = subject.into();
        let state = read_json(&self.file(&subject), SCHEMA)?;
        Ok(state.unwrap_or_else(|| ServiceState::new(subject.key())))
    }

    /// The same in the terms of the present clock, as everything reads it that counts; and what was written.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn recall(&self, subject: impl Into<Subject>, moment: &Moment) -> Result<Recalled, StoreError> {
        Ok(Recalled::of(self.load(subject)?, moment))
    }

    /// Sets a damaged state aside, and says where; `None` where it is not damaged, or another process is at
    /// work on it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_aside_damaged(
        &self,
        subject: impl Into<Subject>,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, StoreError> {
        match self.try_lock(subject, now)? {
            Lock::Held(guard) if guard.load().is_err_and(|error| error.is_damaged()) => {
                guard.quarantine(now).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Tries to take the lock of a service (or of the machine), without waiting.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Denied`] says to use sudo.
    pub fn try_lock(
        &self,
        subject: impl Into<Subject>,
        now: Timestamp,
    ) -> Result<Lock<StateGuard>, StoreError> {
        let subject = subject.into();
        let lock = FileLock::acquire(&self.lock_file(&subject)?, now)?;
        Ok(lock.map(|held| self.guard(subject, held)))
    }

    /// Takes the lock of a service, waiting for it so long.
    ///
    /// # Errors
    /// As [`Store::try_lock`].
    pub fn lock_within(
        &self,
        subject: impl Into<Subject>,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Lock<StateGuard>, StoreError> {
        let subject = subject.into();
        let lock = FileLock::acquire_within(&self.lock_file(&subject)?, patience, clock)?;
        Ok(lock.map(|held| self.guard(subject, held)))
    }

    /// Tries to take the lock of a container, by its full name or id: whoever restarts a container, or
    /// something in it that others share, holds it meanwhile.
    ///
    /// # Errors
    /// As [`Store::try_lock`].
    pub fn try_lock_container(&self, container: &str, now: Timestamp) -> Result<Lock<FileLock>, StoreError> {
        let folder = self.dir.join("containers");
        atomic::create_folder(&folder, 0o755)?;
        FileLock::acquire(&folder.join(lock::file_name_for(container)), now)
    }

    /// The times of the last looks; none are known where the file is missing or damaged.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn last_pass(&self, moment: &Moment) -> Result<LastPass, StoreError> {
        let mut last: LastPass = match read_json(&self.dir.join("last-pass.json"), last_pass::SCHEMA) {
            Ok(found) => found.unwrap_or_default(),
            Err(StoreError::Damaged { .. }) => LastPass::default(),
            Err(e) => return Err(e),
        };
        last.put_right(moment);
        Ok(last)
    }

    /// Adds the looks of a pass to those of other passes; services that are not `known` are forgotten. The ids of
    /// `containers` replace what was remembered of them, where the pass learnt any.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn record_looks(
        &self,
        looked: &[(ServiceName, Timestamp)],
        known: &[ServiceName],
        containers: Option<BTreeMap<String, String>>,
        moment: &Moment,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        atomic::create_folder(&self.dir, 0o755)?;
        let (path, lock) = (self.dir.join("last-pass.json"), self.dir.join(".looks.lock"));
        let Lock::Held(_held) = FileLock::acquire_within(&lock, SHORT, clock)? else {
            return Err(StoreError::Locked { path: lock });
        };
        atomic::sweep(&path);
        let mut last = self.last_pass(moment)?;
        let looked = looked.iter().map(|(name, at)| (name.as_str(), *at));
        last.merge(moment.wall, looked, |name| known.iter().any(|k| k.as_str() == name));
        if let Some(containers) = containers {
            last.remember(containers);
        }
        let content = to_json(&path, &last)?;
        // Losing it costs a look that was not due.
        atomic::write_lazily(&path, &content, 0o644).map_err(|e| StoreError::io("write", &path, e))
    }

    fn file(&self, subject: &Subject) -> PathBuf {
        self.dir.join(subject.stem() + ".json")
    }

    fn lock_file(&self, subject: &Subject) -> Result<PathBuf, StoreError> {
        let path = self.dir.join(subject.stem() + ".lock");
        atomic::create_folder(path.parent().unwrap_or(&self.dir), 0o755)?;
        Ok(path)
    }

    fn guard(&self, subject: Subject, held: FileLock) -> StateGuard {
        let path = self.file(&subject);
        atomic::sweep(&path);
        StateGuard { path, subject, _held: held }
    }
}

/// A state that was read.
#[derive(Debug, Clone)]
pub struct Recalled {
    /// Its times are put right.
    pub state: ServiceState,
    written: ServiceState,
}

impl Recalled {
    fn of(written: ServiceState, moment: &Moment) -> Self {
        let mut state = written.clone();
        state.put_right(moment);
        Self { state, written }
    }

    /// One that nobody has written yet.
    #[must_use]
    pub fn new(subject: &Subject) -> Self {
        let state = ServiceState::new(subject.key());
        Self { written: state.clone(), state }
    }

    /// Whether the file says otherwise than that: also times that were put right are written again.
    #[must_use]
    pub fn differs(&self, state: &ServiceState) -> bool {
        !self.written.says_the_same(state)
    }
}

/// A held lock, and with it the right to change the state.
#[derive(Debug)]
pub struct StateGuard {
    path: PathBuf,
    subject: Subject,
    _held: FileLock,
}

impl StateGuard {
    /// The state as it is now.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load(&self) -> Result<ServiceState, StoreError> {
        Ok(read_json(&self.path, SCHEMA)?.unwrap_or_else(|| ServiceState::new(self.subject.key())))
    }

    /// As [`Store::recall`].
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn recall(&self, moment: &Moment) -> Result<ServiceState, StoreError> {
        Ok(Recalled::of(self.load()?, moment).state)
    }

    /// Replaces the state, where it differs from what is on disk. What a newer program wrote stays.
    ///
    /// # Errors
    /// [`StoreError`]; the old state is then still there.
    pub fn save(&self, state: &ServiceState) -> Result<(), StoreError> {
        match read_json::<ServiceState>(&self.path, SCHEMA) {
            Ok(Some(old)) if old == *state => Ok(()),
            Err(e @ StoreError::Newer { .. }) => Err(e),
            _ => write_json(&self.path, state),
        }
    }

    /// Sets a damaged file aside as `SERVICE.json.corrupt-TIME`, and says where.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn quarantine(&self, now: Timestamp) -> Result<PathBuf, StoreError> {
        set_aside(&self.path, now)
    }
}

/// Sets a damaged file aside as `NAME.corrupt-TIME`, and says where.
fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let time = now
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .unwrap_or_else(|_| now.unix_timestamp().to_string());
    let aside = |n: u32| {
        let mut name = path.to_path_buf().into_os_string();
        name.push(format!(".corrupt-{time}"));
        if n > 0 {
            name.push(format!("-{n}"));
        }
        PathBuf::from(name)
    };
    let free =
        (0..100).map(aside).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| aside(100));
    std::fs::rename(path, &free).map_err(|e| StoreError::io("set aside", path, e))?;
    Ok(free)
}

/// Reads a file with a schema number; what it refuses it leaves untouched.
fn read_json<T: DeserializeOwned>(path: &Path, known: u32) -> Result<Option<T>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u64,
    }
    let Some(content) = atomic::read(path, CAP)? else { return Ok(None) };
    let damaged = |e: serde_json::Error| StoreError::Damaged { path: path.to_owned(), what: e.to_string() };
    let found = serde_json::from_slice::<Version>(&content).map_err(damaged)?.schema;
    if found > u64::from(known) {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    serde_json::from_slice(&content).map(Some).map_err(damaged)
}

fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let content = to_json(path, value)?;
    atomic::write(path, &content, 0o644, Existing::Replace).map_err(|e| StoreError::io("write", path, e))
}

fn to_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, StoreError> {
    let mut content =
        serde_json::to_vec_pretty(value).map_err(|e| StoreError::io("write", path, e.into()))?;
    content.push(b'\n');
    Ok(content)
}
