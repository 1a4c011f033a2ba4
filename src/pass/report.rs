//! The end of a pass: what was found is recorded, what must be told is put into the outbox, then sent.
//!
//! Alerts are in the outbox before the state says so. What they say is `alert`'s, when they are due is
//! `alert::incident`'s.

use super::look::Sights;
use super::{Outcome, Pass, ahead, record, story};
use crate::alert::incident::{self, Found, Policy};
use crate::alert::{self, Alert, Report};
use crate::check::{Health, Unknown};
use crate::config::model::{Service, ServiceName};
use crate::decide::{Decision, NoWay};
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::history;
use crate::outbox::{self, BUDGET, Outbox};
use crate::state::{AlertKind, ServiceState, UNKNOWN_LOOKS_TOLD};
use crate::store::{Lock, StateGuard, Subject};

use std::time::Duration;

/// A state that is held until the alerts that it speaks of are in the outbox.
struct Pending {
    /// `None` where the state cannot be recorded.
    guard: Option<StateGuard>,
    state: ServiceState,
    report: Report,
}

/// How long a state is waited for that another pass holds: it is held only while something is restarted,
/// and then that pass records what it found.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records and tells how the pass ended.
pub(super) fn report(pass: &Pass<'_>, sights: &Sights, outcomes: &[(ServiceName, Outcome)]) {
    let outbox = Outbox::new(pass.world.store.dir());
    let mut pending: Vec<Pending> = Vec::new();
    for (service, (_, outcome)) in pass.scope.services.iter().zip(outcomes) {
        let teller = Teller { pass, service, sights, outcome, outcomes, outbox: &outbox };
        pending.extend(teller.settle());
    }
    pending.extend(engine(pass, sights));
    let budget = tell(pass, &outbox, pending);
    record_looks(pass, sights);
    send(pass, &outbox, budget);
}

/// The state of a subject, as it is at the end of the pass.
enum Memory {
    Held(StateGuard, Box<ServiceState>),
    /// Another pass is at it, and records what it found.
    Elsewhere,
    /// It can be neither read nor written.
    Lost,
}

fn memory(pass: &Pass<'_>, subject: Subject, service: Option<&ServiceName>) -> Memory {
    let loaded = match pass.world.store.lock_within(subject, PATIENCE, pass.world.clock) {
        Ok(Lock::Held(guard)) => guard.load().map(|state| Memory::Held(guard, Box::new(state))),
        Ok(Lock::Busy(_)) => Ok(Memory::Elsewhere),
        Err(error) => Err(error),
    };
    loaded.unwrap_or_else(|error| {
        pass.io_trouble(service, &error);
        Memory::Lost
    })
}

/// Records and tells of one service.
struct Teller<'t, 'p> {
    pass: &'t Pass<'p>,
    service: &'t Service,
    sights: &'t Sights,
    outcome: &'t Outcome,
    outcomes: &'t [(ServiceName, Outcome)],
    outbox: &'t Outbox,
}

impl Teller<'_, '_> {
    /// Records what was found; `Some` where something must be told first.
    fn settle(&self) -> Option<Pending> {
        let store = self.pass.world.store;
        let name = &self.service.name;
        if matches!(self.outcome, Outcome::NotDue | Outcome::OtherPass(_)) {
            return None;
        }
        // Most services are well and were well: that is seen without a lock.
        let Ok(before) = store.load(name) else {
            // That was said when it was read first.
            return self.without_memory(ServiceState::new(name.as_str()));
        };
        let mut after = before.clone();
        if self.advance(&mut after).is_none() && after == before {
            return None;
        }
        let (guard, mut state) = match memory(self.pass, name.into(), Some(name)) {
            Memory::Held(guard, state) => (guard, *state),
            Memory::Elsewhere => return None,
            Memory::Lost => return self.without_memory(before),
        };
        match self.advance(&mut state) {
            Some(report) => Some(Pending { guard: Some(guard), state, report }),
            None => {
                save(self.pass, Some(name), &guard, &state);
                None
            }
        }
    }

    /// Trouble is told also where nobody can remember that it was: rather again at the next pass than never.
    fn without_memory(&self, mut state: ServiceState) -> Option<Pending> {
        state.unknown_looks = UNKNOWN_LOOKS_TOLD;
        let report = self.advance(&mut state)?;
        let trouble = report.story.kind != AlertKind::ServiceRecovered;
        trouble.then_some(Pending { guard: None, state, report })
    }

