//! What is tried next against a failure: the first step of the chain for its severity that was not made yet
//! and that can be made.

use super::{Action, Asked, Considered, Decision, Facts, NoWay, Situation, Verdict};
use crate::check::Health;
use crate::check::severity::{Life, Rating, Severity};
use crate::config::model::{ContainerStart, RestartMethod, Service, Strategy};
use crate::engine::ContainerEnd;

/// How bad the failure is, with what its repetition makes of it, and no better than in this pass before; `None`
/// where the look found none.
#[must_use]
pub fn severity(service: &Service, facts: &Facts<'_>) -> Option<Severity> {
    let rating = rating(service, facts)?;
    Some(facts.worst.map_or(rating.severity, |worst| rating.severity.max(worst)))
}

/// The chain for the failure that was seen; `None` where the look found none.
#[must_use]
pub fn strategies<'a>(service: &'a Service, facts: &Facts<'_>) -> Option<&'a [Strategy]> {
    let rating = rating(service, facts)?;
    Some(service.policy.strategies.of(match rating.life {
        // What was tried before against something worse makes no living service a dead one.
        Life::Alive => rating,
        Life::Doubtful => Rating { severity: severity(service, facts)?, ..rating },
    }))
}

/// The failure by itself, with what its repetition makes of it: what answers does not get worse by it.
fn rating(service: &Service, facts: &Facts<'_>) -> Option<Rating> {
    let Health::Unhealthy(failure) = facts.health else { return None };
    let rating = service.policy.severity.of(failure);
    Some(match rating.life {
        Life::Doubtful if is_escalated(service, facts) => {
            Rating { severity: rating.severity.escalated(), ..rating }
        }
        Life::Doubtful | Life::Alive => rating,
    })
}

fn is_alive(service: &Service, facts: &Facts<'_>) -> bool {
    service.policy.severity.life(facts.health) == Life::Alive
}

fn is_escalated(service: &Service, facts: &Facts<'_>) -> bool {
    facts.escalating > service.policy.escalate_after
}

/// The next step, or why there is none.
pub(super) fn next(service: &Service, facts: &Facts<'_>, considered: &mut Vec<Considered>) -> Decision {
    let steps = left(strategies(service, facts).unwrap_or_default(), facts.made);
    let answers: Vec<Result<Decision, Decision>> =
        steps.iter().map(|&step| make(step, service, facts)).collect();
    // To look again is worth nothing where it is known that nothing can follow.
    let vain = |at: usize| {
        let after = &answers[at + 1..];
        steps[at] == Strategy::Retry && !after.is_empty() && !after.iter().any(Result::is_ok)
    };
    let first = (0..steps.len()).find(|&at| answers[at].is_ok() && !vain(at));
    for (at, (&step, answer)) in steps.iter().zip(&answers).enumerate() {
        let verdict = match answer {
            Ok(_) if Some(at) == first => Verdict::Matches,
            Ok(_) if vain(at) => Verdict::Passes("nothing that comes after it can be made".into()),
            Ok(_) => Verdict::Later,
            Err(why) => Verdict::Passes(why_not(why).into()),
        };
        considered.push(Considered { what: Asked::Step(step), verdict });
    }
    if let Some(decision) = first.and_then(|at| answers[at].as_ref().ok()) {
        return decision.clone();
    }
    considered.push(Considered { what: Asked::End, verdict: Verdict::Matches });
    nothing(service, facts, &answers)
}

/// What stays of a chain after these steps were made, whichever chain they were made of.
fn left(chain: &[Strategy], made: &[Strategy]) -> Vec<Strategy> {
    let mut made = made.to_vec();
    let is_left = |step: &&Strategy| match made.iter().position(|m| m == *step) {
        Some(at) => {
            made.remove(at);
            false
        }
        None => true,
    };
    chain.iter().filter(is_left).copied().collect()
}

/// Where no step is left that can be made: what the first one failed for says most.
fn nothing(service: &Service, facts: &Facts<'_>, answers: &[Result<Decision, Decision>]) -> Decision {
    if !facts.made.is_empty() {
        return Decision::Exhausted;
    }
    if is_alive(service, facts) && answers.is_empty() {
        return Decision::NoWay(NoWay::Alive);
    }
    let used_up = service.max_failures > 0 && facts.attempts >= service.max_failures;
    if is_escalated(service, facts) && used_up {
        return give_up(service, facts);
    }
    let reasons = || answers.iter().filter_map(|answer| answer.as_ref().err());
    let says_much =
        |why: &&Decision| !matches!(why, Decision::OutOfTime | Decision::NoWay(NoWay::NoFallback));
    let time_is_over = reasons().find(|why| **why == Decision::OutOfTime);
    let severity = severity(service, facts).unwrap_or(Severity::Recoverable);
    let nothing_there = Decision::NoWay(NoWay::NoStrategy(severity));
    let used_up = reasons().find(|why| matches!(why, Decision::GiveUp { .. }));
    used_up.or_else(|| reasons().find(says_much)).or(time_is_over).cloned().unwrap_or(nothing_there)
}

