//! Files that are there whole or not at all: temporary file, fsync, rename, fsync of the folder.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

use super::error::StoreError;
use crate::clock::Timestamp;

/// How temporary files end. They begin with `.` and the final name, so no service's file has such a name.
const TEMPORARY: &str = ".tmp";

/// No write takes so long.
const STALE: Duration = Duration::from_secs(3600);

/// What happens to a file that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It is kept, and the call fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
}

/// Puts `content` at `path`, whatever instant we are killed at or the power fails. The folder must exist.
///
/// # Errors
/// What the system said; the old file is then untouched, and nothing is left behind.
pub fn write(path: &Path, content: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    let file = temporary(path, content, mode)?;
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => file.persist(path).map_err(|e| e.error)?,
        Existing::Keep => file.persist_noclobber(path).map_err(|e| e.error)?,
    };
    path.parent().map_or(Ok(()), sync_folder)
}

/// The same without waiting for the disk, for what a power failure may take: a kill leaves it whole.
///
/// # Errors
/// As [`write()`].
pub fn write_lazily(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    temporary(path, content, mode)?.persist(path).map(drop).map_err(|e| e.error)
}

fn temporary(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    let mut file = tempfile::Builder::new().prefix(&prefix).suffix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(content)?;
    // Not left to the umask, and not tempfile's 0600: monitors read the state.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

/// Makes renames and removals in that folder last.
///
/// # Errors
/// What the system said.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates a folder and those above it, where they are missing.
///
/// # Errors
/// [`StoreError`]
pub fn create_folder(path: &Path, mode: u32) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.is_dir()) {
        create_folder(above, 0o755)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(StoreError::io("create", path, e)),
        // As with files, not left to the umask.
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|e| StoreError::io("create", path, e)),
    }
}

/// Reads a file of at most `cap` bytes; `None` where there is none. Never waits on a FIFO.
///
/// # Errors
/// What the system said; [`StoreError::Damaged`] where it is longer, or no file.
pub fn read(path: &Path, cap: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let fail = |e| StoreError::io("read", path, e);
    let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        // Perhaps to a file system that is not mounted: what is there is not known, and not nothing.
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            return Err(damaged("a link to nowhere".to_owned()));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(damaged("not a regular file".to_owned()));
    }
    let mut content = Vec::new();
    let read = file.take(cap + 1).read_to_end(&mut content).map_err(fail)?;
    if read as u64 > cap {
        return Err(damaged(format!("longer than {cap} bytes")));
    }
    Ok(Some(content))
}

/// Removes temporary files that killed processes left beside `path`. Only for who holds its lock: nobody
/// else is writing it then.
pub fn sweep(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let prefix = format!(".{}.", name.to_string_lossy());
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let found = found.to_string_lossy();
        let random = found.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(TEMPORARY));
        // A dot: it belongs to the service whose name is this one's and `.json`.
        if random.is_some_and(|random| !random.contains('.')) {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Removes temporary files that killed processes left in `folder`, where no lock tells that nobody is writing
/// them: age must.
pub fn sweep_old(folder: &Path, now: Timestamp) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let written = entry.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let age = SystemTime::from(now).duration_since(written).unwrap_or_default();
        if name.starts_with('.') && name.ends_with(TEMPORARY) && age > STALE {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_no_rubbish() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.json");
        std::fs::create_dir(&path).unwrap();
        assert!(write(&path, b"new", 0o644, Existing::Replace).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(path.is_dir());
    }

    #[test]
    fn what_is_kept_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, b"old", 0o600, Existing::Keep).unwrap();
        let again = write(&path, b"new", 0o600, Existing::Keep).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path, 10).unwrap().unwrap(), b"old");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_what_a_dead_writer_of_this_very_file_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".web.json.x1.tmp", ".web.json.json.x1.tmp", "web.json", ".db.json.x.tmp", ".web.json.x"]
        {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        sweep(&dir.path().join("web.json"));
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".db.json.x.tmp", ".web.json.json.x1.tmp", ".web.json.x", "web.json"]);
    }

    #[test]
    fn what_is_too_long_or_no_file_is_damaged_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert!(read(&path, 5).unwrap().is_some());
        assert!(read(&path, 4).unwrap_err().is_damaged());
        assert!(read(dir.path(), 4).unwrap_err().is_damaged());
        assert!(read(&dir.path().join("b"), 4).unwrap().is_none());
        std::os::unix::fs::symlink("nowhere", dir.path().join("b")).unwrap();
        assert!(read(&dir.path().join("b"), 4).unwrap_err().is_damaged());
    }
}
