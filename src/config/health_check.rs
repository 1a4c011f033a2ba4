//! The `health_check` of one service.

use std::time::Duration;

use super::expectations::{compile, read as expectations};
use super::field::{Field, Section, is_variable_name};
use super::model::{
    ClosedAtOnce, Header, HeaderValue, HealthCheck, HttpProbe, MissingProgram, Probe, StatusSet, Vantage,
};
use super::problem::{Severity, quoted};
use super::service::{DAY, all_keys, check_timeout};
use super::shell_text::{check_command, compose_key};

const COMMON: [&str; 4] = ["type", "timeout_seconds", "from", "interval_seconds"];
const HTTP: [&str; 8] = [
    "endpoint",
    "method",
    "headers",
    "headers_env",
    "tls_verify",
    "expect_status",
    "expect_body",
    "expect_json",
];
const TCP: [&str; 3] = ["host", "port", "closed_at_once"];
const PROCESS: [&str; 1] = ["process_name"];
const CUSTOM: [&str; 3] = ["command", "expect_json", "missing_program"];
const METHODS: [(&str, &str); 7] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Http,
    Tcp,
    Process,
    Custom,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] =
        [("http", Self::Http), ("tcp", Self::Tcp), ("process", Self::Process), ("custom", Self::Custom)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Http => &HTTP,
            Self::Tcp => &TCP,
            Self::Process => &PROCESS,
            Self::Custom => &CUSTOM,
        }
    }
}

/// Reads it; `timeout` is the default, `in_container` whether the service has a container.
pub(super) fn read(section: &Section<'_, '_>, timeout: Duration, in_container: bool) -> Option<HealthCheck> {
    let kind = kind(section);
    only_known(section, kind);
    // All of it is read before the first gap ends it, so that every problem is told.
    let own = section.get("timeout_seconds").map(|field| check_timeout(&field));
    let from = vantage(section, kind, in_container);
    let interval = section.get("interval_seconds").map(|field| field.seconds(1.0, 31.0 * DAY));
    let probe = match kind? {
        Kind::Http => http(section),
        Kind::Tcp => tcp(section),
        Kind::Process => process(section),
        Kind::Custom => custom(section),
    };
    Some(HealthCheck {
        probe: probe?,
        timeout: own.unwrap_or(Some(timeout))?,
        from,
        interval: interval.unwrap_or_default(),
    })
}

fn kind(section: &Section<'_, '_>) -> Option<Kind> {
    let Some(field) = section.get("type") else {
        section.error("\"type\" is missing: one of \"http\", \"tcp\", \"process\", \"custom\"");
        return None;
    };
    field.word(&Kind::ALL)
}

fn only_known(section: &Section<'_, '_>, kind: Option<Kind>) {
    let all = || Kind::ALL.iter().flat_map(|(_, kind)| kind.keys());
    let known: Vec<&'static str> = match kind {
        Some(kind) => COMMON.iter().chain(kind.keys()).copied().collect(),
        None => COMMON.iter().chain(all()).copied().collect(),
    };
    section.only_or(&known, |key| {
        if let Some(text) = compose_key(key) {
            return Some((Severity::Error, text));
        }
        if all_keys().contains(&key) {
            return Some((Severity::Error, "belongs to the service, one level up".to_owned()));
        }
        let (name, _) = Kind::ALL.iter().find(|(_, other)| other.keys().contains(&key))?;
        let text = format!("ignored: it belongs to {name} checks, not to {} checks", kind?.name());
        Some((Severity::Warning, text))
    });
}

fn vantage(section: &Section<'_, '_>, kind: Option<Kind>, in_container: bool) -> Vantage {
    let default = if in_container { Vantage::Container } else { Vantage::Machine };
    let Some(field) = section.get("from") else { return default };
    let from = field.word(&[("container", Vantage::Container), ("machine", Vantage::Machine)]);
    match (from, kind) {
        (Some(Vantage::Container), _) if !in_container => {
            field.error("the service names no container; set \"container\" or leave this out");
        }
        (Some(Vantage::Machine), Some(kind @ (Kind::Process | Kind::Custom))) if in_container => {
            field.error(format!(
                "only http and tcp checks of a container can be made from the machine, not {} checks",
                kind.name()
            ));
        }
        _ => {}
    }
    from.unwrap_or(default)
}

