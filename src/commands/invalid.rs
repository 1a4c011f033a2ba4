//! A pass that cannot read its configuration: a watchdog must not die in silence of a comma.

use std::path::Path;
use std::time::Duration;

use super::run::host_name;
use crate::alert::incident::{self, Policy};
use crate::alert::text::Story;
use crate::alert::{Report, machine_destinations};
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, default_state_dir, process_env};
use crate::exit_code::ExitCode;
use crate::machine;
use crate::notify::Notifiers;
use crate::outbox::{self, BUDGET, Outbox};
use crate::process::Interrupt;
use crate::state::AlertKind;
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
    if let Lock::Held(guard) = store.lock_within(Subject::Configuration, PATIENCE, &clock)? {
        let mut state = guard.load()?;
        let policy = Policy { cooldown: good.notifications.cooldown, window: Duration::ZERO };
        if let Some(due) = incident::advance_configuration(&mut state, false, policy, clock.now()) {
            keep(&report(&path, error, &good, &due, &clock), &outbox, &notifiers, &clock);
        }
        guard.save(&state)?;
    }
    let state_of = |key: &str| store.load(Subject::from_key(key)?).ok();
    let sent = outbox.deliver(&notifiers, &clock, BUDGET, &|alert| incident::judge(alert, &state_of))?;
    say(&sent);
    Ok(ExitCode::Config)
}

/// Puts the alerts into the outbox; where they cannot be kept there they are sent at once.
fn keep(report: &Report, outbox: &Outbox, notifiers: &Notifiers, clock: &dyn Clock) {
    if report.to.is_empty() {
        crate::complain!("note: nobody is told of this: no notifications were configured");
    }
    for alert in report.alerts() {
        if let Err(error) = outbox.put(&alert) {
            crate::complain!("error: {error}; the alert is sent at once");
            say(&outbox::send_now(&[alert], notifiers, clock, BUDGET));
        }
    }
}

fn report(
    path: &Path,
    error: &ConfigError,
    good: &LastGood,
    due: &incident::Due,
    clock: &dyn Clock,
) -> Report {
    let story = Story {
        reminder: due.reminder,
        down_since: due.down_since,
        reason: Some(format!("{} cannot be used, nothing is looked at", path.display())),
        output: Some(error.to_string()),
        memory_used: machine::memory_used_percent(),
        disk_used: machine::disk_used_percent(),
        ..Story::new(AlertKind::RecoveryConfigInvalid, "", &host_name(), clock.now())
    };
    Report {
        story,
        incidents: vec![(Subject::Configuration.key().to_owned(), due.incident.clone())],
        group: None,
        to: machine_destinations(&good.notifications),
    }
}

fn say(sent: &outbox::Report) {
    for alert in &sent.delivered {
        crate::complain!("note: delivered {}: {}", alert.kind, alert.title);
    }
    for (alert, why) in &sent.rejected {
        crate::complain!("error: the alert {:?} was refused for good: {why}", alert.title);
    }
    if let (true, Some(why)) = (sent.waiting > 0, &sent.stopped) {
        crate::complain!("note: {} alerts wait for the next pass: {why}", sent.waiting);
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
    if store.load(Subject::Configuration)?.incident.is_none() {
        return Ok(());
    }
    if let Lock::Held(guard) = store.lock_within(Subject::Configuration, PATIENCE, clock)? {
        let mut state = guard.load()?;
        let policy = Policy { cooldown: good.notifications.cooldown, window: Duration::ZERO };
        // That it is well again is told by nobody's phone ringing.
        let _ = incident::advance_configuration(&mut state, true, policy, clock.now());
        guard.save(&state)?;
    }
    Ok(())
}