    /// Takes the outcome into the state; what must be told because of it.
    fn advance(&self, state: &mut ServiceState) -> Option<Report> {
        let sight = &self.sights[&self.service.name];
        // Another pass saw something later than we did.
        if state.since.is_some_and(|since| since > sight.at && since <= self.pass.now())
            && !acted(self.outcome)
        {
            return None;
        }
        record::outcome(state, sight, self.outcome);
        // Also where nothing is tried: an attempt of the future would else hold its place until then.
        history::prune(&mut state.attempts, self.pass.now(), self.service.failure_window);
        let found = found(self.outcome, state);
        let owed = match found {
            Found::Healthy => self.outbox.owed(self.service.name.as_str()).unwrap_or_default(),
            _ => Vec::new(),
        };
        let policy =
            Policy { cooldown: self.pass.config.notifications.cooldown, window: self.service.failure_window };
        let due = incident::advance(state, found, !owed.is_empty(), policy, self.pass.now())?;
        let mut report = story::of_service(self.pass, self.service, sight, self.outcome, self.outcomes, &due);
        // A recovery goes to whom the failure was told, wherever the service's alerts go today.
        report.to.extend(owed);
        Some(report)
    }
}

/// Whether the state was written while the service was acted on.
fn acted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Recovered | Outcome::Failed(_) | Outcome::Degraded(_))
}

/// What an outcome means to those who must know.
fn found(outcome: &Outcome, state: &ServiceState) -> Found {
    use crate::state::AlertKind::{ServiceCrashLoop, ServiceDegraded, ServiceDown, ServiceRecoveryFailed};
    match outcome {
        Outcome::Healthy | Outcome::Healed | Outcome::Recovered => Found::Healthy,
        Outcome::Failed(_) => Found::Failed(ServiceRecoveryFailed),
        Outcome::Degraded(_) | Outcome::Left(Decision::Degraded(_)) => Found::Failed(ServiceDegraded),
        Outcome::Unknown(why) | Outcome::Left(Decision::CannotTell(why)) => {
            if why.is_engine() || *why == Unknown::Interrupted { Found::LeftAlone } else { Found::Unknown }
        }
        Outcome::NotRecorded => Found::Failed(ServiceDown),
        Outcome::Left(decision) => match decision {
            Decision::GiveUp { .. } => Found::Failed(ServiceCrashLoop),
            // These two are often over by the next pass.
            Decision::NoWay(NoWay::EngineRestartsIt) | Decision::OutOfTime
                if state.consecutive_failures < 2 =>
            {
                Found::LeftAlone
            }
            Decision::NoWay(_) | Decision::OutOfTime | Decision::Unsafe(_) => Found::Failed(ServiceDown),
            _ => Found::LeftAlone,
        },
        Outcome::NotDue
        | Outcome::TakenDown
        | Outcome::OtherPass(_)
        | Outcome::Would(_)
        | Outcome::Interrupted => Found::LeftAlone,
    }
}

/// The engine is one problem for the whole machine.
fn engine(pass: &Pass<'_>, sights: &Sights) -> Option<Pending> {
    if !pass.scope.services.iter().any(|service| service.container.is_some()) {
        return None;
    }
    let by_looks = sights.values().find_map(|sight| match &sight.health {
        Some(Health::Unknown(why)) if why.is_engine() => Some(why),
        _ => None,
    });
    let trouble = pass.listing.as_ref().err().filter(|why| why.is_engine()).or(by_looks);
    let policy = Policy { cooldown: pass.config.notifications.cooldown, window: Duration::ZERO };
    let advance =
        |state: &mut ServiceState| incident::advance_engine(state, trouble.is_none(), policy, pass.now());
    let before = remembered_engine(pass);
    let mut after = before.clone();
    if advance(&mut after).is_none() && after == before {
        return None;
    }
    let (guard, mut state) = match memory(pass, Subject::Engine, None) {
        Memory::Held(guard, state) => (Some(guard), *state),
        Memory::Elsewhere => return None,
        Memory::Lost => (None, ServiceState { unknown_looks: UNKNOWN_LOOKS_TOLD, ..before }),
    };
    match (advance(&mut state), trouble) {
        (Some(due), Some(why)) => Some(Pending { report: story::of_engine(pass, why, &due), guard, state }),
        _ => {
            if let Some(guard) = guard {
                save(pass, None, &guard, &state);
            }
            None
        }
    }
}

/// What is remembered of the engine; a damaged file is set aside.
fn remembered_engine(pass: &Pass<'_>) -> ServiceState {
    let store = pass.world.store;
    store.load(Subject::Engine).unwrap_or_else(|error| {
        pass.io_trouble(None, &error);
        if error.is_damaged()
            && let Err(error) = store.set_aside_damaged(Subject::Engine, pass.now())
        {
            pass.io_trouble(None, &error);
        }
        ServiceState::new(Subject::Engine.key())
    })
}

