//! The engine's answers.

use recovery::engine::Earlier;
use recovery::engine::docker::ended;
use recovery::engine::formats::errors::Asked;
use recovery::engine::formats::{Dialect, errors, events, inspect, listing};

pub fn run(data: &[u8]) {
    if let Ok(containers) = listing::parse(data) {
        assert!(containers.iter().all(|container| !container.at.id.is_empty()));
    }
    if let Ok(container) = inspect::parse(data) {
        for dialect in [Dialect::Docker, Dialect::Podman] {
            let happened = events::parse(data, dialect);
            let _ = ended::said(&happened, &container);
            let _ = ended::is_being_stopped(&happened, &container, &Earlier::default());
        }
        if let Some(finished_at) = container.finished_at {
            for window in [
                ended::Window::around(&container, finished_at),
                ended::Window::whole(&container, finished_at, finished_at),
                ended::Window::before(&container, finished_at),
            ] {
                let _ = events::question(container.dialect, "box", window.since, window.until);
            }
        }
    }
    for code in [1, 125, 126, 127] {
        let _ = listing::as_engine_trouble(errors::of_call(data, code, "box", Asked::Order)).to_string();
        let text = String::from_utf8_lossy(data);
        let _ = errors::of_exec(&text, &text, Some(code)).to_string();
    }
}
