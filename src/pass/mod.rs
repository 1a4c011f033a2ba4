//! The only loop: observe → decide → act → re-check → record → report.
//!
//! Everything is looked at first, without locks. Then what is unhealthy is handled, dependencies first and
//! unrelated services side by side; each handling ends in an [`Outcome`] on the `board`. At the end the
//! outcomes are recorded and told. The policy is `decide`'s, the world is behind [`World`]'s seams.

mod act;
mod aftermath;
mod ahead;
mod board;
mod changes;
mod ended;
pub mod explain;
mod facts;
mod follow;
mod gates;
mod heard;
mod lines;
mod links;
mod look;
mod marker;
mod outcome;
mod page;
mod perform;
mod record;
mod report;
pub mod say;
mod sight;
mod story;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

pub use outcome::Outcome;
pub use sight::container_of;

use crate::alert::mask::mask;
use crate::check::Unknown;
use crate::clock::boot::{Moment, Steady};
use crate::clock::{Clock, Timestamp};
use crate::config::model::{Config, Service, ServiceName};
use crate::engine::{Container, Engine};
use crate::event::{Action, Event, EventKind, Level};
use crate::exit_code::ExitCode;
use crate::journal::Record;
use crate::notify::Notifier;
use crate::process::Interrupt;
use crate::store::{LastPass, Store};

/// The seams to the world, built once, in `commands::run`.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Time.
    pub clock: &'a dyn Clock,
    /// Where services run.
    pub engine: &'a dyn Engine,
    /// People.
    pub notifier: &'a dyn Notifier,
    /// What is remembered.
    pub store: &'a Store,
    /// The log.
    pub journal: &'a dyn Record,
    /// Set by a signal.
    pub interrupt: &'a Interrupt,
    /// The machine's name, for alerts.
    pub host: &'a str,
}

/// What this pass is about.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    /// The services, dependencies first.
    pub services: Vec<&'a Service>,
    /// Those named by the caller: always due.
    pub named: HashSet<ServiceName>,
    /// Look and decide, change nothing.
    pub dry_run: bool,
}

impl Scope<'_> {
    /// Whether any of them lives in a container.
    fn needs_engine(&self) -> bool {
        self.services.iter().any(|service| service.container.is_some())
    }
}

/// How a pass ended.
#[derive(Debug)]
pub struct Summary {
    /// One report a service, in the order of the plan.
    pub reports: Vec<Report>,
    /// The exit code that they make, with what went wrong besides.
    pub exit: ExitCode,
}

/// What became of one service.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which.
    pub service: ServiceName,
    /// How its part of the pass ended.
    pub outcome: Outcome,
    /// Why the last look did not find it healthy, masked; empty where it did.
    pub reason: String,
}

/// One pass under way: the world, the plan and what was found so far.
struct Pass<'a> {
    world: World<'a>,
    config: &'a Config,
    scope: &'a Scope<'a>,
    /// The listing of containers, made once.
    listing: Result<Vec<Container>, Unknown>,
    gates: gates::Gates,
    board: board::Board,
    /// What was said of each service in this pass.
    heard: heard::Heard,
    links: links::Links<'a>,
    /// When each service was last looked at.
    last_pass: LastPass,
    began: Duration,
    /// The same by the wall clock.
    began_at: Timestamp,
    /// The wall clock of this pass.
    steady: Steady,
    /// Trouble that belongs to no outcome (a folder that cannot be read or written).
    trouble: Mutex<ExitCode>,
}

/// Makes one pass over the services in `scope`.
#[must_use]
pub fn run(world: World<'_>, config: &Config, scope: &Scope<'_>) -> Summary {
    let pass = Pass::begin(world, config, scope);
    let mut sights = look::look_at_all(&pass);
    act::handle_all(&pass, &mut sights);
    let outcomes = pass.board.all(&scope.services);
    if !scope.dry_run {
        report::report(&pass, &sights, &outcomes);
    }
    pass.summary(&sights, outcomes)
}

