//! Checks and restarts on the machine itself, with real processes and loopback servers.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use recovery::check::{Distrust, Failure, Health, Unknown};
use recovery::config::model::{
    ClosedAtOnce, CustomCommand, Header, HeaderValue, HealthCheck, HttpProbe, MissingProgram, Probe,
    ServiceName, StatusSet, Vantage,
};
use recovery::engine::host::Host;
use recovery::engine::{Overrun, Request, RestartCommand, RunResult};
use recovery::process::Interrupt;

fn host() -> Host {
    Host::new(8, Interrupt::default(), PathBuf::from("/opt/recovery"))
}

fn check(probe: Probe, timeout_ms: u64) -> HealthCheck {
    let timeout = Duration::from_millis(timeout_ms);
    HealthCheck { probe, timeout, from: Vantage::Machine, interval: None }
}

fn look_as(user: Option<&str>, env: &[(String, String)], check: &HealthCheck) -> Health {
    let service = ServiceName::new("svc").unwrap();
    let request = Request { service: &service, check, env, user };
    host().observe(&[request]).remove(0).health
}

fn look(check: &HealthCheck) -> Health {
    look_as(None, &[], check)
}

fn shell(text: &str) -> HealthCheck {
    let command = CustomCommand::Shell(text.into());
    check(
        Probe::Custom { command, expect_json: Vec::new(), missing_program: MissingProgram::Unknown },
        20_000,
    )
}

fn is_up(name: &str) -> Health {
    let pattern = regex::Regex::new(name).unwrap();
    look(&check(Probe::Process { pattern }, 5_000))
}

