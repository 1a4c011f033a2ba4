//! How bad a failed check is: worth a second try, worth a restart, or a matter for a person.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Failure, Health, Unknown};

/// `EX_TEMPFAIL` of sysexits.h: try again.
const TRY_AGAIN: i32 = 75;
/// `EX_DATAERR` and `EX_CONFIG` of sysexits.h: no restart mends bad data or a wrong configuration.
const FOR_A_PERSON: [i32; 2] = [65, 78];

/// In rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It may be over by itself: a time-out, a reset connection, a server that is busy.
    Transient,
    /// A restart may help.
    Recoverable,
    /// A person must act.
    Critical,
}

impl Severity {
    /// As it stands in the configuration and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Recoverable => "recoverable",
            Self::Critical => "critical",
        }
    }

    /// The severity of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Transient, Self::Recoverable, Self::Critical].into_iter().find(|s| s.as_str() == text)
    }

    /// After too many failed looks in a row: what did not pass by itself wants a restart, and what no restart
    /// mended wants a person.
    #[must_use]
    pub fn escalated(self) -> Self {
        match self {
            Self::Transient => Self::Recoverable,
            Self::Recoverable | Self::Critical => Self::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a failure is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rating {
    /// How bad it is.
    pub severity: Severity,
    /// What it says of the service, which decides whether a restart can help at all.
    pub life: Life,
}

/// What a failure says of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It gave the answer itself, and its owner did not say that a restart helps against it.
    Alive,
    /// It may be dead.
    Doubtful,
}

/// What a service's owner says of its failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeverityMap {
    /// Of a custom check.
    pub exit_codes: BTreeMap<i32, Severity>,
    /// Of an HTTP check.
    pub http_status: BTreeMap<u16, Severity>,
    /// Of a certificate that is rejected, and of plain text where TLS was asked for.
    pub tls: Option<Severity>,
    /// Of a name that cannot be resolved; unless set that is no failure, but unknown.
    pub unresolved: Option<Severity>,
}

impl SeverityMap {
    /// How a failure is judged: as its owner says, else by what it is.
    #[must_use]
    pub fn of(&self, failure: &Failure) -> Rating {
        let own = match failure {
            Failure::Exit { code, .. } => self.exit_codes.get(code).copied(),
            Failure::HttpStatus { status, .. } => self.http_status.get(status).copied(),
            Failure::Tls { .. } => self.tls,
            Failure::Unresolved { .. } => self.unresolved,
            _ => None,
        };
        match own {
            Some(severity) => Rating { severity, life: Life::Doubtful },
            None if failure.is_alive() => Rating { severity: of(failure), life: Life::Alive },
            None => Rating { severity: of(failure), life: Life::Doubtful },
        }
    }

    /// What a look says of the service.
    #[must_use]
    pub fn life(&self, health: &Health) -> Life {
        match health {
            Health::Healthy => Life::Alive,
            Health::Unhealthy(failure) => self.of(failure).life,
            Health::Unknown(_) => Life::Doubtful,
        }
    }

    /// A look as its owner judges it: a name that cannot be resolved may be a failure.
    #[must_use]
    pub fn judged(&self, health: Health) -> Health {
        match health {
            Health::Unknown(Unknown::Unresolved { to }) if self.unresolved.is_some() => {
                Health::Unhealthy(Failure::Unresolved { to })
            }
            health => health,
        }
    }
}