/// That step as a decision, or the decision that stands in its way.
fn make(step: Strategy, service: &Service, facts: &Facts<'_>) -> Result<Decision, Decision> {
    let decision = match step {
        Strategy::Retry => Decision::Retry,
        Strategy::Restart | Strategy::RestartContainer => restart(step, service, facts)?,
        Strategy::Fallback => fallback(service, facts).map_err(Decision::NoWay)?,
    };
    if facts.time_left { Ok(decision) } else { Err(Decision::OutOfTime) }
}

fn restart(step: Strategy, service: &Service, facts: &Facts<'_>) -> Result<Decision, Decision> {
    let action = match step {
        Strategy::RestartContainer => container(service, facts),
        _ => own_restart(service, facts),
    };
    let action = action.map_err(Decision::NoWay)?;
    if service.max_failures == 0 {
        return Err(Decision::NoWay(NoWay::NeverAllowed));
    }
    if facts.attempts >= service.max_failures {
        return Err(give_up(service, facts));
    }
    if facts.container_spent && action != Action::Command {
        return Err(Decision::NoWay(NoWay::ContainerSpent));
    }
    Ok(Decision::Restart { attempt: facts.attempts + 1, action, step })
}

/// How it is restarted after a dependency, or why not.
pub(super) fn follow(service: &Service, facts: &Facts<'_>, network: bool) -> Result<Action, String> {
    if matches!(facts.container, Situation::NotRunning { .. }) {
        return Err("its container is not running, and its strategies say what becomes of it".to_owned());
    }
    if service.max_failures == 0 {
        return Err(NoWay::NeverAllowed.to_string());
    }
    if facts.follows >= service.max_failures {
        return Err(format!(
            "it was restarted after its dependencies {} times within {} s already",
            facts.follows,
            service.failure_window.as_secs()
        ));
    }
    if !facts.time_left {
        return Err(why_not(&Decision::OutOfTime));
    }
    let own = own_restart(service, facts);
    let action = if network { own.and_then(|_| container(service, facts)) } else { own };
    action.map_err(|why| why.to_string())
}

fn give_up(service: &Service, facts: &Facts<'_>) -> Decision {
    Decision::GiveUp { attempts: facts.attempts, window: service.failure_window, until: facts.free_at }
}

fn own_restart(service: &Service, facts: &Facts<'_>) -> Result<Action, NoWay> {
    match (service.restart, facts.container) {
        (RestartMethod::Never, _) => Err(NoWay::NotConfigured),
        (RestartMethod::Command, Situation::Running | Situation::JustStarted) => Ok(Action::Command),
        (RestartMethod::Command | RestartMethod::Container, _) => container(service, facts),
    }
}

/// Whether and how the container may be started or restarted: nothing else leads there.
fn container(service: &Service, facts: &Facts<'_>) -> Result<Action, NoWay> {
    if service.container.is_none() {
        return Err(NoWay::NoContainer);
    }
    if let Some(keeper) = facts.kept_by {
        return Err(NoWay::Kept(keeper.clone()));
    }
    match facts.container {
        Situation::NotRunning { end, engine_restarts_it, .. } => {
            start(service.container_start, end, engine_restarts_it)
        }
        Situation::Running | Situation::JustStarted | Situation::BeingStopped => Ok(Action::RestartContainer),
    }
}

fn start(policy: ContainerStart, end: ContainerEnd, engine_restarts_it: bool) -> Result<Action, NoWay> {
    match (policy, end) {
        (ContainerStart::No, _) => Err(NoWay::StartForbidden),
        (ContainerStart::Always, _) => Ok(Action::StartContainer),
        // Its start failed, and with it the engine's own try.
        (ContainerStart::OnFailure, ContainerEnd::NotStarted) => Ok(Action::StartContainer),
        (ContainerStart::OnFailure, ContainerEnd::Unclear) => Err(NoWay::NobodyKnows),
        (ContainerStart::OnFailure, _) if engine_restarts_it => Err(NoWay::EngineRestartsIt),
        (ContainerStart::OnFailure, ContainerEnd::Died) => Ok(Action::StartContainer),
        // Stopped by someone was left alone before; what remains ended by itself with 0.
        (ContainerStart::OnFailure, _) => Err(NoWay::Finished),
    }
}

fn fallback(service: &Service, facts: &Facts<'_>) -> Result<Decision, NoWay> {
    if service.policy.fallback_cmd.is_none() {
        return Err(NoWay::NoFallback);
    }
    if matches!(facts.container, Situation::NotRunning { .. }) {
        return Err(NoWay::FallbackNeedsContainer);
    }
    if facts.fallback_spent {
        return Err(NoWay::FallbackSpent);
    }
    Ok(Decision::Fallback)
}

/// In words, why a step cannot be made.
fn why_not(decision: &Decision) -> String {
    match decision {
        Decision::NoWay(why) => why.to_string(),
        Decision::GiveUp { attempts, window, .. } => {
            format!("its {attempts} attempts within {} s are used up", window.as_secs())
        }
        Decision::OutOfTime => "the pass is over its time limit".to_owned(),
        _ => "all of its steps were made in this pass".to_owned(),
    }
}
