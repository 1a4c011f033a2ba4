//! Expectations over JSON: one RFC 9535 JSONPath, one condition on what it selects.
//!
//! Numbers compare as numbers (`1` equals `1.0`). A path that selects nothing satisfies only
//! `exists: false`; where it selects several values, all must satisfy the condition. What may cost much is not
//! judged here ([`Broken::Costly`]); [`hold_at_any_cost`] is for a process with limits.

mod condition;
pub mod cost;

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::{Map, Value, json};

use condition::shown;
pub use condition::{CONDITIONS, Condition};

/// The longest JSONPath taken, in bytes.
const MAX_PATH: usize = 2000;

/// `{"path": "$.status", "equals": "ok"}`, parsed.
#[derive(Debug, Clone)]
pub struct JsonExpectation {
    path: String,
    query: JpQuery,
    condition: Condition,
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

    /// As a configuration has it.
    #[must_use]
    pub fn written(&self) -> Value {
        let (name, value) = self.condition.written();
        json!({"path": self.path, name: value})
    }

    /// The other way round; `None` where it is none.
    #[must_use]
    pub fn read(map: &Map<String, Value>) -> Option<Self> {
        Self::new(map.get("path")?.as_str()?, Condition::read(map)?).ok()
    }

    /// Whether its text alone shows that it may cost too much over the largest answer.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        cost::is_costly_by_its_text(&self.path, &self.condition)
    }

    fn check(&self, body: &Value) -> Result<(), Broken> {
        let path = &self.path;
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
    /// It cannot be found out.
    CannotTell(String),
    /// It may cost much to find out.
    Costly,
}

/// Whether `body` is JSON and all expectations hold.
///
/// # Errors
/// The first that does not.
pub fn hold(expectations: &[JsonExpectation], body: &[u8]) -> Result<(), Broken> {
    if !cost::is_short(body) {
        return Err(Broken::Costly);
    }
    let body = parse(body)?;
    if !cost::is_cheap(expectations, &body) {
        return Err(Broken::Costly);
    }
    expectations.iter().try_for_each(|expectation| expectation.check(&body))
}

/// The same, whatever time and memory it takes.
///
/// # Errors
/// The first that does not.
pub fn hold_at_any_cost(expectations: &[JsonExpectation], body: &[u8]) -> Result<(), Broken> {
    let body = parse(body)?;
    expectations.iter().try_for_each(|expectation| expectation.check(&body))
}

fn parse(body: &[u8]) -> Result<Value, Broken> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| Broken::Failed(format!("the answer is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;
    use serde_json::Number;

    fn judge(path: &str, condition: Condition, body: &Value) -> Result<(), String> {
        let list = [JsonExpectation::new(path, condition).unwrap()];
        hold_at_any_cost(&list, body.to_string().as_bytes()).map_err(failed)
    }

    fn failed(broken: Broken) -> String {
        match broken {
            Broken::Failed(text) => text,
            Broken::CannotTell(_) | Broken::Costly => panic!("it could be told: {broken:?}"),
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
            let written = JsonExpectation::new(path, condition.clone()).unwrap().written();
            let read = JsonExpectation::read(written.as_object().unwrap()).unwrap();
            assert_eq!(format!("{:?}", read.condition), format!("{condition:?}"), "{shown}");
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
            let said = failed(hold_at_any_cost(&list, body.as_bytes()).unwrap_err());
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
    fn hostile_answers_are_not_judged_here() {
        let leaves = "0,".repeat(10_000);
        let long_key = format!("{{\"{}\": [{leaves}0]}}", "k".repeat(40_000));
        let deep = format!("{}{leaves}0{}", "[".repeat(120), "]".repeat(120));
        let flat = format!("[{leaves}0]");
        let long = format!("[{}0]", "0,".repeat(40_000));
        for (path, body) in [
            ("$[?search(@, 'a')]", &flat),
            ("$.*[*]", &long_key),
            ("$..*..*", &deep),
            ("$[?$..x]", &deep),
            ("$[0]", &long),
        ] {
            let list = [JsonExpectation::new(path, Condition::Exists(true)).unwrap()];
            assert_eq!(hold(&list, body.as_bytes()), Err(Broken::Costly), "{path}");
        }
        let list = [JsonExpectation::new("$[*]", Condition::Equals(json!(0))).unwrap()];
        assert_eq!(hold(&list, flat.as_bytes()), Ok(()));
    }
}