/// The value of a key that this kind of check cannot do without.
fn required<'a, 't>(section: &Section<'a, 't>, key: &str, kind: Kind) -> Option<Field<'a, 't>> {
    let field = section.get(key);
    if field.is_none() {
        section.error(format!("\"{key}\" is missing: {} checks need it", kind.name()));
    }
    field
}

fn http(section: &Section<'_, '_>) -> Option<Probe> {
    let endpoint = required(section, "endpoint", Kind::Http).and_then(|field| endpoint(&field));
    let method = section.get("method").map(|field| method(&field));
    let headers = headers(section);
    let tls_verify = section.get("tls_verify").and_then(|field| field.flag()).unwrap_or(true);
    let expect_status = section.get("expect_status").and_then(|field| status_set(&field));
    let expect_body = section.get("expect_body").and_then(|field| field.text());
    let expect_json = expectations(section);
    let method = method.flatten().unwrap_or("GET");
    if method == "HEAD" && (expect_body.is_some() || !expect_json.is_empty()) {
        section.error(
            "the answer to HEAD has no body; use another method, or leave out expect_body and expect_json",
        );
    }
    Some(Probe::Http(HttpProbe {
        endpoint: endpoint?,
        method: method.to_owned(),
        headers,
        tls_verify,
        expect_status: expect_status
            .unwrap_or_else(|| StatusSet { ranges: vec![(200, 399)], text: "200–399".into() }),
        expect_body,
        expect_json,
    }))
}

fn method(field: &Field<'_, '_>) -> Option<&'static str> {
    let written = field.text()?.to_ascii_uppercase();
    match METHODS.iter().find(|(name, _)| *name == written) {
        Some((name, _)) => Some(name),
        None => field.word(&METHODS),
    }
}

/// A valid `http://` or `https://` URL. Not shown where it is wrong: it may hold a password.
fn endpoint(field: &Field<'_, '_>) -> Option<String> {
    let text = field.text()?;
    if let Some(wrong) = url_problem(&text) {
        field.error(format!("{wrong}; expected a URL such as \"http://localhost:9000/health\""));
        return None;
    }
    Some(text)
}

/// What is wrong with a URL.
pub(super) fn url_problem(text: &str) -> Option<&'static str> {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Some("does not begin with \"http://\" or \"https://\"");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("contains white space or control characters");
    }
    let Ok(url) = text.parse::<ureq::http::Uri>() else { return Some("is not a valid URL") };
    let authority = url.authority().map(|a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    let authority = authority.unwrap_or_default();
    // In [::1]:80 the port follows the bracket.
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    match (url.host(), after_host.split_once(':')) {
        (None | Some(""), _) => Some("names no host"),
        (Some(host), _) if host.starts_with('-') => Some("names a host that begins with \"-\""),
        (_, Some((_, port))) if port.parse::<u16>().map_or(true, |port| port == 0) => {
            Some("has no valid port (1 to 65535)")
        }
        _ => None,
    }
}

fn headers(section: &Section<'_, '_>) -> Vec<Header> {
    let entries =
        |key: &str| section.get(key).and_then(|field| field.section()).map_or(vec![], |s| s.entries());
    let plain = entries("headers").into_iter().filter_map(|(name, _, field)| {
        let value = field.any_text()?;
        if ureq::http::HeaderValue::from_str(&value).is_err() {
            field.error("a header's value is one line of visible characters");
            return None;
        }
        Some((header(name, HeaderValue::Plain(value), &field)?, field))
    });
    let mut list: Vec<Header> = plain.map(|(header, _)| header).collect();
    for (name, _, field) in entries("headers_env") {
        let Some(variable) = variable(&field) else { continue };
        let value = field.cx.variable(&variable);
        match &value {
            None => {
                field.warn(format!("environment variable {variable} is not set: the check cannot be made"));
            }
            Some(value) if ureq::http::HeaderValue::from_str(value).is_err() => {
                field.error(format!(
                    "environment variable {variable} does not hold one line of visible characters"
                ));
            }
            Some(_) => {}
        }
        if list.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            field.error("this header is set twice; write it in headers or in headers_env");
        }
        list.extend(header(name, HeaderValue::FromEnv { variable, value }, &field));
    }
    list
}

