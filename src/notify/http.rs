//! One POST of JSON, for every receiver that speaks HTTP, and what its answer means.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::NotifyError;

/// No single message waits longer for its answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// More of an answer than this is not read.
const ANSWER_MAX: u64 = 8 * 1024;

/// Posts `body`; the status, and for any but 2xx what the server says of it.
pub(super) fn post(
    url: &str,
    headers: &[(&str, String)],
    body: &[u8],
    timeout: Duration,
) -> Result<(u16, String), NotifyError> {
    // A proxy for other programs is none for a watchdog's last word, and a redirect would turn the
    // POST into a GET that looks like success.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .tls_config(tls)
        .user_agent(concat!("recovery/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.post(url).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut answer = request.send(body).map_err(|e| NotifyError::Later(e.to_string()))?;
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
