//! The seam to people: one alert to one notifier.

mod command;
mod http;
mod ntfy;
mod webhook;

use std::time::Duration;

use thiserror::Error;

use crate::alert::{Alert, Destination};
use crate::config::model::Notifications;
use crate::process::Interrupt;

pub use self::command::CommandNotifier;
pub use self::ntfy::Ntfy;
pub use self::webhook::WebhookNotifier;

/// How long the answer to a message is still waited for after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// Why an alert was not delivered. The texts are masked and on one line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotifyError {
    /// It may be delivered later, and until then neither may another on that way: time-out, refusal, 5xx, 429.
    /// Sending on it ends for this pass.
    #[error("{0}")]
    Later(String),
    /// It may be delivered later, and what goes to other topics may be now: 401, 403, 404, a topic's own limit.
    #[error("{0}")]
    LaterHere(String),
    /// It will never be taken as it is: 400, 413.
    #[error("{0}")]
    Rejected(String),
    /// Nobody is there any more who could take it: the configuration names no webhook.
    #[error("no webhook is configured any more")]
    Homeless,
}

/// Delivers alerts.
pub trait Notifier: Send + Sync {
    /// Delivers one alert to all it is addressed to, within the time that is left.
    ///
    /// # Errors
    /// [`NotifyError`]
    fn send(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError>;
}

/// The configured notifiers, by destination.
#[derive(Debug, Clone)]
pub struct Notifiers {
    ntfy: Option<Ntfy>,
    command: Option<CommandNotifier>,
    webhook: Option<WebhookNotifier>,
}

impl Notifiers {
    /// Those of this configuration.
    #[must_use]
    pub fn new(notifications: &Notifications) -> Self {
        let server = notifications.server.as_deref();
        Self {
            ntfy: server.map(|server| Ntfy::new(server, notifications.token.clone())),
            command: notifications.command.as_deref().map(CommandNotifier::new),
            webhook: notifications.webhook.clone().map(WebhookNotifier::new),
        }
    }

    /// Gives up a message that is under way soon after a signal.
    #[must_use]
    pub fn heeding(self, interrupt: &Interrupt) -> Self {
        Self {
            ntfy: self.ntfy.map(|ntfy| ntfy.heeding(interrupt)),
            command: self.command.map(|command| command.heeding(interrupt)),
            webhook: self.webhook.map(|webhook| webhook.heeding(interrupt)),
        }
    }
}

impl Notifier for Notifiers {
    fn send(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError> {
        // Perhaps only this run lacks the environment that names it, so nothing is thrown away.
        let gone = |what: &str| NotifyError::Later(format!("no {what} is configured any more"));
        match alert.to {
            Destination::Ntfy { .. } => {
                self.ntfy.as_ref().ok_or_else(|| gone("ntfy server"))?.send(alert, left)
            }
            Destination::Command => {
                self.command.as_ref().ok_or_else(|| gone("notification command"))?.send(alert, left)
            }
            Destination::Webhook => self.webhook.as_ref().ok_or(NotifyError::Homeless)?.send(alert, left),
        }
    }
}
