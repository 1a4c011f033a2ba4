//! State, locks and markers on a real folder, with second processes where it takes two.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use recovery::clock::boot::Moment;
use recovery::clock::{Clock, Timestamp};
use recovery::config::model::ServiceName;
use recovery::history;
use recovery::state::ServiceState;
use recovery::store::{Lock, Marker, MarkerFile, Markers, StateGuard, Store, StoreError, Subject};
use time::macros::datetime;

const NOW: Timestamp = datetime!(2026-11-21 10:05:07 UTC);

/// Time passes only where somebody waits.
struct TestClock(Mutex<Duration>, Timestamp);

impl TestClock {
    fn at(now: Timestamp) -> Self {
        Self(Mutex::default(), now)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.1 + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
    fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }
    fn uptime(&self) -> Option<Duration> {
        None
    }

    fn boot_id(&self) -> Option<String> {
        None
    }
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn store(dir: &Path) -> Store {
    Store::at(dir, Markers::in_folders(&dir.join("manual-stop"), &[]))
}

/// Long after everything.
fn moment() -> Moment {
    Moment { wall: NOW + time::Duration::HOUR, boot: None }
}

fn lock(store: &Store, service: &str) -> StateGuard {
    match store.try_lock(&name(service), NOW).unwrap() {
        Lock::Held(guard) => guard,
        Lock::Busy(holder) => panic!("{service} is locked: {holder:?}"),
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn looking_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir.path().join("not/there"));
    assert_eq!(store.load(&name("web")).unwrap(), ServiceState::new("web"));
    assert_eq!(store.last_pass(&moment()).unwrap().at, None);
    assert_eq!(store.markers().read(&name("web"), NOW).unwrap(), Marker::None);
    assert_eq!(names(dir.path()), BTreeSet::new());
}

#[test]
fn a_state_comes_back_as_it_was_saved_and_others_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir.path().join("state"));
    let guard = lock(&store, "web");
    let mut state = guard.load().unwrap();
    state.saw_unhealthy(NOW);
    history::record(&mut state.attempts, NOW);
    guard.save(&state).unwrap();
    assert_eq!(store.load(&name("web")).unwrap(), state);
    let file = dir.path().join("state/web.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(names(&dir.path().join("state")), ["web.json".into(), "web.lock".into()].into());

    let before = file.metadata().unwrap().ino();
    guard.save(&state).unwrap();
    assert_eq!(file.metadata().unwrap().ino(), before, "what has not changed is not written");
    state.saw_healthy(NOW);
    guard.save(&state).unwrap();
    assert_ne!(file.metadata().unwrap().ino(), before, "what has changed is replaced, not overwritten");
}

#[test]
fn names_of_services_do_not_meet_names_of_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let all = ["last-pass", "outbox", "machine", "containers", "manual-stop", "web", "web.json", "web.lock"];
    store.record_looks(&[(name("web"), NOW)], &all.map(name), None, &moment(), &TestClock::at(NOW)).unwrap();
    for service in all {
        let guard = lock(&store, service);
        let mut state = guard.load().unwrap();
        assert_eq!(state.service, service);
        assert_eq!(state.consecutive_failures, 0, "{service}");
        state.saw_unhealthy(NOW);
        guard.save(&state).unwrap();
    }
    for subject in [Subject::Engine, Subject::Configuration] {
        let Lock::Held(guard) = store.try_lock(subject.clone(), NOW).unwrap() else { panic!() };
        let state = guard.load().unwrap();
        assert_eq!(state.consecutive_failures, 0);
        guard.save(&state).unwrap();
        assert_eq!(Subject::from_key(subject.key()), Some(subject));
    }
    assert_eq!(store.last_pass(&moment()).unwrap().look("web"), Some(NOW));
}

#[test]
fn a_damaged_file_is_set_aside_when_asked_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for (damage, n) in ["", "{", "null", "{\"schema\":1}", "{\"schema\":\"x\"}", "\u{0}\u{0}"].iter().zip(0..)
    {
        std::fs::write(dir.path().join("web.json"), damage).unwrap();
        let error = store.load(&name("web")).unwrap_err();
        assert!(error.is_damaged() && error.to_string().contains("web.json is damaged: "), "{error}");
        let guard = lock(&store, "web");
        assert!(guard.load().unwrap_err().is_damaged());
        let aside = guard.quarantine(NOW).unwrap();
        let suffix = if n == 0 { String::new() } else { format!("-{n}") };
        assert_eq!(aside, dir.path().join(format!("web.json.corrupt-20261121T100507Z{suffix}")));
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), *damage);
        assert_eq!(guard.load().unwrap(), ServiceState::new("web"));
    }
}

