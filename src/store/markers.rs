//! Manual-stop markers: files by which a person says "leave this service alone".
//!
//! Markers inside containers are found by the looks and removed by the engine; what their content means is
//! the same and stands here, in [`parse_marker`].

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::{self, Existing};
use super::error::StoreError;
use crate::clock::Timestamp;
use crate::config::model::{ServiceName, Settings};

/// Markers here are honoured whatever the configuration says.
pub const ALWAYS: &str = "/var/run/manual-stop";

/// The schema this program writes.
const SCHEMA: u32 = 1;
/// More of a marker than this is not read.
const CAP: u64 = 64 * 1024;

/// What a person said of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Nothing.
    None,
    /// Leave it alone.
    Stopped(MarkerInfo),
    /// Something whose time is over; these may be removed.
    Expired(Vec<Place>),
}

/// Where a marker was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// That file on the machine.
    File(PathBuf),
    /// In the container of that name.
    Container(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Container(name) => write!(f, "container {name}"),
        }
    }
}

/// A marker that holds. One made by `touch` tells nothing but its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerInfo {
    /// Who.
    pub by: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// Until when; `None`: without end.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// Where it lies.
    pub place: Place,
}

/// The content of a marker of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerFile {
    /// Written as 1; not judged when read, because a marker of any schema means stop.
    #[serde(default)]
    schema: u32,
    /// Who.
    #[serde(default)]
    pub by: Option<String>,
    /// When.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub at: Option<Timestamp>,
    /// Until when; `None`: without end.
    #[serde(default, with = "crate::clock::text::stored::option")]
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl MarkerFile {
    /// A new marker.
    #[must_use]
    pub fn new(by: Option<String>, at: Timestamp, until: Option<Timestamp>, reason: Option<String>) -> Self {
        Self { schema: SCHEMA, by, at: Some(at), until, reason }
    }
}

/// What a marker's content means. Empty and unreadable content is a stop without end.
#[must_use]
pub fn parse_marker(content: &[u8], now: Timestamp, place: Place) -> Marker {
    let file = serde_json::from_slice::<MarkerFile>(content).unwrap_or(MarkerFile {
        schema: 0,
        by: None,
        at: None,
        until: None,
        reason: None,
    });
    if file.until.is_some_and(|until| until <= now) {
        return Marker::Expired(vec![place]);
    }
    Marker::Stopped(MarkerInfo { by: file.by, at: file.at, until: file.until, reason: file.reason, place })
}

impl Marker {
    /// Of two places: whoever says stop is believed.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (stopped @ Self::Stopped(_), _) | (_, stopped @ Self::Stopped(_)) => stopped,
            (Self::Expired(mut places), Self::Expired(more)) => {
                places.extend(more);
                Self::Expired(places)
            }
            (Self::None, other) => other,
            (expired, Self::None) => expired,
        }
    }
}

impl fmt::Display for MarkerInfo {
    /// For the log: `by anna, since …, until …, reason: …, marker: …`. Masking and escaping are the caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use time::format_description::well_known::Rfc3339;
        let time = |t: Timestamp| t.replace_nanosecond(0).unwrap_or(t).format(&Rfc3339).unwrap_or_default();
        if let Some(by) = &self.by {
            write!(f, "by {by}, ")?;
        }
        if let Some(at) = self.at {
            write!(f, "since {}, ", time(at))?;
        }
        match self.until {
            Some(until) => write!(f, "until {}, ", time(until))?,
            None => f.write_str("until it is removed, ")?,
        }
        if let Some(reason) = &self.reason {
            write!(f, "reason: {reason}, ")?;
        }
        write!(f, "marker: {}", self.place)
    }
}

/// The folders in which markers lie on the machine.
#[derive(Debug, Clone)]
pub struct Markers {
    /// The configured one first: there they are set.
    folders: Vec<PathBuf>,
}

