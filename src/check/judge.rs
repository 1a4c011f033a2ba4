//! How the raw answers to checks become [`Health`], the same for containers and the machine.

use super::expect::{Broken, cost};
use super::question::Question;
use super::{Failure, Health, Unknown, expect, missing};
use crate::config::model::{CustomCommand, HttpProbe, MissingProgram};

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

/// A custom check, as it is configured.
#[derive(Debug, Clone, Copy)]
pub struct Custom<'a> {
    /// What was run.
    pub command: &'a CustomCommand,
    /// Expectations over its standard output.
    pub expect_json: &'a [expect::JsonExpectation],
    /// What the lack of a program says.
    pub missing_program: MissingProgram,
}

/// What a custom command printed.
#[derive(Debug, Clone, Copy)]
pub struct Printed<'a> {
    /// What the expectations read.
    pub stdout: &'a Output,
    /// Where shells complain: standard error, or both streams in one.
    pub said: &'a Output,
    /// What a person is shown of a failure.
    pub shown: &'a Output,
}

/// Judges a custom command that ended with `code`; 126 and 127 mean that its program is missing.
#[must_use]
pub fn custom(check: &Custom<'_>, code: i32, printed: &Printed<'_>) -> Health {
    let health = match code {
        0 if check.expect_json.is_empty() => Health::Healthy,
        0 if printed.stdout.truncated => Health::Unknown(Unknown::OutputTooLarge { cap: LONG_CAP }),
        0 => expectations(check.expect_json, printed.stdout),
        _ => Health::Unhealthy(Failure::Exit { code, output: last_lines(&printed.shown.bytes) }),
    };
    match health {
        Health::Unhealthy(failure) if check.missing_program == MissingProgram::Unknown => {
            lacking(check, code, printed).map_or(Health::Unhealthy(failure), Health::Unknown)
        }
        health => health,
    }
}

/// The program whose lack decided that a check failed.
fn lacking(check: &Custom<'_>, code: i32, printed: &Printed<'_>) -> Option<Unknown> {
    if matches!(code, 126 | 127) {
        return Some(Unknown::NoTool(format!("the check's program is missing (exit {code})")));
    }
    let told = missing::decided(check.command, &printed.said.bytes)?;
    Some(Unknown::NoTool(format!("a program of the check cannot be run: {told}")))
}

fn expectations(list: &[expect::JsonExpectation], body: &Output) -> Health {
    if list.is_empty() {
        return Health::Healthy;
    }
    match expect::hold(list, &body.bytes) {
        Ok(()) => Health::Healthy,
        Err(Broken::Failed(text)) => Health::Unhealthy(Failure::Expectation(text)),
        Err(Broken::CannotTell(text)) => Health::Unknown(Unknown::Other(text)),
        Err(Broken::Costly) => unjudged(Question::expectations(list, &body.bytes)),
    }
}

fn unjudged(question: Question) -> Health {
    Health::Unknown(Unknown::Unjudged(Box::new(question)))
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
    /// When it was started, in clock ticks since boot; 0 where that is not known.
    pub started: u64,
}

impl ProcessRow {
    /// Whether both are one process, perhaps seen in two namespaces under two ids.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.started != 0 && self.started == other.started && self.command_line == other.command_line
    }
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
    let living = || rows.iter().filter(|row| !matches!(row.state, 'Z' | 'X' | 'x'));
    let length = living().map(|row| row.command_line.len()).sum();
    if cost::of_pattern(pattern.as_str(), length) > cost::CHEAP {
        let texts = living().filter(|row| !is_ours(row)).map(|row| row.command_line.clone()).collect();
        return unjudged(Question::any_match(pattern, texts));
    }
    if living().any(|row| pattern.is_match(&row.command_line) && !is_ours(row)) {
        Health::Healthy
    } else {
        Health::Unhealthy(Failure::NoProcess { pattern: pattern.as_str().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, ppid: u32, state: char, command_line: &str) -> ProcessRow {
        ProcessRow { pid, ppid, state, command_line: command_line.into(), started: 0 }
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
