//! Whole passes of the binary against engines and notification servers that fail as real ones cannot be made to.

use crate::common;

use common::fake_docker::{Answer, FakeDocker, id_of};
use common::fixture::Fixture;
use common::http::HttpService;
use common::ntfy::{Ntfy, refusal};
use common::server::Reply;
use serde_json::{Value, json};

/// A service in a container that only the engine could tell of.
fn in_container() -> Value {
    json!({
        "container": "box",
        "health_check": {"type": "tcp", "port": 8080},
        "restart_cmd": "exit 0",
        "startup_delay_seconds": 0
    })
}

/// A service on the machine that nothing brings back.
fn broken(service: &HttpService) -> Value {
    json!({
        "display_name": "Web",
        "health_check": {"type": "http", "endpoint": service.url("/health"), "timeout_seconds": 2},
        "restart_cmd": "true",
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

fn unreachable_is_unknown(answer: Answer) {
    let mut fake = FakeDocker::new();
    fake.when("", answer);
    let mut fixture = Fixture::new();
    fixture.fake_docker(&fake).service("web", in_container());
    for _ in 0..4 {
        fixture.pass().expect_code(69);
    }
    assert_eq!(fixture.count("Cannot check web"), 4, "{}", fixture.log());
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    for action in ["exec", "start", "restart"] {
        assert_eq!(fake.calls_of(action), [], "{action}");
    }
    let attempts = fixture.state("web").map_or(Value::Null, |state| state["attempts"].clone());
    assert!(attempts.as_array().is_none_or(Vec::is_empty), "{attempts}");
}

#[test]
fn an_engine_that_is_not_there_restarts_nothing() {
    unreachable_is_unknown(Answer::no_engine());
}

#[test]
fn an_engine_that_refuses_restarts_nothing() {
    unreachable_is_unknown(Answer::fails(
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock\n",
        1,
    ));
}

#[test]
fn an_engine_that_never_answers_does_not_hang_the_pass() {
    let mut fake = FakeDocker::new();
    fake.when("", Answer::Hangs);
    let mut fixture = Fixture::new();
    fixture.fake_docker(&fake).service("web", in_container());
    fixture.pass().expect_code(69);
    assert_eq!(fixture.count("Cannot check web"), 1, "{}", fixture.log());
}

/// A whole recovery without an engine: the fake runs every exec on this machine, where only this test's own
/// files are touched.
#[test]
fn a_recovery_asks_the_engine_for_no_more_than_it_needs() {
    let mut fake = FakeDocker::new();
    fake.containers(&[("box-container", "running")]).when("exec", Answer::RunsHere);
    let mut fixture = Fixture::new();
    let flag = fixture.path("up");
    let mut service = in_container();
    service["health_check"] = json!({"type": "custom", "command": format!("test -e {}", flag.display())});
    service["restart_cmd"] = json!(format!("touch {}", flag.display()));
    fixture.fake_docker(&fake).service("web", service);
    fixture.pass().expect_code(0);
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}", fixture.log());
    // The look, the second look, the markers once more, the restart, the re-check.
    assert_eq!(fake.calls_of("exec").len(), 5, "{:?}", fake.calls());
    let id = id_of("box-container");
    for call in fake.calls_of("exec") {
        assert!(call.argv.contains(&id), "by its full id: {:?}", call.argv);
        assert!(
            !call.argv.iter().any(|word| word.contains("touch")),
            "no command in arguments: {:?}",
            call.argv
        );
    }
    fixture.pass().expect_code(0);
    assert_eq!(fake.calls_of("exec").len(), 6, "one exec for a pass over what is healthy");
}

#[test]
fn an_exec_that_fails_itself_restarts_nothing() {
    for (said, on_stdout, code) in [
        ("Error response from daemon: No such container: box\n", false, 1),
        ("Error response from daemon: Container x is not running\n", false, 1),
        ("Error response from daemon: Container x is paused, unpause the container before exec\n", false, 1),
        (
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": executable file not found in $PATH: unknown\n",
            true,
            126,
        ),
    ] {
        let mut fake = FakeDocker::new();
        let (out, err) = if on_stdout { (said, "") } else { ("", said) };
        fake.containers(&[("box", "running")])
            .when("exec", Answer::Says(out.to_owned(), err.to_owned(), code));
        let mut fixture = Fixture::new();
        fixture.fake_docker(&fake).service("web", in_container());
        fixture.pass().expect_code(69);
        assert_eq!(fixture.count("Cannot check web"), 1, "{}", fixture.log());
        assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    }
}

#[test]
fn an_alert_that_cannot_be_delivered_is_kept_and_delivered_later() {
    let service = HttpService::start();
    service.answer(Reply::status(503, "busy"));
    let ntfy = Ntfy::start();
    let mut fixture = Fixture::new();
    fixture.service("web", broken(&service)).ntfy(&ntfy);
    for reply in
        [refusal(429, 42908, "limit reached"), Reply::status(500, "oops"), Reply::Close, Reply::Garbage]
    {
        ntfy.always(Some(reply));
        fixture.pass().expect_code(1);
        assert!(!fixture.outbox().is_empty(), "{}", fixture.log());
        assert!(!ntfy.requests().is_empty());
        assert_eq!(ntfy.titles(), Vec::<String>::new());
    }
    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert!(fixture.outbox().is_empty(), "{:?}", fixture.outbox());
    assert_eq!(ntfy.titles()[0], "Web Recovery Failed");
    let first = &ntfy.messages()[0];
    assert_eq!((first["topic"].as_str(), first["priority"].as_u64()), (Some("test-topic"), Some(5)));
    assert_eq!(first["tags"], json!(["rotating_light", "alert", "auto-recovery"]));
    let text = first["message"].as_str().expect("a message");
    let begin = "Service: web\nStatus: Failed health check\nRecovery attempt: Failed\n";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.contains("\nAlert: SERVICE-RECOVERY-FAILED\n"), "{text}");
}

#[test]
fn an_alert_server_that_hangs_holds_up_no_recovery_and_ends() {
    let service = HttpService::start();
    service.answer(Reply::status(503, "busy"));
    let ntfy = Ntfy::start();
    ntfy.always(Some(Reply::Hang));
    let mut fixture = Fixture::new();
    fixture.service("web", broken(&service)).ntfy(&ntfy);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.requests().len(), 1, "the first time-out ends the sending");
    assert_eq!(fixture.outbox().len(), 1);
}

#[test]
fn a_message_that_is_wrong_itself_is_not_tried_for_ever() {
    let service = HttpService::start();
    service.answer(Reply::status(503, "busy"));
    let ntfy = Ntfy::start();
    ntfy.always(Some(refusal(413, 41301, "too large")));
    let mut fixture = Fixture::new();
    fixture.service("web", broken(&service)).ntfy(&ntfy);
    fixture.pass().expect_code(1);
    assert_eq!(ntfy.requests().len(), 2, "once as it is, once in short form");
    assert!(fixture.outbox().is_empty(), "{:?}", fixture.outbox());
}

#[test]
fn a_topic_never_reaches_the_log() {
    let service = HttpService::start();
    service.answer(Reply::status(503, "busy"));
    let ntfy = Ntfy::start();
    ntfy.always(Some(refusal(403, 40301, "forbidden: test-topic")));
    let mut fixture = Fixture::new();
    fixture.service("web", broken(&service)).ntfy(&ntfy);
    let done = fixture.pass().expect_code(1);
    assert!(!fixture.log().contains("test-topic"), "{}", fixture.log());
    assert!(!format!("{}{}", done.stdout, done.stderr).contains("test-topic"), "{done:?}");
}
