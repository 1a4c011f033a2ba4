//! Steps that run an operator's command: `cleanup_cmd`, `restart_cmd`, `fallback_cmd`.

use super::{Attempt, Stage, Step};
use crate::alert::mask::mask;
use crate::alert::text::cut_chars;
use crate::check::{Health, Unknown};
use crate::config::model::Strategy;
use crate::engine::{Overrun, RestartCommand, RunResult, Target};
use crate::event::{EventKind, Level};
use crate::pass::look;
use crate::pass::outcome::{Attempted, Outcome};
use crate::pass::sight::Sight;

/// Characters told of a command's last lines.
const SAID_MAX: usize = 500;

/// How a command ended, where it could be run.
enum Ran {
    /// By itself; how, in words, its last lines among them.
    Exited { well: bool, how: String },
    /// The service is healthy, so it was left running.
    LeftRunning,
    /// By us; its last words.
    TimedOut { how: String },
}

impl Attempt<'_, '_> {
    pub(super) fn by_command(&mut self, step: Strategy) -> Step<Outcome> {
        self.restarting(false, false);
        self.record(step)?;
        self.clean_up()?;
        let Some(text) = self.service.restart_cmd.as_deref() else { return self.recheck() };
        self.restart_with(text)
    }

    /// Puts away what may keep the service from starting. Where that fails, the restart is tried all the same.
    pub(super) fn clean_up(&mut self) -> Step<()> {
        let Some(text) = self.service.policy.cleanup_cmd.as_deref() else { return Ok(()) };
        let name = &self.service.name;
        self.pass.note(Some(name), Level::Info, &format!("running the cleanup of {name}: {text}"));
        self.stage = Stage::CleaningUp;
        let failed = match self.run(text)? {
            Ran::Exited { well: true, .. } => None,
            Ran::Exited { how, .. } | Ran::TimedOut { how } => Some(how),
            Ran::LeftRunning => Some("still running".to_owned()),
        };
        if let Some(how) = failed {
            let text = format!("the cleanup of {name} failed ({how}), it is restarted all the same");
            self.pass.note(Some(name), Level::Warning, &text);
        }
        self.look_before_acting();
        self.expect_restart()
    }

    pub(super) fn restart_with(&mut self, text: &str) -> Step<Outcome> {
        self.executing(text);
        let ran = self.run(text);
        if matches!(ran, Ok(_) | Err(Outcome::Interrupted)) {
            self.follow_made();
        }
        match ran? {
            Ran::Exited { how, .. } => {
                self.result = how;
                self.recheck()
            }
            Ran::LeftRunning => {
                self.result = "still running in the foreground".to_owned();
                let text = format!(
                    "restart_cmd of {} is still running in the foreground after {} s; let it end with `&`",
                    self.service.name,
                    self.service.restart_timeout.as_secs_f64()
                );
                self.pass.note(Some(&self.service.name), Level::Warning, &text);
                self.recovered_if_steady("still running in the foreground")
            }
            Ran::TimedOut { how } => {
                self.result = how;
                Ok(self.failed())
            }
        }
    }

    /// Runs the fallback: where it does not bring the service back, that is degraded from now on.
    pub(super) fn fall_back(&mut self) -> Step<Outcome> {
        self.record(Strategy::Fallback)?;
        self.stage = Stage::Begun;
        let text = self.service.policy.fallback_cmd.as_deref().unwrap_or_default();
        self.pass.emit(&self.service.name, EventKind::ExecutingFallback { what: mask(text) });
        match self.run(text)? {
            Ran::Exited { well: true, how } => {
                self.result = format!("fallback: {how}");
                self.look();
                match self.sight.health {
                    Some(Health::Unhealthy(_)) if !self.pass.interrupted() => Ok(self.degraded()),
                    _ => self.conclude(),
                }
            }
            Ran::Exited { how, .. } => {
                self.result = format!("fallback: {how}");
                self.recheck()
            }
            Ran::LeftRunning => {
                self.result = "fallback: still running".to_owned();
                self.recovered_if_steady("its fallback is still running")
            }
            Ran::TimedOut { how } => {
                self.result = format!("fallback: {how}");
                Ok(self.failed())
            }
        }
    }

    /// One look was healthy; where more are asked for, they are made.
    pub(super) fn recovered_if_steady(&mut self, note: &str) -> Step<Outcome> {
        if self.service.policy.success_threshold > 1 {
            return self.recheck();
        }
        Ok(self.recovered(Some(note.to_owned())))
    }

    fn degraded(&mut self) -> Outcome {
        if let Some(chain) = &mut self.state.chain {
            chain.degraded_since = Some(self.pass.now());
            chain.degraded_in = self.sight.details.as_ref().and_then(|details| details.started_at);
        }
        // Where that cannot be recorded, the next pass begins the chain anew; the trouble is told.
        let _ = self.save();
        let (reason, result) = (self.sight.reason(), self.ended());
        self.pass.emit(
            &self.service.name,
            EventKind::Degraded { duration: self.spent(), reason: reason.clone(), result: result.clone() },
        );
        Outcome::Degraded(Attempted { reason, result })
    }

    fn over_time(&self) -> String {
        format!("ended after {} s", self.service.restart_timeout.as_secs_f64())
    }

    /// Runs a command where the service's commands run.
    fn run(&mut self, text: &str) -> Step<Ran> {
        let pass = self.pass;
        let service = self.service;
        let at = self.sight.place.container().cloned();
        if at.is_none() && service.container.is_some() {
            // What belongs into a container is never run on the machine.
            return Err(self.not_done(Unknown::CutOff("its container is gone".to_owned())));
        }
        let target = at.clone().map_or(Target::Machine, Target::Container);
        let command = RestartCommand {
            service: &service.name,
            text,
            env: &service.env,
            user: service.user.as_deref(),
            log_path: service.log_path.as_deref(),
            timeout: service.restart_timeout,
        };
        let mut last: Option<Sight> = None;
        let result = pass.gates.command_in(at.as_ref(), || {
            pass.world.engine.run(&target, &command, &mut || {
                let sight = last.insert(look::look_now(pass, service, &self.sight));
                if sight.health == Some(Health::Healthy) { Overrun::Leave } else { Overrun::End }
            })
        });
        match result {
            RunResult::Exited(code) => Ok(Ran::Exited { well: code == 0, how: format!("exit {code}") }),
            RunResult::Complained { code: Some(code), said } => {
                Ok(Ran::Exited { well: false, how: format!("exit {code}: {}", in_one_line(&said)) })
            }
            RunResult::LeftRunning => Ok(Ran::LeftRunning),
            RunResult::TimedOut | RunResult::Complained { code: None, .. } => {
                self.sight = last.unwrap_or_else(|| self.sight.clone());
                let how = match &result {
                    RunResult::Complained { said, .. } => {
                        format!("{}: {}", self.over_time(), in_one_line(said))
                    }
                    _ => self.over_time(),
                };
                Ok(Ran::TimedOut { how })
            }
            RunResult::Interrupted => Err(Outcome::Interrupted),
            RunResult::Failed(why) => Err(self.not_done(why)),
        }
    }
}

/// The last lines of a command as they are told: masked, and cut where they are long.
fn in_one_line(said: &str) -> String {
    let masked = mask(said);
    let lines: Vec<&str> = masked.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    cut_chars(&lines.join(" | "), SAID_MAX)
}
