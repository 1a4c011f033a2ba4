//! The end of a pass: what was found is recorded, what must be told is put into the outbox, then sent.
//!
//! Alerts and events are in the outbox before the state says so. What they say is `alert`'s, when they are due
//! is `alert::incident`'s and `alert::component`'s.

use super::look::Sights;
use super::{Outcome, Pass, World, ahead, changes, follow, record, story};
use crate::alert::component::{Audience, LastWord};
use crate::alert::incident::{self, Found, Policy};
use crate::alert::{self, Alert, Delivery, Destination, Report, component};
use crate::check::{Health, Unknown};
use crate::clock::Timestamp;
use crate::config::model::{Service, ServiceName};
use crate::decide::{Decision, NoWay};
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::history;
use crate::journal::{self, Format};
use crate::outbox::{self, BUDGET, LastWords, Outbox, Sending};
use crate::state::{AlertKind, Incident, ServiceState, UNKNOWN_LOOKS_TOLD};
use crate::store::{Lock, Recalled, StateGuard, Subject};

use std::time::Duration;

/// A state that is held until the alerts that it speaks of are in the outbox.
struct Pending {
    /// `None` where the state cannot be recorded.
    guard: Option<StateGuard>,
    state: ServiceState,
    told: Told,
}

/// What must be told of one subject.
#[derive(Default)]
struct Told {
    /// To people.
    report: Option<Report>,
    /// To programs, in order.
    events: Vec<changes::Told>,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.report.is_none() && self.events.is_empty()
    }
}

/// How long a state is waited for that another pass holds: it is held only while something is restarted,
/// and then that pass records what it found.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records and tells how the pass ended.
pub(super) fn report(pass: &Pass<'_>, sights: &Sights, outcomes: &[(ServiceName, Outcome)]) {
    let outbox = Outbox::new(pass.world.store.dir());
    let mut pending: Vec<Pending> = Vec::new();
    let engine_lost = engine_trouble(pass, sights).is_some()
        && remembered_engine(pass).state.unknown_looks + 1 >= UNKNOWN_LOOKS_TOLD;
    let words = last_words(pass, &outbox);
    for (service, (_, outcome)) in pass.scope.services.iter().zip(outcomes) {
        let outbox = &outbox;
        let teller = Teller { pass, service, sights, outcome, outcomes, outbox, words: &words, engine_lost };
        pending.extend(teller.settle());
    }
    pending.extend(engine(pass, sights));
    let budget = tell(pass, &outbox, pending);
    record_looks(pass, sights);
    send(pass, &outbox, budget);
}

/// What the webhook was told last; `None` where there is none, or nobody can say.
fn last_words<'o>(pass: &Pass<'_>, outbox: &'o Outbox) -> Option<LastWords<'o>> {
    pass.config.notifications.webhook.as_ref().and_then(|_| outbox.last_words().ok())
}

/// The state of a subject, as it is at the end of the pass.
enum Memory {
    /// And when it was read.
    Held(StateGuard, Box<ServiceState>, Timestamp),
    /// Another pass is at it, and records what it found.
    Elsewhere,
    /// It can be neither read nor written.
    Lost,
}

