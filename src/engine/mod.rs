//! The seam to where services run: containers and the machine itself.
//!
//! [`Engine`] speaks of looks, restarts and containers; how a command line, a batch script or `/proc`
//! carries that belongs in the modules below. Deadlines are kept by the implementations: no call here
//! waits without end.

pub mod batch;
pub mod docker;
pub mod ended;
pub mod formats;
pub mod host;
pub mod limited;
pub mod local;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::check::{Look, Unknown};
use crate::clock::Timestamp;
use crate::config::model::{HealthCheck, ServiceName};

pub use ended::{ContainerEnd, Earlier, Judged, Sign};

/// Where commands run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The machine on which `recovery` runs.
    Machine,
    /// A running container.
    Container(ContainerRef),
}

/// A container that was found in the listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerRef {
    /// The full id: the engine takes prefixes of ids for names, so only this is used afterwards.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// A look that will probably be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The container, as it was when it was last listed.
    pub at: ContainerRef,
    /// As which user.
    pub user: Option<String>,
}

/// One row of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Id and name.
    pub at: ContainerRef,
    /// `running`, `exited`, `paused`, `restarting`, `created`, `stopping`, `removing` or `dead`.
    pub state: String,
    /// It is in no network of its own: it may live on another container's.
    pub networkless: bool,
    /// Who else starts and replaces it.
    pub kept_by: Option<Keeper>,
    /// The TCP ports of the machine on which it is published.
    pub published: Vec<RangeInclusive<u16>>,
}

/// Somebody else who starts, watches and replaces a container, so that it is none of ours to restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// For people.
    pub who: &'static str,
    /// The command that has it do so.
    pub helps: String,
    /// It stops what it replaces, so that a stop of it is no person's word.
    pub replaces: bool,
}

/// One run of a container, as little as it takes to know what came before what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When its present or last run began, by the engine's clock.
    pub started_at: Option<Timestamp>,
    /// The full id of the container whose network it lives on.
    pub network_of: Option<String>,
    /// Its network is the machine's own, which no restart takes away.
    pub on_host: bool,
}

/// What the engine knows of one container; asked only where a decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDetails {
    /// As in the listing, asked again.
    pub state: String,
    /// When its present or last run began.
    pub started_at: Option<Timestamp>,
    /// Exit code of its last run.
    pub exit_code: i32,
    /// When its last run ended.
    pub finished_at: Option<Timestamp>,
    /// How its last run ended; only meaningful while it is not running.
    pub end: ContainerEnd,
    /// By what that was judged.
    pub sign: Sign,
    /// In the engine's words, why its last start failed; a start that works wipes it out.
    pub start_error: Option<String>,
    /// Whether the engine's own restart policy brings it back (`always`, `unless-stopped`, `on-failure`
    /// with tries left).
    pub engine_restarts_it: bool,
    /// How long the engine waits between TERM and KILL when it stops it.
    pub stop_timeout: Duration,
}

impl ContainerDetails {
    /// What was found out about its end.
    #[must_use]
    pub fn judged(&self) -> Judged {
        Judged { finished_at: self.finished_at, end: self.end, sign: self.sign }
    }
}

/// One check to be made.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whose check; also names the marker that is looked for in the container.
    pub service: &'a ServiceName,
    /// What to ask.
    pub check: &'a HealthCheck,
    /// Environment for a custom command.
    pub env: &'a [(String, String)],
    /// User for commands in the container (`docker exec -u`); on the machine the user to become.
    pub user: Option<&'a str>,
}

/// A `restart_cmd` to be run.
#[derive(Debug, Clone, Copy)]
pub struct RestartCommand<'a> {
    /// Whose.
    pub service: &'a ServiceName,
    /// Shell text.
    pub text: &'a str,
    /// Environment.
    pub env: &'a [(String, String)],
    /// User to run as.
    pub user: Option<&'a str>,
    /// Where its output is appended.
    pub log_path: Option<&'a str>,
    /// After so long, [`Engine::run`] asks what to do.
    pub timeout: Duration,
}

