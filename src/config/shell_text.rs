//! Commands as they are pasted from a Compose file or a Dockerfile, and shell text that means something else than its
//! writer meant.

use std::sync::LazyLock;

use jsonc_parser::ast::Value;
use regex::Regex;

use super::field::Field;
use super::model::CustomCommand;

static GUARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r"(?:^|[;&|({])\s*(?:command -v|which|type|hash)\s+[^;|]*\|\|\s*\{?\s*(?:exit|return) (\d+)";
    Regex::new(text).ok()
});

/// Words of Compose's `healthcheck`, and what is written here for them.
const WORDS: [(&str, &str); 7] = [
    ("test", "\"type\": \"custom\" with \"command\""),
    ("interval", "\"interval_seconds\", a number, or leave it out: then every pass looks"),
    ("timeout", "\"timeout_seconds\", a number"),
    ("retries", "\"failure_threshold\" of the service, one level up"),
    ("start_period", "\"start_period_seconds\" of the service, one level up, a number"),
    ("start_interval", "nothing: after a restart it is looked at every second"),
    ("disable", "\"enabled\": false of the service, one level up"),
];

/// What is written here for a key of Compose's `healthcheck`.
pub(super) fn compose_key(key: &str) -> Option<String> {
    let (word, ours) = WORDS.iter().find(|(word, _)| *word == key)?;
    Some(format!("\"{word}\" is Compose's word; write {ours}"))
}

/// The command of a custom check: shell text, or a list with or without Compose's `CMD` and `CMD-SHELL`.
pub(super) fn check_command(field: &Field<'_, '_>) -> Option<CustomCommand> {
    if !matches!(field.value, Value::Array(_)) {
        let text = shell(field)?;
        let first = text.split_whitespace().next().unwrap_or_default();
        if ["CMD", "CMD-SHELL", "NONE"].contains(&first) {
            let remedy = if first == "NONE" { DISABLED } else { "leave it out" };
            field
                .error(format!("begins with {first:?}, which is no program but a word of Compose; {remedy}"));
            return None;
        }
        warn_of_guard(field, &text);
        return Some(CustomCommand::Shell(text));
    }
    let items = field.list("")?;
    let Some((first, rest)) = items.split_first() else {
        field.error("an empty list: the first item is the program");
        return None;
    };
    let word = match first.value {
        Value::StringLit(text) => text.value.as_ref(),
        _ => "",
    };
    match (word, rest) {
        ("NONE", _) => {
            field.error(format!("\"NONE\" is Compose's word for no check; {DISABLED}"));
            None
        }
        ("CMD-SHELL", [text]) => {
            let text_of_shell = shell(text)?;
            warn_of_guard(text, &text_of_shell);
            Some(CustomCommand::Shell(text_of_shell))
        }
        ("CMD-SHELL", _) => {
            field
                .error("after \"CMD-SHELL\" stands one shell text, as [\"CMD-SHELL\", \"curl … || exit 1\"]");
            None
        }
        ("CMD", [program, arguments @ ..]) => arguments_of(program, arguments),
        ("CMD", []) => {
            field.error("after \"CMD\" stands the program, as [\"CMD\", \"curl\", \"-f\", \"…\"]");
            None
        }
        _ => arguments_of(first, rest),
    }
}

const DISABLED: &str = "leave the service out, or set its \"enabled\" to false";

fn arguments_of(program: &Field<'_, '_>, arguments: &[Field<'_, '_>]) -> Option<CustomCommand> {
    let program = program.text();
    let arguments: Vec<Option<String>> =
        arguments.iter().map(|field| field.any_text().inspect(|text| warn_of_escape(field, text))).collect();
    let argv: Option<Vec<String>> = std::iter::once(program).chain(arguments).collect();
    Some(CustomCommand::Argv(argv?))
}

/// Shell text, such as `restart_cmd`.
pub(super) fn shell(field: &Field<'_, '_>) -> Option<String> {
    field.text().inspect(|text| warn_of_escape(field, text))
}

/// `$$VAR` is how Compose writes `$VAR`; a shell takes it for its own process id and the letters VAR.
fn warn_of_escape(field: &Field<'_, '_>, text: &str) {
    let begins = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_{(".contains(c));
    if text.split("$$").skip(1).any(begins) {
        field.warn(
            "\"$$\" is Compose's escape for \"$\"; a shell takes it for its own process id: write \"$\" alone",
        );
    }
}

/// `command -v X || exit 1`: what is missing there makes no sound, so it would count as down.
fn warn_of_guard(field: &Field<'_, '_>, text: &str) {
    let told = |code: &str| !["126", "127"].contains(&code);
    let guards = GUARD.as_ref();
    if guards.is_some_and(|guards| guards.captures_iter(text).any(|found| told(&found[1]))) {
        field.warn("a missing program would count as a service that is down; write \"exit 127\" for \"cannot be checked\"");
    }
}
