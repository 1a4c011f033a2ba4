//! Whole passes of the binary with a webhook: one POST a change of a component's health, in order, kept until it
//! is delivered, and true however late that is.

use crate::common;

use std::fs;
use std::process::Command;

use common::fake_docker::{Answer, FakeDocker};
use common::fixture::{Fixture, LIMIT};
use common::hook::Hook;
use common::ntfy::Ntfy;
use common::run;
use common::server::Reply;
use serde_json::{Value, json};

/// A service that is down until the file of its name exists.
fn service(fixture: &Fixture, name: &str, restart: &str) -> Value {
    json!({
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path(name).display())},
        "restart_cmd": restart,
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

/// One service `web` that no restart helps, and the webhook alone.
fn fixture() -> (Fixture, Hook) {
    let (mut fixture, hook) = (Fixture::new(), Hook::start());
    let web = service(&fixture, "web", "true");
    fixture.service("web", web);
    fixture.config["notifications"] = json!({"webhook": {"url": hook.url("/hooks/of-ours")}});
    (fixture, hook)
}

fn up(fixture: &Fixture, name: &str) {
    fs::write(fixture.path(name), "").expect("the service comes up");
}

fn down(fixture: &Fixture, name: &str) {
    fs::remove_file(fixture.path(name)).expect("the service goes down");
}

#[test]
fn each_change_is_posted_once_and_not_each_pass() {
    let (fixture, hook) = fixture();
    up(&fixture, "web");
    fixture.pass().expect_code(0);
    assert_eq!(hook.requests().len(), 0, "well from the beginning is no change");
    down(&fixture, "web");
    for _ in 0..6 {
        fixture.pass().expect_code(1);
    }
    assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_GIVEN_UP web"], "{}", fixture.log());
    up(&fixture, "web");
    for _ in 0..3 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(hook.told()[2..], ["COMPONENT_RECOVERED web"]);
    for kind in ["COMPONENT_DOWN", "COMPONENT_GIVEN_UP", "COMPONENT_RECOVERED"] {
        assert_eq!(fixture.count(&format!(" {kind} web (")), 1, "{}", fixture.log());
    }
}

#[test]
fn the_body_is_the_line_of_the_json_log() {
    let (fixture, hook) = fixture();
    fixture.run(&["run", "--log-format", "json"]).expect_code(1);
    let request = &hook.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks/of-ours"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let log = fixture.log();
    let line = log.lines().find(|line| line.contains("\"kind\":\"COMPONENT_DOWN\"")).expect("a line of it");
    assert_eq!(String::from_utf8_lossy(&request.body), line);
    let event = &hook.events()[0];
    let expected = json!({
        "ts": event["ts"], "level": "ERROR", "event": "component_down", "service": "web",
        "message": "COMPONENT_DOWN web", "reason": "exit 1", "consecutive_failures": 1,
        "down_since": event["down_since"], "host": event["host"], "action": "restart",
        "kind": "COMPONENT_DOWN", "component_name": "web", "success": false,
        "severity": "recoverable"
    });
    assert_eq!(*event, expected);
    for key in ["ts", "down_since", "host"] {
        assert!(event[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {event}");
    }
}

#[test]
fn reason_and_severity_are_of_the_same_look() {
    // The restart makes it worse; so does waiting, of which no line of its own tells.
    for (step, ends) in [("restart", "0"), ("retry", "1")] {
        let (mut fixture, hook) = fixture();
        let (code, web) = (fixture.path("code"), &mut fixture.config["services"]["web"]);
        let code = code.display();
        let check =
            format!("read c < {code}; if [ $c = 75 ] && [ {ends} = 1 ]; then echo 78 > {code}; fi; exit $c");
        web["health_check"]["command"] = json!(check);
        web["restart_cmd"] = json!(format!("echo 78 > {code}"));
        web["strategies"] = json!({"transient": [step], "critical": []});
        web["retry"] = json!({"attempts": 1});
        fs::write(fixture.path("code"), "75\n").expect("the code");
        fixture.pass().expect_code(1);
        let event = &hook.events()[0];
        assert_eq!(
            (&event["reason"], &event["severity"]),
            (&json!("exit 78"), &json!("critical")),
            "{step}: {}",
            fixture.log()
        );
    }
}

#[test]
fn a_state_that_is_damaged_while_it_is_down_does_not_keep_its_end_back() {
    let (fixture, hook) = fixture();
    fixture.pass().expect_code(1);
    fs::write(fixture.path("state/web.json"), "{").expect("the state is damaged");
    up(&fixture, "web");
    for _ in 0..3 {
        fixture.pass();
    }
    assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"], "{}", fixture.log());
}

#[test]
fn a_restart_that_helped_at_once_was_an_outage_too() {
    let (mut fixture, hook) = fixture();
    let heal = format!("touch {}", fixture.path("web").display());
    fixture.config["services"]["web"]["restart_cmd"] = json!(heal);
    for _ in 0..3 {
        fixture.pass().expect_code(0);
    }
    assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"], "{}", fixture.log());
    let events = hook.events();
    assert_eq!((&events[0]["reason"], &events[0]["success"]), (&json!("exit 1"), &json!(false)));
    assert_eq!((&events[1]["action"], &events[1]["success"]), (&json!("restart"), &json!(true)));
    assert_eq!(events[1]["consecutive_failures"], 0);
    assert!(events[0]["ts"].as_str() <= events[1]["ts"].as_str(), "{events:?}");
    down(&fixture, "web");
    fixture.pass().expect_code(0);
    assert_eq!(hook.told().len(), 4, "the next outage is another one");
}

#[test]
fn what_is_refused_for_now_waits_and_comes_in_order_and_as_it_was() {
    for reply in [
        Reply::status(500, "oops"),
        Reply::status(401, "who?"),
        Reply::status(403, "no"),
        Reply::status(404, "nothing here"),
        Reply::status(429, "slowly"),
        Reply::Http(302, vec![("Location".into(), "/elsewhere".into())], String::new()),
        Reply::Close,
        Reply::Reset,
    ] {
        let (fixture, hook) = fixture();
        hook.always(Some(reply.clone()));
        fixture.pass().expect_code(1);
        // An HTTP client may try a connection that was closed under it a second time.
        assert!((1..=2).contains(&hook.requests().len()), "{reply:?}");
        assert_eq!(fixture.outbox().len(), 1, "{reply:?}");
        assert_eq!(fixture.count("1 event waits for the next pass (webhook: "), 1, "{}", fixture.log());
        up(&fixture, "web");
        fixture.pass().expect_code(75);
        assert_eq!(fixture.outbox().len(), 2, "{reply:?}");
        hook.always(None);
        fixture.pass().expect_code(0);
        assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_RECOVERED web"], "{reply:?}");
        let events = hook.events();
        assert!(events[0]["ts"].as_str() < events[1]["ts"].as_str(), "each with its own time");
        assert!(fixture.outbox().is_empty());
    }
}

#[test]
fn a_webhook_that_hangs_costs_one_time_out_and_silences_nobody_else() {
    let (mut fixture, hook) = fixture();
    let (api, ntfy) = (service(&fixture, "api", "true"), Ntfy::start());
    fixture.service("api", api);
    let webhook = fixture.config["notifications"]["webhook"].take();
    fixture.ntfy(&ntfy);
    fixture.config["notifications"]["webhook"] = webhook;
    hook.always(Some(Reply::Hang));
    fixture.pass().expect_code(1);
    assert_eq!(hook.requests().len(), 1, "{}", fixture.log());
    assert_eq!(ntfy.titles().len(), 2, "{}", fixture.log());
    assert_eq!(fixture.outbox().len(), 2);
    hook.always(None);
    fixture.pass().expect_code(1);
    assert_eq!(hook.told().len(), 2);
}

#[test]
fn only_400_and_413_are_final_and_nothing_short_is_sent_instead() {
    for code in [400, 413] {
        let (mut fixture, hook) = fixture();
        let api = service(&fixture, "api", "true");
        fixture.service("api", api);
        hook.next([Reply::status(code, "not like this")]);
        fixture.pass().expect_code(1);
        assert_eq!(hook.requests().len(), 2, "{code}: {}", fixture.log());
        assert_eq!(hook.told().len(), 1, "the next one is taken");
        assert!(fixture.outbox().is_empty());
        let kept = fs::read_dir(fixture.path("state/outbox/rejected")).expect("what was refused").count();
        assert_eq!((kept, fixture.count("was refused for good")), (1, 1), "{code}: {}", fixture.log());
        fixture.pass().expect_code(1);
        assert_eq!(hook.requests().len(), 2, "it is not tried again");
    }
}

#[test]
fn passes_side_by_side_post_each_change_once() {
    let (mut fixture, hook) = fixture();
    for name in ["a", "b", "c", "d", "e"] {
        let service = service(&fixture, name, "true");
        fixture.service(name, service);
    }
    let commands: Vec<Command> = (0..3).map(|_| fixture.command(&["run"])).collect();
    std::thread::scope(|scope| {
        for command in commands {
            // Who comes late to all of them has nothing to say of them, and ends with 0.
            scope.spawn(move || drop(run::within(LIMIT, command, b"")));
        }
    });
    let mut told = hook.told();
    told.sort();
    let down = |name: &str| format!("COMPONENT_DOWN {name}");
    assert_eq!(told, ["a", "b", "c", "d", "e", "web"].map(down), "{}", fixture.log());
}

#[test]
fn address_and_headers_come_from_the_environment_of_the_pass_that_sends() {
    let (mut fixture, hook) = fixture();
    fixture.config["notifications"]["webhook"] =
        json!({"url_env": "MY_HOOK", "headers_env": {"Authorization": "MY_KEY", "X-From": "MY_NAME"}});
    let done = fixture.run(&["validate"]).expect_code(0);
    assert_eq!(done.stderr.matches("is not set: events wait until a pass finds it set").count(), 3);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("(environment variable MY_HOOK is not set)"), 0);
    assert_eq!(fixture.count("environment variable MY_HOOK is not set"), 1, "{}", fixture.log());
    assert_eq!(fixture.outbox().len(), 1);
    fixture.env("MY_HOOK", &hook.url("/from/env?k=v")).env("MY_KEY", "Bearer a b").env("MY_NAME", "vps");
    fixture.pass().expect_code(1);
    let request = &hook.requests()[0];
    assert_eq!(request.path, "/from/env?k=v");
    assert_eq!(request.header("authorization"), Some("Bearer a b"));
    assert_eq!(request.header("x-from"), Some("vps"));
    assert_eq!(hook.told(), ["COMPONENT_DOWN web"]);
}

#[test]
fn a_webhook_alone_is_somebody_who_hears() {
    let (mut fixture, hook) = fixture();
    let done = fixture.run(&["validate"]).expect_code(0);
    assert!(!done.stderr.contains("nobody") && !done.stderr.contains("only logged"), "{}", done.stderr);
    assert!(done.stdout.contains("alerts: the webhook"), "{}", done.stdout);
    assert!(!done.stdout.contains("nobody"), "{}", done.stdout);
    assert!(!done.stdout.contains(&hook.url("")), "{}", done.stdout);
    fixture.pass().expect_code(1);
    assert_eq!(fixture.count("goes to nobody"), 0, "{}", fixture.log());
    // Whoever wants nobody to hear of a service does not want programs to either.
    fixture.config["services"]["api"] = service(&fixture, "api", "true");
    fixture.config["services"]["api"]["notify_on_fail"] = Value::Null;
    fixture.pass().expect_code(1);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web"]);
}

#[test]
fn what_is_blocked_is_down_and_what_cannot_be_checked_is_told_at_the_second_look() {
    let (mut fixture, hook) = fixture();
    let mut api = service(&fixture, "api", "true");
    api["dependencies"] = json!(["web"]);
    fixture.service("api", api);
    fixture.pass().expect_code(1);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web", "COMPONENT_DOWN api"], "{}", fixture.log());
    assert_eq!(hook.events()[1]["action"], "none");

    let (mut fixture, hook) = self::fixture();
    fixture.config["services"]["web"]["health_check"]["command"] = json!("no-such-program-anywhere");
    fixture.pass().expect_code(69);
    assert_eq!(hook.requests().len(), 0);
    for _ in 0..3 {
        fixture.pass().expect_code(69);
    }
    assert_eq!(hook.told(), ["COMPONENT_UNKNOWN web"]);
    assert_eq!(hook.events()[0].get("success"), None, "nobody knows");
    fixture.config["services"]["web"]["health_check"]["command"] = json!("true");
    fixture.pass().expect_code(0);
    assert_eq!(hook.told()[1..], ["COMPONENT_RECOVERED web"]);
}

#[test]
fn an_engine_that_is_gone_leaves_every_component_in_it_unknown() {
    let mut fake = FakeDocker::new();
    fake.when("", Answer::no_engine());
    let (mut fixture, hook) = fixture();
    fixture.fake_docker(&fake);
    fixture.config["services"]["web"]["container"] = json!("box");
    fixture.pass().expect_code(69);
    assert_eq!(hook.requests().len(), 0, "not at the first look");
    for _ in 0..3 {
        fixture.pass().expect_code(69);
    }
    assert_eq!(hook.told(), ["COMPONENT_UNKNOWN web"], "{}", fixture.log());
    assert_eq!(hook.events()[0]["container_name"], "box");
}

#[test]
fn a_configuration_that_became_invalid_still_delivers_what_waits() {
    let (mut fixture, hook) = fixture();
    fixture.config["notifications"]["webhook"] =
        json!({"url_env": "MY_HOOK", "headers_env": {"X-Key": "MY_KEY"}});
    fixture.env("MY_HOOK", &hook.url("/later")).env("MY_KEY", "k1");
    hook.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(1);
    hook.always(None);
    fixture.config["services"]["web"]["health_check"]["type"] = json!("guess");
    let done = fixture.pass().expect_code(78);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web"], "{}", done.stderr);
    assert!(done.stderr.contains("delivered to the webhook: web is down"), "{}", done.stderr);
    assert_eq!(hook.requests().last().and_then(|r| r.header("x-key").map(str::to_owned)), Some("k1".into()));
}

#[test]
fn what_cannot_be_kept_is_posted_at_once_and_what_was_not_is_due_again() {
    let (fixture, hook) = fixture();
    fs::create_dir(fixture.path("state")).expect("the state folder");
    fs::write(fixture.path("state/outbox"), "").expect("a file where a folder belongs");
    hook.always(Some(Reply::status(503, "busy")));
    fixture.pass().expect_code(74);
    hook.always(None);
    fixture.pass().expect_code(74);
    fixture.pass().expect_code(74);
    assert_eq!(hook.told(), ["COMPONENT_DOWN web"], "{}", fixture.log());
}

#[test]
fn a_dry_run_posts_nothing() {
    let (fixture, hook) = fixture();
    fixture.run(&["run", "--dry-run"]).expect_code(1);
    assert_eq!(hook.requests().len(), 0);
}