/// What to do with a `restart_cmd` that is still running at its time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overrun {
    /// The service is healthy: leave the command running.
    Leave,
    /// End it.
    End,
}

/// How a `restart_cmd` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// With that exit code (128 + n for a signal).
    Exited(i32),
    /// It failed after these last lines: with that exit code, or, where there is none, ended by us at its time-out.
    Complained {
        /// The exit code.
        code: Option<i32>,
        /// At most five lines.
        said: String,
    },
    /// Left running in the foreground at its time-out.
    LeftRunning,
    /// Ended by us at its time-out.
    TimedOut,
    /// A signal to `recovery` came first; the command goes on by itself.
    Interrupted,
    /// It was not started, or it cannot be told whether it was.
    Failed(Unknown),
}

impl RunResult {
    /// It ended with that code; `said` is asked only of what failed.
    pub(crate) fn exited(code: i32, said: impl FnOnce() -> String) -> Self {
        let said = if code == 0 { String::new() } else { said() };
        if said.is_empty() { Self::Exited(code) } else { Self::Complained { code: Some(code), said } }
    }

    /// Ended by us at its time-out, having said that.
    pub(crate) fn timed_out(said: String) -> Self {
        if said.is_empty() { Self::TimedOut } else { Self::Complained { code: None, said } }
    }
}

/// Containers and the machine, in the words of the domain.
pub trait Engine: Send + Sync {
    /// Tells what the first [`Engine::observe`] after the listing will probably ask for, so that it may be got
    /// ready while the containers are listed. Nothing comes of it but speed.
    fn expect(&self, _likely: &[Expected]) {}

    /// All containers, running or not. One call a pass.
    ///
    /// # Errors
    /// Where the engine is unreachable, refuses or does not answer.
    fn list(&self) -> Result<Vec<Container>, Unknown>;

    /// Details of one container. Who ended one that does not run is only found out where `earlier` does not tell.
    ///
    /// # Errors
    /// As [`Engine::list`]; [`Unknown::NoSuchContainer`] where it is gone.
    fn inspect(&self, container: &ContainerRef, earlier: &Earlier) -> Result<ContainerDetails, Unknown>;

    /// Whether somebody is just stopping a container that runs: it was told to end, and has not yet.
    ///
    /// # Errors
    /// As [`Engine::inspect`].
    fn is_being_stopped(&self, container: &ContainerRef, earlier: &Earlier) -> Result<bool, Unknown>;

    /// The runs of these containers, one call; those that are gone are missing.
    ///
    /// # Errors
    /// As [`Engine::list`].
    fn runs(&self, containers: &[ContainerRef]) -> Result<BTreeMap<ContainerRef, Run>, Unknown>;

    /// Makes all these checks of one target in one go, side by side; one result a request, in order.
    /// For a container this is one `exec` per user among the requests.
    fn observe(&self, target: &Target, requests: &[Request<'_>]) -> Vec<Look>;

    /// Runs a `restart_cmd`. `at_timeout` is asked once where it is still running at its time-out.
    fn run(
        &self,
        target: &Target,
        command: &RestartCommand<'_>,
        at_timeout: &mut dyn FnMut() -> Overrun,
    ) -> RunResult;

    /// Starts a container that is not running.
    ///
    /// # Errors
    /// What the engine said.
    fn start(&self, container: &ContainerRef, timeout: Duration) -> Result<(), Unknown>;

    /// Restarts a container; `timeout` is on top of the container's own stop time-out `stop_timeout`.
    ///
    /// # Errors
    /// What the engine said.
    fn restart(
        &self,
        container: &ContainerRef,
        stop_timeout: Duration,
        timeout: Duration,
    ) -> Result<(), Unknown>;

    /// Removes the manual-stop marker of a service inside a container; `true` where there was one.
    ///
    /// # Errors
    /// Where it could not be looked for or not be removed.
    fn remove_marker(&self, container: &ContainerRef, service: &ServiceName) -> Result<bool, Unknown>;
}
