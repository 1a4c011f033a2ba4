//! What may cost too much to be judged in the pass itself, as data: a process with limits answers it.
//!
//! Who starts that process belongs in the engine; where nobody does, the look stays unknown.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::expect::{self, Broken, JsonExpectation};
use super::{Failure, Health, Unknown, pattern};

/// Processor time that an answer may take, in seconds.
pub const SECONDS: u64 = 1;
/// Memory that it may take, in bytes.
pub const MEMORY: u64 = 64 * 1024 * 1024;

/// A question about what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether expectations hold over an answer.
    Expectations {
        /// As a configuration has them.
        list: Vec<Value>,
        /// What the check printed or the server sent.
        body: Vec<u8>,
    },
    /// Whether a pattern is found in one of several texts.
    AnyMatch {
        /// The regular expression.
        pattern: String,
        /// Command lines of processes.
        texts: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Head {
    Expectations { expectations: Vec<Value> },
    AnyMatch { pattern: String, texts: Vec<String> },
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Yes.
    Holds,
    /// No, for this reason.
    Fails(String),
    /// Nobody can tell.
    CannotTell(String),
}

impl Question {
    /// Whether these expectations hold over `body`.
    #[must_use]
    pub fn expectations(list: &[JsonExpectation], body: &[u8]) -> Self {
        let list = list.iter().map(JsonExpectation::written).collect();
        Self::Expectations { list, body: body.to_owned() }
    }

    /// Whether `pattern` is found in one of `texts`.
    #[must_use]
    pub fn any_match(pattern: &Regex, texts: Vec<String>) -> Self {
        Self::AnyMatch { pattern: pattern.as_str().to_owned(), texts }
    }

    /// On its way to another process: one line of JSON, then the body as it is.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (head, body) = match self {
            Self::Expectations { list, body } => (json!({"expectations": list}), body.as_slice()),
            Self::AnyMatch { pattern, texts } => (json!({"pattern": pattern, "texts": texts}), &b""[..]),
        };
        [head.to_string().as_bytes(), b"\n", body].concat()
    }

    /// The other way round; `None` where it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b'\n', bytes)?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(match head {
            Head::Expectations { expectations } => {
                Self::Expectations { list: expectations, body: bytes[end + 1..].to_owned() }
            }
            Head::AnyMatch { pattern, texts } => Self::AnyMatch { pattern, texts },
        })
    }

    /// The answer, whatever it costs.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let unreadable = || Answer::CannotTell("the question was not understood".to_owned());
        match self {
            Self::Expectations { list, body } => {
                let read = |value: &Value| JsonExpectation::read(value.as_object()?);
                let Some(list) = list.iter().map(read).collect::<Option<Vec<_>>>() else {
                    return unreadable();
                };
                match expect::hold_at_any_cost(&list, body) {
                    Ok(()) => Answer::Holds,
                    Err(Broken::Failed(text)) => Answer::Fails(text),
                    Err(Broken::CannotTell(text)) => Answer::CannotTell(text),
                    Err(Broken::Costly) => unreadable(),
                }
            }
            Self::AnyMatch { pattern, texts } => match pattern::compile(pattern) {
                Ok(regex) if texts.iter().any(|text| regex.is_match(text)) => Answer::Holds,
                Ok(_) => Answer::Fails(pattern.clone()),
                Err(_) => unreadable(),
            },
        }
    }

    /// What the answer says about the service.
    #[must_use]
    pub fn health(&self, answer: Answer) -> Health {
        match (answer, self) {
            (Answer::Holds, _) => Health::Healthy,
            (Answer::Fails(pattern), Self::AnyMatch { .. }) => {
                Health::Unhealthy(Failure::NoProcess { pattern })
            }
            (Answer::Fails(text), Self::Expectations { .. }) => Health::Unhealthy(Failure::Expectation(text)),
            (Answer::CannotTell(text), _) => Health::Unknown(Unknown::Other(text)),
        }
    }
}
