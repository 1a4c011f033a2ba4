//! Alerts are kept until delivered, in order, and what is over is told as such.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use recovery::alert::text::Story;
use recovery::alert::{Alert, Delivery, Destination, Report};
use recovery::clock::{Clock, Timestamp};
use recovery::config::model::ServiceName;
use recovery::event::{Change, Component, Event, EventKind};
use recovery::journal::{self, Format};
use recovery::notify::{Notifier, NotifyError};
use recovery::outbox::{self, BUDGET, Outbox, Sending};
use recovery::process::Interrupt;
use recovery::state::AlertKind;
use recovery::store::{FileLock, Lock};
use time::macros::datetime;

const NOW: Timestamp = datetime!(2026-11-21 10:00 UTC);

/// Time passes only where somebody waits.
#[derive(Default)]
struct TestClock(Mutex<Duration>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        NOW + self.monotonic()
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

/// Answers as told, then yes; remembers what it was given.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Result<(), NotifyError>>>,
    got: Mutex<Vec<Alert>>,
}

impl Receiver {
    fn that_says(answers: impl IntoIterator<Item = Result<(), NotifyError>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }
    fn titles(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|a| a.title.clone()).collect()
    }
}

impl Notifier for Receiver {
    fn send(&self, alert: &Alert, _left: Duration) -> Result<(), NotifyError> {
        self.got.lock().unwrap().push(alert.clone());
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }
}

fn later<T>() -> Result<T, NotifyError> {
    Err(NotifyError::Later("HTTP 503".to_owned()))
}

fn refused<T>() -> Result<T, NotifyError> {
    Err(NotifyError::Rejected("HTTP 400".to_owned()))
}

fn topic(name: &str) -> Destination {
    Destination::Ntfy { topic: name.to_owned() }
}

fn alert(service: &str, kind: AlertKind, incident: &str, second: i64, to: Destination) -> Alert {
    let at = NOW + time::Duration::seconds(second);
    let story = Story {
        services: vec![service.to_owned()],
        down_since: Some(at),
        ..Story::new(kind, service, "vps-1", at)
    };
    let incidents = vec![(service.to_owned(), incident.to_owned())];
    Report { story, incidents, group: None, to: [to].into() }.alerts().remove(0)
}

fn failed(service: &str, second: i64) -> Alert {
    alert(service, AlertKind::ServiceRecoveryFailed, "1", second, topic("ops"))
}

fn as_it_is(_: &Alert) -> Delivery {
    Delivery::AsItIs
}

fn sending<'a>(
    notifier: &'a dyn Notifier,
    clock: &'a dyn Clock,
    judge: &'a dyn Fn(&Alert) -> Delivery,
) -> Sending<'a> {
    static NEVER: LazyLock<Interrupt> = LazyLock::new(Interrupt::default);
    Sending { notifier, clock, interrupt: &NEVER, judge, budget: BUDGET }
}

fn deliver(outbox: &Outbox, receiver: &Receiver) -> outbox::Report {
    deliver_judged(outbox, receiver, &as_it_is)
}

fn deliver_judged(
    outbox: &Outbox,
    receiver: &Receiver,
    judge: &dyn Fn(&Alert) -> Delivery,
) -> outbox::Report {
    outbox.deliver(&sending(receiver, &TestClock::default(), judge)).unwrap()
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |d| d.filter(|e| e.as_ref().unwrap().path().is_file()).count())
}

#[test]
fn alerts_of_one_moment_all_wait_and_go_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    // Two writers with one process id, as in two containers that share the folder.
    let (one, two) = (Outbox::new(dir.path()), Outbox::new(dir.path()));
    for n in 0..5 {
        one.put(&failed(&format!("a{n}"), 1)).unwrap();
        two.put(&failed(&format!("b{n}"), 0)).unwrap();
    }
    assert_eq!(one.waiting().unwrap().len(), 10);
    let receiver = Receiver::default();
    let report = deliver(&one, &receiver);
    let expected: Vec<String> =
        ["b", "a"].iter().flat_map(|x| (0..5).map(move |n| format!("{x}{n} Recovery Failed"))).collect();
    assert_eq!(receiver.titles(), expected);
    assert_eq!((report.delivered.len(), report.waiting, report.stopped), (10, 0, vec![]));
    assert_eq!(deliver(&one, &receiver).delivered, []);
}

#[test]
fn files_and_folders_hold_secrets_and_are_ours_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("web", 0)).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("outbox")), 0o700);
    assert_eq!(mode(&outbox.waiting().unwrap()[0].path), 0o600);
}

