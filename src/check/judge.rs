//! How the raw answers to checks become [`Health`], the same for containers and the machine.

use super::expect::Broken;
use super::{Failure, Health, Unknown, expect};
use crate::config::model::HttpProbe;

/// Output kept of a check where no expectation reads it, in bytes.
pub const SHORT_CAP: usize = 4 * 1024;
/// Output kept where an expectation reads it, in bytes.
pub const LONG_CAP: usize = 1024 * 1024;

/// What a check printed, up to its cap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

/// Whether an expectation reads the body of the answer.
#[must_use]
pub fn reads_body(probe: &HttpProbe) -> bool {
    probe.expect_body.is_some() || !probe.expect_json.is_empty()
}

/// A body that did not come whole, for that reason, must do as it is: what is missed in it may have been to come.
#[must_use]
pub fn unless_cut(health: Health, cut: Option<Health>) -> Health {
    match (health, cut) {
        (Health::Unhealthy(Failure::Expectation(_)), Some(cut)) => cut,
        (health, _) => health,
    }
}

/// Judges an HTTP answer whose status is known.
#[must_use]
pub fn http(probe: &HttpProbe, status: u16, body: &Output) -> Health {
    if !probe.expect_status.contains(status) {
        let expected = probe.expect_status.text.clone();
        return Health::Unhealthy(Failure::HttpStatus { status, expected });
    }
    let contains = |text: &String| memchr::memmem::find(&body.bytes, text.as_bytes()).is_some();
    let missing = probe.expect_body.as_ref().filter(|text| !contains(text));
    // What was found early stands there, however much follows.
    if body.truncated && (missing.is_some() || !probe.expect_json.is_empty()) {
        return Health::Unknown(Unknown::OutputTooLarge { cap: LONG_CAP });
    }
    if let Some(text) = missing {
        return Health::Unhealthy(Failure::Expectation(format!("the body does not contain {text:?}")));
    }
    expectations(&probe.expect_json, body)
}

/// Judges a custom command that ended with `code`; 126 and 127 mean that its program is missing.
///
/// `stdout` is what the expectations read; `shown` is what a person is shown of a failure.
#[must_use]
pub fn custom(expect_json: &[expect::JsonExpectation], code: i32, stdout: &Output, shown: &Output) -> Health {
    match code {
        0 if expect_json.is_empty() => Health::Healthy,
        0 if stdout.truncated => Health::Unknown(Unknown::OutputTooLarge { cap: LONG_CAP }),
        0 => expectations(expect_json, stdout),
        126 | 127 => {
            Health::Unknown(Unknown::NoTool(format!("the check's program is missing (exit {code})")))
        }
        _ => Health::Unhealthy(Failure::Exit { code, output: last_lines(&shown.bytes) }),
    }
}

fn expectations(list: &[expect::JsonExpectation], body: &Output) -> Health {
    if list.is_empty() {
        return Health::Healthy;
    }
    match expect::hold(list, &body.bytes) {
        Ok(()) => Health::Healthy,
        Err(Broken::Failed(text)) => Health::Unhealthy(Failure::Expectation(text)),
        Err(Broken::CannotTell(text)) => Health::Unknown(Unknown::Other(text)),
    }
}

/// The last five lines, as text.
#[must_use]
pub fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// One process of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its id, as seen where the listing was made.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// `R`, `S`, `Z`, … from `/proc/PID/stat`.
    pub state: char,
    /// Arguments joined by single spaces; empty for kernel threads and zombies.
    pub command_line: String,
}

/// Judges a process check: a living process matches that is none of `ours`, nor descended from one.
#[must_use]
pub fn process(pattern: &regex::Regex, rows: &[ProcessRow], ours: &dyn Fn(&ProcessRow) -> bool) -> Health {
    let parent_of = |pid: u32| rows.iter().find(|row| row.pid == pid);
    let is_ours = |row: &ProcessRow| {
        let mut at = Some(row);
        // A listing is no snapshot: a bounded climb, so that reused ids cannot make a circle.
        for _ in 0..64 {
            let Some(row) = at else { return false };
            if ours(row) {
                return true;
            }
            at = parent_of(row.ppid);
        }
        false
    };
    let alive = rows.iter().any(|row| {
        !matches!(row.state, 'Z' | 'X' | 'x') && pattern.is_match(&row.command_line) && !is_ours(row)
    });
    if alive {
        Health::Healthy
    } else {
        Health::Unhealthy(Failure::NoProcess { pattern: pattern.as_str().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, ppid: u32, state: char, command_line: &str) -> ProcessRow {
        ProcessRow { pid, ppid, state, command_line: command_line.into() }
    }

    #[test]
    fn a_zombie_and_our_own_processes_are_no_living_process() {
        let pattern = regex::Regex::new("minio server").unwrap();
        let ours = |row: &ProcessRow| row.pid == 10;
        let down = |rows: &[ProcessRow]| process(&pattern, rows, &ours) != Health::Healthy;
        assert!(!down(&[row(5, 1, 'S', "/usr/bin/minio server /data")]));
        assert!(down(&[row(5, 1, 'Z', "/usr/bin/minio server /data")]));
        assert!(down(&[row(10, 0, 'S', "sh"), row(11, 10, 'S', "pgrep -f minio server")]));
        assert!(down(&[row(11, 12, 'S', "x"), row(12, 11, 'S', "y")]));
    }

    #[test]
    fn only_the_last_five_lines_are_kept() {
        assert_eq!(last_lines(b"1\n2\n3\n4\n5\n6\n"), "2\n3\n4\n5\n6");
        assert_eq!(last_lines(b""), "");
    }
}
