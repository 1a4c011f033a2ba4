//! `recovery stats`: reads logs, says success rates.

mod report;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::config::model::ServiceName;
use crate::exit_code::ExitCode;
use crate::journal::escape::shown;
use crate::journal::files::{self, Pieces};
use crate::stats::{Calendar, Filter, Outcome, Tally, count};
use crate::when::When;

/// More threads than these would wait for the disk.
const MAX_THREADS: usize = 4;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Logs; `-` is standard input; none: the configured one and its rotated siblings.
    pub files: Vec<PathBuf>,
    /// Lines from then on.
    pub since: Option<When>,
    /// Lines before then.
    pub until: Option<When>,
    /// Only these services; none: all.
    pub services: Vec<String>,
    /// JSON instead of a table.
    pub json: bool,
}

/// Where the command reads and speaks.
pub struct Streams<'a> {
    /// For the file `-`.
    pub input: &'a mut dyn Read,
    /// For the figures.
    pub out: &'a mut dyn Write,
    /// For complaints.
    pub err: &'a mut dyn Write,
}

/// Reads, counts, and prints. `configured_log` and `known` come from the configuration, where there is one;
/// a service in neither `known` nor any log is a misspelt one.
pub fn run(
    request: &Request,
    configured_log: Option<&Path>,
    known: &[ServiceName],
    now: Timestamp,
    streams: &mut Streams<'_>,
) -> ExitCode {
    let millis =
        |when: When| i64::try_from(when.resolve(now).unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    let filter = Filter {
        since: request.since.map(millis),
        until: request.until.map(millis),
        services: request.services.clone(),
    };
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        return complain(streams.err, ExitCode::Usage, "--since must lie before --until");
    }
    let calendar = Calendar::new(now);
    let (paths, mut code) = match choose(request, configured_log, &calendar) {
        Ok(paths) => (paths, ExitCode::Ok),
        Err((code, text)) => return complain(streams.err, code, &text),
    };
    let dated_only = filter.since.is_some() || filter.until.is_some();
    let mut tally = Tally::new(filter);
    for path in &paths {
        if let Err(error) = read(path, &calendar, &mut tally, streams.input) {
            let text = format!("cannot read {}: {error}", path.display());
            code = code.merge(complain(streams.err, ExitCode::Io, &text));
        }
    }
    let outcome = tally.finish();
    if let Some(text) = misspelt(&request.services, known, &outcome) {
        return complain(streams.err, ExitCode::Usage, &text);
    }
    let text =
        if request.json { report::json(&outcome, dated_only) } else { report::table(&outcome, dated_only) };
    match streams.out.write_all(text.as_bytes()).and_then(|()| streams.out.flush()) {
        // A reader that has seen enough (`| head`) is no trouble.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            code.merge(complain(streams.err, ExitCode::Io, &format!("cannot write the figures: {error}")))
        }
        _ => code,
    }
}

/// Where standard error is closed too, the exit code is all that is left to tell.
fn complain(err: &mut dyn Write, code: ExitCode, text: &str) -> ExitCode {
    let _ = writeln!(err, "error: {}", shown(text));
    code
}

fn choose(
    request: &Request,
    configured_log: Option<&Path>,
    calendar: &Calendar,
) -> Result<Vec<PathBuf>, (ExitCode, String)> {
    let mut paths = request.files.clone();
    if paths.is_empty() {
        let Some(log) = configured_log else {
            let text = "no log is configured: name a FILE, or set \"log_file\" in the \"recovery\" section";
            return Err((ExitCode::Usage, text.to_owned()));
        };
        paths = files::siblings(log)
            .map_err(|error| (ExitCode::Io, format!("cannot look for {}: {error}", log.display())))?;
        if paths.is_empty() {
            let text = format!("no log has been written yet: {}", log.display());
            return Err((ExitCode::Io, text));
        }
    }
    files::sort_by_time(&mut paths, calendar);
    Ok(paths)
}

fn read(path: &Path, calendar: &Calendar, tally: &mut Tally, input: &mut dyn Read) -> io::Result<()> {
    let reader = if path == Path::new("-") { files::decompress(input)? } else { files::open(path)? };
    let mut pieces = Pieces::new(reader);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    count(tally, *calendar, threads, Pieces::<&[u8]>::SIZE, |buffer| pieces.next(buffer));
    pieces.finish()
}

/// A complaint about the first service that nobody knows. Without a configuration and with empty logs no name
/// can be judged.
fn misspelt(services: &[String], known: &[ServiceName], outcome: &Outcome) -> Option<String> {
    let names: Vec<&str> =
        known.iter().map(ServiceName::as_str).chain(outcome.seen.iter().map(String::as_str)).collect();
    let unknown = services.iter().find(|service| !names.is_empty() && !names.contains(&service.as_str()))?;
    let near = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, unknown), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    let hint = near.map_or(String::new(), |(_, name)| format!("; did you mean {name:?}?"));
    Some(format!("no service is called {unknown:?}, neither in the configuration nor in these logs{hint}"))
}
