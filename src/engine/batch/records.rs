//! One record: a line that begins with the nonce. What any other line says is noise.

/// Which stream of a check a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output, or both in one.
    Out,
    /// Standard error, where it is carried apart.
    Err,
    /// The content of a manual-stop marker.
    Marker,
}

/// How a piece of output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// As it is, and a line ended there.
    Line,
    /// With `\x01e` for the end of a line and `\x01a` for `\x01`; an `X` was added at the very end.
    Written,
}

/// What the agent says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// It runs: its process id and the tools it has.
    Start { pid: u32, tools: &'a str },
    /// The raw listing of processes begins.
    Listing,
    /// It is over; now come the environments that carry a mark.
    Marked,
    /// These are over, too.
    ListingOver,
    /// Processes cannot be listed.
    NoListing,
    /// A service has a manual-stop marker.
    Marker(usize),
    /// Markers cannot be looked for.
    MarkersHidden,
    /// It waits for orders.
    Ready,
    /// A check began, in that process.
    Begun { check: usize, pid: u32 },
    /// Output.
    Piece { check: usize, stream: Stream, bytes: &'a [u8], form: Form },
    /// A check ended.
    Exit { check: usize, code: i32 },
    /// A stream ended.
    Done { check: usize, stream: Stream },
    /// A check was ended as ordered.
    Killed(usize),
    /// Nobody could be started to read what a check says.
    NotRead(usize),
    /// The command could not be started.
    NotStarted,
    /// Nothing of ours is left.
    Over,
    /// The agent cannot work here, in words.
    Refused(String),
    /// Yes: there was a marker, and it is gone.
    Yes,
    /// No: there was none.
    No,
}

/// Reads one line, given without its line end.
pub(super) fn parse<'a>(nonce: &str, line: &'a [u8]) -> Option<Record<'a>> {
    let rest = line.strip_prefix(nonce.as_bytes())?.strip_prefix(b" ")?;
    let (verb, rest) = word(rest);
    match verb {
        b"p" => return piece(Form::Plain, rest),
        b"q" => return piece(Form::Line, rest),
        b"w" => return piece(Form::Written, rest),
        _ => {}
    }
    let rest = std::str::from_utf8(rest).ok()?;
    let mut words = rest.split(' ');
    let mut next = || words.next().filter(|word| !word.is_empty());
    Some(match verb {
        b"s" => {
            let pid = next()?.parse().ok()?;
            Record::Start { pid, tools: rest.split_once(' ').map_or("", |(_, tools)| tools) }
        }
        b"l" => Record::Listing,
        b"L" => Record::Marked,
        b"G" => Record::ListingOver,
        b"Z" => Record::NoListing,
        b"m" => Record::Marker(next()?.parse().ok()?),
        b"u" => Record::MarkersHidden,
        b"r" => Record::Ready,
        b"b" => Record::Begun { check: next()?.parse().ok()?, pid: next().unwrap_or("0").parse().ok()? },
        b"x" => Record::Exit { check: next()?.parse().ok()?, code: next()?.parse().ok()? },
        b"d" => Record::Done { stream: stream(next()?.as_bytes())?, check: next()?.parse().ok()? },
        b"k" => Record::Killed(next()?.parse().ok()?),
        b"c" => Record::NotRead(next()?.parse().ok()?),
        b"f" => Record::NotStarted,
        b"e" => Record::Over,
        b"!" => Record::Refused(rest.to_owned()),
        b"y" => Record::Yes,
        b"n" => Record::No,
        _ => return None,
    })
}

fn piece(form: Form, rest: &[u8]) -> Option<Record<'_>> {
    let (name, rest) = word(rest);
    let (check, bytes) = word(rest);
    let check = std::str::from_utf8(check).ok()?.parse().ok()?;
    Some(Record::Piece { check, stream: stream(name)?, bytes, form })
}

fn stream(name: &[u8]) -> Option<Stream> {
    match name {
        b"o" => Some(Stream::Out),
        b"e" => Some(Stream::Err),
        b"m" => Some(Stream::Marker),
        _ => None,
    }
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_the_nonce_is_noise() {
        assert_eq!(parse("abc", b"x 0 0"), None);
        assert_eq!(parse("abc", b"abcd x 0 0"), None);
        assert_eq!(parse("abc", b"abc x 0 0"), Some(Record::Exit { check: 0, code: 0 }));
    }

    #[test]
    fn an_incomplete_record_is_noise() {
        for line in ["abc", "abc ", "abc x", "abc x 1", "abc x 1 ", "abc x one 0", "abc p o", "abc d z 1"] {
            assert_eq!(parse("abc", line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_piece_keeps_its_bytes() {
        let expected =
            Record::Piece { check: 3, stream: Stream::Out, bytes: b" abc x 3 0 \xff", form: Form::Line };
        assert_eq!(parse("abc", b"abc q o 3  abc x 3 0 \xff"), Some(expected));
    }
}
