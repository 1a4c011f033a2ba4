//! The real engine behind a socket that fails: it is absent, never answers, or goes away in the middle. Nothing
//! is restarted and nothing counted; what was begun is remembered.

use crate::common;

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::docker::require_docker;
use common::fixture::{Fixture, LIMIT};
use common::inside::{attempts, cannot_look, custom, idle, uncounted};
use common::run::{self, Finished};
use common::until::until;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// A way to the real engine that can be cut.
struct Proxy {
    path: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    fn start(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let (open, cut) = (Arc::<Mutex<Vec<UnixStream>>>::default(), Arc::<AtomicBool>::default());
        let (connections, closed) = (Arc::clone(&open), Arc::clone(&cut));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut connections = connections.lock().expect("no thread panics with it");
                if closed.load(Ordering::Acquire) {
                    break;
                }
                let engine = UnixStream::connect(engine_socket()).expect("the engine listens");
                for (from, to) in [(&client, &engine), (&engine, &client)] {
                    carry(from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                }
                connections.extend([client, engine]);
            }
        });
        Self { path: path.to_owned(), open, cut }
    }

    /// Ends every connection, and takes no more.
    fn cut(&self) {
        let open = self.open.lock().expect("no thread panics with it");
        self.cut.store(true, Ordering::Release);
        for stream in open.iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn carry(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Where the engine listens; these tests are for one on this machine.
fn engine_socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    PathBuf::from(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"))
}

fn through(fixture: &mut Fixture, socket: &Path) {
    fixture.env("DOCKER_HOST", &format!("unix://{}", socket.display()));
}

/// Makes a pass through a proxy that is cut as soon as `/tmp/begun` is there in the container.
fn cut_when_begun(fixture: &mut Fixture, container: &common::docker::Container) -> Finished {
    let socket = fixture.path("engine.sock");
    let proxy = Proxy::start(&socket);
    through(fixture, &socket);
    let pass = fixture.command(&["run"]);
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| run::within(LIMIT, pass, b""));
        until("the beginning", SOON, || {
            (container.exec(&["test", "-e", "/tmp/begun"]).code == 0).then_some(())
        });
        proxy.cut();
        pass.join().expect("the pass ends")
    })
}

#[test]
fn an_engine_that_is_absent_makes_nothing_down() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let nowhere = fixture.path("nowhere.sock");
    through(&mut fixture, &nowhere);
    fixture.service("web", custom(&container, "exit 1", "exit 0"));
    cannot_look(&fixture, 4);
}

#[test]
fn an_engine_that_accepts_and_never_answers_makes_nothing_down() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let socket = fixture.path("silent.sock");
    let _silent = UnixListener::bind(&socket).expect("a socket");
    through(&mut fixture, &socket);
    fixture.service("web", custom(&container, "exit 1", "exit 0"));
    cannot_look(&fixture, 1);
    assert!(fixture.log().contains("did not answer"), "{}", fixture.log());
}

#[test]
fn an_engine_that_dies_during_a_look_makes_nothing_down() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let mut service = custom(&container, "touch /tmp/begun; sleep 5", "echo x >> /tmp/restarts");
    service["health_check"]["timeout_seconds"] = json!(20);
    fixture.service("web", service.clone());
    service["health_check"]["command"] = json!("exit 1");
    fixture.service("beside", service);
    cut_when_begun(&mut fixture, &container).expect_code(69);
    // One that failed before the cut is down as far as anybody knows, but it cannot be confirmed.
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
    assert_eq!(attempts(&fixture, "beside"), Vec::<String>::new());
    assert_eq!(fixture.count("Cannot check web"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Health check failed for web"), 0, "{}", fixture.log());
    until("the end of the check", SOON, || (container.pid_count() == 1).then_some(()));
    assert_eq!(container.lines_of("/tmp/restarts"), 0);
}

#[test]
fn an_engine_that_dies_during_a_restart_leaves_the_attempt_on_disk() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let mut fixture = Fixture::new();
    let restart = "touch /tmp/begun; echo x >> /tmp/restarts; sleep 3; touch /tmp/up";
    fixture.service("web", custom(&container, "test -e /tmp/up", restart));
    cut_when_begun(&mut fixture, &container).expect_code(69);
    assert_eq!(attempts(&fixture, "web"), ["unknown"], "{}", fixture.log());
    assert_eq!(fixture.count("Failed to recover web"), 0, "{}", fixture.log());
    // The command goes on by itself, and the next pass looks first.
    until("the end of the restart", SOON, || {
        (container.exec(&["test", "-e", "/tmp/up"]).code == 0).then_some(())
    });
    let mut fixture = fixture;
    through(&mut fixture, &engine_socket());
    fixture.pass().expect_code(0);
    assert_eq!(container.lines_of("/tmp/restarts"), 1);
    assert_eq!(attempts(&fixture, "web"), ["unknown"]);
    until("the end of all", SOON, || (container.pid_count() == 1).then_some(()));
}

#[test]
fn every_engine_trouble_is_told_once_for_the_machine() {
    let Some(docker) = require_docker() else { return };
    let container = idle(docker, "debian");
    let ntfy = common::ntfy::Ntfy::start();
    let mut fixture = Fixture::new();
    let nowhere = fixture.path("nowhere.sock");
    through(&mut fixture, &nowhere);
    fixture.ntfy(&ntfy);
    fixture.service("web", custom(&container, "exit 1", "exit 0"));
    fixture.service("beside", custom(&container, "exit 1", "exit 0"));
    fixture.pass().expect_code(69);
    assert_eq!(ntfy.titles(), Vec::<String>::new(), "a single look may be a restart of the engine");
    for _ in 0..3 {
        fixture.pass().expect_code(69);
    }
    let titles = ntfy.titles();
    assert!(matches!(&titles[..], [one] if one.starts_with("Docker Unreachable on ")), "{titles:?}");
    uncounted(&fixture);
}
