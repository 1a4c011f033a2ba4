//! `flock` on side files that are never renamed or removed, so that everyone locks the same file.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::clock::{Clock, Timestamp};

/// How often a held lock is tried again.
const TICK: Duration = Duration::from_millis(50);

/// The answer to asking for a lock.
#[derive(Debug)]
pub enum Lock<G> {
    /// It is ours until the guard is dropped.
    Held(G),
    /// A living process has it.
    Busy(Holder),
}

impl<G> Lock<G> {
    /// Wraps the guard, where there is one.
    pub(crate) fn map<H>(self, wrap: impl FnOnce(G) -> H) -> Lock<H> {
        match self {
            Self::Held(guard) => Lock::Held(wrap(guard)),
            Self::Busy(holder) => Lock::Busy(holder),
        }
    }
}

/// Who holds a lock, as far as the lock file tells; for people, never for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: Option<u32>,
    /// Since when.
    #[serde(with = "crate::clock::text::stored::option")]
    pub since: Option<Timestamp>,
}

/// A held lock. Given back when dropped, and by the system when this process ends in any way.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Tries once.
    ///
    /// # Errors
    /// Where the lock file cannot be opened. Its folder must exist.
    pub fn acquire(path: &Path, now: Timestamp) -> Result<Lock<Self>, StoreError> {
        // std opens close-on-exec: what we start does not inherit the lock.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(|e| StoreError::io("open", path, e))?;
        match fs2::FileExt::try_lock_exclusive(&file) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Lock::Busy(holder(&mut file))),
            Err(e) => return Err(StoreError::io("lock", path, e)),
        }
        sign(&mut file, now);
        Ok(Lock::Held(Self { file }))
    }

    /// Tries until it is ours, `patience` is over, or the clock no longer waits (the pass was interrupted).
    ///
    /// # Errors
    /// As [`FileLock::acquire`].
    pub fn acquire_within(
        path: &Path,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Lock<Self>, StoreError> {
        let end = clock.monotonic() + patience;
        loop {
            let lock = Self::acquire(path, clock.now())?;
            let before = clock.monotonic();
            if matches!(lock, Lock::Held(_)) || before >= end {
                return Ok(lock);
            }
            let wait = TICK.min(end - before);
            clock.sleep(wait);
            if clock.monotonic() < before + wait / 2 {
                return Ok(lock);
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Who looks at the file of a free lock shall not read of a process that has long ended.
        let _ = self.file.set_len(0);
        let _ = fs2::FileExt::unlock(&self.file);
    }
}

/// Writes who we are. A full disk is no reason to give up the lock: the name is only for people.
fn sign(file: &mut File, now: Timestamp) {
    let me = Holder { pid: Some(std::process::id()), since: now.replace_nanosecond(0).ok() };
    let Ok(text) = serde_json::to_vec(&me) else { return };
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text));
}

fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    match file.take(1024).read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => Holder::default(),
    }
}

/// The file name of a lock for something whose name may hold anything: unusual bytes become `%XX`, and
/// what is too long for a file name is told apart by a number made of it.
#[must_use]
pub fn file_name_for(name: &str) -> PathBuf {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && !text.is_empty()) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    if text.len() > 200 {
        text.truncate(180);
        text.push_str(&format!("%%{:016x}", fnv1a(name.as_bytes())));
    }
    PathBuf::from(text + ".lock")
}

/// A number that stays the same over versions of this program and of Rust.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names_that_do_not_meet() {
        let text = |name: &str| file_name_for(name).to_string_lossy().into_owned();
        assert_eq!(text("services-container"), "services-container.lock");
        assert_eq!(text("../etc"), "%2E.%2Fetc.lock");
        assert_eq!(text("a/b"), "a%2Fb.lock");
        let long = "x".repeat(300);
        assert!(text(&long).len() < 255);
        assert_ne!(text(&long), text(&format!("{long}y")));
    }
}