fn memory(pass: &Pass<'_>, subject: Subject, service: Option<&ServiceName>) -> Memory {
    let loaded = match pass.world.store.lock_within(subject, PATIENCE, pass.world.clock) {
        Ok(Lock::Held(guard)) => {
            let moment = pass.moment();
            guard.recall(&moment).map(|state| Memory::Held(guard, Box::new(state), moment.wall))
        }
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
    /// As they were when the first service was settled.
    words: &'t Option<LastWords<'t>>,
    engine_lost: bool,
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
        let moment = self.pass.moment();
        let Ok(before) = store.recall(name, &moment) else {
            // That was said when it was read first.
            return self.without_memory(ServiceState::new(name.as_str()));
        };
        let mut after = before.state.clone();
        if self.advance(&mut after, self.words, moment.wall).is_empty() && !before.differs(&after) {
            return None;
        }
        let (guard, mut state, now) = match memory(self.pass, name.into(), Some(name)) {
            Memory::Held(guard, state, now) => (guard, *state, now),
            Memory::Elsewhere => return None,
            Memory::Lost => return self.without_memory(before.state),
        };
        // Another pass may have told of it meanwhile; while we hold the lock none does.
        let told = self.advance(&mut state, &last_words(self.pass, self.outbox), now);
        if told.is_empty() {
            save(self.pass, Some(name), &guard, &state);
            return None;
        }
        Some(Pending { guard: Some(guard), state, told })
    }

    /// Trouble is told also where nobody can remember that it was: rather again at the next pass than never.
    fn without_memory(&self, mut state: ServiceState) -> Option<Pending> {
        state.unknown_looks = UNKNOWN_LOOKS_TOLD;
        let mut told = self.advance(&mut state, &last_words(self.pass, self.outbox), self.pass.now());
        told.report = told.report.filter(|report| report.story.kind != AlertKind::ServiceRecovered);
        // Of the webhook it is known what it was told last.
        told.events.retain(|told| told.posted || told.event.success() != Some(true));
        (!told.is_empty()).then_some(Pending { guard: None, state, told })
    }

    /// Takes the outcome into the state, which was read `now`; what must be told because of it.
    fn advance(&self, state: &mut ServiceState, words: &Option<LastWords<'_>>, now: Timestamp) -> Told {
        let sight = &self.sights[&self.service.name];
        // Another pass saw something later than we did; a time of the future is read as now.
        if state.since.is_some_and(|since| since > sight.at && since < now) && !self.outcome.acted() {
            return Told::default();
        }
        record::outcome(state, sight, self.outcome);
        follow::begin(self.pass, self.service, state);
        history::prune(&mut state.attempts, now, self.service.failure_window);
        let found = found(self.outcome, state);
        let owed = match found {
            Found::Healthy => self.outbox.owed(self.service.name.as_str()).unwrap_or_default(),
            _ => Vec::new(),
        };
        let policy =
            Policy { cooldown: self.pass.config.notifications.cooldown, window: self.service.failure_window };
        let glad = self.glad(state, found, &owed);
        let seen = changes::Seen {
            service: self.service,
            sight,
            outcome: self.outcome,
            found,
            engine_lost: self.engine_lost,
            audience: self.audience(state, words.as_ref()),
        };
        let events = changes::follow(self.pass, state, &seen);
        let mut due = incident::advance(state, found, !owed.is_empty(), policy, now);
        if due.is_none() && found == Found::Healthy && self.service.notify_on_recovery {
            due = incident::unalerted(state, glad, policy, now);
        }
        let report = due.map(|due| {
            let mut report =
                story::of_service(self.pass, self.service, sight, self.outcome, self.outcomes, &due);
            // A recovery goes to whom the failure was told, wherever the service's alerts go today.
            report.to.extend(owed);
            report
        });
        Told { report, events }
    }

    /// Who hears of the service's changes.
    fn audience(&self, state: &ServiceState, words: Option<&LastWords<'_>>) -> Audience {
        if !changes::posts(self.pass, self.service) {
            return Audience::Log;
        }
        // Where the outbox cannot be read, the state knows what it was told to put there.
        let remembered = || {
            let standing = state.standing.as_ref().filter(|standing| standing.posted)?;
            Some(LastWord::from(standing))
        };
        let known = words.and_then(|words| words.of(self.service.name.as_str()).ok());
        Audience::Webhook(known.unwrap_or_else(remembered))
    }

    /// Since when a service was down that a restart helped before anybody had to be told.
    fn glad(&self, state: &ServiceState, found: Found, owed: &[Destination]) -> Option<Timestamp> {
        let told = |incident: &Incident| incident.told.keys().any(|kind| kind.is_failure());
        if found != Found::Healthy || !owed.is_empty() || state.incident.as_ref().is_some_and(told) {
            return None;
        }
        let standing = state.standing.as_ref();
        let attempt = state.attempts.last()?.at;
        component::restarted_since(state, *self.outcome == Outcome::Recovered)
            .then(|| standing.and_then(|standing| standing.down_since).unwrap_or(attempt))
    }
}

