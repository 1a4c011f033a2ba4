//! Values of the JSON tree, asked for by type: each answer is a value or a recorded problem.
//!
//! Knows nothing of services; which keys there are belongs in the section readers.

use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use super::Env;
use super::problem::{Problem, Severity, child, element, quoted};
use super::suggest::suggest;
use super::syntax::Lines;

/// What every reader needs: positions, the environment, the folder of the file, the list of problems.
pub(super) struct Context<'t> {
    pub(super) lines: Lines<'t>,
    pub(super) env: &'t Env<'t>,
    /// The configuration's folder, absolute.
    pub(super) folder: PathBuf,
    pub(super) problems: RefCell<Vec<Problem>>,
}

impl Context<'_> {
    pub(super) fn note(&self, severity: Severity, at: Option<usize>, path: &str, text: impl Into<String>) {
        let (line, column) = at.map_or((0, 0), |offset| self.lines.position(offset));
        let problem = Problem { severity, line, column, path: path.to_owned(), text: text.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// Whether an error was noted so far.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// Whether it is set, to nothing: somebody says that there is no such thing.
    pub(super) fn is_emptied(&self, name: &str) -> bool {
        (self.env)(name).is_some_and(|value| value.is_empty())
    }
}

/// One value and where it stands.
#[derive(Clone)]
pub(super) struct Field<'a, 't> {
    pub(super) cx: &'a Context<'t>,
    pub(super) path: String,
    pub(super) value: &'a Value<'t>,
}

impl<'a, 't> Field<'a, 't> {
    pub(super) fn at(&self) -> usize {
        self.value.start()
    }

    pub(super) fn error(&self, text: impl Into<String>) {
        self.cx.note(Severity::Error, Some(self.at()), &self.path, text);
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        self.cx.note(Severity::Warning, Some(self.at()), &self.path, text);
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::NullKeyword(_))
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// What stands there, for messages. Text is shown only where `show` (it may be a secret).
    fn found(&self, show: bool) -> String {
        match self.value {
            Value::StringLit(text) if show => quoted(&text.value),
            Value::StringLit(_) => "text".into(),
            Value::NumberLit(number) => number.value.chars().take(40).collect(),
            Value::BooleanLit(flag) => flag.value.to_string(),
            Value::NullKeyword(_) => "null".into(),
            Value::Object(_) => "an object".into(),
            Value::Array(_) => "a list".into(),
        }
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.error(format!("expected {what}, found {}", self.found(true)));
        None
    }

    /// Text without NUL that is not blank.
    pub(super) fn text(&self) -> Option<String> {
        let text = self.any_text()?;
        if text.trim().is_empty() {
            self.error("must not be empty");
            return None;
        }
        Some(text)
    }

    /// Text without NUL.
    pub(super) fn any_text(&self) -> Option<String> {
        match self.value {
            Value::StringLit(text) if text.value.contains('\0') => {
                self.error("must not contain a NUL character");
                None
            }
            Value::StringLit(text) => Some(text.value.clone().into_owned()),
            Value::NumberLit(_) => {
                self.error("expected text, found a number; put it in double quotes");
                None
            }
            _ => self.expected("text"),
        }
    }

    /// Text on which `valid` says yes; else "expected `what`".
    pub(super) fn text_where(&self, what: &str, valid: impl Fn(&str) -> bool) -> Option<String> {
        let text = self.text()?;
        if valid(&text) { Some(text) } else { self.expected(what) }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::BooleanLit(flag) => Some(flag.value),
            _ => self.expected("true or false"),
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = match self.value {
            Value::StringLit(text) => text.value.as_ref(),
            _ => "",
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let names: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let mut message = format!("expected one of {}, found {}", names.join(", "), self.found(true));
        if let Some(meant) = suggest(text, words.iter().map(|(word, _)| *word)) {
            message.push_str(&format!("; did you mean \"{meant}\"?"));
        }
        self.error(message);
        None
    }

    /// Seconds, fractions allowed, within `min..=max`.
    pub(super) fn seconds(&self, min: f64, max: f64) -> Option<Duration> {
        let number = match self.value {
            Value::NumberLit(number) => number.value.parse::<f64>().ok().filter(|n| n.is_finite()),
            _ => return self.expected("a number of seconds, such as 5"),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Duration::try_from_secs_f64(number).ok(),
            _ => self.expected(&format!("seconds from {min} to {max}")),
        }
    }

    /// A whole number within `min..=max`.
    pub(super) fn whole(&self, min: u32, max: u32) -> Option<u32> {
        let number = match self.value {
            Value::NumberLit(number) => number.value.parse::<f64>().ok(),
            _ => None,
        };
        let range = f64::from(min)..=f64::from(max);
        match number.filter(|n| n.fract() == 0.0 && range.contains(n)) {
            // In range and whole, so the conversion is exact.
            Some(number) => Some(number as u32),
            None => self.expected(&format!("a whole number from {min} to {max}")),
        }
    }

    /// A path; a relative one is relative to the configuration's folder.
    pub(super) fn file_path(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if text == "~" || text.starts_with("~/") {
            self.error("\"~\" is not expanded; write the whole path");
            return None;
        }
        Some(join(&self.cx.folder, &text))
    }

    pub(super) fn list(&self, what: &str) -> Option<Vec<Field<'a, 't>>> {
        let Value::Array(list) = self.value else { return self.expected(what) };
        let item = |(index, value)| Field { cx: self.cx, path: element(&self.path, index), value };
        Some(list.elements.iter().enumerate().map(item).collect())
    }

    pub(super) fn section(&self) -> Option<Section<'a, 't>> {
        let Value::Object(object) = self.value else { return self.expected("an object { … }") };
        Some(Section { cx: self.cx, path: self.path.clone(), object })
    }

    /// The value as plain JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        let range = self.value.range();
        serde_json::from_str(self.cx.lines.slice(range.start, range.end)).ok()
    }
}

/// Joins a path to the configuration's folder, which is free of symbolic links, so that `..` at the
/// beginning can be resolved by name and paths shown to people are short.
fn join(folder: &Path, text: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    let mut leading = true;
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if leading => {
                joined.pop();
            }
            _ => {
                leading = false;
                joined.push(part);
            }
        }
    }
    joined
}

