//! One check of a dialogue: where it stands, what it printed, when something is due.

use std::time::Duration;

use super::carried::Carried;
use super::records::{Form, Stream};
use super::{script, verdict};
use crate::check::judge::{Output, SHORT_CAP};
use crate::check::{Health, Look, Unknown};
use crate::engine::Request;

/// Of a marker that much is read, as on the machine.
const MARKER_CAP: usize = 64 * 1024;
/// Until the agent answers an order, or is ready.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// Between a check's end and the end of its output; afterwards something holds its pipe.
const DRAIN: Duration = Duration::from_millis(300);
/// Silence after that until the output is given up: a plain shell reads slowly.
const SILENCE: Duration = Duration::from_secs(5);
/// Whoever still holds the pipe, and talks, is not heard for longer than this after the check's end.
const LONGEST: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Waiting,
    Ordered {
        at: Duration,
    },
    Running {
        began: Duration,
        pid: u32,
    },
    /// It ended by itself, but something still holds its pipe.
    Draining {
        ended: Duration,
        pid: u32,
        hunted: bool,
    },
    /// Its time is over, and the agent was told so.
    Condemned {
        began: Duration,
        at: Duration,
    },
    Over,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) exclusive: bool,
    out: Carried,
    err: Carried,
    /// Which of [standard output, standard error] have not ended yet.
    pub(super) open: [bool; 2],
    pub(super) exit: Option<(i32, Duration)>,
    pub(super) began: Duration,
    heard: Duration,
    marker: Option<Carried>,
    pub(super) result: Option<(Health, Duration)>,
    /// What its answer says for certain though it has not ended, and since when.
    pub(super) certain: Option<(Health, Duration)>,
    /// So long was its answer when that was last asked.
    pub(super) weighed: usize,
    pub(super) told: bool,
}

impl Slot {
    pub(super) fn new(request: &Request<'_>) -> Self {
        let probe = &request.check.probe;
        Self {
            state: State::Waiting,
            exclusive: script::looks_at_processes(probe),
            out: Carried::new(script::cap(probe)),
            err: Carried::new(SHORT_CAP),
            open: [true, script::reads_apart(probe)],
            exit: None,
            began: Duration::ZERO,
            heard: Duration::ZERO,
            marker: None,
            result: None,
            certain: None,
            weighed: 0,
            told: false,
        }
    }

    /// Its result, where it has one; `hidden`: nobody can tell whether there is a marker.
    pub(super) fn look(&self, hidden: bool) -> Option<Look> {
        let (mut health, duration) = self.result.clone()?;
        if hidden && matches!(health, Health::Unhealthy(_)) {
            let text = "it is down, but /var/run/manual-stop in the container cannot be searched";
            health = Health::Unknown(Unknown::Other(text.into()));
        }
        Some(Look { health, duration, marker: self.marker() })
    }

    /// Whether a shell in it said so; bash then tries again for 15 s, which looks like a check that hangs.
    pub(super) fn could_not_fork(&self) -> bool {
        self.printed().iter().any(|said| verdict::could_not_fork(&String::from_utf8_lossy(&said.bytes)))
    }

    pub(super) fn busy(&self) -> bool {
        !matches!(self.state, State::Waiting | State::Over)
    }

    pub(super) fn due(&self, timeout: Duration) -> Option<Duration> {
        match self.state {
            State::Waiting | State::Over => None,
            State::Ordered { at } => Some(at + ANSWER),
            State::Running { began, .. } => {
                let end = began.saturating_add(timeout);
                Some(self.certain.as_ref().map_or(end, |(_, since)| end.min(*since + DRAIN)))
            }
            State::Draining { ended, hunted: false, .. } => Some(ended + DRAIN),
            State::Draining { ended, .. } => Some((self.heard + SILENCE).min(ended + LONGEST)),
            State::Condemned { at, .. } => Some(at + ANSWER.max(timeout / 2)),
        }
    }

    pub(super) fn conclude(&mut self, health: Health, took: Duration) {
        if self.state != State::Over {
            self.result = Some((health, took));
            self.state = State::Over;
        }
    }

    pub(super) fn begin(&mut self, pid: u32, now: Duration) {
        if let State::Ordered { .. } = self.state {
            self.began = now;
            self.state = State::Running { began: now, pid };
        }
    }

    pub(super) fn exit(&mut self, code: i32, now: Duration) {
        // Of a check whose time was over, the agent's own answer counts.
        if let State::Running { pid, .. } = self.state {
            self.exit = Some((code, now));
            self.state = State::Draining { ended: now, pid, hunted: false };
        }
    }

    pub(super) fn keep(&mut self, stream: Stream, bytes: &[u8], form: Form, now: Duration) {
        self.heard = now;
        if stream != Stream::Marker && !self.state.takes_output() {
            return;
        }
        self.stream(stream).push(bytes, form);
    }

    /// A stream has ended; whether that was the last one.
    pub(super) fn ended(&mut self, stream: Stream) -> bool {
        self.stream(stream).end();
        match stream {
            Stream::Out => self.open[0] = false,
            Stream::Err => self.open[1] = false,
            Stream::Marker => return false,
        }
        self.open == [false; 2]
    }

    fn stream(&mut self, stream: Stream) -> &mut Carried {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
            Stream::Marker => self.marker.get_or_insert_with(|| Carried::new(MARKER_CAP)),
        }
    }

    /// There is a marker, whatever stands in it.
    pub(super) fn is_marked(&mut self) {
        self.stream(Stream::Marker);
    }

    /// What the agent lets nobody hold up any more: the reader comes to the end soon.
    pub(super) fn freed(&mut self, now: Duration) {
        self.heard = now;
    }

    pub(super) fn marker(&self) -> Option<Vec<u8>> {
        self.marker.as_ref().map(|marker| marker.output().bytes.clone())
    }

    /// What it printed: standard output, or both streams in one, and standard error.
    pub(super) fn printed(&self) -> [&Output; 2] {
        [self.out.output(), self.err.output()]
    }
}

impl State {
    pub(super) fn takes_output(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Draining { .. } | Self::Condemned { .. })
    }
}
