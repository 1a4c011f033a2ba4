//! Alerts as ntfy messages: JSON by POST to the server's root, and what its answers mean.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::http::{self, TIMEOUT};
use super::{Notifier, NotifyError};
use crate::alert::text::{cut_bytes, cut_chars, line};
use crate::alert::{Alert, Destination};
use crate::config::model::Token;
use crate::process::Interrupt;

/// The whole request's limit in bytes; the server's own is 8,192.
const REQUEST_MAX: usize = 7999;

/// An ntfy server. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Ntfy {
    server: String,
    token: Token,
    interrupt: Interrupt,
}

#[derive(Serialize)]
struct Message<'a> {
    topic: &'a str,
    title: &'a str,
    message: &'a str,
    priority: u8,
    tags: &'a [String],
    /// Known to servers from 2.16 on; others pass over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    click: Option<&'a str>,
}

/// ntfy's own errors.
#[derive(Deserialize)]
struct Refusal {
    code: u32,
    error: String,
}

impl Ntfy {
    /// The server with that root URL.
    #[must_use]
    pub fn new(server: &str, token: Token) -> Self {
        Self { server: format!("{}/", server.trim_end_matches('/')), token, interrupt: Interrupt::default() }
    }

    pub(super) fn heeding(self, interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), ..self }
    }

    /// The token, read now: a file may have been replaced since the last pass.
    fn token(&self) -> Result<Option<String>, NotifyError> {
        let token = match &self.token {
            Token::None => return Ok(None),
            Token::Env { value, .. } => value.clone().unwrap_or_default(),
            Token::File(path) => std::fs::read_to_string(path).map_err(|e| {
                NotifyError::Later(format!("cannot read the token file {}: {e}", path.display()))
            })?,
        };
        let token = token.trim();
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(NotifyError::Later("the access token is not one word of plain ASCII".to_owned()));
        }
        Ok((!token.is_empty()).then(|| token.to_owned()))
    }

    fn post(&self, body: &[u8], timeout: Duration) -> Result<(u16, String), NotifyError> {
        let token = self.token()?.map(|token| ("Authorization", format!("Bearer {token}")));
        http::post(&self.server, token.as_slice(), body, timeout, &self.interrupt)
    }
}

impl Notifier for Ntfy {
    fn send(&self, alert: &Alert, left: Duration) -> Result<(), NotifyError> {
        let Destination::Ntfy { topic } = &alert.to else {
            return Err(NotifyError::Rejected("not addressed to an ntfy topic".to_owned()));
        };
        if left.is_zero() {
            return Err(NotifyError::Later("no time was left to send it".to_owned()));
        }
        let outcome = self.post(&request(alert, topic), left.min(TIMEOUT));
        outcome.and_then(|(status, text)| classify(status, &text)).map_err(|e| self.clean(e, topic))
    }
}

impl Ntfy {
    /// Errors reach the log: no topic, no token, one line, not long.
    fn clean(&self, error: NotifyError, topic: &str) -> NotifyError {
        let clean = |text: String| {
            let mut text = text.replace(topic, "***");
            if let Ok(Some(token)) = self.token() {
                text = text.replace(token.as_str(), "***");
            }
            format!(
                "ntfy server {}: {}",
                line(self.server.trim_end_matches('/')),
                cut_chars(&line(&text), 300)
            )
        };
        match error {
            NotifyError::Later(text) => NotifyError::Later(clean(text)),
            NotifyError::LaterHere(text) => NotifyError::LaterHere(clean(text)),
            NotifyError::Rejected(text) => NotifyError::Rejected(clean(text)),
            NotifyError::Homeless => NotifyError::Homeless,
        }
    }
}

/// What the server's answer means for the alert, and for those that go elsewhere.
fn classify(status: u16, body: &str) -> Result<(), NotifyError> {
    let refusal = serde_json::from_str::<Refusal>(body).ok();
    let why = match &refusal {
        Some(Refusal { code: 42908, error }) => format!(": the day's quota is used up ({error}, code 42908)"),
        Some(Refusal { code, error }) => format!(": {error} (code {code})"),
        None => match body.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(first) => format!(": {}", cut_chars(first, 100)),
            None => String::new(),
        },
    };
    match http::judge(status, &why) {
        Err(NotifyError::Later(text)) if is_the_topics(status, refusal.as_ref()) => {
            Err(NotifyError::LaterHere(text))
        }
        outcome => outcome,
    }
}

