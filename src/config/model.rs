//! What a configuration means, valid by construction: defaults are applied, names are known, paths are
//! absolute, regular expressions and JSONPaths are compiled.
//!
//! Reading and complaining belong in `read`; nothing here can fail on a user's input.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::check::expect::JsonExpectation;
use crate::check::severity::{Life, Rating, Severity, SeverityMap};

/// A service's name: letters, digits, `.`, `_`, `-`, at most 128, not starting with `.` or `-`.
/// It is used as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// The longest name allowed, in bytes.
    pub const MAX_LEN: usize = 128;

    /// `None` where `text` is not a valid name.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let valid = !text.is_empty()
            && text.len() <= Self::MAX_LEN
            && !text.starts_with(['.', '-'])
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        valid.then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// All services in the order of the file, the disabled ones too.
    pub services: Vec<Service>,
    /// The `recovery` section.
    pub recovery: Settings,
    /// The `notifications` section, with the environment's defaults applied.
    pub notifications: Notifications,
}

impl Config {
    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.iter().find(|s| s.name == *name)
    }
}

/// One service, defaults applied.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its key in `services`.
    pub name: ServiceName,
    /// False: not looked at; a dependency on it counts as satisfied.
    pub enabled: bool,
    /// Free text, shown only (the key `type`).
    pub kind: String,
    /// Used in alert titles.
    pub display_name: String,
    /// The container's name as configured, without the suffix; `None`: the machine itself.
    pub container: Option<String>,
    /// How it is looked at.
    pub check: HealthCheck,
    /// The shell text of `restart_cmd`. May be present while `restart` is `Container`: it is then run
    /// where the service is still unhealthy after its stopped container was started.
    pub restart_cmd: Option<String>,
    /// How it is restarted.
    pub restart: RestartMethod,
    /// How long a restart may take.
    pub restart_timeout: Duration,
    /// What to do with its container when that is not running.
    pub container_start: ContainerStart,
    /// Wait after a restart before the first re-check.
    pub startup_delay: Duration,
    /// Until then re-check every second; never less than `startup_delay`.
    pub startup_timeout: Duration,
    /// A container younger than this that fails its check is still starting.
    pub start_period: Duration,
    /// Restart attempts allowed within `failure_window`; 0: never restart.
    pub max_failures: u32,
    /// The failure window; its default is already computed.
    pub failure_window: Duration,
    /// Who hears of it.
    pub notify: Notify,
    /// Whether a recovery is told that needed no alert.
    pub notify_on_recovery: bool,
    /// Where a person reads what to do about it.
    pub runbook_url: Option<String>,
    /// Where output of `restart_cmd` goes (a path where the command runs; on the machine absolute).
    pub log_path: Option<String>,
    /// Environment of its commands, in the order of the file.
    pub env: Vec<(String, String)>,
    /// Runs its commands, as `docker exec -u` or, on the machine, the user to become.
    pub user: Option<String>,
    /// Services that must be up before this one; all exist.
    pub dependencies: Vec<ServiceName>,
    /// Those among them after whose restart it is restarted too, even if it looks healthy.
    pub follows: Vec<ServiceName>,
    /// How its failures are judged, and what is tried against them.
    pub policy: Policy,
}

/// How failures are judged, and what is tried against them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// So many failed looks in a row before anything is done, at least 1.
    pub failure_threshold: u32,
    /// So many healthy looks in a row before a restart counts as a recovery, at least 1.
    pub success_threshold: u32,
    /// After so many failed looks in a row a failure counts as worse than it is, at least 1.
    pub escalate_after: u32,
    /// The owner's own severities.
    pub severity: SeverityMap,
    /// What is tried.
    pub strategies: Strategies,
    /// How the strategy `retry` looks again.
    pub retry: Retry,
    /// Shell text run before a restart, where the service runs.
    pub cleanup_cmd: Option<String>,
    /// Shell text after which the service runs in a reduced way.
    pub fallback_cmd: Option<String>,
}

/// What is tried against a failure of each severity, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategies {
    /// Of [`Severity::Transient`].
    pub transient: Vec<Strategy>,
    /// Of [`Severity::Recoverable`].
    pub recoverable: Vec<Strategy>,
    /// Of [`Severity::Critical`].
    pub critical: Vec<Strategy>,
    /// Of [`Severity::Critical`] where the service itself answered: nothing, unless the file has a chain for
    /// critical failures.
    pub alive: Vec<Strategy>,
}

