//! The state of a container in docker's words, whichever engine names it.

/// States of compatible engines in docker's words.
#[must_use]
pub fn normal(state: &str) -> String {
    let state = state.to_lowercase();
    match state.as_str() {
        "up" => "running".to_owned(),
        "stopped" => "exited".to_owned(),
        "configured" | "initialized" => "created".to_owned(),
        "stopping" => "removing".to_owned(),
        _ => state,
    }
}

/// What the text of a status says of the state.
#[must_use]
pub fn of_status(status: &str) -> &'static str {
    let status = status.to_lowercase();
    if status.contains("(paused)") {
        return "paused";
    }
    let starts = [
        ("up", "running"),
        ("exited", "exited"),
        ("restarting", "restarting"),
        ("created", "created"),
        ("paused", "paused"),
        ("dead", "dead"),
        ("removal", "removing"),
    ];
    starts.iter().find(|(start, _)| status.starts_with(start)).map_or("unknown", |&(_, state)| state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_the_state() {
        for (status, state) in [
            ("Up 3 minutes", "running"),
            ("Up 3 minutes (healthy)", "running"),
            ("Up Less than a second (health: starting)", "running"),
            ("Up 3 seconds (Paused)", "paused"),
            ("Exited (137) 1 second ago", "exited"),
            ("Restarting (4) Less than a second ago", "restarting"),
            ("Created", "created"),
            ("Dead", "dead"),
            ("Removal In Progress", "removing"),
        ] {
            assert_eq!(of_status(status), state, "{status}");
        }
    }
}
