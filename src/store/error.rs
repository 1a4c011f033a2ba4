//! What can go wrong with files that are remembered, each with its path and a remedy.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file or folder of ours that could not be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Not allowed.
    #[error("cannot {doing} {}: permission denied; use sudo", path.display())]
    Denied {
        /// `read`, `write`, `create`, …
        doing: &'static str,
        /// Of what.
        path: PathBuf,
    },
    /// Anything else that the system said.
    #[error("cannot {doing} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// `read`, `write`, `create`, …
        doing: &'static str,
        /// Of what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The content makes no sense; the file is untouched.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Written by a newer program; the file is untouched.
    #[error(
        "{} has schema {found}, this program knows {known} at most; update recovery, or move the file away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The highest one known here.
        known: u32,
    },
    /// Another process has held a lock for longer than was waited.
    #[error("{} is locked by another process; try again later", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl StoreError {
    /// From what the system said.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { doing, path },
            _ => Self::Io { doing, path, source },
        }
    }

    /// Whether another user (root, mostly) would be allowed.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// Whether the file's content is at fault, so that setting it aside helps.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        io::ErrorKind::ReadOnlyFilesystem => "; set \"state_dir\" to a folder that can be written",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "; a folder is expected there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_the_path_and_the_remedy() {
        let path = Path::new("/var/lib/recovery/web.json");
        let said = |n| StoreError::io("write", path, io::Error::from_raw_os_error(n)).to_string();
        assert_eq!(said(13), "cannot write /var/lib/recovery/web.json: permission denied; use sudo");
        assert_eq!(
            said(28),
            "cannot write /var/lib/recovery/web.json: No space left on device (os error 28); free some space"
        );
        assert_eq!(
            said(30),
            "cannot write /var/lib/recovery/web.json: Read-only file system (os error 30); \
             set \"state_dir\" to a folder that can be written"
        );
    }
}
