//! A connection with one deadline for all that is done over it, and the exchange over it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Trouble;
use super::answer::{self, Answer, Wanted};

/// However little the other side sends at a time, all of it has come before `end`.
pub(super) struct Timed {
    stream: TcpStream,
    end: Instant,
}

impl Timed {
    pub(super) fn new(stream: TcpStream, end: Instant) -> Self {
        Self { stream, end }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Sends the request and reads what is wanted of its answer.
pub(super) fn converse(
    mut stream: impl Read + Write,
    request: &str,
    wanted: &Wanted<'_>,
) -> Result<Answer, Trouble> {
    // Who answers before it has read all of the request may have closed its ear: its answer counts.
    let sent = stream.write_all(request.as_bytes()).and_then(|()| stream.flush());
    match (answer::read(stream, wanted), sent) {
        (Err(Trouble::Io(_)), Err(error)) => Err(Trouble::Io(error)),
        (answer, _) => answer,
    }
}
