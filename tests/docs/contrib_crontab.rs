//! `contrib/crontab` is a file that Debian's cron reads: its form, its environment, its one line. That cron itself
//! runs it is tested in `cron.rs`.

use crate::common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::docker::skipped;
use common::fixture::{Fixture, LIMIT};
use common::run;
use regex::Regex;
use serde_json::json;

const SHIPPED: &str = include_str!("../../contrib/crontab");

/// A line of a file in `/etc/cron.d`.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Nothing,
    Setting { name: &'a str, value: &'a str },
    Job { schedule: &'a str, user: &'a str, command: &'a str },
}

/// As `crontab(5)` has it. A `#` after a command is a part of the command.
fn parse(line: &str) -> Option<Line<'_>> {
    let line = line.trim_start_matches([' ', '\t']);
    if line.is_empty() || line.starts_with('#') {
        return Some(Line::Nothing);
    }
    let setting = Regex::new(r"^([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$").expect("a valid expression");
    if let Some(found) = setting.captures(line) {
        let text = |group| found.get(group).map_or("", |text| text.as_str());
        return Some(Line::Setting { name: text(1), value: text(2) });
    }
    let field = r"(?:\*|\d+(?:-\d+)?)(?:/\d+)?(?:,\d+(?:-\d+)?)*";
    let job = format!(r"^({field}(?:\s+{field}){{4}})\s+([a-z_][a-z0-9_-]*)\s+(\S.*)$");
    let found = Regex::new(&job).expect("a valid expression").captures(line)?;
    let text = |group| found.get(group).map_or("", |text| text.as_str());
    Some(Line::Job { schedule: text(1), user: text(2), command: text(3) })
}

fn lines() -> Vec<Line<'static>> {
    SHIPPED
        .lines()
        .map(|line| parse(line).unwrap_or_else(|| panic!("no line of a crontab: {line}")))
        .collect()
}

fn job() -> (&'static str, &'static str, &'static str) {
    let mut jobs = lines().into_iter().filter_map(|line| match line {
        Line::Job { schedule, user, command } => Some((schedule, user, command)),
        _ => None,
    });
    let only = jobs.next().expect("a job");
    assert_eq!(jobs.next(), None);
    only
}

fn setting(wanted: &str) -> &'static str {
    let found = lines().into_iter().find_map(|line| match line {
        Line::Setting { name, value } if name == wanted => Some(value),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("it sets no {wanted}"))
}

/// An unescaped `%` is a new line to cron, a `$PATH` in a setting is not expanded, and a last line without its end
/// is not read at all.
#[test]
fn it_has_the_form_that_cron_reads() {
    let (schedule, user, command) = job();
    assert_eq!((schedule, user), ("*/5 * * * *", "root"));
    let plain_percent = Regex::new(r"(^|[^\\])%").expect("a valid expression");
    assert!(!plain_percent.is_match(command), "{command}");
    assert!(SHIPPED.ends_with('\n') && !SHIPPED.contains('\r'));
    assert!(SHIPPED.lines().all(|line| line.len() < 1000), "cron cuts long lines");
    for line in lines() {
        if let Line::Setting { name, value } = line {
            assert!(!value.contains(['$', '%']), "cron expands nothing in {name}={value}");
        }
    }
    assert!(setting("PATH").split(':').all(|folder| folder.starts_with('/')), "{}", setting("PATH"));
    let mode = fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/crontab")).expect("it ships");
    assert_eq!(mode.permissions().mode() & 0o111, 0, "it is no program");
}

#[test]
fn what_cron_does_not_read_is_noticed_here() {
    for wrong in [
        "*/5 * * * root recovery run",
        "*/5 * * * * recovery",
        "* * * * * Root recovery",
        "PATH",
        "* x * * * root a",
    ] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

/// Cron's own check knows crontabs of users only, which name none.
#[test]
fn crontab_itself_accepts_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("crontab");
    // The option that checks without installing has had two names; without either it would be installed.
    let help = Command::new("crontab").arg("-h").output();
    let usage = help.map(|said| String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned());
    let usage = usage.unwrap_or_default();
    let options = [("-T", "-T"), ("-n", "checks the syntax")];
    let Some((dry_run, _)) = options.into_iter().find(|(_, sign)| usage.contains(sign)) else {
        return skipped("there is no crontab that checks a file without installing it");
    };
    let check = |text: &str| {
        fs::write(&file, text).expect("a copy");
        let mut command = Command::new("crontab");
        command.arg(dry_run).arg(&file);
        run::within(LIMIT, command, b"")
    };
    let of_a_user = SHIPPED.replace("* * * * root ", "* * * * ");
    check(&of_a_user).expect_code(0);
    assert_ne!(check(&of_a_user.replace("*/5 * *", "*/5 61 *")).code, 0, "it accepts anything");
}

/// The command, by the file's shell and PATH in cron's environment: the pass writes to the log that it names.
#[test]
fn its_command_makes_a_pass() {
    let mut fixture = Fixture::new();
    fixture.config["recovery"].as_object_mut().expect("a section").remove("log_file");
    fixture.service("a", json!({"health_check": {"type": "custom", "command": ["true"]}}));
    drop(fixture.command(&[]));
    let bin = fixture.path("bin");
    fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_recovery"), bin.join("recovery")).expect("a link");
    let (_, _, command) = job();
    let ours = command
        .replace("/etc/recovery/system-config.json", &fixture.config_path().to_string_lossy())
        .replace("/var/log/recovery.log", &fixture.path("recovery.log").to_string_lossy());
    assert_eq!(ours.matches(&*fixture.path("").to_string_lossy()).count(), 2, "{ours}");

    let mut cron = Command::new(setting("SHELL"));
    cron.args(["-c", &ours]).env_clear().env("HOME", "/root").env("LOGNAME", "root");
    cron.env("SHELL", setting("SHELL")).env("PATH", format!("{}:{}", setting("PATH"), bin.display()));
    let done = run::within(LIMIT, cron, b"").expect_code(0);
    assert_eq!(done.stdout + &done.stderr, "", "cron would mail this");
    assert_eq!(fixture.count("Health check passed for a"), 1, "{}", fixture.log());
}

#[test]
fn the_readme_shows_the_same_line() {
    let readme = include_str!("../../README.md");
    let line = SHIPPED.lines().find(|line| matches!(parse(line), Some(Line::Job { .. }))).expect("a job");
    assert_eq!(readme.lines().filter(|shown| *shown == line).count(), 1, "{line}");
    assert!(
        readme.contains("contrib/crontab /etc/cron.d/recovery"),
        "a name with a dot is passed over by cron"
    );
}