/// What an outcome means to those who must know.
fn found(outcome: &Outcome, state: &ServiceState) -> Found {
    use crate::state::AlertKind::{ServiceCrashLoop, ServiceDegraded, ServiceDown, ServiceRecoveryFailed};
    match outcome {
        Outcome::Healthy | Outcome::Healed | Outcome::Recovered | Outcome::Followed(_) => Found::Healthy,
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
            // It may be a person's stop, who needs no reminder.
            Decision::NoWay(NoWay::NobodyKnows) if was_told(state, ServiceDown) => Found::LeftAlone,
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

fn was_told(state: &ServiceState, kind: AlertKind) -> bool {
    state.incident.as_ref().is_some_and(|incident| incident.told.contains_key(&kind))
}

/// The engine is one problem for the whole machine.
fn engine(pass: &Pass<'_>, sights: &Sights) -> Option<Pending> {
    if !pass.scope.services.iter().any(|service| service.container.is_some()) {
        return None;
    }
    let trouble = engine_trouble(pass, sights);
    let policy = Policy { cooldown: pass.config.notifications.cooldown, window: Duration::ZERO };
    let advance =
        |state: &mut ServiceState| incident::advance_engine(state, trouble.is_none(), policy, pass.now());
    let before = remembered_engine(pass);
    let mut after = before.state.clone();
    if advance(&mut after).is_none() && !before.differs(&after) {
        return None;
    }
    let (guard, mut state) = match memory(pass, Subject::Engine, None) {
        Memory::Held(guard, state, _) => (Some(guard), *state),
        Memory::Elsewhere => return None,
        Memory::Lost => (None, ServiceState { unknown_looks: UNKNOWN_LOOKS_TOLD, ..before.state }),
    };
    match (advance(&mut state), trouble) {
        (Some(due), Some(why)) => {
            let report = Some(story::of_engine(pass, why, &due));
            Some(Pending { told: Told { report, events: Vec::new() }, guard, state })
        }
        _ => {
            if let Some(guard) = guard {
                save(pass, None, &guard, &state);
            }
            None
        }
    }
}

/// Why the engine cannot be asked, where it cannot.
fn engine_trouble<'s>(pass: &'s Pass<'_>, sights: &'s Sights) -> Option<&'s Unknown> {
    let by_looks = sights.values().find_map(|sight| match &sight.health {
        Some(Health::Unknown(why)) if why.is_engine() => Some(why),
        _ => None,
    });
    pass.listing.as_ref().err().filter(|why| why.is_engine()).or(by_looks)
}

/// What is remembered of the engine; a damaged file is set aside.
fn remembered_engine(pass: &Pass<'_>) -> Recalled {
    let store = pass.world.store;
    store.recall(Subject::Engine, &pass.moment()).unwrap_or_else(|error| {
        pass.io_trouble(None, &error);
        if error.is_damaged()
            && let Err(error) = store.set_aside_damaged(Subject::Engine, pass.now())
        {
            pass.io_trouble(None, &error);
        }
        Recalled::new(&Subject::Engine)
    })
}

/// Puts alerts and events into the outbox, then saves the states that speak of them; how much time is left to
/// send.
fn tell(pass: &Pass<'_>, outbox: &Outbox, pending: Vec<Pending>) -> Duration {
    let reports = alert::group(pending.iter().filter_map(|pending| pending.told.report.clone()).collect());
    let mut unkept = Vec::new();
    for alert in reports.iter().flat_map(Report::alerts) {
        if put(pass, outbox, &alert, &mut unkept) {
            pass.note(None, Level::Info, &format!("alert {}", alert.name()));
        }
    }
    for told in reports.iter().filter(|report| report.to.is_empty() && !is_posted(pass, report)) {
        pass.note(
            None,
            Level::Warning,
            &format!("alert {} goes to nobody: {}", told.story.kind, story::title(told)),
        );
    }
    for changes::Told { event, posted } in pending.iter().flat_map(|pending| &pending.told.events) {
        pass.world.journal.record(event);
        if *posted {
            let body = journal::render(event, Format::Json);
            if let Some(alert) = Alert::of_event(event, body, pass.now()) {
                put(pass, outbox, &alert, &mut unkept);
            }
        }
    }
    let began = pass.world.clock.monotonic();
    let untold = if unkept.is_empty() { Vec::new() } else { tell_at_once(pass, outbox, &unkept, &pending) };
    let spent = pass.world.clock.monotonic().saturating_sub(began);
    for Pending { guard, mut state, told } in pending {
        let Some(guard) = guard else { continue };
        forget_untold(pass, &guard, &mut state, &told, &untold);
        if unkept.iter().any(|alert| of_event(alert, &state)) {
            remember_unrecorded(outbox, &mut state);
        }
        save(pass, None, &guard, &state);
    }
    BUDGET.saturating_sub(spent)
}