/// An object and where it stands.
pub(super) struct Section<'a, 't> {
    pub(super) cx: &'a Context<'t>,
    pub(super) path: String,
    pub(super) object: &'a Object<'t>,
}

impl<'a, 't> Section<'a, 't> {
    pub(super) fn at(&self) -> usize {
        self.object.range.start
    }

    pub(super) fn error(&self, text: impl Into<String>) {
        self.cx.note(Severity::Error, Some(self.at()), &self.path, text);
    }

    /// The value of `key`; `null` counts as not set.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a, 't>> {
        self.get_or_null(key).filter(|field| !field.is_null())
    }

    /// The value of `key`, even `null`.
    pub(super) fn get_or_null(&self, key: &str) -> Option<Field<'a, 't>> {
        let property = self.object.get(key)?;
        Some(Field { cx: self.cx, path: child(&self.path, key), value: &property.value })
    }

    /// All entries that are not `null`, with their keys and where those stand.
    pub(super) fn entries(&self) -> Vec<(&'a str, usize, Field<'a, 't>)> {
        let entry = |property: &'a jsonc_parser::ast::ObjectProp<'t>| {
            let name = property.name.as_str();
            let field = Field { cx: self.cx, path: child(&self.path, name), value: &property.value };
            (name, property.start(), field)
        };
        self.object.properties.iter().map(entry).filter(|(_, _, field)| !field.is_null()).collect()
    }

    /// Complains of keys that are not in `known`: an error where one of them was clearly meant.
    pub(super) fn only(&self, known: &[&'static str]) {
        self.only_or(known, |_| None);
    }

    /// As [`Section::only`]; `hint` may know more of a key that is unknown here.
    pub(super) fn only_or(&self, known: &[&'static str], hint: impl Fn(&str) -> Option<(Severity, String)>) {
        for property in &self.object.properties {
            let key = property.name.as_str();
            if known.contains(&key) || key.starts_with('_') || key.starts_with("x-") {
                continue;
            }
            let path = child(&self.path, key);
            let (severity, text) = match (hint(key), suggest(key, known.iter().copied())) {
                (Some(hint), _) => hint,
                (None, Some(meant)) => (Severity::Error, format!("unknown key; did you mean \"{meant}\"?")),
                (None, None) => {
                    let text = "unknown key, ignored; begin it with \"x-\" or \"_\" if that is meant";
                    (Severity::Warning, text.to_owned())
                }
            };
            self.cx.note(severity, Some(property.start()), &path, text);
        }
    }
}

/// Whether `name` can name an environment variable.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
