//! The doubles themselves: a double that lies makes every test that leans on it worthless.

use crate::common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::docker::{Container, require_docker};
use common::fake_docker::{Answer, FakeDocker, NO_ENGINE, id_of};
use common::http::HttpService;
use common::ntfy::{Ntfy, refusal};
use common::run;
use common::second_engine::SecondEngine;
use common::server::Reply;
use common::until::until;

const SHORT: Duration = Duration::from_secs(20);

fn call(fake: &FakeDocker, args: &[&str], stdin: &[u8]) -> run::Finished {
    let mut command = Command::new(fake.program());
    command.args(args);
    run::within(SHORT, command, stdin)
}

/// The raw answer to a raw request; an error where the connection ended other than in order.
fn ask(address: &str, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn post(ntfy: &Ntfy, body: &str) -> std::io::Result<String> {
    let address = ntfy.url().replace("http://", "");
    ask(
        &address,
        &format!("POST / HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    )
}

#[test]
fn the_fake_docker_answers_by_its_rules_and_records_its_calls() {
    let mut fake = FakeDocker::new();
    fake.when("", Answer::no_engine())
        .when("ps", Answer::ok("one\n"))
        .when_once("ps -a", Answer::fails("busy\n", 3));
    let first = call(&fake, &["ps", "-a", "it's"], b"").expect_code(3);
    assert_eq!((first.stdout.as_str(), first.stderr.as_str()), ("", "busy\n"));
    assert_eq!(call(&fake, &["ps", "-a", "it's"], b"").expect_code(0).stdout, "one\n");
    assert_eq!(call(&fake, &["psx"], b"").expect_code(1).stderr, NO_ENGINE);
    let calls: Vec<_> = fake.calls().into_iter().map(|call| call.argv).collect();
    assert_eq!(calls, [vec!["ps", "-a", "it's"], vec!["ps", "-a", "it's"], vec!["psx"]]);
    assert_eq!(fake.calls_of("ps").len(), 2);
}

#[test]
fn the_fake_docker_runs_an_exec_here_with_its_environment_and_input() {
    let mut fake = FakeDocker::new();
    fake.when("exec", Answer::RunsHere);
    let args = ["exec", "-i", "-u", "app", "-e", "A=b c", "box", "sh", "-c", "echo \"$A\"; cat; exit 5"];
    assert_eq!(call(&fake, &args, b"from outside").expect_code(5).stdout, "b c\nfrom outside");
    assert_eq!(fake.calls()[0].stdin, "from outside");

    // A client whose input stays open sees the command's end all the same.
    let mut open = Command::new(fake.program());
    open.args(["exec", "-i", "box", "sh", "-c", "read -r line; echo \"got $line\""]);
    let mut child = open.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the fake starts");
    let mut input = child.stdin.take().expect("it is a pipe");
    input.write_all(b"one\n").expect("it reads");
    let mut output = String::new();
    child.stdout.take().expect("it is a pipe").read_to_string(&mut output).expect("it ends");
    assert_eq!(output, "got one\n");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn the_fake_docker_lists_and_inspects_containers() {
    let mut fake = FakeDocker::new();
    fake.when("", Answer::no_engine()).containers(&[("box", "running"), ("old", "exited")]);
    let listed = call(&fake, &["ps", "-a", "--no-trunc", "--format", "{}"], b"").expect_code(0).stdout;
    assert_eq!(listed.lines().count(), 2);
    let id = id_of("old");
    let inspected = call(&fake, &["inspect", "--type", "container", &id], b"").expect_code(0).stdout;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("it is JSON");
    assert_eq!((&inspected[0]["Id"], &inspected[0]["State"]["Status"]), (&id.into(), &"exited".into()));
}

#[test]
fn a_hanging_fake_docker_ends_with_its_folder() {
    let mut fake = FakeDocker::new();
    fake.when("info", Answer::Hangs);
    let mut child = Command::new(fake.program()).arg("info").spawn().expect("the fake starts");
    common::until::until("the call", SHORT, || fake.calls_of("info").pop());
    assert!(child.try_wait().expect("a child can be asked").is_none());
    drop(fake);
    common::until::until("its end", SHORT, || child.try_wait().expect("a child can be asked"));
}

#[test]
fn the_ntfy_double_takes_messages_refuses_bad_ones_and_follows_its_script() {
    let ntfy = Ntfy::start();
    assert!(
        post(&ntfy, r#"{"topic":"t","title":"Hallo","message":"ü"}"#).expect("an answer").contains(" 200 ")
    );
    assert!(post(&ntfy, r#"{"topic":"no topic"}"#).expect("an answer").contains(" 400 "));
    assert!(post(&ntfy, "nonsense").expect("an answer").contains("40024"));
    ntfy.next([refusal(429, 42908, "limit reached"), Reply::Garbage, Reply::Close, Reply::Hang]);
    let good = r#"{"topic":"t","title":"again"}"#;
    assert!(post(&ntfy, good).expect("an answer").contains("42908"));
    assert!(post(&ntfy, good).expect("an answer").contains("garbage"));
    assert_eq!(post(&ntfy, good).unwrap_or_default(), "");
    let kind = post(&ntfy, good).expect_err("it hangs").kind();
    assert_eq!(kind, std::io::ErrorKind::WouldBlock);
    assert!(post(&ntfy, good).expect("an answer").contains(" 200 "));
    assert_eq!(ntfy.titles(), ["Hallo", "again"]);
    assert_eq!(ntfy.requests().len(), 8);
    assert_eq!(ntfy.requests()[0].header("x-a"), Some("b"));
}

#[test]
fn the_http_double_is_switched_resets_and_refuses_after_its_end() {
    let service = HttpService::start();
    let address = format!("127.0.0.1:{}", service.port());
    let get = || ask(&address, "GET /health HTTP/1.1\r\n\r\n");
    assert!(get().expect("an answer").ends_with(r#"{"status":"ok"}"#));
    service.answer(Reply::status(503, "busy"));
    assert!(get().expect("an answer").contains(" 503 "));
    service.answer(Reply::Reset);
    assert_eq!(get().expect_err("a reset").kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(service.requests()[0].path, "/health");
    drop(service);
    assert_eq!(get().expect_err("nobody listens").kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_chunked_body_is_put_together() {
    let ntfy = Ntfy::start();
    let body = "5\r\n{\"top\r\n9\r\nic\":\"abc\"\r\n1\r\n}\r\n0\r\n\r\n";
    let request = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    assert!(ask(&ntfy.url().replace("http://", ""), &request).expect("an answer").contains(" 200 "));
    assert_eq!(ntfy.messages()[0]["topic"], "abc");
}

#[test]
fn a_run_tells_output_code_and_signal_and_ends_what_hangs() {
    let sh = |text: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    };
    let done = run::within(SHORT, sh("cat; echo err >&2; exit 7"), b"in").expect_code(7);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("in", "err\n"));
    run::within(SHORT, sh("kill -9 $$"), b"").expect_code(137);
    let hanging =
        std::panic::catch_unwind(|| run::within(Duration::from_millis(200), sh("sleep 60; :"), b""));
    assert!(hanging.is_err());
    let held =
        std::panic::catch_unwind(|| run::through_pipes(Duration::from_millis(500), sh("sleep 3 & exit 0")));
    assert!(held.is_err());
    assert_eq!(run::through_pipes(SHORT, sh("sleep 1 > /dev/null 2>&1 & echo x")).stdout, "x\n");
}

#[test]
fn the_images_are_what_their_names_say() {
    let Some(docker) = require_docker() else { return };
    let has = |image: &str, tool: &str| {
        let container = Container::start(docker, image, &[], &[]);
        container.exec(&["sh", "-c", &format!("command -v {tool}")]).code == 0
    };
    for (image, tool, expected) in [
        ("debian", "bash", true),
        ("debian", "curl", true),
        ("dash", "bash", false),
        ("dash", "curl", false),
        ("dash", "timeout", false),
        ("busybox", "bash", false),
        ("busybox", "curl", false),
        ("busybox", "wget", true),
    ] {
        assert_eq!(has(image, tool), expected, "{tool} in {image}");
    }
    let noshell = Container::start(docker, "noshell", &[], &[]);
    assert_ne!(noshell.exec(&["sh", "-c", "true"]).code, 0);
    assert_eq!(noshell.count("/httpd -f"), 1);
}

#[test]
fn a_container_tells_its_state_and_is_gone_after_its_drop() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "debian", &[], &[]);
    container.spawn("exec httpd -f -p 8080 -h /www");
    common::until::until("httpd", SHORT, || {
        (container.exec(&["curl", "-sf", "localhost:8080/health"]).code == 0).then_some(())
    });
    assert_eq!(container.count("httpd -f"), 1);
    container.sh("pkill -x httpd; echo x >> /tmp/n; echo x >> /tmp/n");
    common::until::until("its end", SHORT, || (container.count("httpd -f") == 0).then_some(()));
    assert_eq!(container.lines_of("/tmp/n"), 2);
    assert_eq!(container.lines_of("/tmp/none"), 0);
    assert_eq!(container.state().status, "running");
    container.stop();
    container.wait_for("exited");
    assert_eq!(container.state().exit_code, 137);
    container.act("start");
    container.act("pause");
    assert_eq!(container.state().status, "paused");
    let name = container.name.clone();
    drop(container);
    assert_ne!(common::docker::docker(&["inspect", &name]).code, 0);
}

#[test]
fn a_second_engine_comes_back_after_every_end_and_leaves_nothing() {
    let Some(docker) = require_docker() else { return };
    let Some(mut engine) = SecondEngine::start(docker) else { return };
    engine.copy_image("busybox");
    engine.docker_ok(&["run", "-d", "--init", "--name", "box", "--network", "none", "recovery-test/busybox"]);
    let ended = |engine: &SecondEngine| {
        let code = || engine.docker_ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]);
        until("an ended container", Duration::from_secs(30), || {
            Some(code()).filter(|code| code.contains("exited"))
        })
    };

    engine.stop();
    engine.start_again();
    assert_eq!(ended(&engine), "exited 143");

    engine.docker_ok(&["start", "box"]);
    engine.cut_power();
    assert_ne!(engine.docker(&["version"]).code, 0);
    engine.start_again();
    assert_eq!(ended(&engine), "exited 255");

    engine.docker_ok(&["start", "box"]);
    engine.kill();
    engine.start_again();
    ended(&engine);
    let folder = engine.program();
    drop(engine);
    assert!(!folder.exists());
}
