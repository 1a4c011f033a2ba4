//! From bytes to a JSON tree with positions: encoding, syntax, nesting, duplicate keys.
//!
//! Strict JSON. What the values mean belongs in `read` and the section readers.

use std::collections::HashSet;

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::problem::{Problem, Severity, child, element};

/// Deeper nesting than any configuration needs; parsing and reading recurse.
const MAX_DEPTH: usize = 64;

/// Byte offsets to lines and columns.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_newlines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Line and column of a byte offset, both from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |part| part.chars().count());
        (line, column + 1)
    }

    /// The text between two byte offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn error(&self, offset: usize, text: impl Into<String>) -> Problem {
        let (line, column) = self.position(offset);
        Problem { severity: Severity::Error, line, column, path: String::new(), text: text.into() }
    }
}

/// The text of a file: UTF-8, without a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Problem::of_file(Severity::Error, "it is UTF-16; save it as UTF-8".to_owned()));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        Lines::new(good).error(good.len(), "not valid UTF-8; save the file as UTF-8")
    })
}

/// Parses strict JSON.
pub(super) fn parse<'t>(text: &'t str, lines: &Lines<'t>) -> Result<Value<'t>, Problem> {
    if let Some(offset) = too_deep(text) {
        return Err(lines.error(offset, format!("nested deeper than {MAX_DEPTH} levels")));
    }
    let options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| lines.error(error.range().start, wording(&error)))?;
    let value = parsed.value.ok_or_else(|| lines.error(0, "the file is empty; expected a JSON object"))?;
    strict(text, lines)?;
    Ok(value)
}

/// The parser above lets some things pass that are no JSON (raw control characters in strings, `01`).
fn strict(text: &str, lines: &Lines<'_>) -> Result<(), Problem> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|error| {
        let start = lines.starts.get(error.line().saturating_sub(1)).copied().unwrap_or(0);
        let message = error.to_string();
        let message = match message.split(" at line ").next().unwrap_or_default() {
            text if text.starts_with("control character") => {
                "a control character inside text; write a new line as \\n, a tab as \\t"
            }
            other => other,
        };
        lines.error(floor(text, start + error.column().saturating_sub(1)), message)
    })
}

/// The start of the character that `offset` lies in.
fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Where nesting exceeds the limit; looks at brackets outside strings only.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(offset);
        }
    }
    None
}

/// What is wrong, and what would be right.
fn wording(error: &ParseError) -> String {
    match error.kind() {
        ParseErrorKind::TrailingCommasNotAllowed => "a comma before a closing bracket; remove it".into(),
        ParseErrorKind::ExpectedComma => "a comma is missing here".into(),
        ParseErrorKind::CommentsNotAllowed => {
            "JSON has no comments; use a key that begins with \"_\" or \"x-\"".into()
        }
        ParseErrorKind::SingleQuotedStringsNotAllowed => "text stands in double quotes".into(),
        ParseErrorKind::ExpectedStringObjectProperty => "a key stands in double quotes".into(),
        ParseErrorKind::ExpectedColonAfterObjectKey => "a colon is missing after the key".into(),
        ParseErrorKind::UnterminatedObject => "this object is never closed; a } is missing".into(),
        ParseErrorKind::UnterminatedArray => "this list is never closed; a ] is missing".into(),
        ParseErrorKind::MultipleRootJsonValues => "text after the end of the JSON object".into(),
        other => {
            let text = other.to_string();
            let mut chars = text.chars();
            chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
        }
    }
}

/// All keys that stand twice in one object, anywhere.
pub(super) fn duplicates(value: &Value<'_>, lines: &Lines<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    find_duplicates(value, &String::new, lines, &mut found);
    found
}

/// `path` is only asked for where something is found.
fn find_duplicates(
    value: &Value<'_>,
    path: &dyn Fn() -> String,
    lines: &Lines<'_>,
    found: &mut Vec<Problem>,
) {
    match value {
        Value::Object(object) => {
            let mut seen = HashSet::new();
            for property in &object.properties {
                let here = || child(&path(), property.name.as_str());
                if !seen.insert(property.name.as_str()) {
                    found.push(twice(property, here(), lines));
                }
                find_duplicates(&property.value, &here, lines, found);
            }
        }
        Value::Array(list) => {
            for (index, item) in list.elements.iter().enumerate() {
                find_duplicates(item, &|| element(&path(), index), lines, found);
            }
        }
        Value::StringLit(_) | Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
    }
}

fn twice(property: &ObjectProp<'_>, path: String, lines: &Lines<'_>) -> Problem {
    let text = "this key stands twice in the same object; remove one of them";
    Problem { path, ..lines.error(property.start(), text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        let lines = Lines::new(text);
        let problem = parse(text, &lines).map(|_| ()).unwrap_err();
        format!("{}:{}: {}", problem.line, problem.column, problem.text)
    }

    #[test]
    fn syntax_errors_say_where_and_what_would_be_right() {
        let deep = "[".repeat(100_000);
        let table = [
            ("", "1:1: the file is empty; expected a JSON object"),
            ("{\"a\": 1,}", "1:8: a comma before a closing bracket; remove it"),
            ("{\"a\": 1\n \"b\": 2}", "1:8: a comma is missing here"),
            ("{ // x\n}", "1:3: JSON has no comments; use a key that begins with \"_\" or \"x-\""),
            ("{\"ä\": 'x'}", "1:7: text stands in double quotes"),
            ("{a: 1}", "1:2: a key stands in double quotes"),
            ("{\"a\": {\n\"b\": 1", "1:7: this object is never closed; a } is missing"),
            ("{} {}", "1:4: text after the end of the JSON object"),
            ("{\"a\" 1}", "1:6: a colon is missing after the key"),
            (
                "{\"a\": \"x\ny\"}",
                "1:8: a control character inside text; write a new line as \\n, a tab as \\t",
            ),
            (deep.as_str(), "1:65: nested deeper than 64 levels"),
        ];
        for (text, expected) in table {
            assert_eq!(complaint(text), expected, "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn encodings_other_than_utf_8_are_named() {
        assert_eq!(decode(b"\xef\xbb\xbf{}").unwrap(), "{}");
        let bad = decode(b"{\n \"a\xff\"}").unwrap_err();
        assert_eq!((bad.line, bad.column), (2, 4));
        assert_eq!(decode(b"\xff\xfe{\0").unwrap_err().text, "it is UTF-16; save it as UTF-8");
    }
}
