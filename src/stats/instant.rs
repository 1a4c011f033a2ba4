//! Times as logs write them, found in the bytes before a phrase; counted in milliseconds since 1970, UTC.

use crate::clock::Timestamp;

/// Milliseconds since 1970, UTC.
pub type Millis = i64;

const DAY: i64 = 86_400_000;
/// How far into a line its time is looked for.
const REACH: usize = 200;

/// As a time of the rest of the program; `None` beyond the year 9999.
#[must_use]
pub fn to_timestamp(at: Millis) -> Option<Timestamp> {
    Timestamp::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).ok()
}

/// What is needed to give a time its date where the log names no year (`Nov 21 10:05:07`).
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    /// A time that lies later than this belongs to the year before.
    latest: Millis,
    year: i64,
}

impl Calendar {
    /// Years are guessed so that nothing lies more than a day (for zones) after `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { latest: now.unix_timestamp() * 1000 + DAY, year: now.year().into() }
    }

    /// The first time in `prefix`; one with a year is preferred. Without a zone it is UTC.
    #[must_use]
    pub fn find(&self, prefix: &[u8]) -> Option<Millis> {
        let prefix = &prefix[..prefix.len().min(REACH)];
        let mut syslog = None;
        let mut at = 0;
        while at < prefix.len() {
            let byte = prefix[at];
            // A letter may stand before: the `m` that ends a terminal's colour.
            if byte.is_ascii_digit() && (at == 0 || !prefix[at - 1].is_ascii_digit()) {
                if let Some(time) = iso(&prefix[at..]) {
                    return Some(time);
                }
            } else if byte.is_ascii_uppercase() && syslog.is_none() {
                syslog = self.syslog(&prefix[at..]);
            }
            at += 1;
        }
        syslog
    }

    /// `Nov 21 10:05:07`, perhaps followed by a zone and a year as `date` writes them.
    fn syslog(&self, text: &[u8]) -> Option<Millis> {
        const MONTHS: [&[u8; 3]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        let month = MONTHS.iter().position(|name| text.starts_with(*name))?;
        let month = i64::try_from(month).ok()? + 1;
        let rest = text.get(3..)?.trim_ascii_start();
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let day = if matches!(digits, 1 | 2) { number(rest, 0, digits)? } else { return None };
        let rest = rest.get(digits..)?.strip_prefix(b" ")?;
        let (clock, rest) = clock(rest)?;
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix(b"UTC ").or_else(|| rest.strip_prefix(b"GMT ")).unwrap_or(rest);
        let is_year = rest.get(4).is_none_or(|b| !b.is_ascii_digit() && *b != b'-');
        if let Some(year) = number(rest, 0, 4).filter(|year| is_year && *year >= 1970) {
            return Some(days(year, month, day)? * DAY + clock);
        }
        let of_year = |year| days(year, month, day).map(|days| days * DAY + clock);
        of_year(self.year).filter(|&at| at <= self.latest).or_else(|| of_year(self.year - 1))
    }
}

/// `2026-11-21T10:05:07.123Z` and its relatives: `/` for `-`, a space for `T`, a comma for the point, any
/// offset or none.
fn iso(text: &[u8]) -> Option<Millis> {
    let separator = *text.get(4).filter(|b| matches!(b, b'-' | b'/'))?;
    let is_date = text.get(7) == Some(&separator) && matches!(text.get(10), Some(b'T' | b't' | b' '));
    if !is_date {
        return None;
    }
    let days = days(number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?)?;
    let (clock, rest) = clock(&text[11..])?;
    Some(days * DAY + clock - offset(rest))
}

/// The one form that this program writes, at fixed places: `2026-11-21T10:05:07.123Z`.
pub(super) fn own(text: &[u8; 24]) -> Option<Millis> {
    let fixed = text[4] == b'-'
        && text[7] == b'-'
        && text[10] == b'T'
        && text[13] == b':'
        && text[16] == b':'
        && text[19] == b'.'
        && text[23] == b'Z';
    if !fixed {
        return None;
    }
    let days = days(number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?)?;
    let clock = time_of_day(number(text, 11, 2)?, number(text, 14, 2)?, number(text, 17, 2)?)?;
    Some(days * DAY + clock + number(text, 20, 3)?)
}