impl Strategies {
    /// Unless the file says otherwise.
    pub const TRANSIENT: [Strategy; 2] = [Strategy::Retry, Strategy::Restart];
    /// Unless the file says otherwise.
    pub const RECOVERABLE: [Strategy; 2] = [Strategy::Restart, Strategy::Fallback];
    /// Unless the file says otherwise.
    pub const CRITICAL: [Strategy; 1] = [Strategy::Fallback];

    /// Of what is over by itself, of a service that itself said so: to wait is all that helps.
    pub const BUSY: [Strategy; 1] = [Strategy::Retry];

    /// The chain for a failure so rated.
    #[must_use]
    pub fn of(&self, rating: Rating) -> &[Strategy] {
        match (rating.life, rating.severity) {
            (Life::Doubtful, Severity::Transient) => &self.transient,
            (Life::Doubtful, Severity::Recoverable) => &self.recoverable,
            (Life::Doubtful, Severity::Critical) => &self.critical,
            (Life::Alive, Severity::Transient | Severity::Recoverable) => &Self::BUSY,
            (Life::Alive, Severity::Critical) => &self.alive,
        }
    }
}

/// One step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Look again a few times, ever more slowly.
    Retry,
    /// The service's own restart: `restart_cmd` or its container.
    Restart,
    /// Restart its container.
    RestartContainer,
    /// Run `fallback_cmd`; the service is then degraded.
    Fallback,
}

impl Strategy {
    /// As it stands in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Restart => "restart",
            Self::RestartContainer => "restart-container",
            Self::Fallback => "fallback",
        }
    }
}

/// Looks at once, then after the base delay, twice that, four times that, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Looks in all, at least 1.
    pub attempts: u32,
    /// Before the second look.
    pub base_delay: Duration,
}

/// How a service is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartMethod {
    /// Run `restart_cmd` (which is then present).
    Command,
    /// Restart the container (which is then named).
    Container,
    /// Observed and alerted only.
    Never,
}

/// What to do with a container that is not running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerStart {
    /// Leave it.
    No,
    /// Start it if it died by itself.
    OnFailure,
    /// Start it whatever stopped it.
    Always,
}

/// Who hears of a service's alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// No alert (`null`, or nothing is configured anywhere).
    Nobody,
    /// No topic, but `notifications.command` is run, and the webhook told.
    CommandOnly,
    /// That topic.
    Topic(Topic),
}

/// An ntfy topic: a secret, so it has no `Display` and its `Debug` is masked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    /// The key in `topics` under which it stands, shown to people; `None` for a literal one.
    pub label: Option<String>,
    /// The topic itself, resolved (from the file or the environment).
    pub secret: String,
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.label.as_deref().unwrap_or("***"))
    }
}

/// How a service is looked at.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Where it is asked from.
    pub from: Vantage,
    /// `None`: due at every pass.
    pub interval: Option<Duration>,
}

/// Where a check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantage {
    /// Inside the service's container.
    Container,
    /// Where `recovery` runs (always so for services without a container).
    Machine,
}

/// What a check asks for.
#[derive(Debug, Clone)]
pub enum Probe {
    /// An HTTP request.
    Http(HttpProbe),
    /// A TCP connection.
    Tcp {
        /// Name or address.
        host: String,
        /// Port, 1 to 65535.
        port: u16,
        /// What an end without a word says, from the machine on a published port.
        closed_at_once: ClosedAtOnce,
    },
    /// A living process.
    Process {
        /// Searched in the full command line, arguments joined by single spaces.
        pattern: regex::Regex,
    },
    /// An operator's own command.
    Custom {
        /// What is run.
        command: CustomCommand,
        /// Expectations over its standard output.
        expect_json: Vec<JsonExpectation>,
        /// What the lack of a program says.
        missing_program: MissingProgram,
    },
}

/// What it says of a service that its check failed for want of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingProgram {
    /// Nothing: the check cannot be made.
    Unknown,
    /// It is down.
    Unhealthy,
}

