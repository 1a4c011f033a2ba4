//! `config.v2.json`: what a local docker writes down of a container, and tells nobody.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::times;
use crate::clock::Timestamp;

/// More is no description of a container.
const CAP: u64 = 4 * 1024 * 1024;

/// Where that file is, told by another one beside it; so nothing must be asked for it.
#[must_use]
pub fn beside(hostname_path: &str) -> Option<PathBuf> {
    let folder = Path::new(hostname_path).parent().filter(|folder| folder.is_absolute())?;
    Some(folder.join("config.v2.json"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    #[serde(rename = "ID")]
    id: String,
    state: State,
    has_been_manually_stopped: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    finished_at: String,
}

/// Whether somebody stopped that container, or sent it a signal, in the run that ended then. `None` where the file
/// is not there (the engine is elsewhere), not for us, or speaks of something else.
#[must_use]
pub fn manually_stopped(path: &Path, id: &str, finished_at: Option<Timestamp>) -> Option<bool> {
    let content = crate::store::atomic::read(path, CAP).ok().flatten()?;
    read(&content, id, finished_at)
}

fn read(content: &[u8], id: &str, finished_at: Option<Timestamp>) -> Option<bool> {
    let raw: Raw = serde_json::from_slice(content).ok()?;
    let same = raw.id == id && times::timestamp(&raw.state.finished_at) == finished_at;
    same.then_some(raw.has_been_manually_stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const STOPPED: &str = r#"{"StreamConfig":{},"State":{"Running":false,"ExitCode":1,"Error":"","StartedAt":"2026-11-26T02:03:41.383175153Z","FinishedAt":"2026-11-26T02:03:41.997747994Z","Health":null},"ID":"b798","Name":"/box","HasBeenStartedBefore":true,"HasBeenManuallyStopped":true}"#;

    #[test]
    fn it_is_read_only_of_the_same_container_and_the_same_end() {
        let at = Some(datetime!(2026-11-26 02:03:41.997747994 UTC));
        assert_eq!(read(STOPPED.as_bytes(), "b798", at), Some(true));
        let killed = STOPPED.replace("Stopped\":true", "Stopped\":false");
        assert_eq!(read(killed.as_bytes(), "b798", at), Some(false));
        assert_eq!(read(STOPPED.as_bytes(), "b799", at), None);
        assert_eq!(read(STOPPED.as_bytes(), "b798", None), None);
        assert_eq!(read(b"{}", "b798", at), None);
    }

    #[test]
    fn where_it_is_is_told_by_what_lies_beside_it() {
        let path = beside("/var/lib/docker/containers/b798/hostname");
        assert_eq!(path, Some(PathBuf::from("/var/lib/docker/containers/b798/config.v2.json")));
        assert_eq!((beside(""), beside("hostname")), (None, None));
    }
}
