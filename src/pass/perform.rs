//! One restart attempt, under the service's lock: look a second time, record, act, re-check, record.

use std::time::Duration;

use super::look;
use super::outcome::{self, Attempted, Outcome};
use super::sight::{Place, Sight};
use super::{Pass, facts, lines};
use crate::alert::mask::mask;
use crate::check::{Health, Unknown};
use crate::config::model::Service;
use crate::decide::{Action, Decision, Marker};
use crate::engine::{ContainerRef, Overrun, RestartCommand, RunResult, Target};
use crate::event::{EventKind, Level};
use crate::history;
use crate::state::{AttemptResult, ServiceState};
use crate::store::{FileLock, Lock, StateGuard};

/// The stop time-out of a container of which the engine told none.
const DEFAULT_STOP: Duration = Duration::from_secs(10);

/// Makes one attempt. The lock is released when its outcome is recorded.
pub(super) fn attempt(
    pass: &Pass<'_>,
    service: &Service,
    guard: StateGuard,
    sight: Sight,
    action: Action,
) -> (Outcome, Sight) {
    let mut attempt = Attempt::new(pass, service, guard, sight);
    let outcome = match action {
        Action::Command => attempt.by_command(),
        Action::StartContainer | Action::RestartContainer => attempt.by_container(action, false),
    };
    (outcome.unwrap_or_else(|ended| ended), attempt.sight)
}

/// An attempt under way. Its steps end early with `Err(outcome)`.
struct Attempt<'p, 'w> {
    pass: &'p Pass<'w>,
    service: &'p Service,
    guard: StateGuard,
    sight: Sight,
    state: ServiceState,
    began: Duration,
    /// The number of this attempt within the window, from 1.
    number: u32,
    /// How the restart itself ended, in words.
    result: String,
}

type Step<T> = Result<T, Outcome>;

impl<'p, 'w> Attempt<'p, 'w> {
    fn new(pass: &'p Pass<'w>, service: &'p Service, guard: StateGuard, sight: Sight) -> Self {
        let state = sight.state.clone().unwrap_or_else(|| ServiceState::new(service.name.as_str()));
        let began = pass.world.clock.monotonic();
        Self { pass, service, guard, sight, state, began, number: 0, result: String::new() }
    }

    fn by_command(&mut self) -> Step<Outcome> {
        match self.confirm()? {
            Action::Command => {
                self.record()?;
                self.run_command()
            }
            action => self.by_container(action, true),
        }
    }

    /// Starts or restarts the container, or joins the service that did so in this pass.
    fn by_container(&mut self, action: Action, confirmed: bool) -> Step<Outcome> {
        let Some(at) = self.sight.place.container().cloned() else {
            return Err(Outcome::Left(Decision::CannotTell(Unknown::Other("its container is gone".into()))));
        };
        let gate = self.pass.gates.gate(&at);
        let action = gate.decide(|| {
            if gate.acted() {
                self.record()?;
                if let Some(words) = gate.failure() {
                    self.result = words;
                    return Err(self.failed());
                }
                self.result =
                    format!("container {} had its one restart of this pass for another service", at.name);
                return Ok(action);
            }
            // Before the second look: it must not see what another pass is just doing to the container.
            let _lock = self.lock_container(&at)?;
            let action = if confirmed { action } else { self.confirm()? };
            if action != Action::Command {
                self.record()?;
                let done = gate.alone(|| self.act_on(&at, action));
                gate.set_acted(self.pass.gates.next());
                if matches!(done, Err(Outcome::Failed(_))) {
                    gate.set_failure(&self.result);
                }
                done?;
            }
            Ok(action)
        })?;
        match action {
            Action::Command => {
                self.record()?;
                self.run_command()
            }
            Action::RestartContainer => self.recheck(),
            Action::StartContainer => self.recheck_started(),
        }
    }

