//! `docker inspect`: the few facts about one container that decisions need.

use std::time::Duration;

use serde::Deserialize;

use super::listing::normal;
use crate::check::Unknown;
use crate::clock::Timestamp;
use crate::engine::{ContainerDetails, ContainerEnd};

/// The engine's own default between TERM and KILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// More is no time that anybody waits; and no sum or difference with it overflows.
const LONGEST_STOP: Duration = Duration::from_secs(86_400);

/// What one inspection said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// In docker's words.
    pub state: String,
    /// When its present or last run began.
    pub started_at: Option<Timestamp>,
    /// When its last run ended.
    pub finished_at: Option<Timestamp>,
    /// Of its last run.
    pub exit_code: i32,
    /// Whether a process of it was once killed for want of memory; stays set for ever.
    pub oom_killed: bool,
    /// Whether the engine's restart policy brings it back.
    pub engine_restarts_it: bool,
    /// Between TERM and KILL.
    pub stop_timeout: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    state: State,
    #[serde(default)]
    restart_count: i64,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    config: ContainerConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
    #[serde(default)]
    exit_code: i32,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    restart_policy: RestartPolicy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy {
    #[serde(default)]
    name: String,
    #[serde(default)]
    maximum_retry_count: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    #[serde(default)]
    stop_timeout: Option<i64>,
}

/// Reads the answer to `docker inspect`.
///
/// # Errors
/// Where it is not one container's description.
pub fn parse(answer: &[u8]) -> Result<Inspected, Unknown> {
    let list: Vec<Raw> =
        serde_json::from_slice(answer).map_err(|error| not_understood(&error.to_string()))?;
    let [raw] = list.as_slice() else { return Err(not_understood("not one container")) };
    Ok(raw.into())
}

fn not_understood(what: &str) -> Unknown {
    Unknown::EngineUnreachable(format!("its description of a container was not understood: {what}"))
}

impl From<&Raw> for Inspected {
    fn from(raw: &Raw) -> Self {
        let policy = &raw.host_config.restart_policy;
        let tries_left = policy.maximum_retry_count == 0 || raw.restart_count < policy.maximum_retry_count;
        Self {
            state: normal(&raw.state.status),
            started_at: timestamp(&raw.state.started_at),
            finished_at: timestamp(&raw.state.finished_at),
            exit_code: raw.state.exit_code,
            oom_killed: raw.state.oom_killed,
            engine_restarts_it: match policy.name.as_str() {
                "always" | "unless-stopped" => true,
                "on-failure" => tries_left && raw.state.exit_code != 0,
                _ => false,
            },
            stop_timeout: raw
                .config
                .stop_timeout
                // A negative one means: wait without end.
                .map(|seconds| u64::try_from(seconds).map_or(LONGEST_STOP, Duration::from_secs))
                .map_or(STOP_TIMEOUT, |stop| stop.min(LONGEST_STOP)),
        }
    }
}

impl Inspected {
    /// Whether it runs (or is paused) now, so that its end is an old story.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }

    /// With what is known of its end.
    #[must_use]
    pub fn details(self, end: ContainerEnd) -> ContainerDetails {
        ContainerDetails {
            state: self.state,
            started_at: self.started_at,
            exit_code: self.exit_code,
            end,
            engine_restarts_it: self.engine_restarts_it,
            stop_timeout: self.stop_timeout,
        }
    }
}

/// The engine's zero time, `0001-01-01T00:00:00Z`, means never.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let at = crate::clock::text::parse(text)?;
    (at.year() > 1).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::events::Window;
    use time::macros::datetime;

    const FLAP: &str = r#"[{"Id":"643a","Created":"2026-11-21T22:54:04.9Z","State":{"Status":"restarting","Running":true,"Paused":false,"Restarting":true,"OOMKilled":false,"Dead":false,"Pid":0,"ExitCode":4,"Error":"","StartedAt":"2026-11-21T22:54:07.528416666Z","FinishedAt":"2026-11-21T22:54:07.769540444Z"},"RestartCount":4,"HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":0}},"Config":{"StopTimeout":3}}]"#;
    const CREATED: &str = r#"[{"State":{"Status":"created","ExitCode":0,"StartedAt":"0001-01-01T00:00:00Z","FinishedAt":"0001-01-01T00:00:00Z"},"RestartCount":0,"HostConfig":{"RestartPolicy":{"Name":"no","MaximumRetryCount":0}},"Config":{"Cmd":["true"]}}]"#;

    #[test]
    fn a_real_inspection_is_read() {
        let flap = parse(FLAP.as_bytes()).unwrap();
        assert_eq!(flap.state, "restarting");
        assert_eq!(flap.started_at, Some(datetime!(2026-11-21 22:54:07.528416666 UTC)));
        assert_eq!((flap.exit_code, flap.engine_restarts_it), (4, true));
        assert_eq!(flap.stop_timeout, Duration::from_secs(3));
        let created = parse(CREATED.as_bytes()).unwrap();
        assert_eq!((created.started_at, created.finished_at), (None, None));
        assert_eq!((created.stop_timeout, created.engine_restarts_it), (STOP_TIMEOUT, false));
    }

    #[test]
    fn on_failure_brings_back_only_what_failed_and_has_tries_left() {
        let restarts = |max: i64, count: i64, code: i32| {
            let text = format!(
                r#"[{{"State":{{"Status":"exited","ExitCode":{code}}},"RestartCount":{count},"HostConfig":{{"RestartPolicy":{{"Name":"on-failure","MaximumRetryCount":{max}}}}}}}]"#
            );
            parse(text.as_bytes()).unwrap().engine_restarts_it
        };
        assert!(restarts(2, 1, 5));
        assert!(!restarts(2, 2, 5));
        assert!(restarts(0, 99, 5));
        assert!(!restarts(0, 0, 0));
    }

    #[test]
    fn who_may_take_for_ever_to_stop_is_not_hurried() {
        let text = br#"[{"State":{"Status":"running"},"Config":{"StopTimeout":-1}}]"#;
        assert_eq!(parse(text).unwrap().stop_timeout, LONGEST_STOP);
    }

    /// The engine takes any number, and a broken clock any time.
    #[test]
    fn no_number_and_no_time_of_the_engine_is_too_much() {
        for finished in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"] {
            let text = format!(
                r#"[{{"State":{{"Status":"exited","StartedAt":"{finished}","FinishedAt":"{finished}"}},"Config":{{"StopTimeout":9223372036854775807}}}}]"#
            );
            let container = parse(text.as_bytes()).unwrap();
            assert_eq!(container.stop_timeout, LONGEST_STOP);
            if let Some(finished_at) = container.finished_at {
                let (since, until) = Window::around(&container, finished_at).arguments();
                assert!(since < until, "{since} {until}");
            }
        }
    }

    #[test]
    fn anything_but_one_container_is_an_error() {
        for garbage in [&b""[..], b"[]", b"{}", b"[{}]", b"[{\"State\":{\"Status\":3}}]"] {
            assert!(parse(garbage).is_err());
        }
    }
}
