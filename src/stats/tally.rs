//! Counting: facts go in one at a time, figures come out. What the figures mean is decided here.

use std::collections::{BTreeMap, HashMap};

use super::instant::Millis;
use super::line::{Fact, Kind};

/// More names than any registry has; a broken log must not fill the memory.
const MAX_SERVICES: usize = 10_000;

/// Which lines count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Lines from this moment on.
    pub since: Option<Millis>,
    /// Lines before this moment.
    pub until: Option<Millis>,
    /// Lines of these services; empty: of all.
    pub services: Vec<String>,
}

/// Counts facts.
#[derive(Debug)]
pub struct Tally {
    filter: Filter,
    services: Vec<Service>,
    index: HashMap<Box<[u8]>, usize>,
    /// Where the last fact was counted: the next one is mostly of the service that followed last time.
    last: usize,
    undated: u64,
    first: Option<Millis>,
    latest: Option<Millis>,
}

#[derive(Debug)]
struct Service {
    name: Box<[u8]>,
    /// The service whose fact came after this one's.
    next: usize,
    wanted: bool,
    /// A line about it lay within the filter.
    counted: bool,
    figures: Figures,
    attempt: Attempt,
    outage: Outage,
}

/// The attempt under way: a shell runner may announce one and then name its command, and may leave either out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    None,
    Announced,
    Executing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    None,
    /// Down since `since`; last seen so at `seen`; `before` was counted already, `began` is its first look.
    Down {
        began: Millis,
        before: Millis,
        since: Millis,
        seen: Millis,
    },
    /// Nobody can or should tell at the moment.
    Paused {
        began: Millis,
        before: Millis,
    },
}

/// The figures of one service, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Looks that found it healthy.
    pub passed: u64,
    /// Looks that found it down.
    pub failed: u64,
    /// Looks that could not tell.
    pub cannot_check: u64,
    /// Restart attempts.
    pub attempts: u64,
    /// Attempts that helped.
    pub recovered: u64,
    /// Attempts that did not.
    pub failed_to_recover: u64,
    /// Looks after which it was given up.
    pub given_up: u64,
    /// Outages that are over and of known length.
    pub outages: u64,
    /// Milliseconds of those.
    pub outage_millis: Millis,
    /// Milliseconds it was known to be down, the last outage included.
    pub downtime_millis: Millis,
    /// Lines with a time.
    pub dated: u64,
    /// The first failed look of the outage that is not over.
    pub down_since: Option<Millis>,
}

