//! One table of checks, made by the binary in every image, as root, as another user and in a read-only
//! container: the same answers everywhere, except where the image has no tool that can tell.

use crate::common;

use std::time::Duration;

use common::docker::{Container, require_docker};
use common::fixture::Fixture;
use common::inside::{idle, observed};
use common::until::until;
use serde_json::{Value, json};

/// What a check must come to: a fragment of its reason where it does not pass.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Passes,
    Fails(&'static str),
    CannotTell(&'static str),
}
use Verdict::{CannotTell, Fails, Passes};

/// What an image can look with.
struct Tools {
    http: bool,
    tcp: bool,
}

/// No living process is one of these: the first stands only in the words of another check, the second is a zombie.
/// A dead process has no command line; tools show its name, in brackets.
const ABSENT: &str = "absent-daemon --serve";
const ZOMBIE: &str = r"^(\[?sleep\]?( <defunct>)?)?$";

fn shell(text: &str) -> Value {
    json!({"type": "custom", "command": text, "timeout_seconds": 10})
}

fn custom_checks() -> Vec<(&'static str, Value, Verdict)> {
    let array = |words: &[&str]| json!({"type": "custom", "command": words});
    let mut hanging =
        shell("trap '' TERM; (setsid sleep 4320 &); setsid sleep 4321 & (sleep 4322 & sleep 4323)");
    hanging["timeout_seconds"] = json!(1);
    // The check knows the mark in its own environment, and so could know how records begin.
    let frames = "n=${RECOVERY_CHECK%%.*}; for r in 'x 0 3' 'd o 0' 'k 0' e; do echo \"$n $r\"; \
                  printf '\\n%s %s\\n' \"$n\" \"$r\" >&2; done; exit 5";
    let mut degraded = shell("echo '{\"status\":\"degraded\"}'");
    degraded["expect_json"] = json!([{"path": "$.status", "equals": "ok"}]);
    vec![
        ("exit-0", shell("true"), Passes),
        ("exit-1", shell("exit 1"), Fails("exit 1")),
        ("exit-3", shell("echo all is lost; exit 3"), Fails("exit 3: all is lost")),
        ("exit-255", shell("exit 255"), Fails("exit 255")),
        ("array", array(&["sh", "-c", "exit 4"]), Fails("exit 4")),
        ("by-signal", shell("kill -9 $$"), Fails("exit 137")),
        ("missing", shell("no-such-program --verbose"), CannotTell("program is missing")),
        ("missing-array", array(&["no-such-program"]), CannotTell("program is missing")),
        ("not-a-program", shell("/www/health"), CannotTell("program is missing (exit 126)")),
        ("json", degraded, Fails("$.status")),
        ("reads-stdin", shell("read -r x; cat; [ -z \"$x\" ]"), Passes),
        ("frames", shell(frames), Fails("exit 5")),
        ("wordy", shell(&format!("sleep 0.3; echo {ABSENT}; : {ABSENT}")), Passes),
        ("hanging", hanging, Fails("timed out after 1 s")),
    ]
}

fn process_checks() -> Vec<(&'static str, Value, Verdict)> {
    let process = |pattern: &str| json!({"type": "process", "process_name": pattern});
    vec![
        ("present", process("httpd -f -p 80[0-9]+ -h /www"), Passes),
        ("absent", process(ABSENT), Fails("no matching process")),
        ("zombie", process(ZOMBIE), Fails("no matching process")),
        ("checking", process(r"sh -s|:rcvy:|RECOVERY_CHECK|/proc/"), Fails("no matching process")),
    ]
}

fn network_checks(tools: &Tools) -> Vec<(&'static str, Value, Verdict)> {
    let http = |endpoint: &str, more: Value| {
        let mut check = json!({"type": "http", "endpoint": endpoint});
        check.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        check
    };
    let (up, gone) = ("http://localhost:8080/health", "http://localhost:8080/gone");
    let equals = |value: &str| json!({"expect_json": [{"path": "$.status", "equals": value}]});
    let mut checks = vec![
        ("http", http(up, json!({})), Passes),
        ("http-404", http(gone, json!({})), Fails("HTTP 404")),
        ("http-404-wanted", http(gone, json!({"expect_status": 404})), Passes),
        (
            "http-refused",
            http("http://localhost:8089/", json!({})),
            Fails("connection refused on localhost:8089"),
        ),
        ("http-body", http(up, json!({"expect_body": "queue"})), Passes),
        ("http-other-body", http(up, json!({"expect_body": "nonsense"})), Fails("nonsense")),
        ("http-json", http(up, equals("ok")), Passes),
        ("http-other-json", http(up, equals("fine")), Fails("$.status")),
        ("tcp", json!({"type": "tcp", "port": 8080}), Passes),
        ("tcp-refused", json!({"type": "tcp", "port": 8089}), Fails("localhost:8089")),
    ];
    for (name, _, verdict) in &mut checks {
        if name.starts_with("http") && !tools.http {
            *verdict = CannotTell("neither curl nor wget");
        } else if name.starts_with("tcp") && !tools.tcp {
            *verdict = CannotTell("neither bash nor nc");
        }
    }
    checks
}

/// Makes all checks in one pass, and compares every line.
#[track_caller]
fn all_as_documented(container: &Container, user: Option<&str>) {
    container.spawn("exec httpd -f -p 8080 -h /www");
    // Its first process does not reap it.
    container.spawn("sleep 0.01 & exit 0");
    let zombie = || container.sh("grep -ls '^State:.Z' /proc/[0-9]*/status; true").lines().count();
    until("a zombie", Duration::from_secs(20), || (zombie() > 0).then_some(()));
    until("a server", Duration::from_secs(20), || (container.count("httpd -f") == 1).then_some(()));
    let has = |tool: &str| container.exec(&["sh", "-c", &format!("command -v {tool}")]).code == 0;
    let tools = Tools { http: has("curl") || has("wget"), tcp: has("bash") || has("nc") };
    let processes = container.processes().len();

    let mut fixture = Fixture::new();
    let checks = [custom_checks(), process_checks(), network_checks(&tools)].concat();
    for (name, check, _) in &checks {
        let mut service = observed(container, check.clone());
        service["user"] = json!(user);
        fixture.service(name, service);
    }
    fixture.pass().expect_code(1);
    let log = fixture.log();
    for (name, _, verdict) in &checks {
        let (phrase, reason) = match verdict {
            Passes => (format!("Health check passed for {name} "), ""),
            Fails(reason) => (format!("Health check failed for {name}, not attempting recovery "), *reason),
            CannotTell(reason) => (format!("Cannot check {name} "), *reason),
        };
        let as_said = |line: &&str| line.contains(&phrase) && line.contains(reason);
        assert_eq!(log.lines().filter(as_said).count(), 1, "{name}: {verdict:?}, in:\n{log}");
    }
    until("the end of the checks", Duration::from_secs(20), || {
        (container.processes().len() == processes).then_some(())
    });
}

fn in_all_ways(image: &str) {
    let Some(docker) = require_docker() else { return };
    all_as_documented(&idle(docker, image), None);
    all_as_documented(&idle(docker, image), Some("app"));
    all_as_documented(&Container::start(docker, image, &["--read-only"], &[]), None);
}

#[test]
fn all_checks_answer_as_documented_with_bash_and_curl() {
    in_all_ways("debian");
}

#[test]
fn all_checks_answer_as_documented_with_dash_and_wget() {
    in_all_ways("dash");
}

#[test]
fn all_checks_answer_as_documented_with_nothing_but_busybox() {
    in_all_ways("busybox");
}
