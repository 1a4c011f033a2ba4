//! Sending what waits: in order, one message at a time, and what follows from each answer.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::waiting::{Listing, Waiting};
use super::{EVENTS_MAX, Outbox, Report, remove};
use crate::alert::{Alert, Delivery, Destination, late};
use crate::clock::Clock;
use crate::notify::{Notifier, NotifyError};
use crate::process::Interrupt;
use crate::state::AlertKind;
use crate::store::atomic;
use crate::store::{FileLock, Lock, StoreError};

/// For so long events are sent before it is looked whether an alert has come.
const SLICE: Duration = Duration::from_secs(1);

/// By what means and within which limits alerts are sent.
#[derive(Clone, Copy)]
pub struct Sending<'a> {
    /// Where they go.
    pub notifier: &'a dyn Notifier,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Once it is set no message is begun.
    pub interrupt: &'a Interrupt,
    /// How what waited is to be delivered.
    pub judge: &'a dyn Fn(&Alert) -> Delivery,
    /// How long it may take in all.
    pub budget: Duration,
}

impl Outbox {
    /// Sends what waits: alerts to people first, events with what is left of the time. Of each way (ntfy, the
    /// command, the webhook) the oldest goes first, and nothing more after the first "later"; of a topic nothing
    /// more after the first "later" that is its own.
    /// One process sends at a time; the others wait for it within their budget, and send what it left.
    ///
    /// # Errors
    /// Where the outbox cannot be read or locked. What concerns single files is in the report.
    pub fn deliver(&self, with: &Sending<'_>) -> Result<Report, StoreError> {
        let listing = self.list()?;
        if listing.is_empty() {
            return Ok(Report::default());
        }
        let mut sender = Sender::new(self, with);
        let Lock::Held(_held) = FileLock::acquire_within(&self.dir.join(".lock"), with.budget, with.clock)?
        else {
            sender.report.stopped.push("another process is sending".to_owned());
            return sender.finish();
        };
        for folder in [self.dir.clone(), self.dir.join("owed"), self.dir.join(super::told::FOLDER)] {
            atomic::sweep_old(&folder, with.clock.now());
        }
        sender.put_aside(listing);
        sender.all()?;
        if !with.interrupt.is_set() {
            sender.trim()?;
        }
        sender.finish()
    }

    /// Sends what could not be put into the outbox, each after what waits of its way. What cannot be delivered
    /// now is in the report's `unsent`, so that the caller can say so, and does not record it as told.
    pub fn send_now(&self, with: &Sending<'_>, alerts: &[Alert]) -> Report {
        if alerts.is_empty() {
            return Report::default();
        }
        let mut sender = Sender::new(self, with);
        let _held = match FileLock::acquire_within(&self.dir.join(".lock"), with.budget, with.clock) {
            Ok(Lock::Held(held)) => Some(held),
            Ok(Lock::Busy(_)) => {
                sender.report.stopped.push("another process is sending".to_owned());
                sender.report.unsent = alerts.to_vec();
                return sender.unsent();
            }
            // What keeps alerts out of the outbox may well keep everybody from locking it.
            Err(_) => None,
        };
        for turn in [Turn::People, Turn::Programs] {
            // Nothing waits in an outbox that cannot be read: that was said when nothing could be put there.
            while sender.round(turn).unwrap_or(false) {}
            for alert in alerts.iter().filter(|alert| turn.is_of(alert)) {
                sender.unkept(alert);
            }
        }
        sender.unsent()
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    People,
    Programs,
}

impl Turn {
    fn is_of(self, alert: &Alert) -> bool {
        (self == Self::Programs) == (alert.to == Destination::Webhook)
    }
}

/// One process's turn at sending.
struct Sender<'a> {
    outbox: &'a Outbox,
    with: Sending<'a>,
    end: Duration,
    /// Where nothing more is sent in this pass.
    closed: Vec<Closed>,
    report: Report,
}

/// The ways out, each with its own troubles.
type Way = std::mem::Discriminant<Destination>;

/// What is closed: a broken command must not silence ntfy, nor one topic another.
#[derive(PartialEq, Eq)]
enum Closed {
    Way(Way),
    Receiver(Destination),
}

impl Closed {
    fn is_for(&self, to: &Destination) -> bool {
        match self {
            Self::Way(way) => *way == std::mem::discriminant(to),
            Self::Receiver(receiver) => receiver == to,
        }
    }
}

/// What came of one message.
enum Sent {
    Whole,
    Short,
    Refused(String),
    Homeless,
    Later(String),
    LaterHere(String),
}

