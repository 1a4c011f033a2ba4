//! Expectations over JSON: one RFC 9535 JSONPath, one condition on what it selects.
//!
//! Numbers compare as numbers (`1` equals `1.0`). A path that selects nothing satisfies only
//! `exists: false`; where it selects several values, all must satisfy the condition.

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use regex::Regex;
use serde_json::{Number, Value};

/// The longest JSONPath taken, in bytes.
const MAX_PATH: usize = 2000;

/// The work one evaluation may make, in steps: the library keeps the location of every value it visits,
/// so that hostile input could cost far more than its size.
const MAX_COST: u64 = 64 * 1024 * 1024;

/// `{"path": "$.status", "equals": "ok"}`, parsed.
#[derive(Debug, Clone)]
pub struct JsonExpectation {
    path: String,
    query: JpQuery,
    condition: Condition,
}

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

impl JsonExpectation {
    /// Parses `path`.
    ///
    /// # Errors
    /// What is wrong with the path, one line.
    pub fn new(path: &str, condition: Condition) -> Result<Self, String> {
        if path.len() > MAX_PATH {
            return Err(format!("longer than {MAX_PATH} bytes"));
        }
        if !path.starts_with('$') {
            return Err("a JSONPath begins with \"$\"".to_owned());
        }
        let query = parse_json_path(path).map_err(|error| reason(&error))?;
        Ok(Self { path: path.to_owned(), query, condition })
    }

    fn check(&self, body: &Value, size: Size) -> Result<(), Broken> {
        let path = &self.path;
        if size.cost(path) > MAX_COST {
            return Err(Broken::CannotTell(format!("the answer is too large and too deep for {path}")));
        }
        let found = js_path_process(&self.query, body)
            .map_err(|error| Broken::CannotTell(format!("{path}: {error}")))?;
        let wanted = &self.condition;
        if let (Condition::Exists(true), false) | (Condition::Exists(false), true) =
            (wanted, found.is_empty())
        {
            return Ok(());
        }
        if found.is_empty() {
            return Err(Broken::Failed(format!("{path} is missing, expected {}", wanted.describe())));
        }
        match found.iter().find(|node| !wanted.holds(node.val)) {
            None => Ok(()),
            Some(node) => {
                Err(Broken::Failed(format!("{path} is {}, expected {}", shown(node.val), wanted.describe())))
            }
        }
    }
}

