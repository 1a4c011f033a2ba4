//! What a pass would do about one service, with everything it would consider on the way.
//!
//! It is a dry run whose last decision is made once more with its reasons, from the same facts.

use super::facts::{self, Progress};
use super::outcome::Outcome;
use super::page::{self, Considerations};
use super::{Pass, Scope, World, act, look};
use crate::config::model::{Config, Service};
use crate::decide::{self, Decision};
use crate::exit_code::ExitCode;

/// The page that explains `service`, and the exit code of a dry run over `scope`, which is what it takes to
/// decide about that service: itself and what it depends on.
#[must_use]
pub fn explain(
    world: World<'_>,
    config: &Config,
    scope: &Scope<'_>,
    service: &Service,
) -> (String, ExitCode) {
    let pass = Pass::begin(world, config, scope);
    if !service.enabled {
        let state = look::remembered(&pass, service);
        return (page::disabled(service, state.as_ref(), pass.now()), pass.exit(&[]));
    }
    let mut sights = look::look_at_all(&pass);
    act::handle_all(&pass, &mut sights);
    let sight = &sights[&service.name];
    let upstream = facts::upstream(&pass, service);
    let progress = Progress::default();
    let facts = facts::facts(&pass, service, sight, upstream, &progress);
    let (decision, considered) = decide::consider(service, &facts);
    // The whole page is about one decision, also where time went on since the other.
    if matches!(pass.board.wait(&service.name), Some(Outcome::Would(_))) {
        pass.board.post(&service.name, Outcome::Would(decision.clone()));
    }
    let summary = pass.summary(&sights, pass.board.all(&scope.services));
    let considerations = Considerations {
        facts: &facts,
        decision: &decision,
        considered: &considered,
        due_at: look::due_at(&pass, service, sight).filter(|_| decision == Decision::Healthy),
    };
    (page::page(config, service, sight, &summary, &considerations), summary.exit)
}
