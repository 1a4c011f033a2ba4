//! The steps of a service's chain, under its lock: look a second time, then record each step, make it and look
//! again; the first healthy look ends the chain.

mod command;
mod container;
mod follow;

use std::time::Duration;

use super::facts::Progress;
use super::outcome::{self, Attempted, Outcome};
use super::sight::Sight;
use super::{Pass, facts, lines, look};
use crate::check::severity::{Life, Rating, Severity};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::{Service, Strategy};
use crate::decide::{Action, Decision};
use crate::event::{EventKind, Level};
use crate::history;
use crate::state::{AttemptResult, ServiceState};
use crate::store::StateGuard;

/// Makes the step that was decided and what follows it. The lock is released when the outcome is recorded.
pub(super) fn attempt(
    pass: &Pass<'_>,
    service: &Service,
    guard: StateGuard,
    sight: Sight,
    first: Decision,
) -> (Outcome, Sight) {
    let mut attempt = Attempt::new(pass, service, guard, sight);
    let outcome = attempt.chain(first).unwrap_or_else(|ended| ended);
    (outcome, attempt.sight)
}

/// An attempt under way. Its steps end early with `Err(outcome)`.
struct Attempt<'p, 'w> {
    pass: &'p Pass<'w>,
    service: &'p Service,
    guard: StateGuard,
    sight: Sight,
    state: ServiceState,
    began: Duration,
    progress: Progress,
    /// The same before the present step was recorded: what it is decided on.
    before: Progress,
    /// The first look found it down, and the log says so.
    was_down: bool,
    /// The last look was made under the lock, and the policy has spoken since.
    confirmed: bool,
    /// How far the present step has come.
    stage: Stage,
    /// The number of this attempt within the window, from 1.
    number: u32,
    /// How the present step ended, in words.
    result: String,
    /// How those before it ended.
    results: Vec<String>,
}

type Step<T> = Result<T, Outcome>;

/// How far a step has come that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was begun.
    Recorded,
    /// Its `cleanup_cmd` was begun, and nothing else.
    CleaningUp,
    /// The restart, the start or the fallback was.
    Begun,
}

/// What came of trying to make a step.
enum Made {
    /// It was made, and so it ended.
    Ended(Outcome),
    /// It was not, since the second look speaks for another one.
    Instead(Decision),
}

impl<'p, 'w> Attempt<'p, 'w> {
    fn new(pass: &'p Pass<'w>, service: &'p Service, guard: StateGuard, sight: Sight) -> Self {
        let state = sight.state.clone().unwrap_or_else(|| ServiceState::new(service.name.as_str()));
        let began = pass.world.clock.monotonic();
        let was_down = look::is_down(&sight);
        Self {
            pass,
            service,
            guard,
            sight,
            state,
            began,
            progress: Progress::default(),
            before: Progress::default(),
            was_down,
            confirmed: false,
            stage: Stage::Recorded,
            number: 0,
            result: String::new(),
            results: Vec::new(),
        }
    }

    /// Step after step until one helps, none is left, or something else speaks against going on.
    fn chain(&mut self, first: Decision) -> Step<Outcome> {
        let mut next = first;
        while next.acts() {
            let follows = matches!(next, Decision::Follow { .. });
            next = match self.make(&next)? {
                Made::Instead(other) => other,
                Made::Ended(Outcome::Failed(_)) if !follows => self.after_failure(),
                Made::Ended(ended) => return Ok(ended),
            };
        }
        Ok(match next {
            Decision::Stopped(_) => lines::leave(self.pass, self.service, &self.sight, next),
            _ => Outcome::Failed(Attempted {
                reason: self.sight.reason(),
                result: self.results.join("; then "),
            }),
        })
    }

    fn make(&mut self, step: &Decision) -> Step<Made> {
        let made = match step {
            Decision::Retry => self.retry().map(Made::Ended),
            Decision::Restart { action, .. } | Decision::Follow { action, .. }
                if *action != Action::Command =>
            {
                self.by_container(*action, step)
            }
            // Only where it fails at a second look too, and the policy still says so, anything is done.
            _ if !self.confirmed => self.confirm().map(Made::Instead),
            Decision::Follow { after, .. } => self.follow_by_command(after).map(Made::Ended),
            Decision::Restart { step, .. } => self.by_command(*step).map(Made::Ended),
            _ => self.fall_back().map(Made::Ended),
        };
        match made {
            // A step that could not be made as it should fails, and with it not the chain.
            Err(failed @ Outcome::Failed(_)) => Ok(Made::Ended(failed)),
            made => made,
        }
    }