/// Puts the alerts into the outbox, then saves the states that speak of them; how much time is left to send.
fn tell(pass: &Pass<'_>, outbox: &Outbox, pending: Vec<Pending>) -> Duration {
    let reports = alert::group(pending.iter().map(|pending| pending.report.clone()).collect());
    let mut unkept = Vec::new();
    for alert in reports.iter().flat_map(Report::alerts) {
        match outbox.put(&alert) {
            Ok(()) => pass.note(None, Level::Info, &format!("alert {}: {}", alert.kind, alert.title)),
            Err(error) => {
                pass.io_trouble(None, &error);
                unkept.push(alert);
            }
        }
    }
    for told in reports.iter().filter(|report| report.to.is_empty()) {
        pass.note(
            None,
            Level::Warning,
            &format!("alert {} goes to nobody: {}", told.story.kind, story::title(told)),
        );
    }
    let began = pass.world.clock.monotonic();
    let untold = if unkept.is_empty() { Vec::new() } else { tell_at_once(pass, outbox, &unkept) };
    let spent = pass.world.clock.monotonic().saturating_sub(began);
    for Pending { guard, mut state, report } in pending {
        let Some(guard) = guard else { continue };
        let is_of_it = |alert: &Alert| alert.incidents.iter().any(|of| report.incidents.contains(of));
        if untold.iter().any(is_of_it) {
            // Nobody heard of it and nothing keeps it, so it is due again at the next pass.
            state.incident = guard.load().ok().and_then(|before| before.incident);
        }
        save(pass, None, &guard, &state);
    }
    BUDGET.saturating_sub(spent)
}

/// Sends what cannot be kept; what could not be sent either.
fn tell_at_once(pass: &Pass<'_>, outbox: &Outbox, alerts: &[Alert]) -> Vec<Alert> {
    pass.note(None, Level::Error, "alerts that cannot be kept are sent at once");
    let mut report = outbox::send_now(alerts, pass.world.notifier, pass.world.clock, BUDGET);
    let owe = |alert| outbox.owe(alert, pass.now()).err();
    report.errors.extend(report.delivered.iter().filter_map(owe));
    sent(pass, &report);
    report.unsent
}

fn save(pass: &Pass<'_>, service: Option<&ServiceName>, guard: &StateGuard, state: &ServiceState) {
    if let Err(error) = guard.save(state) {
        pass.io_trouble(service, &error);
    }
}

fn record_looks(pass: &Pass<'_>, sights: &Sights) {
    let looked: Vec<_> = pass
        .scope
        .services
        .iter()
        .filter(|service| sights[&service.name].health.is_some())
        .map(|service| (service.name.clone(), sights[&service.name].at))
        .collect();
    let known: Vec<_> = pass.config.services.iter().map(|service| service.name.clone()).collect();
    let containers = ahead::seen(pass, sights);
    if let Err(error) = pass.world.store.record_looks(&looked, &known, containers, pass.world.clock) {
        pass.io_trouble(None, &error);
    }
}

/// Sends what waits, also from earlier passes.
fn send(pass: &Pass<'_>, outbox: &Outbox, budget: Duration) {
    if pass.interrupted() {
        return;
    }
    let state_of = |key: &str| pass.world.store.load(Subject::from_key(key)?).ok();
    let judge = |alert: &Alert| incident::judge(alert, &state_of);
    match outbox.deliver(pass.world.notifier, pass.world.clock, budget, &judge) {
        Ok(report) => sent(pass, &report),
        Err(error) => pass.io_trouble(None, &error),
    }
}

/// Says what became of the alerts.
fn sent(pass: &Pass<'_>, report: &outbox::Report) {
    for alert in &report.delivered {
        pass.note(None, Level::Info, &format!("delivered {}: {}", alert.kind, alert.title));
    }
    for (alert, why) in &report.rejected {
        let text =
            format!("alert {} was refused for good and is kept in outbox/rejected: {why}", alert.title);
        pass.note(None, Level::Error, &text);
    }
    for path in &report.damaged {
        pass.io_trouble(None, &format!("a damaged alert was set aside as {}", path.display()));
    }
    for error in &report.errors {
        pass.io_trouble(None, error);
    }
    if report.waiting > 0 {
        let why = report.stopped.as_deref().unwrap_or("the time for sending is over");
        let wait = if report.waiting == 1 { "alert waits" } else { "alerts wait" };
        let text = format!("{} {wait} for the next pass ({why})", report.waiting);
        pass.note(None, Level::Warning, &text);
        pass.trouble(ExitCode::TryAgain);
    }
}
