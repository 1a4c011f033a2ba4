//! What a look at a service can say: healthy, unhealthy with a reason, or unknown with a reason.
//!
//! The reasons are data; their `Display` is the only wording, shared by log, alert and dry run.
//! How raw answers become these values is in [`judge`]; expectations over JSON are in [`expect`];
//! [`missing`] tells a check that could not look from a service that is down;
//! how bad a failure is says [`severity`]. What may cost much to judge becomes a [`question`].

pub mod endpoint;
pub mod expect;
pub mod judge;
pub mod missing;
pub mod pattern;
pub mod question;
pub mod severity;

use std::fmt;
use std::time::Duration;

use question::Question;

/// The three-valued truth.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// It answered as expected.
    Healthy,
    /// It was looked at, and is down.
    Unhealthy(Failure),
    /// It could not be looked at: restarts nothing, counts as no failure.
    Unknown(Unknown),
}

/// Why a service is unhealthy.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// No answer in time.
    TimedOut {
        /// The time-out.
        after: Duration,
    },
    /// The connection was refused.
    Refused {
        /// `host:port`.
        to: String,
    },
    /// The connection was reset or closed without an answer.
    Reset {
        /// `host:port`.
        to: String,
    },
    /// A certificate that was rejected, or no TLS where it was asked for.
    Tls {
        /// `host:port`.
        to: String,
        /// What is wrong.
        why: Distrust,
    },
    /// A name without address, where its owner says that this is a failure: see [`Unknown::Unresolved`].
    Unresolved {
        /// `host:port`.
        to: String,
    },
    /// Any other failure to connect or to speak.
    Connection {
        /// `host:port`.
        to: String,
        /// What the library or tool said, one line.
        detail: String,
    },
    /// An HTTP status that was not expected.
    HttpStatus {
        /// The status.
        status: u16,
        /// The expected ones, as configured.
        expected: String,
    },
    /// The HTTP tool could only tell that the server answered with an error.
    HttpError,
    /// No living process matched.
    NoProcess {
        /// The pattern.
        pattern: String,
    },
    /// A custom command failed.
    Exit {
        /// Its exit code (128 + n for a signal).
        code: i32,
        /// Its last lines of output, raw.
        output: String,
    },
    /// An expectation did not hold; path, expected and found are in the text.
    Expectation(String),
    /// It was well, but not for as many looks in a row as are asked for.
    Unsteady {
        /// Healthy looks in a row at the end.
        healthy: u32,
        /// Asked for.
        wanted: u32,
    },
    /// Its container is not running.
    ContainerNotRunning {
        /// The container's name.
        container: String,
        /// Its last exit code.
        exit_code: i32,
        /// In the engine's words, why its last start failed.
        start_error: Option<String>,
    },
}

/// Why a connection with TLS is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// The time of its certificate is over.
    Expired,
    /// The time of its certificate has not come.
    NotYetValid,
    /// It issued its certificate itself.
    SelfSigned,
    /// Its certificate is for another name.
    OtherName,
    /// Nobody who is trusted here issued its certificate.
    UnknownIssuer,
    /// Its certificate was revoked.
    Revoked,
    /// It does not speak TLS.
    PlainText,
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::SelfSigned => "its certificate is self-signed",
            Self::OtherName => "its certificate is for another name",
            Self::UnknownIssuer => "its certificate was issued by nobody who is trusted here",
            Self::Revoked => "its certificate was revoked",
            Self::PlainText => "it answers without TLS",
            Self::Other(text) => text,
        })
    }
}

impl Failure {
    /// Whether the service itself gave this answer, so that it lives and no restart helps: it asks for
    /// credentials, for patience, or shows a certificate.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::HttpStatus { status: 401 | 403 | 407 | 429, .. } | Self::Tls { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { after } => write!(f, "timed out after {} s", after.as_secs_f64()),
            Self::Refused { to } => write!(f, "connection refused on {to}"),
            Self::Reset { to } => write!(f, "connection reset by {to}"),
            Self::Tls { to, why } => write!(f, "no trusted connection to {to}: {why}"),
            Self::Unresolved { to } => write!(f, "{}", Unknown::Unresolved { to: to.clone() }),
            Self::Connection { to, detail } => write!(f, "cannot talk to {to}: {detail}"),
            Self::HttpStatus { status, expected } => write!(f, "HTTP {status}, expected {expected}"),
            Self::HttpError => f.write_str("the server answered with an error"),
            Self::NoProcess { pattern } => write!(f, "no matching process: {pattern}"),
            Self::Exit { code, output } => match output.trim().lines().next_back() {
                Some(last) => write!(f, "exit {code}: {}", last.trim()),
                None => write!(f, "exit {code}"),
            },
            Self::Expectation(text) => f.write_str(text),
            Self::Unsteady { healthy, wanted } => {
                write!(f, "healthy for only {healthy} of {wanted} looks in a row within the startup time-out")
            }
            Self::ContainerNotRunning { container, start_error: Some(error), .. } => {
                write!(f, "container {container} is not running, its start failed: {error}")
            }
            Self::ContainerNotRunning { container, exit_code, start_error: None } => {
                write!(f, "container {container} is not running: exited {exit_code}")
            }
        }
    }
}