/// Whether a refusal says nothing about other topics.
fn is_the_topics(status: u16, refusal: Option<&Refusal>) -> bool {
    match status {
        401 | 403 | 404 => true,
        // 42904: no further topic; 50701: nobody subscribes to that one (ntfy's errors.go). A server's or a
        // proxy's own rule names the topic.
        429 | 507 => refusal.is_some_and(|why| {
            matches!(why.code, 42904 | 50701) || why.error.to_lowercase().contains("topic")
        }),
        _ => false,
    }
}

/// The request's body, its message shortened until the whole fits: escaped, some characters are long.
fn request(alert: &Alert, topic: &str) -> Vec<u8> {
    let mut max = crate::alert::text::BODY_MAX;
    loop {
        let (title, message) = (cut_bytes(&alert.title, max.min(1000)), cut_bytes(&alert.body, max));
        let message = Message {
            topic,
            title: &title,
            message: &message,
            priority: alert.priority.clamp(1, 5),
            tags: &alert.tags,
            sequence_id: alert.sequence.as_deref(),
            click: alert.click.as_deref(),
        };
        let json = serde_json::to_vec(&message).unwrap_or_default();
        if json.len() <= REQUEST_MAX || max == 0 {
            return json;
        }
        max = max.saturating_sub(256);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Report;
    use crate::alert::text::Story;

    fn alert() -> Alert {
        let to = [Destination::Ntfy { topic: "t".into() }].into();
        Report { story: Story::sample("web"), incidents: Vec::new(), group: None, to }.alerts().remove(0)
    }

    #[test]
    fn the_whole_request_fits_however_the_text_is_escaped() {
        for filler in ["\u{1}", "\"", "ü", "🚨", "x"] {
            let long = Alert { body: filler.repeat(9000), title: filler.repeat(3000), ..alert() };
            let json = request(&long, &"t".repeat(64));
            assert!(json.len() < 8000, "{filler:?}: {}", json.len());
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let message = value["message"].as_str().unwrap();
            assert!(message.len() <= 4096 && message.len() > 500, "{filler:?}: {}", message.len());
        }
    }

    #[test]
    fn only_400_and_413_are_final() {
        for status in [400, 413] {
            assert!(matches!(classify(status, ""), Err(NotifyError::Rejected(_))), "{status}");
        }
        for status in [100, 301, 302, 307, 408, 429, 500, 502, 503, 507, 999] {
            assert!(matches!(classify(status, ""), Err(NotifyError::Later(_))), "{status}");
        }
        for status in [401, 403, 404] {
            assert!(matches!(classify(status, ""), Err(NotifyError::LaterHere(_))), "{status}");
        }
        for status in [200, 201, 204] {
            assert_eq!(classify(status, "garbage"), Ok(()));
        }
    }

    #[test]
    fn a_limit_is_the_servers_unless_it_names_the_topic() {
        let others_may = |status, code: u32, error: &str| {
            let body = serde_json::json!({"code": code, "http": status, "error": error}).to_string();
            matches!(classify(status, &body), Err(NotifyError::LaterHere(_)))
        };
        assert!(!others_may(429, 42901, "limit reached: too many requests"));
        assert!(!others_may(429, 42908, "limit reached: daily message quota reached"));
        assert!(others_may(429, 42904, "limit reached: the total number of topics has been reached"));
        assert!(others_may(429, 42999, "too many messages to this topic"));
        assert!(others_may(507, 50701, "cannot publish without a previously active subscriber"));
        assert!(!others_may(500, 50001, "internal error of a topic"));
    }

    #[test]
    fn the_servers_reason_is_told() {
        let said = |status, body| classify(status, body).unwrap_err().to_string();
        assert_eq!(
            said(429, r#"{"code":42908,"http":429,"error":"limit reached: daily message quota reached"}"#),
            "HTTP 429: the day's quota is used up (limit reached: daily message quota reached, code 42908)"
        );
        assert_eq!(said(403, r#"{"code":40301,"error":"forbidden"}"#), "HTTP 403: forbidden (code 40301)");
        assert_eq!(said(502, "\n<html>\n"), "HTTP 502: <html>");
        assert_eq!(said(302, ""), "HTTP 302; it redirects, is its URL right?");
    }
}