fn eventually(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if what() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// A duration for `sleep` that no other process here has, to be known by.
fn unique(base: u32) -> String {
    format!("{base}.{}", std::process::id())
}

// --- custom checks

#[test]
fn a_custom_check_is_judged_by_its_exit_code() {
    assert_eq!(look(&shell("test -d /")), Health::Healthy);
    let Health::Unhealthy(Failure::Exit { code, output }) = look(&shell("echo a; echo b >&2; exit 3")) else {
        panic!("not an exit")
    };
    assert_eq!((code, output.as_str()), (3, "a\nb"));
    assert!(matches!(look(&shell("no-such-program-here")), Health::Unknown(Unknown::NoTool(_))));
    let argv = |words: &[&str]| {
        let command = CustomCommand::Argv(words.iter().map(ToString::to_string).collect());
        look(&check(
            Probe::Custom { command, expect_json: Vec::new(), missing_program: MissingProgram::Unknown },
            20_000,
        ))
    };
    assert_eq!(argv(&["test", "$HOME", "=", "$HOME"]), Health::Healthy);
    assert!(matches!(argv(&["no-such-program-here"]), Health::Unknown(Unknown::NoTool(_))));
}

#[test]
fn a_custom_check_does_not_meet_its_own_text() {
    let word = unique(71);
    assert!(matches!(look(&shell(&format!("pgrep -f '{word}'"))), Health::Unhealthy(_)));
}

#[test]
fn a_custom_check_sees_only_the_promised_environment() {
    let text = r#"[ "$(pwd)" = / ] && [ "$RECOVERY_EXE" = /opt/recovery ] && [ "$RECOVERY_SERVICE" = svc ] &&
        [ "$MINE" = "a b" ] && [ -n "$PATH" ] && [ -z "$CARGO_PKG_NAME$CARGO_MANIFEST_DIR$RECOVERY_COMMAND" ]"#;
    let env = [("MINE".to_owned(), "a b".to_owned())];
    assert_eq!(look_as(None, &env, &shell(text)), Health::Healthy);
}

#[test]
fn a_custom_check_that_hangs_is_ended_with_all_it_started() {
    let (inside, outside) = (unique(7201), unique(7202));
    let mut hang = shell(&format!("setsid sleep {outside} & sleep {inside}"));
    hang.timeout = Duration::from_millis(700);
    assert_eq!(look(&hang), Health::Unhealthy(Failure::TimedOut { after: hang.timeout }));
    for word in [inside, outside] {
        assert!(
            eventually(|| is_up(&format!("^sleep {word}$")) != Health::Healthy),
            "{word} was left behind"
        );
    }
}

#[test]
fn a_signal_ends_all_checks() {
    let interrupt = Interrupt::default();
    let host = Host::new(2, interrupt.clone(), PathBuf::from("/opt/recovery"));
    let service = ServiceName::new("svc").unwrap();
    let mut hang = shell("sleep 3600");
    hang.timeout = Duration::from_secs(3600);
    let request = Request { service: &service, check: &hang, env: &[], user: None };
    let looks = thread::scope(|scope| {
        let looks = scope.spawn(|| host.observe(&[request; 5]));
        interrupt.flag().store(15, Ordering::Relaxed);
        looks.join().unwrap()
    });
    assert_eq!(looks.len(), 5);
    assert!(looks.iter().all(|look| look.health == Health::Unknown(Unknown::Interrupted)));
}

#[test]
fn a_command_runs_as_the_user_asked_for() {
    if !rustix::process::geteuid().is_root() {
        let refused = look_as(Some("root"), &[], &shell("true"));
        assert!(matches!(refused, Health::Unknown(Unknown::Other(_))), "{refused:?}");
        return;
    }
    let text = r#"[ "$(id -un)" = nobody ] && [ "$USER" = nobody ] && [ "$(id -g)" != 0 ]"#;
    assert_eq!(look_as(Some("nobody"), &[], &shell(text)), Health::Healthy);
    let numbers = r#"[ "$(id -u) $(id -g)" = "4711 4712" ]"#;
    assert_eq!(look_as(Some("4711:4712"), &[], &shell(numbers)), Health::Healthy);
}

// --- processes

#[test]
fn a_living_process_is_found_and_a_dead_one_is_not() {
    let word = unique(7300);
    let pattern = format!("^sleep {word}$");
    assert!(matches!(is_up(&pattern), Health::Unhealthy(Failure::NoProcess { .. })));
    let mut child = std::process::Command::new("sleep").arg(&word).spawn().unwrap();
    assert!(eventually(|| is_up(&pattern) == Health::Healthy));
    child.kill().unwrap();
    // Not waited for: a zombie stays, and does not count.
    assert!(eventually(|| is_up(&pattern) != Health::Healthy));
    child.wait().unwrap();
}

#[test]
fn processes_of_a_check_under_way_are_no_service() {
    let word = unique(7400);
    let text = format!("sleep {word} & sleep 2; kill $!");
    let (pattern, slow) = (regex::Regex::new(&format!("sleep {word}")).unwrap(), shell(&text));
    let process = check(Probe::Process { pattern }, 5_000);
    let service = ServiceName::new("svc").unwrap();
    let request = |check| Request { service: &service, check, env: &[], user: None };
    thread::scope(|scope| {
        let running = scope.spawn(|| host().observe(&[request(&slow)]));
        let there =
            || std::process::Command::new("pgrep").args(["-f", &format!("^sleep {word}")]).output().unwrap();
        assert!(eventually(|| there().status.success()), "the check never began");
        assert!(matches!(host().observe(&[request(&process)])[0].health, Health::Unhealthy(_)));
        running.join().unwrap();
    });
}

// --- restarts

fn restart(text: &str, log_path: Option<&str>, timeout: Duration, overrun: Overrun) -> RunResult {
    let service = ServiceName::new("svc").unwrap();
    let command = RestartCommand { service: &service, text, env: &[], user: None, log_path, timeout };
    host().run(&command, &mut || overrun)
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_restart_command_as_operators_write_it_works_and_its_service_lives_on() {
    let word = unique(7500);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("svc.log");
    let text = format!(
        "pkill -f 'sleep {word}' || true; echo begun; cat; (while sleep 0.05; do echo tick; done) & sleep {word} &"
    );
    let result = restart(&text, log.to_str(), LONG, Overrun::End);
    assert_eq!(result, RunResult::Exited(0));
    assert!(eventually(|| is_up(&format!("^sleep {word}$")) == Health::Healthy));
    let lines = || std::fs::read_to_string(&log).unwrap().lines().count();
    let before = lines();
    assert!(before >= 1);
    assert!(eventually(|| lines() > before + 2), "what it left running can no longer write");
    let stop = format!("pkill -f 'sleep {word}'; kill -TERM $$");
    assert_eq!(restart(&stop, None, LONG, Overrun::End), RunResult::Exited(143));
    assert!(eventually(|| is_up(&format!("^sleep {word}$")) != Health::Healthy));
}

#[test]
fn exit_codes_of_a_restart_are_told_whatever_its_log() {
    assert_eq!(restart("exit 7", Some("/no/such/folder/x.log"), LONG, Overrun::End), RunResult::Exited(7));
    let missing = restart("no-such-program-here", None, LONG, Overrun::End);
    assert!(matches!(missing, RunResult::Complained { code: Some(127), .. }), "{missing:?}");
}

#[test]
fn at_its_time_out_a_restart_is_left_or_ended_as_told() {
    let short = Duration::from_millis(400);
    let word = unique(7600);
    let pattern = format!("^sleep {word}$");
    let text = format!("exec sleep {word}");
    assert_eq!(restart(&text, None, short, Overrun::Leave), RunResult::LeftRunning);
    assert_eq!(is_up(&pattern), Health::Healthy, "in the foreground it is a service, too");
    assert_eq!(restart(&format!("pkill -f 'sleep {word}'"), None, LONG, Overrun::End), RunResult::Exited(0));
    assert!(eventually(|| is_up(&pattern) != Health::Healthy));
    assert_eq!(restart(&text, None, short, Overrun::End), RunResult::TimedOut);
    assert!(eventually(|| is_up(&pattern) != Health::Healthy));
}

#[test]
fn a_signal_leaves_a_restart_to_itself() {
    let interrupt = Interrupt::default();
    interrupt.flag().store(15, Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let service = ServiceName::new("svc").unwrap();
    let text = format!("sleep 0.3; touch '{}'", done.display());
    let command = RestartCommand {
        service: &service,
        text: &text,
        env: &[],
        user: None,
        log_path: None,
        timeout: LONG,
    };
    let host = Host::new(1, interrupt, PathBuf::from("/opt/recovery"));
    assert_eq!(host.run(&command, &mut || Overrun::End), RunResult::Interrupted);
    assert!(eventually(|| done.exists()));
}

// --- HTTP and TCP

/// Answers every connection with what `answer` does, until the test ends.
fn server(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream);
        }
    });
    port
}

