//! The `notifications` section, with the environment where the file is silent.
//!
//! Topics and tokens are secrets: no message here repeats one.

use super::field::{Context, Field, Section};
use super::health_check::{header, url_problem, variable};
use super::model::{
    Header, HeaderValue, HostLabel, Notifications, Notify, Token, Topic, Webhook, WebhookUrl,
};
use super::problem::Severity;
use super::service::{NotifyKey, YEAR, authority};
use super::suggest::suggest;

/// Used where topics are named and no server.
pub(super) const PUBLIC_SERVER: &str = "https://ntfy.sh";

const KEYS: [&str; 7] =
    ["ntfy", "default_topic", "cooldown_seconds", "command", "webhook", "notify_on_recovery", "host_label"];
const NTFY_KEYS: [&str; 4] = ["server", "topics", "token_env", "token_file"];
/// The longest label, in characters: a phone shows little more of a title.
const LABEL_MAX: usize = 64;
/// Set by the program itself.
const OWN_HEADERS: [&str; 4] = ["content-type", "content-length", "host", "transfer-encoding"];

/// The section, and what is needed to give each service its topic.
pub(super) struct Read {
    pub(super) notifications: Notifications,
    /// For services that do not say.
    pub(super) notify_on_recovery: bool,
    /// Every key of `topics`; `None` where its environment variable is not set, or it was wrong.
    topics: Vec<(String, Option<String>)>,
}

pub(super) fn read(cx: &Context<'_>, section: Option<&Section<'_, '_>>) -> Read {
    if let Some(section) = section {
        section.only_or(&KEYS, |key| {
            let text = || format!("belongs to ntfy, one level down: {{\"ntfy\": {{\"{key}\": …}}}}");
            NTFY_KEYS.contains(&key).then(|| (Severity::Error, text()))
        });
    }
    let get = |key: &str| section.and_then(|section| section.get(key));
    let ntfy = get("ntfy").and_then(|field| field.section());
    if let Some(ntfy) = &ntfy {
        ntfy.only_or(&NTFY_KEYS, |key| {
            (key == "topic").then(|| (Severity::Error, "write \"topics\": {\"alerts\": \"NAME\"}".to_owned()))
        });
    }
    let topics =
        ntfy.as_ref().and_then(|ntfy| ntfy.get("topics")).map_or_else(Vec::new, |field| topics(&field));
    let named = ntfy.as_ref().and_then(|ntfy| ntfy.get("server"));
    let server = match &named {
        Some(field) => field.text().and_then(|text| server(&text).map_err(|why| field.error(why)).ok()),
        None => from_environment(cx, "NTFY_SERVER", server),
    };
    let mut read = Read {
        topics,
        notifications: Notifications {
            server: None,
            default_topic: None,
            token: token(cx, ntfy.as_ref()),
            cooldown: get("cooldown_seconds")
                .and_then(|field| field.seconds(0.0, YEAR))
                .unwrap_or(std::time::Duration::from_secs(3600)),
            command: get("command").and_then(|field| field.text()),
            webhook: get("webhook").and_then(|field| webhook(&field)),
            host_label: get("host_label").and_then(|field| host_label(&field)),
        },
        notify_on_recovery: get("notify_on_recovery").and_then(|field| field.flag()).unwrap_or(false),
    };
    let written = get("default_topic").and_then(|field| Some(NotifyKey::Topic(field.text()?, field)));
    if let Some(key) = &written {
        read.check(key);
    }
    read.notifications.default_topic =
        written.and_then(|key| read.topic(&key)).or_else(|| read.labelled("alerts")).or_else(|| {
            from_environment(cx, "NTFY_TOPIC", |text| topic_name(text).map(|()| text.to_owned()))
                .map(|secret| Topic { label: None, secret })
        });
    // A literal topic of a service asks for a server too; the reader of services sees to that.
    let some_topic = read.notifications.default_topic.is_some() || !read.topics.is_empty();
    read.notifications.server = server.or_else(|| some_topic.then(|| PUBLIC_SERVER.to_owned()));
    read
}

impl Read {
    /// Who hears of a service, by what its `notify_on_fail` says.
    pub(super) fn who(&self, key: Option<&NotifyKey<'_, '_>>) -> Notify {
        let topic = match key {
            Some(NotifyKey::Nobody) => return Notify::Nobody,
            Some(key) => self.topic(key),
            None => None,
        };
        match topic.or_else(|| self.notifications.default_topic.clone()) {
            Some(topic) => Notify::Topic(topic),
            None if self.notifications.command.is_some() || self.notifications.webhook.is_some() => {
                Notify::CommandOnly
            }
            None => Notify::Nobody,
        }
    }

