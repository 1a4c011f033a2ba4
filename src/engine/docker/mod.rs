//! The container half of the engine, through the `docker` command line (or a compatible one).
//!
//! Here is what is asked and how long it may take. How a call is made and its errors are read is in
//! [`client`]; what answers mean is in [`super::formats`], how a run ended is judged in [`ended`]; what is said inside a
//! container belongs in [`super::batch`].

pub mod client;
pub mod ended;

mod agent;
mod ahead;
mod gather;

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ended::{Earlier, Events, Sign, Signs, judge};
use super::formats::events::Event;
use super::formats::inspect::Inspected;
use super::formats::{errors, events, inspect, listing, record, runs};
use super::{
    Container, ContainerDetails, ContainerEnd, ContainerRef, Expected, Overrun, Request, RestartCommand, Run,
    RunResult, batch,
};
use crate::check::judge::last_lines;
use crate::check::{Health, Look, Unknown};
use crate::clock::Timestamp;
use crate::config::model::ServiceName;
use crate::process::Interrupt;
use agent::ExecAgent;
use ahead::Ahead;
use client::Client;
use ended::Window;
use gather::Gather;

/// How long the engine may take to answer a question.
const QUESTION: Duration = Duration::from_secs(10);

/// A container whose owner lets it take longer to stop is not waited for longer; the engine goes on.
const PATIENCE: Duration = Duration::from_secs(900);

/// Containers, as a docker-like command line shows them.
#[derive(Debug, Clone)]
pub struct DockerCli {
    client: Client,
    ahead: Ahead,
    gather: Gather,
    interrupt: Interrupt,
}

impl DockerCli {
    /// `engine` is the name or path of the command line.
    #[must_use]
    pub fn new(engine: &str, interrupt: Interrupt) -> Self {
        Self { client: Client::new(engine), ahead: Ahead::default(), gather: Gather::default(), interrupt }
    }

    /// Begins the execs of these looks; their scripts wait for the listing.
    pub fn expect(&self, likely: &[Expected]) {
        self.ahead.begin(&self.client, likely);
    }

    /// All containers, running or not.
    ///
    /// # Errors
    /// Where the engine is unreachable, refuses, does not answer or answers nonsense.
    pub fn list(&self) -> Result<Vec<Container>, Unknown> {
        let listing = self.ask_for_list();
        self.ahead.confirm(listing.as_deref().unwrap_or_default());
        listing
    }

    fn ask_for_list(&self) -> Result<Vec<Container>, Unknown> {
        let ask = |format| self.ask(&["ps", "-a", "--no-trunc", "--format", format], "");
        let answer = match ask(listing::FORMAT) {
            // Command lines before 20.10 have no field `State`; the status tells it, too.
            Err(Unknown::Other(text)) if text.contains("State") => ask(listing::OLD_FORMAT),
            answer => answer,
        };
        listing::parse(&answer.map_err(listing::as_engine_trouble)?)
    }

    /// Details of one container. Who ended one that does not run is only found out where `earlier` does not tell.
    ///
    /// # Errors
    /// As [`DockerCli::list`]; [`Unknown::NoSuchContainer`] where it is gone.
    pub fn inspect(&self, container: &ContainerRef, earlier: &Earlier) -> Result<ContainerDetails, Unknown> {
        let mut inspected = self.look_up(container)?;
        if inspected.is_running() {
            return Ok(inspected.details(ContainerEnd::Died, Sign::ExitCode));
        }
        let (end, sign) = self.end_of(container, &mut inspected, earlier)?;
        Ok(inspected.details(end, sign))
    }

    fn look_up(&self, container: &ContainerRef) -> Result<Inspected, Unknown> {
        inspect::parse(&self.ask(&["inspect", "--type", "container", &container.id], &container.name)?)
    }

    fn end_of(
        &self,
        container: &ContainerRef,
        inspected: &mut Inspected,
        earlier: &Earlier,
    ) -> Result<(ContainerEnd, Sign), Unknown> {
        let record = inspected.record.as_deref();
        let manually_stopped =
            record.and_then(|path| record::manually_stopped(path, &container.id, inspected.finished_at));
        // Its restart policy ends where somebody stopped it, and after any signal.
        inspected.engine_restarts_it &= manually_stopped != Some(true);
        // An end before the start is one of an earlier run.
        let is_of_this_run = inspected.finished_at >= inspected.started_at;
        let known =
            earlier.judged.filter(|known| known.finished_at == inspected.finished_at && is_of_this_run);
        if let Some(known) = known.filter(|_| inspected.start_error.is_none()) {
            return Ok((known.end, known.sign));
        }
        let mut signs = Signs {
            failed_start: inspected.start_error.is_some(),
            ran: inspected.started_at.is_some() || inspected.finished_at.is_some(),
            our_restart: ended::is_ours(inspected, earlier),
            exit_code: inspected.exit_code,
            oom_killed: inspected.oom_killed,
            events: Events::Silent,
            manually_stopped,
            with_engine: ended::is_with_engine(inspected, earlier, self.client.engine_began()),
        };
        if let Some(finished_at) = inspected.finished_at.filter(|_| !signs.failed_start && !signs.our_restart)
        {
            signs.events = ended::said(&self.events_of(container, inspected, finished_at)?, inspected);
        }
        Ok(judge(&signs))
    }