#[test]
fn the_first_later_ends_the_sending_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    for n in 0..3 {
        outbox.put(&failed(&format!("s{n}"), n)).unwrap();
    }
    let receiver = Receiver::that_says([Ok(()), later()]);
    let report = deliver(&outbox, &receiver);
    assert_eq!(receiver.titles().len(), 2);
    assert_eq!((report.delivered.len(), report.waiting), (1, 2));
    assert_eq!(report.stopped, ["HTTP 503"]);
    assert_eq!(deliver(&outbox, &Receiver::default()).delivered.len(), 2);
}

#[test]
fn a_broken_command_does_not_silence_ntfy() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    for n in 0..2 {
        let kind = AlertKind::ServiceDown;
        outbox.put(&alert(&format!("c{n}"), kind, "1", n, Destination::Command)).unwrap();
        outbox.put(&alert(&format!("n{n}"), kind, "1", n, topic("ops"))).unwrap();
    }
    let receiver = Receiver::that_says([later()]);
    let report = deliver(&outbox, &receiver);
    assert_eq!(receiver.titles(), ["c0 Down", "n0 Down", "n1 Down"]);
    assert_eq!(report.waiting, 2);
}

#[test]
fn what_is_refused_is_tried_in_short_form_then_kept_aside_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("a", 0)).unwrap();
    outbox.put(&failed("b", 1)).unwrap();
    outbox.put(&failed("c", 2)).unwrap();
    let receiver = Receiver::that_says([refused(), refused(), refused()]);
    let report = deliver(&outbox, &receiver);
    assert!(receiver.got.lock().unwrap()[1].body.contains("short form"));
    assert_eq!(report.rejected.len(), 1);
    assert_eq!((report.rejected[0].0.services[0].as_str(), report.rejected[0].1.as_str()), ("a", "HTTP 400"));
    assert_eq!(report.delivered.len(), 2, "b in short form, and c");
    assert_eq!(report.waiting, 0);
    assert_eq!(files(&dir.path().join("outbox/rejected")), 1);
    assert_eq!(outbox.owed("a").unwrap(), [], "nobody was told of a");
    assert_eq!(outbox.owed("b").unwrap(), [topic("ops")]);
}

#[test]
fn a_damaged_file_is_set_aside_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("web", 0)).unwrap();
    std::fs::write(dir.path().join("outbox/000.json"), "{\"kind\":").unwrap();
    assert_eq!(outbox.waiting().unwrap().len(), 1);
    let report = deliver(&outbox, &Receiver::default());
    assert_eq!(report.delivered.len(), 1);
    assert_eq!(report.damaged, [dir.path().join("outbox/damaged/000.json")]);
    assert_eq!(files(&dir.path().join("outbox/damaged")), 1);
}

#[test]
fn a_reminder_of_what_was_never_delivered_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    for hour in 0..5 {
        outbox.put(&failed("web", hour * 3600)).unwrap();
    }
    assert_eq!(outbox.waiting().unwrap().len(), 1);
    assert!(outbox.waits_for("web", "1").unwrap());
    assert!(!outbox.waits_for("web", "2").unwrap());
    assert!(!outbox.waits_for("we", "1").unwrap());
}

#[test]
fn a_recovery_is_owed_where_a_failure_was_delivered_until_it_is_put() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("web", 0)).unwrap();
    outbox.put(&alert("web", AlertKind::ServiceCrashLoop, "1", 0, topic("dev"))).unwrap();
    outbox.put(&alert("db", AlertKind::CheckImpossible, "1", 2, topic("ops"))).unwrap();
    assert_eq!(outbox.owed("web").unwrap(), []);
    deliver(&outbox, &Receiver::that_says([Ok(()), later()]));
    let owed = outbox.owed("web").unwrap();
    assert_eq!(owed, [topic("ops")]);
    outbox.put(&alert("web", AlertKind::ServiceRecovered, "1", 9, owed[0].clone())).unwrap();
    assert_eq!(outbox.owed("web").unwrap(), []);
    deliver(&outbox, &Receiver::default());
    assert_eq!(outbox.owed("db").unwrap(), [], "that it could not be checked was no failure");
}

#[test]
fn alerts_of_an_incident_that_is_over_become_one_message_a_destination() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    for (kind, second) in [(AlertKind::ServiceRecoveryFailed, 0), (AlertKind::ServiceCrashLoop, 60)] {
        for to in [topic("ops"), topic("dev")] {
            outbox.put(&alert("web", kind, "1", second, to)).unwrap();
        }
    }
    outbox.put(&failed("db", 90)).unwrap();
    let judge = |alert: &Alert| match alert.services[0].as_str() {
        "web" => Delivery::Over { from: alert.at, to: Some(datetime!(2026-11-21 10:05 UTC)) },
        _ => Delivery::AsItIs,
    };
    let receiver = Receiver::default();
    let report = deliver_judged(&outbox, &receiver, &judge);
    assert_eq!(report.waiting, 0);
    let got = receiver.got.lock().unwrap();
    assert_eq!(got.len(), 3);
    for late in &got[..2] {
        assert_eq!((late.priority, late.title.as_str()), (3, "web Recovered"));
        assert!(
            late.body.contains("\nStatus: was down 10:00–10:05Z, recovered; delivery delayed\n"),
            "{}",
            late.body
        );
    }
    assert_ne!(got[0].to, got[1].to);
    assert_eq!(got[2].title, "db Recovery Failed");
    assert_eq!(outbox.owed("web").unwrap(), [], "the message said itself that it is over");
}

