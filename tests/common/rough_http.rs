//! One table of HTTP answers, the proper and the odd ones, and what a check must make of each with every tool.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use super::server::{Reply, Request, Then};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Curl,
    GnuWget,
    SmallWget,
    /// The program itself, from the machine.
    Machine,
}

/// What a check must come to, and a fragment of its reason.
#[derive(Debug, Clone, Copy)]
pub enum Verdict {
    Passes,
    Fails(&'static str),
    CannotTell(&'static str),
}
use Tool::{Curl, GnuWget, Machine, SmallWget};
use Verdict::{CannotTell, Fails, Passes};

/// How the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Newline,
    Bare,
}

/// A path of [`answer`], how it is checked, and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: &'static str,
    path: &'static str,
    keys: Value,
    verdict: Verdict,
    except: Vec<(Tool, Verdict)>,
    timeout_seconds: u64,
}

/// What a case costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Next to nothing.
    Quick,
    /// Its whole time.
    Late,
    /// It reads as much as may be read.
    Long,
}

impl Case {
    pub fn kind(&self) -> Kind {
        match self.name {
            "text-late" | "text-slow" | "unended-head" => Kind::Late,
            "json-bomb" | "json-endless" => Kind::Long,
            _ => Kind::Quick,
        }
    }

    pub fn verdict(&self, tool: Tool) -> Verdict {
        self.except.iter().find(|(other, _)| *other == tool).map_or(self.verdict, |(_, verdict)| *verdict)
    }

    /// The check of what listens there; `url` without a path.
    pub fn check(&self, url: &str, ending: Ending) -> Value {
        let ending = if ending == Ending::Newline && !self.path.contains('?') { "?newline" } else { "" };
        let mut check = json!({
            "type": "http",
            "endpoint": format!("{url}{}{ending}", self.path),
            "timeout_seconds": self.timeout_seconds
        });
        let keys = self.keys.as_object().expect("an object");
        check.as_object_mut().expect("an object").extend(keys.clone());
        check
    }
}

