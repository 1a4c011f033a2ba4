//! HTTP checks from the machine.
//!
//! No proxy of the environment, no redirect and no kept connection plays a part; a status is an answer,
//! never an error of the library.

use std::io::Read;
use std::time::Duration;

use ureq::http::{Request, Uri};
use ureq::tls::{RootCerts, TlsConfig};

use super::{bounded, tcp};
use crate::check::judge::{self, LONG_CAP, Output, SHORT_CAP};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::{HeaderValue, HttpProbe};
use crate::process::Interrupt;

/// On top of the library's own time-out, which should come first.
const ALLOWANCE: Duration = Duration::from_millis(300);

/// Asks, and judges the answer.
pub fn look(probe: &HttpProbe, timeout: Duration, interrupt: &Interrupt) -> Health {
    let request = match request(probe) {
        Ok(request) => request,
        Err(why) => return Health::Unknown(why),
    };
    let reads = probe.expect_body.is_some() || !probe.expect_json.is_empty();
    let cap = if reads { LONG_CAP } else { SHORT_CAP };
    let tls_verify = probe.tls_verify;
    let limit = timeout.saturating_add(ALLOWANCE);
    match bounded::run(limit, interrupt, move || ask(request, tls_verify, timeout, cap)) {
        Ok(Ok((status, body))) => judge::http(probe, status, &body),
        Ok(Err(error)) => Health::Unhealthy(failure(error, to(&probe.endpoint), timeout)),
        Err(stopped) => stopped.health(timeout),
    }
}

fn request(probe: &HttpProbe) -> Result<Request<&'static [u8]>, Unknown> {
    let mut builder = Request::builder().method(probe.method.as_str()).uri(&probe.endpoint);
    for header in &probe.headers {
        let value = match &header.value {
            HeaderValue::Plain(value) => value,
            HeaderValue::FromEnv { value: Some(value), .. } => value,
            HeaderValue::FromEnv { variable, value: None } => {
                return Err(Unknown::MissingEnv(variable.clone()));
            }
        };
        builder = builder.header(header.name.as_str(), value.as_str());
    }
    // The library's words, since the value may be a secret.
    builder.body(&b""[..]).map_err(|error| Unknown::Other(format!("the request cannot be made: {error}")))
}

fn ask(
    request: Request<&'static [u8]>,
    tls_verify: bool,
    timeout: Duration,
    cap: usize,
) -> Result<(u16, Output), ureq::Error> {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .disable_verification(!tls_verify)
        .build();
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .allow_non_standard_methods(true)
        .max_idle_connections(0)
        .user_agent(concat!("recovery/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent();
    let has_body = matches!(request.method().as_str(), "POST" | "PUT" | "PATCH");
    let mut response = if has_body { agent.run(request)? } else { agent.run(request.map(|_| ()))? };
    let status = response.status().as_u16();
    let body = read(response.body_mut().as_reader(), cap)?;
    Ok((status, body))
}

fn read(reader: impl Read, cap: usize) -> std::io::Result<Output> {
    let mut bytes = Vec::new();
    reader.take(cap as u64 + 1).read_to_end(&mut bytes)?;
    let truncated = bytes.len() > cap;
    bytes.truncate(cap);
    Ok(Output { bytes, truncated })
}

fn to(endpoint: &str) -> String {
    let Ok(uri) = endpoint.parse::<Uri>() else { return endpoint.to_owned() };
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    tcp::address(uri.host().unwrap_or_default(), port)
}

fn failure(error: ureq::Error, to: String, timeout: Duration) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::TimedOut { after: timeout },
        ureq::Error::Io(error) => tcp::failure(&error, to, timeout),
        other => Failure::Connection { to, detail: other.to_string() },
    }
}
