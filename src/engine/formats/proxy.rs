//! The answer of a proxy that stands before the engine, which is a page for people instead of the engine's words.

use super::errors::{self, Asked};
use crate::check::Unknown;

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its HTTP status, where it names one.
    status: Option<u16>,
    /// Its words without markup.
    text: String,
}

/// Reads a page in the client's error; `None` where there is none.
#[must_use]
pub fn page(error: &str) -> Option<Page> {
    let low = error.to_ascii_lowercase();
    let starts = ["<!doctype html", "<html", "<head", "<body", "<h1"];
    let start = starts.iter().filter_map(|tag| low.find(tag)).min()?;
    let text = words(&error[start..]);
    let status = text.split_ascii_whitespace().find_map(|word| {
        word.parse().ok().filter(|status: &u16| word.len() == 3 && (400..600).contains(status))
    });
    Some(Page { status, text })
}

impl Page {
    /// What that means. A proxy that forbids an order has not passed it on; one that does not reach the engine may
    /// have.
    #[must_use]
    pub fn unknown(self, asked: Asked) -> Unknown {
        let forbids = self.status.is_some_and(|status| (400..500).contains(&status));
        let text = if self.text.is_empty() { "an empty page".to_owned() } else { self.text };
        if !forbids {
            return Unknown::EngineUnreachable(format!("a proxy answers in its place: {text}"));
        }
        let what = match asked {
            Asked::Question => "its questions",
            Asked::Order => "to start and restart containers",
            Asked::Exec => "exec",
        };
        errors::refused(format!("the proxy before it does not allow {what}: {text}"), asked)
    }
}

/// The text of a page in one line; a headline that repeats the title stands there once.
fn words(page: &str) -> String {
    let mut text = String::new();
    for piece in page.split('<') {
        let (tag, rest) = piece.split_once('>').unwrap_or(("", piece));
        if !tag.to_ascii_lowercase().starts_with("style") && !tag.to_ascii_lowercase().starts_with("script") {
            text.push(' ');
            text.push_str(rest);
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let twice = (1..=words.len() / 2).rev().find(|&half| words[..half] == words[half..2 * half]);
    words[twice.unwrap_or(0)..].join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_by_its_words() {
        for (error, status, text) in [
            (
                "Error response from daemon: <html><body><h1>403 Forbidden</h1>\n\
                 Request forbidden by administrative rules.\n</body></html>",
                Some(403),
                "403 Forbidden Request forbidden by administrative rules.",
            ),
            (
                "Error response from daemon: <html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
                 <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>",
                Some(502),
                "502 Bad Gateway nginx",
            ),
            (
                "error during connect: <!DOCTYPE HTML><html><head><style>h1 { color: red }</style>\
                 <title>Access denied</title></head><body>Ask 1234</body></html>",
                None,
                "Access denied Ask 1234",
            ),
            ("<html></html>", None, ""),
        ] {
            assert_eq!(page(error), Some(Page { status, text: text.into() }), "{error}");
        }
        assert_eq!(page("Error response from daemon: No such container: <none>"), None);
    }

    #[test]
    fn what_a_proxy_forbids_was_not_done() {
        let forbidden = || page("<html><h1>403 Forbidden</h1></html>").unwrap();
        assert!(forbidden().unknown(Asked::Exec).is_engine());
        assert!(forbidden().unknown(Asked::Question).is_engine());
        assert!(!forbidden().unknown(Asked::Order).is_engine());
        let lost = page("<html><h1>504 Gateway Time-out</h1></html>").unwrap();
        assert!(lost.unknown(Asked::Order).is_engine());
    }
}
