//! Whole passes of the binary against receivers that refuse, hang, or are asked by two passes at once: nothing is
//! lost, nothing is sent twice, and a pass ends in time.

use crate::common;

use std::fs;
use std::process::Command;
use std::time::Duration;

use common::fixture::{Fixture, LIMIT};
use common::ntfy::{Ntfy, refusal};
use common::run;
use common::server::Reply;
use serde_json::{Value, json};

/// The whole time for sending, and what a pass under load needs besides.
const BOUND: Duration = Duration::from_secs(60);

fn down() -> Value {
    json!({"health_check": {"type": "custom", "command": "false"}, "restart": "none"})
}

/// So many services that are down, `s00`, `s01`, …, each told of by itself.
fn many(count: usize) -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    for number in 0..count {
        fixture.service(&format!("s{number:02}"), down());
    }
    fixture.ntfy(&ntfy);
    (fixture, ntfy)
}

fn all(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("s{number:02} Down")).collect()
}

fn sorted(mut titles: Vec<String>) -> Vec<String> {
    titles.sort();
    titles
}

#[test]
fn what_a_server_refuses_for_now_ends_the_sending_and_is_kept() {
    for (what, reply) in [
        ("the day's quota", refusal(429, 42908, "limit reached: daily message quota reached")),
        ("too many requests", refusal(429, 42901, "limit reached: too many requests")),
        ("500", Reply::status(500, "oops")),
        ("503", Reply::status(503, "busy")),
        ("507", Reply::status(507, "no room")),
        ("a redirect", Reply::Http(302, vec![("Location".into(), "/login".into())], String::new())),
        ("closed", Reply::Close),
        ("reset", Reply::Reset),
        ("garbage", Reply::Garbage),
    ] {
        let (fixture, ntfy) = many(3);
        ntfy.always(Some(reply));
        fixture.pass().expect_code(1);
        // An HTTP client may try a connection that was closed under it a second time.
        let tries = ntfy.requests().len();
        assert!((1..=2).contains(&tries), "{what}: the first refusal ends it, not {tries}");
        assert_eq!(fixture.outbox().len(), 3, "{what}");
        assert_eq!(fixture.count("3 alerts wait for the next pass ("), 1, "{what}: {}", fixture.log());
        ntfy.always(None);
        fixture.pass().expect_code(1);
        assert_eq!(ntfy.titles(), all(3), "{what}: in order, each once");
        assert!(fixture.outbox().is_empty(), "{what}");
    }
}

#[test]
fn one_refused_topic_silences_no_other() {
    for (what, reply) in [
        ("401", refusal(401, 40101, "unauthorized")),
        ("403", refusal(403, 40301, "forbidden")),
        ("404", Reply::status(404, "no such page")),
        ("a rule of the server for topics", refusal(429, 42999, "too many messages to this topic")),
        ("no further topic", refusal(429, 42904, "limit reached: the total number of topics")),
        ("no subscriber", refusal(507, 50701, "cannot publish")),
    ] {
        let (mut fixture, ntfy) = many(5);
        // Those of the refused topic come first, and between the others.
        for name in ["s00", "s01", "s03"] {
            fixture.config["services"][name]["notify_on_fail"] = json!("topic:refused-topic");
        }
        ntfy.topic("refused-topic", Some(reply));
        fixture.pass().expect_code(1);
        assert_eq!(ntfy.titles(), ["s02 Down", "s04 Down"], "{what}: {}", fixture.log());
        let asked = ntfy
            .requests()
            .iter()
            .filter(|r| String::from_utf8_lossy(&r.body).contains("refused-topic"))
            .count();
        assert_eq!(asked, 1, "{what}: the topic is asked once a pass");
        assert_eq!(fixture.outbox().len(), 3, "{what}");
        assert_eq!(fixture.count("3 alerts wait for the next pass ("), 1, "{what}: {}", fixture.log());
        assert_eq!(fixture.count("refused-topic"), 0, "{what}: a topic is a password");
        ntfy.topic("refused-topic", None);
        fixture.pass().expect_code(1);
        assert_eq!(ntfy.titles()[2..], ["s00 Down", "s01 Down", "s03 Down"], "{what}: in order, each once");
    }
}

