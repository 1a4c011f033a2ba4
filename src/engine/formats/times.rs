//! Times as engines write them.

use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

use crate::clock::Timestamp;

/// Reads a time of an answer. The zero time, `0001-01-01T00:00:00Z`, means never.
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    // Compatible engines write `2026-11-21 22:54:07.528416666 +0000 UTC` in a format of fields.
    let words: Vec<&str> = text.split(' ').collect();
    let text = match words.as_slice() {
        [day, time, "+0000", _] => format!("{day}T{time}Z"),
        _ => text.to_owned(),
    };
    let at = Timestamp::parse(&text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (at.year() > 1).then_some(at)
}
