//! A loopback stand-in for an ntfy server: it records what it is sent and answers as a test says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::server::{Reply, Request, Server};

/// The double; it stops at Drop.
pub struct Ntfy {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<(Request, bool)>,
    script: VecDeque<Reply>,
    topics: BTreeMap<String, Reply>,
    otherwise: Option<Reply>,
}

impl Ntfy {
    /// Takes every message.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let mut state = shared.lock().expect("no test panics while it holds this");
            let reply = state
                .script
                .pop_front()
                .or_else(|| state.topics.get(&topic_of(request)).cloned())
                .or_else(|| state.otherwise.clone())
                .unwrap_or_else(|| taken(request));
            let accepted = matches!(reply, Reply::Http(200, ..));
            state.requests.push((request.clone(), accepted));
            reply
        });
        Self { server, state }
    }

    /// Its root URL, as `notifications.ntfy.server` wants it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Answers the next requests so, one after another, and then as before.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().script.extend(replies);
    }

    /// Answers everything so from now on; `None`: takes every message again.
    pub fn always(&self, reply: Option<Reply>) {
        self.state().otherwise = reply;
    }

    /// Answers what goes to one topic so from now on; `None`: as everything else.
    pub fn topic(&self, topic: &str, reply: Option<Reply>) {
        match reply {
            Some(reply) => self.state().topics.insert(topic.to_owned(), reply),
            None => self.state().topics.remove(topic),
        };
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.iter().map(|(request, _)| request.clone()).collect()
    }

    /// The JSON bodies of the requests that were answered 200: what a phone would have shown.
    pub fn messages(&self) -> Vec<Value> {
        let state = self.state();
        let accepted = state.requests.iter().filter(|(_, accepted)| *accepted);
        accepted.map(|(r, _)| serde_json::from_slice(&r.body).expect("a message is JSON")).collect()
    }

    /// Their titles.
    pub fn titles(&self) -> Vec<String> {
        let text = |message: &Value| message["title"].as_str().unwrap_or_default().to_owned();
        self.messages().iter().map(text).collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }
}

fn topic_of(request: &Request) -> String {
    let body = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    body["topic"].as_str().unwrap_or_default().to_owned()
}

/// The server's own answers: a message published, or what it says to a request that is none.
fn taken(request: &Request) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return refusal(400, 40024, "invalid request: request body must be valid JSON");
    };
    let valid = body["topic"].as_str().is_some_and(|t| {
        (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    });
    if request.method != "POST" || request.path != "/" || !valid {
        return refusal(400, 40009, "invalid request: topic invalid");
    }
    if body["message"].as_str().is_some_and(|text| text.len() > 4096) || request.body.len() > 8192 {
        return refusal(413, 41301, "request entity too large");
    }
    Reply::status(200, &json!({"id": "x", "event": "message", "topic": body["topic"]}).to_string())
}

/// An error as the server words it: 401 (40101), 403 (40301), 413 (41301), 429 (42908: the day's quota), …
pub fn refusal(status: u16, code: u32, error: &str) -> Reply {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Reply::Http(status, headers, json!({"code": code, "http": status, "error": error}).to_string())
}
