//! A pass that cannot read its configuration: a watchdog must not die in silence of a comma.

use std::path::Path;
use std::time::Duration;

use crate::alert::incident::{self, Policy};
use crate::alert::text::Story;
use crate::alert::{self, Alert, Report, machine_destinations};
use crate::clock::boot::Moment;
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, default_state_dir, process_env};
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::machine;
use crate::notify::Notifiers;
use crate::outbox::{self, BUDGET, Outbox, Sending};
use crate::process::Interrupt;
use crate::state::{AlertKind, ServiceState};
use crate::store::{LastGood, Lock, Markers, Store, StoreError, Subject};

/// How long the state of the configuration is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells who was to be told at the last good pass, and delivers what still waits.
///
/// # Errors
/// Where the state cannot be read or written.
pub fn tell(path: &Path, error: &ConfigError) -> Result<ExitCode, StoreError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = default_state_dir(&path, &process_env);
    let Some(good) = LastGood::load(&folder, &path, &process_env)? else {
        crate::complain!("note: nobody is told of this: no pass with this configuration was ever made");
        return Ok(ExitCode::Config);
    };
    let clock = SystemClock::new(Interrupt::default());
    let store = Store::at(&good.state_dir, Markers::in_folders(&good.state_dir, &[]));
    let outbox = Outbox::new(&good.state_dir);
    let notifiers = Notifiers::new(&good.notifications);
    let state_of = |key: &str| store.load(Subject::from_key(key)?).ok();
    let judge = |alert: &Alert| incident::judge(alert, &state_of);
    // A signal ends this program as it ends any other: what was not delivered waits.
    let interrupt = Interrupt::default();
    let sending =
        Sending { notifier: &notifiers, clock: &clock, interrupt: &interrupt, judge: &judge, budget: BUDGET };
    let tell = |state: &mut ServiceState| {
        let policy = Policy { cooldown: good.notifications.cooldown, window: Duration::ZERO };
        let due = incident::advance_configuration(state, false, policy, clock.now());
        due.is_none_or(|due| keep(&report(&path, error, &good, &due, &clock), &outbox, &sending))
    };
    if let Err(error) = remembering(&store, &clock, &tell) {
        crate::complain!("error: {error}; this is told without remembering that it was");
        tell(&mut ServiceState::new(Subject::Configuration.key()));
    }
    let sent = outbox.deliver(&sending)?;
    say(&sent);
    Ok(ExitCode::Config)
}

/// Tells what is due, and remembers it where it was told. An error means that nothing was told yet.
fn remembering(
    store: &Store,
    clock: &dyn Clock,
    tell: &dyn Fn(&mut ServiceState) -> bool,
) -> Result<(), StoreError> {
    if let Some(error) = set_aside_damaged(store, clock)? {
        crate::complain!("error: {error}");
    }
    let Lock::Held(guard) = store.lock_within(Subject::Configuration, PATIENCE, clock)? else {
        return Ok(());
    };
    let mut state = guard.recall(&Moment::now(clock))?;
    if tell(&mut state)
        && let Err(error) = guard.save(&state)
    {
        crate::complain!("error: {error}");
    }
    Ok(())
}

/// A damaged memory must not silence what it is about; what was wrong with it, where it was set aside.
fn set_aside_damaged(store: &Store, clock: &dyn Clock) -> Result<Option<StoreError>, StoreError> {
    let Err(error) = store.load(Subject::Configuration) else { return Ok(None) };
    let Some(aside) = store.set_aside_damaged(Subject::Configuration, clock.now())? else { return Ok(None) };
    crate::complain!("note: what was remembered of the configuration was set aside as {}", aside.display());
    Ok(Some(error))
}

/// Puts the alerts into the outbox; where they cannot be kept there they are sent at once. Whether all are
/// kept or sent.
fn keep(report: &Report, outbox: &Outbox, sending: &Sending<'_>) -> bool {
    if report.to.is_empty() {
        crate::complain!("note: nobody is told of this: no notifications were configured");
    }
    let mut unkept = Vec::new();
    for alert in report.alerts() {
        if let Err(error) = outbox.put(&alert) {
            crate::complain!("error: {error}; the alert is sent at once");
            unkept.push(alert);
        }
    }
    let sent = outbox.send_now(sending, &unkept);
    say(&sent);
    sent.unsent.is_empty()
}

fn report(
    path: &Path,
    error: &ConfigError,
    good: &LastGood,
    due: &incident::Due,
    clock: &dyn Clock,
) -> Report {
    let host = machine::host_name();
    let story = Story {
        reminder: due.reminder,
        down_since: due.down_since,
        reason: Some(format!("{} cannot be used, nothing is looked at", path.display())),
        output: Some(error.to_string()),
        memory_used: machine::memory_used_percent(),
        disk_used: machine::disk_used_percent(),
        label: alert::label(&good.notifications, &host),
        sequence: Some(alert::sequence(&host, Subject::Configuration.key(), due)),
        ..Story::new(AlertKind::RecoveryConfigInvalid, "", &host, clock.now())
    };
    Report {
        story,
        incidents: vec![(Subject::Configuration.key().to_owned(), due.incident.clone())],
        group: None,
        to: machine_destinations(&good.notifications),
    }
}

fn say(sent: &outbox::Report) {
    for (level, text) in sent.lines() {
        match level {
            Level::Error => crate::complain!("error: {text}"),
            _ => crate::complain!("note: {text}"),
        }
    }
    for error in &sent.errors {
        crate::complain!("error: {error}");
    }
}

/// The configuration can be read: keeps whom to tell when that changes, and closes an incident of it.
///
/// # Errors
/// Where that cannot be recorded.
pub fn valid(path: &Path, good: &LastGood, store: &Store, clock: &dyn Clock) -> Result<(), StoreError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    good.save(&default_state_dir(&path, &process_env), &path)?;
    if let Some(error) = set_aside_damaged(store, clock)? {
        return Err(error);
    }
    if store.load(Subject::Configuration)?.incident.is_none() {
        return Ok(());
    }
    if let Lock::Held(guard) = store.lock_within(Subject::Configuration, PATIENCE, clock)? {
        let mut state = guard.recall(&Moment::now(clock))?;
        let policy = Policy { cooldown: good.notifications.cooldown, window: Duration::ZERO };
        // That it is well again is told by nobody's phone ringing.
        let _ = incident::advance_configuration(&mut state, true, policy, clock.now());
        guard.save(&state)?;
    }
    Ok(())
}
