//! What it may cost to judge an answer, guessed from above before anything is done: the libraries keep the
//! location of every value that they visit, and follow every way through a pattern at once, so that an answer
//! could cost far more than its size.

use serde_json::Value;

use super::{Condition, JsonExpectation};

/// Steps that are taken here; what may take more goes to a child with limits ([`crate::check::question`]). Well below
/// a tenth of a second.
pub const CHEAP: u64 = 4 * 1024 * 1024;

/// An answer longer than this is not even parsed here.
const SHORT: usize = 64 * 1024;

/// Whether these expectations cost little over an answer of that length, whatever is in it.
pub(super) fn is_short(body: &[u8]) -> bool {
    body.len() <= SHORT
}

/// Whether these expectations cost little over that answer.
pub(super) fn is_cheap(list: &[JsonExpectation], body: &Value) -> bool {
    let size = Size::of(body);
    list.iter().map(|one| one.cost(size)).fold(0, u64::saturating_add) <= CHEAP
}

/// Steps of a pattern over a text of that length, where it follows all ways at once. Eight of its steps take no
/// longer than one along a path.
#[must_use]
pub fn of_pattern(pattern: &str, length: usize) -> u64 {
    ways(pattern).saturating_mul(length as u64) / 8
}

/// How many ways a pattern may have open at once, guessed from its text: one a character, more a class,
/// times its counts (`{10000}`).
fn ways(pattern: &str) -> u64 {
    let mut ways = 1_u64;
    let mut counts = 1_u64;
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            // All letters of the world are many ways.
            '\\' => {
                let class = rest.chars().next().unwrap_or_default();
                rest = &rest[class.len_utf8().min(rest.len())..];
                ways += if matches!(class, 'w' | 'W' | 'd' | 'D' | 's' | 'S' | 'b' | 'B' | 'p' | 'P') {
                    300
                } else {
                    1
                };
            }
            '.' | '[' => ways += 16,
            '{' => {
                let inside = rest.split('}').next().unwrap_or_default();
                let numbers = inside.split(',').filter_map(|number| number.trim().parse::<u64>().ok());
                counts = counts.saturating_mul(numbers.max().unwrap_or(1).max(1));
            }
            _ => ways += 1,
        }
    }
    let cases = if pattern.contains("(?") { 4 } else { 1 };
    ways.saturating_mul(counts).saturating_mul(cases)
}

impl JsonExpectation {
    /// An upper bound of the steps over an answer of that size.
    fn cost(&self, size: Size) -> u64 {
        let pattern = match &self.condition {
            Condition::Matches(pattern) => {
                of_pattern(pattern.as_str(), usize::try_from(size.text).unwrap_or(usize::MAX))
            }
            _ => 0,
        };
        let found = if is_plain(&self.path) { 1 } else { of_path(&self.path, size) };
        // A pattern is asked of each value found, which may be one value many times.
        found.saturating_add(pattern.saturating_mul(branches(&self.path)))
    }
}

/// Whether a path selects one value at most.
fn is_plain(path: &str) -> bool {
    !path.contains(['*', '?', ':', ',']) && !path.contains("..")
}

/// A second `..` visits a value once for each of its ancestors, a `$` inside a filter walks the whole document
/// for each value, and each selector of a union selects anew.
fn of_path(path: &str, size: Size) -> u64 {
    let more = |count: usize| u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    let descents = size.depth.saturating_pow(more(path.matches("..").count()));
    let roots = size.nodes.saturating_pow(more(path.matches('$').count()));
    // The library compiles a regular expression anew for each value.
    let patterns = if path.contains("match(") || path.contains("search(") { 1000 } else { 1 };
    [descents, roots, patterns, branches(path)].into_iter().fold(size.locations, u64::saturating_mul)
}

/// How often one value may be selected: `[0,0][0,0]` selects it four times.
fn branches(path: &str) -> u64 {
    let unions = path.split('[').map(|part| 1 + part.matches(',').count() as u64);
    unions.fold(1, u64::saturating_mul)
}

/// What it costs where the text alone shows that it may be much, over the largest answer; for people.
#[must_use]
pub fn is_costly_by_its_text(path: &str, condition: &Condition) -> bool {
    const MANY: u64 = 1024;
    let pattern = match condition {
        Condition::Matches(pattern) => ways(pattern.as_str()),
        _ => 0,
    };
    branches(path) > MANY
        || path.matches("..").count() > 2
        || path.matches('$').count() > 1
        || pattern > 100 * MANY
}

/// What decides how much work a path can make.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Values in all.
    nodes: u64,
    /// Their locations written out, in bytes.
    locations: u64,
    /// All text in values, in bytes.
    text: u64,
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
            Value::String(text) => self.text += text.len() as u64,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;
    use serde_json::json;

    fn cheap(path: &str, condition: Condition, body: &Value) -> bool {
        is_cheap(&[JsonExpectation::new(path, condition).unwrap()], body)
    }

    #[test]
    fn what_a_health_page_is_asked_is_cheap() {
        let page = json!({"status": "ok", "checks": (0..200).map(|n| json!({"name": n, "up": true})).collect::<Vec<_>>()});
        let text = |pattern: &str| Condition::Matches(Regex::new(pattern).unwrap());
        for (path, condition) in [
            ("$.status", Condition::Equals(json!("ok"))),
            ("$.status", text(r"^(ok|\w+ing)$")),
            ("$.checks[*].up", Condition::Equals(json!(true))),
            ("$.checks[?@.up == false]", Condition::Exists(false)),
            ("$..up", Condition::Exists(true)),
        ] {
            assert!(cheap(path, condition, &page), "{path}");
        }
    }

    #[test]
    fn what_may_take_seconds_or_gigabytes_is_not() {
        let page = json!({"a": vec![0; 2000], "text": "a".repeat(60_000)});
        let text = |pattern: &str| Condition::Matches(Regex::new(pattern).unwrap());
        for (path, condition) in [
            (format!("$.a{}", "[0,0,0,0,0,0,0,0]".repeat(8)), Condition::Exists(true)),
            (format!("${}", "[*,*]".repeat(12)), Condition::Exists(true)),
            (format!("$.a[{}0]", "0,".repeat(900)), Condition::Exists(true)),
            ("$..*..*..*..*..*..*..*..*".to_owned(), Condition::Exists(true)),
            ("$[?$..x]".to_owned(), Condition::Exists(true)),
            ("$[?search(@, 'a')]".to_owned(), Condition::Exists(true)),
            ("$.text".to_owned(), text("c(a[ab]{500}){4}c")),
            ("$.text".to_owned(), text(r"(\w\d){20}x")),
        ] {
            assert!(!cheap(&path, condition, &page), "{path}");
        }
    }

    #[test]
    fn the_text_alone_shows_the_worst() {
        let costly = |path: &str| is_costly_by_its_text(path, &Condition::Exists(true));
        assert!(costly(&format!("${}", "[0,0,0,0]".repeat(8))));
        assert!(costly("$..a..b..c") && costly("$[?$.a == @.b]"));
        assert!(!costly("$.a[*].b") && !costly("$['a','b']") && !costly("$..up"));
        let pattern = |text: &str| is_costly_by_its_text("$", &Condition::Matches(Regex::new(text).unwrap()));
        assert!(pattern("a[ab]{10000}c"));
        assert!(!pattern(r"^v\d+\.\d+\.\d{1,3}$"));
    }
}