    /// Complains of a key that names no topic.
    pub(super) fn check(&self, key: &NotifyKey<'_, '_>) {
        let NotifyKey::Topic(text, field) = key else { return };
        if let Some(literal) = text.strip_prefix("topic:") {
            if let Err(why) = topic_name(literal) {
                field.error(why);
            }
            return;
        }
        if self.topics.iter().any(|(label, _)| label == text) {
            return;
        }
        let labels: Vec<&str> = self.topics.iter().map(|(label, _)| label.as_str()).collect();
        let known = if labels.is_empty() { "there are none".to_owned() } else { labels.join(", ") };
        let meant =
            suggest(text, labels).map_or(String::new(), |meant| format!("; did you mean \"{meant}\"?"));
        field.error(format!(
            "no such key in notifications.ntfy.topics ({known}{meant}); a literal topic is written \"topic:NAME\""
        ));
    }

    /// The topic that a key names, where it can be resolved; complaints are [`Read::check`]'s.
    fn topic(&self, key: &NotifyKey<'_, '_>) -> Option<Topic> {
        let NotifyKey::Topic(text, _) = key else { return None };
        match text.strip_prefix("topic:") {
            Some(literal) => Some(Topic { label: None, secret: literal.to_owned() }),
            None => self.labelled(text),
        }
    }

    fn labelled(&self, label: &str) -> Option<Topic> {
        let (label, secret) = self.topics.iter().find(|(known, _)| known == label)?;
        Some(Topic { label: Some(label.clone()), secret: secret.clone()? })
    }
}

fn topics(field: &Field<'_, '_>) -> Vec<(String, Option<String>)> {
    let entries = field.section().map_or_else(Vec::new, |section| section.entries());
    entries.into_iter().map(|(label, _, field)| (label.to_owned(), topic(&field))).collect()
}

/// `"NAME"` or `{"env": "VARIABLE"}`.
fn topic(field: &Field<'_, '_>) -> Option<String> {
    let secret = if let jsonc_parser::ast::Value::Object(_) = field.value {
        let section = field.section()?;
        section.only(&["env"]);
        let Some(env) = section.get("env") else {
            section.error("expected {\"env\": \"VARIABLE\"}");
            return None;
        };
        let variable = variable(&env)?;
        let Some(value) = field.cx.variable(&variable) else {
            env.warn(format!(
                "environment variable {variable} is not set; the default topic is used instead"
            ));
            return None;
        };
        value
    } else {
        field.text()?
    };
    topic_name(&secret).map_err(|why| field.error(why)).ok()?;
    Some(secret)
}

/// What ntfy takes for a topic.
fn topic_name(name: &str) -> Result<(), String> {
    let valid = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if valid { Ok(()) } else { Err("a topic is 1 to 64 letters, digits, \"_\" or \"-\"".to_owned()) }
}

/// The server's root, without a trailing slash.
fn server(text: &str) -> Result<String, String> {
    let expected = format!("expected the server alone, such as \"{PUBLIC_SERVER}\"");
    if let Some(wrong) = url_problem(text) {
        return Err(format!("{wrong}; {expected}"));
    }
    let root = text.trim_end_matches('/');
    let rest = root.split_once("://").map_or("", |(_, rest)| rest);
    if rest.contains('@') {
        return Err(format!("contains a password; {expected}, and token_env or token_file"));
    }
    if rest.contains(['/', '?', '#']) {
        return Err(format!("has a path; {expected}, and topics in \"topics\""));
    }
    Ok(root.to_owned())
}

/// A variable's value, checked; problems are told of the variable.
fn from_environment(
    cx: &Context<'_>,
    name: &str,
    check: impl Fn(&str) -> Result<String, String>,
) -> Option<String> {
    let value = cx.variable(name)?;
    check(&value).map_err(|why| cx.note(Severity::Error, None, &format!("${name}"), why)).ok()
}

