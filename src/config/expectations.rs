//! The `expect_json` of a health check, and regular expressions with their complaints.

use super::field::{Field, Section};
use super::problem::quoted;
use crate::check::expect::{CONDITIONS, Condition, JsonExpectation};
use crate::check::{pattern, question};

/// Reads the `expect_json` of `section`, if there is one.
pub(super) fn read(section: &Section<'_, '_>) -> Vec<JsonExpectation> {
    let items = section
        .get("expect_json")
        .and_then(|field| field.list("a list such as [{\"path\": \"$.status\", \"equals\": \"ok\"}]"));
    let items = items.unwrap_or_default();
    items.iter().filter_map(|item| expectation(&item.section()?)).collect()
}

fn expectation(section: &Section<'_, '_>) -> Option<JsonExpectation> {
    let mut known = vec!["path"];
    known.extend(CONDITIONS);
    section.only(&known);
    let path = section.get("path");
    if path.is_none() {
        section.error("\"path\" is missing, such as \"$.status\"");
    }
    // `null` is a value to compare with in these two; elsewhere it means not set.
    let written = |key: &str| match key {
        "equals" | "not_equals" => section.get_or_null(key),
        _ => section.get(key),
    };
    let set: Vec<(&str, Field<'_, '_>)> =
        CONDITIONS.into_iter().filter_map(|key| Some((key, written(key)?))).collect();
    let [(key, field)] = set.as_slice() else {
        section.error(format!("expected exactly one of {}, found {}", CONDITIONS.join(", "), set.len()));
        return None;
    };
    let condition = condition(key, field);
    let path = path?;
    match JsonExpectation::new(&path.text()?, condition?) {
        Ok(expectation) => {
            if expectation.is_costly() {
                path.warn(format!(
                    "may cost much over a long answer; where it takes more than {} s or {} MiB the check is \
                     unknown",
                    question::SECONDS,
                    question::MEMORY / (1024 * 1024)
                ));
            }
            Some(expectation)
        }
        Err(reason) => {
            path.error(format!("invalid JSONPath: {reason}; expected one such as \"$.status\""));
            None
        }
    }
}

fn condition(key: &str, field: &Field<'_, '_>) -> Option<Condition> {
    let number = || {
        let number = field.json().and_then(|value| value.as_number().cloned());
        if number.is_none() {
            field.error("expected a number");
        }
        number
    };
    Some(match key {
        "equals" => Condition::Equals(field.json()?),
        "not_equals" => Condition::NotEquals(field.json()?),
        "one_of" => {
            let items = field.list("a list of values")?;
            if items.is_empty() {
                field.error("an empty list: nothing would be healthy");
            }
            Condition::OneOf(items.iter().filter_map(Field::json).collect())
        }
        "min" => Condition::Min(number()?),
        "max" => Condition::Max(number()?),
        "matches" => Condition::Matches(compile(field, &field.text()?)?),
        _ => Condition::Exists(field.flag()?),
    })
}

/// Compiles a regular expression or complains of it.
pub(super) fn compile(field: &Field<'_, '_>, text: &str) -> Option<regex::Regex> {
    match pattern::compile(text) {
        Ok(pattern) => Some(pattern),
        Err(reason) => {
            field.error(format!("invalid regular expression {}: {reason}", quoted(text)));
            None
        }
    }
}
