//! Hides what looks like a secret in text that leaves the program: commands, outputs, reasons.
//!
//! It knows shapes, not secrets; what has no shape of a secret stays readable.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// Words in a name that make its value a secret.
const WORDS: &str = "password|passwd|passphrase|passwort|pwd|secret|token|api[_-]?key|access[_-]?key|\
                     private[_-]?key|auth[_-]?key|encryption[_-]?key|credentials?|_pass|-pass";

/// A quoted value, one in escaped quotes, one whose quote is never closed, or a bare one.
const VALUE: &str = r#"(?:\\"[^"\\]*\\"|"(?:\\[\s\S]|[^"\\])*"|'[^']*'|\\?["'][^\s"']+|[^\s&;,"']+)"#;

struct Rule {
    shape: Regex,
    replace: fn(&Captures<'_>) -> String,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |shape: &str, replace| Rule { shape: Regex::new(shape).expect("a fixed expression"), replace };
    vec![
        rule(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)", |_| {
            HIDDEN.to_owned()
        }),
        // `Authorization: Basic abc`, `Cookie: a=b; c=d`: all of the header.
        rule(
            r#"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s*[:=]\s*["']?)([^\r\n"'\\]+)"#,
            |c| format!("{}{}{HIDDEN}", &c[1], &c[2]),
        ),
        rule(r#"(?i)\b(bearer)(\s+|%20)([^\s"',;&|<>()]+)"#, |c| format!("{}{}{HIDDEN}", &c[1], &c[2])),
        // `scheme://user:pass@host`; the last @ before the path ends the password.
        rule(r#"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@"'?#]*):([^\s/"'?#]+)@"#, |c| {
            format!("{}:{HIDDEN}@", &c[1])
        }),
        rule(r#"(?i)\b([a-z][a-z0-9+.-]*://)([^\s/:@"'?#*]{16,})@"#, |c| format!("{}{HIDDEN}@", &c[1])),
        // `PGPASSWORD=…`, `"password": "…"`, `&token=…`.
        rule(
            &format!(
                r#"(?i)([a-z0-9_.-]*(?:{WORDS}|\bpass)[a-z0-9_.-]*)(\\?["']?\s*(?::=|=>|=|:)\s*)({VALUE})"#
            ),
            |c| named(c, &c[1]),
        ),
        // `--token …`; `--password-file …` names a file.
        rule(
            &format!(
                r"(?i)(--[a-z0-9_-]*(?:{WORDS})[a-z0-9_-]*|--pass|\s-(?:{WORDS})[a-z0-9_-]*)(\s+)({VALUE})"
            ),
            |c| named(c, &c[1]),
        ),
        rule(r"\b((?:mysql|mariadb)[a-z-]*\b[^|;&\n]*?\s-p)([^\s|;&]+)", |c| format!("{}{HIDDEN}", &c[1])),
        rule(r"\b(sshpass\s+-p\s*|redis-cli\b[^|;&\n]*?\s-a\s+)([^\s|;&]+)", |c| {
            format!("{}{HIDDEN}", &c[1])
        }),
        rule(r#"\b(curl\b[^|;&\n]*?\s(?:-u\s*|--user[= ])["']?[^\s:"']*:)([^\s"'|;&]+)"#, |c| {
            format!("{}{HIDDEN}", &c[1])
        }),
        // Tokens that are known by their beginning.
        rule(r"\b(AKIA|ASIA)[A-Z0-9]{4,}", |c| format!("{}{HIDDEN}", &c[1])),
        rule(
            r"\b(gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk_live_|rk_live_|sk-|tk_|hvs\.)[A-Za-z0-9_-]{12,}",
            |c| format!("{}{HIDDEN}", &c[1]),
        ),
        rule(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", |_| HIDDEN.to_owned()),
        rule(r"(hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/)[A-Za-z0-9_/-]+", |c| {
            format!("{}{HIDDEN}", &c[1])
        }),
    ]
});

/// `name`, what stands between, and the value hidden in its quotes.
fn named(c: &Captures<'_>, name: &str) -> String {
    let (between, value) = (&c[2], &c[3]);
    let names_a_file = ["file", ".json", ".lock"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    if names_a_file || (c[2].trim().is_empty() && value.starts_with('-')) {
        return c[0].to_owned();
    }
    let quote = match value.trim_start_matches('\\').chars().next() {
        Some('"') if value.starts_with('\\') => "\\\"".to_owned(),
        _ if value.starts_with('\\') => String::new(),
        Some(q @ ('"' | '\'')) => q.to_string(),
        _ => String::new(),
    };
    format!("{name}{between}{quote}{HIDDEN}{quote}")
}

/// The text with everything that looks like a secret hidden. Masking twice changes nothing more.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut text = text.to_owned();
    // Hiding one thing can uncover the shape of another; each round leaves less.
    for _ in 0..4 {
        let before = text.clone();
        for rule in RULES.iter() {
            if let Cow::Owned(changed) = rule.shape.replace_all(&text, rule.replace) {
                text = changed;
            }
        }
        if text == before {
            break;
        }
    }
    text
}

