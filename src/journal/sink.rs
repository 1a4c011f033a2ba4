//! Where lines go: the log file, standard error, or both. What cannot be written is remembered.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;

use super::{Format, Record, render};
use crate::event::{Event, EventKind, Level};

/// How much a person wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// `-q`: no notes of level INFO.
    Quiet,
    /// All events.
    #[default]
    Normal,
    /// `-v`: debugging notes on standard error as well.
    Verbose,
}

/// Where and how lines are written.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The log; `None`: standard error.
    pub file: Option<PathBuf>,
    /// Text or JSON, the same in both places.
    pub format: Format,
    /// Which notes are written. The phrases always are.
    pub verbosity: Verbosity,
}

/// Writes events as lines, each with one `write(2)`, so that passes side by side never mix theirs.
pub struct Journal {
    options: Options,
    /// Whether standard error is read by a person right now.
    terminal: bool,
    colored: bool,
    state: Mutex<State>,
}

struct State {
    /// Opened at the first line.
    log: Log,
    stderr: Box<dyn Write + Send>,
    failed: bool,
}

enum Log {
    Unopened,
    Open {
        file: File,
        /// The last line in the file has no end: a full disk or a crash cut it.
        cut: bool,
    },
    Unwritable,
}

impl Journal {
    /// The journal of one pass. The file is opened at the first line.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let terminal = io::stderr().is_terminal();
        let colored = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let journal = Self::with_stderr(options, Box::new(io::stderr()), terminal);
        Self { colored, ..journal }
    }

    /// A journal whose standard error is `stderr`.
    #[must_use]
    pub fn with_stderr(options: Options, stderr: Box<dyn Write + Send>, terminal: bool) -> Self {
        let state = Mutex::new(State { log: Log::Unopened, stderr, failed: false });
        Self { options, terminal, colored: false, state }
    }

    /// Whether a line could not be written where it belongs.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.state().failed
    }

    /// The state stays usable after a panic elsewhere: there is no half-done change in it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, event: &Event) -> bool {
        let chatter = matches!(event.kind, EventKind::Note { level: Level::Info, .. });
        !(chatter && self.options.verbosity == Verbosity::Quiet)
    }

    fn complain(&self, state: &mut State, event: &Event, error: &io::Error) {
        let path = self.options.file.as_deref().unwrap_or(Path::new("standard error"));
        let text =
            format!("cannot write the log, its lines go to standard error: {}: {error}", path.display());
        let complaint = Event::new(event.at, None, EventKind::Note { level: Level::Error, text });
        self.to_stderr(state, &complaint);
    }

    fn to_stderr(&self, state: &mut State, event: &Event) {
        let mut line = render(event, self.options.format);
        if self.colored && self.options.format == Format::Text {
            line = color(&line);
        }
        line.push('\n');
        let written = state.stderr.write_all(line.as_bytes()).and_then(|()| state.stderr.flush());
        if written.is_err() && self.options.file.is_none() {
            state.failed = true;
        }
    }
}

impl Record for Journal {
    fn record(&self, event: &Event) {
        if !self.wants(event) {
            return;
        }
        let mut state = self.state();
        let Some(path) = &self.options.file else {
            return self.to_stderr(&mut state, event);
        };
        match state.log.append(path, render(event, self.options.format)) {
            Ok(()) => {
                if self.terminal {
                    self.to_stderr(&mut state, event);
                }
            }
            Err(error) => {
                let first = !std::mem::replace(&mut state.failed, true);
                if first {
                    self.complain(&mut state, event, &error);
                }
                self.to_stderr(&mut state, event);
            }
        }
    }
}

impl Log {
    /// Appends one line. After a first failure to open nothing is tried again in this pass; a failure to
    /// write may be over a moment later.
    fn append(&mut self, path: &Path, line: String) -> io::Result<()> {
        if matches!(self, Self::Unopened) {
            *self = Self::Unwritable;
            *self = open(path)?;
        }
        let Self::Open { file, cut } = self else {
            return Err(io::Error::other("it could not be opened"));
        };
        let line = if *cut { format!("\n{line}\n") } else { line + "\n" };
        let written = write_once(file, line.as_bytes());
        *cut = match written {
            Ok(0) | Err(_) => *cut,
            Ok(n) => n < line.len(),
        };
        if written? < line.len() {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "only a part of the line fitted"));
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Log> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::create_dir(folder)?;
    }
    // Not blocking: a FIFO that nobody reads must not hold up the pass.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags).open(path)?;
    Ok(Log::Open { file, cut: ends_without_newline(path) })
}

/// Whether the last line was cut. Where that cannot be told (a device, a file we may not read) it was not.
fn ends_without_newline(path: &Path) -> bool {
    let last_byte = || -> io::Result<u8> {
        if !path.metadata()?.is_file() {
            return Ok(b'\n');
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last_byte().is_ok_and(|byte| byte != b'\n')
}

fn write_once(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Colours the level, which stands second in the line.
fn color(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (Some(at), Some(level), Some(rest)) = (words.next(), words.next(), words.next()) else {
        return line.to_owned();
    };
    let code = match Level::parse(level) {
        Some(Level::Error) => "31",
        Some(Level::Warning) => "33",
        _ => "32",
    };
    format!("{at} \x1b[{code}m{level}\x1b[0m {rest}")
}

/// Sends the debugging notes of `log` to standard error: with `-v`, or as `RUST_LOG` says. Called once, by
/// the program; a second call changes nothing.
pub fn debug_notes(verbosity: Verbosity) {
    let default = if verbosity == Verbosity::Verbose { "recovery=debug" } else { "off" };
    let environment = env_logger::Env::default().default_filter_or(default);
    let logger = env_logger::Builder::from_env(environment)
        .format(|out, record| {
            let text = record.args().to_string();
            let text = if super::escape::is_unfit(&text) { super::escape::quoted(&text) } else { text };
            writeln!(out, "{} {}: {text}", record.level(), record.target())
        })
        .try_init();
    // Only a second logger can fail here, and the first one then does the work.
    drop(logger);
}

#[cfg(test)]
mod tests {
    use super::color;

    #[test]
    fn only_the_level_is_colored() {
        assert_eq!(color("T ERROR a b"), "T \x1b[31mERROR\x1b[0m a b");
        assert_eq!(color("T WARNING a"), "T \x1b[33mWARNING\x1b[0m a");
        assert_eq!(color("T INFO a"), "T \x1b[32mINFO\x1b[0m a");
        assert_eq!(color("odd"), "odd");
    }
}
