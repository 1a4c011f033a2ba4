//! Times as files and other programs write them, and arithmetic with them that cannot overflow.
//!
//! RFC 3339 allows times whose UTC has no year of four digits (`9999-12-31T23:59:59-23:59`); such a time can be
//! neither written nor converted. So all text is read here: what is no time of ours is refused, or where a file
//! must not be lost for it, taken for the first or last time there is.

use std::time::Duration;

use time::UtcOffset;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

use super::Timestamp;

/// The first time that can be written.
pub const FIRST: Timestamp = datetime!(0000-01-01 00:00 UTC);
/// The last one.
pub const LAST: Timestamp = datetime!(9999-12-31 23:59:59.999_999_999 UTC);

/// Reads RFC 3339; the time is UTC, and can be written again.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text, &Rfc3339).ok().filter(|at| (FIRST..=LAST).contains(at)).map(utc)
}

/// The same time in UTC, or the end of time next to it.
#[must_use]
pub fn utc(at: Timestamp) -> Timestamp {
    at.clamp(FIRST, LAST).checked_to_offset(UtcOffset::UTC).unwrap_or(LAST)
}

/// So much later, at most the end of time.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    time::Duration::try_from(by).map_or(LAST, |by| shifted(at, by))
}

/// So much later or earlier, within what can be written.
#[must_use]
pub fn shifted(at: Timestamp, by: time::Duration) -> Timestamp {
    let end = if by.is_negative() { FIRST } else { LAST };
    utc(utc(at).checked_add(by).unwrap_or(end))
}

/// How long ago that is; nothing for a time of the future.
#[must_use]
pub fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now - at).unwrap_or(Duration::ZERO)
}

/// Times in files, by serde: text that is a time but none of ours is the end of time next to it.
pub mod stored {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        time::serde::rfc3339::serialize(&super::utc(*at), serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where it is no RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        time::serde::rfc3339::deserialize(deserializer).map(super::utc)
    }

    /// One that may be missing.
    pub mod option {
        use super::{Deserialize, Deserializer, Serializer, Timestamp};

        #[derive(Deserialize)]
        struct Stored(#[serde(with = "super")] Timestamp);

        /// Writes it.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            time::serde::rfc3339::option::serialize(&at.map(super::super::utc), serializer)
        }

        /// Reads it.
        ///
        /// # Errors
        /// Where it is no RFC 3339.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Ok(Option::<Stored>::deserialize(deserializer)?.map(|stored| stored.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEYOND: [(&str, Timestamp); 4] = [
        ("9999-12-31T23:59:59-23:59", LAST),
        ("9999-12-31T23:59:59.999999999-00:01", LAST),
        ("0000-01-01T00:00:00+23:59", FIRST),
        ("0000-01-01T00:00:00+00:01", FIRST),
    ];

    #[test]
    fn a_time_that_has_no_utc_is_refused_and_in_a_file_it_is_the_end_of_time() {
        for (text, end) in BEYOND {
            assert_eq!(parse(text), None, "{text}");
            let read = stored::deserialize(serde_json::json!(text)).expect("a time");
            assert_eq!(read, end, "{text}");
            assert!(stored::serialize(&read, serde_json::value::Serializer).is_ok(), "{text}");
            let read = stored::option::deserialize(serde_json::json!(text)).expect("a time");
            assert_eq!(read, Some(end), "{text}");
        }
        for text in ["", "now", "2026-11-21", "2026-13-01T00:00:00Z", "10000-01-01T00:00:00Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let here = datetime!(2026-11-21 09:05:07 UTC);
        assert_eq!(
            parse("2026-11-21T10:05:07+01:00").map(|at| (at, at.offset())),
            Some((here, UtcOffset::UTC))
        );
    }

    proptest! {
        #[test]
        fn no_time_and_no_span_is_too_much(
            seconds in FIRST.unix_timestamp()..=LAST.unix_timestamp(),
            span in prop_oneof![any::<i64>(), -100_000..100_000_i64],
            offset in -86_399..=86_399_i32,
        ) {
            let at = Timestamp::from_unix_timestamp(seconds).expect("within");
            if let Some(local) = UtcOffset::from_whole_seconds(offset).ok().and_then(|o| at.checked_to_offset(o)) {
                prop_assert_eq!(utc(local), at);
            }
            for moved in [
                shifted(at, time::Duration::seconds(span)),
                later(at, Duration::from_secs(span.unsigned_abs())),
                later(at, Duration::MAX),
            ] {
                prop_assert!((FIRST..=LAST).contains(&moved));
                let text = moved.format(&Rfc3339).expect("it can be written");
                prop_assert_eq!(parse(&text), Some(moved));
                let _ = age(moved, at);
            }
        }
    }
}
