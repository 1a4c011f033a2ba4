//! One stream of a check, put together from its pieces, up to its cap.

use super::records::Form;
use crate::check::judge::Output;

/// Stands in written output before the letter that says what is meant.
const MARK: u8 = 1;
/// What the agent added to written output: an `X`, and the end of a line that `sed` ends it with.
const ADDED: usize = 2;

/// What has come of a stream.
#[derive(Debug)]
pub(super) struct Carried {
    cap: usize,
    kept: Output,
    /// Of written output: the end so far, which may be what the agent added.
    held: Vec<u8>,
    /// A [`MARK`] came, and its letter not yet.
    marked: bool,
}

impl Carried {
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, kept: Output::default(), held: Vec::new(), marked: false }
    }

    /// What has come, whole only after [`Self::end`].
    pub(super) fn output(&self) -> &Output {
        &self.kept
    }

    pub(super) fn push(&mut self, bytes: &[u8], form: Form) {
        match form {
            Form::Plain => self.keep(bytes),
            Form::Line => {
                self.keep(bytes);
                self.keep(b"\n");
            }
            Form::Written => self.read(bytes),
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        let held = std::mem::take(&mut self.held);
        if held != b"X\n" {
            self.keep(&held);
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match (self.marked, byte) {
                (false, MARK) => {
                    self.marked = true;
                    continue;
                }
                (true, b'e') => self.held.push(b'\n'),
                (true, b'a') => self.held.push(MARK),
                (_, byte) => self.held.push(byte),
            }
            self.marked = false;
        }
        let sure = self.held.len().saturating_sub(ADDED);
        let sure: Vec<u8> = self.held.drain(..sure).collect();
        self.keep(&sure);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let free = self.cap.saturating_sub(self.kept.bytes.len());
        self.kept.bytes.extend(bytes.iter().take(free));
        self.kept.truncated |= bytes.len() > free;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cap: usize, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut carried = Carried::new(cap);
        for piece in pieces {
            carried.push(piece, Form::Written);
        }
        carried.end();
        let output = carried.output().clone();
        (output.bytes, output.truncated)
    }

    #[test]
    fn written_output_reads_as_it_was() {
        let table: [(&[&[u8]], &[u8]); 7] = [
            (&[b"X\x01e"], b""),
            (&[b"abcX\x01e"], b"abc"),
            (&[b"abc\x01eX\x01e"], b"abc\n"),
            (&[b"a\x01", b"eb\x01", b"ac\x01eX", b"\x01e"], b"a\nb\x01c\n"),
            (&[b"\x01e\x01eX\x01e"], b"\n\n"),
            (&[b"X\x01eX\x01e"], b"X\n"),
            (&[b"\x01ae\x01aaX\x01e"], b"\x01e\x01a"),
        ];
        for (pieces, expected) in table {
            assert_eq!(read(100, pieces), (expected.to_vec(), false), "{pieces:?}");
        }
    }

    #[test]
    fn exactly_the_cap_is_not_too_long() {
        assert_eq!(read(3, &[b"abcX\x01e"]), (b"abc".to_vec(), false));
        assert_eq!(read(3, &[b"abcdX\x01e"]), (b"abc".to_vec(), true));
        let mut plain = Carried::new(3);
        plain.push(b"ab", Form::Line);
        assert!(!plain.output().truncated);
        plain.push(b"", Form::Line);
        assert!(plain.output().truncated);
    }
}
