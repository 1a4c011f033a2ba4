//! What is wrong with a configuration, as data, and its only wording on a terminal.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used; something in it is probably not meant so.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem: where, what is wrong, what would be right. Never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// From 1; 0 where the problem has no place in the text (a missing file, its owner).
    pub line: usize,
    /// From 1, in characters; 0 as above.
    pub column: usize,
    /// `services.minio.health_check.timeout_seconds`; empty where it concerns the whole file.
    pub path: String,
    /// What is wrong, and what would be right; one line.
    pub text: String,
}

impl Problem {
    /// A problem of the file as a whole.
    #[must_use]
    pub fn of_file(severity: Severity, text: String) -> Self {
        Self { severity, line: 0, column: 0, path: String::new(), text }
    }

    /// `FILE:LINE:COL: error: services.x.y: text`
    #[must_use]
    pub fn render(&self, file: &Path) -> String {
        let mut line = file.display().to_string();
        if self.line > 0 {
            line.push_str(&format!(":{}:{}", self.line, self.column));
        }
        line.push_str(&format!(": {}: ", self.severity));
        if !self.path.is_empty() {
            line.push_str(&self.path);
            line.push_str(": ");
        }
        line.push_str(&self.text);
        line
    }
}

/// `path.key`, or `path["odd key"]`.
pub(super) fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        // For every key of a configuration: `format!` takes three times as long.
        (true, false) => [path, ".", key].concat(),
        (false, _) => format!("{path}[{}]", quoted(key)),
    }
}

/// `path[index]`
pub(super) fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// In double quotes, on one line, not endless.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{:?}", format!("{short}{dots}"))
}

/// A configuration that cannot be used, with all its problems (warnings too), in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// At least one error.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    /// One line a problem, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(|p| p.render(&self.path)).collect();
        f.write_str(&lines.join("\n"))
    }
}