/// What it says of a service that its published port accepts a connection and closes it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedAtOnce {
    /// That only the engine's proxy is there.
    Refused,
    /// It is how this service greets.
    Healthy,
}

/// A custom check's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomCommand {
    /// Shell text, run by bash, else sh.
    Shell(String),
    /// Program and arguments, run without a shell; never empty.
    Argv(Vec<String>),
}

/// An HTTP check.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    /// `http://…` or `https://…`, valid.
    pub endpoint: String,
    /// Upper-case method.
    pub method: String,
    /// Headers from `headers`, then those of `headers_env` resolved from the environment.
    pub headers: Vec<Header>,
    /// False: any certificate is taken.
    pub tls_verify: bool,
    /// Which status codes are healthy.
    pub expect_status: StatusSet,
    /// Text that the body must contain.
    pub expect_body: Option<String>,
    /// Expectations over the body.
    pub expect_json: Vec<JsonExpectation>,
}

/// One request header.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: HeaderValue,
}

/// A header's value; those that came from the environment are secret.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// Written in the file.
    Plain(String),
    /// From an environment variable of that name, read when the pass starts; `value` is `None` where
    /// it is not set (the check is then *unknown*, never unhealthy).
    FromEnv {
        /// The variable.
        variable: String,
        /// What it held.
        value: Option<String>,
    },
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// A set of HTTP status codes, as inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet {
    /// Inclusive ranges.
    pub ranges: Vec<(u16, u16)>,
    /// As it was written, for messages (`"2xx"`, `"200–399"`).
    pub text: String,
}

impl StatusSet {
    /// Whether `status` is in the set.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|&(low, high)| (low..=high).contains(&status))
    }
}

/// The `recovery` section.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Absolute.
    pub state_dir: PathBuf,
    /// Absolute; markers `SERVICE.stopped`.
    pub stop_dir: PathBuf,
    /// Absolute; `None`: standard error.
    pub log_file: Option<PathBuf>,
    /// "services" is looked up as "services" + this, then as it is.
    pub container_suffix: String,
    /// Name or path of the engine's command line.
    pub engine: String,
    /// How often we are started.
    pub schedule: Duration,
    /// Commands under way at once, at least 1.
    pub max_parallel: usize,
    /// Afterwards nothing new begins.
    pub pass_timeout: Duration,
    /// After the machine's boot nothing is restarted for so long.
    pub boot_grace: Duration,
}

/// The `notifications` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifications {
    /// Root URL of the ntfy server, without a trailing slash; `None`: no ntfy.
    pub server: Option<String>,
    /// Whom the alerts go to that belong to no service (engine, configuration).
    pub default_topic: Option<Topic>,
    /// How requests are authorized.
    pub token: Token,
    /// One reminder per incident and kind in so much time.
    pub cooldown: Duration,
    /// An operator's own notifier: shell text.
    pub command: Option<String>,
    /// Where programs are told of every change of a service's health.
    pub webhook: Option<Webhook>,
    /// What stands before the title of every alert.
    pub host_label: Option<HostLabel>,
}

/// Which machine an alert comes from, in its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostLabel {
    /// Its own name.
    Own,
    /// These words.
    Text(String),
}

/// A webhook. Its `Debug` is masked: whoever knows the address can write there.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where events are posted.
    pub url: WebhookUrl,
    /// Further headers, all of them from the environment.
    pub headers: Vec<Header>,
}

/// A webhook's address.
#[derive(Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// Written in the file.
    Plain(String),
    /// From the environment variable `variable`; `None` where unset.
    FromEnv {
        /// The variable.
        variable: String,
        /// What it held.
        value: Option<String>,
    },
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.url {
            WebhookUrl::Plain(_) => write!(f, "Webhook(***, {:?})", self.headers),
            WebhookUrl::FromEnv { variable, .. } => write!(f, "Webhook(${variable}, {:?})", self.headers),
        }
    }
}

/// An access token for ntfy. Its `Debug` is masked.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// None is configured.
    None,
    /// From the environment variable `variable`; `None` where unset.
    Env {
        /// The variable.
        variable: String,
        /// What it held.
        value: Option<String>,
    },
    /// In that file, read when something is sent.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Env { variable, .. } => write!(f, "Env({variable})"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}
