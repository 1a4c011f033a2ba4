//! The last word that the webhook had of each service: the last event of it that waits, else the last one that was
//! taken (`told/`). The record of that is made before the event leaves the outbox, so that at no instant both are
//! missing; whoever reads looks for what waits first.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{CAP, FILE_MODE, FOLDER_MODE, Outbox, Waiting};
use crate::alert::component::LastWord;
use crate::alert::{Alert, Destination};
use crate::store::StoreError;
use crate::store::atomic::{self, Existing};

/// The folder below the outbox; a service of which nothing was ever told has no file there.
pub(super) const FOLDER: &str = "told";

#[derive(Serialize, Deserialize)]
struct Told {
    service: String,
    #[serde(flatten)]
    word: LastWord,
}

/// What waited at one instant, for questions about many services.
#[derive(Debug)]
pub struct LastWords<'o> {
    outbox: &'o Outbox,
    waiting: HashMap<String, LastWord>,
}

impl LastWords<'_> {
    /// The last one of that service; `None`: nothing was ever told of it, or nobody knows any more.
    ///
    /// # Errors
    /// Where the record cannot be read.
    pub fn of(&self, service: &str) -> Result<Option<LastWord>, StoreError> {
        if let Some(word) = self.waiting.get(service) {
            return Ok(Some(*word));
        }
        match atomic::read(&self.outbox.told_file(service), CAP) {
            Ok(content) => {
                let told: Option<Told> = content.and_then(|content| serde_json::from_slice(&content).ok());
                Ok(told.filter(|told| told.service == service).map(|told| told.word))
            }
            Err(StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Outbox {
    /// What the webhook was told last.
    ///
    /// # Errors
    /// As [`Outbox::waiting`].
    pub fn last_words(&self) -> Result<LastWords<'_>, StoreError> {
        let waiting = self.waiting()?;
        let events = waiting.iter().filter_map(|Waiting { alert, .. }| Some((service(alert)?, word(alert)?)));
        Ok(LastWords { outbox: self, waiting: events.map(|(name, word)| (name.to_owned(), word)).collect() })
    }

    /// Remembers that the webhook has had that event; any other alert is none of its business.
    pub(super) fn remember(&self, event: &Alert) -> Result<(), StoreError> {
        let (Some(service), Some(word)) = (service(event), word(event)) else { return Ok(()) };
        let path = self.told_file(service);
        let fail = |e| StoreError::io("write", &path, e);
        atomic::create_folder(&self.dir.join(FOLDER), FOLDER_MODE)?;
        let told = Told { service: service.to_owned(), word };
        let content = serde_json::to_vec(&told).map_err(|e| fail(e.into()))?;
        atomic::write(&path, &content, FILE_MODE, Existing::Replace).map_err(fail)
    }

    fn told_file(&self, service: &str) -> std::path::PathBuf {
        self.dir.join(FOLDER).join(super::key(service, &Destination::Webhook))
    }
}

fn service(event: &Alert) -> Option<&str> {
    event.services.first().map(String::as_str)
}

fn word(event: &Alert) -> Option<LastWord> {
    Some(LastWord { change: event.event?, at: event.at, down_since: event.down_since })
}
