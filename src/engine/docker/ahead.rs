//! Execs that are begun while the containers are still being listed, in those that a pass will probably look into.
//!
//! An agent without its script does nothing: its shell waits for standard input, and ends with it. The script is
//! held back until the listing has the same container, by its full id, under the same name and running. All other
//! agents are let go unheard, whatever became of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::agent::ExecAgent;
use super::client::Client;
use crate::engine::{Container, ContainerRef, Expected, batch};

/// Agents that wait for their script.
#[derive(Debug, Clone, Default)]
pub struct Ahead(Arc<Mutex<Vec<(Expected, ExecAgent)>>>);

impl Ahead {
    /// Begins these.
    pub fn begin(&self, client: &Client, likely: &[Expected]) {
        let begun = |expected: &Expected| {
            let user = expected.user.as_deref();
            // Where it does not start, the look will say so.
            let agent = ExecAgent::start(client, &expected.at, user, &batch::LOOK_ARGV).ok()?;
            Some((expected.clone(), agent))
        };
        self.waiting().extend(likely.iter().filter_map(begun));
    }

    /// Keeps those whose container is listed as it was expected, and ends the others.
    pub fn confirm(&self, listing: &[Container]) {
        let is_there =
            |at: &ContainerRef| listing.iter().any(|found| found.at == *at && found.state == "running");
        self.waiting().retain(|(expected, _)| is_there(&expected.at));
    }

    /// The agent that waits in that container as that user; the caller's from now on.
    pub fn take(&self, at: &ContainerRef, user: Option<&str>) -> Option<ExecAgent> {
        let mut waiting = self.waiting();
        let is_it = |(expected, _): &(Expected, _)| expected.at == *at && expected.user.as_deref() == user;
        let index = waiting.iter().position(is_it)?;
        Some(waiting.swap_remove(index).1)
    }

    /// Whatever panicked meanwhile, a list of agents stays one.
    fn waiting(&self) -> MutexGuard<'_, Vec<(Expected, ExecAgent)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