    /// From its start until now, where our clock is the engine's; otherwise those around its end.
    fn events_of(
        &self,
        container: &ContainerRef,
        inspected: &Inspected,
        finished_at: Timestamp,
    ) -> Result<Vec<Event>, Unknown> {
        let whole = Window::whole(inspected, finished_at, Timestamp::now_utc());
        match self.events(container, inspected, whole) {
            // It waits for the end of a window that lies in its own future.
            Err(Unknown::EngineSilent { .. }) => {
                self.events(container, inspected, Window::around(inspected, finished_at))
            }
            events => events,
        }
    }

    fn events(
        &self,
        container: &ContainerRef,
        inspected: &Inspected,
        window: Window,
    ) -> Result<Vec<Event>, Unknown> {
        let call = events::question(inspected.dialect, &container.id, window.since, window.until);
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        let answer = match self.ask(&call, &container.name) {
            // An engine that keeps none is no trouble: then other signs decide.
            Err(Unknown::Other(text)) if errors::keeps_no_events(&text) => Vec::new(),
            Err(why @ (Unknown::EngineSilent { .. } | Unknown::Interrupted)) => return Err(why),
            // One that answers other questions refuses this one (a proxy before it may): the same.
            Err(why) => self.look_up(container).map(|_| Vec::new()).map_err(|_| why)?,
            Ok(answer) => answer,
        };
        let mut happened = events::parse(&answer, inspected.dialect);
        happened.retain(|event| event.at.is_none_or(|at| at <= window.until));
        Ok(happened)
    }

    /// Whether somebody is just stopping a container that runs.
    ///
    /// # Errors
    /// As [`DockerCli::inspect`].
    pub fn is_being_stopped(&self, container: &ContainerRef, earlier: &Earlier) -> Result<bool, Unknown> {
        let inspected = self.look_up(container)?;
        let window = Window::before(&inspected, Timestamp::now_utc());
        let happened = match self.events(container, &inspected, window) {
            // It waits for a window that ends in its own future: with such a clock nobody can tell.
            Err(Unknown::EngineSilent { .. }) => Vec::new(),
            happened => happened?,
        };
        Ok(inspected.is_running() && ended::is_being_stopped(&happened, &inspected, earlier))
    }

    /// The runs of these containers; those that are gone are missing.
    ///
    /// # Errors
    /// As [`DockerCli::list`].
    pub fn runs(&self, containers: &[ContainerRef]) -> Result<BTreeMap<ContainerRef, Run>, Unknown> {
        let mut call = vec!["inspect", "--type", "container", "--format", runs::FORMAT];
        call.extend(containers.iter().map(|at| at.id.as_str()));
        match self.ask(&call, "") {
            Ok(answer) => runs::parse(&answer, containers),
            // One that is gone fails the call for all.
            Err(Unknown::NoSuchContainer(_)) if containers.len() > 1 => {
                let mut all = BTreeMap::new();
                for at in containers {
                    all.extend(self.runs(std::slice::from_ref(at))?);
                }
                Ok(all)
            }
            Err(Unknown::NoSuchContainer(_)) => Ok(BTreeMap::new()),
            Err(why) => Err(why),
        }
    }

