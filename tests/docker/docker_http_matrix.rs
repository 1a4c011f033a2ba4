//! HTTP, TCP and TLS in real containers: the rows of `common::http_rows`, made by the binary in every image with the
//! tools that it has. The servers are this machine's, whose loopback the containers share.

use crate::common;

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use common::docker::{Container, require_docker, skipped};
use common::fixture::Fixture;
use common::http_rows::{Row, logged, named_rows, rough_rows, six_and_closed, tls_rows};
use common::inside::observed;
use common::rough_http::{self, Ending, Kind, Tool};
use common::server::Server;
use common::tls::Certificates;
use serde_json::json;

/// The tool that an image looks with: GNU wget is there only where the machine has one.
fn tool_of(container: &Container) -> Tool {
    let says = |text: &str| container.exec(&["sh", "-c", text]).code == 0;
    rough_http::of_container(|tool| match tool {
        "curl" => says("command -v curl"),
        _ => says("wget --version 2>&1 | grep -q GNU"),
    })
}

#[track_caller]
fn all_come_out(container: &Container, rows: &[Row]) {
    let mut fixture = Fixture::new();
    for (name, check, _) in rows {
        fixture.service(name, observed(container, check.clone()));
    }
    fixture.pass().expect_code(1);
    logged(&fixture.log(), rows);
}

fn in_image(image: &str) {
    let Some(docker) = require_docker() else { return };
    let (four, (six, closed)) = (Server::start(rough_http::answer), six_and_closed());
    // Both loopbacks have that name, as they have that of localhost in most containers; the C library takes more
    // than one line of a name only where it is told to, as Debian does.
    let told = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(told.path(), "multi on\n").expect("written");
    std::fs::set_permissions(told.path(), PermissionsExt::from_mode(0o644)).expect("readable");
    let told = format!("{}:/etc/host.conf:ro", told.path().display());
    let mut options = vec!["--network=host", "--volume", &told, "--add-host", "both.test:127.0.0.1"];
    if six.is_some() {
        options.extend(["--add-host", "both.test:::1"]);
    }
    let container = Container::start(docker, image, &options, &[]);
    let tool = tool_of(&container);
    // What takes long is tried in each shell without an engine.
    let mut rows = rough_rows(&four.url(), tool, Ending::Newline, |case| case.kind() == Kind::Quick);
    let six = six.as_ref().map(|server| server.address().port());
    for (name, check, verdict) in named_rows(four.address().port(), six, closed) {
        let text = check.to_string();
        if text.contains("localhost") {
            let check = serde_json::from_str(&text.replace("localhost", "both.test")).expect("JSON");
            let verdict = match verdict {
                rough_http::Verdict::Fails(_) => rough_http::Verdict::Fails("refused on both.test:"),
                other => other,
            };
            rows.push((format!("{name}-both"), check, verdict));
        }
        rows.push((name, check, verdict));
    }
    if let Some(six) = six {
        let check = json!({"type": "http", "endpoint": format!("http://both.test:{six}/status/200")});
        rows.push(("http-other-loopback".to_owned(), check, rough_http::Verdict::Passes));
    }
    let has = |tool: &str| container.exec(&["sh", "-c", &format!("command -v {tool}")]).code == 0;
    if !has("bash") && !has("nc") {
        for (_, _, verdict) in rows.iter_mut().filter(|(name, _, _)| name.starts_with("tcp-")) {
            *verdict = rough_http::Verdict::CannotTell("neither bash nor nc");
        }
    }
    all_come_out(&container, &rows);
}

fn with_tls(image: &str) {
    let Some(docker) = require_docker() else { return };
    let Some(certificates) = Certificates::make() else { return };
    let folder = certificates.authority();
    let folder = folder.parent().expect("it lies in a folder").display();
    let volume = format!("{folder}:/certificates:ro");
    let options = ["--network=host", "--volume", &volume, "--env", "SSL_CERT_FILE=/certificates/ca.crt"];
    let container = Container::start(docker, image, &options, &[]);
    all_come_out(&container, &tls_rows(&certificates, tool_of(&container)));
}

#[test]
fn every_answer_and_name_comes_out_with_bash_and_curl() {
    in_image("debian");
}

#[test]
fn every_answer_and_name_comes_out_with_dash_and_wget() {
    in_image("dash");
}

#[test]
fn every_answer_and_name_comes_out_with_nothing_but_busybox() {
    in_image("busybox");
}

/// A resolver that never answers is no service that does not; a tool that is not told to say so is killed.
#[test]
fn a_resolver_that_hangs_is_no_service_that_does() {
    let Some(docker) = require_docker() else { return };
    // Only root may take that port; the containers share this machine's loopback.
    let Ok(_silent) = UdpSocket::bind("127.77.0.53:53") else { return skipped("port 53 cannot be had") };
    let resolver = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(resolver.path(), "nameserver 127.77.0.53\noptions timeout:30\n").expect("written");
    std::fs::set_permissions(resolver.path(), PermissionsExt::from_mode(0o644)).expect("readable");
    let resolver = format!("{}:/etc/resolv.conf:ro", resolver.path().display());
    let check = json!({"type": "http", "endpoint": "http://db.example/", "timeout_seconds": 3});
    let verdict = rough_http::Verdict::CannotTell("could not resolve the name of db.example:80");
    // curl and GNU wget: the others are killed before they say what they waited for.
    for image in ["debian", "dash"] {
        let container = Container::start(docker, image, &["--network=host", "--volume", &resolver], &[]);
        let mut fixture = Fixture::new();
        fixture.service("silence", observed(&container, check.clone()));
        fixture.pass().expect_code(69);
        logged(&fixture.log(), &[("silence".to_owned(), check.clone(), verdict)]);
    }
}

#[test]
fn tls_comes_out_with_curl() {
    with_tls("debian");
}

#[test]
fn tls_comes_out_with_wget() {
    with_tls("dash");
}

#[test]
fn tls_comes_out_with_nothing_but_busybox() {
    with_tls("busybox");
}