impl<'a> Sender<'a> {
    fn new(outbox: &'a Outbox, with: &Sending<'a>) -> Self {
        let end = with.clock.monotonic() + with.budget;
        Self { outbox, with: *with, end, closed: Vec::new(), report: Report::default() }
    }

    /// Sends until nothing is left that can be sent. Others may put something in meanwhile, and leave it to us.
    fn all(&mut self) -> Result<(), StoreError> {
        loop {
            while self.round(Turn::People)? {}
            if !self.round(Turn::Programs)? {
                return Ok(());
            }
        }
    }

    /// Puts what cannot be understood where people find it.
    fn put_aside(&mut self, listing: Listing) {
        for path in listing.damaged {
            match self.outbox.set_aside(&path, "damaged") {
                Ok(aside) => self.report.damaged.push(aside),
                Err(e) => self.report.errors.push(e),
            }
        }
        self.report.errors.extend(listing.errors);
    }

    /// Sends what is there now, events only for a while; whether another look is worth it.
    fn round(&mut self, turn: Turn) -> Result<bool, StoreError> {
        let listing = self.outbox.list()?;
        let began = self.with.clock.monotonic();
        let mut left: VecDeque<Waiting> =
            listing.waiting.into_iter().filter(|waiting| turn.is_of(&waiting.alert)).collect();
        let mut settled = false;
        while let Some(first) = left.pop_front() {
            if self.is_open(&first.alert) {
                settled |= self.one(first, &mut left);
            }
            if turn == Turn::Programs && self.with.clock.monotonic().saturating_sub(began) >= SLICE {
                break;
            }
        }
        Ok(settled)
    }

    /// Sends the first one, together with those of `rest` that become one message with it; whether they
    /// are out of the way now.
    fn one(&mut self, first: Waiting, rest: &mut VecDeque<Waiting>) -> bool {
        let mut files = vec![first.path];
        let verdict =
            if first.alert.event.is_some() { Delivery::AsItIs } else { (self.with.judge)(&first.alert) };
        let alert = match verdict {
            Delivery::AsItIs => first.alert,
            Delivery::Over { from, to } => {
                let (mut from, mut to) = (from, to);
                let mut recovery = None;
                rest.retain(|other| {
                    let joins = joins(&first.alert, &other.alert);
                    let recovers = joins && other.alert.kind == AlertKind::ServiceRecovered;
                    match (self.with.judge)(&other.alert) {
                        Delivery::Over { from: f, to: t } if joins => (from, to) = (from.min(f), to.max(t)),
                        // An earlier failure was delivered there: its recovery says all.
                        Delivery::AsItIs if recovers => recovery = Some(other.alert.clone()),
                        _ => return true,
                    }
                    files.push(other.path.clone());
                    false
                });
                recovery.unwrap_or_else(|| late::over(&first.alert, from, to, self.with.clock.now()))
            }
        };
        self.settle(alert, &files)
    }

    fn is_open(&self, alert: &Alert) -> bool {
        !self.closed.iter().any(|closed| closed.is_for(&alert.to))
    }

    /// Sends one and does what follows from the answer, with the files it stands in; whether it is out of the way.
    fn settle(&mut self, alert: Alert, files: &[PathBuf]) -> bool {
        let way = Closed::Way(std::mem::discriminant(&alert.to));
        let (done, closes) = match self.send(&alert) {
            Sent::Whole => (self.delivered(alert, files), way),
            Sent::Short => (self.delivered(late::short(&alert), files), way),
            Sent::Refused(why) => (self.refused(alert, why, files), way),
            Sent::Homeless => (self.homeless(alert, files), way),
            Sent::Later(why) => (Err(why), way),
            Sent::LaterHere(why) => (Err(why), Closed::Receiver(alert.to)),
        };
        let Err(why) = done else { return true };
        if !self.report.stopped.contains(&why) {
            self.report.stopped.push(why);
        }
        self.closed.push(closes);
        false
    }

    /// Sends one that is in no file.
    fn unkept(&mut self, alert: &Alert) {
        if !self.is_open(alert) || !self.settle(alert.clone(), &[]) {
            self.report.unsent.push(alert.clone());
        }
    }

