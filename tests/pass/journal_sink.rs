//! Where the journal's lines go, on a real temporary folder.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recovery::config::model::ServiceName;
use recovery::event::{Event, EventKind, Level};
use recovery::journal::{Format, Journal, Options, Record, Verbosity};
use time::macros::datetime;

/// Standard error that can be read afterwards.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error that is closed.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn passed() -> Event {
    let kind = EventKind::CheckPassed { duration: Duration::from_millis(12) };
    Event::new(datetime!(2026-11-21 10:05:07.123 UTC), ServiceName::new("minio"), kind)
}

fn note(level: Level) -> Event {
    Event { kind: EventKind::Note { level, text: "by the way".into() }, ..passed() }
}

const PASSED: &str = "2026-11-21T10:05:07.123Z INFO Health check passed for minio (duration_ms: 12)\n";
const NOTED: &str = "2026-11-21T10:05:07.123Z INFO by the way (service: minio)\n";
const WARNED: &str = "2026-11-21T10:05:07.123Z WARNING by the way (service: minio)\n";

fn to(file: Option<&Path>) -> Options {
    Options { file: file.map(Path::to_owned), ..Options::default() }
}

fn journal(options: Options, terminal: bool) -> (Journal, Screen) {
    let screen = Screen::default();
    (Journal::with_stderr(options, Box::new(screen.clone()), terminal), screen)
}

#[test]
fn without_a_log_file_lines_go_to_standard_error() {
    let (journal, screen) = journal(to(None), false);
    journal.record(&passed());
    assert_eq!(screen.text(), PASSED);
    assert!(!journal.failed());
}

#[test]
fn with_a_log_file_standard_error_gets_them_only_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("logs/recovery.log");
    for (terminal, shown) in [(false, ""), (true, PASSED)] {
        let (journal, screen) = journal(to(Some(&log)), terminal);
        journal.record(&passed());
        assert_eq!(screen.text(), shown);
        assert!(!journal.failed());
    }
    assert_eq!(fs::read_to_string(&log).unwrap(), [PASSED, PASSED].concat());
    let mode = log.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o644, 0, "{mode:o}");
}

#[test]
fn quiet_silences_notes_and_never_the_phrases_or_warnings() {
    let events = [passed(), note(Level::Info), note(Level::Warning)];
    for (verbosity, expected) in
        [(Verbosity::Quiet, [PASSED, WARNED].concat()), (Verbosity::Normal, [PASSED, NOTED, WARNED].concat())]
    {
        let (journal, screen) = journal(Options { verbosity, ..Options::default() }, false);
        events.iter().for_each(|event| journal.record(event));
        assert_eq!(screen.text(), expected);
    }
}

#[test]
fn json_goes_to_the_file_as_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("recovery.log");
    let (journal, _) = journal(Options { format: Format::Json, ..to(Some(&log)) }, false);
    journal.record(&passed());
    journal.record(&note(Level::Info));
    let text = fs::read_to_string(&log).unwrap();
    let events: Vec<Option<Event>> = text.lines().map(recovery::journal::parse).collect();
    assert_eq!(events, [Some(passed()), Some(note(Level::Info))]);
}

#[test]
fn a_log_that_cannot_be_opened_is_said_once_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, screen) = journal(to(Some(folder.path())), false);
    journal.record(&passed());
    journal.record(&passed());
    let said = format!(
        "2026-11-21T10:05:07.123Z ERROR cannot write the log, its lines go to standard error: {}: Is a directory (os error 21)\n",
        folder.path().display()
    );
    assert_eq!(screen.text(), [said.as_str(), PASSED, PASSED].concat());
    assert!(journal.failed());
}

#[test]
fn a_full_disk_is_remembered_and_the_lines_are_not_lost() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: no /dev/full here");
        return;
    }
    let (journal, screen) = journal(to(Some(full)), false);
    journal.record(&passed());
    assert!(screen.text().ends_with(PASSED), "{}", screen.text());
    assert!(screen.text().contains("No space left on device"), "{}", screen.text());
    assert!(journal.failed());
}

#[test]
fn a_closed_standard_error_is_remembered_where_it_is_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("recovery.log");
    for (file, failed) in [(None, true), (Some(log.as_path()), false)] {
        let journal = Journal::with_stderr(to(file), Box::new(Closed), true);
        journal.record(&passed());
        assert_eq!(journal.failed(), failed);
    }
}

#[test]
fn a_line_that_was_cut_earlier_does_not_swallow_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("recovery.log");
    fs::write(&log, "2026-11-21T10:00:00.000Z INFO Health check pas").unwrap();
    let (journal, _) = journal(to(Some(&log)), false);
    journal.record(&passed());
    journal.record(&passed());
    let expected = ["2026-11-21T10:00:00.000Z INFO Health check pas\n", PASSED, PASSED].concat();
    assert_eq!(fs::read_to_string(&log).unwrap(), expected);
}

#[test]
fn passes_and_threads_side_by_side_write_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("recovery.log");
    let journals = [journal(to(Some(&log)), false).0, journal(to(Some(&log)), false).0];
    std::thread::scope(|scope| {
        for journal in journals.iter().chain(&journals) {
            scope.spawn(move || (0..200).for_each(|_| journal.record(&passed())));
        }
    });
    assert_eq!(fs::read_to_string(&log).unwrap(), PASSED.repeat(800));
}