impl Condition {
    fn holds(&self, found: &Value) -> bool {
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

    fn describe(&self) -> String {
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

/// One line; the library's own messages are drawings of several, with `--> LINE:COLUMN` in the first.
fn reason(error: &JsonPathError) -> String {
    let text = error.to_string();
    let position = text.split_once("--> 1:").and_then(|(_, rest)| rest.lines().next());
    match position {
        Some(column) => format!("it cannot be understood from character {} on", column.trim()),
        None => text.lines().next().unwrap_or_default().to_owned(),
    }
}

/// Why expectations do not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// One failed (path, expected, found), or the body is not JSON.
    Failed(String),
    /// It would cost too much to find out: a service is not called down for that.
    CannotTell(String),
}

/// Whether `body` is JSON and all expectations hold.
///
/// # Errors
/// The first that does not.
pub fn hold(expectations: &[JsonExpectation], body: &[u8]) -> Result<(), Broken> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Broken::Failed(format!("the answer is not JSON: {error}")))?;
    let size = Size::of(&body);
    expectations.iter().try_for_each(|expectation| expectation.check(&body, size))
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
fn shown(value: &Value) -> String {
    const LONGEST: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What decides how much work a path can make.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Values in all.
    nodes: u64,
    /// Their locations written out, in bytes.
    locations: u64,
    /// Levels.
    depth: u64,
}

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value, 1, 1);
        size
    }

    fn add(&mut self, value: &Value, location: u64, depth: u64) {
        self.nodes += 1;
        self.locations += location;
        self.depth = self.depth.max(depth);
        match value {
            Value::Array(list) => list.iter().for_each(|item| self.add(item, location + 8, depth + 1)),
            Value::Object(map) => {
                map.iter().for_each(|(key, item)| self.add(item, location + 4 + key.len() as u64, depth + 1));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// An upper bound of the steps that `path` takes: a second `..` visits a value once for each of its
    /// ancestors, a `$` inside a filter walks the whole document for each value.
    fn cost(self, path: &str) -> u64 {
        if !path.contains(['*', '?', ':', ',']) && !path.contains("..") {
            return 0;
        }
        let more = |count: usize| u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
        let descents = self.depth.saturating_pow(more(path.matches("..").count()));
        let roots = self.nodes.saturating_pow(more(path.matches('$').count()));
        // The library compiles a regular expression anew for each value.
        let patterns = if path.contains("match(") || path.contains("search(") { 1000 } else { 1 };
        self.locations.saturating_mul(descents).saturating_mul(roots).saturating_mul(patterns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judge(path: &str, condition: Condition, body: &Value) -> Result<(), String> {
        let list = [JsonExpectation::new(path, condition).unwrap()];
        hold(&list, body.to_string().as_bytes()).map_err(failed)
    }

    fn failed(broken: Broken) -> String {
        match broken {
            Broken::Failed(text) => text,
            Broken::CannotTell(text) => panic!("it could be told: {text}"),
        }
    }

    #[test]
    fn each_condition_holds_or_names_path_expected_and_found() {
        use Condition::*;
        let body = json!({"status": "degraded", "n": 3, "big": 9_007_199_254_740_993_u64, "none": null,
            "nodes": [{"up": true, "load": 1.0}, {"up": false, "load": 2}], "list": []});
        let number = |n: f64| Number::from_f64(n).unwrap();
        let table: Vec<(&str, Condition, Result<(), &str>)> = vec![
            ("$.status", Equals(json!("degraded")), Ok(())),
            ("$.status", Equals(json!("ok")), Err(r#"$.status is "degraded", expected "ok""#)),
            ("$.state", Equals(json!("ok")), Err(r#"$.state is missing, expected "ok""#)),
            ("$.n", Equals(json!(3.0)), Ok(())),
            ("$.n", Equals(json!("3")), Err(r#"$.n is 3, expected "3""#)),
            ("$.none", Equals(json!(null)), Ok(())),
            ("$.list", Equals(json!([])), Ok(())),
            (
                "$.big",
                Equals(json!(9_007_199_254_740_992_u64)),
                Err("$.big is 9007199254740993, expected 9007199254740992"),
            ),
            ("$.nodes[0]", Equals(json!({"load": 1, "up": true})), Ok(())),
            ("$.status", NotEquals(json!("down")), Ok(())),
            (
                "$.status",
                NotEquals(json!("degraded")),
                Err(r#"$.status is "degraded", expected anything but "degraded""#),
            ),
            ("$.state", NotEquals(json!("down")), Err(r#"$.state is missing, expected anything but "down""#)),
            ("$.n", OneOf(vec![json!(1), json!(3)]), Ok(())),
            ("$.n", OneOf(vec![json!(1), json!("x")]), Err(r#"$.n is 3, expected one of 1, "x""#)),
            ("$.n", Min(number(3.0)), Ok(())),
            ("$.n", Min(number(3.5)), Err("$.n is 3, expected at least 3.5")),
            ("$.n", Max(number(3.0)), Ok(())),
            ("$.n", Max(number(2.5)), Err("$.n is 3, expected at most 2.5")),
            ("$.status", Max(number(2.0)), Err(r#"$.status is "degraded", expected at most 2.0"#)),
            ("$.status", Matches(Regex::new("^deg").unwrap()), Ok(())),
            ("$.n", Matches(Regex::new("3").unwrap()), Err("$.n is 3, expected text matching 3")),
            ("$.none", Exists(true), Ok(())),
            ("$.state", Exists(true), Err("$.state is missing, expected to be there")),
            ("$.state", Exists(false), Ok(())),
            ("$.n", Exists(false), Err("$.n is 3, expected not to be there")),
            ("$.nodes[*].up", Equals(json!(true)), Err("$.nodes[*].up is false, expected true")),
            ("$.nodes[*].load", Max(number(2.0)), Ok(())),
            ("$.nodes[?@.up == false].load", Equals(json!(2)), Ok(())),
            ("$.list[*]", Equals(json!(1)), Err("$.list[*] is missing, expected 1")),
            ("$..up", Exists(true), Ok(())),
        ];
        for (path, condition, expected) in table {
            let shown = format!("{path} {condition:?}");
            assert_eq!(judge(path, condition, &body), expected.map_err(str::to_owned), "{shown}");
        }
    }

    #[test]
    fn all_expectations_must_hold_and_the_first_failure_is_told() {
        let list = [
            JsonExpectation::new("$.a", Condition::Equals(json!(1))).unwrap(),
            JsonExpectation::new("$.b", Condition::Equals(json!(1))).unwrap(),
        ];
        assert_eq!(hold(&list, br#"{"a": 1, "b": 1}"#), Ok(()));
        assert_eq!(
            hold(&list, br#"{"a": 1, "b": 2}"#),
            Err(Broken::Failed("$.b is 2, expected 1".to_owned()))
        );
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        let list = [JsonExpectation::new("$", Condition::Exists(true)).unwrap()];
        let deep = "[".repeat(1 << 20);
        for body in ["", "<html>", "{\"a\":", "\u{0}", "1 2", &deep] {
            let said = failed(hold(&list, body.as_bytes()).unwrap_err());
            assert!(said.starts_with("the answer is not JSON: "), "{said}");
        }
        assert!(hold(&list, b"\xff").is_err());
        assert_eq!(hold(&list, b"\xef\xbb\xbf{}"), Ok(()));
    }

    #[test]
    fn a_path_is_refused_with_a_reason() {
        let said = |path: &str| JsonExpectation::new(path, Condition::Exists(true)).unwrap_err();
        assert_eq!(said("status"), "a JSONPath begins with \"$\"");
        assert_eq!(said(""), "a JSONPath begins with \"$\"");
        assert_eq!(said("$.a["), "it cannot be understood from character 5 on");
        assert!(!said(&"$[".repeat(900)).contains('\n'));
        assert_eq!(said(&format!("${}", ".a".repeat(1000))), "longer than 2000 bytes");
    }

    #[test]
    fn hostile_answers_are_refused_before_they_cost_anything() {
        let leaves = "0,".repeat(250_000);
        let long_key = format!("{{\"{}\": [{leaves}0]}}", "k".repeat(500_000));
        let deep = format!("{}{leaves}0{}", "[".repeat(120), "]".repeat(120));
        let flat = format!("[{leaves}0]");
        for (path, body) in
            [("$[?search(@, 'a')]", &flat), ("$.*[*]", &long_key), ("$..*..*", &deep), ("$[?$..x]", &deep)]
        {
            let list = [JsonExpectation::new(path, Condition::Exists(true)).unwrap()];
            let said = hold(&list, body.as_bytes()).unwrap_err();
            assert_eq!(said, Broken::CannotTell(format!("the answer is too large and too deep for {path}")));
        }
        let list = [JsonExpectation::new("$[*]", Condition::Equals(json!(0))).unwrap()];
        assert_eq!(hold(&list, flat.as_bytes()), Ok(()));
    }
}
