//! Files that were remembered, and that anybody may have damaged: whatever can be read can be used.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use recovery::alert::Alert;
use recovery::alert::incident::{self, Found, Policy};
use recovery::clock::boot::Moment;
use recovery::clock::{Clock, Timestamp};
use recovery::config::model::ServiceName;
use recovery::history;
use recovery::notify::{Notifier, NotifyError};
use recovery::outbox::{Outbox, Sending};
use recovery::process::Interrupt;
use recovery::state::{AlertKind, ServiceState};
use recovery::store::{Lock, Markers, Place, Store, parse_marker};
use time::macros::datetime;

const NOW: Timestamp = datetime!(2026-11-21 12:00 UTC);
const HOUR: Duration = Duration::from_secs(3600);

thread_local! {
    /// One folder for all runs of a thread: making one costs more than a run.
    static FOLDER: RefCell<tempfile::TempDir> = RefCell::new(tempfile::tempdir().expect("a temporary folder"));
}

pub fn run(data: &[u8]) {
    let place = Place::File("/stop/svc.stopped".into());
    let _ = format!("{:?}", parse_marker(data, NOW, place));
    FOLDER.with_borrow(|folder| {
        state(folder.path(), data);
        alert(folder.path(), data);
    });
}

fn state(folder: &Path, data: &[u8]) {
    let name = ServiceName::new("svc").expect("a valid name");
    let store = Store::at(folder, Markers::in_folders(&folder.join("stop"), &[]));
    fs::write(folder.join("svc.json"), data).expect("the state is written");
    fs::write(folder.join("last-pass.json"), data).expect("the looks are written");
    let moment = Moment::now(&Still);
    if let Ok(last) = store.last_pass(&moment) {
        let _ = last.look("svc");
        let known = std::slice::from_ref(&name);
        let _ = store.record_looks(&[(name.clone(), NOW)], known, None, &moment, &Still);
    }
    let Ok(state) = store.recall(&name, &moment).map(|recalled| recalled.state) else { return };
    let Ok(Lock::Held(guard)) = store.try_lock(&name, NOW) else { panic!("nobody else holds it") };
    guard.save(&state).expect("what was read can be written");
    assert_eq!(guard.load().expect("what was written can be read"), state);

    let mut attempts = state.attempts.clone();
    let _ = history::free_at(&attempts, NOW, HOUR, 3);
    history::prune(&mut attempts, NOW, HOUR);
    assert!(history::count(&attempts, NOW, HOUR) as usize <= state.attempts.len());
    for found in [
        Found::Healthy,
        Found::Failed(AlertKind::ServiceDown),
        Found::Failed(AlertKind::ServiceCrashLoop),
        Found::Unknown,
        Found::LeftAlone,
    ] {
        let mut state = state.clone();
        match found {
            Found::Healthy => state.saw_healthy(NOW),
            Found::Failed(_) => state.saw_unhealthy(NOW),
            _ => state.saw_unknown(NOW),
        }
        let _ = incident::advance(&mut state, found, true, Policy { cooldown: HOUR, window: HOUR }, NOW);
        guard.save(&state).expect("what follows from it can be written");
    }
}

fn alert(folder: &Path, data: &[u8]) {
    let outbox = Outbox::new(folder);
    fs::create_dir_all(folder.join("outbox")).expect("the outbox is made");
    fs::write(folder.join("outbox/1.json"), data).expect("the alert is written");
    let states = |_: &str| serde_json::from_slice::<ServiceState>(data).ok();
    let judge = |alert: &Alert| incident::judge(alert, &states);
    let interrupt = Interrupt::default();
    let sending =
        Sending { notifier: &Yes, clock: &Still, interrupt: &interrupt, judge: &judge, budget: HOUR };
    let report = outbox.deliver(&sending).expect("the outbox can be read");
    assert_eq!(report.waiting, 0);
    assert_eq!(report.delivered.len() + report.damaged.len(), 1);
    for folder in ["outbox/damaged", "outbox/owed"].map(|name| folder.join(name)) {
        let _ = fs::remove_dir_all(folder);
    }
}

struct Yes;

impl Notifier for Yes {
    fn send(&self, _: &Alert, _: Duration) -> Result<(), NotifyError> {
        Ok(())
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        HOUR
    }

    fn sleep(&self, _: Duration) {}

    fn uptime(&self) -> Option<Duration> {
        None
    }

    fn boot_id(&self) -> Option<String> {
        None
    }
}
