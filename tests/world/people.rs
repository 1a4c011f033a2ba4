//! Who is told, and what is written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recovery::alert::Alert;
use recovery::event::Event;
use recovery::journal::Record;
use recovery::notify::{Notifier, NotifyError};

use super::effects::Effects;

/// Takes alerts, unless told otherwise.
pub struct FakeNotifier {
    effects: Arc<Effects>,
    /// Answers to the next alerts; afterwards yes.
    pub answers: Mutex<VecDeque<NotifyError>>,
    /// Out of reach until further notice.
    pub unreachable: Mutex<bool>,
    delivered: Mutex<Vec<Alert>>,
}

impl FakeNotifier {
    pub fn new(effects: Arc<Effects>) -> Self {
        Self {
            effects,
            answers: Mutex::default(),
            unreachable: Mutex::new(false),
            delivered: Mutex::default(),
        }
    }

    pub fn next(&self, answers: impl IntoIterator<Item = NotifyError>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn set_unreachable(&self, yes: bool) {
        *self.unreachable.lock().unwrap() = yes;
    }

    pub fn take(&self) -> Vec<Alert> {
        std::mem::take(&mut self.delivered.lock().unwrap())
    }
}

impl Notifier for FakeNotifier {
    fn send(&self, alert: &Alert, _left: Duration) -> Result<(), NotifyError> {
        self.effects.tick();
        if *self.unreachable.lock().unwrap() {
            return Err(NotifyError::Later("connection refused".to_owned()));
        }
        if let Some(error) = self.answers.lock().unwrap().pop_front() {
            return Err(error);
        }
        self.delivered.lock().unwrap().push(alert.clone());
        // The server has it; whether we live to hear the yes is another matter.
        self.effects.tick();
        Ok(())
    }
}

/// Keeps events.
pub struct Log {
    effects: Arc<Effects>,
    events: Mutex<Vec<Event>>,
}

impl Log {
    pub fn new(effects: Arc<Effects>) -> Self {
        Self { effects, events: Mutex::default() }
    }

    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

impl Record for Log {
    fn record(&self, event: &Event) {
        self.effects.tick();
        self.events.lock().unwrap().push(event.clone());
    }
}
