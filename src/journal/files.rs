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

/// What is read at once, and the longest line that is looked at whole.
const BUFFER: usize = 256 * 1024;
/// So much of a longer line is looked at.
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

/// Hands over the content in pieces that begin and end with a line. Of a line that does not fit into the
/// buffer only the head is handed over, so that memory does not grow.
///
/// # Errors
/// The reader's; what came before was handed over.
pub fn for_each_chunk(mut reader: impl Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let (mut len, mut skipping) = (0, false);
    let result = loop {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break Ok(()),
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break Err(error),
        }
        let mut start = 0;
        if skipping {
            let Some(newline) = memchr(b'\n', &buffer[..len]) else {
                len = 0;
                continue;
            };
            (start, skipping) = (newline + 1, false);
        }
        let end = memrchr(b'\n', &buffer[start..len]).map_or(start, |newline| start + newline + 1);
        if end > start {
            each(&buffer[start..end]);
        }
        buffer.copy_within(end..len, 0);
        len -= end;
        if len == buffer.len() {
            each(&buffer[..LINE_HEAD]);
            (len, skipping) = (0, true);
        }
    };
    if len > 0 && !skipping {
        each(&buffer[..len]);
    }
    result
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

    #[test]
    fn only_the_head_of_an_endless_line_is_kept() {
        let mut text = vec![b'x'; BUFFER * 3];
        text.extend_from_slice(b"\nnext\nlast");
        let mut pieces = Vec::new();
        for_each_chunk(&text[..], |piece| pieces.push(piece.to_vec())).unwrap();
        assert_eq!(pieces, [vec![b'x'; LINE_HEAD], b"next\n".to_vec(), b"last".to_vec()]);
    }

    proptest! {
        #[test]
        fn chunks_are_the_content_cut_at_lines(text in "[a\n]{0,200}", step in 1_usize..50) {
            let mut pieces: Vec<Vec<u8>> = Vec::new();
            for_each_chunk(Drip(text.as_bytes(), step), |piece| pieces.push(piece.to_vec())).unwrap();
            prop_assert_eq!(pieces.concat(), text.as_bytes());
            for piece in pieces.iter().rev().skip(1) {
                prop_assert_eq!(piece.last(), Some(&b'\n'));
            }
        }
    }
}