#[test]
fn a_waiting_recovery_says_it_for_what_came_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&alert("web", AlertKind::ServiceCrashLoop, "1", 0, topic("ops"))).unwrap();
    outbox.put(&alert("web", AlertKind::ServiceRecovered, "1", 60, topic("ops"))).unwrap();
    let judge = |alert: &Alert| match alert.kind {
        AlertKind::ServiceRecovered => Delivery::AsItIs,
        _ => Delivery::Over { from: NOW, to: None },
    };
    let receiver = Receiver::default();
    assert_eq!(deliver_judged(&outbox, &receiver, &judge).waiting, 0);
    assert_eq!(receiver.titles(), ["web Recovered"]);
    assert!(!receiver.got.lock().unwrap()[0].body.contains("delayed"));
}

#[test]
fn one_sends_at_a_time_and_the_others_give_up_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("web", 0)).unwrap();
    let held = FileLock::acquire(&dir.path().join("outbox/.lock"), NOW).unwrap();
    assert!(matches!(held, Lock::Held(_)));
    let receiver = Receiver::default();
    let report = deliver(&outbox, &receiver);
    assert_eq!((report.waiting, report.stopped), (1, vec!["another process is sending".to_owned()]));
    assert_eq!(receiver.titles().len(), 0);
    drop(held);
    assert_eq!(deliver(&outbox, &receiver).delivered.len(), 1);
}

#[test]
fn sending_ends_with_its_time() {
    struct Slow<'a>(&'a TestClock);
    impl Notifier for Slow<'_> {
        fn send(&self, _: &Alert, left: Duration) -> Result<(), NotifyError> {
            assert!(!left.is_zero() && left <= BUDGET);
            self.0.sleep(Duration::from_secs(9));
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    for n in 0..10 {
        outbox.put(&failed(&format!("s{n}"), n)).unwrap();
    }
    let clock = TestClock::default();
    let report = outbox.deliver(&sending(&Slow(&clock), &clock, &as_it_is)).unwrap();
    assert_eq!((report.delivered.len(), report.waiting), (4, 6));
}

#[test]
fn what_is_put_while_somebody_sends_is_sent_too() {
    struct Putting<'a>(&'a Outbox, Mutex<bool>);
    impl Notifier for Putting<'_> {
        fn send(&self, _: &Alert, _: Duration) -> Result<(), NotifyError> {
            if !std::mem::replace(&mut *self.1.lock().unwrap(), true) {
                self.0.put(&failed("late", 5)).unwrap();
            }
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("web", 0)).unwrap();
    let putting = Putting(&outbox, Mutex::new(false));
    let report = outbox.deliver(&sending(&putting, &TestClock::default(), &as_it_is)).unwrap();
    assert_eq!((report.delivered.len(), report.waiting), (2, 0));
}

#[test]
fn what_killed_processes_left_is_swept_wherever_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&failed("web", 0)).unwrap();
    let now = std::time::SystemTime::from(TestClock::default().now());
    let folders = ["outbox", "outbox/owed"].map(|name| dir.path().join(name));
    for folder in &folders {
        std::fs::create_dir_all(folder).unwrap();
        for (name, age) in [(".old.tmp", 7200), (".new.tmp", 60)] {
            let file = std::fs::File::create(folder.join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
    }
    deliver(&outbox, &Receiver::default());
    for folder in &folders {
        assert!(!folder.join(".old.tmp").exists(), "{}", folder.display());
        assert!(folder.join(".new.tmp").exists(), "somebody may be writing it");
    }
}

#[test]
fn an_empty_outbox_costs_nothing_and_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    let report = deliver(&outbox, &Receiver::default());
    assert_eq!(report.waiting, 0);
    assert!(outbox.owed("web").unwrap().is_empty());
    assert!(!dir.path().join("outbox").exists());
}