    /// The second look: only where it fails too, and the policy still says so, anything is done.
    fn confirm(&mut self) -> Step<Action> {
        let state = self.sight.state.take();
        let mut second = look::look_again(self.pass, self.service, &self.sight);
        second.state = state;
        look::marker_inside(self.pass, self.service, &mut second);
        self.sight = second;
        match facts::consider_without_hope(self.pass, self.service, &self.sight) {
            Decision::Restart { action, .. } => Ok(action),
            Decision::Healthy => {
                self.pass.emit(&self.service.name, EventKind::HealedWithoutRestart);
                Err(Outcome::Healed)
            }
            stopped @ Decision::Stopped(_) => {
                Err(lines::leave(self.pass, self.service, &self.sight, stopped))
            }
            decision => {
                let why = outcome::why_not(&decision, &self.sight);
                let text = format!("{} is left alone after a second look: {why}", self.service.name);
                self.pass.note(Some(&self.service.name), Level::Warning, &text);
                Err(Outcome::Left(decision))
            }
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

    /// Writes the attempt to disk, before anything is done.
    fn record(&mut self) -> Step<()> {
        if self.pass.interrupted() {
            return Err(Outcome::Interrupted);
        }
        let now = self.pass.now();
        let window = self.service.failure_window;
        history::prune(&mut self.state.attempts, now, window);
        history::record(&mut self.state.attempts, now);
        self.number = history::count(&self.state.attempts, now, window);
        self.state.saw_unhealthy(self.sight.at);
        self.save().map_err(|()| Outcome::NotRecorded)
    }

    fn save(&self) -> Result<(), ()> {
        self.guard.save(&self.state).map_err(|error| self.pass.io_trouble(Some(&self.service.name), &error))
    }

    fn executing(&self, what: &str) {
        self.pass.emit(
            &self.service.name,
            EventKind::Executing { what: mask(what), attempt: self.number, max: self.service.max_failures },
        );
    }

    fn act_on(&mut self, at: &ContainerRef, action: Action) -> Step<()> {
        let engine = self.pass.world.engine;
        let timeout = self.service.restart_timeout;
        let stop = self.sight.details.as_ref().map_or(DEFAULT_STOP, |details| details.stop_timeout);
        let verb = if action == Action::StartContainer { "start" } else { "restart" };
        self.executing(&format!("{} {verb} {}", self.pass.config.recovery.engine, at.name));
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
    fn not_done(&mut self, why: Unknown) -> Outcome {
        if why == Unknown::Interrupted {
            return Outcome::Interrupted;
        }
        if why.is_engine() || matches!(why, Unknown::CutOff(_)) {
            return self.cannot_tell(why);
        }
        self.result = self.pass.masked(&why);
        self.failed()
    }

    fn run_command(&mut self) -> Step<Outcome> {
        let Some(text) = self.service.restart_cmd.as_deref() else { return self.recheck() };
        self.executing(text);
        self.run(text)
    }

    fn run(&mut self, text: &str) -> Step<Outcome> {
        let pass = self.pass;
        let service = self.service;
        let at = self.sight.place.container().cloned();
        let target = at.clone().map_or(Target::Machine, Target::Container);
        let command = RestartCommand {
            service: &service.name,
            text,
            env: &service.env,
            user: service.user.as_deref(),
            log_path: service.log_path.as_deref(),
            timeout: service.restart_timeout,
        };
        let mut last = self.sight.clone();
        let result = pass.gates.command_in(at.as_ref(), || {
            pass.world.engine.run(&target, &command, &mut || {
                last = look::look_now(pass, service, &last);
                if last.health == Some(Health::Healthy) { Overrun::Leave } else { Overrun::End }
            })
        });
        match result {
            RunResult::Exited(code) => {
                self.result = format!("exit {code}");
                self.recheck()
            }
            RunResult::LeftRunning => {
                self.result = "still running in the foreground".to_owned();
                let text = format!(
                    "restart_cmd of {} is still running in the foreground after {} s; let it end with `&`",
                    service.name,
                    service.restart_timeout.as_secs_f64()
                );
                pass.note(Some(&service.name), Level::Warning, &text);
                Ok(self.recovered(Some(self.result.clone())))
            }
            RunResult::TimedOut => {
                self.sight = last;
                self.result = format!("ended after {} s", service.restart_timeout.as_secs_f64());
                Ok(self.failed())
            }
            RunResult::Interrupted => Ok(Outcome::Interrupted),
            RunResult::Failed(why) => Ok(self.not_done(why)),
        }
    }

    /// After a container was started: what does not come up by itself gets its `restart_cmd`.
    fn recheck_started(&mut self) -> Step<Outcome> {
        let Some(text) = self.service.restart_cmd.as_deref() else { return self.recheck() };
        self.look();
        // Seen only now: nobody can look into a container that does not run.
        look::marker_inside(self.pass, self.service, &mut self.sight);
        if let Marker::Present(details) = &self.sight.marker {
            let stopped = Decision::Stopped(details.clone());
            return Ok(lines::leave(self.pass, self.service, &self.sight, stopped));
        }
        match self.sight.health {
            Some(Health::Unhealthy(_)) if matches!(self.sight.place, Place::Running(_)) => {
                let note = format!(
                    "{} is not up in its started container, running its restart command",
                    self.service.name
                );
                self.pass.note(Some(&self.service.name), Level::Info, &note);
                // The same attempt, but its window begins with its last restart.
                history::renew(&mut self.state.attempts, self.pass.now());
                self.save().map_err(|()| Outcome::NotRecorded)?;
                self.run(text)
            }
            _ => self.conclude(),
        }
    }

    fn recheck(&mut self) -> Step<Outcome> {
        self.look();
        self.conclude()
    }

    fn look(&mut self) {
        let service = self.service;
        self.sight = look::look_until_healthy(
            self.pass,
            service,
            &self.sight,
            service.startup_delay,
            service.startup_timeout,
        );
    }

    fn conclude(&mut self) -> Step<Outcome> {
        if self.sight.health == Some(Health::Healthy) {
            return Ok(self.recovered(None));
        }
        if self.pass.interrupted() {
            return Ok(Outcome::Interrupted);
        }
        match self.sight.health.clone() {
            Some(Health::Unknown(why)) => Ok(self.cannot_tell(why)),
            _ => Ok(self.failed()),
        }
    }

    fn recovered(&mut self, note: Option<String>) -> Outcome {
        history::conclude(&mut self.state.attempts, AttemptResult::Recovered);
        self.state.saw_healthy(self.pass.now());
        // The outcome stands whether or not it can be recorded; the trouble is told.
        let _ = self.save();
        self.pass.emit(
            &self.service.name,
            EventKind::Recovered { duration: self.spent(), attempt: self.number, note },
        );
        Outcome::Recovered
    }

    fn failed(&mut self) -> Outcome {
        history::conclude(&mut self.state.attempts, AttemptResult::Failed);
        let _ = self.save();
        let reason = self.sight.reason();
        self.pass.emit(
            &self.service.name,
            EventKind::RecoveryFailed {
                duration: self.spent(),
                attempt: self.number,
                reason: reason.clone(),
                restart_result: self.result.clone(),
            },
        );
        Outcome::Failed(Attempted { reason, result: self.result.clone() })
    }

    /// The attempt was made, and nobody can see whether it helped.
    fn cannot_tell(&self, why: Unknown) -> Outcome {
        let text =
            format!("{} was restarted, but it cannot be seen whether that helped: {why}", self.service.name);
        self.pass.note(Some(&self.service.name), Level::Warning, &text);
        Outcome::Unknown(why)
    }

    fn spent(&self) -> Duration {
        self.pass.world.clock.monotonic().saturating_sub(self.began)
    }
}