#[test]
fn a_newer_schema_is_refused_and_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let file = dir.path().join("web.json");
    std::fs::write(&file, r#"{"schema": 99, "what": "ever"}"#).unwrap();
    let guard = lock(&store, "web");
    for error in [guard.load().unwrap_err(), guard.save(&ServiceState::new("web")).unwrap_err()] {
        assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"schema": 99, "what": "ever"}"#);
}

#[test]
fn fields_that_are_missing_or_unknown_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("web.json"),
        r#"{"schema": 1, "service": "web", "status": "unhealthy", "since": "2026-11-21T09:00:00Z", "mood": {"x": 1}}"#,
    )
    .unwrap();
    let state = store(dir.path()).load(&name("web")).unwrap();
    assert_eq!(state.since, Some(datetime!(2026-11-21 09:00 UTC)));
    assert_eq!(state.incident, None);
}

#[test]
fn what_a_killed_writer_left_is_cleaned_up_by_the_next_holder() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    std::fs::write(dir.path().join(".web.json.aBc123.tmp"), "{\"sch").unwrap();
    std::fs::write(dir.path().join(".db.json.aBc123.tmp"), "{\"sch").unwrap();
    drop(lock(&store, "web"));
    assert_eq!(names(dir.path()), [".db.json.aBc123.tmp".into(), "web.lock".into()].into());
}

#[test]
fn a_lock_says_who_holds_it_and_is_free_when_its_holder_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    drop(lock(&store, "web"));
    let file = dir.path().join("web.lock");
    let mut other = Command::new("flock")
        .arg(&file)
        .args(["sh", "-c", "echo held; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let Lock::Busy(holder) = store.try_lock(&name("web"), NOW).unwrap() else { panic!("two holders") };
    assert_eq!(holder.pid, None, "it did not sign");
    let waited = store.lock_within(&name("web"), Duration::from_secs(5), &TestClock::at(NOW)).unwrap();
    assert!(matches!(waited, Lock::Busy(_)));
    // The shell that flock started inherited the lock: both must be gone.
    let children = format!("/proc/{0}/task/{0}/children", other.id());
    let child = std::fs::read_to_string(children).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    Command::new("kill").args(["-9", child.trim()]).status().unwrap();
    // Its death is not instantaneous.
    let clock = recovery::clock::SystemClock::new(recovery::process::Interrupt::default());
    let freed = store.lock_within(&name("web"), Duration::from_secs(60), &clock).unwrap();
    assert!(matches!(freed, Lock::Held(_)));

    let Lock::Busy(holder) = store.try_lock(&name("web"), NOW).unwrap() else { panic!("two holders") };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert!(holder.since.is_some());
    drop(freed);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "", "a free lock names nobody");
}

#[test]
fn a_lock_is_not_inherited_by_what_is_started_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let guard = lock(&store, "web");
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    drop(guard);
    let again = store.try_lock(&name("web"), NOW).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(again, Lock::Held(_)));
}

#[test]
fn of_many_at_once_one_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir.path().join("new"));
    let locks: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..20).map(|_| scope.spawn(|| store.try_lock(&name("web"), NOW).unwrap())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(locks.iter().filter(|l| matches!(l, Lock::Held(_))).count(), 1);
}

#[test]
fn containers_have_locks_of_their_own_whatever_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let held =
        [store.try_lock_container("web", NOW), store.try_lock_container("../web", NOW)].map(Result::unwrap);
    assert!(held.iter().all(|l| matches!(l, Lock::Held(_))));
    assert!(matches!(store.try_lock_container("web", NOW).unwrap(), Lock::Busy(_)));
    assert_eq!(names(dir.path()), ["containers".into()].into());
    drop(lock(&store, "web"));
}

#[test]
fn passes_at_once_keep_each_others_looks() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let known: Vec<_> = (0..8).map(|n| name(&format!("s{n}"))).collect();
    let clock = || recovery::clock::SystemClock::new(recovery::process::Interrupt::default());
    std::thread::scope(|scope| {
        for service in &known {
            let (store, known) = (&store, &known);
            scope.spawn(move || {
                store.record_looks(&[(service.clone(), NOW)], known, None, &moment(), &clock()).unwrap();
            });
        }
    });
    let last = store.last_pass(&moment()).unwrap();
    assert!(known.iter().all(|s| last.look(s.as_str()).is_some()), "{last:?}");
    std::fs::write(dir.path().join("last-pass.json"), "{").unwrap();
    assert_eq!(
        store.last_pass(&moment()).unwrap(),
        recovery::store::LastPass::default(),
        "damaged: all are due"
    );
    store.record_looks(&[(known[0].clone(), NOW)], &known, None, &moment(), &TestClock::at(NOW)).unwrap();
    assert_eq!(store.last_pass(&moment()).unwrap().look("s0"), Some(NOW));
}