    /// What the policy says after a step that did not help.
    fn after_failure(&mut self) -> Decision {
        if self.was_well_at_last() {
            return Decision::Exhausted;
        }
        self.sight.state = Some(self.state.clone());
        look::marker_now(self.pass, self.service, &mut self.sight);
        look::stop_under_way(self.pass, self.service, &mut self.sight);
        let next = facts::decision_without_hope(self.pass, self.service, &self.sight, &self.progress);
        // A container is looked at once more under its own lock.
        self.confirmed =
            matches!(next, Decision::Fallback | Decision::Restart { action: Action::Command, .. });
        next
    }

    /// Whether the last look was healthy, if not for long enough: that is not acted on.
    fn was_well_at_last(&self) -> bool {
        matches!(self.sight.health, Some(Health::Unhealthy(Failure::Unsteady { .. })))
    }

    /// The second look.
    fn confirm(&mut self) -> Step<Decision> {
        self.look_before_acting();
        self.judge()
    }

    /// Nothing slow may lie between this and what is done.
    fn look_before_acting(&mut self) {
        self.look_once_more();
        look::marker_now(self.pass, self.service, &mut self.sight);
        look::stop_under_way(self.pass, self.service, &mut self.sight);
    }

    fn look_once_more(&mut self) {
        let state = self.sight.state.take();
        self.sight = look::look_again(self.pass, self.service, &self.sight);
        self.sight.state = state;
    }

    /// Between the record of a restart and the restart: what was seen meanwhile may speak against it.
    fn expect_restart(&mut self) -> Step<()> {
        match facts::decision_without_hope(self.pass, self.service, &self.sight, &self.before) {
            Decision::Retry | Decision::Restart { .. } | Decision::Follow { .. } => Ok(()),
            Decision::Healthy => {
                Err(self.recovered_if_steady("before it was restarted").unwrap_or_else(|ended| ended))
            }
            stopped @ Decision::Stopped(_) => {
                Err(lines::leave(self.pass, self.service, &self.sight, stopped))
            }
            Decision::CannotTell(why) => Err(self.cannot_tell(why)),
            unsafe_ @ Decision::Unsafe(_) => Err(Outcome::Left(unsafe_)),
            _ if self.pass.interrupted() => Err(Outcome::Interrupted),
            decision => {
                self.result =
                    format!("not restarted after all: {}", outcome::why_not(&decision, &self.sight));
                Err(self.failed())
            }
        }
    }