/// Reads a request and says `text`.
fn says(text: &'static str) -> u16 {
    server(move |mut stream| {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
    })
}

fn http(port: u16) -> HttpProbe {
    HttpProbe {
        endpoint: format!("http://localhost:{port}/health"),
        method: "GET".into(),
        headers: Vec::new(),
        tls_verify: true,
        expect_status: StatusSet { ranges: vec![(200, 399)], text: "200–399".into() },
        expect_body: None,
        expect_json: Vec::new(),
    }
}

fn ask(probe: HttpProbe) -> Health {
    look(&check(Probe::Http(probe), 1_000))
}

#[test]
fn http_answers_are_judged_and_redirects_not_followed() {
    assert_eq!(ask(http(says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))), Health::Healthy);
    let moved = says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(ask(http(moved)), Health::Healthy);
    let broken = ask(http(says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")));
    assert_eq!(broken, Health::Unhealthy(Failure::HttpStatus { status: 503, expected: "200–399".into() }));
    let body = |text: &str| {
        let port = says("HTTP/1.0 200 OK\r\n\r\n{\"status\":\"ok\"}");
        ask(HttpProbe { expect_body: Some(text.into()), ..http(port) })
    };
    assert_eq!(body("\"ok\""), Health::Healthy);
    assert!(matches!(body("fine"), Health::Unhealthy(Failure::Expectation(_))));
}

#[test]
fn other_methods_and_headers_reach_the_server() {
    let port = server(|mut stream| {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).unwrap();
        let request = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
        let fine =
            request.starts_with("purge /health http/1.1\r\n") && request.contains("\r\nx-key: secret\r\n");
        let status = if fine { "204 No Content" } else { "400 Bad Request" };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    });
    let from_env = |value: Option<&str>| HeaderValue::FromEnv {
        variable: "X_KEY".into(),
        value: value.map(str::to_owned),
    };
    let probe = |value| HttpProbe {
        method: "PURGE".into(),
        headers: vec![Header { name: "X-Key".into(), value }],
        ..http(port)
    };
    assert_eq!(ask(probe(from_env(Some("secret")))), Health::Healthy);
    assert_eq!(ask(probe(from_env(None))), Health::Unknown(Unknown::MissingEnv("X_KEY".into())));
    let split = ask(probe(HeaderValue::Plain("a\r\nb: c".into())));
    assert!(matches!(split, Health::Unknown(Unknown::Other(_))));
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let port = says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(ask(HttpProbe { method: method.into(), ..http(port) }), Health::Healthy, "{method}");
    }
}

