//! Text from outside on its way into a line: what could end the line, colour a terminal or look like one
//! of the phrases is escaped, in a way that reads back exactly.

use crate::event::phrase;

/// Characters that never reach a line raw: controls, line and paragraph separators, and those that turn the
/// direction of what a person reads.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether `text` must be quoted to stand within a line at all.
#[must_use]
pub fn is_unfit(text: &str) -> bool {
    text.is_empty()
        || text.trim() != text
        || text.chars().any(|c| c == '\\' || is_unsafe(c))
        || phrase::FRAGMENTS.iter().any(|fragment| text.contains(fragment))
}

/// `text` as a JSON string, in which the first space of every phrase is written `\u0020`.
#[must_use]
pub fn quoted(text: &str) -> String {
    let spaces = forged_spaces(text);
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ' ' if spaces.contains(&at) => quoted.push_str("\\u0020"),
            // All of them lie below U+10000, so four digits are enough.
            c if is_unsafe(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` as it is where that is safe and unambiguous as a value among details, else quoted.
#[must_use]
pub fn value(text: &str) -> String {
    if is_unfit(text) || text.contains([';', '"']) { quoted(text) } else { text.to_owned() }
}

/// `text` for a person's eyes: what could do harm on a terminal is escaped, nothing is quoted.
#[must_use]
pub fn shown(text: &str) -> String {
    let one = |c: char| match c {
        '\n' | '\r' | '\t' => c.escape_default().to_string(),
        c if is_unsafe(c) => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

fn forged_spaces(text: &str) -> Vec<usize> {
    let mut spaces = Vec::new();
    for fragment in phrase::FRAGMENTS {
        let offset = fragment.find(' ').unwrap_or(0);
        spaces.extend(text.match_indices(fragment).map(|(at, _)| at + offset));
    }
    spaces
}

/// Splits a quoted string off the front of `text`: its content, and what follows.
#[must_use]
pub fn unquote(text: &str) -> Option<(String, &str)> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let content = strings.next()?.ok()?;
    Some((content, &text[strings.byte_offset()..]))
}
