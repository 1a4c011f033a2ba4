//! The host's side of a look, as a state machine: lines and the time go in, orders and results come out.
//!
//! It knows no process, pipe or clock. All time-outs are kept here; the agent has none.

use std::cell::OnceCell;
use std::time::Duration;

use super::listing;
use super::records::{self, Record, Stream};
use super::script;
use super::slot::{ANSWER, Slot, State};
use super::verdict::{self, Answer};
use crate::check::judge::{self, ProcessRow, SHORT_CAP};
use crate::check::{Failure, Health, Look, Unknown};
use crate::config::model::Probe;
use crate::engine::Request;

/// Checks under way at once.
pub const SIDE_BY_SIDE: usize = 16;
/// Until the agent's first word: an engine under load takes seconds.
pub(super) const START: Duration = Duration::from_secs(15);
/// Listings and noise longer than this are cut off.
const LISTING_CAP: usize = 32 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Starting,
    /// It lists processes and markers.
    Opening {
        since: Duration,
    },
    Working,
    Closing {
        since: Duration,
    },
    Over,
}

/// How the dialogue stands, for the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Going,
    Finished,
    /// No word of the agent within [`START`].
    Silent,
}

/// One dialogue.
pub(super) struct Conversation<'a> {
    nonce: &'a str,
    requests: &'a [Request<'a>],
    slots: Vec<Slot>,
    phase: Phase,
    agent: u32,
    tools: Vec<String>,
    listing: Option<Vec<u8>>,
    marked: Vec<u32>,
    listing_over: bool,
    markers_hidden: bool,
    silent: bool,
    noise: Vec<u8>,
    orders: String,
    checking: fn() -> Vec<ProcessRow>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(nonce: &'a str, requests: &'a [Request<'a>]) -> Self {
        let slots = requests.iter().map(Slot::new).collect();
        Self {
            nonce,
            requests,
            slots,
            phase: Phase::Starting,
            agent: 0,
            tools: Vec::new(),
            listing: None,
            marked: Vec::new(),
            listing_over: false,
            markers_hidden: false,
            silent: false,
            noise: Vec::new(),
            orders: String::new(),
            checking: Vec::new,
        }
    }

    /// How to learn what belongs to the checking on the machine: a container may share its process ids.
    pub(super) fn beside(self, checking: fn() -> Vec<ProcessRow>) -> Self {
        Self { checking, ..self }
    }

    /// Whether the agent ever announced itself.
    pub(super) fn started(&self) -> bool {
        self.phase != Phase::Starting && !self.silent
    }

    /// What came before the agent's first word.
    pub(super) fn noise(&self) -> String {
        String::from_utf8_lossy(&self.noise).into_owned()
    }

    /// Orders for the agent since the last call.
    pub(super) fn orders(&mut self) -> String {
        std::mem::take(&mut self.orders)
    }

    pub(super) fn progress(&self) -> Progress {
        match self.phase {
            Phase::Over if self.silent => Progress::Silent,
            Phase::Over => Progress::Finished,
            _ => Progress::Going,
        }
    }

    /// A whole line arrived, given without its end.
    pub(super) fn line(&mut self, line: &[u8], now: Duration) {
        let Some(record) = records::parse(self.nonce, line) else { return self.raw(line) };
        match record {
            Record::Start { pid, tools } if self.phase == Phase::Starting => {
                self.agent = pid;
                self.tools = tools.split(' ').map(ToOwned::to_owned).collect();
                self.phase = Phase::Opening { since: now };
            }
            _ if !self.started() => {
                if let Record::Refused(why) = record {
                    self.refuse(&Unknown::Other(why));
                }
            }
            Record::Listing => self.listing = Some(Vec::new()),
            Record::Marked | Record::NoListing => self.listing_over = true,
            Record::ListingOver => self.judge_processes(now),
            Record::MarkersHidden => self.markers_hidden = true,
            Record::Marker(check) => self.with(check, Slot::is_marked),
            Record::Ready if matches!(self.phase, Phase::Opening { .. }) => self.open(),
            Record::Begun { check, pid } => self.with(check, |slot| slot.begin(pid, now)),
            Record::Piece { check, stream, bytes, form } => {
                self.with(check, |slot| slot.keep(stream, bytes, form, now));
                self.weigh(check, now);
            }
            Record::Exit { check, code } => self.with(check, |slot| slot.exit(code, now)),
            Record::Done { check, stream } => self.done(check, stream),
            Record::NotRead(check) => self.with(check, |slot| {
                slot.conclude(Health::Unknown(Unknown::CannotFork("the container".into())), Duration::ZERO);
            }),
            Record::Killed(check) => self.killed(check, now),
            Record::Over if matches!(self.phase, Phase::Closing { .. }) => self.phase = Phase::Over,
            _ => {}
        }
        self.advance(now);
    }

    /// Time went by.
    pub(super) fn tick(&mut self, now: Duration) {
        match self.phase {
            Phase::Starting if now >= START => {
                self.silent = true;
                self.phase = Phase::Over;
            }
            Phase::Opening { since } if now >= since + ANSWER => {
                self.refuse(&Unknown::Frozen { took: now.saturating_sub(since) });
            }
            Phase::Closing { since } if now >= since + ANSWER => self.phase = Phase::Over,
            Phase::Working => {
                for check in 0..self.slots.len() {
                    self.tick_slot(check, now);
                }
                self.advance(now);
            }
            _ => {}
        }
    }

    /// When [`Self::tick`] wants to be called next.
    pub(super) fn deadline(&self) -> Duration {
        match self.phase {
            Phase::Starting => START,
            Phase::Opening { since } | Phase::Closing { since } => since + ANSWER,
            Phase::Over => Duration::ZERO,
            Phase::Working => {
                let due = |(slot, request): (&Slot, &Request<'_>)| slot.due(request.check.timeout);
                self.slots.iter().zip(self.requests).filter_map(due).min().unwrap_or(Duration::MAX)
            }
        }
    }

    /// What was settled since the last call, while other checks go on.
    pub(super) fn settled(&mut self) -> Vec<(usize, Look)> {
        if self.phase != Phase::Working {
            return Vec::new();
        }
        let hidden = self.markers_hidden;
        let mut settled = Vec::new();
        let slots = self.slots.iter_mut().enumerate();
        for (index, slot) in slots.filter(|(_, slot)| slot.state == State::Over && !slot.told) {
            slot.told = true;
            settled.extend(slot.look(hidden).map(|look| (index, look)));
        }
        settled
    }

    /// The results; what has none yet gets `why`.
    pub(super) fn looks(self, why: &Unknown) -> Vec<Look> {
        let look = |slot: &Slot| {
            slot.look(self.markers_hidden)
                .unwrap_or_else(|| Look { marker: slot.marker(), ..Look::unknown(why.clone()) })
        };
        self.slots.iter().map(look).collect()
    }

    fn raw(&mut self, line: &[u8]) {
        if self.phase == Phase::Starting {
            if self.noise.len() < SHORT_CAP {
                self.noise.extend_from_slice(&line[..line.len().min(SHORT_CAP)]);
                self.noise.push(b'\n');
            }
        } else if self.listing_over {
            self.marked.extend(listing::marked(line));
        } else if let Some(listing) = &mut self.listing
            && listing.len() < LISTING_CAP
        {
            listing.extend_from_slice(line);
            listing.push(b'\n');
        }
    }

    fn with(&mut self, check: usize, act: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(check) {
            act(slot);
        }
    }

    fn refuse(&mut self, why: &Unknown) {
        for slot in &mut self.slots {
            slot.conclude(Health::Unknown(why.clone()), Duration::ZERO);
        }
        self.phase = Phase::Over;
    }

    fn has(&self) -> impl Fn(&str) -> bool + use<'_> {
        |tool| self.tools.iter().any(|have| have == tool)
    }

    /// Settles what needs no order: the impossible ones, and process checks.
    fn open(&mut self) {
        for (check, request) in self.requests.iter().enumerate() {
            let why =
                script::obstacle(request).or_else(|| verdict::lacking(&request.check.probe, &self.has()));
            let why = why.or_else(|| {
                let text = "neither cat nor bash in the container: processes cannot be listed";
                matches!(request.check.probe, Probe::Process { .. }).then(|| Unknown::NoTool(text.into()))
            });
            if let Some(why) = why {
                self.slots[check].conclude(Health::Unknown(why), Duration::ZERO);
            }
        }
        self.phase = Phase::Working;
    }

    fn judge_processes(&mut self, now: Duration) {
        let Phase::Opening { since } = self.phase else { return };
        let Some(raw) = self.listing.take() else { return };
        let rows = listing::rows(&raw);
        // The agent itself is always in a listing that is complete.
        let complete = raw.len() < LISTING_CAP && rows.iter().any(|row| row.pid == self.agent);
        let agents = super::LOOK_ARGV.join(" ");
        let ours = |row: &ProcessRow| {
            row.pid == self.agent || row.command_line == agents || self.marked.contains(&row.pid)
        };
        // Read only where something matches.
        let foreign = OnceCell::new();
        let foreign = || {
            let machine = foreign.get_or_init(|| {
                let ours = (self.checking)();
                let is_ours = |row: &ProcessRow| ours.iter().any(|one| one.is_same(row));
                rows.iter().filter(|row| !is_ours(row)).cloned().collect::<Vec<_>>()
            });
            machine.as_slice()
        };
        for (slot, request) in self.slots.iter_mut().zip(self.requests) {
            if let Probe::Process { pattern } = &request.check.probe
                && script::obstacle(request).is_none()
            {
                let health = if complete {
                    match judge::process(pattern, &rows, &ours) {
                        Health::Unhealthy(down) => Health::Unhealthy(down),
                        _ => judge::process(pattern, foreign(), &ours),
                    }
                } else {
                    Health::Unknown(Unknown::CutOff("the listing of processes is not complete".into()))
                };
                slot.conclude(health, now.saturating_sub(since));
            }
        }
    }

    fn done(&mut self, check: usize, stream: Stream) {
        let Some(slot) = self.slots.get_mut(check) else { return };
        if !slot.ended(stream) {
            return;
        }
        if matches!(slot.state, State::Ordered { .. } | State::Running { .. }) {
            // Its process ended without writing an exit code: the shell could not start it.
            slot.conclude(Health::Unknown(Unknown::CannotFork("the container".into())), Duration::ZERO);
        } else if slot.exit.is_some() {
            self.settle(check);
        }
    }

    /// Asks whether an answer is certain before its end, at each doubling of its length.
    fn weigh(&mut self, check: usize, now: Duration) {
        let (Some(slot), Some(request)) = (self.slots.get(check), self.requests.get(check)) else { return };
        let [out, err] = slot.printed();
        let size = out.bytes.len() + err.bytes.len();
        let grown = size >= slot.weighed.saturating_mul(2) || out.truncated;
        if !grown || slot.certain.is_some() || !matches!(slot.state, State::Running { .. }) {
            return;
        }
        let certain = verdict::certain(request, &self.has(), out, err);
        self.with(check, |slot| {
            slot.weighed = size;
            slot.certain = certain.map(|health| (health, now));
        });
    }

    /// The agent has killed a check.
    fn killed(&mut self, check: usize, now: Duration) {
        let can_swallow = self.has()("drain");
        let (Some(slot), Some(request)) = (self.slots.get(check), self.requests.get(check)) else { return };
        let [out, err] = slot.printed();
        let certain = || verdict::certain(request, &self.has(), out, err);
        let certain = slot.certain.as_ref().map(|(health, _)| health.clone()).or_else(certain);
        let Some(slot) = self.slots.get_mut(check) else { return };
        match slot.state {
            State::Condemned { began, .. } => {
                let took = now.saturating_sub(began);
                let after = request.check.timeout;
                let health = if took > frozen_after(after) {
                    Health::Unknown(Unknown::Frozen { took })
                } else if slot.could_not_fork() {
                    Health::Unknown(Unknown::CannotFork("the container".into()))
                } else if let Some(certain) = certain {
                    certain
                } else if !can_swallow && slot.printed().iter().any(|output| output.truncated) {
                    // It may well have waited for a shell that reads byte by byte.
                    Health::Unknown(Unknown::OutputTooLarge { cap: script::cap(&request.check.probe) })
                } else {
                    Health::Unhealthy(Failure::TimedOut { after })
                };
                slot.conclude(health, took);
            }
            // Nobody holds its pipe now: the reader comes to the end.
            State::Draining { .. } => slot.freed(now),
            _ => {}
        }
    }

    /// Judges a check that ended by itself.
    fn settle(&mut self, check: usize) {
        let Some((answer, took)) = self.answer(check) else { return };
        let request = &self.requests[check];
        let health = if took > frozen_after(request.check.timeout) {
            Health::Unknown(Unknown::Frozen { took })
        } else {
            verdict::judge(request, &self.has(), &answer)
        };
        self.slots[check].conclude(health, took);
    }

    /// What came of a check that ended by itself, and how long it took.
    pub(super) fn answer(&self, check: usize) -> Option<(Answer, Duration)> {
        let slot = self.slots.get(check)?;
        let (code, ended) = slot.exit?;
        let [out, err] = slot.printed();
        Some((Answer { code, out: out.clone(), err: err.clone() }, ended.saturating_sub(slot.began)))
    }

    fn tick_slot(&mut self, check: usize, now: Duration) {
        let timeout = self.requests[check].check.timeout;
        let slot = &mut self.slots[check];
        if slot.due(timeout).is_none_or(|due| due > now) {
            return;
        }
        match slot.state {
            State::Ordered { .. } => {
                slot.conclude(Health::Unknown(Unknown::CannotFork("the container".into())), Duration::ZERO);
            }
            State::Running { began, pid } => {
                slot.state = State::Condemned { began, at: now };
                self.orders.push_str(&format!("kill {check} {pid}\n"));
            }
            State::Draining { ended, pid, hunted: false } => {
                slot.freed(now);
                slot.state = State::Draining { ended, pid, hunted: true };
                self.orders.push_str(&format!("kill {check} {pid}\n"));
            }
            State::Draining { .. } if script::reads_body(&self.requests[check].check.probe) => {
                let why = "its output did not come to an end".to_owned();
                slot.conclude(Health::Unknown(Unknown::CutOff(why)), now.saturating_sub(slot.began));
            }
            State::Draining { .. } => self.settle(check),
            State::Condemned { began, .. } => {
                let took = now.saturating_sub(began);
                slot.conclude(Health::Unknown(Unknown::Frozen { took }), took);
            }
            State::Waiting | State::Over => {}
        }
    }

    /// Orders what can begin; ends where nothing is left.
    fn advance(&mut self, now: Duration) {
        if self.phase != Phase::Working {
            return;
        }
        let busy = self.slots.iter().filter(|slot| slot.busy()).count();
        let alone = self.slots.iter().any(|slot| slot.busy() && slot.exclusive);
        let mut free = if alone { 0 } else { SIDE_BY_SIDE.saturating_sub(busy) };
        let exclusive_left = self.slots.iter().any(|slot| slot.exclusive && slot.state == State::Waiting);
        if exclusive_left {
            free = usize::from(busy == 0);
        }
        for check in 0..self.slots.len() {
            let slot = &mut self.slots[check];
            if free > 0 && slot.state == State::Waiting && slot.exclusive == exclusive_left {
                slot.state = State::Ordered { at: now };
                self.orders.push_str(&format!("run {check}\n"));
                free -= 1;
            }
        }
        if self.slots.iter().all(|slot| slot.state == State::Over) {
            self.orders.push_str("end\n");
            self.phase = Phase::Closing { since: now };
        }
    }
}

/// An answer that took longer says nothing of the service.
fn frozen_after(timeout: Duration) -> Duration {
    timeout.mul_f64(1.5) + Duration::from_secs(1)
}