#[test]
fn all_that_keeps_alerts_from_leaving_is_said_at_once() {
    let (mut fixture, ntfy) = many(2);
    fixture.config["services"]["s00"]["notify_on_fail"] = json!("topic:refused-topic");
    ntfy.topic("refused-topic", Some(refusal(403, 40301, "forbidden")));
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    let line =
        fixture.log().lines().find(|line| line.contains("2 alerts wait")).unwrap_or_default().to_owned();
    assert!(line.contains("HTTP 403: forbidden (code 40301); ntfy server"), "{line}");
    assert!(line.contains("HTTP 503: busy"), "{line}");
}

#[test]
fn the_days_quota_is_told_as_what_it_is() {
    let (fixture, ntfy) = many(1);
    ntfy.always(Some(refusal(429, 42908, "limit reached: daily message quota reached")));
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("the day's quota is used up"), 1, "{}", fixture.log());
}

#[test]
fn an_alert_that_waits_is_something_left_to_do() {
    let (mut fixture, ntfy) = many(1);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    fixture.config["services"]["s00"]["health_check"]["command"] = json!("true");
    fixture.pass().expect_code(75);
    ntfy.always(None);
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), ["s00 Recovered"]);
}

#[test]
fn a_server_that_hangs_costs_one_time_out_a_pass_and_nothing_is_lost() {
    let (fixture, ntfy) = many(4);
    ntfy.always(Some(Reply::Hang));
    let done = fixture.pass().expect_code(1);
    assert!(done.elapsed < BOUND, "{:?}", done.elapsed);
    assert_eq!(ntfy.requests().len(), 1);
    assert_eq!(fixture.outbox().len(), 4);
    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), all(4));
}

#[test]
fn only_what_is_wrong_itself_is_given_up_and_kept_aside() {
    for code in [400, 413] {
        let (fixture, ntfy) = many(2);
        // The first one is refused as it is and in short form, the second one taken.
        ntfy.next([refusal(code, 40009, "invalid"), refusal(code, 40009, "invalid")]);
        fixture.pass().expect_code(1);
        assert_eq!(ntfy.titles(), ["s01 Down"], "{code}");
        assert!(fixture.outbox().is_empty(), "{code}");
        let kept = fs::read_dir(fixture.path("state/outbox/rejected")).expect("what was refused").count();
        assert_eq!((kept, fixture.count("was refused for good")), (1, 1), "{code}: {}", fixture.log());
    }
}

#[test]
fn what_is_refused_whole_is_taken_in_short_form() {
    let (fixture, ntfy) = many(1);
    ntfy.next([refusal(413, 41301, "too large")]);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), ["s00 Down"]);
    let text = ntfy.messages()[0]["message"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("Alert: SERVICE-DOWN") && text.len() < 600, "{text}");
    assert!(!fixture.path("state/outbox/rejected").exists());
}

#[test]
fn passes_side_by_side_send_nothing_twice_and_lose_nothing() {
    const COUNT: usize = 12;
    let (fixture, ntfy) = many(COUNT);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    assert_eq!(fixture.outbox().len(), COUNT);
    ntfy.always(None);
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let commands: Vec<Command> = (0..3).map(|_| fixture.command(&["run"])).collect();
        let passes: Vec<_> = commands
            .into_iter()
            .map(|command| scope.spawn(move || run::within(LIMIT, command, b"").code))
            .collect();
        passes.into_iter().map(|pass| pass.join().expect("no pass panics")).collect()
    });
    assert_eq!(codes, [1, 1, 1]);
    assert_eq!(sorted(ntfy.titles()), all(COUNT));
    assert!(fixture.outbox().is_empty());
}

#[test]
fn first_passes_side_by_side_tell_of_each_failure_once() {
    let (fixture, ntfy) = many(6);
    let commands: Vec<Command> = (0..3).map(|_| fixture.command(&["run"])).collect();
    std::thread::scope(|scope| {
        for command in commands {
            scope.spawn(move || run::within(LIMIT, command, b"").expect_code(1));
        }
    });
    assert_eq!(sorted(ntfy.titles()), all(6), "{}", fixture.log());
}

