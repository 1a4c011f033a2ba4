//! HTTP and TCP checks as a matrix: every answer of `common::rough_http`, names and TLS, times every tool, times
//! every shell that may be a container's `sh`; and the program's own client beside them.

use std::path::{Path, PathBuf};

use recovery::check::Health;
use recovery::config::model::{Config, HealthCheck, ServiceName};
use recovery::config::read::read;
use recovery::engine::Request;
use recovery::engine::host::Host;
use recovery::process::Interrupt;
use serde_json::json;

use crate::common::fixture::Fixture;
use crate::common::http_rows::{Row, logged, named_rows, rough_rows, six_and_closed, tls_rows};
use crate::common::rough_http::Verdict::{CannotTell, Fails, Passes};
use crate::common::rough_http::{self, Ending, Kind, Tool, Verdict};
use crate::common::server::{Reply, Server};
use crate::common::shells::ShellContainer;
use crate::common::tls::Certificates;

/// What a container has beside its shell, by the tool that it looks with.
const TOOLS: [(Tool, &str); 3] =
    [(Tool::Curl, "curl"), (Tool::GnuWget, "wget"), (Tool::SmallWget, "wget=busybox")];

/// These checks as the configuration makes them.
fn configured(rows: &[Row]) -> Vec<HealthCheck> {
    let services = rows.iter().map(|(name, check, _)| {
        let service = json!({"container": "c", "restart": "none", "health_check": check});
        (name.clone(), service)
    });
    let text = json!({"services": services.collect::<serde_json::Map<_, _>>()}).to_string();
    let (config, problems) =
        read(text.as_bytes(), Path::new("/cfg/c.json"), PathBuf::from("/state"), &|_| None);
    let config: Config = config.unwrap_or_else(|| panic!("{problems:?}"));
    let check = |(name, _, _): &Row| {
        let name = ServiceName::new(name).expect("a valid name");
        config.service(&name).expect("a service").check.clone()
    };
    rows.iter().map(check).collect()
}

