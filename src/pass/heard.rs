//! What the lines of a pass said of each service: its last failed look that has a line, and what was done about it. The events
//! of a component tell it again, at the end of the pass.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::check::severity::Severity;
use crate::clock::Timestamp;
use crate::config::model::ServiceName;
use crate::event::{Action, EventKind};

/// What was said of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// What was done last.
    pub(super) action: Action,
    /// When its last line about a failed check was written.
    pub(super) failed_at: Option<Timestamp>,
    /// How bad the last failed look was.
    pub(super) severity: Option<Severity>,
    /// Why that failed.
    pub(super) reason: Option<String>,
    /// Failed looks in a row, that one included.
    pub(super) consecutive_failures: u32,
}

/// What was said of all of them.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<HashMap<ServiceName, Said>>);

impl Heard {
    /// Takes in one line, and says what it is about.
    pub(super) fn listen(&self, service: &ServiceName, kind: &EventKind, now: Timestamp) -> Action {
        self.with(service, |said| match kind {
            EventKind::CheckFailed {
                reason, consecutive_failures, left_because, below, severity, ..
            } => {
                said.failed_at = Some(now);
                said.severity = *severity;
                said.reason = Some(reason.clone());
                said.consecutive_failures = *consecutive_failures;
                if left_because.is_some() || below.is_some() { Action::None } else { Action::Recover }
            }
            EventKind::RecoveryFailed { reason, severity, .. } => {
                said.severity = *severity;
                said.reason = Some(reason.clone());
                said.action
            }
            EventKind::Executing { .. }
            | EventKind::ExecutingFallback { .. }
            | EventKind::Recovered { .. }
            | EventKind::Degraded { .. } => said.action,
            _ => Action::None,
        })
    }

    /// What is done now.
    pub(super) fn acting(&self, service: &ServiceName, action: Action) {
        self.with(service, |said| said.action = action);
    }

    /// All that was said of a service.
    pub(super) fn of(&self, service: &ServiceName) -> Said {
        self.with(service, |said| said.clone())
    }

    fn with<T>(&self, service: &ServiceName, act: impl FnOnce(&mut Said) -> T) -> T {
        let mut all = self.0.lock().expect("no thread panics while it holds what was heard");
        act(all.entry(service.clone()).or_default())
    }
}
