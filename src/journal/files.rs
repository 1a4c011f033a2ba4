//! Logs as they lie on disk: rotated, compressed, in no order, with lines longer than memory.
//!
//! Nothing here knows what a line says, except for its time, by which files are put in order.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memrchr};

use crate::stats::{Calendar, first_time};

/// So much is looked at of a line that does not fit into a piece.
const LINE_HEAD: usize = 4 * 1024;

/// The log and what rotation made of it (`log.1`, `log.2.gz`, `log-20261121`, `log-20261121.gz`), as far as
/// they exist. A file that stands beside its own compressed copy is read once.
///
/// # Errors
/// Where the folder cannot be read.
pub fn siblings(log: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = log.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Ok(vec![]);
    };
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?.file_name();
        if is_sibling(&name, &entry.to_string_lossy()) {
            found.push(folder.join(entry));
        }
    }
    found.sort();
    let plain = found.clone();
    found.retain(|path| {
        !(path.extension().is_some_and(|e| e == "gz") && plain.contains(&path.with_extension("")))
    });
    Ok(found)
}

fn is_sibling(name: &str, candidate: &str) -> bool {
    let Some(rest) = candidate.strip_prefix(name) else { return false };
    let rest = [".gz", ".xz", ".bz2", ".zst"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
    match rest.as_bytes() {
        [] => true,
        [b'.' | b'-', digits @ ..] => {
            digits.first().is_some_and(u8::is_ascii_digit)
                && digits.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'T' | b':'))
        }
        _ => false,
    }
}

/// Sorts files by their first line with a time; one without any by when it was last changed. What is no
/// regular file can be read only once, and keeps its place at the end.
pub fn sort_by_time(files: &mut [PathBuf], calendar: &Calendar) {
    files.sort_by_cached_key(|path| began(path, calendar).unwrap_or(i64::MAX));
}

fn began(path: &Path, calendar: &Calendar) -> Option<i64> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut head = Vec::new();
    // A broken archive may still have a readable head; its error is told when it is read in full.
    let _ = open(path).ok()?.take(64 * 1024).read_to_end(&mut head);
    first_time(&head, calendar).or_else(|| {
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(changed.as_millis()).ok()
    })
}

/// Opens a log, compressed with gzip or not, whatever it is called.
///
/// # Errors
/// Where it cannot be opened, or is compressed with something else.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    decompress(File::open(path)?)
}