#[test]
fn where_nothing_can_be_written_the_path_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = store(&file).try_lock(&name("web"), NOW).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot create {}: ", file.display())), "{error}");
    let error = store(&file).load(&name("web")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", file.join("web.json").display())), "{error}");
}

#[test]
fn a_failed_replacement_is_said_and_leaves_no_rubbish() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let guard = lock(&store, "web");
    let state = ServiceState::new("web");
    guard.save(&state).unwrap();
    std::fs::remove_file(dir.path().join("web.json")).unwrap();
    std::fs::create_dir(dir.path().join("web.json")).unwrap();
    let error = guard.save(&state).unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("web.json"), "{error}");
    assert_eq!(names(dir.path()), ["web.json".into(), "web.lock".into()].into());
}

mod markers {
    use super::*;

    fn two() -> (tempfile::TempDir, Markers) {
        let dir = tempfile::tempdir().unwrap();
        let markers = Markers::in_folders(&dir.path().join("ours"), &[&dir.path().join("run")]);
        (dir, markers)
    }

    fn until(at: Timestamp) -> MarkerFile {
        MarkerFile::new(Some("anna".into()), NOW, Some(at), Some("disk".into()))
    }

    #[test]
    fn what_is_set_is_read_and_cleared() {
        let (_dir, markers) = two();
        let web = name("web");
        let path = markers.set(&web, &until(NOW + Duration::from_secs(60))).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        let Marker::Stopped(info) = markers.read(&web, NOW).unwrap() else { panic!() };
        assert_eq!((info.by.as_deref(), info.reason.as_deref()), (Some("anna"), Some("disk")));
        assert_eq!(markers.read(&name("we"), NOW).unwrap(), Marker::None);
        assert_eq!(markers.clear(&web).unwrap(), [path]);
        assert_eq!(markers.clear(&web).unwrap(), [] as [&Path; 0]);
        assert_eq!(markers.read(&web, NOW).unwrap(), Marker::None);
    }

    #[test]
    fn an_expired_one_is_removed_when_asked_unless_it_was_renewed() {
        let (dir, markers) = two();
        let web = name("web");
        let path = markers.set(&web, &until(NOW)).unwrap();
        let Marker::Expired(places) = markers.read(&web, NOW).unwrap() else { panic!() };
        assert!(path.exists(), "reading removes nothing");
        markers.set(&web, &until(NOW + Duration::from_secs(1))).unwrap();
        markers.remove_expired(&places, NOW).unwrap();
        assert!(path.exists(), "a person stopped it anew");
        markers.remove_expired(&places, NOW + Duration::from_secs(1)).unwrap();
        assert!(!path.exists());
        markers.remove_expired(&places, NOW).unwrap();

        markers.set(&web, &until(NOW)).unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        std::fs::write(dir.path().join("run/web.stopped"), "").unwrap();
        assert!(matches!(markers.read(&web, NOW).unwrap(), Marker::Stopped(_)), "the other place says stop");
    }

    #[test]
    fn whatever_lies_there_by_that_name_means_stop() {
        let (dir, markers) = two();
        let folder = dir.path().join("run");
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(folder.join("folder.stopped")).unwrap();
        symlink("/not/there", folder.join("link.stopped")).unwrap();
        assert!(Command::new("mkfifo").arg(folder.join("fifo.stopped")).status().unwrap().success());
        std::fs::write(folder.join("large.stopped"), vec![b' '; 1 << 20]).unwrap();
        for service in ["folder", "link", "fifo", "large"] {
            assert!(matches!(markers.read(&name(service), NOW).unwrap(), Marker::Stopped(_)), "{service}");
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_fine_and_one_that_cannot_be_read_is_not() {
        let (dir, markers) = two();
        let web = name("web");
        assert_eq!(markers.read(&web, NOW).unwrap(), Marker::None);
        std::fs::write(dir.path().join("run"), "").unwrap();
        let error = markers.read(&web, NOW).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read {}: ", dir.path().join("run").display())), "{error}");
        markers.set(&web, &until(NOW + Duration::from_secs(1))).unwrap();
        assert!(
            matches!(markers.read(&web, NOW).unwrap(), Marker::Stopped(_)),
            "a stop is believed all the same"
        );
        std::fs::remove_file(dir.path().join("run")).unwrap();
        markers.clear(&web).unwrap();
        symlink("/not/mounted", dir.path().join("run")).unwrap();
        assert!(markers.read(&web, NOW).is_err());
    }
}