/// Its answer has this status and body.
fn full(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// What is answered under each path.
pub fn answer(request: &Request) -> Reply {
    let close = |bytes: Vec<u8>| Reply::Raw(bytes, Then::Close);
    let newline = request.path.ends_with("?newline");
    let ok = || if newline { b"{\"status\":\"ok\"}\n".to_vec() } else { b"{\"status\":\"ok\"}".to_vec() };
    let block = || [vec![b'x'; 4095], vec![b'\n']].concat();
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}\r\n").into_bytes();
    let many = |count: usize, value: &str| {
        (0..count).map(|number| format!("X-Odd-{number}: {value}\r\n")).collect::<String>()
    };
    let has = |name: &str, value: &str| request.header(name) == Some(value);
    let path = request.path.split('?').next().unwrap_or_default();
    match path {
        "/endless" => Reply::Raw(head(""), Then::Repeat(block())),
        "/endless-after" => Reply::Raw([head(""), ok()].concat(), Then::Repeat(block())),
        "/silent" => Reply::Raw(head("Content-Type: text/event-stream\r\n"), Then::Hold),
        "/unended-head" => Reply::Raw(b"HTTP/1.1 200 OK\r\nX-Late: ".to_vec(), Then::Hold),
        "/latin" => close([b"HTTP/1.1 200 Tr\xe8s bien\r\n\r\n".to_vec(), ok()].concat()),
        "/slow" => Reply::Raw([head(""), ok(), b"\n".to_vec()].concat(), Then::Hold),
        "/interim" => {
            let early =
                format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n{}\r\n", many(150, "a"));
            close([early.into_bytes(), full("", &ok())].concat())
        }
        "/cookie" => close(full("Set-Cookie: a=\x01\x02; Path=/\r\n", &ok())),
        "/folded" => close(full("X-Folded: a\r\n  b\r\n\tc\r\n", &ok())),
        "/many" => close(full(&many(150, "value"), &ok())),
        "/long" => close(full(&many(88, &"v".repeat(1000)), &ok())),
        "/bad-chunks" => close([head("Transfer-Encoding: chunked\r\n"), b"zz\r\nno chunk".to_vec()].concat()),
        "/chunks" => {
            let mut body = b"5\r\n{\"sta\r\na;x=y\r\ntus\":\"ok\"}\r\n".to_vec();
            body.extend_from_slice(if newline { b"1\r\n\n\r\n0\r\n\r\n" } else { b"0\r\n\r\n" });
            close([head("Transfer-Encoding: chunked\r\n"), body].concat())
        }
        "/short" => close([head("Content-Length: 100\r\n"), ok()].concat()),
        "/more" => close([full("", &ok()), b"more than was announced".to_vec()].concat()),
        "/bare" => close([b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), ok()].concat()),
        "/no-reason" => close([b"HTTP/1.1 200\nContent-Length: 15\n\n".to_vec(), ok()].concat()),
        "/no-http" => close(b"ok, all is well\n".to_vec()),
        "/nothing" => Reply::Close,
        "/gzip" => close(full("Content-Encoding: gzip\r\n", &gzip(&ok()))),
        "/deflate" => close(full("Content-Encoding: deflate\r\n", &deflate(&ok()))),
        "/gzip-bomb" => close(full("Content-Encoding: gzip\r\n", &gzip(&block().repeat(5000)))),
        "/unheard-of" => close(full("Content-Encoding: unheard-of\r\n", &ok())),
        "/identity" if has("accept-encoding", "identity") => close(full("", &ok())),
        "/basic" if has("authorization", "Basic YW5uYTpwQHNz") => close(full("", &ok())),
        "/basic" => Reply::Raw(
            b"HTTP/1.1 401 -\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Then::Close,
        ),
        "/" if request.path == "/?x=1" => close(full("", &ok())),
        "/headers" if has("x-empty", "") && has("x-quoted", "a \"b\\ 'c' $d") => close(full("", &ok())),
        "/head" if request.method == "HEAD" => close(head("Content-Length: 15\r\n")),
        "/post" if request.method == "POST" => close(full("", &ok())),
        "/moved" => close(b"HTTP/1.1 302 -\r\nLocation: /status/500\r\nContent-Length: 0\r\n\r\n".to_vec()),
        _ => match path.strip_prefix("/status/").and_then(|status| status.parse().ok()) {
            Some(status) => Reply::status(status, ""),
            None => Reply::status(404, ""),
        },
    }
}