#[test]
fn a_server_that_hangs_or_drips_does_not_outlast_the_time_out() {
    let timed_out = Health::Unhealthy(Failure::TimedOut { after: Duration::from_secs(1) });
    let silent = server(|stream| {
        thread::spawn(move || {
            let mut stream = stream;
            let _ = stream.read_to_end(&mut Vec::new());
        });
    });
    assert_eq!(ask(http(silent)), timed_out);
    let drip = |head: &'static str| {
        server(move |mut stream| {
            thread::spawn(move || {
                let mut sent = stream.write_all(head.as_bytes());
                while sent.is_ok() {
                    thread::sleep(Duration::from_millis(50));
                    sent = stream.write_all(b"x");
                }
            });
        })
    };
    assert_eq!(ask(http(drip("HTTP/1.1 200 "))), timed_out);
    let reading = |port| HttpProbe { expect_body: Some("absent".into()), ..http(port) };
    assert_eq!(ask(reading(drip("HTTP/1.1 200 OK\r\nX-Long: "))), timed_out);
    assert_eq!(ask(reading(drip("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))), timed_out);
    // A status that was asked for has come.
    assert_eq!(ask(http(drip("HTTP/1.1 200 OK\r\nX-Long: "))), Health::Healthy);
}

#[test]
fn refused_and_reset_connections_are_told_apart() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let to = format!("localhost:{port}");
    assert_eq!(ask(http(port)), Health::Unhealthy(Failure::Refused { to }));
    let closing = server(drop);
    let to = format!("localhost:{closing}");
    assert_eq!(ask(http(closing)), Health::Unhealthy(Failure::Reset { to }));
    let garbage = ask(http(says("SSH-2.0-OpenSSH_9.2\r\n")));
    assert!(matches!(garbage, Health::Unhealthy(Failure::Connection { .. })), "{garbage:?}");
    let tls = HttpProbe { endpoint: format!("https://localhost:{}/", says("no TLS here\r\n")), ..http(1) };
    assert!(matches!(ask(tls), Health::Unhealthy(Failure::Tls { why: Distrust::PlainText, .. })));
}

#[test]
fn many_checks_are_answered_in_order() {
    let port = says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let checks: Vec<HealthCheck> = (0..40)
        .map(|i| match i % 3 {
            0 => check(Probe::Http(http(port)), 10_000),
            1 => check(
                Probe::Tcp { host: "localhost".into(), port, closed_at_once: ClosedAtOnce::Refused },
                10_000,
            ),
            _ => shell(&format!("exit {i}")),
        })
        .collect();
    let service = ServiceName::new("svc").unwrap();
    let requests: Vec<Request<'_>> =
        checks.iter().map(|check| Request { service: &service, check, env: &[], user: None }).collect();
    for (i, look) in host().observe(&requests).into_iter().enumerate() {
        match (i % 3, look.health) {
            (2, Health::Unhealthy(Failure::Exit { code, .. })) => assert_eq!(usize::try_from(code), Ok(i)),
            (0 | 1, health) => assert_eq!(health, Health::Healthy),
            (_, health) => panic!("{health:?}"),
        }
    }
}
