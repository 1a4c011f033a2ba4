//! Process checks on the machine: one reading of `/proc`, matched here, with no tool that could match
//! itself.
//!
//! Left out are processes inside containers, passes of `recovery` and what started them, and everything
//! that belongs to a check.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use regex::Regex;

use super::command::CHECK_NAME;
use crate::check::judge::{self, ProcessRow};
use crate::check::{Health, Unknown};
use crate::process::CHECK_MARK;

/// The processes that a check may match, as they were at one moment.
#[derive(Debug, Clone)]
pub struct Processes {
    rows: Vec<ProcessRow>,
    incomplete: bool,
}

impl Processes {
    /// Reads `/proc` once. `exe` is this program.
    ///
    /// # Errors
    /// Why nothing can be said of any process.
    pub fn now(exe: &Path) -> Result<Self, Unknown> {
        let Listing { seen, incomplete } =
            list().map_err(|error| Unknown::Other(format!("cannot read /proc: {error}")))?;
        let left_out = passes_and_starters(&seen, &passes(&seen, exe));
        let services = seen.into_iter().filter(|seen| !left_out.contains(&seen.row.pid));
        Ok(Self { rows: services.map(|seen| seen.row).collect(), incomplete })
    }

    /// Looks for a living process among them; soon, since marks are read only of those that match.
    #[must_use]
    pub fn look(&self, pattern: &Regex) -> Health {
        match judge::process(pattern, &self.rows, &|row| is_contained(row.pid) || belongs_to_a_check(row)) {
            Health::Unhealthy(_) if self.incomplete => Health::Unknown(Unknown::Other(
                "/proc hides the processes of other users (hidepid): run as root".to_owned(),
            )),
            health => health,
        }
    }
}

#[derive(Debug, Clone)]
struct Seen {
    row: ProcessRow,
    session: u32,
    has_terminal: bool,
    arguments: Vec<String>,
}

struct Listing {
    seen: Vec<Seen>,
    incomplete: bool,
}

fn list() -> std::io::Result<Listing> {
    let mut listing = Listing { seen: Vec::new(), incomplete: !Path::new("/proc/1/stat").exists() };
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read(entry.path().join("stat")) else { continue };
        match std::fs::read(entry.path().join("cmdline")) {
            Ok(line) => listing.seen.extend(parse(pid, &stat, &line)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => listing.incomplete = true,
            // It ended while we looked.
            Err(_) => {}
        }
    }
    Ok(listing)
}

/// One process; `None` for kernel threads, which have no command line.
fn parse(pid: u32, stat: &[u8], command_line: &[u8]) -> Option<Seen> {
    let stat = String::from_utf8_lossy(stat);
    // The name in parentheses may itself hold parentheses and blanks.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let ppid = fields.next()?.parse().ok()?;
    let _group = fields.next()?;
    let session = fields.next()?.parse().unwrap_or(0);
    let has_terminal = fields.next()? != "0";
    let started = fields.nth(14).and_then(|word| word.parse().ok()).unwrap_or(0);
    let line = String::from_utf8_lossy(command_line);
    let arguments: Vec<String> = line.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
    let command_line = arguments.join(" ");
    let row = ProcessRow { pid, ppid, state, command_line, started };
    (!row.command_line.trim().is_empty()).then_some(Seen { row, session, has_terminal, arguments })
}

/// Passes, what started them, and their clients of the engine, as a container sees them that shares the machine's
/// process ids. Empty where they cannot be had.
#[must_use]
pub fn of_the_checking() -> Vec<ProcessRow> {
    let (Ok(exe), Ok(Listing { seen, .. })) = (std::env::current_exe(), list()) else { return Vec::new() };
    let passes = passes(&seen, &exe);
    let mut left_out = passes_and_starters(&seen, &passes);
    left_out.extend(clients(&seen, &passes));
    seen.into_iter().map(|one| one.row).filter(|row| left_out.contains(&row.pid)).collect()
}

/// The children of passes, and theirs, that stayed in the pass's session: what a restart command started did not.
fn clients(seen: &[Seen], passes: &[u32]) -> Vec<u32> {
    let by_pid: HashMap<u32, &Seen> = seen.iter().map(|one| (one.row.pid, one)).collect();
    let below_a_pass = |one: &&Seen| {
        let mut at = by_pid.get(&one.row.ppid).copied();
        for _ in 0..64 {
            let Some(above) = at.filter(|above| above.session == one.session) else { return false };
            if passes.contains(&above.row.pid) {
                return true;
            }
            at = by_pid.get(&above.row.ppid).copied();
        }
        false
    };
    seen.iter().filter(below_a_pass).map(|one| one.row.pid).collect()
}

/// This pass, other ones, and their children that have not become another program yet.
fn passes(seen: &[Seen], exe: &Path) -> Vec<u32> {
    let is_pass = |one: &&Seen| {
        let program = std::fs::read_link(format!("/proc/{}/exe", one.row.pid));
        let same = match &program {
            // A program replaced while it ran is shown as deleted.
            Ok(program) => program.to_string_lossy().trim_end_matches(" (deleted)") == exe.to_string_lossy(),
            // Of another user: then its own word must do.
            Err(_) => {
                one.arguments.first().is_some_and(|first| Path::new(first).file_name() == exe.file_name())
            }
        };
        one.row.pid == std::process::id() || (same && !is_demo_service(&one.arguments))
    };
    seen.iter().filter(is_pass).map(|one| one.row.pid).collect()
}