impl<'a> Pass<'a> {
    fn begin(world: World<'a>, config: &'a Config, scope: &'a Scope<'a>) -> Self {
        let needs_engine = scope.needs_engine();
        let steady = Steady::begin(world.clock);
        let (last_pass, unread) = match world.store.last_pass(&steady.moment(world.clock)) {
            Ok(last_pass) => (last_pass, None),
            Err(error) => (LastPass::default(), Some(error)),
        };
        if needs_engine {
            world.engine.expect(&ahead::expected(world, config, scope, &last_pass));
        }
        let listing = if needs_engine { world.engine.list() } else { Ok(Vec::new()) };
        let pass = Self {
            world,
            config,
            scope,
            links: links::Links::find(world.engine, config, &scope.services, &listing),
            listing,
            gates: gates::Gates::new(config.recovery.max_parallel),
            board: board::Board::new(scope.services.iter().map(|service| service.name.clone())),
            heard: heard::Heard::default(),
            last_pass,
            began: world.clock.monotonic(),
            began_at: steady.now(world.clock),
            steady,
            trouble: Mutex::new(ExitCode::Ok),
        };
        match &pass.listing {
            Ok(_) if !needs_engine => {}
            Ok(listing) => log::debug!("the engine lists {} containers", listing.len()),
            Err(why) => log::debug!("the engine lists no containers: {}", pass.masked(why)),
        }
        if let Some(error) = unread {
            pass.io_trouble(None, &error);
        }
        pass
    }

    fn now(&self) -> Timestamp {
        self.steady.now(self.world.clock)
    }

    /// Now, as that by which what is remembered is read.
    fn moment(&self) -> Moment {
        self.steady.moment(self.world.clock)
    }

    /// Whether the pass may still begin something.
    fn time_left(&self) -> bool {
        self.time_left_after(Duration::ZERO)
    }

    /// The same after a wait.
    fn time_left_after(&self, wait: Duration) -> bool {
        let spent = self.world.clock.monotonic().saturating_sub(self.began);
        spent.saturating_add(wait) < self.config.recovery.pass_timeout && !self.interrupted()
    }

    fn interrupted(&self) -> bool {
        self.world.interrupt.is_set()
    }

    /// Whether one thing is done after the other, in the order of the plan.
    fn in_turn(&self) -> bool {
        self.config.recovery.max_parallel == 1
    }

    /// Writes what happened to a service; a dry run prints its plan instead.
    fn emit(&self, service: &ServiceName, kind: EventKind) {
        if self.scope.dry_run {
            return;
        }
        let now = self.now();
        let action = self.heard.listen(service, &kind, now);
        let container = self.container_name(service);
        let event = Event::new(now, Some(service.clone()), kind);
        self.world.journal.record(&Event { container, action, ..event });
    }

    /// Says what is being done about a service, for the lines that follow.
    fn acting(&self, service: &ServiceName, action: Action) {
        self.heard.acting(service, action);
    }

    /// A service's container by its real name, or by the configured one where it is not there.
    fn container_name(&self, service: &ServiceName) -> Option<String> {
        let service = self.config.service(service)?;
        let found =
            self.listing.as_ref().ok().and_then(|listing| container_of(self.config, service, listing));
        found.map(|container| container.at.name.clone()).or_else(|| service.container.clone())
    }

    fn note(&self, service: Option<&ServiceName>, level: Level, text: &str) {
        let kind = EventKind::Note { level, text: mask(text) };
        self.world.journal.record(&Event::new(self.now(), service.cloned(), kind));
    }

    /// A reason as it may be shown.
    fn masked(&self, why: &dyn std::fmt::Display) -> String {
        mask(&why.to_string())
    }

    /// Remembers that something besides the services went wrong.
    fn trouble(&self, code: ExitCode) {
        let mut trouble = self.trouble.lock().expect("no thread panics while it holds the trouble");
        *trouble = trouble.merge(code);
    }

    /// Something in the state folder could not be read or written.
    fn io_trouble(&self, service: Option<&ServiceName>, error: &dyn std::fmt::Display) {
        self.note(service, Level::Error, &error.to_string());
        self.trouble(ExitCode::Io);
    }

    fn summary(&self, sights: &look::Sights, outcomes: Vec<(ServiceName, Outcome)>) -> Summary {
        let exit = self.exit(&outcomes);
        let report = |(service, outcome): (ServiceName, Outcome)| {
            let reason = sights[&service].reason();
            Report { service, outcome, reason }
        };
        Summary { reports: outcomes.into_iter().map(report).collect(), exit }
    }

    fn exit(&self, outcomes: &[(ServiceName, Outcome)]) -> ExitCode {
        let trouble = *self.trouble.lock().expect("no thread panics while it holds the trouble");
        let signal = self.world.interrupt.signal().map_or(ExitCode::Ok, ExitCode::Signal);
        let limit = self.config.recovery.pass_timeout;
        let now = self.now();
        outcomes
            .iter()
            .map(|(_, outcome)| outcome.exit_code(now, limit))
            .fold(trouble.merge(signal), ExitCode::merge)
    }
}