/// Makes all of them in one go.
fn healths(rows: &[Row], observe: impl Fn(&[Request<'_>]) -> Vec<Health>) -> Vec<Health> {
    let checks = configured(rows);
    let service = ServiceName::new("svc").expect("a valid name");
    let request = |check| Request { service: &service, check, env: &[], user: None };
    observe(&checks.iter().map(request).collect::<Vec<_>>())
}

/// Every one has come to what it must.
#[track_caller]
fn all_hold(who: &str, rows: &[Row], found: &[Health]) {
    let wrong: Vec<String> = rows
        .iter()
        .zip(found)
        .filter(|((_, _, verdict), health)| !holds(*verdict, health))
        .map(|((name, _, verdict), health)| format!("{name}: {verdict:?} wanted, {health:?} found"))
        .collect();
    assert!(wrong.is_empty(), "{who}:\n{}", wrong.join("\n"));
}

fn holds(verdict: Verdict, health: &Health) -> bool {
    match (verdict, health) {
        (Passes, Health::Healthy) => true,
        (Fails(part), Health::Unhealthy(failure)) => failure.to_string().contains(part),
        (CannotTell(part), Health::Unknown(why)) => why.to_string().contains(part),
        _ => false,
    }
}

/// A shell, and how the bodies end that it reads.
#[derive(Debug)]
struct Reader {
    shell: &'static str,
    /// Beside what all have.
    tools: &'static [&'static str],
    ending: Ending,
}

const fn reader(shell: &'static str, tools: &'static [&'static str], ending: Ending) -> Reader {
    Reader { shell, tools, ending }
}

const READERS: [Reader; 7] = [
    reader("bash", &[], Ending::Newline),
    reader("busybox", &[], Ending::Newline),
    reader("dash", &["head", "dd", "sed", "fold"], Ending::Newline),
    reader("bash", &[], Ending::Bare),
    reader("busybox", &[], Ending::Bare),
    reader("dash", &[], Ending::Bare),
    reader("dash", &["head", "dd", "sed", "fold"], Ending::Bare),
];

impl Reader {
    /// Shells read a byte at a time where no tool helps them, and what waits for its time is waited for once.
    fn has_time_for(&self, case: &rough_http::Case) -> bool {
        match case.kind() {
            Kind::Quick => true,
            Kind::Late => self.ending == Ending::Newline,
            Kind::Long => self.tools.contains(&"fold"),
        }
    }
}

/// The rows as each tool under each of these shells makes them.
#[track_caller]
fn in_containers(readers: &[Reader], rows: impl Fn(Tool, &Reader) -> Vec<Row>, env: &[(&str, &str)]) {
    for (tool, program) in TOOLS {
        for reader in readers {
            let rows = rows(tool, reader);
            // Without bash a plain shell asks nc, which has something run where it connects.
            let mut tools = vec![program, "cat", "env", "nc=busybox", "true"];
            tools.extend(reader.tools);
            tools.extend((reader.shell == "bash").then_some("bash"));
            let Some(mut container) = ShellContainer::new(reader.shell, &tools) else { return };
            for (name, value) in env {
                container = container.env(name, value);
            }
            let found = healths(&rows, |requests| {
                container.look(requests).into_iter().map(|look| look.health).collect()
            });
            all_hold(&format!("{tool:?}, {reader:?}"), &rows, &found);
        }
    }
}

#[track_caller]
fn from_the_machine(rows: &[Row]) {
    let host = Host::new(16, Interrupt::default(), PathBuf::from("/opt/recovery"));
    let found =
        healths(rows, |requests| host.observe(requests).into_iter().map(|look| look.health).collect());
    all_hold("the machine", rows, &found);
}

#[test]
fn every_answer_is_judged_alike_by_every_tool_under_every_shell() {
    let server = Server::start(rough_http::answer);
    let rows = |tool, reader: &Reader| {
        rough_rows(&server.url(), tool, reader.ending, |case| reader.has_time_for(case))
    };
    in_containers(&READERS, rows, &[]);
}

#[test]
fn every_answer_is_judged_so_from_the_machine_too() {
    let server = Server::start(rough_http::answer);
    for ending in [Ending::Bare, Ending::Newline] {
        from_the_machine(&rough_rows(&server.url(), Tool::Machine, ending, |_| true));
    }
}

#[test]
fn a_name_leads_to_whoever_listens_on_one_of_its_addresses() {
    let four = Server::start(rough_http::answer);
    let (six, closed) = six_and_closed();
    let port = six.as_ref().map(|server| server.address().port());
    let rows = named_rows(four.address().port(), port, closed);
    in_containers(&READERS, |_, _| rows.clone(), &[]);
    from_the_machine(&rows);
}

#[test]
fn what_a_tool_cannot_send_is_not_sent_as_something_else() {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = std::sync::Arc::clone(&asked);
    let server = Server::start(move |request| {
        heard.lock().expect("no test panics while it holds this").push(request.method.clone());
        Reply::status(200, "")
    });
    let check = json!({"type": "http", "method": "HEAD", "endpoint": server.url(), "timeout_seconds": 10});
    in_containers(
        &READERS[..3],
        |tool, _| {
            let verdict = if tool == Tool::SmallWget { CannotTell("cannot send HEAD") } else { Passes };
            vec![("head".to_owned(), check.clone(), verdict)]
        },
        &[],
    );
    assert_eq!(*asked.lock().expect("no test panics while it holds this"), ["HEAD"; 6]);
}

#[test]
fn trouble_with_tls_is_told_apart_by_every_tool_under_every_shell() {
    let Some(certificates) = Certificates::make() else { return };
    let authority = certificates.authority();
    let authority = authority.to_str().expect("a path of text");
    in_containers(&READERS[..3], |tool, _| tls_rows(&certificates, tool), &[("SSL_CERT_FILE", authority)]);
}

#[test]
fn trouble_with_tls_is_told_apart_from_the_machine_and_restarts_nothing_that_lives() {
    let Some(certificates) = Certificates::make() else { return };
    let rows = tls_rows(&certificates, Tool::Machine);
    let mut fixture = Fixture::new();
    fixture.env("SSL_CERT_FILE", certificates.authority().to_str().expect("a path of text"));
    for (name, check, _) in &rows {
        fixture.service(name, json!({"restart": "none", "health_check": check}));
    }
    fixture.pass().expect_code(1);
    logged(&fixture.log(), &rows);
}

#[test]
fn a_password_in_an_endpoint_reaches_no_line_that_is_kept() {
    let server = Server::start(rough_http::answer);
    let endpoint = format!("HTTP://anna:p%40ss@{}/basic?x=1", server.address());
    let mut fixture = Fixture::new();
    for (name, endpoint) in [
        ("good", endpoint.clone()),
        ("wrong", endpoint.replace("p%40ss", "p%41ss")),
        ("broken", endpoint.replace("/basic", "/nothing").replace("p%40ss", "p%42ss")),
    ] {
        let check = json!({"type": "http", "endpoint": endpoint});
        fixture.service(name, json!({"restart": "none", "health_check": check}));
    }
    let done = fixture.run(&["run", "-v"]).expect_code(1);
    let dry = fixture.run(&["run", "--dry-run"]);
    let explained = fixture.run(&["explain", "wrong"]);
    let mut texts = vec![fixture.log(), done.stderr, done.stdout, dry.stdout, dry.stderr, explained.stdout];
    texts.extend(fixture.state_files().into_iter().map(|(_, text)| text));
    for text in texts {
        for secret in ["p%40ss", "p@ss", "p%41ss", "pAss", "p%42ss", "YW5uYTp"] {
            assert!(!text.contains(secret), "{secret} in:\n{text}");
        }
    }
    assert_eq!(fixture.count("Health check passed for good "), 1);
}
