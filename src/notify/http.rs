//! One POST of JSON, for every receiver that speaks HTTP, and what its answer means.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::{GRACE, NotifyError};
use crate::process::Interrupt;

/// No single message waits longer for its answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// More of an answer than this is not read.
const ANSWER_MAX: u64 = 8 * 1024;

/// A request, as a thread of its own takes it along.
struct Request {
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Duration,
}

/// Its status, and for any but 2xx what the server says of it.
type Answer = Result<(u16, String), NotifyError>;

/// Posts `body`. After a signal its answer is not waited for: nobody knows then whether it arrived.
pub(super) fn post(
    url: &str,
    headers: &[(&str, String)],
    body: &[u8],
    timeout: Duration,
    interrupt: &Interrupt,
) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let request = Arc::new(Request { url: url.to_owned(), headers, body: body.to_owned(), timeout });
    let (tell, answer) = mpsc::channel();
    let theirs = Arc::clone(&request);
    let asked = thread::Builder::new().spawn(move || {
        // Nobody may listen any more.
        let _ = tell.send(theirs.post());
    });
    if asked.is_err() {
        return request.post();
    }
    loop {
        match answer.recv_timeout(Interrupt::TICK) {
            Err(RecvTimeoutError::Timeout) if !interrupt.is_set() => {}
            Err(RecvTimeoutError::Timeout) => {
                let given_up =
                    |_| Err(NotifyError::Later("a signal ended the wait for an answer".to_owned()));
                return answer.recv_timeout(GRACE).unwrap_or_else(given_up);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(NotifyError::Later("the request ended without an answer".to_owned()));
            }
            Ok(answer) => return answer,
        }
    }
}

impl Request {
    fn post(&self) -> Answer {
        // A proxy for other programs is none for a watchdog's last word, and a redirect would turn the
        // POST into a GET that looks like success.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .tls_config(tls)
            .user_agent(concat!("recovery/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let mut request = agent.post(&self.url).header("Content-Type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut answer = request.send(&self.body[..]).map_err(|e| NotifyError::Later(e.to_string()))?;
        let status = answer.status();
        // The yes is in the status: what follows it cannot take it back.
        let text = if status.is_success() {
            String::new()
        } else {
            let body = answer.body_mut().with_config().limit(ANSWER_MAX).lossy_utf8(true).read_to_string();
            body.unwrap_or_default()
        };
        Ok((status.as_u16(), text))
    }
}

/// What a status means for what was sent; `why` follows it in the message.
pub(super) fn judge(status: u16, why: &str) -> Result<(), NotifyError> {
    let text = format!("HTTP {status}{why}");
    match status {
        200..300 => Ok(()),
        400 | 413 => Err(NotifyError::Rejected(text)),
        300..400 => Err(NotifyError::Later(format!("{text}; it redirects, is its URL right?"))),
        _ => Err(NotifyError::Later(text)),
    }
}
