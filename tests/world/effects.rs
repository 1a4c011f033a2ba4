//! Every call into a double is an *effect*, and counted: so a pass can be cut, interrupted or robbed of its
//! disk at any of them.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use recovery::process::Interrupt;

/// What happens at the chosen effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The process is killed.
    Cut,
    /// SIGTERM.
    Interrupt,
    /// The state folder can no longer be used.
    DiskGone,
}

/// The payload by which a cut unwinds to the test.
pub struct Killed;

/// Counts effects and deals the blow.
pub struct Effects {
    count: AtomicUsize,
    plan: Mutex<Option<(usize, Blow)>>,
    interrupt: Interrupt,
    state: PathBuf,
}

impl Effects {
    pub fn new(interrupt: Interrupt, state: PathBuf) -> Self {
        Self { count: AtomicUsize::new(0), plan: Mutex::new(None), interrupt, state }
    }

    /// Plans a blow so many effects from now, or none.
    pub fn plan(&self, blow: Option<(usize, Blow)>) {
        let now = self.count.load(Ordering::SeqCst);
        *self.plan.lock().unwrap() = blow.map(|(after, blow)| (now + after, blow));
    }

    pub fn tick(&self) {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let due = self.plan.lock().unwrap().take_if(|(at, _)| *at <= number);
        match due {
            None => {}
            Some((_, Blow::Interrupt)) => self.interrupt.flag().store(15, Ordering::SeqCst),
            Some((_, Blow::DiskGone)) => self.take_disk(),
            Some((_, Blow::Cut)) => std::panic::resume_unwind(Box::new(Killed)),
        }
    }

    fn away(&self) -> PathBuf {
        self.state.with_extension("away")
    }

    /// A file stands where the state folder was.
    pub fn take_disk(&self) {
        if self.state.is_dir() {
            std::fs::rename(&self.state, self.away()).unwrap();
        }
        std::fs::write(&self.state, "").unwrap();
    }

    pub fn give_disk_back(&self) {
        if self.state.is_file() {
            std::fs::remove_file(&self.state).unwrap();
        }
        if self.away().exists() {
            std::fs::rename(self.away(), &self.state).unwrap();
        }
    }
}