fn of(failure: &Failure) -> Severity {
    match failure {
        Failure::TimedOut { .. }
        | Failure::Reset { .. }
        | Failure::HttpStatus { status: 429 | 502 | 503 | 504, .. }
        | Failure::Exit { code: TRY_AGAIN, .. } => Severity::Transient,
        Failure::Exit { code, .. } if FOR_A_PERSON.contains(code) => Severity::Critical,
        Failure::HttpStatus { status: 401 | 403 | 407, .. } | Failure::Tls { .. } => Severity::Critical,
        Failure::Refused { .. }
        | Failure::Unresolved { .. }
        | Failure::Connection { .. }
        | Failure::HttpStatus { .. }
        | Failure::HttpError
        | Failure::NoProcess { .. }
        | Failure::Exit { .. }
        | Failure::Expectation(_)
        | Failure::Unsteady { .. }
        | Failure::ContainerNotRunning { .. } => Severity::Recoverable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Distrust;
    use std::time::Duration;

    fn exit(code: i32) -> Failure {
        Failure::Exit { code, output: String::new() }
    }

    fn http(status: u16) -> Failure {
        Failure::HttpStatus { status, expected: "200–399".into() }
    }

    #[test]
    fn each_failure_has_its_severity() {
        let to = || "localhost:80".to_owned();
        for (failure, severity) in [
            (Failure::TimedOut { after: Duration::from_secs(5) }, Severity::Transient),
            (Failure::Reset { to: to() }, Severity::Transient),
            (http(429), Severity::Transient),
            (http(502), Severity::Transient),
            (http(503), Severity::Transient),
            (http(504), Severity::Transient),
            (exit(75), Severity::Transient),
            (Failure::Refused { to: to() }, Severity::Recoverable),
            (http(500), Severity::Recoverable),
            (http(404), Severity::Recoverable),
            (exit(1), Severity::Recoverable),
            (exit(137), Severity::Recoverable),
            (Failure::NoProcess { pattern: "x".into() }, Severity::Recoverable),
            (Failure::Expectation("$.status is \"degraded\"".into()), Severity::Recoverable),
            (
                Failure::ContainerNotRunning { container: "c".into(), exit_code: 78, start_error: None },
                Severity::Recoverable,
            ),
            (exit(65), Severity::Critical),
            (exit(78), Severity::Critical),
        ] {
            assert_eq!(SeverityMap::default().of(&failure).severity, severity, "{failure:?}");
        }
    }

    #[test]
    fn what_answers_is_alive_unless_its_owner_says_otherwise() {
        let tls = || Failure::Tls { to: "localhost:443".into(), why: Distrust::Expired };
        let map = SeverityMap {
            http_status: [(401, Severity::Recoverable), (429, Severity::Transient)].into(),
            tls: Some(Severity::Recoverable),
            ..SeverityMap::default()
        };
        for (failure, severity, own) in [
            (http(401), Severity::Critical, Severity::Recoverable),
            (http(429), Severity::Transient, Severity::Transient),
            (tls(), Severity::Critical, Severity::Recoverable),
        ] {
            let rating = Rating { severity, life: Life::Alive };
            assert_eq!(SeverityMap::default().of(&failure), rating, "{failure:?}");
            let rating = Rating { severity: own, life: Life::Doubtful };
            assert_eq!(map.of(&failure), rating, "{failure:?}");
        }
        for status in [403, 407] {
            let rating = Rating { severity: Severity::Critical, life: Life::Alive };
            assert_eq!(map.of(&http(status)), rating, "{status}");
        }
    }

    #[test]
    fn a_name_without_address_is_a_failure_only_where_its_owner_says_so() {
        let unresolved = || Health::Unknown(Unknown::Unresolved { to: "db.vpn:80".into() });
        assert_eq!(SeverityMap::default().judged(unresolved()), unresolved());
        let map = SeverityMap { unresolved: Some(Severity::Transient), ..SeverityMap::default() };
        let failure = Failure::Unresolved { to: "db.vpn:80".into() };
        assert_eq!(map.of(&failure).severity, Severity::Transient);
        assert_eq!(map.judged(unresolved()), Health::Unhealthy(failure));
        assert_eq!(map.judged(Health::Healthy), Health::Healthy);
    }

    #[test]
    fn a_service_maps_its_own() {
        let map = SeverityMap {
            exit_codes: [(3, Severity::Critical), (78, Severity::Transient)].into(),
            http_status: [(507, Severity::Critical)].into(),
            ..SeverityMap::default()
        };
        let of = |failure: Failure| map.of(&failure).severity;
        assert_eq!(of(exit(3)), Severity::Critical);
        assert_eq!(of(exit(78)), Severity::Transient);
        assert_eq!(of(exit(4)), Severity::Recoverable);
        assert_eq!(of(http(507)), Severity::Critical);
        // An exit code is no HTTP status.
        assert_eq!(of(http(3)), Severity::Recoverable);
    }
}
