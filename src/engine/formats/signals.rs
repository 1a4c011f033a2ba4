//! Names of signals, as containers have them for their stop.

/// The number of `SIGTERM`, `TERM` or `15`; `None` where it is none that programs are stopped or messaged with.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    let name = name.trim().to_ascii_uppercase();
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let real_time =
        |rest: &str, base: i32| rest.parse::<i32>().ok().and_then(|offset| base.checked_add(offset));
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "HUP" => Some(1),
        "INT" => Some(2),
        "QUIT" => Some(3),
        "KILL" => Some(9),
        "USR1" => Some(10),
        "USR2" => Some(12),
        "TERM" => Some(15),
        "CONT" => Some(18),
        "TTIN" => Some(21),
        "TTOU" => Some(22),
        "WINCH" => Some(28),
        "PWR" => Some(30),
        "RTMIN" => Some(34),
        other => other.strip_prefix("RTMIN+").and_then(|rest| real_time(rest, 34)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_mean_the_same() {
        for (name, expected) in
            [("SIGTERM", 15), ("term", 15), ("15", 15), ("SIGWINCH", 28), ("SIGRTMIN+3", 37), ("SIGQUIT", 3)]
        {
            assert_eq!(number(name), Some(expected), "{name}");
        }
        for name in ["", "SIG", "SIGNONE", "RTMIN+x"] {
            assert_eq!(number(name), None, "{name}");
        }
    }
}