/// The whole table. Only a status is asked for where `keys` has no expectation.
pub fn cases() -> Vec<Case> {
    let case = |name, path, keys: Value, verdict| Case {
        name,
        path,
        keys,
        verdict,
        except: Vec::new(),
        timeout_seconds: 20,
    };
    let status = |name, path, verdict| case(name, path, json!({}), verdict);
    let json = |name, path, verdict| {
        case(name, path, json!({"expect_json": [{"path": "$.status", "equals": "ok"}]}), verdict)
    };
    let text = |name, path, verdict| case(name, path, json!({"expect_body": "status"}), verdict);
    let but = |mut case: Case, except: &[(Tool, Verdict)]| {
        case.except = except.to_vec();
        case
    };
    let no_body = CannotTell("cannot decode the body");
    let no_tell = CannotTell("cannot tell");
    vec![
        status("endless", "/endless", Passes),
        status("silent", "/silent", Passes),
        status("slow", "/slow", Passes),
        status("latin", "/latin", Passes),
        json("json-latin", "/latin", Passes),
        // GNU wget says nothing before the end of a head.
        but(status("unended-head", "/unended-head", Passes), &[(GnuWget, Fails("timed out after"))]),
        but(status("interim", "/interim", Passes), &[(SmallWget, no_tell)]),
        status("cookie", "/cookie", Passes),
        status("folded", "/folded", Passes),
        status("many", "/many", Passes),
        but(status("long", "/long", Passes), &[(GnuWget, no_tell)]),
        status("bad-chunks", "/bad-chunks", Passes),
        status("short", "/short", Passes),
        status("more", "/more", Passes),
        status("bare", "/bare", Passes),
        status("no-reason", "/no-reason", Passes),
        status("no-http", "/no-http", Fails("is no HTTP")),
        status("nothing", "/nothing", Fails("connection reset by")),
        status("moved", "/moved", Passes),
        status("401", "/status/401", Fails("HTTP 401, expected 200")),
        status("429", "/status/429", Fails("HTTP 429, expected 200")),
        status("500", "/status/500", Fails("HTTP 500, expected 200")),
        case("500-wanted", "/status/500", json!({"expect_status": 500}), Passes),
        status("query", "?x=1", Passes),
        status("fragment", "?x=1#part", Passes),
        case("head", "/head", json!({"method": "HEAD"}), Passes),
        case("post", "/post", json!({"method": "POST"}), Passes),
        case(
            "headers",
            "/headers",
            json!({"headers": {"X-Empty": "", "X-Quoted": "a \"b\\ 'c' $d"}}),
            Passes,
        ),
        json("json", "/more", Passes),
        json("json-chunks", "/chunks", Passes),
        json("json-bare", "/bare", Passes),
        json("json-identity", "/identity", Passes),
        but(json("json-gzip", "/gzip", Passes), &[(SmallWget, no_body)]),
        but(json("json-deflate", "/deflate", Passes), &[(SmallWget, no_body), (GnuWget, no_body)]),
        but(
            json("json-unheard-of", "/unheard-of", no_body),
            &[(Machine, CannotTell("encoded as \"unheard-of\", which cannot be decoded"))],
        ),
        but(
            json("json-bomb", "/gzip-bomb", CannotTell("longer than 1048576 bytes")),
            &[(SmallWget, no_body)],
        ),
        json("json-endless", "/endless", CannotTell("longer than 1048576 bytes")),
        but(json("json-many", "/many", Passes), &[]),
        but(json("json-folded", "/folded", Passes), &[(SmallWget, no_tell)]),
        json("json-401", "/status/401", Fails("HTTP 401, expected 200")),
        json("json-short", "/short", Passes),
        text("text-endless", "/endless-after", Passes),
        text("text-slow", "/slow", Passes),
        text("text-short", "/short", Passes),
        case("text-missed", "/short", json!({"expect_body": "absent"}), Fails("connection reset by")),
        case("text-late", "/slow", json!({"expect_body": "absent"}), Fails("timed out after")),
        case("text-absent", "/more", json!({"expect_body": "absent"}), Fails("does not contain")),
    ]
    .into_iter()
    .map(|mut case| {
        // These end with their time.
        if case.kind() == Kind::Late {
            case.timeout_seconds = 3;
        }
        // Where a tool sends GET for HEAD, it says so instead.
        if case.name == "head" {
            case.except.push((SmallWget, CannotTell("cannot send HEAD")));
        }
        case
    })
    .collect()
}

/// The same table for `user:password@`, which stands before the host.
pub fn with_credentials(url: &str) -> Vec<(&'static str, Value, Verdict)> {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let check = |user: &str, scheme: &str| {
        json!({
            "type": "http",
            "endpoint": format!("{scheme}://{user}{rest}/basic"),
            "timeout_seconds": 20
        })
    };
    vec![
        ("credentials", check("anna:p%40ss@", scheme), Passes),
        ("upper-case", check("anna:p%40ss@", &scheme.to_ascii_uppercase()), Passes),
        ("wrong-credentials", check("anna:no@", scheme), Fails("HTTP 401")),
        ("no-credentials", check("", scheme), Fails("HTTP 401")),
    ]
}

/// Which of the three tools of a container the table is for; [`Curl`] where several are there.
pub fn of_container(has: impl Fn(&str) -> bool) -> Tool {
    match (has("curl"), has("gnu")) {
        (true, _) => Curl,
        (false, true) => GnuWget,
        (false, false) => SmallWget,
    }
}
