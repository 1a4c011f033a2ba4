//! Events of components to a program: their JSON by POST, as it is.

use std::time::Duration;

use super::http::{self, TIMEOUT};
use super::{Notifier, NotifyError};
use crate::alert::Alert;
use crate::alert::text::{cut_chars, line};
use crate::config::model::{HeaderValue, Webhook, WebhookUrl};
use crate::process::Interrupt;

/// Shorter pieces of an address are no secret, and stand in many words.
const SECRET_MIN: usize = 6;

/// Posts events to the configured address. What it says of a failure names neither address nor headers.
#[derive(Debug, Clone)]
pub struct WebhookNotifier {
    webhook: Webhook,
    interrupt: Interrupt,
}

impl WebhookNotifier {
    /// That webhook, with what the environment held when the configuration was read.
    #[must_use]
    pub fn new(webhook: Webhook) -> Self {
        Self { webhook, interrupt: Interrupt::default() }
    }

    pub(super) fn heeding(self, interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), ..self }
    }

    fn url(&self) -> Result<&str, NotifyError> {
        match &self.webhook.url {
            WebhookUrl::Plain(url) => Ok(url),
            WebhookUrl::FromEnv { variable, value } => value.as_deref().ok_or_else(|| unset(variable)),
        }
    }

    fn headers(&self) -> Result<Vec<(&str, String)>, NotifyError> {
        let value = |value: &HeaderValue| match value {
            HeaderValue::Plain(text) => Ok(text.clone()),
            HeaderValue::FromEnv { variable, value } => value.clone().ok_or_else(|| unset(variable)),
        };
        self.webhook.headers.iter().map(|h| Ok((h.name.as_str(), value(&h.value)?))).collect()
    }

    fn post(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError> {
        let body = alert.body.as_bytes();
        let (status, said) =
            http::post(self.url()?, &self.headers()?, body, left.min(TIMEOUT), &self.interrupt)?;
        let said = said.lines().map(str::trim).find(|line| !line.is_empty());
        http::judge(status, &said.map_or_else(String::new, |said| format!(": {said}")))
    }

    /// Errors reach the log, and servers repeat what they were sent.
    fn clean(&self, text: &str) -> String {
        let mut secrets: Vec<String> = Vec::new();
        if let Ok(url) = self.url() {
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
            secrets.extend([url.to_owned(), rest.to_owned()]);
            secrets.extend(rest.split(['/', '?', '&', '=', '#']).map(str::to_owned));
        }
        for (_, value) in self.headers().unwrap_or_default() {
            secrets.extend(value.split_whitespace().map(str::to_owned));
            secrets.push(value);
        }
        // The longest first: none may be cut by what is a part of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let hide = |text: String, secret: &String| {
            if secret.len() < SECRET_MIN { text } else { text.replace(secret.as_str(), "***") }
        };
        let text = secrets.iter().fold(text.to_owned(), hide);
        format!("webhook: {}", cut_chars(&line(&text), 300))
    }
}

fn unset(variable: &str) -> NotifyError {
    NotifyError::Later(format!("environment variable {variable} is not set"))
}

impl Notifier for WebhookNotifier {
    fn send(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError> {
        if left.is_zero() {
            return Err(NotifyError::Later("webhook: no time was left to send it".to_owned()));
        }
        self.post(alert, left).map_err(|error| match error {
            NotifyError::Later(text) => NotifyError::Later(self.clean(&text)),
            NotifyError::LaterHere(text) => NotifyError::LaterHere(self.clean(&text)),
            NotifyError::Rejected(text) => NotifyError::Rejected(self.clean(&text)),
            NotifyError::Homeless => NotifyError::Homeless,
        })
    }
}
