//! What an expectation demands of a value.

use regex::Regex;
use serde_json::{Map, Number, Value, json};

use crate::check::pattern;

/// What must hold for every value that the path selects.
#[derive(Debug, Clone)]
pub enum Condition {
    /// It equals that.
    Equals(Value),
    /// It does not.
    NotEquals(Value),
    /// It equals one of those.
    OneOf(Vec<Value>),
    /// It is a number, at least that.
    Min(Number),
    /// It is a number, at most that.
    Max(Number),
    /// It is text in which that is found.
    Matches(Regex),
    /// True: there is at least one value; false: there is none.
    Exists(bool),
}

/// The names of all conditions in a configuration.
pub const CONDITIONS: [&str; 7] = ["equals", "not_equals", "one_of", "min", "max", "matches", "exists"];

impl Condition {
    pub(super) fn holds(&self, found: &Value) -> bool {
        match self {
            Self::Equals(wanted) => equal(found, wanted),
            Self::NotEquals(unwanted) => !equal(found, unwanted),
            Self::OneOf(list) => list.iter().any(|wanted| equal(found, wanted)),
            Self::Min(least) => found.as_number().is_some_and(|n| order(n, least).is_ge()),
            Self::Max(most) => found.as_number().is_some_and(|n| order(n, most).is_le()),
            Self::Matches(pattern) => found.as_str().is_some_and(|text| pattern.is_match(text)),
            Self::Exists(wanted) => *wanted,
        }
    }

    /// Its name and value, as a configuration has them.
    pub(super) fn written(&self) -> (&'static str, Value) {
        match self {
            Self::Equals(value) => ("equals", value.clone()),
            Self::NotEquals(value) => ("not_equals", value.clone()),
            Self::OneOf(list) => ("one_of", Value::Array(list.clone())),
            Self::Min(number) => ("min", Value::Number(number.clone())),
            Self::Max(number) => ("max", Value::Number(number.clone())),
            Self::Matches(pattern) => ("matches", json!(pattern.as_str())),
            Self::Exists(wanted) => ("exists", json!(wanted)),
        }
    }

    /// The other way round.
    pub(super) fn read(map: &Map<String, Value>) -> Option<Self> {
        let (name, value) = CONDITIONS.iter().find_map(|name| Some((*name, map.get(*name)?)))?;
        Some(match name {
            "equals" => Self::Equals(value.clone()),
            "not_equals" => Self::NotEquals(value.clone()),
            "one_of" => Self::OneOf(value.as_array()?.clone()),
            "min" => Self::Min(value.as_number()?.clone()),
            "max" => Self::Max(value.as_number()?.clone()),
            "matches" => Self::Matches(pattern::compile(value.as_str()?).ok()?),
            _ => Self::Exists(value.as_bool()?),
        })
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Equals(wanted) => shown(wanted),
            Self::NotEquals(unwanted) => format!("anything but {}", shown(unwanted)),
            Self::OneOf(list) => {
                format!("one of {}", list.iter().map(shown).collect::<Vec<_>>().join(", "))
            }
            Self::Min(least) => format!("at least {least}"),
            Self::Max(most) => format!("at most {most}"),
            Self::Matches(pattern) => format!("text matching {pattern}"),
            Self::Exists(true) => "to be there".to_owned(),
            Self::Exists(false) => "not to be there".to_owned(),
        }
    }
}

/// Equality in which numbers compare as numbers, at any depth (the parser bounds that).
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}

/// Whole numbers exactly, others as floating point. JSON has no NaN.
fn order(a: &Number, b: &Number) -> std::cmp::Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let float = |n: &Number| n.as_f64().unwrap_or(f64::NAN);
            let (a, b) = (float(a), float(b));
            // -0.0 and 0.0 are the same number.
            a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b))
        }
    }
}

/// A value as compact JSON, not endless.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
