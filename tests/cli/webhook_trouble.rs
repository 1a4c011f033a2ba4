//! Whole passes of the binary whose webhook is slow, gone or far behind: people hear first, a signal ends the
//! sending, the order holds, and what waits has an end.

use crate::common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use common::fixture::Fixture;
use common::hook::Hook;
use common::ntfy::Ntfy;
use common::server::Reply;
use common::until::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// One service `web` that is down until a file of its name exists, and the webhook alone.
fn fixture() -> (Fixture, Hook) {
    let (mut fixture, hook) = (Fixture::new(), Hook::start());
    let web = json!({
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path("web").display())},
        "restart_cmd": "true", "startup_delay_seconds": 0, "startup_timeout_seconds": 0});
    fixture.service("web", web);
    fixture.config["notifications"] = json!({"webhook": {"url": hook.url("/hooks/of-ours")}});
    (fixture, hook)
}

/// People are told too.
fn with_ntfy(fixture: &mut Fixture) -> Ntfy {
    let ntfy = Ntfy::start();
    let webhook = fixture.config["notifications"]["webhook"].take();
    fixture.ntfy(&ntfy);
    fixture.config["notifications"]["webhook"] = webhook;
    ntfy
}

fn up(fixture: &Fixture) {
    fs::write(fixture.path("web"), "").expect("the service comes up");
}

/// The one event that waits, so often more, and older.
fn many_wait(fixture: &Fixture, count: usize) {
    let dir = fixture.path("state/outbox");
    let text = fs::read(one_waiting(fixture)).expect("the event");
    for n in 0..count {
        fs::write(dir.join(format!("1{n:019}-1-{n:06}.json")), &text).expect("a copy of it");
    }
}

fn one_waiting(fixture: &Fixture) -> PathBuf {
    let files = fs::read_dir(fixture.path("state/outbox")).expect("the outbox");
    let mut paths = files.map(|entry| entry.expect("a file in it").path());
    paths.find(|path| path.extension().is_some_and(|e| e == "json")).expect("an event waits")
}

/// How a pass ends that is told to while it sends, and how long that took.
fn ended(mut pass: Child) -> (Option<i32>, Duration) {
    kill_process(Pid::from_child(&pass), Signal::TERM).expect("it runs");
    let began = Instant::now();
    let code = pass.wait().expect("it ends").code();
    (code, began.elapsed())
}

/// Far less than the time-outs of what hangs, and more than a loaded machine needs.
const PROMPTLY: Duration = Duration::from_secs(6);

#[test]
fn a_signal_while_receivers_hang_ends_the_pass_and_loses_nothing() {
    let (mut fixture, hook) = fixture();
    let ntfy = with_ntfy(&mut fixture);
    ntfy.always(Some(Reply::Hang));
    hook.always(Some(Reply::Hang));
    let pass = fixture.command(&["run"]).spawn().expect("a pass begins");
    until("a message", SOON, || (!ntfy.requests().is_empty()).then_some(()));
    let (code, took) = ended(pass);
    assert!(took < PROMPTLY, "{took:?}");
    assert_eq!(code, Some(143), "{}", fixture.log());
    assert_eq!((ntfy.requests().len(), hook.requests().len()), (1, 0), "nothing is begun after the signal");
    assert_eq!(fixture.outbox().len(), 2);
    ntfy.always(None);
    hook.always(None);
    fixture.pass().expect_code(1);
    assert_eq!((ntfy.titles().len(), hook.told().len()), (1, 1), "{}", fixture.log());
}

#[test]
fn a_signal_while_the_notification_command_hangs_ends_the_pass() {
    let (mut fixture, _hook) = fixture();
    let began = fixture.path("began");
    let command = format!("touch {}; sleep 600", began.display());
    fixture.config["notifications"] = json!({"command": command});
    let pass = fixture.command(&["run"]).spawn().expect("a pass begins");
    until("the command", SOON, || began.exists().then_some(()));
    let (code, took) = ended(pass);
    assert!(took < PROMPTLY, "{took:?}");
    assert_eq!(code, Some(143), "{}", fixture.log());
    assert_eq!(fixture.outbox().len(), 1);
}

