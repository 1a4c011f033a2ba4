//! What the raw answer of one check means: exit codes of curl, wget, nc and bash in the words of the domain.

mod curl;
mod head;
mod http;
mod wget;
mod words;

use super::script;
use crate::check::endpoint::Endpoint;
use crate::check::judge::{self, Output};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::{HttpProbe, Probe};
use crate::engine::Request;

const NO_HTTP: &str = "neither curl nor wget in the container: install curl, or set \"from\": \"machine\"";
const NO_TCP: &str = "neither bash nor nc in the container: install one, or set \"from\": \"machine\"";

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
            let asked = asked(request, probe, has);
            if has("curl") { curl::judge(&asked, answer, &text) } else { wget::judge(&asked, answer, &text) }
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

/// What an answer says for certain though it has not ended: its status was what was asked for, the text that it
/// shall contain has come, or it is too long to judge.
pub(super) fn certain(
    request: &Request<'_>,
    has: &dyn Fn(&str) -> bool,
    out: &Output,
    err: &Output,
) -> Option<Health> {
    let Probe::Http(probe) = &request.check.probe else { return None };
    let asked = asked(request, probe, has);
    // Where curl reads no body it prints nothing before its end.
    match asked.tool {
        "curl" if asked.apart => curl::certain(&asked, out),
        "curl" => None,
        _ => wget::certain(&asked, out, err),
    }
}

fn asked<'a>(request: &Request<'_>, probe: &'a HttpProbe, has: &dyn Fn(&str) -> bool) -> http::Asked<'a> {
    http::Asked {
        probe,
        to: Endpoint::parse(&probe.endpoint).map(|endpoint| endpoint.to()).unwrap_or_default(),
        after: request.check.timeout,
        apart: script::reads_apart(&request.check.probe),
        tool: if has("curl") { "curl" } else { "wget" },
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
    } else if words::is_unresolved(&low) {
        Health::Unknown(Unknown::Unresolved { to })
    } else if words::says(&low, &["usage:", "invalid option", "unrecognized option"]) {
        Health::Unknown(Unknown::NoTool(format!("the container's nc cannot be used: {}", words::first(text))))
    } else if low.contains("timed out") {
        Health::Unhealthy(Failure::TimedOut { after: request.check.timeout })
    } else {
        Health::Unhealthy(Failure::Connection { to, detail: words::detail(text, code) })
    }
}
