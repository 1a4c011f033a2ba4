//! The endpoint of an HTTP check, taken apart: the same request whichever tool makes it.
//!
//! Whether the text is a valid URL was judged where the configuration was read.

use super::Unknown;
use crate::config::model::{HeaderValue, HttpProbe};

/// All headers of a request: those of the configuration, and what the endpoint and we add to them.
///
/// # Errors
/// Where one of them comes from an environment variable that is not set.
pub fn headers(probe: &HttpProbe, endpoint: &Endpoint) -> Result<Vec<(String, String)>, Unknown> {
    let mut list = Vec::new();
    for header in &probe.headers {
        let value = match &header.value {
            HeaderValue::Plain(value) | HeaderValue::FromEnv { value: Some(value), .. } => value,
            HeaderValue::FromEnv { variable, value: None } => {
                return Err(Unknown::MissingEnv(variable.clone()));
            }
        };
        if header.name.contains(char::is_control) || value.contains(char::is_control) {
            return Err(Unknown::Other(format!("header with a control character: {:?}", header.name)));
        }
        list.push((header.name.clone(), value.clone()));
    }
    let ours =
        [("Authorization", endpoint.authorization()), ("Accept-Encoding", Some("identity".to_owned()))];
    for (name, value) in ours {
        if !list.iter().any(|(set, _)| set.eq_ignore_ascii_case(name)) {
            list.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
    Ok(list)
}

/// With or without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Where a request goes, and what it asks for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// With or without TLS.
    pub scheme: Scheme,
    /// A name in lower case or an address; one of version six without its brackets.
    pub host: String,
    /// The port, where the text names one.
    named_port: Option<u16>,
    /// Path and query, beginning with a slash.
    pub target: String,
    /// `user:password` of the text, decoded.
    user: Option<Vec<u8>>,
}

impl Endpoint {
    /// `None` where the text is no `http` or `https` URL with a host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        // What follows the # is for browsers.
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(decoded(user)), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(six) => six.split_once(']')?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let named_port = match port.strip_prefix(':').filter(|port| !port.is_empty()) {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        let odd = |text: &str| text.contains(|c: char| c.is_whitespace() || c.is_control());
        if host.is_empty() || host.starts_with('-') || odd(host) || odd(target) {
            return None;
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Some(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            named_port,
            target: format!("{slash}{target}"),
            user,
        })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.named_port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// `host:port` for people.
    #[must_use]
    pub fn to(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port())
    }

    /// The value of the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.named_port {
            Some(port) => format!("{}:{port}", self.bracketed()),
            None => self.bracketed(),
        }
    }

    /// The same address in the form that every tool takes, and without the credentials in it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}{}", self.authority(), self.target)
    }

    /// The value of the header `Authorization` for `user:password@` in the text.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        self.user.as_ref().map(|user| format!("Basic {}", base64(user)))
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// `%40` is `@`. A colon stands between name and password even where there is no password.
fn decoded(user: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = user.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    if !user.contains(':') {
        bytes.push(b':');
    }
    bytes
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for sextet in 0..4 {
            let index = (bits >> (18 - 6 * sextet) & 63) as usize;
            text.push(if sextet <= three.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_one_that_all_tools_take() {
        for (text, url, to) in [
            ("http://localhost:8080/health", "http://localhost:8080/health", "localhost:8080"),
            ("http://localhost:8080?x=1", "http://localhost:8080/?x=1", "localhost:8080"),
            ("http://localhost", "http://localhost/", "localhost:80"),
            ("HTTPS://Web.example/a?b=c#part", "https://web.example/a?b=c", "web.example:443"),
            ("http://web#part", "http://web/", "web:80"),
            ("http://[::1]:8080/", "http://[::1]:8080/", "[::1]:8080"),
            ("https://[fe80::1]?q", "https://[fe80::1]/?q", "[fe80::1]:443"),
            ("http://u:p@web:81/a@b", "http://web:81/a@b", "web:81"),
            ("http://web:/", "http://web/", "web:80"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((endpoint.url().as_str(), endpoint.to().as_str()), (url, to), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_none() {
        for text in [
            "",
            "web",
            "ftp://web/",
            "http://",
            "http://-x/",
            "http://w eb/",
            "http://web/a\nb",
            "http://web:99999/",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_sent_as_a_header() {
        for (text, value) in [
            ("http://web/", None),
            ("http://aladdin:open%20sesame@web/", Some("Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
            ("http://a:b%40c@web/", Some("Basic YTpiQGM=")),
            ("http://a@web/", Some("Basic YTo=")),
            ("http://a:%zz@web/", Some("Basic YToleno=")),
        ] {
            let sent = Endpoint::parse(text).unwrap_or_else(|| panic!("{text}")).authorization();
            assert_eq!(sent.as_deref(), value, "{text}");
        }
    }
}
