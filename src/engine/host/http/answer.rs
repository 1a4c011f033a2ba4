//! Reads an HTTP answer as curl would take it, no further than is wanted, into bounded memory.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::Trouble;
use crate::check::Unknown;
use crate::check::judge::{self, LONG_CAP, Output};
use crate::config::model::HttpProbe;

/// A head longer than this is read no further.
const HEAD_CAP: usize = 1024 * 1024;
/// Of each line so much is kept.
const LINE_CAP: usize = 8 * 1024;

/// How far an answer is read.
pub(super) enum Wanted<'a> {
    /// To its status.
    Status,
    /// To the end of its body, or until this text has come.
    Body {
        /// Enough, where it stands there.
        text: Option<&'a [u8]>,
    },
}

impl<'a> Wanted<'a> {
    pub(super) fn of(probe: &'a HttpProbe) -> Self {
        if !judge::reads_body(probe) {
            return Self::Status;
        }
        let text = probe.expect_body.as_ref().filter(|_| probe.expect_json.is_empty());
        Self::Body { text: text.map(String::as_bytes) }
    }
}

/// What came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Body,
    /// Why the body did not come whole.
    pub(super) cut: Option<io::Error>,
}

/// A body as it came, without its chunks.
#[derive(Debug, Default)]
pub(super) struct Body {
    output: Output,
    encodings: Vec<String>,
}

impl Body {
    pub(super) fn raw(self) -> Output {
        self.output
    }

    /// The same without its compression, at most `cap` bytes of it.
    ///
    /// # Errors
    /// Where it is encoded in a way that cannot be undone here.
    pub(super) fn decoded(self, cap: usize) -> Result<Output, Unknown> {
        let mut output = self.output;
        for encoding in self.encodings.iter().rev() {
            output = decoded(&output, encoding, cap)?;
        }
        Ok(output)
    }
}

fn decoded(output: &Output, encoding: &str, cap: usize) -> Result<Output, Unknown> {
    let bytes = &output.bytes[..];
    let reader: Box<dyn Read + '_> = match encoding {
        "gzip" | "x-gzip" => Box::new(GzDecoder::new(bytes)),
        // Some send it without the envelope that the standard asks for.
        "deflate" if bytes.first().is_some_and(|first| first & 0x0f == 8) => {
            Box::new(ZlibDecoder::new(bytes))
        }
        "deflate" => Box::new(DeflateDecoder::new(bytes)),
        other => {
            return Err(Unknown::Other(format!(
                "the body comes encoded as {other:?}, which cannot be decoded here"
            )));
        }
    };
    let mut plain = Vec::new();
    let whole = reader.take(cap as u64 + 1).read_to_end(&mut plain);
    // What was cut off has its beginning.
    if whole.is_err() && plain.is_empty() && !bytes.is_empty() {
        return Err(Unknown::Other(format!("the body is said to be encoded as {encoding:?}, but is not")));
    }
    let truncated = output.truncated || plain.len() > cap;
    plain.truncate(cap);
    Ok(Output { bytes: plain, truncated })
}

/// Reads as much as is wanted.
pub(super) fn read(stream: impl Read, wanted: &Wanted<'_>) -> Result<Answer, Trouble> {
    let mut reader = Reader { buffer: BufReader::with_capacity(16 * 1024, stream), head: 0 };
    let status = loop {
        let status = reader.status()?;
        if status >= 200 || status == 101 {
            break status;
        }
        reader.headers().map_err(Trouble::Io)?;
    };
    let &Wanted::Body { text } = wanted else {
        return Ok(Answer { status, body: Body::default(), cut: None });
    };
    let headers = match reader.headers() {
        Ok(headers) => headers,
        Err(error) => return Ok(Answer { status, body: Body::default(), cut: Some(error) }),
    };
    let mut body = Body { output: Output::default(), encodings: headers.encodings };
    if matches!(status, 204 | 304) {
        return Ok(Answer { status, body, cut: None });
    }
    // In something compressed no text can be found.
    let text = text.filter(|_| body.encodings.is_empty());
    let mut kept = Kept { output: &mut body.output, text, searched: 0 };
    let cut = match headers.framing {
        Framing::Chunked => reader.chunks(&mut kept),
        Framing::Length(length) => reader.exactly(length, &mut kept).map(|_| ()),
        Framing::ToTheEnd => reader.whatever_comes(&mut kept),
    };
    Ok(Answer { status, body, cut: cut.err() })
}

enum Framing {
    Chunked,
    Length(u64),
    ToTheEnd,
}

struct Headers {
    framing: Framing,
    encodings: Vec<String>,
}

/// What is kept of a body.
struct Kept<'a> {
    output: &'a mut Output,
    text: Option<&'a [u8]>,
    searched: usize,
}

