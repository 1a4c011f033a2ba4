//! Who ended a container's run, judged purely, from the strongest sign that can be had.
//!
//! Signs fade: an engine keeps only its latest events. So an end is judged once, and what was found is remembered
//! with the time of that end; see [`Earlier`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How a container that is not running ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerEnd {
    /// By itself, with an exit code other than 0.
    Died,
    /// By itself, with exit code 0.
    Finished,
    /// It ended, and then could not be started: nobody wants it to be down.
    NotStarted,
    /// Somebody stopped or killed it through the engine.
    StoppedBySomeone,
    /// Nobody can tell any more whether somebody stopped it.
    Unclear,
}

/// By what the end of a container was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The engine tells of a start that failed.
    FailedStart,
    /// It never ran.
    NeverRan,
    /// It was stopped by a restart of ours.
    OurRestart,
    /// The events of the engine around its end.
    Events,
    /// What the engine wrote down of it: whether somebody stopped it or sent it a signal.
    Record,
    /// It ended together with the engine, and ran when it was last seen.
    WithEngine,
    /// Nothing but its exit code.
    ExitCode,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailedStart => "the engine could not start it",
            Self::NeverRan => "it never ran",
            Self::OurRestart => "a restart of recovery's stopped it",
            Self::Events => "by the engine's events",
            Self::Record => "by the engine's record of the container",
            Self::WithEngine => "it ended together with the engine",
            Self::ExitCode => "by its exit code alone",
        })
    }
}

/// What was found out about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Which end.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub end: ContainerEnd,
    /// By what that was judged.
    pub sign: Sign,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            ContainerEnd::Died | ContainerEnd::Finished => "ended by itself",
            ContainerEnd::NotStarted => "was to run",
            ContainerEnd::StoppedBySomeone => "was stopped by someone",
            ContainerEnd::Unclear => "was ended by nobody knows whom",
        };
        write!(f, "{end}: {}", self.sign)
    }
}

/// What is known of a container before its engine is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Earlier {
    /// What an earlier pass found out about an end of it.
    pub judged: Option<Judged>,
    /// When we ordered its last restart.
    pub restarted_at: Option<Timestamp>,
    /// When something that lives in it was last looked at.
    pub seen_at: Option<Timestamp>,
    /// When the machine booted.
    pub booted_at: Option<Timestamp>,
}

/// What the engine's events say of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Nothing: they are gone, or the engine keeps none.
    Silent,
    /// It ended, and nobody stopped or killed it.
    NobodyStopped,
    /// The same, but it had been sent a signal that is only a message.
    OnlyMessages,
    /// Somebody stopped or killed it.
    SomebodyStopped,
}

/// All that speaks of one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// The engine tells of a start that failed; a start that works wipes that out.
    pub failed_start: bool,
    /// It ran at least once.
    pub ran: bool,
    /// A restart of ours was ordered during the run that ended.
    pub our_restart: bool,
    /// Of its last run.
    pub exit_code: i32,
    /// A process of it was killed for want of memory.
    pub oom_killed: bool,
    /// The events of the engine.
    pub events: Events,
    /// What the engine wrote down, where that can be read: somebody stopped it, or sent it any signal.
    pub manually_stopped: Option<bool>,
    /// It ended when the engine did, and ran when it was last seen.
    pub with_engine: bool,
}