impl Figures {
    /// All looks that could tell.
    #[must_use]
    pub fn checks(&self) -> u64 {
        self.passed + self.failed
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.cannot_check += other.cannot_check;
        self.attempts += other.attempts;
        self.recovered += other.recovered;
        self.failed_to_recover += other.failed_to_recover;
        self.given_up += other.given_up;
        self.outages += other.outages;
        self.outage_millis = self.outage_millis.saturating_add(other.outage_millis);
        self.downtime_millis = self.downtime_millis.saturating_add(other.downtime_millis);
        self.dated += other.dated;
        self.down_since = match (self.down_since, other.down_since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// All that was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of all services that count.
    pub total: Figures,
    /// Service by service.
    pub services: BTreeMap<String, Figures>,
    /// Every service that any line named, also outside the filter.
    pub seen: Vec<String>,
    /// Lines without a time: counted in figures and not in durations; left out where the filter has times.
    pub undated: u64,
    /// Time of the earliest line counted.
    pub first: Option<Millis>,
    /// Time of the latest line counted.
    pub latest: Option<Millis>,
}

impl Tally {
    /// Counts nothing yet.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        let (services, index) = (Vec::new(), HashMap::new());
        Self { filter, services, index, last: 0, undated: 0, first: None, latest: None }
    }

    /// Counts one fact.
    pub fn add(&mut self, fact: &Fact<'_>) {
        if fact.kind == Kind::Other {
            return;
        }
        let Some(at) = self.find(fact) else { return };
        let service = &mut self.services[at];
        if !service.wanted {
            return;
        }
        match fact.at {
            None => {
                self.undated += 1;
                if self.filter.since.is_some() || self.filter.until.is_some() {
                    return;
                }
            }
            Some(time) => {
                let early = self.filter.since.is_some_and(|since| time < since);
                if early || self.filter.until.is_some_and(|until| time >= until) {
                    return;
                }
                self.first = Some(self.first.map_or(time, |first| first.min(time)));
                self.latest = Some(self.latest.map_or(time, |latest| latest.max(time)));
                service.figures.dated += 1;
            }
        }
        service.count(fact.kind, fact.at);
    }

    /// The service's place; a new one's too, unless its name is in doubt.
    fn find(&mut self, fact: &Fact<'_>) -> Option<usize> {
        let guess = self.services.get(self.last).map_or(0, |last| last.next);
        let at = match self.services.get(guess) {
            Some(service) if *service.name == *fact.service => guess,
            _ => self.look_up(fact)?,
        };
        if let Some(last) = self.services.get_mut(self.last) {
            last.next = at;
        }
        self.last = at;
        Some(at)
    }

    fn look_up(&mut self, fact: &Fact<'_>) -> Option<usize> {
        if let Some(&at) = self.index.get(fact.service) {
            return Some(at);
        }
        let is_check = matches!(fact.kind, Kind::Passed | Kind::Failed);
        if (fact.doubtful && !is_check) || self.services.len() == MAX_SERVICES {
            return None;
        }
        let at = self.services.len();
        let name: Box<[u8]> = fact.service.into();
        let wanted =
            self.filter.services.is_empty() || self.filter.services.iter().any(|s| s.as_bytes() == &*name);
        self.index.insert(name.clone(), at);
        self.services.push(Service {
            name,
            next: at + 1,
            wanted,
            counted: false,
            figures: Figures::default(),
            attempt: Attempt::None,
            outage: Outage::None,
        });
        Some(at)
    }

    /// Closes the books. An outage that is not over is counted up to the last look that saw it.
    #[must_use]
    pub fn finish(self) -> Outcome {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let mut outcome = Outcome {
            seen: self.services.iter().map(|service| text(&service.name)).collect(),
            undated: self.undated,
            first: self.first,
            latest: self.latest,
            ..Outcome::default()
        };
        for mut service in self.services.into_iter().filter(|service| service.counted) {
            service.close();
            outcome.total.add(&service.figures);
            outcome.services.entry(text(&service.name)).or_default().add(&service.figures);
        }
        outcome
    }
}

impl Service {
    fn count(&mut self, kind: Kind, at: Option<Millis>) {
        self.counted = true;
        let figures = &mut self.figures;
        match kind {
            Kind::Passed => {
                figures.passed += 1;
                self.up(at);
            }
            Kind::Failed => {
                figures.failed += 1;
                self.down(at);
            }
            Kind::Healed => self.up(at),
            Kind::Unknown => {
                figures.cannot_check += 1;
                self.pause(at);
            }
            Kind::Stopped => self.pause(at),
            Kind::Attempting => self.begin(Attempt::Announced),
            Kind::Executing => self.begin(Attempt::Executing),
            Kind::Recovered => {
                figures.recovered += 1;
                self.end_attempt();
                self.up(at);
            }
            Kind::NotRecovered => {
                figures.failed_to_recover += 1;
                self.end_attempt();
                if let (Outage::Down { .. }, Some(_)) = (self.outage, at) {
                    self.down(at);
                }
            }
            Kind::GivenUp => figures.given_up += 1,
            Kind::Other => {}
        }
    }

    /// An announced attempt whose command is then named is one attempt.
    fn begin(&mut self, how: Attempt) {
        if !(self.attempt == Attempt::Announced && how == Attempt::Executing) {
            self.figures.attempts += 1;
        }
        self.attempt = how;
    }

    /// A result without a beginning stands for an attempt too.
    fn end_attempt(&mut self) {
        if self.attempt == Attempt::None {
            self.figures.attempts += 1;
        }
        self.attempt = Attempt::None;
    }

    fn down(&mut self, at: Option<Millis>) {
        let Some(at) = at else { return };
        self.outage = match self.outage {
            Outage::None => Outage::Down { began: at, before: 0, since: at, seen: at },
            Outage::Paused { began, before } => Outage::Down { began, before, since: at, seen: at },
            Outage::Down { began, before, since, seen } => {
                Outage::Down { began, before, since, seen: seen.max(at) }
            }
        };
    }

    fn pause(&mut self, at: Option<Millis>) {
        if let Outage::Down { began, before, since, seen } = self.outage {
            let before = before.saturating_add(span(since, at.unwrap_or(seen)));
            self.outage = Outage::Paused { began, before };
        }
    }

    /// The outage is over; without a time its length is not known, only that it lasted until it was last seen.
    fn up(&mut self, at: Option<Millis>) {
        let length = match self.outage {
            Outage::None => return,
            Outage::Paused { before, .. } => before,
            Outage::Down { before, since, seen, .. } => {
                before.saturating_add(span(since, at.unwrap_or(seen)))
            }
        };
        self.outage = Outage::None;
        self.figures.downtime_millis = self.figures.downtime_millis.saturating_add(length);
        if at.is_some() {
            self.figures.outages += 1;
            self.figures.outage_millis = self.figures.outage_millis.saturating_add(length);
        }
    }

    fn close(&mut self) {
        match self.outage {
            Outage::None => {}
            Outage::Paused { before, .. } => {
                self.figures.downtime_millis = self.figures.downtime_millis.saturating_add(before);
            }
            Outage::Down { began, .. } => {
                self.up(None);
                self.figures.down_since = Some(began);
            }
        }
    }
}

/// A clock that was set back makes no negative downtime.
fn span(from: Millis, to: Millis) -> Millis {
    to.saturating_sub(from).max(0)
}
