//! The command line, as clap sees it, and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::when::parse_duration;

/// Restarts what is really down on a Docker host, and tells a person when it could not help.
#[derive(Debug, Parser)]
#[command(name = "recovery", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// The options of `run`, which may be given without the word.
    #[command(flatten)]
    pub run: RunArgs,
    /// What to do; `run` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well or left alone on a person's word, 1 a service is down, \
2 wrong usage, 69 a service could not be looked at, 74 state, marker or log could not be read or written, \
75 something is left to try again, 78 the configuration is wrong, 128+n ended by signal n.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration [default: $RECOVERY_CONFIG, /etc/recovery/system-config.json, ./config/system-config.json]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Accept a configuration that others could have written
    #[arg(long, global = true)]
    pub trust_config: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say less: only what happened to services, and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make one pass: look at every service, restart what is down, tell who must know
    Run(RunArgs),
    /// Say what a pass would do about a service now, and why: look, decide, change nothing
    Explain(ExplainArgs),
    /// Say that a person is at work: these services will not be restarted (they are not stopped)
    Stop(StopArgs),
    /// Take `stop` back, and forget the failure window
    Resume(Which),
    /// Forget the failure window, so that a service that was given up is tried again
    Reset(Which),
    /// Say how well it has been going, from the logs
    Stats(StatsArgs),
    /// Check the configuration; touches nothing
    Validate(ValidateArgs),
    /// A small HTTP service to practise on: /health, /crash, /hang
    DemoService(DemoArgs),
    /// Answer one question about what a check printed, within limits; started by passes
    #[command(hide = true)]
    Judge,
}

/// Options of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// Only this service and its dependencies (repeatable)
    #[arg(short, long = "service", value_name = "NAME")]
    pub services: Vec<String>,
    /// With --service: leave the dependencies out
    #[arg(long)]
    pub no_deps: bool,
    /// Look and decide, say what would be done and why, change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Append the log to this file
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl RunArgs {
    /// Options given before the word `run` and after it.
    #[must_use]
    pub fn and(mut self, after: Self) -> Self {
        self.services.extend(after.services);
        Self {
            services: self.services,
            no_deps: self.no_deps || after.no_deps,
            dry_run: self.dry_run || after.dry_run,
            log_file: after.log_file.or(self.log_file),
            log_format: after.log_format.or(self.log_format),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people and grep.
    Text,
    /// One object a line.
    Json,
}

/// Some services, or all.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Services
    #[arg(value_name = "SERVICE", required_unless_present = "all", conflicts_with = "all")]
    pub services: Vec<String>,
    /// All services
    #[arg(long)]
    pub all: bool,
}

/// Options of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The service
    pub service: String,
}

/// Options of `stop`.
#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Why, for whoever finds the marker
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// For how long (`90m`, `2h`, `7d`); without end where not given
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub lasting: Option<Duration>,
}

/// Options of `stats`.
#[derive(Debug, Clone, Args)]
pub struct StatsArgs {
    /// Logs; `-` is standard input [default: the configured log and its rotated siblings]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only from then on: RFC 3339, a date, or `24h` ago
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Only until then
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Only this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `validate`.
#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `demo-service`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Address and port, such as 127.0.0.1:8099
    #[arg(long, value_name = "ADDR")]
    pub listen: String,
    /// End after so long (`1h`)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub lasting: Option<Duration>,
}

/// What is longer is a slip of the finger, and no date could be made of it.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err("more than a hundred years".to_owned()),
        Ok(Duration::ZERO) => Err("no time at all".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}
