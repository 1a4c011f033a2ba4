//! The engine's answers.

use recovery::engine::docker::ended;
use recovery::engine::formats::{errors, events, inspect, listing};

pub fn run(data: &[u8]) {
    if let Ok(containers) = listing::parse(data) {
        assert!(containers.iter().all(|container| !container.at.id.is_empty()));
    }
    let happened = events::parse(data);
    if let Ok(container) = inspect::parse(data) {
        let end = ended::end(&happened, &container);
        if let Some(finished_at) = container.finished_at {
            let _ = ended::Window::around(&container, finished_at).arguments();
        }
        let _ = container.details(end);
    }
    for code in [1, 125, 126, 127] {
        let _ = listing::as_engine_trouble(errors::of_call(data, code, "box")).to_string();
        let text = String::from_utf8_lossy(data);
        let _ = errors::of_exec(&text, &text, Some(code)).to_string();
    }
}
