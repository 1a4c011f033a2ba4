//! Sending what waits: in order, one message at a time, and what follows from each answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Outbox, Waiting, remove};
use crate::alert::{Alert, Delivery, Destination, late};
use crate::clock::Clock;
use crate::notify::{Notifier, NotifyError};
use crate::state::AlertKind;
use crate::store::StoreError;

/// What came of sending.
#[derive(Debug, Default)]
pub struct Report {
    /// What was delivered, as it was sent.
    pub delivered: Vec<Alert>,
    /// What was refused for good, also in short form, with the server's reason; kept in `rejected/`.
    pub rejected: Vec<(Alert, String)>,
    /// What is left for the next pass.
    pub waiting: usize,
    /// Why sending ended early.
    pub stopped: Option<String>,
    /// Files that could not be understood; kept in `damaged/`.
    pub damaged: Vec<PathBuf>,
    /// Files that could not be read, moved or removed.
    pub errors: Vec<StoreError>,
    /// What could be neither kept nor sent; only of [`send_now`].
    pub unsent: Vec<Alert>,
}

/// One process's turn at sending.
pub(super) struct Sender<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) notifier: &'a dyn Notifier,
    pub(super) clock: &'a dyn Clock,
    pub(super) end: Duration,
    pub(super) judge: &'a dyn Fn(&Alert) -> Delivery,
    /// Ways on which nothing more is sent in this pass: a broken command must not silence ntfy.
    pub(super) closed: Vec<Way>,
    pub(super) report: Report,
}

/// The ways to people, each with its own troubles.
type Way = std::mem::Discriminant<Destination>;

fn way(alert: &Alert) -> Way {
    std::mem::discriminant(&alert.to)
}

/// What came of one message.
enum Sent {
    Whole,
    Short,
    Refused(String),
    Later(String),
}

impl Sender<'_> {
    /// Sends what is there now; whether another look is worth it.
    pub(super) fn round(&mut self) -> Result<bool, StoreError> {
        let listing = self.outbox.list()?;
        for path in listing.damaged {
            match self.outbox.set_aside(&path, "damaged") {
                Ok(aside) => self.report.damaged.push(aside),
                Err(e) => self.report.errors.push(e),
            }
        }
        self.report.errors.extend(listing.errors);
        let mut left = listing.waiting;
        let mut settled = false;
        while !left.is_empty() {
            let first = left.remove(0);
            if !self.closed.contains(&way(&first.alert)) {
                settled |= self.one(first, &mut left);
            }
        }
        Ok(settled)
    }

    /// Sends the first one, together with those of `rest` that become one message with it; whether they
    /// are out of the way now.
    fn one(&mut self, first: Waiting, rest: &mut Vec<Waiting>) -> bool {
        let way = way(&first.alert);
        let mut files = vec![first.path];
        let verdict = if first.alert.event.is_some() { Delivery::AsItIs } else { (self.judge)(&first.alert) };
        let alert = match verdict {
            Delivery::AsItIs => first.alert,
            Delivery::Over { from, to } => {
                let (mut from, mut to) = (from, to);
                let mut recovery = None;
                rest.retain(|other| {
                    let joins = joins(&first.alert, &other.alert);
                    let recovers = joins && other.alert.kind == AlertKind::ServiceRecovered;
                    match (self.judge)(&other.alert) {
                        Delivery::Over { from: f, to: t } if joins => (from, to) = (from.min(f), to.max(t)),
                        // An earlier failure was delivered there: its recovery says all.
                        Delivery::AsItIs if recovers => recovery = Some(other.alert.clone()),
                        _ => return true,
                    }
                    files.push(other.path.clone());
                    false
                });
                recovery.unwrap_or_else(|| late::over(&first.alert, from, to, self.clock.now()))
            }
        };
        let done = match self.send(&alert) {
            Sent::Whole => self.delivered(alert, &files),
            Sent::Short => self.delivered(late::short(&alert), &files),
            Sent::Refused(why) => self.refused(alert, why, &files),
            Sent::Later(why) => Err(why),
        };
        if let Err(why) = &done {
            self.report.stopped.get_or_insert_with(|| why.clone());
            self.closed.push(way);
        }
        done.is_ok()
    }

    fn send(&self, alert: &Alert) -> Sent {
        let left = || self.end.saturating_sub(self.clock.monotonic());
        let over = || Sent::Later("the time for sending alerts is over".to_owned());
        if left().is_zero() {
            return over();
        }
        match self.notifier.send(alert, left()) {
            Ok(()) => return Sent::Whole,
            Err(NotifyError::Later(why)) => return Sent::Later(why),
            // Half an event is none.
            Err(NotifyError::Rejected(why)) if alert.event.is_some() => return Sent::Refused(why),
            Err(NotifyError::Rejected(_)) if left().is_zero() => return over(),
            Err(NotifyError::Rejected(_)) => {}
        }
        let short = late::short(alert);
        match self.notifier.send(&short, left()) {
            Ok(()) => Sent::Short,
            Err(NotifyError::Later(why)) => Sent::Later(why),
            Err(NotifyError::Rejected(why)) => Sent::Refused(why),
        }
    }

    /// The record of the yes: first that its recovery is owed, then that it need not be sent again.
    fn delivered(&mut self, alert: Alert, files: &[PathBuf]) -> Result<(), String> {
        let owed = self.outbox.owe(&alert, self.clock.now());
        let removed = self.each(files, "a delivered alert cannot be removed from the outbox", remove);
        // On a full disk there is room for it only now.
        if let Err(e) = owed.or_else(|_| self.outbox.owe(&alert, self.clock.now())) {
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
}

/// Sends alerts that could not be put into the outbox. What cannot be delivered now is in the report's
/// `unsent`, so that the caller can say so, and does not record it as told.
pub fn send_now(alerts: &[Alert], notifier: &dyn Notifier, clock: &dyn Clock, budget: Duration) -> Report {
    let end = clock.monotonic() + budget;
    let left = || end.saturating_sub(clock.monotonic());
    let mut closed: Vec<Way> = Vec::new();
    let mut report = Report::default();
    for alert in alerts {
        if closed.contains(&way(alert)) {
            report.unsent.push(alert.clone());
            continue;
        }
        let outcome = match notifier.send(alert, left()) {
            Err(NotifyError::Rejected(_)) if alert.event.is_none() => {
                notifier.send(&late::short(alert), left())
            }
            other => other,
        };
        match outcome {
            Ok(()) => report.delivered.push(alert.clone()),
            Err(NotifyError::Rejected(why)) => report.rejected.push((alert.clone(), why)),
            Err(NotifyError::Later(why)) => {
                report.stopped.get_or_insert(why);
                closed.push(way(alert));
                report.unsent.push(alert.clone());
            }
        }
    }
    report.waiting = report.unsent.len();
    report
}

/// Whether two alerts of incidents that are over become one message.
fn joins(a: &Alert, b: &Alert) -> bool {
    a.to == b.to && a.incidents == b.incidents
}