/// Judges an end.
#[must_use]
pub fn judge(signs: &Signs) -> (ContainerEnd, Sign) {
    use ContainerEnd::{Died, Finished, NotStarted, StoppedBySomeone, Unclear};
    let by_itself = if signs.exit_code == 0 { Finished } else { Died };
    if signs.failed_start {
        return (NotStarted, Sign::FailedStart);
    }
    if !signs.ran {
        return (StoppedBySomeone, Sign::NeverRan);
    }
    if signs.our_restart {
        return (NotStarted, Sign::OurRestart);
    }
    match (signs.events, signs.manually_stopped) {
        (Events::SomebodyStopped, _) => (StoppedBySomeone, Sign::Events),
        // A message such as HUP is written down as a stop, too.
        (Events::OnlyMessages, _) | (Events::NobodyStopped, Some(false) | None) => (by_itself, Sign::Events),
        // It was a message that is forgotten, or a kill whose event is.
        (Events::NobodyStopped, Some(true)) => (Unclear, Sign::Record),
        // A message such as HUP before the engine's end leaves the same: told once rather than never.
        (Events::Silent, Some(true)) if signs.with_engine => (Unclear, Sign::Record),
        (Events::Silent, Some(true)) => (StoppedBySomeone, Sign::Record),
        (Events::Silent, Some(false)) => (by_itself, Sign::Record),
        (Events::Silent, None) if signs.with_engine => (by_itself, Sign::WithEngine),
        (Events::Silent, None) => match signs.exit_code {
            0 | 130 | 143 => (Unclear, Sign::ExitCode),
            137 if !signs.oom_killed => (Unclear, Sign::ExitCode),
            _ => (Died, Sign::ExitCode),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContainerEnd::{Died, Finished, NotStarted, StoppedBySomeone, Unclear};
    use Events::{NobodyStopped, OnlyMessages, Silent, SomebodyStopped};

    const CODES: [i32; 7] = [0, 1, 130, 137, 139, 143, 255];

    fn signs(exit_code: i32) -> Signs {
        Signs {
            failed_start: false,
            ran: true,
            our_restart: false,
            exit_code,
            oom_killed: false,
            events: Silent,
            manually_stopped: None,
            with_engine: false,
        }
    }

    fn by_itself(code: i32) -> ContainerEnd {
        if code == 0 { Finished } else { Died }
    }

    /// Every event × record × (with the engine or not): one row says the end for every exit code.
    #[test]
    fn every_sign_with_every_exit_code() {
        let alone = |code: i32| if matches!(code, 0 | 130 | 137 | 143) { Unclear } else { Died };
        type End = fn(i32) -> ContainerEnd;
        let rows: [(Events, Option<bool>, bool, End, Sign); 24] = [
            (SomebodyStopped, Some(true), false, |_| StoppedBySomeone, Sign::Events),
            (SomebodyStopped, Some(true), true, |_| StoppedBySomeone, Sign::Events),
            (SomebodyStopped, Some(false), false, |_| StoppedBySomeone, Sign::Events),
            (SomebodyStopped, Some(false), true, |_| StoppedBySomeone, Sign::Events),
            (SomebodyStopped, None, false, |_| StoppedBySomeone, Sign::Events),
            (SomebodyStopped, None, true, |_| StoppedBySomeone, Sign::Events),
            (OnlyMessages, Some(true), false, by_itself, Sign::Events),
            (OnlyMessages, Some(true), true, by_itself, Sign::Events),
            (OnlyMessages, Some(false), false, by_itself, Sign::Events),
            (OnlyMessages, Some(false), true, by_itself, Sign::Events),
            (OnlyMessages, None, false, by_itself, Sign::Events),
            (OnlyMessages, None, true, by_itself, Sign::Events),
            (NobodyStopped, Some(true), false, |_| Unclear, Sign::Record),
            (NobodyStopped, Some(true), true, |_| Unclear, Sign::Record),
            (NobodyStopped, Some(false), false, by_itself, Sign::Events),
            (NobodyStopped, Some(false), true, by_itself, Sign::Events),
            (NobodyStopped, None, false, by_itself, Sign::Events),
            (NobodyStopped, None, true, by_itself, Sign::Events),
            (Silent, Some(true), false, |_| StoppedBySomeone, Sign::Record),
            (Silent, Some(true), true, |_| Unclear, Sign::Record),
            (Silent, Some(false), false, by_itself, Sign::Record),
            (Silent, Some(false), true, by_itself, Sign::Record),
            (Silent, None, true, by_itself, Sign::WithEngine),
            (Silent, None, false, alone, Sign::ExitCode),
        ];
        for (events, manually_stopped, with_engine, end, sign) in rows {
            for code in CODES {
                let signs = Signs { events, manually_stopped, with_engine, ..signs(code) };
                assert_eq!(judge(&signs), (end(code), sign), "{signs:?}");
                // Whatever they say, a failed start and a restart of ours say more.
                let failed = Signs { failed_start: true, our_restart: true, ..signs };
                assert_eq!(judge(&failed), (NotStarted, Sign::FailedStart));
                let ours = Signs { our_restart: true, ..signs };
                assert_eq!(judge(&ours), (NotStarted, Sign::OurRestart));
                let created = Signs { ran: false, ..signs };
                assert_eq!(judge(&created), (StoppedBySomeone, Sign::NeverRan));
            }
        }
    }

    #[test]
    fn killed_for_want_of_memory_is_nobodys_stop() {
        let oom = |code| judge(&Signs { oom_killed: true, ..signs(code) });
        assert_eq!(oom(137), (Died, Sign::ExitCode));
        assert_eq!(oom(143), (Unclear, Sign::ExitCode));
    }
}
