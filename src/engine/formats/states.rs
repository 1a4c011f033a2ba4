//! The state of a container in docker's words, whichever engine names it.

/// A state as an inspection words it.
#[must_use]
pub fn normal(state: &str) -> String {
    let state = state.to_lowercase();
    match state.as_str() {
        "up" => "running".to_owned(),
        "stopped" => "exited".to_owned(),
        "configured" | "initialized" => "created".to_owned(),
        _ => state,
    }
}

/// A state as a listing words it: some engines put the text of the status there.
#[must_use]
pub fn of_listing(state: &str) -> String {
    if state.contains(' ') { of_status(state) } else { normal(state) }
}

/// What the text of a status says of the state.
#[must_use]
pub fn of_status(status: &str) -> String {
    let status = status.to_lowercase();
    if status.contains("(paused)") {
        return "paused".to_owned();
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
    let found = starts.iter().find(|(start, _)| status.starts_with(start));
    found.map_or_else(|| normal(&status), |&(_, state)| state.to_owned())
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

    #[test]
    fn podmans_listing_has_the_status_for_a_state() {
        for (state, normal) in [
            ("Up 5 seconds ago", "running"),
            ("Up Less than a second ago", "running"),
            ("Exited (3) 1 second ago", "exited"),
            ("Paused", "paused"),
            ("Created", "created"),
            ("Configured", "created"),
            ("Initialized", "created"),
            ("Stopped", "exited"),
            ("Stopping", "stopping"),
            ("Removing", "removing"),
            ("running", "running"),
        ] {
            assert_eq!(of_listing(state), normal, "{state}");
        }
    }
}
