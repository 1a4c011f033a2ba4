//! The restart after a dependency: of a service that may well be healthy, and without using up an attempt.

use super::{Attempt, Step};
use crate::config::model::ServiceName;
use crate::event::{self, EventKind, Level};
use crate::history;
use crate::pass::facts::Progress;
use crate::pass::outcome::{Attempted, Outcome};
use crate::pass::{act, follow, look};
use crate::state::Restarted;

impl Attempt<'_, '_> {
    pub(super) fn follow_by_command(&mut self, after: &ServiceName) -> Step<Outcome> {
        self.record_follow(after, false)?;
        self.clean_up()?;
        self.pass.acting(&self.service.name, event::Action::Restart);
        let Some(text) = self.service.restart_cmd.as_deref() else { return self.recheck() };
        self.restart_with(text)
    }

    /// Writes it to disk, before it is made; a failed look before it counts as one.
    pub(super) fn record_follow(&mut self, after: &ServiceName, container: bool) -> Step<()> {
        if self.pass.interrupted() {
            return Err(Outcome::Interrupted);
        }
        self.before = Progress { begun: true, ..self.progress.clone() };
        let text = format!("{} is restarted after {after}, on which it depends", self.service.name);
        self.pass.note(Some(&self.service.name), Level::Info, &text);
        self.number = history::count(&self.state.attempts, self.pass.now(), self.service.failure_window);
        history::follow(&mut self.state.follows, self.pass.now(), self.service.failure_window);
        self.restarting(container, true);
        if look::is_down(&self.sight) && !self.progress.counted {
            self.state.saw_unhealthy(self.sight.at);
            self.progress.counted = true;
        }
        self.progress.followed = Some(after.clone());
        self.save().map_err(|()| Outcome::NotRecorded)
    }

    /// Takes into the state what a restart means for those that follow this service, and for what it follows.
    pub(super) fn restarting(&mut self, container: bool, begun: bool) {
        if self.pass.links.is_followed(&self.service.name) {
            self.state.restarted = Some(Restarted { at: self.pass.now(), container });
        }
        follow::record(self.pass, self.service, &mut self.state, begun);
    }

    /// Writes that the restart was made, whatever comes of it.
    pub(super) fn follow_made(&mut self) {
        if self.progress.followed.is_some() {
            follow::made(&mut self.state);
            // Where that cannot be recorded, it may be made once more; the trouble is told.
            let _ = self.save();
        }
    }

    /// It is well after it was restarted. One that was down has been recovered.
    pub(super) fn followed(&mut self, after: ServiceName, note: Option<String>) -> Outcome {
        if self.was_down {
            let note = note.map_or_else(|| format!("after {after}"), |note| format!("after {after}; {note}"));
            self.pass.emit(
                &self.service.name,
                EventKind::Recovered { duration: self.spent(), attempt: self.number, note: Some(note) },
            );
            return Outcome::Recovered;
        }
        let text = format!("{} was restarted after {after}, and is healthy", self.service.name);
        self.pass.note(Some(&self.service.name), Level::Info, &text);
        Outcome::Followed(after)
    }

    /// It is not: its own strategies begin at the next pass, since one restart a pass is enough.
    pub(super) fn not_followed(&mut self, after: &ServiceName) -> Outcome {
        if !look::is_down(&self.sight) {
            // What failed is the restart itself, and it may have come to nothing. The container's gate may be held.
            self.sight = look::look_now(self.pass, self.service, &self.sight);
        }
        if !look::is_down(&self.sight) {
            let text = format!("{} could not be restarted after {after}: {}", self.service.name, self.result);
            self.pass.note(Some(&self.service.name), Level::Warning, &text);
            return act::settle(&self.sight);
        }
        if !self.progress.counted {
            self.state.saw_unhealthy(self.sight.at);
            self.progress.counted = true;
        }
        let _ = self.save();
        let reason = self.sight.reason();
        let result = format!("restarted after {after}: {}", self.result);
        self.say_failed(&reason, &result);
        Outcome::Failed(Attempted { reason, result })
    }
}
