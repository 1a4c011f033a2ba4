//! Times as engines write them.

use crate::clock::Timestamp;

/// Reads a time of an answer. The zero time, `0001-01-01T00:00:00Z`, means never.
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let rfc = as_rfc_3339(text);
    let at = crate::clock::text::parse(rfc.as_deref().unwrap_or(text))?;
    (at.year() > 1).then_some(at)
}

/// Podman writes a time that is asked for in a format of fields as `2026-11-21 23:54:07.528416666 +0100 CET`, in the
/// zone of the machine.
fn as_rfc_3339(text: &str) -> Option<String> {
    let mut words = text.split(' ');
    let (day, time, offset) = (words.next()?, words.next()?, words.next()?);
    let (hours, minutes) = offset.split_at_checked(3)?;
    Some(format!("{day}T{time}{hours}:{minutes}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_of_all_engines_are_read() {
        let half = datetime!(2026-11-21 22:54:07.5 UTC);
        for (text, at) in [
            ("2026-11-21T22:54:07.5Z", Some(half)),
            ("2026-11-21T23:54:07.5+01:00", Some(half)),
            ("2026-11-21 22:54:07.5 +0000 UTC", Some(half)),
            ("2026-11-21 23:54:07.5 +0100 CET", Some(half)),
            ("2026-11-21 17:24:07.5 -0530 -0530", Some(datetime!(2026-11-21 22:54:07.5 UTC))),
            ("0001-01-01T00:00:00Z", None),
            ("0001-01-01 00:00:00 +0000 UTC", None),
            ("0001-01-01 00:53:28 +0053 LMT", None),
            ("never", None),
            ("2026-11-21 22:54:07 +é0 x", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text), at, "{text}");
        }
    }
}
