//! "Did you mean": which known name was clearly meant by an unknown one.

/// Endings that only name a unit: `timeout`, `timeout_secs` and `timeout_ms` all mean `timeout_seconds`.
const UNITS: [&str; 9] = ["_seconds", "_second", "_secs", "_sec", "_s", "_ms", "_millis", "_minutes", "_min"];

/// Words that other tools use for the same thing.
const SYNONYMS: [(&str, &str); 12] = [
    ("depends_on", "dependencies"),
    ("requires", "dependencies"),
    ("url", "endpoint"),
    ("uri", "endpoint"),
    ("token", "token_env"),
    ("healthcheck", "health_check"),
    ("regex", "matches"),
    ("logfile", "log_file"),
    ("strategy", "strategies"),
    ("cleanup", "cleanup_cmd"),
    ("fallback", "fallback_cmd"),
    ("name", "service"),
];

/// The candidate that was clearly meant by `name`: a few edits away, or the same word in another spelling.
#[must_use]
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic in the length; no name we know is nearly as long.
    if name.len() > 200 {
        return None;
    }
    let wanted = normal(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let Some(distance) = distance(&wanted, candidate) else { continue };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How far a candidate is away; `None` where it is too far to have been meant.
fn distance(wanted: &str, candidate: &str) -> Option<usize> {
    let known = normal(candidate);
    if *wanted == known || SYNONYMS.contains(&(wanted, candidate)) {
        return Some(0);
    }
    if stem(wanted) == stem(&known) {
        return Some(1);
    }
    let allowed = match known.chars().count().min(wanted.chars().count()) {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    let edits = strsim::osa_distance(wanted, &known);
    (edits <= allowed).then_some(edits + 1)
}

/// `restartCmd`, `Restart-Cmd` and `restart_command` become `restart_cmd`.
fn normal(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut previous_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && previous_lower {
            text.push('_');
        }
        previous_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        text.push(if matches!(c, '-' | ' ' | '.') { '_' } else { c.to_ascii_lowercase() });
    }
    text.replace("command", "cmd").replace("directory", "dir")
}

fn stem(name: &str) -> &str {
    UNITS.iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_clearly_meant_is_found_and_nothing_else() {
        let keys =
            ["timeout_seconds", "restart_cmd", "restart", "dependencies", "env", "user", "type", "port"];
        let table = [
            ("timeout_secs", Some("timeout_seconds")),
            ("timeout", Some("timeout_seconds")),
            ("timeoutSeconds", Some("timeout_seconds")),
            ("timeuot_seconds", Some("timeout_seconds")),
            ("restart_command", Some("restart_cmd")),
            ("restart-cmd", Some("restart_cmd")),
            ("depends_on", Some("dependencies")),
            ("dependancies", Some("dependencies")),
            ("tpye", Some("type")),
            ("Port", Some("port")),
            ("description", None),
            ("notes", None),
            ("owner", None),
            ("tags", None),
            ("", None),
        ];
        for (name, meant) in table {
            assert_eq!(suggest(name, keys), meant, "{name}");
        }
        assert_eq!(suggest("mino", ["db", "minio", "minion"]), Some("minio"));
    }
}