    /// What the policy says to what was just seen under the lock: a step, or the end.
    fn judge(&mut self) -> Step<Decision> {
        self.confirmed = true;
        match facts::decision_without_hope(self.pass, self.service, &self.sight, &self.progress) {
            Decision::Follow { after, action, down } => Ok(Decision::Follow { after, action, down }),
            decision if !self.was_down && !matches!(decision, Decision::Stopped(_)) => {
                Err(crate::pass::follow::no_more(self.pass, self.service, &self.sight))
            }
            decision if decision.acts() || decision == Decision::Exhausted => Ok(decision),
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

    /// Looks again a few times, ever more slowly.
    fn retry(&mut self) -> Step<Outcome> {
        self.record(Strategy::Retry)?;
        let retry = self.service.policy.retry;
        let mut delay = retry.base_delay;
        for look in 1..=retry.attempts {
            if look > 1 {
                if !self.pass.time_left_after(delay) {
                    break;
                }
                self.pass.world.clock.sleep(delay);
                delay = delay.saturating_mul(2);
            }
            if self.pass.interrupted() {
                return Err(Outcome::Interrupted);
            }
            self.sight.state = Some(self.state.clone());
            self.look_once_more();
            look::marker_inside(self.pass, self.service, &mut self.sight);
            look::stop_under_way(self.pass, self.service, &mut self.sight);
            self.judge()?;
            self.result = format!("looked at {look} more time{}", if look == 1 { "" } else { "s" });
            // What turns out to be worse does not pass by being waited for.
            if self.severity() > self.progress.worst {
                break;
            }
        }
        Ok(self.failed())
    }

    /// Writes a step to disk, before it is made; a restart as one attempt of the window.
    fn record(&mut self, step: Strategy) -> Step<()> {
        self.pass.acting(&self.service.name, step.into());
        if self.pass.interrupted() {
            return Err(Outcome::Interrupted);
        }
        self.stage = Stage::Recorded;
        self.before = Progress { begun: true, ..self.progress.clone() };
        let now = self.pass.now();
        let window = self.service.failure_window;
        history::prune(&mut self.state.attempts, now, window);
        if matches!(step, Strategy::Restart | Strategy::RestartContainer) {
            history::record(&mut self.state.attempts, now);
        }
        self.number = history::count(&self.state.attempts, now, window);
        self.take_step(step);
        if !self.progress.counted {
            self.state.saw_unhealthy(self.sight.at);
        }
        self.progress.counted = true;
        self.save().map_err(|()| Outcome::NotRecorded)
    }

    /// Writes that the attempt goes on with a `restart_cmd`: the same attempt, but its window begins with its
    /// last restart, and the command is not run once more as a step of its own.
    fn record_more(&mut self) -> Step<()> {
        history::renew(&mut self.state.attempts, self.pass.now());
        if self.progress.made.last() != Some(&Strategy::Restart) {
            self.take_step(Strategy::Restart);
        }
        self.save().map_err(|()| Outcome::NotRecorded)
    }

    fn take_step(&mut self, step: Strategy) {
        let severity = self.severity().unwrap_or(Severity::Recoverable);
        let (now, window) = (self.pass.now(), self.service.failure_window);
        let first = self.progress.made.is_empty();
        let severities = &self.service.policy.severity;
        let life = self.sight.health.as_ref().map_or(Life::Doubtful, |health| severities.life(health));
        history::step(&mut self.state, step, Rating { severity, life }, first, now, window);
        self.progress.made.push(step);
        self.progress.worst = Some(severity);
    }

    fn severity(&self) -> Option<Severity> {
        facts::severity(self.pass, self.service, &self.sight, &self.progress)
    }

    fn save(&self) -> Result<(), ()> {
        self.guard.save(&self.state).map_err(|error| self.pass.io_trouble(Some(&self.service.name), &error))
    }

    fn is_restart(&self) -> bool {
        matches!(self.progress.made.last(), Some(Strategy::Restart | Strategy::RestartContainer))
    }

    /// Whether nothing but the fallback ended what was begun.
    fn is_fallback_alone(&self) -> bool {
        let made = &self.progress.made;
        let restarts = |step: &Strategy| matches!(step, Strategy::Restart | Strategy::RestartContainer);
        made.last() == Some(&Strategy::Fallback) && !made.iter().any(restarts)
    }

    fn recheck(&mut self) -> Step<Outcome> {
        self.look();
        self.conclude()
    }

    fn look(&mut self) {
        let service = self.service;
        self.sight = look::look_until_steady(
            self.pass,
            service,
            &self.sight,
            service.startup_delay,
            service.startup_timeout,
            service.policy.success_threshold,
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
        if self.is_restart() {
            history::conclude(&mut self.state.attempts, AttemptResult::Recovered);
        }
        self.state.saw_healthy(self.pass.now());
        // The outcome stands whether or not it can be recorded; the trouble is told.
        let _ = self.save();
        if let Some(after) = self.progress.followed.clone() {
            return self.followed(after, note);
        }
        self.pass.emit(
            &self.service.name,
            EventKind::Recovered { duration: self.spent(), attempt: self.number, note },
        );
        Outcome::Recovered
    }

    /// The present step did not help.
    fn failed(&mut self) -> Outcome {
        if let Some(after) = self.progress.followed.clone() {
            return self.not_followed(&after);
        }
        let reason = self.sight.reason();
        if self.is_restart() {
            history::conclude(&mut self.state.attempts, AttemptResult::Failed);
            let _ = self.save();
        }
        if self.is_restart() || self.is_fallback_alone() {
            self.say_failed(&reason, &self.result);
        } else {
            let text = format!("{} is not better: {} ({reason})", self.service.name, self.result);
            self.pass.note(Some(&self.service.name), Level::Warning, &text);
        }
        Outcome::Failed(Attempted { reason, result: self.ended() })
    }

    fn say_failed(&self, reason: &str, result: &str) {
        self.pass.emit(
            &self.service.name,
            EventKind::RecoveryFailed {
                duration: self.spent(),
                attempt: self.number,
                reason: reason.to_owned(),
                restart_result: result.to_owned(),
                severity: self.severity(),
            },
        );
    }

    /// How all steps of this pass ended, the present one last.
    fn ended(&mut self) -> String {
        self.results.push(std::mem::take(&mut self.result));
        self.results.join("; then ")
    }

    /// The attempt was made, and nobody can see whether it helped.
    fn cannot_tell(&self, why: Unknown) -> Outcome {
        let name = &self.service.name;
        let text = match self.stage {
            Stage::Recorded => format!("{name} was not restarted, since it cannot be seen: {why}"),
            Stage::CleaningUp => format!("the cleanup of {name} was begun, and it was not restarted: {why}"),
            Stage::Begun => {
                format!("{name} was {}, but it cannot be seen whether that helped: {why}", self.done())
            }
        };
        self.pass.note(Some(&self.service.name), Level::Warning, &text);
        Outcome::Unknown(why)
    }

    /// What was done to it last, in a word.
    fn done(&self) -> &'static str {
        match self.progress.made.last() {
            Some(Strategy::Fallback) => "brought to its fallback",
            _ => "restarted",
        }
    }

    fn spent(&self) -> Duration {
        self.pass.world.clock.monotonic().saturating_sub(self.began)
    }
}
