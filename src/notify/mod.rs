//! The seam to people: one alert to one notifier.

use thiserror::Error;

use crate::alert::Alert;

/// Why an alert was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotifyError {
    /// It may be delivered later: time-out, refusal, 401/403, 429, 5xx. Sending ends for this pass.
    #[error("{0}")]
    Later(String),
    /// It will never be taken as it is: 400, 413.
    #[error("{0}")]
    Rejected(String),
}

/// Delivers alerts.
pub trait Notifier: Send + Sync {
    /// Delivers one alert to all it is addressed to, within the time that is left.
    ///
    /// # Errors
    /// [`NotifyError`]
    fn send(&self, alert: &Alert, left: std::time::Duration) -> Result<(), NotifyError>;
}
