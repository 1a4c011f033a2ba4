//! A loopback HTTP service whose health a test switches.

use std::sync::{Arc, Mutex};

use super::server::{Reply, Request, Server};

/// The double; it stops at Drop, and its port refuses connections from then on.
pub struct HttpService {
    server: Server,
    state: Arc<Mutex<(Reply, Vec<Request>)>>,
}

impl HttpService {
    /// Answers 200 and `{"status":"ok"}` until told otherwise.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new((Reply::status(200, r#"{"status":"ok"}"#), Vec::new())));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let mut state = shared.lock().expect("no test panics while it holds this");
            state.1.push(request.clone());
            state.0.clone()
        });
        Self { server, state }
    }

    /// Answers so from now on.
    pub fn answer(&self, reply: Reply) {
        self.state.lock().expect("no test panics while it holds this").0 = reply;
    }

    /// Its URL with that path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().expect("no test panics while it holds this").1.clone()
    }
}