/// A header of that name, where it can be one.
pub(super) fn header(name: &str, value: HeaderValue, field: &Field<'_, '_>) -> Option<Header> {
    if ureq::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        field.error(format!("{} cannot name a header", quoted(name)));
        return None;
    }
    Some(Header { name: name.to_owned(), value })
}

/// The name of an environment variable. A wrong one is not shown: it may be the secret itself.
pub(super) fn variable(field: &Field<'_, '_>) -> Option<String> {
    let name = field.text()?;
    if !is_variable_name(&name) {
        field.error("expected the name of an environment variable (letters, digits, \"_\"), not a value");
        return None;
    }
    Some(name)
}

fn status_set(field: &Field<'_, '_>) -> Option<StatusSet> {
    let parts = match field.value {
        jsonc_parser::ast::Value::Array(list) if list.elements.is_empty() => {
            field.error("an empty list: no answer would be healthy");
            return None;
        }
        jsonc_parser::ast::Value::Array(_) => field.list("")?,
        _ => vec![field.clone()],
    };
    let read: Vec<Option<((u16, u16), String)>> = parts.iter().map(status_range).collect();
    let read: Vec<((u16, u16), String)> = read.into_iter().collect::<Option<_>>()?;
    let (ranges, texts): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    Some(StatusSet { ranges, text: texts.join(", ") })
}

/// `200`, `"200"`, `"2xx"` or `"200-299"`.
fn status_range(field: &Field<'_, '_>) -> Option<((u16, u16), String)> {
    use jsonc_parser::ast::Value;
    let text = match field.value {
        Value::NumberLit(number) => number.value,
        Value::StringLit(text) => text.value.as_ref(),
        _ => "",
    };
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    let class = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
    let range = match (class, text.split_once(['-', '–'])) {
        (Some(class), _) => code(&format!("{class}00")).map(|low| (low, low + 99)),
        (None, Some((low, high))) => code(low).zip(code(high)).filter(|(low, high)| low <= high),
        (None, None) => code(text).map(|code| (code, code)),
    };
    if range.is_none() {
        field.error("expected a status from 100 to 599, a list of them, or a class such as \"2xx\"");
    }
    Some((range?, text.to_owned()))
}

fn tcp(section: &Section<'_, '_>) -> Option<Probe> {
    let host = section.get("host").map(|field| {
        field.text_where("a host name or address", |host| {
            !host.starts_with('-') && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:%-".contains(&b))
        })
    });
    let port = required(section, "port", Kind::Tcp).and_then(|field| field.whole(1, 65535));
    let closed_at_once = section
        .get("closed_at_once")
        .map(|field| field.word(&[("refused", ClosedAtOnce::Refused), ("healthy", ClosedAtOnce::Healthy)]));
    Some(Probe::Tcp {
        host: host.unwrap_or_else(|| Some("localhost".into()))?,
        port: u16::try_from(port?).ok()?,
        closed_at_once: closed_at_once.unwrap_or(Some(ClosedAtOnce::Refused))?,
    })
}

fn process(section: &Section<'_, '_>) -> Option<Probe> {
    let field = required(section, "process_name", Kind::Process)?;
    let text = field.text()?;
    let pattern = compile(&field, &text)?;
    if pattern.is_match("") {
        field.warn("matches every process, so the service would always look healthy");
    }
    Some(Probe::Process { pattern })
}

fn custom(section: &Section<'_, '_>) -> Option<Probe> {
    let command = required(section, "command", Kind::Custom).and_then(|field| check_command(&field));
    let expect_json = expectations(section);
    let missing_program = section.get("missing_program").map(|field| {
        field.word(&[("unknown", MissingProgram::Unknown), ("unhealthy", MissingProgram::Unhealthy)])
    });
    let missing_program = missing_program.unwrap_or(Some(MissingProgram::Unknown))?;
    Some(Probe::Custom { command: command?, expect_json, missing_program })
}