    /// Makes all these checks inside one container: one `exec` per user, those side by side. A single check may share
    /// its `exec` with others that are asked for at the same moment.
    #[must_use]
    pub fn observe(&self, container: &ContainerRef, requests: &[Request<'_>]) -> Vec<Look> {
        if let [request] = requests
            && !batch::must_be_alone(request)
        {
            let look = self.gather.look(self, container, request);
            return vec![look.unwrap_or_else(|| Look::unknown(no_thread(container)))];
        }
        let mut by_user: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        for (index, request) in requests.iter().enumerate() {
            by_user.entry(request.user).or_default().push(index);
        }
        let mut looks = vec![Look::unknown(no_thread(container)); requests.len()];
        std::thread::scope(|scope| {
            let groups: Vec<_> = by_user
                .into_iter()
                .filter_map(|(user, indices)| {
                    let group: Vec<Request<'_>> = indices.iter().map(|&index| requests[index]).collect();
                    let work = move || self.observe_as(container, user, &group, &mut |_| {});
                    let thread = std::thread::Builder::new().spawn_scoped(scope, work).ok()?;
                    Some((indices, thread))
                })
                .collect();
            for (indices, thread) in groups {
                for (index, look) in indices.into_iter().zip(thread.join().unwrap_or_default()) {
                    looks[index] = look;
                }
            }
        });
        looks
    }

    fn observe_as(
        &self,
        container: &ContainerRef,
        user: Option<&str>,
        requests: &[Request<'_>],
        step: &mut dyn FnMut(batch::Step),
    ) -> Vec<Look> {
        let mut step = |made: batch::Step| {
            step(match made {
                batch::Step::Started => made,
                batch::Step::Look(index, look) => batch::Step::Look(index, named(look, container)),
            });
        };
        if self.interrupt.is_set() {
            return vec![Look::unknown(Unknown::Interrupted); requests.len()];
        }
        let ahead = self.ahead.take(container, user);
        // One that never spoke may have failed before the container was what the listing says it is.
        let looks =
            ahead.and_then(|agent| batch::look_if_it_speaks(agent, requests, &self.interrupt, &mut step));
        let looks = looks.unwrap_or_else(|| {
            match ExecAgent::start(&self.client, container, user, &batch::LOOK_ARGV) {
                Ok(agent) => batch::look(agent, requests, &self.interrupt, &mut step),
                Err(why) => vec![Look::unknown(why); requests.len()],
            }
        });
        looks.into_iter().map(|look| named(look, container)).collect()
    }

    /// Runs a `restart_cmd` inside a container.
    pub fn run(
        &self,
        container: &ContainerRef,
        command: &RestartCommand<'_>,
        at_timeout: &mut dyn FnMut() -> Overrun,
    ) -> RunResult {
        let begun = OffsetDateTime::now_utc();
        let (result, sink) = match ExecAgent::start(&self.client, container, command.user, &batch::RUN_ARGV) {
            Ok(agent) => batch::run_to(agent, command, &self.interrupt, at_timeout),
            Err(why) => (RunResult::Failed(why), batch::Sink::Other),
        };
        let said = || match sink {
            batch::Sink::FirstProcess => self.logged(container, begun),
            batch::Sink::Other => String::new(),
        };
        match result {
            RunResult::Exited(code) => RunResult::exited(code, said),
            RunResult::TimedOut => RunResult::timed_out(said()),
            RunResult::Failed(why) => RunResult::Failed(batch::named(why, &container.name)),
            result => result,
        }
    }

    /// The last lines that the container's log got since then; what no driver gives back is not told.
    fn logged(&self, container: &ContainerRef, since: OffsetDateTime) -> String {
        // Not as a duration: that is cut to whole seconds.
        let Ok(since) = since.format(&Rfc3339) else { return String::new() };
        let logs = self.ask(&["logs", "--since", &since, "--tail", "5", &container.id], &container.name);
        logs.map(|lines| last_lines(&lines)).unwrap_or_default()
    }

    /// Starts a container.
    ///
    /// # Errors
    /// What the engine said. [`Unknown::Interrupted`]: the start goes on by itself.
    pub fn start(&self, container: &ContainerRef, timeout: Duration) -> Result<(), Unknown> {
        self.client.order(&["start", &container.id], &container.name, timeout, &self.interrupt)
    }

    /// Restarts a container, which may take its stop time-out and `timeout`.
    ///
    /// # Errors
    /// What the engine said. [`Unknown::Interrupted`]: the restart goes on by itself.
    pub fn restart(
        &self,
        container: &ContainerRef,
        stop_timeout: Duration,
        timeout: Duration,
    ) -> Result<(), Unknown> {
        let seconds = stop_timeout.as_secs().to_string();
        let call = ["restart", "-t", &seconds, &container.id];
        let within = stop_timeout.min(PATIENCE).saturating_add(timeout);
        self.client.order(&call, &container.name, within, &self.interrupt)
    }

    /// Removes the manual-stop marker of a service inside a container, as root, who owns `/var/run`.
    ///
    /// # Errors
    /// Where it could not be looked for or not be removed.
    pub fn remove_marker(&self, container: &ContainerRef, service: &ServiceName) -> Result<bool, Unknown> {
        let agent = ExecAgent::start(&self.client, container, Some("0"), &batch::RUN_ARGV)?;
        batch::remove_marker(agent, service).map_err(|why| batch::named(why, &container.name))
    }

    fn ask(&self, arguments: &[&str], container: &str) -> Result<Vec<u8>, Unknown> {
        self.client.ask(arguments, container, QUESTION, &self.interrupt)
    }
}

fn named(look: Look, container: &ContainerRef) -> Look {
    match look.health {
        Health::Unknown(why) => Look { health: Health::Unknown(batch::named(why, &container.name)), ..look },
        _ => look,
    }
}

fn no_thread(container: &ContainerRef) -> Unknown {
    Unknown::CutOff(format!("no thread to look into {}", container.name))
}
