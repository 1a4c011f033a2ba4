//! What curl's exit codes mean, in every version that is about.

use super::http::Asked;
use super::words::{self, Tls, detail};
use super::{Answer, Health, Unknown, head};
use crate::check::Distrust;
use crate::check::judge::Output;

/// Judges what curl answered: a status that came decides, whatever ended the transfer.
pub(super) fn judge(asked: &Asked<'_>, answer: &Answer, said: &str) -> Health {
    if asked.apart {
        if let Some((status, body)) = head::of(&answer.out.bytes) {
            let body = Output { bytes: body.to_vec(), truncated: answer.out.truncated };
            let cut = (answer.code != 0).then(|| no_answer(asked, answer.code, said));
            return asked.judged(status, &body, cut);
        }
    } else if let Some(status) = written(said) {
        return asked.judged(status, &Output::default(), None);
    }
    no_answer(asked, answer.code, said)
}

/// What the answer says for certain though it has not ended.
pub(super) fn certain(asked: &Asked<'_>, out: &Output) -> Option<Health> {
    let (status, body) = head::whole(&out.bytes)?;
    asked.certain(status, &Output { bytes: body.to_vec(), truncated: out.truncated })
}

/// The status that curl writes last; 000 where none came.
fn written(said: &str) -> Option<u16> {
    let status = said.trim_end().lines().next_back()?.trim().parse().ok()?;
    (status >= 200 || status == 101).then_some(status)
}

/// There is no status, or not the whole of a body.
fn no_answer(asked: &Asked<'_>, code: i32, said: &str) -> Health {
    // The last line may be the status that did not come.
    let said = said.trim_end().strip_suffix("000").unwrap_or(said);
    let low = said.to_ascii_lowercase();
    match code {
        0 => asked.unreadable(),
        6 => asked.unresolved(),
        // Newer versions say "Couldn't connect to server" of a refusal, too.
        7 if words::says(&low, &["no route", "unreachable"]) => asked.connection(detail(said, code)),
        7 if low.contains("timed out") => asked.timed_out(),
        7 => asked.refused(),
        28 if low.contains("resolving") => asked.unresolved(),
        28 => asked.timed_out(),
        1 if low.contains("http/0.9") => asked.no_http(),
        8 => asked.no_http(),
        35 => asked.tls(&words::tls(&low)),
        51 | 60 | 82 | 83 | 90 | 91 => match words::tls(&low) {
            Tls::Rejected(why) => asked.distrusted(why),
            _ => {
                asked.distrusted(Distrust::Other(format!("its certificate is rejected: {}", why(said, code))))
            }
        },
        // In newer TLS the other side asks for a certificate of ours only after the handshake.
        55 | 56 if words::tls(&low) == Tls::NotAgreed => asked.tls(&Tls::NotAgreed),
        16 | 18 | 52 | 55 | 56 | 92 => asked.reset(),
        53 | 54 | 58 | 59 | 64 | 66 | 77 | 80 | 98 => {
            asked.unable(&format!("cannot make a TLS connection ({})", why(said, code)))
        }
        61 => asked.unable(&format!("cannot decode the body ({})", why(said, code))),
        126 | 127 => {
            Health::Unknown(Unknown::NoTool(format!("curl in the container cannot be run (exit {code})")))
        }
        1..=4 | 23 | 26 | 27 | 43 | 48 | 128.. => {
            let text = format!("curl in the container gave up: {}", why(said, code));
            Health::Unknown(Unknown::Other(text))
        }
        _ => asked.connection(why(said, code)),
    }
}

/// curl's own words without its name and number; more than one line of them is advice.
fn why(said: &str, code: i32) -> String {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("curl: ("));
    line.and_then(|line| line.split_once(") "))
        .map_or_else(|| detail(said, code), |(_, words)| words.to_owned())
}