/// Our own `demo-service` is a service like any other.
fn is_demo_service(arguments: &[String]) -> bool {
    let takes_value = ["-c", "--config", "-s", "--service", "--log-file", "--log-format"].map(str::to_owned);
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        if takes_value.contains(argument) {
            rest.next();
        } else if !argument.starts_with('-') {
            return argument == "demo-service";
        }
    }
    false
}

/// The passes and the commands that started them: `sh -c 'recovery -s minio'` is no minio.
///
/// The climb spares daemons (cron, systemd), who start passes but are services themselves: leaders of
/// another session, without a terminal.
fn passes_and_starters(seen: &[Seen], passes: &[u32]) -> Vec<u32> {
    let by_pid: HashMap<u32, &Seen> = seen.iter().map(|one| (one.row.pid, one)).collect();
    let mut left_out = Vec::new();
    for pass in passes.iter().filter_map(|pid| by_pid.get(pid)) {
        let mut at = Some(*pass);
        // A listing is no snapshot: a bounded climb, so that reused ids cannot make a circle.
        for _ in 0..64 {
            let Some(one) = at else { break };
            let is_daemon = one.row.pid == one.session && one.session != pass.session && !one.has_terminal;
            if !is_daemon {
                left_out.push(one.row.pid);
            }
            at = by_pid.get(&one.row.ppid).copied();
        }
    }
    left_out
}

/// Inside a container (or another pid namespace): it has an id of its own there.
fn is_contained(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| namespaces(&status) > 1)
}

fn namespaces(status: &str) -> usize {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .map_or(1, |ids| ids.split_whitespace().count())
}

/// A check's shell or program, of this pass or another's, by its environment, or by its shell's name
/// where that cannot be read.
fn belongs_to_a_check(row: &ProcessRow) -> bool {
    let marked = std::fs::read(format!("/proc/{}/environ", row.pid)).is_ok_and(|environ| {
        environ.split(|&byte| byte == 0).any(|entry| {
            entry.strip_prefix(CHECK_MARK.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
        })
    });
    marked || row.command_line.ends_with(CHECK_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: u32, ppid: u32, session: u32, line: &[u8]) -> Seen {
        let stat = format!("{pid} (a) b) S {ppid} {pid} {session} 0 -1 4194560 1 2");
        parse(pid, stat.as_bytes(), line).unwrap()
    }

    #[test]
    fn a_line_of_proc_is_read_whatever_the_name_holds() {
        let one = seen(7, 3, 5, b"minio\0server\0/data\0");
        assert_eq!(one.row.command_line, "minio server /data");
        assert_eq!((one.row.ppid, one.row.state, one.session, one.has_terminal), (3, 'S', 5, false));
        assert!(parse(2, b"2 (kthreadd) S 0 0 0 0 -1", b"").is_none());
        assert!(parse(2, b"nonsense", b"x").is_none());
    }

    #[test]
    fn the_shell_that_cron_started_is_left_out_and_cron_itself_is_not() {
        let all = [
            seen(1, 0, 1, b"/sbin/init\0"),
            seen(50, 1, 50, b"/usr/sbin/cron\0-f\0"),
            seen(60, 50, 50, b"/usr/sbin/CRON\0-f\0"),
            seen(61, 60, 61, b"/bin/sh\0-c\0recovery run --service minio\0"),
            seen(62, 61, 61, b"recovery\0run\0--service\0minio\0"),
        ];
        assert_eq!(passes_and_starters(&all, &[62]), [62, 61, 60]);
    }

    #[test]
    fn the_clients_of_a_pass_are_known_and_what_it_restarted_is_not_one() {
        let all = [
            seen(62, 61, 61, b"recovery\0"),
            seen(63, 62, 61, b"docker\0exec\0-i\0be34\0sh\0"),
            seen(64, 63, 61, b"ssh\0db1\0docker\0"),
            seen(70, 62, 70, b"minio\0server\0"),
        ];
        assert_eq!(clients(&all, &[62]), [63, 64]);
    }

    #[test]
    fn the_demo_service_is_no_pass() {
        let is = |line: &str| is_demo_service(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(is("/opt/recovery demo-service --listen 127.0.0.1:1"));
        assert!(is("recovery -c x.json -v demo-service"));
        assert!(!is("recovery run -s demo-service"));
        assert!(!is("recovery --service demo-service"));
        assert!(!is("recovery"));
    }

    #[test]
    fn a_process_with_an_id_in_a_further_namespace_is_contained() {
        assert_eq!(namespaces("Name:\tsleep\nNSpid:\t4711\t1\n"), 2);
        assert_eq!(namespaces("Name:\tsleep\nNSpid:\t4711\n"), 1);
        assert_eq!(namespaces("Name:\tsleep\n"), 1);
    }
}