    fn send(&self, alert: &Alert) -> Sent {
        let left = || self.end.saturating_sub(self.with.clock.monotonic());
        let over = || Sent::Later("the time for sending alerts is over".to_owned());
        if self.with.interrupt.is_set() {
            return Sent::Later("a signal ended the sending".to_owned());
        }
        if left().is_zero() {
            return over();
        }
        match self.with.notifier.send(alert, left()) {
            Ok(()) => return Sent::Whole,
            Err(NotifyError::Later(why)) => return Sent::Later(why),
            Err(NotifyError::LaterHere(why)) => return Sent::LaterHere(why),
            Err(NotifyError::Homeless) => return Sent::Homeless,
            // Half an event is none.
            Err(NotifyError::Rejected(why)) if alert.event.is_some() => return Sent::Refused(why),
            Err(NotifyError::Rejected(_)) if left().is_zero() => return over(),
            Err(NotifyError::Rejected(_)) => {}
        }
        let short = late::short(alert);
        match self.with.notifier.send(&short, left()) {
            Ok(()) => Sent::Short,
            Err(NotifyError::Later(why)) => Sent::Later(why),
            Err(NotifyError::LaterHere(why)) => Sent::LaterHere(why),
            Err(NotifyError::Homeless) => Sent::Homeless,
            Err(NotifyError::Rejected(why)) => Sent::Refused(why),
        }
    }

    /// The record of the yes: first that its recovery is owed, then that it need not be sent again.
    fn delivered(&mut self, alert: Alert, files: &[PathBuf]) -> Result<(), String> {
        let owed = self.outbox.owe(&alert, self.with.clock.now());
        let removed = self.each(files, "a delivered alert cannot be removed from the outbox", remove);
        // On a full disk there is room for it only now.
        if let Err(e) = owed.or_else(|_| self.outbox.owe(&alert, self.with.clock.now())) {
            self.report.errors.push(e);
        }
        self.report.delivered.push(alert);
        removed
    }

    fn refused(&mut self, alert: Alert, why: String, files: &[PathBuf]) -> Result<(), String> {
        // It was told and would be refused again: what follows is told of what comes after it.
        if let Err(e) = self.outbox.remember(&alert) {
            self.report.errors.push(e);
        }
        self.report.rejected.push((alert, why));
        self.reject(files)
    }

    fn homeless(&mut self, alert: Alert, files: &[PathBuf]) -> Result<(), String> {
        self.report.homeless.push(alert);
        self.reject(files)
    }

    fn reject(&mut self, files: &[PathBuf]) -> Result<(), String> {
        let outbox = self.outbox;
        self.each(files, "a refused alert cannot be set aside", |path| {
            outbox.set_aside(path, "rejected").map(drop)
        })
    }

    /// Does that with all the files. What cannot be put out of the way ends the sending: it would be sent
    /// again and again.
    fn each(
        &mut self,
        files: &[PathBuf],
        otherwise: &str,
        act: impl Fn(&Path) -> Result<(), StoreError>,
    ) -> Result<(), String> {
        let errors: Vec<StoreError> = files.iter().filter_map(|path| act(path).err()).collect();
        let done = if errors.is_empty() { Ok(()) } else { Err(otherwise.to_owned()) };
        self.report.errors.extend(errors);
        done
    }

    /// Drops the oldest events of a service of which too many wait: a receiver that was away for so long needs
    /// to know how things are, and the folder must not grow for ever.
    fn trim(&mut self) -> Result<(), StoreError> {
        let mut kept: HashMap<String, usize> = HashMap::new();
        let listing = self.outbox.list()?;
        let events = listing.waiting.into_iter().rev().filter(|waiting| waiting.alert.event.is_some());
        for Waiting { path, alert } in events {
            let count = kept.entry(alert.services.join(" ")).or_default();
            *count += 1;
            if *count > EVENTS_MAX {
                match remove(&path) {
                    Ok(()) => self.report.dropped += 1,
                    Err(e) => self.report.errors.push(e),
                }
            }
        }
        Ok(())
    }

    /// The report, with what waits now.
    fn finish(mut self) -> Result<Report, StoreError> {
        let (waiting, _) = self.outbox.known()?;
        self.report.waiting = waiting.len();
        self.report.waiting_events = waiting.values().filter(|alert| alert.event.is_some()).count();
        Ok(self.report)
    }

    /// The report, with what was not sent.
    fn unsent(mut self) -> Report {
        let unsent = &self.report.unsent;
        self.report.waiting_events = unsent.iter().filter(|alert| alert.event.is_some()).count();
        self.report.waiting = unsent.len();
        self.report
    }
}

/// Whether two alerts of incidents that are over become one message.
fn joins(a: &Alert, b: &Alert) -> bool {
    a.to == b.to && a.incidents == b.incidents
}
