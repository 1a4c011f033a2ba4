//! Whatever stands in the file, reading it ends with a configuration or with at least one error.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use recovery::config::Severity;
use recovery::config::read::read;

const SHIPPED: &str = include_str!("../../config/system-config.json");

/// Values that a careless hand could put anywhere.
const ODD: [&str; 16] = [
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "1e-9",
    "18446744073709551616",
    "\"\"",
    "\"(\"",
    "\"$[\"",
    "\"topic:\"",
    "[]",
    "{}",
    "[[{}]]",
    "\"\\u0000\"",
    "{\"env\": 5}",
];

fn check(bytes: &[u8]) {
    let env = |_: &str| Some("ä\n".to_owned());
    let (config, problems) = read(bytes, Path::new("/etc/c.json"), PathBuf::from("/state"), &env);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(config.is_some(), errors == 0, "{problems:?}");
    for problem in &problems {
        let line = problem.render(Path::new("F"));
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn json_like_text(text in r#"[\[\]{}:," a1\\n\-.e/]{0,200}"#) {
        check(text.as_bytes());
    }

    #[test]
    fn the_shipped_file_with_bytes_changed(
        changes in prop::collection::vec((0..SHIPPED.len(), any::<u8>()), 1..4)
    ) {
        let mut bytes = SHIPPED.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        check(&bytes);
    }

    #[test]
    fn the_shipped_file_cut_short(at in 0..SHIPPED.len()) {
        check(&SHIPPED.as_bytes()[..at]);
    }

    #[test]
    fn the_shipped_file_with_a_value_replaced(pick in any::<prop::sample::Index>(), odd in 0..ODD.len()) {
        // Every value stands after a colon and a space, up to the end of the line or the next comma.
        let starts: Vec<usize> = SHIPPED.match_indices("\": ").map(|(at, _)| at + 3).collect();
        let start = starts[pick.index(starts.len())];
        let rest = &SHIPPED[start..];
        let end = match rest.as_bytes()[0] {
            b'"' => closing_quote(rest),
            b'[' | b'{' => closing_bracket(rest),
            _ => rest.find([',', '\n', ' ', '}']).unwrap(),
        };
        let text = format!("{}{}{}", &SHIPPED[..start], ODD[odd], &rest[end..]);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() || ODD[odd] == "1e999", "{text}");
        check(text.as_bytes());
    }
}

fn closing_quote(text: &str) -> usize {
    let bytes = text.as_bytes();
    (1..bytes.len()).find(|&i| bytes[i] == b'"' && bytes[i - 1] != b'\\').unwrap() + 1
}

fn closing_bracket(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in text.bytes().enumerate() {
        depth += i32::from(matches!(byte, b'[' | b'{')) - i32::from(matches!(byte, b']' | b'}'));
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("not closed")
}

#[test]
fn deep_and_large_files_end_too() {
    check("[".repeat(1_000_000).as_bytes());
    check("{\"a\":".repeat(1_000_000).as_bytes());
    check(format!("{{\"services\": {{\"a\": {}1{}}}}}", "[".repeat(60), "]".repeat(60)).as_bytes());
    check(format!("{{\"{}\": 1}}", "x".repeat(1_000_000)).as_bytes());
    check(format!("{{\"services\": {{{}\"z\": 1}}}}", "\"a\": {},".repeat(50_000)).as_bytes());
    let chain: Vec<String> = (0..3000)
        .map(|i| {
            let next = (i + 1) % 3000;
            format!(
                r#""s{i}": {{"health_check": {{"type": "tcp", "port": 1}}, "dependencies": ["s{next}"]}}"#
            )
        })
        .collect();
    check(format!(r#"{{"services": {{{}}}}}"#, chain.join(",")).as_bytes());
}
