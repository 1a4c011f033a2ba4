//! What GNU wget and the small one of busybox say: a status where they print one, else words.

use super::http::Asked;
use super::words::{self, Tls, detail, says};
use super::{Answer, Health, NO_HTTP, Unknown, head};
use crate::check::judge::Output;
use crate::config::model::HttpProbe;

const CANNOT_TELL: &str = "cannot tell";

/// Judges what wget answered. `said` is what it printed beside the body.
pub(super) fn judge(asked: &Asked<'_>, answer: &Answer, said: &str) -> Health {
    let low = said.to_ascii_lowercase();
    if matches!(answer.code, 126 | 127) {
        return Health::Unknown(Unknown::NoTool(NO_HTTP.into()));
    }
    if let Some(what) = said.lines().find_map(|line| line.trim().strip_prefix("rcvy:cannot ")) {
        return asked.unable(&format!("cannot {what}"));
    }
    let Some(status) = head::first_status(said) else { return without_status(asked, answer, said, &low) };
    if is_secure(asked.probe) && low.contains("validation not implemented") {
        return asked.unable("cannot validate certificates");
    }
    with_status(asked, answer, said, status)
}

/// The first status line is the server's own answer; a small wget then follows redirects by itself.
fn with_status(asked: &Asked<'_>, answer: &Answer, said: &str, status: u16) -> Health {
    let redirected = (300..400).contains(&status) && said.contains("rcvy:small");
    let expected = asked.probe.expect_status.contains(status);
    if asked.apart && expected {
        let no_body = answer.out.bytes.is_empty() && answer.code != 0;
        if redirected || no_body && said.contains("rcvy:small") {
            return asked.unable(CANNOT_TELL);
        }
        if let Some(encoding) = encoded(said) {
            return asked.unable(&format!("cannot decode the body, which comes as {encoding}"));
        }
    }
    let cut = match answer.code {
        0 | 8 => None,
        // GNU wget's word for trouble with the network; a small one has no words.
        4 => Some(asked.reset()),
        _ if said.contains("rcvy:small") => Some(asked.reset()),
        code => Some(asked.unable(&format!("gave up: {}", detail(said, code)))),
    };
    asked.judged(status, &answer.out, cut)
}

/// What the answer says for certain though it has not ended.
pub(super) fn certain(asked: &Asked<'_>, out: &Output, err: &Output) -> Option<Health> {
    let said = String::from_utf8_lossy(if asked.apart { &err.bytes } else { &out.bytes });
    let told = &said[..=said.rfind('\n')?];
    let status = head::first_status(told)?;
    let unvalidated = is_secure(asked.probe) && told.contains("validation not implemented");
    let redirected = (300..400).contains(&status) && told.contains("rcvy:small");
    if unvalidated || asked.apart && (redirected || encoded(told).is_some()) {
        return None;
    }
    if asked.apart { asked.certain(status, out) } else { asked.certain(status, &Output::default()) }
}

/// An encoding that this wget did not undo.
fn encoded(said: &str) -> Option<&str> {
    let encoding = head::header(said, "content-encoding")?;
    let undone = says(&encoding.to_ascii_lowercase(), &["gzip"]) && said.contains("rcvy:gunzips");
    (!undone && !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
}

fn without_status(asked: &Asked<'_>, answer: &Answer, said: &str, low: &str) -> Health {
    let gnu = low.contains("rcvy:gnu");
    let https = is_https(asked.probe);
    if answer.code == 0 {
        // GNU wget tells every status.
        return if gnu { asked.no_http() } else { unseen(asked, answer, low) };
    }
    if words::is_unresolved(low) {
        return asked.unresolved();
    }
    if low.contains("refused") {
        return asked.refused();
    }
    if says(low, &["no route to host", "unreachable", "can't connect to"]) && !low.contains("timed out") {
        return asked.connection(detail(said, answer.code));
    }
    if https && !says(low, &["timed out", "usage:"]) {
        return match words::tls(low) {
            // Where openssl makes the connection for it, nobody says what became of that.
            Tls::Ended if !gnu && !says(low, &["short read", "bad tls record"]) => asked.tls(&Tls::Unsaid),
            tls => asked.tls(&tls),
        };
    }
    let lacks = [
        "usage:",
        "unrecognized option",
        "invalid option",
        "not an http or ftp url",
        "not supported",
        "unsupported scheme",
        "cannot allocate memory) in headers",
    ];
    if says(low, &lacks) {
        return asked.unable(CANNOT_TELL);
    }
    // It takes an interim answer for the whole.
    if low.contains("http/1.1 1") {
        return asked.unable(CANNOT_TELL);
    }
    if low.contains("timed out") {
        return asked.timed_out();
    }
    // What a server sent instead of a status stands indented in what is told.
    if low.contains("error getting response") && said.lines().any(|line| line.starts_with("  ")) {
        return asked.no_http();
    }
    if says(low, &["reset by peer", "no data received", "error getting response", "end of file"]) {
        return asked.reset();
    }
    if gnu && matches!(answer.code, 1..=3) || answer.code >= 128 {
        let text = format!("wget in the container gave up: {}", detail(said, answer.code));
        return Health::Unknown(Unknown::Other(text));
    }
    asked.connection(detail(said, answer.code))
}

/// Success without a status line: 2xx, perhaps after redirects.
fn unseen(asked: &Asked<'_>, answer: &Answer, low: &str) -> Health {
    let set = &asked.probe.expect_status;
    if !(200..400).all(|status| set.contains(status)) {
        return asked.unable(CANNOT_TELL);
    }
    if is_secure(asked.probe) && low.contains("validation not implemented") {
        return asked.unable("cannot validate certificates");
    }
    asked.judged(200, &answer.out, None)
}

fn is_https(probe: &HttpProbe) -> bool {
    probe.endpoint.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

fn is_secure(probe: &HttpProbe) -> bool {
    is_https(probe) && probe.tls_verify
}
