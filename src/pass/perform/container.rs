//! Steps that start or restart a container.

use std::time::Duration;

use super::{Attempt, Made, Stage, Step};
use crate::alert::mask::mask;
use crate::check::Unknown;
use crate::decide::{Action, Decision, Marker};
use crate::engine::ContainerRef;
use crate::event::{self, EventKind, Level};
use crate::pass::outcome::{self, Outcome};
use crate::pass::sight::Place;
use crate::pass::{ended, lines, look};
use crate::store::{FileLock, Lock};

/// The stop time-out of a container of which the engine told none.
const DEFAULT_STOP: Duration = Duration::from_secs(10);

impl Attempt<'_, '_> {
    /// Starts or restarts the container, or joins the service that did so in this pass.
    pub(super) fn by_container(&mut self, action: Action, decided: &Decision) -> Step<Made> {
        let Some(at) = self.sight.place.container().cloned() else {
            return Err(Outcome::Left(Decision::CannotTell(Unknown::Other("its container is gone".into()))));
        };
        let gate = self.pass.gates.gate(&at);
        let instead = gate.decide(|| {
            if gate.acted() {
                self.record_decided(decided)?;
                self.pass.acting(&self.service.name, told_as(action));
                if let Some(words) = gate.failure() {
                    self.result = words;
                    return Err(self.failed());
                }
                self.follow_made();
                self.result =
                    format!("container {} had its one restart of this pass for another service", at.name);
                return Ok(None);
            }
            // Before the second look: it must not see what another pass is just doing to the container.
            let _lock = match self.lock_container(&at) {
                // What this pass did before has failed all the same.
                Err(Outcome::OtherPass(_)) if !self.progress.made.is_empty() => {
                    return Ok(Some(Decision::Exhausted));
                }
                lock => lock?,
            };
            if !self.confirmed {
                let now = self.confirm()?;
                if !is_this(&now, decided) {
                    return Ok(Some(now));
                }
            }
            self.record_decided(decided)?;
            self.pass.acting(&self.service.name, told_as(action));
            match action {
                Action::RestartContainer => self.clean_up()?,
                _ => self.say_not_cleaned_up(&at),
            }
            let done = gate.alone(|| self.act_on(&at, action));
            gate.set_acted(self.pass.gates.next());
            if matches!(done, Ok(()) | Err(Outcome::Interrupted)) {
                self.follow_made();
            }
            if let (Err(Outcome::Failed(_)), Some(words)) = (&done, self.results.last()) {
                gate.set_failure(words);
            }
            done.map(|()| None)
        });
        match instead? {
            Some(instead) => Ok(Made::Instead(instead)),
            None if action == Action::RestartContainer => self.recheck().map(Made::Ended),
            None => self.recheck_started().map(Made::Ended),
        }
    }

    fn record_decided(&mut self, decided: &Decision) -> Step<()> {
        match decided {
            Decision::Follow { after, .. } => self.record_follow(after, true),
            Decision::Restart { step, .. } => {
                self.restarting(true, false);
                self.record(*step)
            }
            _ => Ok(()),
        }
    }

    fn lock_container(&self, at: &ContainerRef) -> Step<FileLock> {
        match self.pass.world.store.try_lock_container(&at.name, self.pass.now()) {
            Ok(Lock::Held(guard)) => Ok(guard),
            Ok(Lock::Busy(holder)) => {
                let text =
                    format!("container {} of {}: {}", at.name, self.service.name, outcome::busy(&holder));
                self.pass.note(Some(&self.service.name), Level::Info, &text);
                Err(Outcome::OtherPass(holder))
            }
            Err(error) => {
                self.pass.io_trouble(Some(&self.service.name), &error);
                Err(Outcome::NotRecorded)
            }
        }
    }

    /// Nothing can be run in a container that does not run.
    fn say_not_cleaned_up(&self, at: &ContainerRef) {
        if self.service.policy.cleanup_cmd.is_some() {
            let name = &self.service.name;
            let text = format!("the cleanup of {name} was not run: container {} is not running", at.name);
            self.pass.note(Some(name), Level::Warning, &text);
        }
    }

    fn act_on(&mut self, at: &ContainerRef, action: Action) -> Step<()> {
        let engine = self.pass.world.engine;
        let timeout = self.service.restart_timeout;
        let stop = self.sight.details.as_ref().map_or(DEFAULT_STOP, |details| details.stop_timeout);
        let verb = if action == Action::StartContainer { "start" } else { "restart" };
        self.executing(&format!("{} {verb} {}", self.pass.config.recovery.engine, at.name));
        if action != Action::StartContainer {
            ended::restarting(self.pass, at);
        }
        let done = self.pass.gates.command(|| match action {
            Action::StartContainer => engine.start(at, timeout),
            _ => engine.restart(at, stop, timeout),
        });
        match done {
            Ok(()) => {
                self.result = format!("container {verb}ed");
                Ok(())
            }
            Err(why) => Err(self.not_done(why)),
        }
    }

    /// The restart could not be made, or nobody knows whether it was.
    pub(super) fn not_done(&mut self, why: Unknown) -> Outcome {
        if why == Unknown::Interrupted {
            return Outcome::Interrupted;
        }
        if why.is_engine() || matches!(why, Unknown::CutOff(_)) {
            return self.cannot_tell(why);
        }
        let what = if self.stage == Stage::CleaningUp { "its cleanup could not be run: " } else { "" };
        self.result = format!("{what}{}", self.pass.masked(&why));
        self.failed()
    }

    /// After a container was started: what does not come up by itself gets its `restart_cmd`.
    fn recheck_started(&mut self) -> Step<Outcome> {
        let Some(text) = self.service.restart_cmd.as_deref() else { return self.recheck() };
        self.look();
        // Seen only now: nobody can look into a container that does not run.
        look::marker_now(self.pass, self.service, &mut self.sight);
        look::stop_under_way(self.pass, self.service, &mut self.sight);
        if let Marker::Present(details) = &self.sight.marker {
            let stopped = Decision::Stopped(details.clone());
            return Ok(lines::leave(self.pass, self.service, &self.sight, stopped));
        }
        let is_down = look::is_down(&self.sight) && !self.was_well_at_last();
        if !is_down || !matches!(self.sight.place, Place::Running(_)) {
            return self.conclude();
        }
        self.expect_restart()?;
        let note =
            format!("{} is not up in its started container, running its restart command", self.service.name);
        self.pass.note(Some(&self.service.name), Level::Info, &note);
        self.restarting(false, false);
        self.record_more()?;
        self.clean_up()?;
        self.pass.acting(&self.service.name, event::Action::Restart);
        self.restart_with(text)
    }

    pub(super) fn executing(&mut self, what: &str) {
        self.stage = Stage::Begun;
        self.pass.emit(
            &self.service.name,
            EventKind::Executing { what: mask(what), attempt: self.number, max: self.service.max_failures },
        );
    }
}

fn told_as(action: Action) -> event::Action {
    match action {
        Action::StartContainer => event::Action::StartContainer,
        Action::RestartContainer => event::Action::RestartContainer,
        Action::Command => event::Action::Restart,
    }
}

/// Whether the policy still says what was about to be done.
fn is_this(decision: &Decision, wanted: &Decision) -> bool {
    match (decision, wanted) {
        (Decision::Restart { action, step, .. }, Decision::Restart { action: same, step: this, .. }) => {
            action == same && step == this
        }
        (Decision::Follow { action, .. }, Decision::Follow { action: same, .. }) => action == same,
        _ => false,
    }
}
