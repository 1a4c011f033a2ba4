//! The raw listing of processes: `/proc/PID/stat` and `/proc/PID/cmdline` of each, one after the other.

use crate::check::judge::ProcessRow;

/// Stands after each command line: the content of `/proc/sys/kernel/ostype`. Most end with a NUL, but a
/// program may have overwritten its own.
const SEPARATOR: &str = "Linux";

/// The rows in a listing. A command line ends where a line in the exact shape of the next `stat` begins.
pub(super) fn rows(raw: &[u8]) -> Vec<ProcessRow> {
    let mut rows = Vec::new();
    let mut at = 0;
    let mut open: Option<(ProcessRow, usize)> = None;
    while at < raw.len() {
        let begins = at == 0 || matches!(raw[at - 1], b'\n' | 0);
        if let Some((row, length)) = stat(&raw[at..]).filter(|_| begins) {
            close(&mut rows, open.take(), raw, at);
            at += length;
            open = Some((row, at));
        } else {
            at = raw[at + 1..].iter().position(u8::is_ascii_digit).map_or(raw.len(), |skip| at + 1 + skip);
        }
    }
    close(&mut rows, open, raw, raw.len());
    rows
}

fn close(rows: &mut Vec<ProcessRow>, open: Option<(ProcessRow, usize)>, raw: &[u8], end: usize) {
    let Some((mut row, start)) = open else { return };
    let text = String::from_utf8_lossy(&raw[start..end]);
    let mut text = text.trim_end_matches('\n');
    // One for each process that went away in the middle, too.
    while let Some(rest) = text.strip_suffix(SEPARATOR) {
        text = rest.trim_end_matches('\n');
    }
    let text = text.trim_end_matches('\0');
    let words: Vec<&str> = text.split('\0').collect();
    row.command_line = words.join(" ");
    rows.push(row);
}

/// `PID (name) S PPID` and at least 18 more numbers, up to a line end.
fn stat(text: &[u8]) -> Option<(ProcessRow, usize)> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 10 || !text[digits..].starts_with(b" (") {
        return None;
    }
    let pid = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    // The name has at most 15 bytes, kernel threads' up to 63, any of them possibly a line end or a ")".
    let name = &text[digits + 2..];
    let window = &name[..name.len().min(80)];
    let close = (0..window.len()).filter(|&i| name[i..].starts_with(b") ")).find_map(|i| {
        let (state, ppid, started, length) = numbers(&name[i + 2..])?;
        Some((i, state, ppid, started, length))
    });
    let (i, state, ppid, started, length) = close?;
    let row = ProcessRow { pid, ppid, state, command_line: String::new(), started };
    Some((row, digits + 2 + i + 2 + length))
}

fn numbers(text: &[u8]) -> Option<(char, u32, u64, usize)> {
    let end = memchr::memchr(b'\n', &text[..text.len().min(1024)])?;
    let line = std::str::from_utf8(&text[..end]).ok()?;
    let mut words = line.split(' ');
    let state = words.next()?;
    let ppid = words.next()?.parse().ok()?;
    let numeric = |word: &str| word.strip_prefix('-').unwrap_or(word).bytes().all(|b| b.is_ascii_digit());
    let rest: Vec<&str> = words.collect();
    let well_formed = state.len() == 1
        && state.bytes().all(|b| b.is_ascii_alphabetic())
        && rest.len() >= 18
        && rest.iter().all(|word| numeric(word));
    if !well_formed {
        return None;
    }
    let started = rest[17].parse().unwrap_or(0);
    Some((char::from(state.as_bytes()[0]), ppid, started, end + 1))
}

/// The process ids in lines `/proc/PID/environ`.
pub(super) fn marked(line: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(line).ok()?;
    text.strip_prefix("/proc/")?.strip_suffix("/environ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat_line(pid: u32, name: &str, ppid: u32) -> String {
        format!("{pid} ({name}) S {ppid}{}\n", " 0 -1".repeat(24))
    }

    #[test]
    fn command_lines_end_where_the_next_process_begins() {
        let mut raw = stat_line(1, "init", 0).into_bytes();
        raw.extend_from_slice(b"/sbin/init\0--x y\0");
        raw.extend(stat_line(7, "a) S 1 (b\n", 1).into_bytes());
        raw.extend_from_slice(b"nginx: master 8 (x) S 1 2 3Linux\nLinux\n");
        raw.extend(stat_line(9, "kworker", 2).into_bytes());
        raw.extend(stat_line(10, "sh", 1).into_bytes());
        raw.extend_from_slice(b"sh\0-c\0a\nb\0Linux\n\n");
        let found: Vec<(u32, u32, String)> =
            rows(&raw).into_iter().map(|row| (row.pid, row.ppid, row.command_line)).collect();
        let expected = [
            (1, 0, "/sbin/init --x y"),
            (7, 1, "nginx: master 8 (x) S 1 2 3"),
            (9, 2, ""),
            (10, 1, "sh -c a\nb"),
        ];
        assert_eq!(found, expected.map(|(pid, ppid, text)| (pid, ppid, text.to_owned())));
    }

    #[test]
    fn this_process_is_found_in_the_real_thing() {
        let pid = std::process::id();
        let mut raw = std::fs::read(format!("/proc/{pid}/stat")).unwrap();
        raw.extend(std::fs::read(format!("/proc/{pid}/cmdline")).unwrap());
        let rows = rows(&raw);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].pid, pid);
    }
}