/// Reads through gzip where the first bytes say so.
///
/// # Errors
/// Where it cannot be read, or is compressed with something else.
pub fn decompress<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut magic)?;
    let other = [("xz", &b"\xfd7zXZ\0"[..]), ("zstd", b"\x28\xb5\x2f\xfd"), ("bzip2", b"BZh")];
    if let Some((tool, _)) = other.iter().find(|(_, start)| magic.starts_with(start)) {
        let text = format!(
            "compressed with {tool}, which is not read here; try: {tool} -dc FILE | recovery stats -"
        );
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let is_gzip = magic.starts_with(b"\x1f\x8b");
    let whole = Cursor::new(magic).chain(reader);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// Cuts a stream into pieces that begin and end with a line. Of a line that does not fit into a piece only the
/// head is handed over, so that memory does not grow.
pub struct Pieces<R> {
    reader: R,
    /// The beginning of a line that the last piece had no end of.
    rest: Vec<u8>,
    /// The rest of a line is passed over.
    skipping: bool,
    end: Option<io::Result<()>>,
}

impl<R: Read> Pieces<R> {
    /// How long a piece's buffer should be, and so the longest line that is looked at whole.
    pub const SIZE: usize = 256 * 1024;

    /// Nothing is read yet.
    pub fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new(), skipping: false, end: None }
    }

    /// Puts the next piece into `buffer` (of the same length every time), and returns its length; 0: there is
    /// no more, and [`Pieces::finish`] tells why.
    pub fn next(&mut self, buffer: &mut [u8]) -> usize {
        let mut len = self.rest.len();
        buffer[..len].copy_from_slice(&self.rest);
        self.rest.clear();
        while self.end.is_none() {
            if len == buffer.len() {
                self.skipping = true;
                return LINE_HEAD.min(len);
            }
            let read = match self.reader.read(&mut buffer[len..]) {
                Ok(0) => return self.close(Ok(()), len),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.close(Err(error), len),
            };
            let mut begin = len;
            len += read;
            if self.skipping {
                let Some(newline) = memchr(b'\n', &buffer[..len]) else {
                    len = 0;
                    continue;
                };
                buffer.copy_within(newline + 1..len, 0);
                (begin, len, self.skipping) = (0, len - newline - 1, false);
            }
            if let Some(newline) = memrchr(b'\n', &buffer[begin..len]) {
                let end = begin + newline + 1;
                self.rest.extend_from_slice(&buffer[end..len]);
                return end;
            }
        }
        0
    }

    /// The reader's error, where one ended the pieces; what came before was handed over.
    ///
    /// # Errors
    /// That one.
    pub fn finish(self) -> io::Result<()> {
        self.end.unwrap_or(Ok(()))
    }

    /// The last piece is a line without an end.
    fn close(&mut self, end: io::Result<()>, len: usize) -> usize {
        self.end = Some(end);
        if self.skipping { 0 } else { len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn siblings_are_what_rotation_makes() {
        for name in [
            "r.log",
            "r.log.1",
            "r.log.12.gz",
            "r.log-20261121",
            "r.log-20261121.gz",
            "r.log-2026-11-21",
            "r.log.1.xz",
        ] {
            assert!(is_sibling("r.log", name), "{name}");
        }
        for name in ["r.lo", "r.log.bak", "r.log~", "r.logs", "r.log.1.txt", "other.log", "r.log.", "r.log-"]
        {
            assert!(!is_sibling("r.log", name), "{name}");
        }
    }

    /// Gives a few bytes at a time, as pipes do.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len());
            self.0.read(&mut buffer[..n])
        }
    }

    fn pieces(reader: impl Read) -> Vec<Vec<u8>> {
        let (mut pieces, mut buffer, mut found) =
            (Pieces::new(reader), vec![0; Pieces::<&[u8]>::SIZE], Vec::new());
        loop {
            match pieces.next(&mut buffer) {
                0 => break,
                len => found.push(buffer[..len].to_vec()),
            }
        }
        assert_eq!(pieces.next(&mut buffer), 0, "the end is the end");
        pieces.finish().unwrap();
        found
    }

    #[test]
    fn only_the_head_of_an_endless_line_is_kept() {
        let mut text = vec![b'x'; Pieces::<&[u8]>::SIZE * 3];
        text.extend_from_slice(b"\nnext\nlast");
        assert_eq!(pieces(&text[..]), [vec![b'x'; LINE_HEAD], b"next\n".to_vec(), b"last".to_vec()]);
    }

    #[test]
    fn what_came_before_an_error_is_handed_over() {
        struct Torn(u8);
        impl Read for Torn {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    2 => {
                        buffer[..4].copy_from_slice(b"a\nbc");
                        Ok(4)
                    }
                    _ => Err(io::ErrorKind::ConnectionReset.into()),
                }
            }
        }
        let (mut pieces, mut buffer) = (Pieces::new(Torn(0)), [0; 16]);
        assert_eq!(pieces.next(&mut buffer), 2);
        assert_eq!(pieces.next(&mut buffer), 2);
        assert_eq!(&buffer[..2], b"bc");
        assert_eq!(pieces.next(&mut buffer), 0);
        assert_eq!(pieces.finish().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    proptest! {
        #[test]
        fn pieces_are_the_content_cut_at_lines(text in "[a\n]{0,200}", step in 1_usize..50) {
            let pieces = pieces(Drip(text.as_bytes(), step));
            prop_assert_eq!(pieces.concat(), text.as_bytes());
            for piece in pieces.iter().rev().skip(1) {
                prop_assert_eq!(piece.last(), Some(&b'\n'));
            }
        }
    }
}
