//! What the raw answer of one check means: exit codes of curl, wget, nc and bash in the words of the domain.

use crate::check::judge::{self, Output};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::{HttpProbe, Probe};
use crate::engine::Request;

use super::script;

const NO_HTTP: &str = "neither curl nor wget in the container: install curl, or set \"from\": \"machine\"";
const NO_TCP: &str = "neither bash nor nc in the container: install one, or set \"from\": \"machine\"";
const POOR_WGET: &str = "the container's wget cannot tell; install curl there, or set \"from\": \"machine\"";

/// A check that ended by itself.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub code: i32,
    pub out: Output,
    pub err: Output,
}

/// Which tool the container lacks for this check.
pub(super) fn lacking(probe: &Probe, has: &dyn Fn(&str) -> bool) -> Option<Unknown> {
    let text = match probe {
        Probe::Http(_) if !has("curl") && !has("wget") => NO_HTTP,
        Probe::Tcp { .. } if !has("bash") && !has("nc") => NO_TCP,
        _ => return None,
    };
    Some(Unknown::NoTool(text.to_owned()))
}

/// Judges a complete answer.
pub(super) fn judge(request: &Request<'_>, has: &dyn Fn(&str) -> bool, answer: &Answer) -> Health {
    let apart = script::reads_apart(&request.check.probe);
    let said = if apart { &answer.err } else { &answer.out };
    let text = String::from_utf8_lossy(&said.bytes);
    if answer.code != 0 && could_not_fork(&text) {
        return Health::Unknown(Unknown::CannotFork("the container".into()));
    }
    match &request.check.probe {
        Probe::Http(probe) => {
            let to = authority(&probe.endpoint);
            let ask = Http { probe, to, after: request.check.timeout, apart };
            if has("curl") { ask.curl(answer, &text) } else { ask.wget(answer, &text) }
        }
        Probe::Tcp { host, port, .. } => tcp(&format!("{host}:{port}"), request, answer.code, &text),
        Probe::Custom { command, expect_json, missing_program } => {
            let both =
                Output { bytes: [&answer.out.bytes[..], &answer.err.bytes[..]].concat(), truncated: false };
            let shown = if apart { &both } else { &answer.out };
            let check = judge::Custom { command, expect_json, missing_program: *missing_program };
            judge::custom(&check, answer.code, &judge::Printed { stdout: &answer.out, said, shown })
        }
        Probe::Process { .. } => Health::Unknown(Unknown::Other("a process check has no answer".into())),
    }
}

/// Whether a shell says that it could not start a process.
#[must_use]
pub fn could_not_fork(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["cannot fork", "can't fork", "fork: retry", "fork: resource temporarily", "fork failed"]
        .iter()
        .any(|phrase| text.contains(phrase))
}

fn tcp(to: &str, request: &Request<'_>, code: i32, text: &str) -> Health {
    let low = text.to_ascii_lowercase();
    let to = to.to_owned();
    if code == 0 {
        Health::Healthy
    } else if matches!(code, 126 | 127) || low.contains("/dev/tcp/") && low.contains("no such file") {
        Health::Unknown(Unknown::NoTool(NO_TCP.into()))
    } else if low.contains("refused") {
        Health::Unhealthy(Failure::Refused { to })
    } else if low.contains("usage:") || low.contains("invalid option") || low.contains("unrecognized option")
    {
        Health::Unknown(Unknown::NoTool(format!("the container's nc cannot be used: {}", first(text))))
    } else if low.contains("timed out") {
        Health::Unhealthy(Failure::TimedOut { after: request.check.timeout })
    } else {
        Health::Unhealthy(Failure::Connection { to, detail: detail(text, code) })
    }
}

/// The last line that says something, or the exit code.
fn detail(text: &str, code: i32) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("rcvy:"));
    line.map_or_else(|| format!("no connection (exit {code})"), ToOwned::to_owned)
}

fn first(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// `host:port` of an endpoint.
fn authority(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let has_port = host.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    match (has_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    }
}

struct Http<'a> {
    probe: &'a HttpProbe,
    to: String,
    after: std::time::Duration,
    apart: bool,
}