/// The text on one line, with what could steer a terminal or forge a line made visible.
#[must_use]
pub fn escape_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Line separators, direction marks and the like: no control characters to Unicode, but to a reader.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &[(&str, &str)] = &[
        ("password=hunter2 next", "password=*** next"),
        ("PGPASSWORD=geheim psql -h db", "PGPASSWORD=*** psql -h db"),
        ("export DB_PASS='a b c'; run", "export DB_PASS='***'; run"),
        (r#"PASSWORD="a\"b c" run"#, r#"PASSWORD="***" run"#),
        ("tool --token abc123 --verbose", "tool --token *** --verbose"),
        ("tool --token=abc123 -v", "tool --token=*** -v"),
        ("tool --token --verbose", "tool --token --verbose"),
        ("tool --password-file /run/secrets/db", "tool --password-file /run/secrets/db"),
        ("curl -H 'Authorization: Bearer abc.def' http://x/", "curl -H 'Authorization: ***' http://x/"),
        ("got Bearer abc.def-1 here", "got Bearer *** here"),
        ("Authorization: Basic dXNlcjpwYXNz\nok", "Authorization: ***\nok"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key AKIA*** used"),
        ("http://user:pass@host:80/p?x=1", "http://user:***@host:80/p?x=1"),
        ("postgres://u:p@ss:w@db/x", "postgres://u:***@db/x"),
        ("redis://:pass@host/0", "redis://:***@host/0"),
        ("https://0123456789abcdef0123@host/x.git", "https://***@host/x.git"),
        (r#"{"password": "x y", "user": "a"}"#, r#"{"password": "***", "user": "a"}"#),
        (r#"{\"api_key\": \"x\", \"b\": 1}"#, r#"{\"api_key\": \"***\", \"b\": 1}"#),
        (r"SECRETVALUE:\'password", "SECRETVALUE:***"),
        ("PASSWORD=\"never closed", "PASSWORD=\"***\" closed"),
        ("GET /?token=abc&page=2", "GET /?token=***&page=2"),
        ("X-Api-Key: abc", "X-Api-Key: ***"),
        ("mysql -u root -psecret -h db", "mysql -u root -p*** -h db"),
        ("mysqladmin -psecret ping", "mysqladmin -p*** ping"),
        ("sshpass -p secret ssh h", "sshpass -p *** ssh h"),
        ("redis-cli -h x -a secret ping", "redis-cli -h x -a *** ping"),
        ("curl -u admin:secret http://x", "curl -u admin:*** http://x"),
        ("ghp_0123456789abcdefghij", "ghp_***"),
        ("jwt eyJhbGciOi.eyJzdWIi.sig_x.", "jwt ***."),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "***"),
        // All of this stays readable.
        ("pkill -f 'minio server' || true; sleep 1; minio server /data >> /var/log/minio.log 2>&1 &", ""),
        ("connection refused on localhost:9000", ""),
        ("cannot write /state/last-pass.json: No space left on device", ""),
        ("HTTP 503, expected 200–399", ""),
        ("ssh -p 22 host; mkdir -p /var/run", ""),
        ("http://localhost:9000/a@b", ""),
        ("http://localhost:9000?mail=a@b", ""),
        ("bypass=1 monkey=banana author=anna", ""),
        ("no matching process: python -m app --port 80", ""),
    ];

    #[test]
    fn secrets_are_hidden_and_the_rest_stays_readable() {
        for &(text, expected) in TABLE {
            let expected = if expected.is_empty() { text } else { expected };
            assert_eq!(mask(text), expected);
            assert_eq!(mask(expected), expected, "masked twice");
        }
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(
            escape_control("a\nb\x1b[31m\u{2028}\u{202e}é\t\0"),
            "a\\nb\\u{1b}[31m\\u{2028}\\u{202e}é\\t\\u{0}"
        );
    }

    fn pieces() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("password"),
            Just("--token"),
            Just("Bearer"),
            Just("Authorization"),
            Just("AKIA"),
            Just("://"),
            Just("http"),
            Just("@"),
            Just(":"),
            Just("="),
            Just("\""),
            Just("'"),
            Just("\\"),
            Just(" "),
            Just("mysql"),
            Just("-p"),
            Just("x1"),
            Just("SECRETVALUE"),
            Just("/"),
            Just("&"),
            Just("\n"),
            Just("***"),
            Just("curl -u "),
            Just("Cookie"),
            Just("tk_"),
            Just("eyJ"),
            Just("."),
            Just("-"),
        ];
        prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn masking_twice_changes_nothing_more(text in pieces()) {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }

        #[test]
        fn a_value_after_a_telling_name_never_survives(
            value in "[A-Za-z0-9/+]{3,30}",
            shape in prop::sample::select(vec![
                "password={}", "x --token {} y", "Bearer {}", "\"password\": \"{}\"", "MY_API_KEY='{}'",
                "Authorization: Basic {}", "secret: {}", "--db-password={}",
            ]),
        ) {
            prop_assume!(!"password".contains(&value) && !"authorization basic bearer token secret MY_API_KEY".contains(&value));
            let masked = mask(&shape.replace("{}", &value));
            prop_assert!(!masked.contains(&value), "{}", masked);
        }
    }
}