/// Why a service could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// The engine is not there, or refuses us.
    EngineUnreachable(String),
    /// The engine accepted the call and did not answer in time.
    EngineSilent {
        /// How long it was waited for.
        after: Duration,
    },
    /// No container of that name.
    NoSuchContainer(String),
    /// The container is in a state in which nothing can be said.
    ContainerState {
        /// The container's name.
        container: String,
        /// `paused`, `restarting`, `created`, `removing` or `dead`.
        state: String,
    },
    /// The container lives on the network of one that is gone, so that it has none and cannot be restarted.
    NetworkGone(String),
    /// The container has no shell.
    NoShell(String),
    /// No tool for this kind of check, or a custom command's program is missing.
    NoTool(String),
    /// The batch ended before this check's record was complete.
    CutOff(String),
    /// No process could be started in the container.
    CannotFork(String),
    /// The answer took far longer than the time-out: the container or machine was frozen.
    Frozen {
        /// How long it took.
        took: Duration,
    },
    /// The output was longer than an expectation may read.
    OutputTooLarge {
        /// The cap in bytes.
        cap: usize,
    },
    /// To judge it may cost much, and nobody has done it yet.
    Unjudged(Box<Question>),
    /// To judge it takes more time or memory than it may.
    TooCostly,
    /// The pass was interrupted by a signal.
    Interrupted,
    /// An environment variable that the check needs is not set.
    MissingEnv(String),
    /// The name of what is looked at has no address here.
    Unresolved {
        /// `host:port`.
        to: String,
    },
    /// Anything else, in words.
    Other(String),
}

impl Unknown {
    /// Whether it is the engine that could not be asked (one problem for the whole machine).
    #[must_use]
    pub fn is_engine(&self) -> bool {
        matches!(self, Self::EngineUnreachable(_) | Self::EngineSilent { .. })
    }

    /// Whether a dependency in this state blocks its dependants: one that is missing, paused, frozen or
    /// behind a dead engine does; one that merely cannot be checked for want of a tool does not.
    #[must_use]
    pub fn blocks_dependants(&self) -> bool {
        !matches!(
            self,
            Self::NoShell(_)
                | Self::NoTool(_)
                | Self::MissingEnv(_)
                | Self::OutputTooLarge { .. }
                | Self::TooCostly
        )
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EngineUnreachable(text) => write!(f, "the container engine cannot be reached: {text}"),
            Self::EngineSilent { after } => {
                write!(f, "the container engine did not answer within {} s", after.as_secs_f64())
            }
            Self::NoSuchContainer(name) => write!(f, "no such container: {name}"),
            Self::ContainerState { container, state } => write!(f, "container {container} is {state}"),
            Self::NetworkGone(container) => write!(
                f,
                "container {container} lives on the network of a container that is gone; no restart helps, \
                 recreate it (docker compose up -d --force-recreate {container})"
            ),
            Self::NoShell(container) => write!(
                f,
                "container {container} has no shell; for http and tcp checks set \"from\": \"machine\""
            ),
            Self::NoTool(text) => f.write_str(text),
            Self::CutOff(text) => write!(f, "the look was cut off: {text}"),
            Self::CannotFork(container) => write!(f, "no process can be started in {container}"),
            Self::Frozen { took } => write!(
                f,
                "the answer took {:.1} s, far longer than the time-out: was the container frozen?",
                took.as_secs_f64()
            ),
            Self::OutputTooLarge { cap } => {
                write!(f, "the output is longer than {cap} bytes, too long to judge")
            }
            Self::Unjudged(_) => f.write_str("what it answered was not judged"),
            Self::TooCostly => write!(
                f,
                "to judge what it answered takes more than {} s or {} MiB; make its path or pattern simpler",
                question::SECONDS,
                question::MEMORY / (1024 * 1024)
            ),
            Self::Interrupted => f.write_str("interrupted"),
            Self::MissingEnv(variable) => write!(f, "environment variable {variable} is not set"),
            Self::Unresolved { to } => write!(f, "could not resolve the name of {to}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// One look at one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What it said.
    pub health: Health,
    /// How long the check itself took.
    pub duration: Duration,
    /// A manual-stop marker found inside the container: its content, empty where made by `touch`.
    pub marker: Option<Vec<u8>>,
}

impl Look {
    /// A look that could not be made.
    #[must_use]
    pub fn unknown(why: Unknown) -> Self {
        Self { health: Health::Unknown(why), duration: Duration::ZERO, marker: None }
    }
}