/// `10:05:07` with any fraction: milliseconds of the day, and what follows.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    if text.get(2) != Some(&b':') || text.get(5) != Some(&b':') {
        return None;
    }
    let whole = time_of_day(number(text, 0, 2)?, number(text, 3, 2)?, number(text, 6, 2)?)?;
    let rest = &text[8..];
    let Some(b'.' | b',') = rest.first() else { return Some((whole, rest)) };
    let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let fraction = (0..3)
        .fold(0, |sum, place| sum * 10 + if place < digits { i64::from(rest[1 + place] - b'0') } else { 0 });
    if digits == 0 { Some((whole, rest)) } else { Some((whole + fraction, &rest[1 + digits..])) }
}

/// `+01:00`, `+0100`, `+01`, perhaps after a space, in milliseconds; 0 for all else.
fn offset(text: &[u8]) -> i64 {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let sign = match text.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return 0,
    };
    let Some(hours) = number(text, 1, 2).filter(|&hours| hours < 24) else { return 0 };
    let minutes = if text.get(3) == Some(&b':') { number(text, 4, 2) } else { number(text, 3, 2) };
    sign * (hours * 60 + minutes.filter(|&minutes| minutes < 60).unwrap_or(0)) * 60_000
}

fn time_of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

/// `len` digits at `from`.
fn number(text: &[u8], from: usize, len: usize) -> Option<i64> {
    let mut number = 0;
    for &byte in text.get(from..from + len)? {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

/// Days since 1970-01-01 of a date in the Gregorian calendar; the year counted from March makes the leap
/// day its last one.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day < 1 || day > length || (month == 2 && day == 29 && !leap) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn find(prefix: &str) -> Option<Timestamp> {
        Calendar::new(datetime!(2026-11-21 12:00 UTC)).find(prefix.as_bytes()).and_then(to_timestamp)
    }

    #[test]
    fn times_of_all_usual_prefixes_are_found() {
        let cases = [
            ("2026-11-21T10:05:07.123Z INFO ", datetime!(2026-11-21 10:05:07.123 UTC)),
            ("[2026-11-21 10:05:07] ", datetime!(2026-11-21 10:05:07 UTC)),
            ("[2026-11-21T10:05:07,5+0100] ", datetime!(2026-11-21 9:05:07.5 UTC)),
            ("2026-11-21T10:05:07+01:00 ", datetime!(2026-11-21 9:05:07 UTC)),
            ("2026-11-21 10:05:07 -0330 ", datetime!(2026-11-21 13:35:07 UTC)),
            ("2026-11-21T10:05:07.123456789+00:00 host ", datetime!(2026-11-21 10:05:07.123 UTC)),
            ("2026/11/21 10:05:07 ", datetime!(2026-11-21 10:05:07 UTC)),
            ("Nov 21 10:05:07 host recovery[123]: ", datetime!(2026-11-21 10:05:07 UTC)),
            ("Nov  1 10:05:07 host ", datetime!(2026-11-01 10:05:07 UTC)),
            ("Dec 31 23:59:59 host ", datetime!(2025-12-31 23:59:59 UTC)),
            ("Sat Nov 21 22:52:58 UTC 2020: ", datetime!(2020-11-21 22:52:58 UTC)),
            ("Feb 29 10:00:00 host 2024-02-29T10:00:00Z ", datetime!(2024-02-29 10:00 UTC)),
            ("INFO (pid 1234567) 2026-11-21 10:05:07 - ", datetime!(2026-11-21 10:05:07 UTC)),
        ];
        for (prefix, at) in cases {
            assert_eq!(find(prefix), Some(at), "{prefix}");
        }
        for prefix in [
            "",
            "INFO - ",
            "10:05:07 ",
            "2026-02-30T10:00:00Z ",
            "2026-11-21T24:00:00Z ",
            "Nov 31 10:00:00 ",
            "12026-11-21T10:00:00Z ",
            "Nova 21 10:00:00",
            "Nov 211 10:00:00 ",
            "Nov 922337203685477580721 10:00:00 ",
        ] {
            assert_eq!(find(prefix), None, "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn our_own_form_is_read_as_the_library_reads_it(ms in 0_i64..253_402_300_799_999) {
            let at = to_timestamp(ms).unwrap();
            let text = format!("{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", format_args!("{:04}", at.year()),
                u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second(), at.millisecond());
            prop_assert_eq!(own(text.as_bytes().try_into().unwrap()), Some(ms));
            prop_assert_eq!(iso(text.as_bytes()), Some(ms));
        }

        #[test]
        fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..60), digits in "[0-9:. TZ+-]{0,40}") {
            let calendar = Calendar::new(datetime!(2026-11-21 12:00 UTC));
            let _ = calendar.find(&bytes);
            let _ = calendar.find(digits.as_bytes());
        }
    }
}