impl Http<'_> {
    fn curl(&self, answer: &Answer, said: &str) -> Health {
        match answer.code {
            0 => {}
            // Newer versions say "Couldn't connect to server" of a refusal, too.
            7 if !["No route", "unreachable"].iter().any(|phrase| said.contains(phrase)) => {
                return self.refused();
            }
            28 => return Health::Unhealthy(Failure::TimedOut { after: self.after }),
            52 | 56 => return self.reset(),
            1 if said.contains("HTTP/0.9") => return self.connection(said, 1),
            126 | 127 => {
                let text = format!("curl in the container cannot be run (exit {})", answer.code);
                return Health::Unknown(Unknown::NoTool(text));
            }
            1..=4 | 23 | 26 | 27 | 43 | 48 | 128.. => {
                let text = format!("curl in the container gave up: {}", detail(said, answer.code));
                return Health::Unknown(Unknown::Other(text));
            }
            code => return self.connection(said, code),
        }
        if self.apart {
            let Some((status, body)) = headed(&answer.out.bytes) else { return self.unreadable() };
            return judge::http(self.probe, status, &Output { bytes: body, truncated: answer.out.truncated });
        }
        match said.trim_end().lines().next_back().and_then(|line| line.trim().parse().ok()) {
            Some(status @ 100..) => judge::http(self.probe, status, &Output::default()),
            _ => self.unreadable(),
        }
    }

    fn wget(&self, answer: &Answer, said: &str) -> Health {
        let low = said.to_ascii_lowercase();
        if matches!(answer.code, 126 | 127) {
            return Health::Unknown(Unknown::NoTool(NO_HTTP.into()));
        }
        let secure = self.probe.endpoint.starts_with("https:") && self.probe.tls_verify;
        if low.contains("rcvy:cannot") || secure && low.contains("validation not implemented") {
            return poor_wget();
        }
        if let Some(status) = first_status(said) {
            return self.wget_status(status, answer);
        }
        if answer.code == 0 {
            return self.wget_unseen(answer);
        }
        if low.contains("refused") {
            return self.refused();
        }
        if ["usage:", "unrecognized option", "invalid option", "not an http or ftp url", "not supported"]
            .iter()
            .any(|phrase| low.contains(phrase))
        {
            return poor_wget();
        }
        if low.contains("timed out") {
            return Health::Unhealthy(Failure::TimedOut { after: self.after });
        }
        if ["reset by peer", "no data received", "error getting response"].iter().any(|p| low.contains(p)) {
            return self.reset();
        }
        if low.contains("rcvy:gnu") && matches!(answer.code, 1..=3) || answer.code >= 128 {
            let text = format!("wget in the container gave up: {}", detail(said, answer.code));
            return Health::Unknown(Unknown::Other(text));
        }
        self.connection(said, answer.code)
    }

    /// The first status line is the server's own answer; a small wget then follows redirects by itself.
    fn wget_status(&self, status: u16, answer: &Answer) -> Health {
        let body_is_its_own =
            answer.code == 0 && !(300..400).contains(&status) || !answer.out.bytes.is_empty();
        if self.apart && self.probe.expect_status.contains(status) && !body_is_its_own {
            return poor_wget();
        }
        if self.apart && (300..400).contains(&status) && self.probe.expect_status.contains(status) {
            return poor_wget();
        }
        judge::http(self.probe, status, &answer.out)
    }

    /// Success without a status line: 2xx, perhaps after redirects.
    fn wget_unseen(&self, answer: &Answer) -> Health {
        let set = &self.probe.expect_status;
        if !(200..400).all(|status| set.contains(status)) {
            return poor_wget();
        }
        judge::http(self.probe, 200, &answer.out)
    }

    fn refused(&self) -> Health {
        Health::Unhealthy(Failure::Refused { to: self.to.clone() })
    }

    fn reset(&self) -> Health {
        Health::Unhealthy(Failure::Reset { to: self.to.clone() })
    }

    fn connection(&self, said: &str, code: i32) -> Health {
        Health::Unhealthy(Failure::Connection { to: self.to.clone(), detail: detail(said, code) })
    }

    fn unreadable(&self) -> Health {
        Health::Unknown(Unknown::Other(format!("no HTTP status could be read from {}", self.to)))
    }
}

fn poor_wget() -> Health {
    Health::Unknown(Unknown::NoTool(POOR_WGET.into()))
}

/// Status and body of an answer that begins with its head; interim 1xx heads are skipped.
fn headed(mut bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    loop {
        let line = bytes.split(|&byte| byte == b'\n').next()?;
        let status = status_in(std::str::from_utf8(line).ok()?)?;
        let body = after_head(bytes);
        if (100..200).contains(&status) && status != 101 {
            bytes = body;
        } else {
            return Some((status, body.to_vec()));
        }
    }
}

fn after_head(bytes: &[u8]) -> &[u8] {
    let with_returns = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
    let without = memchr::memmem::find(bytes, b"\n\n").map(|at| at + 2);
    let at = [with_returns, without].into_iter().flatten().min().unwrap_or(bytes.len());
    &bytes[at..]
}

fn first_status(said: &str) -> Option<u16> {
    said.lines().filter_map(status_in).find(|status| !(100..200).contains(status))
}

/// The status in a line such as `HTTP/1.1 503 Service Unavailable`, also after words of the tool.
fn status_in(line: &str) -> Option<u16> {
    let rest = &line[line.find("HTTP/")?..];
    let status = rest.split_ascii_whitespace().nth(1)?;
    status.parse().ok().filter(|status: &u16| (100..1000).contains(status))
}