impl Markers {
    /// The configured folder and the one that is always honoured.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self::in_folders(&settings.stop_dir, &[Path::new(ALWAYS)])
    }

    /// Markers are set in `stop_dir` and honoured in `also`.
    #[must_use]
    pub fn in_folders(stop_dir: &Path, also: &[&Path]) -> Self {
        let mut folders = vec![stop_dir.to_owned()];
        folders.extend(also.iter().filter(|f| **f != stop_dir).map(|f| f.to_path_buf()));
        Self { folders }
    }

    /// What is said of that service on the machine.
    ///
    /// # Errors
    /// Where a folder cannot be read and no other place says stop. A folder that is not there is no error.
    pub fn read(&self, service: &ServiceName, now: Timestamp) -> Result<Marker, StoreError> {
        let mut found = Marker::None;
        let mut error = None;
        for folder in &self.folders {
            match read_one(folder, service, now) {
                Ok(marker) => found = found.or(marker),
                Err(e) => error = Some(e),
            }
        }
        match (found, error) {
            (stopped @ Marker::Stopped(_), _) => Ok(stopped),
            (_, Some(error)) => Err(error),
            (found, None) => Ok(found),
        }
    }

    /// Where [`Markers::set`] puts the marker of that service.
    #[must_use]
    pub fn path(&self, service: &ServiceName) -> PathBuf {
        file(&self.folders[0], service)
    }

    /// Sets the marker, in place of one that is there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set(&self, service: &ServiceName, marker: &MarkerFile) -> Result<PathBuf, StoreError> {
        let path = self.path(service);
        atomic::create_folder(&self.folders[0], 0o755)?;
        let fail = |e| StoreError::io("write", &path, e);
        let content = serde_json::to_vec_pretty(marker).map_err(|e| fail(e.into()))?;
        atomic::write(&path, &content, 0o644, Existing::Replace).map_err(fail)?;
        Ok(path)
    }

    /// Removes the service's markers everywhere on the machine, and says which.
    ///
    /// # Errors
    /// [`StoreError`], after all places were tried.
    pub fn clear(&self, service: &ServiceName) -> Result<Vec<PathBuf>, StoreError> {
        let mut removed = Vec::new();
        let mut error = None;
        for path in self.folders.iter().map(|folder| file(folder, service)) {
            match remove(&path) {
                Ok(true) => removed.push(path),
                Ok(false) => {}
                Err(e) => error = Some(e),
            }
        }
        error.map_or(Ok(removed), Err)
    }

    /// Removes expired markers on the machine; looks once more first, since a person may just have stopped
    /// the service anew. Those in containers are passed over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove_expired(&self, places: &[Place], now: Timestamp) -> Result<(), StoreError> {
        for place in places {
            let Place::File(path) = place else { continue };
            let Some(content) = atomic::read(path, CAP)? else { continue };
            if matches!(parse_marker(&content, now, place.clone()), Marker::Expired(_)) {
                remove(path)?;
            }
        }
        Ok(())
    }
}

fn file(folder: &Path, service: &ServiceName) -> PathBuf {
    folder.join(format!("{service}.stopped"))
}

fn remove(path: &Path) -> Result<bool, StoreError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("remove", path, e)),
    }
}

fn read_one(folder: &Path, service: &ServiceName, now: Timestamp) -> Result<Marker, StoreError> {
    let path = file(folder, service);
    match path.symlink_metadata() {
        Ok(_) => {
            // Whatever lies there by that name means stop, also a folder, or a link to nowhere.
            let content = atomic::read(&path, CAP).ok().flatten().unwrap_or_default();
            Ok(parse_marker(&content, now, Place::File(path)))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => missing(folder).map(|()| Marker::None),
        Err(e) => Err(StoreError::io("read", folder, e)),
    }
}

/// No marker: fine where the folder is one, or is not there at all; not where it is a link to nowhere, such
/// as to a file system that is not mounted.
fn missing(folder: &Path) -> Result<(), StoreError> {
    let link = folder.symlink_metadata().is_ok_and(|m| m.file_type().is_symlink());
    match folder.metadata() {
        Err(e) if link => Err(StoreError::io("read", folder, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: Timestamp = datetime!(2026-11-21 10:00 UTC);

    fn parse(content: &str) -> Marker {
        parse_marker(content.as_bytes(), NOW, Place::Container("c".to_owned()))
    }

    #[test]
    fn whatever_cannot_be_read_is_a_stop_without_end() {
        for content in [
            "",
            "\n",
            "maintenance",
            "{",
            "null",
            "[]",
            "{}",
            r#"{"until": "soon"}"#,
            r#"{"until": "2020-01-01"}"#,
            r#"{"until": 5, "reason": "x"}"#,
        ] {
            let Marker::Stopped(info) = parse(content) else { panic!("{content}") };
            assert_eq!((info.until, info.reason), (None, None), "{content}");
        }
    }

    #[test]
    fn ours_tells_who_until_when_and_why_and_ends_on_time() {
        let Marker::Stopped(info) = parse(
            r#"{"schema": 9, "by": "anna", "at": "2026-11-21T09:00:00Z", "until": "2026-11-21T10:00:01Z",
                "reason": "disk", "new": 1}"#,
        ) else {
            panic!()
        };
        assert_eq!(
            info.to_string(),
            "by anna, since 2026-11-21T09:00:00Z, until 2026-11-21T10:00:01Z, reason: disk, marker: container c"
        );
        assert!(matches!(parse(r#"{"until": "2026-11-21T10:00:00Z"}"#), Marker::Expired(_)));
        assert!(matches!(parse(r#"{"until": "2026-11-21T11:59:00+02:00"}"#), Marker::Expired(_)));
    }

    #[test]
    fn whoever_says_stop_is_believed() {
        let (stop, over) = (parse(""), parse(r#"{"until": "2020-01-01T00:00:00Z"}"#));
        for other in [Marker::None, over.clone()] {
            assert_eq!(stop.clone().or(other.clone()), stop);
            assert_eq!(other.or(stop.clone()), stop);
        }
        assert_eq!(Marker::None.or(over.clone()), over);
        assert!(matches!(over.clone().or(over), Marker::Expired(places) if places.len() == 2));
    }
}
