//! HTTP checks from the machine.
//!
//! The client is our own and small, over the TLS library that alerts are sent with, since what counts here is
//! what a general client may not do: take a status whatever follows it, take heads as curl takes them, read no
//! more than is asked for, and tell trouble with TLS apart. No proxy of the environment, no redirect and no kept
//! connection plays a part.

mod answer;
mod stream;
mod tls;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use self::answer::{Answer, Wanted};
use self::stream::Timed;
use super::bounded::{self, Stopped};
use super::tcp::{self, Resolved};
use crate::check::endpoint::{self, Endpoint, Scheme};
use crate::check::judge::{self, LONG_CAP};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::HttpProbe;
use crate::process::Interrupt;

/// On top of our own time-out, which should come first.
const ALLOWANCE: Duration = Duration::from_millis(300);

/// Asks, and judges the answer.
pub fn look(probe: &HttpProbe, timeout: Duration, interrupt: &Interrupt) -> Health {
    let asked = match Asked::of(probe, timeout) {
        Ok(asked) => asked,
        Err(why) => return Health::Unknown(why),
    };
    let probe = probe.clone();
    let limit = timeout.saturating_add(ALLOWANCE);
    let (resolved, to) = (asked.resolved.clone(), asked.endpoint.to());
    match bounded::run(limit, interrupt, move || asked.answer(&probe)) {
        Ok(health) => health,
        Err(Stopped::TimedOut) if !resolved.is_set() => Health::Unknown(Unknown::Unresolved { to }),
        Err(stopped) => stopped.health(timeout),
    }
}

/// A request that is ready to be sent.
struct Asked {
    endpoint: Endpoint,
    text: String,
    timeout: Duration,
    resolved: Resolved,
}

impl Asked {
    fn of(probe: &HttpProbe, timeout: Duration) -> Result<Self, Unknown> {
        let endpoint = Endpoint::parse(&probe.endpoint)
            .ok_or_else(|| Unknown::Other("its endpoint is no http or https URL".to_owned()))?;
        let headers = endpoint::headers(probe, &endpoint)?;
        let mut text = format!("{} {} HTTP/1.1\r\n", probe.method, endpoint.target);
        let agent = concat!("recovery/", env!("CARGO_PKG_VERSION")).to_owned();
        let mut ours = vec![
            ("Host", endpoint.authority()),
            ("User-Agent", agent),
            ("Accept", "*/*".to_owned()),
            ("Connection", "close".to_owned()),
        ];
        if matches!(probe.method.as_str(), "POST" | "PUT" | "PATCH") {
            ours.push(("Content-Length", "0".to_owned()));
        }
        for (name, value) in ours {
            if !headers.iter().any(|(set, _)| set.eq_ignore_ascii_case(name)) {
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        Ok(Self { endpoint, text, timeout, resolved: Resolved::default() })
    }

    fn answer(&self, probe: &HttpProbe) -> Health {
        match self.ask(probe) {
            Ok(answer) => self.judged(probe, answer),
            Err(trouble) => trouble.health(self.endpoint.to(), self.timeout),
        }
    }

    fn ask(&self, probe: &HttpProbe) -> Result<Answer, Trouble> {
        let end = Instant::now() + self.timeout;
        let stream = tcp::connect(&self.endpoint.host, self.endpoint.port(), end, &self.resolved)
            .map_err(Trouble::Io)?;
        let stream = Timed::new(stream, end);
        let wanted = Wanted::of(probe);
        match self.endpoint.scheme {
            Scheme::Http => stream::converse(stream, &self.text, &wanted),
            Scheme::Https => {
                let stream = tls::over(stream, &self.endpoint.host, probe.tls_verify)?;
                stream::converse(stream, &self.text, &wanted)
            }
        }
    }

    /// A body that did not come whole must do as it is, else the reason is why it did not.
    fn judged(&self, probe: &HttpProbe, answer: Answer) -> Health {
        let Answer { status, body, cut } = answer;
        let cut = cut.map(|error| Trouble::Io(error).health(self.endpoint.to(), self.timeout));
        if !probe.expect_status.contains(status) || !judge::reads_body(probe) {
            return judge::http(probe, status, &body.raw());
        }
        match body.decoded(LONG_CAP) {
            Ok(body) => judge::unless_cut(judge::http(probe, status, &body), cut),
            Err(why) => Health::Unknown(why),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Trouble {
    Io(std::io::Error),
    /// What came is no HTTP.
    NoHttp,
    /// The other side said something about TLS.
    Tls(rustls::Error),
    /// We cannot.
    Unable(Unknown),
}

impl Trouble {
    fn health(self, to: String, timeout: Duration) -> Health {
        match self {
            Self::Io(error) => match tls::inside(&error) {
                Some(error) => tls::health(error, &to),
                None => tcp::health(&error, to, timeout),
            },
            Self::Tls(error) => tls::health(&error, &to),
            Self::NoHttp => {
                Health::Unhealthy(Failure::Connection { to, detail: "its answer is no HTTP".to_owned() })
            }
            Self::Unable(why) => Health::Unknown(why),
        }
    }
}
