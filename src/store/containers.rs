//! `containers/NAME.json`: what is remembered of a container, whoever lives in it. Kept apart from the states of its
//! services, so that one that is added later judges nothing anew.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, atomic, lock, read_json, set_aside, write_json};
use crate::clock::Timestamp;
use crate::engine::{ContainerRef, Judged};

/// The schema this program writes.
const SCHEMA: u32 = 1;

/// What is remembered of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerMemory {
    /// The schema.
    pub schema: u32,
    /// Its full id: what was found out about another one of the same name is nothing.
    pub id: String,
    /// What was found out about its last end.
    #[serde(default)]
    pub ended: Option<Judged>,
    /// When we ordered its last restart, written down before.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub restarted_at: Option<Timestamp>,
}

impl Store {
    /// What is remembered of a container; nothing where the file is missing or of another container.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn container(&self, at: &ContainerRef) -> Result<ContainerMemory, StoreError> {
        let nothing = ContainerMemory { schema: SCHEMA, id: at.id.clone(), ended: None, restarted_at: None };
        match read_json::<ContainerMemory>(&self.container_file(at), SCHEMA) {
            Ok(found) => Ok(found.filter(|found| found.id == at.id).unwrap_or(nothing)),
            Err(error) => Err(error),
        }
    }

    /// Replaces what is remembered of a container.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remember_container(&self, at: &ContainerRef, memory: &ContainerMemory) -> Result<(), StoreError> {
        let file = self.container_file(at);
        atomic::create_folder(file.parent().unwrap_or(&self.dir), 0o755)?;
        write_json(&file, memory)
    }

    /// Sets a damaged memory aside, and says where.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_aside_container(&self, at: &ContainerRef, now: Timestamp) -> Result<PathBuf, StoreError> {
        set_aside(&self.container_file(at), now)
    }

    fn container_file(&self, at: &ContainerRef) -> PathBuf {
        self.dir.join("containers").join(lock::file_name_for(&at.name)).with_extension("json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ContainerEnd, Sign};
    use crate::store::Markers;
    use time::macros::datetime;

    #[test]
    fn what_is_remembered_is_of_one_container_and_damage_is_no_word_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path(), Markers::in_folders(folder.path(), &[]));
        let at = ContainerRef { id: "1a".into(), name: "box.v1".into() };
        let mut memory = store.container(&at).unwrap();
        assert_eq!((memory.ended, memory.restarted_at), (None, None));
        let finished_at = Some(datetime!(2026-11-26 02:03:41.997747994 UTC));
        memory.ended = Some(Judged { finished_at, end: ContainerEnd::StoppedBySomeone, sign: Sign::Record });
        memory.restarted_at = Some(datetime!(2026-11-26 02:00 UTC));
        store.remember_container(&at, &memory).unwrap();
        assert_eq!(store.container(&at).unwrap(), memory);
        let other = ContainerRef { id: "2b".into(), ..at.clone() };
        assert_eq!(store.container(&other).unwrap().ended, None);
        std::fs::write(folder.path().join("containers/box.v1.json"), "{").unwrap();
        assert!(store.container(&at).is_err_and(|error| error.is_damaged()));
        assert!(store.set_aside_container(&at, datetime!(2026-11-26 02:00 UTC)).unwrap().exists());
        assert_eq!(store.container(&at).unwrap().ended, None);
    }
}