/// `{"url": "https://…"}` or `{"url_env": "VARIABLE"}`, and `headers_env`.
fn webhook(field: &Field<'_, '_>) -> Option<Webhook> {
    if let jsonc_parser::ast::Value::StringLit(_) = field.value {
        field.error("expected an object: {\"url\": \"https://…\"} or {\"url_env\": \"VARIABLE\"}");
        return None;
    }
    let section = field.section()?;
    section.only_or(&["url", "url_env", "headers_env"], |key| {
        let text = "a header may hold a secret, so it is read from the environment: headers_env";
        (key == "headers").then(|| (Severity::Error, text.to_owned()))
    });
    let headers = webhook_headers(&section);
    let url = match (section.get("url"), section.get("url_env")) {
        (Some(_), Some(env)) => {
            env.error("url is set too; leave one of them out");
            return None;
        }
        (None, None) => {
            section.error("\"url\" is missing: {\"url\": \"https://…\"} or {\"url_env\": \"VARIABLE\"}");
            return None;
        }
        (Some(url), None) => {
            let text = url.text()?;
            webhook_url(&text).map_err(|why| url.error(why)).ok()?;
            WebhookUrl::Plain(text)
        }
        (None, Some(env)) => {
            let variable = variable(&env)?;
            if env.cx.is_emptied(&variable) {
                env.warn(format!("environment variable {variable} is empty: there is no webhook"));
                return None;
            }
            let value = env.cx.variable(&variable);
            match value.as_deref().map(webhook_url) {
                None => env.warn(format!(
                    "environment variable {variable} is not set: events wait until a pass finds it set"
                )),
                Some(Err(why)) => {
                    env.error(format!("environment variable {variable}: {why}"));
                    return None;
                }
                Some(Ok(())) => {}
            }
            WebhookUrl::FromEnv { variable, value }
        }
    };
    Some(Webhook { url, headers })
}

/// Not shown where it is wrong: it is a secret.
fn webhook_url(text: &str) -> Result<(), String> {
    let expected = "expected a URL such as \"https://example.org/hook\"";
    match url_problem(text) {
        Some(wrong) => Err(format!("{wrong}; {expected}")),
        None if authority(text).contains('@') => {
            Err(format!("contains a user or password; {expected}, and headers_env"))
        }
        None => Ok(()),
    }
}

fn webhook_headers(section: &Section<'_, '_>) -> Vec<Header> {
    let entries = section.get("headers_env").and_then(|field| field.section());
    let mut headers: Vec<Header> = Vec::new();
    for (name, _, field) in entries.map_or_else(Vec::new, |section| section.entries()) {
        let Some(variable) = variable(&field) else { continue };
        let value = field.cx.variable(&variable);
        match &value {
            None => field.warn(format!(
                "environment variable {variable} is not set: events wait until a pass finds it set"
            )),
            Some(value) if ureq::http::HeaderValue::from_str(value).is_err() => field.error(format!(
                "environment variable {variable} does not hold one line of visible characters"
            )),
            Some(_) => {}
        }
        if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            field.error("this header is set by recovery itself");
        }
        if headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            field.error("this header is set twice");
        }
        headers.extend(header(name, HeaderValue::FromEnv { variable, value }, &field));
    }
    headers
}

/// `true` or a text.
fn host_label(field: &Field<'_, '_>) -> Option<HostLabel> {
    match field.value {
        jsonc_parser::ast::Value::BooleanLit(flag) => flag.value.then_some(HostLabel::Own),
        jsonc_parser::ast::Value::StringLit(_) => {
            let text = field.text()?;
            if text.chars().count() > LABEL_MAX || text.chars().any(char::is_control) {
                field.error(format!("expected one line of at most {LABEL_MAX} characters"));
                return None;
            }
            Some(HostLabel::Text(text.trim().to_owned()))
        }
        _ => {
            field.error("expected true (this machine's own name) or a text such as \"vps-1\"");
            None
        }
    }
}

fn token(cx: &Context<'_>, ntfy: Option<&Section<'_, '_>>) -> Token {
    let Some(ntfy) = ntfy else { return Token::None };
    match (ntfy.get("token_env"), ntfy.get("token_file")) {
        (None, None) => Token::None,
        (Some(_), Some(file)) => {
            file.error("token_env is set too; leave one of them out");
            Token::None
        }
        (None, Some(file)) => file.file_path().map_or(Token::None, Token::File),
        (Some(field), None) => {
            let Some(variable) = variable(&field) else { return Token::None };
            let value = cx.variable(&variable);
            if value.is_none() {
                field.warn(format!("environment variable {variable} is not set"));
            }
            Token::Env { variable, value }
        }
    }
}
