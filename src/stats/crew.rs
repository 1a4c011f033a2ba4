//! Scanning on several threads. Pieces of a log go round the crew in turn and their facts come back in the same
//! turn, so that they are counted in the order of the log; a few pieces are under way at once, however long it is.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use super::instant::Millis;
use super::line::{Fact, Kind, Scanner};
use super::{Calendar, Tally};

/// Pieces for each thread: one that it reads, one that waits for it.
const UNDER_WAY: usize = 2;

/// Counts all pieces of one log. `fill` puts the next one, of whole lines, into the buffer of `size` bytes and
/// returns its length; 0 is the end. Without a thread (none wanted, none to be had) the caller's own scans.
pub fn count(
    tally: &mut Tally,
    calendar: Calendar,
    threads: usize,
    size: usize,
    mut fill: impl FnMut(&mut [u8]) -> usize,
) {
    std::thread::scope(|scope| {
        let crew: Vec<Hand> = (0..threads).map_while(|_| Hand::hire(scope, calendar)).collect();
        if crew.is_empty() {
            return count_alone(tally, calendar, size, fill);
        }
        let turn = |number: usize| &crew[number % crew.len()];
        let (mut given, mut counted) = (0, 0);
        loop {
            let mut piece = if given < crew.len() * UNDER_WAY {
                Piece { bytes: vec![0; size], len: 0, facts: Facts::default() }
            } else {
                let piece = turn(counted).take();
                counted += 1;
                piece.facts.each(|fact| tally.add(fact));
                piece
            };
            piece.len = fill(&mut piece.bytes);
            if piece.len == 0 {
                break;
            }
            turn(given).give(piece);
            given += 1;
        }
        for number in counted..given {
            turn(number).take().facts.each(|fact| tally.add(fact));
        }
    });
}

fn count_alone(tally: &mut Tally, calendar: Calendar, size: usize, mut fill: impl FnMut(&mut [u8]) -> usize) {
    let (mut scanner, mut bytes) = (Scanner::new(calendar), vec![0; size]);
    loop {
        match fill(&mut bytes) {
            0 => return,
            len => scanner.scan(&bytes[..len], &mut |fact| tally.add(fact)),
        }
    }
}

/// Some lines, and what they say once they were scanned.
struct Piece {
    bytes: Vec<u8>,
    len: usize,
    facts: Facts,
}

/// A thread that scans. It ends when it is dropped.
struct Hand {
    inbox: Sender<Piece>,
    outbox: Receiver<Piece>,
}

impl Hand {
    fn hire<'scope>(scope: &'scope Scope<'scope, '_>, calendar: Calendar) -> Option<Self> {
        let (inbox, work) = channel::<Piece>();
        let (done, outbox) = channel();
        let scan = move || {
            let mut scanner = Scanner::new(calendar);
            for mut piece in work {
                let Piece { bytes, len, facts } = &mut piece;
                facts.clear();
                scanner.scan(&bytes[..*len], &mut |fact| facts.push(fact));
                if done.send(piece).is_err() {
                    return;
                }
            }
        };
        Builder::new().spawn_scoped(scope, scan).ok()?;
        Some(Self { inbox, outbox })
    }

    fn give(&self, piece: Piece) {
        self.inbox.send(piece).expect("a scanner does not panic");
    }

    fn take(&self) -> Piece {
        self.outbox.recv().expect("a scanner does not panic")
    }
}

/// Facts apart from the bytes that they were read from: all names in one place.
#[derive(Default)]
struct Facts {
    names: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    at: Option<Millis>,
    /// Its name ends here in `names`; it begins where the last one ends.
    name_end: usize,
    kind: Kind,
    doubtful: bool,
}

impl Facts {
    fn clear(&mut self) {
        self.names.clear();
        self.entries.clear();
    }

    fn push(&mut self, fact: &Fact<'_>) {
        self.names.extend_from_slice(fact.service);
        let Fact { at, kind, doubtful, .. } = *fact;
        self.entries.push(Entry { at, name_end: self.names.len(), kind, doubtful });
    }

    fn each(&self, mut tell: impl FnMut(&Fact<'_>)) {
        let mut start = 0;
        for &Entry { at, name_end, kind, doubtful } in &self.entries {
            tell(&Fact { service: &self.names[start..name_end], kind, at, doubtful });
            start = name_end;
        }
    }
}
