//! Carries a dialogue over an [`Agent`]'s pipes, with threads that may be left behind: a pipe that never
//! ends, or that nobody reads, holds up nothing.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Agent;
use crate::process::Interrupt;

/// The longest line taken; what is longer is not ours.
const LINE_CAP: usize = 4 * 1024 * 1024;
/// Until the client has ended after its standard input was closed.
const FAREWELL: Duration = Duration::from_secs(3);

/// What came out of the pipe.
pub(super) enum Heard {
    /// A line, without its end.
    Line(Vec<u8>),
    /// Nothing until the deadline.
    Nothing,
    /// The end of the stream. A line that was not complete is dropped.
    End,
    /// A signal came.
    Interrupted,
}

/// Both pipes of an agent.
pub(super) struct Line<A: Agent> {
    child: A,
    orders: Option<Sender<Vec<u8>>>,
    lines: Receiver<Vec<u8>>,
    start: Instant,
}

impl<A: Agent> Line<A> {
    pub(super) fn open(mut child: A, script: String) -> Self {
        let (mut stdin, stdout) = (child.take_stdin(), child.take_stdout());
        let (orders, inbox) = channel::<Vec<u8>>();
        let (sender, lines) = sync_channel(256);
        // Without one of these threads its pipe is closed, and the stream's end says so.
        let _ = thread::Builder::new().spawn(move || {
            for order in inbox {
                if stdin.write_all(&order).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        let _ = thread::Builder::new().spawn(move || split(stdout, &sender));
        // Where the thread is gone already, the stream's end says so.
        let _ = orders.send(script.into_bytes());
        Self { child, orders: Some(orders), lines, start: Instant::now() }
    }

    /// Time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn order(&self, text: String) {
        if let Some(orders) = self.orders.as_ref().filter(|_| !text.is_empty()) {
            let _ = orders.send(text.into_bytes());
        }
    }

    /// Waits for a line until `deadline`, counted from the beginning.
    pub(super) fn hear(&self, deadline: Duration, interrupt: &Interrupt) -> Heard {
        loop {
            if interrupt.is_set() {
                return Heard::Interrupted;
            }
            let left = deadline.saturating_sub(self.now());
            match self.lines.recv_timeout(left.min(Interrupt::TICK)) {
                Ok(line) => return Heard::Line(line),
                Err(RecvTimeoutError::Disconnected) => return Heard::End,
                Err(RecvTimeoutError::Timeout) if left <= Interrupt::TICK => return Heard::Nothing,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Closes standard input, which ends the agent, and waits bounded for the client: its exit code and
    /// standard error.
    pub(super) fn close(mut self, interrupt: &Interrupt) -> (Option<i32>, String) {
        self.orders = None;
        self.child.finish(FAREWELL, interrupt)
    }
}

fn split(mut stdout: Box<dyn Read + Send>, lines: &SyncSender<Vec<u8>>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut line = Vec::new();
    loop {
        let length = match stdout.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut rest = &buffer[..length];
        while let Some(at) = memchr::memchr(b'\n', rest) {
            keep(&mut line, &rest[..at]);
            rest = &rest[at + 1..];
            if lines.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
        keep(&mut line, rest);
    }
}

fn keep(line: &mut Vec<u8>, bytes: &[u8]) {
    let free = LINE_CAP.saturating_sub(line.len());
    line.extend_from_slice(&bytes[..bytes.len().min(free)]);
}