/// Tells by an operator's own command alone.
fn by_command(command: &str) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.service("web", down());
    fixture.config["notifications"] = json!({"command": command});
    fixture
}

#[test]
fn an_operators_command_gets_the_facts_and_the_body() {
    let mut fixture = by_command("");
    let told = fixture.path("told");
    let script = format!(
        "{{ echo \"$RECOVERY_KIND|$RECOVERY_TITLE|$RECOVERY_PRIORITY|$RECOVERY_TAGS\"; cat; }} > {}",
        told.display()
    );
    fixture.config["notifications"]["command"] = json!(script);
    fixture.pass().expect_code(1);
    let told = fs::read_to_string(told).expect("the command ran");
    let (facts, body) = told.split_once('\n').expect("facts, then the body");
    assert_eq!(facts, "SERVICE-DOWN|web Down|5|rotating_light,alert,auto-recovery");
    assert!(
        body.starts_with("Service: web\nStatus: Failed health check\nRecovery attempt: None configured\n")
    );
    assert!(fixture.outbox().is_empty());
}

#[test]
fn a_command_that_fails_keeps_the_alert_and_says_why() {
    let fixture = by_command("echo no route to my phone >&2; exit 3");
    fixture.pass().expect_code(1);
    assert_eq!(fixture.outbox().len(), 1);
    let log = fixture.log();
    assert!(log.contains("notification command: exit 3: no route to my phone"), "{log}");
}

#[test]
fn a_command_that_hangs_is_ended_and_silences_nobody_else() {
    let (mut fixture, ntfy) = many(1);
    // It takes the alerts first: of its own way, one waits from before there was a server.
    fixture.config["notifications"] = json!({"command": "exit 1"});
    fixture.pass().expect_code(1);
    fixture.ntfy(&ntfy);
    fixture.config["notifications"]["command"] = json!("exec sleep 3600");
    fixture.config["notifications"]["cooldown_seconds"] = json!(0);
    let done = fixture.pass().expect_code(1);
    assert!(done.elapsed < BOUND, "{:?}", done.elapsed);
    assert_eq!(ntfy.titles(), ["s00 Down"], "{}", fixture.log());
    assert_eq!(fixture.outbox().len(), 1, "what waits for the command waits on");
}

#[test]
fn a_command_that_leaves_something_running_holds_up_nothing() {
    let fixture = by_command("sleep 30 & echo $! > pid");
    let done = fixture.pass().expect_code(1);
    let pid = fs::read_to_string(fixture.path("pid")).expect("it started");
    let mut kill = Command::new("kill");
    run::within(
        LIMIT,
        {
            kill.arg(pid.trim());
            kill
        },
        b"",
    )
    .expect_code(0);
    assert!(done.elapsed < Duration::from_secs(30), "{:?}", done.elapsed);
    assert!(fixture.outbox().is_empty(), "exit 0 is a yes");
}

#[test]
fn a_broken_way_does_not_close_the_other_one() {
    let (mut fixture, ntfy) = many(2);
    let told = fixture.path("told");
    let script = format!("echo \"$RECOVERY_TITLE\" >> {}", told.display());
    fixture.config["notifications"]["command"] = json!(script);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    assert_eq!(fs::read_to_string(&told).expect("the command ran"), "s00 Down\ns01 Down\n");
    fixture.config["notifications"]["command"] = json!("exit 1");
    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), all(2));
    assert!(fixture.outbox().is_empty());
}

#[test]
fn a_way_that_is_no_longer_configured_keeps_its_alerts() {
    let (mut fixture, ntfy) = many(1);
    ntfy.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    let notifications = fixture.config["notifications"].take();
    fixture.config["notifications"] = json!({});
    fixture.pass().expect_code(1);
    assert_eq!(fixture.outbox().len(), 1, "{}", fixture.log());
    fixture.config["notifications"] = notifications;
    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.titles(), all(1));
}
