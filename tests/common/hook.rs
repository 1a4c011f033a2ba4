//! A loopback webhook: it records what it is sent and answers as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::server::{Reply, Request, Server};

/// The double; it stops at Drop.
pub struct Hook {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<(Request, bool)>,
    script: VecDeque<Reply>,
    otherwise: Option<Reply>,
}

impl Hook {
    /// Takes every event.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let mut state = shared.lock().expect("no test panics while it holds this");
            let reply = state.script.pop_front().or_else(|| state.otherwise.clone());
            let reply = reply.unwrap_or_else(|| Reply::status(204, ""));
            let taken = matches!(reply, Reply::Http(200..300, ..));
            state.requests.push((request.clone(), taken));
            reply
        });
        Self { server, state }
    }

    /// An address on it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// Answers the next requests so, one after another, and then as before.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().script.extend(replies);
    }

    /// Answers everything so from now on; `None`: takes every event again.
    pub fn always(&self, reply: Option<Reply>) {
        self.state().otherwise = reply;
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.iter().map(|(request, _)| request.clone()).collect()
    }

    /// The bodies that were taken.
    pub fn events(&self) -> Vec<Value> {
        let state = self.state();
        let taken = state.requests.iter().filter(|(_, taken)| *taken);
        taken.map(|(request, _)| serde_json::from_slice(&request.body).expect("an event is JSON")).collect()
    }

    /// `KIND component` of those.
    pub fn told(&self) -> Vec<String> {
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        self.events().iter().map(|e| format!("{} {}", text(e, "kind"), text(e, "component_name"))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }
}
