//! Checks over HTTP, TCP and TLS as rows: a name, the check as it is configured, and what must come of it.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::docker::skipped;
use super::rough_http::Verdict::{CannotTell, Fails, Passes};
use super::rough_http::{self, Ending, Tool, Verdict};
use super::server::Server;
use super::tls::{Certificates, Manner};

/// Name, check, and what must come of it.
pub type Row = (String, Value, Verdict);

/// Each row stands once in the log of a pass, as it must have come out.
#[track_caller]
pub fn logged(log: &str, rows: &[Row]) {
    for (name, _, verdict) in rows {
        let (phrase, reason) = match verdict {
            Passes => (format!("Health check passed for {name} "), ""),
            Fails(reason) => (format!("Health check failed for {name}, "), *reason),
            CannotTell(reason) => (format!("Cannot check {name} "), *reason),
        };
        let as_said = |line: &&str| line.contains(&phrase) && line.contains(reason);
        assert_eq!(log.lines().filter(as_said).count(), 1, "{name}: {verdict:?}, in:\n{log}");
    }
}

/// The table of [`rough_http`], as far as the reader has time for it.
pub fn rough_rows(
    url: &str,
    tool: Tool,
    ending: Ending,
    fits: impl Fn(&rough_http::Case) -> bool,
) -> Vec<Row> {
    let row = |case: rough_http::Case| (case.name.to_owned(), case.check(url, ending), case.verdict(tool));
    let credentials = rough_http::with_credentials(url);
    let credentials = credentials.into_iter().map(|(name, check, verdict)| (name.to_owned(), check, verdict));
    rough_http::cases().into_iter().filter(fits).map(row).chain(credentials).collect()
}

/// Names: of both loopbacks only one is listened on; some have no address; where nobody listens it is refused.
pub fn named_rows(four: u16, six: Option<u16>, closed: u16) -> Vec<Row> {
    let http = |host: &str, port: u16| json!({"type": "http", "endpoint": format!("http://{host}:{port}/status/200"), "timeout_seconds": 10});
    let tcp =
        |host: &str, port: u16| json!({"type": "tcp", "host": host, "port": port, "timeout_seconds": 10});
    let row = |name: &str, check, verdict| (name.to_owned(), check, verdict);
    let unresolved = CannotTell("could not resolve the name of no-such-host.invalid:");
    let mut rows = vec![
        row("http-localhost", http("localhost", four), Passes),
        row("http-address", http("127.0.0.1", four), Passes),
        row(
            "http-upper",
            json!({"type": "http", "endpoint": format!("HTTP://LOCALHOST:{four}/status/200")}),
            Passes,
        ),
        row("http-refused", http("localhost", closed), Fails("connection refused on localhost:")),
        row("http-unresolved", http("no-such-host.invalid", closed), unresolved),
        row("tcp-localhost", tcp("localhost", four), Passes),
        row("tcp-address", tcp("127.0.0.1", four), Passes),
        row("tcp-unresolved", tcp("no-such-host.invalid", closed), unresolved),
    ];
    if let Some(six) = six {
        rows.push(row("http-six", http("[::1]", six), Passes));
        rows.push(row("tcp-six", tcp("::1", six), Passes));
    }
    rows
}

/// The other loopback, and a port on which nobody listens.
pub fn six_and_closed() -> (Option<Server>, u16) {
    let six = TcpListener::bind("[::1]:0").ok().map(|listener| Server::over(listener, rough_http::answer));
    if six.is_none() {
        skipped("this machine has no ::1");
    }
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    (six, closed.expect("a free port").port())
}

/// What a server with TLS, or without, is taken for.
pub fn tls_rows(certificates: &Certificates, tool: Tool) -> Vec<Row> {
    let distrusted = |reason: &'static str| match tool {
        Tool::Curl | Tool::Machine => Fails(reason),
        // It is not told of the authority: no certificate is issued by somebody whom it trusts.
        Tool::GnuWget => Fails("no trusted connection to localhost:"),
        Tool::SmallWget => CannotTell("cannot agree on a TLS connection"),
    };
    let only_curl =
        |verdict| if tool == Tool::SmallWget { CannotTell("cannot agree on a TLS") } else { verdict };
    let good = match tool {
        Tool::GnuWget => Fails("issued by nobody who is trusted here"),
        _ => only_curl(Passes),
    };
    let rows = [
        ("good", Manner::With("good"), true, good),
        ("expired", Manner::With("expired"), true, distrusted("its certificate has expired")),
        ("future", Manner::With("future"), true, distrusted("its certificate is not valid yet")),
        ("other", Manner::With("other"), true, distrusted("its certificate is for another name")),
        ("self-signed", Manner::With("self"), true, distrusted("its certificate is self-signed")),
        ("unverified", Manner::With("expired"), false, only_curl(Passes)),
        ("mutual", Manner::Mutual("good"), false, CannotTell("cannot agree on a TLS connection")),
        ("plain", Manner::Plain, true, Fails("it answers without TLS")),
        ("reset", Manner::Reset, true, Fails("connection reset by localhost:")),
        ("end", Manner::End, true, Fails("connection reset by localhost:")),
        ("hang", Manner::Hang, true, Fails("timed out after 2 s")),
    ];
    let row = |(name, manner, verify, verdict): (&str, Manner, bool, Verdict)| {
        let endpoint = format!("https://localhost:{}/", certificates.serve(manner).port());
        let seconds = if name == "hang" { 2 } else { 20 };
        let check = json!({
            "type": "http", "endpoint": endpoint, "tls_verify": verify, "timeout_seconds": seconds
        });
        (name.to_owned(), check, verdict)
    };
    rows.into_iter().map(row).collect()
}