/// Whether programs are told of what people are not.
fn is_posted(pass: &Pass<'_>, report: &Report) -> bool {
    let service = |(key, _): &(String, String)| pass.config.service(&ServiceName::new(key)?);
    report.incidents.iter().all(|of| service(of).is_some_and(|service| changes::posts(pass, service)))
}

/// Whether it is kept now; where it is not, it is among the `unkept`.
fn put(pass: &Pass<'_>, outbox: &Outbox, alert: &Alert, unkept: &mut Vec<Alert>) -> bool {
    match outbox.put(alert) {
        Ok(()) => true,
        Err(error) => {
            pass.io_trouble(None, &error);
            unkept.push(alert.clone());
            false
        }
    }
}

/// What nobody heard of and nothing keeps is due again at the next pass.
fn forget_untold(
    pass: &Pass<'_>,
    guard: &StateGuard,
    state: &mut ServiceState,
    told: &Told,
    untold: &[Alert],
) {
    let of_report = |alert: &Alert| {
        let incidents = told.report.as_ref().map_or(&[][..], |report| &report.incidents);
        alert.incidents.iter().any(|of| incidents.contains(of))
    };
    let event = untold.iter().any(|alert| of_event(alert, state));
    let report = untold.iter().any(of_report);
    let before = if report || event { guard.recall(&pass.moment()).ok() } else { None };
    if report {
        state.incident = before.as_ref().and_then(|before| before.incident.clone());
        state.unalerted = before.as_ref().and_then(|before| before.unalerted.clone());
    }
    if event {
        state.standing = before.and_then(|before| before.standing);
    }
}

/// An event that was sent at once is known to the outbox only where it had room for that.
fn remember_unrecorded(outbox: &Outbox, state: &mut ServiceState) {
    let last = outbox.last_words().ok().and_then(|words| words.of(&state.service).ok().flatten());
    if let Some(standing) = &mut state.standing {
        standing.unrecorded = last.is_none_or(|last| last.change != standing.change);
    }
}

fn of_event(alert: &Alert, state: &ServiceState) -> bool {
    alert.event.is_some() && alert.services.contains(&state.service)
}

/// Sends what cannot be kept; what could not be sent either.
fn tell_at_once(pass: &Pass<'_>, outbox: &Outbox, alerts: &[Alert], pending: &[Pending]) -> Vec<Alert> {
    pass.note(None, Level::Error, "alerts that cannot be kept are sent at once");
    // What waits before them is judged by what is about to be recorded.
    let state_of = |key: &str| match pending.iter().find(|pending| pending.state.service == key) {
        Some(pending) => Some(pending.state.clone()),
        None => remembered(pass, key),
    };
    let judge = |alert: &Alert| incident::judge(alert, &state_of);
    let report = outbox.send_now(&sending(pass, &judge, BUDGET), alerts);
    sent(pass, &report);
    report.unsent
}

fn remembered(pass: &Pass<'_>, key: &str) -> Option<ServiceState> {
    pass.world.store.load(Subject::from_key(key)?).ok()
}

fn sending<'s>(pass: &Pass<'s>, judge: &'s dyn Fn(&Alert) -> Delivery, budget: Duration) -> Sending<'s> {
    let World { notifier, clock, interrupt, .. } = pass.world;
    Sending { notifier, clock, interrupt, judge, budget }
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
    if let Err(error) =
        pass.world.store.record_looks(&looked, &known, containers, &pass.moment(), pass.world.clock)
    {
        pass.io_trouble(None, &error);
    }
}

/// Sends what waits, also from earlier passes.
fn send(pass: &Pass<'_>, outbox: &Outbox, budget: Duration) {
    if pass.interrupted() {
        return;
    }
    let state_of = |key: &str| remembered(pass, key);
    let judge = |alert: &Alert| incident::judge(alert, &state_of);
    match outbox.deliver(&sending(pass, &judge, budget)) {
        Ok(report) => sent(pass, &report),
        Err(error) => pass.io_trouble(None, &error),
    }
}

/// Says what became of the alerts.
fn sent(pass: &Pass<'_>, report: &outbox::Report) {
    for (level, text) in report.lines() {
        pass.note(None, level, &text);
    }
    for path in &report.damaged {
        pass.io_trouble(None, &format!("a damaged alert was set aside as {}", path.display()));
    }
    for error in &report.errors {
        pass.io_trouble(None, error);
    }
    if report.waiting > 0 {
        pass.trouble(ExitCode::TryAgain);
    }
}
