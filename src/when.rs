//! Times and durations as people type them: `2026-11-21`, `2026-11-21T10:05:07Z`, `90m`, `7d`, `1h30m`.
//!
//! For command lines; the configuration counts in plain seconds.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use time::macros::format_description;
use time::{Date, PrimitiveDateTime};

use crate::clock::Timestamp;

/// A point in time, perhaps relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// That moment.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

/// Text that is no time or no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WhenError {
    /// No duration.
    #[error("a duration is a number with s, m, h, d or w, as in 90m, 2h or 7d, not {0:?}")]
    Duration(String),
    /// No point in time.
    #[error(
        "a time is a date (2026-11-21), RFC 3339 (2026-11-21T10:05:07Z), or so long ago (90m, 24h, 7d), not {0:?}"
    )]
    Time(String),
}

impl When {
    /// The moment itself.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => time::Duration::try_from(ago)
                .ok()
                .and_then(|ago| now.checked_sub(ago))
                .unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

impl FromStr for When {
    type Err = WhenError;

    /// A time without a zone is UTC, as the log is; a date is its first moment.
    fn from_str(text: &str) -> Result<Self, WhenError> {
        let trimmed = text.trim();
        if let Ok(ago) = parse_duration(trimmed) {
            return Ok(Self::Ago(ago));
        }
        moment(&trimmed.to_ascii_uppercase()).map(Self::At).ok_or_else(|| WhenError::Time(text.to_owned()))
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let day = format_description!("[year]-[month]-[day]");
    let minutes = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let text = &text.replacen(' ', "T", 1);
    if let Some(at) = crate::clock::text::parse(text) {
        return Some(at);
    }
    if let Ok(date) = Date::parse(text, day) {
        return Some(date.midnight().assume_utc());
    }
    let local = text.strip_suffix('Z').unwrap_or(text);
    PrimitiveDateTime::parse(local, seconds)
        .or_else(|_| PrimitiveDateTime::parse(local, minutes))
        .ok()
        .map(PrimitiveDateTime::assume_utc)
}

/// Reads `45s`, `90m`, `2h`, `7d`, `2w` or a sum of them (`1h30m`).
///
/// # Errors
/// Where a number stands without a unit, a unit is unknown, or the sum is beyond all reason.
pub fn parse_duration(text: &str) -> Result<Duration, WhenError> {
    let wrong = || WhenError::Duration(text.to_owned());
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(unit).and_then(|n| seconds.checked_add(n)).ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        let cases = [
            ("45s", 45),
            ("90m", 5400),
            ("2h", 7200),
            ("7d", 604_800),
            ("1w", 604_800),
            ("1h30m", 5400),
            ("0s", 0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "90",
            "m",
            "1y",
            "-1h",
            "1.5h",
            "1 h",
            "h1",
            "99999999999999999999s",
            "30000000000000000w",
            "é",
        ] {
            assert_eq!(parse_duration(text), Err(WhenError::Duration(text.into())), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_moment_a_date_or_so_long_ago() {
        let now = datetime!(2026-11-21 12:00 UTC);
        let cases = [
            ("2026-11-21T10:05:07Z", datetime!(2026-11-21 10:05:07 UTC)),
            ("2026-11-21T10:05:07.5+01:00", datetime!(2026-11-21 9:05:07.5 UTC)),
            ("2026-11-21t10:05:07z", datetime!(2026-11-21 10:05:07 UTC)),
            ("2026-11-21 10:05:07", datetime!(2026-11-21 10:05:07 UTC)),
            ("2026-11-21T10:05", datetime!(2026-11-21 10:05 UTC)),
            ("2026-11-21", datetime!(2026-11-21 0:00 UTC)),
            ("90m", datetime!(2026-11-21 10:30 UTC)),
            ("7d", datetime!(2026-11-14 12:00 UTC)),
            ("9999999w", datetime!(1970-01-01 0:00 UTC)),
        ];
        for (text, at) in cases {
            assert_eq!(text.parse::<When>().map(|when| when.resolve(now)), Ok(at), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "2026-02-30", "10:05", "90"] {
            assert_eq!(text.parse::<When>(), Err(WhenError::Time(text.into())), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_value_and_what_would_be_right() {
        assert_eq!(
            parse_duration("2 hours").unwrap_err().to_string(),
            "a duration is a number with s, m, h, d or w, as in 90m, 2h or 7d, not \"2 hours\""
        );
        assert_eq!(
            "soon".parse::<When>().unwrap_err().to_string(),
            "a time is a date (2026-11-21), RFC 3339 (2026-11-21T10:05:07Z), or so long ago (90m, 24h, 7d), not \"soon\""
        );
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC*") {
            let _ = text.parse::<When>().map(|when| when.resolve(datetime!(2026-11-21 12:00 UTC)));
        }
    }
}
