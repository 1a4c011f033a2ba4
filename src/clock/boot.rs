//! Times that were remembered, in the terms of the wall clock as it is now.
//!
//! What is counted in a window (attempts, a chain, cooldowns) ages by real time, whatever is done to the wall
//! clock meanwhile. Within one boot the time since it is real: where by the wall clock the machine booted at another
//! time than when a file was written, the clock was set since, and by exactly that difference the times of this boot
//! in the file are wrong. They are put right once, where the file is read; all else computes with wall times.
//!
//! A time before the boot is of an earlier one and stays as it was written, and so does all where nobody knows the
//! boot. One that lies in the future even so is read as now.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::text::{shifted, stored};
use super::{Clock, Timestamp};

/// A difference below that is no setting of the clock, but its being slewed, or a pause between two readings.
const SLEW: time::Duration = time::Duration::SECOND;

/// Which boot it was when a file was written, and when that was by the clock of then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The kernel's name for it.
    pub id: String,
    /// When it was.
    #[serde(with = "stored")]
    pub at: Timestamp,
}

impl Boot {
    /// This one, where it can be told.
    #[must_use]
    pub fn now(clock: &dyn Clock) -> Option<Self> {
        let (id, wall, since) = (clock.boot_id()?, clock.now(), clock.uptime()?);
        Some(Self { id, at: shifted(wall, -time::Duration::try_from(since).ok()?) })
    }

    /// What is written of it: damage here costs no more than what is damaged.
    ///
    /// # Errors
    /// None but those of the text itself.
    pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let found = serde_json::Value::deserialize(deserializer)?;
        Ok(serde_json::from_value(found).ok())
    }
}

/// When something is read: by the wall clock, and in which boot.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot; `None` where that cannot be told.
    pub boot: Option<Boot>,
}

impl Moment {
    /// This one.
    #[must_use]
    pub fn now(clock: &dyn Clock) -> Self {
        Self { boot: Boot::now(clock), wall: clock.now() }
    }

    /// How the times in a file that was written in `boot` are read; what is written of it from now on stands
    /// there afterwards.
    pub fn reading(&self, boot: &mut Option<Boot>) -> Reading {
        let mut reading = Reading { now: self.wall, of_this_boot: None };
        if let (Some(then), Some(now)) = (boot.as_ref(), &self.boot)
            && then.id == now.id
        {
            let by = now.at - then.at;
            if by.abs() < SLEW {
                return reading;
            }
            reading.of_this_boot = Some((then.at, by));
        }
        boot.clone_from(&self.boot);
        reading
    }
}

/// How the times in one file are read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    now: Timestamp,
    /// From when on times are of this boot, and by how much the clock was set since they were written.
    of_this_boot: Option<(Timestamp, time::Duration)>,
}

impl Reading {
    /// That time in the terms of the present clock; never later than now.
    #[must_use]
    pub fn of(&self, at: Timestamp) -> Timestamp {
        self.of_or(at, self.now)
    }

    /// The same, where one of the future is rather read as `known`.
    #[must_use]
    pub fn of_or(&self, at: Timestamp, known: Timestamp) -> Timestamp {
        let at = match self.of_this_boot {
            Some((boot, by)) if at >= boot => shifted(at, by),
            _ => at,
        };
        if at > self.now { known.min(self.now) } else { at }
    }

    /// Puts a time right.
    pub fn put_right(&self, at: &mut Timestamp) {
        *at = self.of(*at);
    }
}

/// The wall clock of one pass: read at its begin, and from there on it goes with the time since the boot. So all times
/// of a pass are of one clock, also where somebody sets it meanwhile.
#[derive(Debug)]
pub struct Steady {
    wall: Timestamp,
    began: Duration,
    boot: Option<Boot>,
}

impl Steady {
    /// From now on.
    #[must_use]
    pub fn begin(clock: &dyn Clock) -> Self {
        let boot = Boot::now(clock);
        Self { wall: clock.now(), began: since(clock), boot }
    }

    /// The wall clock as it would be if nobody had set it.
    #[must_use]
    pub fn now(&self, clock: &dyn Clock) -> Timestamp {
        super::text::later(self.wall, since(clock).saturating_sub(self.began))
    }

    /// The same with the boot.
    #[must_use]
    pub fn moment(&self, clock: &dyn Clock) -> Moment {
        Moment { wall: self.now(clock), boot: self.boot.clone() }
    }
}

/// Real time since some fixed point; without a time since the boot it does not count while the machine sleeps.
fn since(clock: &dyn Clock) -> Duration {
    clock.uptime().unwrap_or_else(|| clock.monotonic())
}

#[cfg(test)]
mod tests;