#[test]
fn where_nothing_can_be_kept_it_is_said_and_sent_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outbox"), "a file in the way").unwrap();
    let outbox = Outbox::new(dir.path());
    let said = outbox.put(&failed("web", 0)).unwrap_err().to_string();
    let path = dir.path().join("outbox");
    assert!(said.starts_with(&format!("cannot create {}: ", path.display())), "{said}");
    assert!(said.ends_with("; a folder is expected there"), "{said}");

    let alerts = [failed("a", 0), failed("b", 0), failed("c", 0)];
    let receiver = Receiver::that_says([refused(), Ok(()), later()]);
    let report = outbox.send_now(&sending(&receiver, &TestClock::default(), &as_it_is), &alerts);
    assert_eq!((report.delivered.len(), report.waiting), (1, 2));
    assert_eq!(report.stopped, ["HTTP 503"]);
}

/// A component's event, put into the outbox when the clock said so.
fn event(service: &str, change: Change, happened: i64, put: i64) -> Alert {
    let at = |second| NOW + time::Duration::seconds(second);
    let kind = EventKind::Component(Component {
        change,
        host: "vps-1".into(),
        reason: None,
        consecutive_failures: 1,
        severity: None,
        down_since: None,
    });
    let event = Event::new(at(happened), ServiceName::new(service), kind);
    let body = journal::render(&event, Format::Json);
    Alert::of_event(&event, body, at(put)).unwrap()
}

#[test]
fn events_go_out_in_the_order_in_which_they_were_put_wherever_the_clock_went() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&event("web", Change::Down, 0, 3600)).unwrap();
    outbox.put(&event("web", Change::Recovered, 10, 0)).unwrap();
    outbox.put(&event("web", Change::Down, 20, -3600)).unwrap();
    let receiver = Receiver::default();
    deliver(&outbox, &receiver);
    let wanted = ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web", "COMPONENT_DOWN web"];
    assert_eq!(receiver.titles(), wanted);
}

#[test]
fn an_event_that_says_what_the_last_one_says_is_not_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    for put in 0..3 {
        outbox.put(&event("web", Change::Down, 0, put)).unwrap();
        outbox.put(&event("api", Change::Down, 0, put)).unwrap();
    }
    outbox.put(&event("web", Change::Recovered, 5, 5)).unwrap();
    // Of the same instant as an earlier one, by a clock that was put back, and the truth all the same.
    outbox.put(&event("web", Change::Down, 0, 6)).unwrap();
    let receiver = Receiver::default();
    deliver(&outbox, &receiver);
    let wanted =
        ["COMPONENT_DOWN web", "COMPONENT_DOWN api", "COMPONENT_RECOVERED web", "COMPONENT_DOWN web"];
    assert_eq!(receiver.titles(), wanted);
}

#[test]
fn the_last_word_on_a_service_is_what_waits_else_what_was_taken_or_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    let last = |service: &str| outbox.last_words().unwrap().of(service).unwrap().map(|word| word.change);
    assert_eq!(last("web"), None);
    outbox.put(&event("web", Change::Down, 0, 0)).unwrap();
    outbox.put(&event("api", Change::Down, 0, 0)).unwrap();
    outbox.put(&event("web", Change::Recovered, 5, 5)).unwrap();
    assert_eq!([last("web"), last("api")], [Some(Change::Recovered), Some(Change::Down)]);
    let later = NotifyError::Later("busy".to_owned());
    deliver(&outbox, &Receiver::that_says([Ok(()), Err(later)]));
    assert_eq!([last("web"), last("api")], [Some(Change::Recovered), Some(Change::Down)]);
    deliver(&outbox, &Receiver::that_says([refused()]));
    assert_eq!(outbox.waiting().unwrap(), []);
    assert_eq!([last("web"), last("api")], [Some(Change::Recovered), Some(Change::Down)]);
    assert_eq!(last("db"), None);
    // What neither waits nor was taken was never said.
    outbox.put(&event("web", Change::Down, 9, 9)).unwrap();
    std::fs::remove_file(&outbox.waiting().unwrap()[0].path).unwrap();
    assert_eq!(last("web"), Some(Change::Recovered));
}

#[test]
fn an_event_is_refused_as_it_is_and_judged_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::new(dir.path());
    outbox.put(&event("web", Change::Down, 0, 0)).unwrap();
    outbox.put(&event("api", Change::Down, 0, 1)).unwrap();
    let receiver = Receiver::that_says([refused()]);
    let over = |_: &Alert| Delivery::Over { from: NOW, to: Some(NOW) };
    let report = deliver_judged(&outbox, &receiver, &over);
    assert_eq!((report.rejected.len(), report.delivered.len()), (1, 1));
    assert_eq!(receiver.titles(), ["COMPONENT_DOWN web", "COMPONENT_DOWN api"]);
    assert_eq!(files(&dir.path().join("outbox/rejected")), 1);
    assert!(outbox.owed("api").unwrap().is_empty(), "no recovery of an alert follows from it");
}
