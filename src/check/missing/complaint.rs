//! What shells, and programs that start others, say where a program cannot be run.

use std::sync::LazyLock;

use regex::Regex;

/// `bash: line 1: NAME: …`, `sh: 1: eval: NAME: …`, `sh: eval: line 0: NAME: …`, in any language.
static NUMBERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text =
        r"^([^\s:]+)\s?: (?:(?:eval|exec): )?(?:\pL+ )?\d+\s?: (?:(?:eval|exec)\s?: )?([^:]+?)\s?: (.+)$";
    Regex::new(text).ok()
});
/// `sh: NAME: not found`, as shells without line numbers have it.
static PLAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r"^(-?(?:/\S*/)?(?:ba|da|a|k|mk)?sh)\s?: (?:exec: )?([^:]+?)\s?: (.+)$";
    Regex::new(text).ok()
});
/// The name of a shell as it begins a complaint.
static SHELL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?:/[\w./-]*/)?\b(?:ba|da|a|k|mk)?sh\s?: ").ok());
/// `env: ‘NAME’: No such file or directory`, `timeout: can't execute 'NAME': …`, `xargs: NAME: …`.
static LAUNCHER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r#"^(?:/\S*/)?(env|timeout|nohup|nice|ionice|chrt|taskset|setsid|xargs|stdbuf|sudo|doas|su-exec|setpriv|chroot|flock|unshare|nsenter|time|busybox): (?:can't execute |cannot execute |failed to run command |failed to execute )?[‘'"`]?([^‘’'"`:]+)[’'"`]?: (No such file or directory|Permission denied|command not found|not found)$"#;
    Regex::new(text).ok()
});
/// As Go programs say it (gosu, `docker exec`), and busybox of its own parts.
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:exec: "|^)([^":\s]+)"?: (executable file not found|applet not found)"#).ok()
});

/// Who complains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A shell, of a program that it was to run.
    Shell,
    /// Another program, of one that it was to start.
    Launcher,
}

/// A line that says that a program cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) who: Who,
    /// What the one who complains is called: a shell, or a script.
    pub(super) by: String,
    /// The program.
    pub(super) program: String,
    /// Why.
    pub(super) why: String,
    /// Nothing was said after it.
    pub(super) last: bool,
}

impl Complaint {
    /// Whether its words alone tell that a program is missing: elsewhere it might be a file.
    pub(super) fn is_plain(&self) -> bool {
        ["not found", "command not found", "inaccessible or not found", "executable file not found"]
            .contains(&self.why.as_str())
            || self.why.starts_with("cannot execute: ")
            || self.why.contains("bad interpreter: ")
            || self.who == Who::Launcher
    }
}

/// All complaints in what a check said.
pub(super) fn all(said: &[u8]) -> Vec<Complaint> {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let mut found: Vec<Complaint> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let complaint = one(line).or_else(|| after_a_line_without_end(line));
        found.extend(complaint.map(|complaint| Complaint { last: at + 1 == lines.len(), ..complaint }));
    }
    found
}

/// What a shell said behind output that did not end its line: `{"status":"ok"}sh: 1: mytool: not found`.
fn after_a_line_without_end(line: &str) -> Option<Complaint> {
    let starts = SHELL.as_ref()?.find_iter(line).map(|found| found.start());
    starts
        .filter_map(|start| one(&line[start..]))
        .find(|complaint| complaint.who == Who::Shell && complaint.is_plain())
}

fn one(line: &str) -> Option<Complaint> {
    let captures = |pattern: &'static LazyLock<Option<Regex>>| pattern.as_ref()?.captures(line);
    let complaint = |who, by: &str, program: &str, why: &str| Complaint {
        who,
        by: by.to_owned(),
        program: program.to_owned(),
        why: why.to_owned(),
        last: false,
    };
    if let Some(found) = captures(&LAUNCHER) {
        return Some(complaint(Who::Launcher, &found[1], &found[2], &found[3]));
    }
    if let Some(found) = captures(&QUOTED) {
        return Some(complaint(Who::Launcher, "exec", &found[1], &found[2]));
    }
    let found = captures(&NUMBERED).or_else(|| captures(&PLAIN))?;
    Some(complaint(Who::Shell, &found[1], &found[2], &found[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_and_launchers_are_understood() {
        let program = |line: &str| one(line).map(|complaint| complaint.program);
        for line in [
            "bash: line 1: mytool: command not found",
            "bash: mytool: command not found",
            "bash: line 1: exec: mytool: not found",
            "bash: Zeile 1: mytool: Kommando nicht gefunden.",
            "bash: ligne 1 : mytool : commande introuvable",
            "bash: line 3: mytool: /no/such: bad interpreter: No such file or directory",
            "/app/check.sh: line 3: mytool: command not found",
            "/app/check.sh: 3: mytool: not found",
            "dash: 1: eval: mytool: not found",
            "dash: 1: exec: mytool: not found",
            "sh: 1: mytool: Permission denied",
            "sh: eval: line 0: mytool: not found",
            "sh: exec: line 0: mytool: not found",
            "sh: mytool: not found",
            "/bin/sh: mytool: not found",
            "env: ‘mytool’: No such file or directory",
            "/usr/bin/env: 'mytool': No such file or directory",
            "timeout: failed to run command ‘mytool’: No such file or directory",
            "timeout: can't execute 'mytool': No such file or directory",
            "setsid: failed to execute mytool: No such file or directory",
            "xargs: mytool: No such file or directory",
            "sudo: mytool: command not found",
            "mytool: applet not found",
            "OCI runtime exec failed: exec: \"mytool\": executable file not found in $PATH: unknown",
        ] {
            assert_eq!(program(line).as_deref(), Some("mytool"), "{line}");
        }
    }

    #[test]
    fn a_complaint_behind_output_without_a_line_end_is_heard() {
        for line in [
            "{\"status\":\"ok\"}sh: 1: eval: mytool: not found",
            "{\"status\":\"ok\"}/usr/bin/sh: 1: mytool: not found",
            "status: bash: line 1: mytool: command not found",
            "status: sh: mytool: not found",
        ] {
            let found = all(line.as_bytes());
            assert_eq!(found.len(), 1, "{line}");
            assert_eq!(found[0].program, "mytool", "{line}");
        }
        assert!(all(b"the crash: file not found").is_empty());
    }

    #[test]
    fn what_a_program_says_of_its_own_is_no_complaint() {
        for line in [
            "curl: (22) The requested URL returned error: 404 Not Found",
            "HTTP/1.1 404 not found",
            "mytool: not found",
            "mytool: key: not found",
            "command not found in registry",
            "cat: /run/x.pid: No such file or directory",
            "find: ‘data’: No such file or directory",
            "dash: 1: eval: cannot open /run/x.pid: No such file",
            "xargs: mytool: exited with status 255; aborting",
            "timeout: sending signal TERM to command ‘mytool’",
            "12:30: mytool: not found",
        ] {
            let told = one(line).filter(Complaint::is_plain);
            assert_eq!(told, None, "{line}");
        }
    }
}
