//! An engine behind a proxy that lets questions through and answers all else with a page, as those do that guard its
//! socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::common;

use common::docker::{Container, require_docker};
use common::fixture::Fixture;
use common::inside::custom;
use common::ntfy::Ntfy;
use common::server::{Reply, Request, Server};
use serde_json::{Value, json};

const FORBIDDEN: &str =
    "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>";

fn guard(request: &Request) -> Reply {
    if request.method == "GET" || request.method == "HEAD" {
        return pass_on(request).unwrap_or(Reply::Close);
    }
    Reply::Http(403, vec![("Content-Type".into(), "text/html".into())], FORBIDDEN.into())
}

fn pass_on(request: &Request) -> std::io::Result<Reply> {
    let mut engine = UnixStream::connect("/var/run/docker.sock")?;
    // An old version of HTTP, whose answers are neither cut into pieces nor followed by another.
    write!(engine, "{} {} HTTP/1.0\r\nHost: engine\r\n\r\n", request.method, request.path)?;
    let mut answer = String::new();
    engine.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(502);
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let kept =
        headers.filter(|(name, _)| !["content-length", "connection"].contains(&name.to_lowercase().as_str()));
    Ok(Reply::Http(status, kept.map(|(name, value)| (name.into(), value.into())).collect(), body.into()))
}

fn guarded(server: &Server, service: Value, ntfy: &Ntfy) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.env("DOCKER_HOST", &format!("tcp://{}", server.address())).service("web", service).ntfy(ntfy);
    fixture
}

#[test]
fn a_proxy_that_forbids_exec_is_told_as_that_and_restarts_nothing() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "busybox", &[], &[]);
    let (server, ntfy) = (Server::start(guard), Ntfy::start());
    let fixture = guarded(&server, custom(&container, "false", "touch /tmp/restarted"), &ntfy);
    let before = container.state();
    fixture.pass().expect_code(69);
    fixture.pass().expect_code(69);
    let why =
        "the proxy before it does not allow exec: 403 Forbidden Request forbidden by administrative rules.";
    let log = fixture.log();
    assert_eq!(
        log.lines().filter(|line| line.contains("Cannot check web") && line.contains(why)).count(),
        2,
        "{log}"
    );
    assert!(!log.contains("</body>"), "{log}");
    assert_eq!(ntfy.titles().len(), 1, "{:?}", ntfy.titles());
    assert_eq!(container.state(), before);
}

#[test]
fn a_proxy_that_forbids_a_start_has_not_let_it_through() {
    let Some(docker) = require_docker() else { return };
    let container = Container::start(docker, "busybox", &[], &["sh", "-c", "exit 3"]);
    container.wait_for("exited");
    let (server, ntfy) = (Server::start(guard), Ntfy::start());
    let mut service = custom(&container, "true", "");
    service["restart_cmd"] = Value::Null;
    service["restart"] = json!("container");
    let fixture = guarded(&server, service, &ntfy);
    fixture.pass().expect_code(1);
    let log = fixture.log();
    let why = "the proxy before it does not allow to start and restart containers: 403 Forbidden";
    assert!(log.lines().any(|line| line.contains("Failed to recover web") && line.contains(why)), "{log}");
    assert_eq!(ntfy.titles().len(), 1, "{:?}", ntfy.titles());
}