/// Whether more is wanted.
#[derive(PartialEq)]
enum More {
    Yes,
    No,
}

impl Kept<'_> {
    fn take(&mut self, bytes: &[u8]) -> More {
        let free = LONG_CAP - self.output.bytes.len();
        self.output.bytes.extend_from_slice(&bytes[..bytes.len().min(free)]);
        self.output.truncated |= bytes.len() > free;
        // Searched anew only what the last search has not seen.
        let found = self.text.is_some_and(|text| {
            let from = self.searched.saturating_sub(text.len());
            self.searched = self.output.bytes.len();
            memchr::memmem::find(&self.output.bytes[from..], text).is_some()
        });
        if found || self.output.truncated { More::No } else { More::Yes }
    }
}

struct Reader<R> {
    buffer: BufReader<R>,
    /// Bytes of the heads so far.
    head: usize,
}

impl<R: Read> Reader<R> {
    /// The status of the next head.
    fn status(&mut self) -> Result<u16, Trouble> {
        let line = self.line().map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => Trouble::NoHttp,
            _ => Trouble::Io(error),
        })?;
        let text = String::from_utf8_lossy(&line);
        let number = text.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
        number.filter(|status| (100..1000).contains(status)).ok_or(Trouble::NoHttp)
    }

    /// The rest of a head. A line that begins with white space goes on with the one before.
    fn headers(&mut self) -> io::Result<Headers> {
        let mut headers = Headers { framing: Framing::ToTheEnd, encodings: Vec::new() };
        loop {
            let line = self.any_line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let Some((name, value)) = text.split_once(':') else { continue };
            let value = value.trim().to_ascii_lowercase();
            match name.to_ascii_lowercase().as_str() {
                "transfer-encoding" if value.ends_with("chunked") => headers.framing = Framing::Chunked,
                "content-length" if !matches!(headers.framing, Framing::Chunked) => {
                    if let Ok(length) = value.parse() {
                        headers.framing = Framing::Length(length);
                    }
                }
                "content-encoding" => {
                    let words = value.split(',').map(str::trim);
                    let real = words.filter(|word| !matches!(*word, "" | "identity"));
                    headers.encodings.extend(real.map(ToOwned::to_owned));
                }
                _ => {}
            }
        }
    }

    /// A line that must begin as HTTP does, which is seen before its end has come.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let begin = self.buffer.fill_buf()?;
        if begin.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let length = begin.len().min(5);
        if !begin[..length].eq_ignore_ascii_case(&b"HTTP/"[..length]) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let line = self.any_line()?;
        let is_http = line.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case(b"HTTP/"));
        if is_http { Ok(line) } else { Err(ErrorKind::InvalidInput.into()) }
    }

    /// The next line without its end; what is too long of it is dropped.
    fn any_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let bytes = self.buffer.fill_buf()?;
            if bytes.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let end = memchr::memchr(b'\n', bytes);
            let length = end.map_or(bytes.len(), |at| at + 1);
            let free = LINE_CAP.saturating_sub(line.len());
            line.extend_from_slice(&bytes[..length.min(free)]);
            self.buffer.consume(length);
            self.head += length;
            if self.head > HEAD_CAP {
                return Err(io::Error::new(ErrorKind::InvalidData, "its head does not come to an end"));
            }
            if end.is_some() {
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
        }
    }

    fn chunks(&mut self, kept: &mut Kept<'_>) -> io::Result<()> {
        loop {
            // Its sizes are no part of its head.
            self.head = 0;
            let line = self.any_line()?;
            let text = String::from_utf8_lossy(&line).into_owned();
            let size = text.split(';').next().unwrap_or_default().trim();
            match u64::from_str_radix(size, 16) {
                Ok(0) => return Ok(()),
                Ok(size) if self.exactly(size, kept)? == More::Yes => {
                    self.any_line()?;
                }
                Ok(_) => return Ok(()),
                Err(_) => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    fn exactly(&mut self, mut length: u64, kept: &mut Kept<'_>) -> io::Result<More> {
        while length > 0 {
            let bytes = self.buffer.fill_buf()?;
            if bytes.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let taken = bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            let more = kept.take(&bytes[..taken]);
            self.buffer.consume(taken);
            if more == More::No {
                return Ok(More::No);
            }
            length -= taken as u64;
        }
        Ok(More::Yes)
    }

    /// With TLS many end without saying so.
    fn whatever_comes(&mut self, kept: &mut Kept<'_>) -> io::Result<()> {
        loop {
            let bytes = match self.buffer.fill_buf() {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                bytes => bytes?,
            };
            let taken = bytes.len();
            if taken == 0 || kept.take(bytes) == More::No {
                return Ok(());
            }
            self.buffer.consume(taken);
        }
    }
}