/// Says yes to everything, a second later.
fn slow() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 8192]);
                std::thread::sleep(Duration::from_secs(1));
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            });
        }
    });
    url
}

#[test]
fn a_slow_webhook_with_much_to_hear_holds_up_no_alert() {
    let (mut fixture, hook) = fixture();
    hook.always(Some(Reply::Close));
    fixture.pass().expect_code(1);
    many_wait(&fixture, 60);
    fixture.config["notifications"]["webhook"] = json!({"url": slow()});
    let ntfy = with_ntfy(&mut fixture);
    let api = fixture.config["services"]["web"].clone();
    fixture.service("api", api);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["api Recovery Failed"], "{}", fixture.log());
    let left = fixture.outbox().len();
    assert!((1..60).contains(&left), "the rest of the time is the events': {left}");
    assert_eq!(fixture.count(&format!("{left} events wait for the next pass (")), 1, "{}", fixture.log());
}

#[test]
fn a_webhook_that_is_down_for_weeks_keeps_the_last_hundred_events() {
    let (fixture, hook) = fixture();
    hook.always(Some(Reply::Close));
    fixture.pass().expect_code(1);
    many_wait(&fixture, 129);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.outbox().len(), 100);
    let said = "30 events were dropped, the oldest: no more than 100 of a service wait";
    assert_eq!(fixture.count(said), 1, "{}", fixture.log());
    fixture.pass().expect_code(1);
    assert_eq!((fixture.outbox().len(), fixture.count("dropped")), (100, 1), "{}", fixture.log());
    hook.always(None);
    fixture.pass().expect_code(1);
    assert!(hook.told().len() >= 100);
}

#[test]
fn events_of_a_webhook_that_was_taken_away_are_set_aside_with_one_line() {
    let (mut fixture, hook) = fixture();
    hook.always(Some(Reply::Close));
    fixture.pass().expect_code(1);
    up(&fixture);
    fixture.pass().expect_code(75);
    fixture.config["notifications"] = json!({});
    for _ in 0..3 {
        fixture.pass().expect_code(0);
    }
    let said = "2 events were moved to outbox/rejected: no webhook is configured any more";
    assert_eq!(fixture.count(said), 1, "{}", fixture.log());
    let kept = fs::read_dir(fixture.path("state/outbox/rejected")).expect("what was refused").count();
    assert_eq!((kept, fixture.outbox().len()), (2, 0));
}

#[test]
fn an_empty_variable_means_no_webhook_and_an_unset_one_speaks_only_of_what_waits() {
    let (mut fixture, _hook) = fixture();
    fixture.config["notifications"]["webhook"] = json!({"url_env": "MY_HOOK"});
    up(&fixture);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("MY_HOOK"), 0, "{}", fixture.log());
    fixture.env("MY_HOOK", "");
    let done = fixture.run(&["validate"]).expect_code(0);
    assert!(
        done.stderr.contains("environment variable MY_HOOK is empty: there is no webhook"),
        "{}",
        done.stderr
    );
    fixture.pass().expect_code(0);
    fs::remove_file(fixture.path("web")).expect("the service goes down");
    for _ in 0..2 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(fixture.count("for the next pass"), 0, "{}", fixture.log());
    assert!(!fixture.path("state/outbox").exists());
}

#[test]
fn what_was_delivered_is_said_in_plain_words() {
    let (fixture, hook) = fixture();
    hook.next([Reply::Close, Reply::Close]);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("1 event waits for the next pass (webhook: "), 1, "{}", fixture.log());
    fixture.pass().expect_code(1);
    up(&fixture);
    fixture.pass().expect_code(0);
    for words in ["web is down", "web is well again"] {
        assert_eq!(fixture.count(&format!("delivered to the webhook: {words}")), 1, "{}", fixture.log());
    }
    assert_eq!(fixture.count("\\u0020"), 0, "{}", fixture.log());
    assert_eq!(fixture.count("COMPONENT_DOWN "), 1, "{}", fixture.log());
}
