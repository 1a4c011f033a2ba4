//! Answers what may cost too much by a child with limits: this program again, as `recovery judge`.
//!
//! The question and what its answer means are in [`crate::check::question`]; the limits are set by the child
//! itself, before it reads anything.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::check::question::{Answer, Question};
use crate::check::{Health, Look, Unknown};
use crate::process::{self, CHECK_MARK, End, Interrupt, Leftovers, Limits};

/// The child's one argument.
pub const ARGUMENT: &str = "judge";
/// Children at once.
const SIDE_BY_SIDE: usize = 2;
/// For children that get no processor time: their own limit counts only what they use. All of one call together
/// have so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Starts the children.
#[derive(Debug, Clone)]
pub struct Limited {
    exe: PathBuf,
    interrupt: Interrupt,
}

impl Limited {
    /// `exe` is this program.
    #[must_use]
    pub fn new(exe: PathBuf, interrupt: Interrupt) -> Self {
        Self { exe, interrupt }
    }

    /// Answers what these looks left open; nothing is started where nothing is.
    pub fn settle(&self, looks: &mut [Look]) {
        let mut open: Vec<&mut Look> = looks
            .iter_mut()
            .filter(|look| matches!(look.health, Health::Unknown(Unknown::Unjudged(_))))
            .collect();
        let end = Instant::now() + DEADLINE;
        for some in open.chunks_mut(SIDE_BY_SIDE) {
            std::thread::scope(|scope| {
                for look in some {
                    // Where there is no thread the look stays unknown.
                    let _ = std::thread::Builder::new().spawn_scoped(scope, || self.settle_one(look, end));
                }
            });
        }
    }

    fn settle_one(&self, look: &mut Look, end: Instant) {
        if let Health::Unknown(Unknown::Unjudged(question)) = &look.health {
            let answer = self.ask(question, end.saturating_duration_since(Instant::now()));
            look.health = answer.map_or_else(Health::Unknown, |answer| question.health(answer));
        }
    }

    fn ask(&self, question: &Question, within: Duration) -> Result<Answer, Unknown> {
        if within.is_zero() {
            return Err(Unknown::TooCostly);
        }
        let mut command = process::in_own_group(&self.exe);
        command.arg(ARGUMENT).env_clear().env(CHECK_MARK, ARGUMENT).current_dir("/");
        let limits =
            Limits { deadline: within, stdout_cap: 64 * 1024, stderr_cap: 1024, leftovers: Leftovers::Spare };
        let done = process::run(command, &question.to_bytes(), &limits, &self.interrupt)
            .map_err(|error| Unknown::Other(error.to_string()))?;
        match done.end {
            End::Exited(0) => serde_json::from_slice(&done.stdout.bytes)
                .map_err(|_| Unknown::Other("the judge of answers spoke nonsense".to_owned())),
            // Ended by the system: its time or its memory was over.
            End::Exited(129..) | End::TimedOut => Err(Unknown::TooCostly),
            End::Exited(code) => Err(Unknown::Other(format!("the judge of answers ended with exit {code}"))),
            End::Interrupted => Err(Unknown::Interrupted),
        }
    }
}
