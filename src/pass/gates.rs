//! What may happen at the same time within one pass: so many commands, and in a container that is being
//! started or restarted nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};

use crate::engine::ContainerRef;

/// A counting semaphore for commands, and one gate a container.
#[derive(Debug)]
pub(super) struct Gates {
    free: Mutex<usize>,
    freed: Condvar,
    containers: Mutex<HashMap<ContainerRef, Arc<Gate>>>,
    /// Numbers looks and restarts in their order; clocks may jump.
    order: AtomicU64,
}

/// The gate of one container.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Commands in the container hold it shared, a start or restart of the container alone.
    traffic: RwLock<()>,
    /// Held by the service that decides about starting or restarting it.
    deciding: Mutex<()>,
    /// After which look it was started or restarted in this pass; 0: not.
    acted: AtomicU64,
    /// In words, where that failed.
    failure: OnceLock<String>,
}

impl Gates {
    pub(super) fn new(commands: usize) -> Self {
        Self {
            free: Mutex::new(commands.max(1)),
            freed: Condvar::new(),
            containers: Mutex::default(),
            order: AtomicU64::new(1),
        }
    }

    /// Runs `work` as one of the commands that may be under way at once.
    pub(super) fn command<T>(&self, work: impl FnOnce() -> T) -> T {
        let _place = self.place();
        work()
    }

    /// Waits for a free place among the commands.
    fn place(&self) -> Place<'_> {
        let mut free = self.free.lock().expect("the count is never held across a panic");
        while *free == 0 {
            free = self.freed.wait(free).expect("the count is never held across a panic");
        }
        *free -= 1;
        Place(self)
    }

    /// Runs a command in `container`, or on the machine, not while that container is being restarted.
    pub(super) fn command_in<T>(&self, container: Option<&ContainerRef>, work: impl FnOnce() -> T) -> T {
        let Some(container) = container else { return self.command(work) };
        let gate = self.gate(container);
        let _shared = gate.traffic.read().expect("gates are never held across a panic");
        self.command(work)
    }

    /// The gate of `container`.
    pub(super) fn gate(&self, container: &ContainerRef) -> Arc<Gate> {
        let mut gates = self.containers.lock().expect("the map is never held across a panic");
        Arc::clone(gates.entry(container.clone()).or_default())
    }

    /// The next number in the order of looks and restarts.
    pub(super) fn next(&self) -> u64 {
        self.order.fetch_add(1, Ordering::AcqRel)
    }

    /// The number of the last start or restart of `container` in this pass.
    pub(super) fn acted_at(&self, container: &ContainerRef) -> Option<u64> {
        Some(self.gate(container).acted.load(Ordering::Acquire)).filter(|&number| number > 0)
    }

    /// Whether `container` was started or restarted in this pass.
    pub(super) fn acted_on(&self, container: &ContainerRef) -> bool {
        self.gate(container).acted()
    }
}

/// One of the places for commands, free again when it ends: also where the work panics, so that nobody waits for
/// ever.
struct Place<'g>(&'g Gates);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Ok(mut free) = self.0.free.lock() {
            *free += 1;
            self.0.freed.notify_one();
        }
    }
}

impl Gate {
    /// Decides about the container, one service at a time.
    pub(super) fn decide<T>(&self, work: impl FnOnce() -> T) -> T {
        let _deciding = self.deciding.lock().expect("gates are never held across a panic");
        work()
    }

    /// Whether the container was started or restarted in this pass.
    pub(super) fn acted(&self) -> bool {
        self.acted.load(Ordering::Acquire) > 0
    }

    /// Marks it as started or restarted in this pass, at that number of the order.
    pub(super) fn set_acted(&self, number: u64) {
        self.acted.store(number, Ordering::Release);
    }

    /// Why the container's one start or restart of this pass failed, for all that wait for it.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Remembers why it failed.
    pub(super) fn set_failure(&self, words: &str) {
        // There is one start or restart a pass, so nothing was remembered before.
        let _ = self.failure.set(words.to_owned());
    }

    /// Runs `work` with no command of this pass in the container.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _alone = self.traffic.write().expect("gates are never held across a panic");
        work()
    }
}
