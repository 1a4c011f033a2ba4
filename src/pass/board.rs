//! Where the outcomes of a pass are posted, and waited for by the services that depend on them.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex};

use super::Outcome;
use crate::config::model::{Service, ServiceName};

/// The outcomes so far.
#[derive(Debug)]
pub(super) struct Board {
    outcomes: Mutex<HashMap<ServiceName, Option<Outcome>>>,
    posted: Condvar,
}

impl Board {
    /// An empty board for these services.
    pub(super) fn new(services: impl Iterator<Item = ServiceName>) -> Self {
        Self { outcomes: Mutex::new(services.map(|name| (name, None)).collect()), posted: Condvar::new() }
    }

    /// Posts the final outcome of a service.
    pub(super) fn post(&self, service: &ServiceName, outcome: Outcome) {
        let mut outcomes = self.outcomes.lock().expect("the board is never held across a panic");
        outcomes.insert(service.clone(), Some(outcome));
        self.posted.notify_all();
    }

    /// The duty to post an outcome: also where the handling panics, so that nobody waits for ever.
    pub(super) fn duty<'b>(&'b self, service: &'b ServiceName) -> Duty<'b> {
        Duty { board: self, service, outcome: Outcome::NotRecorded }
    }

    /// The final outcome of a service, waited for; `None` where it is not part of this pass.
    ///
    /// Services wait for their dependencies only, and these have no cycles, so nobody waits for ever.
    pub(super) fn wait(&self, service: &ServiceName) -> Option<Outcome> {
        let mut outcomes = self.outcomes.lock().expect("the board is never held across a panic");
        loop {
            match outcomes.get(service) {
                None => return None,
                Some(Some(outcome)) => return Some(outcome.clone()),
                Some(None) => {
                    outcomes = self.posted.wait(outcomes).expect("the board is never held across a panic");
                }
            }
        }
    }

    /// The outcome of a service so far, not waited for.
    pub(super) fn posted(&self, service: &ServiceName) -> Option<Outcome> {
        let outcomes = self.outcomes.lock().expect("the board is never held across a panic");
        outcomes.get(service).cloned().flatten()
    }

    /// All outcomes in the order of the plan.
    pub(super) fn all(&self, services: &[&Service]) -> Vec<(ServiceName, Outcome)> {
        services
            .iter()
            .filter_map(|service| Some((service.name.clone(), self.wait(&service.name)?)))
            .collect()
    }
}

/// Posts an outcome when it ends.
#[derive(Debug)]
pub(super) struct Duty<'b> {
    board: &'b Board,
    service: &'b ServiceName,
    outcome: Outcome,
}

impl Duty<'_> {
    /// It was done, with this outcome.
    pub(super) fn done(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        self.board.post(self.service, self.outcome.clone());
    }
}
