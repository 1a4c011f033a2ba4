//! What came of an HTTP check, whichever tool made it: what the tools share.

use std::time::Duration;

use super::words::Tls;
use crate::check::judge::{self, Output};
use crate::check::{Distrust, Failure, Health, Unknown};
use crate::config::model::HttpProbe;

/// One HTTP check, and the tool that made it.
pub(super) struct Asked<'a> {
    pub probe: &'a HttpProbe,
    /// `host:port`.
    pub to: String,
    pub after: Duration,
    /// Standard output is the answer alone, since its body is read.
    pub apart: bool,
    /// `curl` or `wget`.
    pub tool: &'static str,
}

impl Asked<'_> {
    /// The status decides; where the body is read and did not come whole, it must do as it is, else `cut` says why.
    pub(super) fn judged(&self, status: u16, body: &Output, cut: Option<Health>) -> Health {
        judge::unless_cut(judge::http(self.probe, status, body), cut)
    }

    /// What such a beginning says, whatever follows; JSON wants its end.
    pub(super) fn certain(&self, status: u16, begun: &Output) -> Option<Health> {
        match judge::http(self.probe, status, begun) {
            Health::Unhealthy(Failure::Expectation(_)) => None,
            Health::Healthy if !self.probe.expect_json.is_empty() => None,
            // There may be more to judge.
            Health::Unknown(Unknown::Unjudged(_)) => None,
            health => Some(health),
        }
    }

    pub(super) fn refused(&self) -> Health {
        Health::Unhealthy(Failure::Refused { to: self.to.clone() })
    }

    pub(super) fn reset(&self) -> Health {
        Health::Unhealthy(Failure::Reset { to: self.to.clone() })
    }

    pub(super) fn timed_out(&self) -> Health {
        Health::Unhealthy(Failure::TimedOut { after: self.after })
    }

    pub(super) fn unresolved(&self) -> Health {
        Health::Unknown(Unknown::Unresolved { to: self.to.clone() })
    }

    pub(super) fn connection(&self, detail: impl Into<String>) -> Health {
        Health::Unhealthy(Failure::Connection { to: self.to.clone(), detail: detail.into() })
    }

    pub(super) fn unreadable(&self) -> Health {
        Health::Unknown(Unknown::Other(format!("no HTTP status could be read from {}", self.to)))
    }

    pub(super) fn no_http(&self) -> Health {
        self.connection("its answer is no HTTP")
    }

    pub(super) fn distrusted(&self, why: Distrust) -> Health {
        Health::Unhealthy(Failure::Tls { to: self.to.clone(), why })
    }

    /// The tool is there, but cannot do this.
    pub(super) fn unable(&self, what: &str) -> Health {
        let tool = self.tool;
        let text = format!("{tool} in the container {what}; set \"from\": \"machine\", or install another");
        Health::Unknown(Unknown::NoTool(text))
    }

    /// What a TLS connection that did not come about says.
    pub(super) fn tls(&self, said: &Tls) -> Health {
        match said {
            Tls::Rejected(why) => self.distrusted(why.clone()),
            Tls::Ended => self.reset(),
            Tls::NotAgreed | Tls::Unsaid => {
                self.unable(&format!("and {} cannot agree on a TLS connection", self.to))
            }
        }
    }
}
