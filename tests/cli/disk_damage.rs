//! Whole passes of the binary over files of the state that are not what they should be: the service is left
//! alone, somebody is told, what was there is kept aside, and the next pass goes on.

use crate::common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::fake_docker::{Answer, FakeDocker};
use common::fixture::{Fixture, LIMIT};
use common::ntfy::Ntfy;
use common::run;
use serde_json::{Value, json};

/// A service that is down; its restarts are counted in `restarts`.
fn down(fixture: &Fixture) -> Value {
    json!({
        "display_name": "Web",
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path("up").display())},
        "restart_cmd": format!("echo x >> {}", fixture.path("restarts").display()),
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

fn restarts(fixture: &Fixture) -> usize {
    fs::read_to_string(fixture.path("restarts")).unwrap_or_default().lines().count()
}

fn fixture() -> (Fixture, Ntfy) {
    let (mut fixture, ntfy) = (Fixture::new(), Ntfy::start());
    let service = down(&fixture);
    fixture.service("web", service).ntfy(&ntfy);
    (fixture, ntfy)
}

/// Puts something in the place of a file.
type Damage = fn(&Path);

fn content(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the file is written");
}

fn fifo(path: &Path) {
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(path);
    run::within(LIMIT, mkfifo, b"").expect_code(0);
}

fn huge(path: &Path) {
    let file = fs::File::create(path).expect("the file is made");
    file.set_len(64 << 30).expect("it takes no room");
}

/// Everything that is no state; where it is a state, the file holds one before.
const DAMAGES: &[(&str, Damage)] = &[
    ("empty", |path| content(path, b"")),
    ("truncated", |path| {
        let whole = fs::read(path).unwrap_or_else(|_| b"{\"schema\": 1,".to_vec());
        content(path, &whole[..whole.len() / 2]);
    }),
    ("garbage", |path| content(path, b"\x00\xff\xfe{{{{")),
    ("zeros", |path| content(path, &[0; 4096])),
    ("another type", |path| content(path, b"[1, 2, 3]")),
    ("wrong types", |path| {
        content(path, br#"{"schema": 1, "service": 5, "status": {}, "attempts": "three"}"#);
    }),
    ("no schema", |path| content(path, b"{}")),
    ("a negative schema", |path| content(path, br#"{"schema": -1, "service": "web", "status": "healthy"}"#)),
    ("a date that is none", |path| {
        content(
            path,
            br#"{"schema": 1, "service": "web", "status": "healthy",
                 "attempts": [{"at": "2026-99-99T00:00:00Z", "result": "failed"}]}"#,
        );
    }),
    ("deep", |path| content(path, "[".repeat(1 << 20).as_bytes())),
    ("huge", huge),
    ("a folder", |path| fs::create_dir(path).expect("the folder is made")),
    ("a FIFO", fifo),
    ("a link to nowhere", |path| symlink("/nowhere/at/all", path).expect("the link is made")),
    ("a link to itself", |path| symlink(path, path).expect("the link is made")),
];

/// Where something else than a file comes, the file goes first.
fn damage(path: &Path, how: Damage, what: &str) {
    if ["a FIFO", "a folder"].contains(&what) || what.starts_with("a link") {
        let _ = fs::remove_file(path);
    }
    how(path);
}

fn set_aside(fixture: &Fixture) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture.path("state")).expect("the state folder");
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.to_string_lossy().contains("web.json.corrupt-")).collect()
}

#[test]
fn a_damaged_state_is_set_aside_told_and_not_acted_on() {
    for &(what, how) in DAMAGES {
        let (fixture, ntfy) = fixture();
        fixture.pass().expect_code(1);
        assert_eq!(restarts(&fixture), 1);
        damage(&fixture.path("state/web.json"), how, what);

        fixture.pass().expect_code(74);
        assert_eq!(restarts(&fixture), 1, "{what}: {}", fixture.log());
        // A link to itself cannot even be opened, so nobody knows what it is.
        if what != "a link to itself" {
            assert_eq!(set_aside(&fixture).len(), 1, "{what}: {}", fixture.log());
        }
        assert_eq!(ntfy.titles(), ["Web Recovery Failed", "Web Down"], "{what}: {}", fixture.log());

        if what == "a link to itself" {
            fs::remove_file(fixture.path("state/web.json")).expect("a person mends it");
        }
        fixture.pass().expect_code(1);
        assert_eq!(restarts(&fixture), 2, "{what}: it is tried again from the next pass on");
        assert!(fixture.state("web").is_some());
    }
}

#[test]
fn a_damaged_state_of_a_healthy_service_is_said_and_replaced() {
    let (fixture, ntfy) = fixture();
    content(&fixture.path("up"), b"");
    fixture.pass().expect_code(0);
    content(&fixture.path("state/web.json"), b"{");
    fixture.pass().expect_code(74);
    assert_eq!(set_aside(&fixture).len(), 1);
    assert_eq!(fixture.state("web").expect("a new one")["status"], "healthy");
    fixture.pass().expect_code(0);
    assert_eq!(ntfy.titles(), Vec::<String>::new());
}

#[test]
fn a_dry_run_leaves_a_damaged_state_where_it_is() {
    let (fixture, _ntfy) = fixture();
    fixture.pass().expect_code(1);
    content(&fixture.path("state/web.json"), b"{");
    let before = fixture.state_files();
    fixture.run(&["run", "--dry-run"]).expect_code(74);
    assert_eq!(fixture.state_files(), before);
    assert_eq!(restarts(&fixture), 1);
}

#[test]
fn one_damaged_state_holds_up_no_other_service() {
    let (mut fixture, _ntfy) = fixture();
    let mut other = down(&fixture);
    other["restart_cmd"] = json!(format!("touch {}", fixture.path("up").display()));
    fixture.service("db", other);
    let web = fixture.path("state/web.json");
    fs::create_dir_all(fixture.path("state")).expect("the state folder");
    content(&web, b"{");
    fixture.pass().expect_code(74);
    assert_eq!(fixture.count("Successfully recovered db"), 1, "{}", fixture.log());
    assert_eq!(restarts(&fixture), 0);
}

#[test]
fn a_newer_state_is_refused_kept_and_told() {
    let (fixture, ntfy) = fixture();
    fixture.pass().expect_code(1);
    let newer = r#"{"schema": 99, "what": "only a later version knows"}"#;
    content(&fixture.path("state/web.json"), newer.as_bytes());
    for _ in 0..2 {
        fixture.pass().expect_code(74);
    }
    assert_eq!(fs::read_to_string(fixture.path("state/web.json")).expect("it is there"), newer);
    assert_eq!((restarts(&fixture), set_aside(&fixture).len()), (1, 0));
    assert!(fixture.count("update recovery, or move the file away") > 0, "{}", fixture.log());
    assert_eq!(ntfy.titles()[1..], ["Web Down", "Web Down"], "it cannot remember that it was told");
    for command in ["reset", "resume"] {
        fixture.run(&[command, "web"]).expect_code(74);
    }
    assert_eq!(fs::read_to_string(fixture.path("state/web.json")).expect("it is there"), newer);
}

#[test]
fn damaged_times_of_the_last_looks_cost_one_look_and_no_more() {
    for &(what, how) in DAMAGES {
        let (mut fixture, _ntfy) = fixture();
        content(&fixture.path("up"), b"");
        fixture.config["services"]["web"]["health_check"]["interval_seconds"] = json!(3600);
        fixture.pass().expect_code(0);
        damage(&fixture.path("state/last-pass.json"), how, what);
        let code = fixture.pass().code;
        assert!([0, 74].contains(&code), "{what}: {code}");
        assert_eq!(fixture.count("Health check passed for web"), 2, "{what}: {}", fixture.log());
        assert_eq!(restarts(&fixture), 0);
    }
}

#[test]
fn a_damaged_memory_of_the_engine_hides_no_engine_that_is_gone() {
    for &(what, how) in DAMAGES {
        let (mut fixture, ntfy, mut fake) = (Fixture::new(), Ntfy::start(), FakeDocker::new());
        fake.when("", Answer::no_engine());
        let check = json!({"type": "tcp", "port": 1});
        fixture.fake_docker(&fake).ntfy(&ntfy);
        fixture.service("web", json!({"container": "box", "health_check": check}));
        let file = fixture.path("state/machine/engine.json");
        fs::create_dir_all(fixture.path("state/machine")).expect("the folder is made");
        damage(&file, how, what);
        fixture.pass().expect_code(74);
        fixture.pass();
        // What cannot even be set aside cannot remember that it was told.
        let times = if what == "a link to itself" { 2 } else { 1 };
        assert_eq!(ntfy.titles().len(), times, "{what}: {}", fixture.log());
        assert!(ntfy.titles()[0].starts_with("Docker Unreachable on "), "{what}: {:?}", ntfy.titles());
    }
}

#[test]
fn a_damaged_alert_is_set_aside_and_holds_up_no_other() {
    for &(what, how) in DAMAGES {
        let (fixture, ntfy) = fixture();
        fs::create_dir_all(fixture.path("state/outbox")).expect("the outbox");
        damage(&fixture.path("state/outbox/00000000000000000000-1-000000.json"), how, what);
        fixture.pass().expect_code(74);
        assert_eq!(ntfy.titles(), ["Web Recovery Failed"], "{what}: {}", fixture.log());
        let code = fixture.pass().code;
        assert!(code == 1 || what == "a link to itself", "{what}: {code}: {}", fixture.log());
    }
}

#[test]
fn a_marker_folder_that_is_none_restarts_nothing_and_is_told() {
    let damages: [(&str, Damage); 4] = [
        ("a file", |path| content(path, b"")),
        ("a link to nowhere", |path| symlink("/nowhere/at/all", path).expect("the link is made")),
        ("a link to itself", |path| symlink(path, path).expect("the link is made")),
        ("a FIFO", fifo),
    ];
    for (what, how) in damages {
        let (fixture, ntfy) = fixture();
        fs::create_dir_all(fixture.path("state")).expect("the state folder");
        let folder = fixture.path("state/manual-stop");
        how(&folder);
        fixture.pass().expect_code(74);
        assert_eq!(restarts(&fixture), 0, "{what}: {}", fixture.log());
        assert_eq!(ntfy.titles(), ["Web Down"], "{what}: {}", fixture.log());
        fixture.run(&["stop", "web"]).expect_code(74);
        fs::remove_file(&folder).expect("a person mends it");
        fixture.pass().expect_code(1);
        assert_eq!(restarts(&fixture), 1, "{what}");
    }
}

#[test]
fn whatever_lies_in_a_markers_place_means_stop() {
    for &(what, how) in DAMAGES {
        let (fixture, ntfy) = fixture();
        let folder = fixture.path("state/manual-stop");
        fs::create_dir_all(&folder).expect("the folder of the markers");
        damage(&folder.join("web.stopped"), how, what);
        fixture.pass().expect_code(0);
        assert_eq!(restarts(&fixture), 0, "{what}: {}", fixture.log());
        assert_eq!(fixture.count("web manually stopped, skipping auto-recovery"), 1, "{what}");
        assert_eq!(ntfy.titles(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_lock_that_cannot_be_one_restarts_nothing_and_is_told() {
    let damages: [(&str, Damage); 2] = [
        ("a folder", |path| fs::create_dir(path).expect("the folder is made")),
        ("a link to nowhere", |path| symlink("/nowhere/at/all", path).expect("the link is made")),
    ];
    for (what, how) in damages {
        let (fixture, ntfy) = fixture();
        fs::create_dir_all(fixture.path("state")).expect("the state folder");
        how(&fixture.path("state/web.lock"));
        fixture.pass().expect_code(74);
        assert_eq!(restarts(&fixture), 0, "{what}: {}", fixture.log());
        assert_eq!(ntfy.titles(), ["Web Down"], "{what}: {}", fixture.log());
    }
}

#[test]
fn an_outbox_that_is_no_folder_loses_nothing() {
    let (fixture, ntfy) = fixture();
    fs::create_dir_all(fixture.path("state")).expect("the state folder");
    content(&fixture.path("state/outbox"), b"");
    fixture.pass().expect_code(74);
    assert_eq!((restarts(&fixture), ntfy.titles()), (1, vec!["Web Recovery Failed".to_owned()]));
    fixture.pass().expect_code(74);
    assert_eq!((restarts(&fixture), ntfy.titles().len()), (2, 1), "told once: the state remembers it");
}

#[test]
fn a_state_folder_that_is_none_restarts_nothing_and_tells() {
    for what in ["a file", "a link to nowhere"] {
        let (fixture, ntfy) = fixture();
        match what {
            "a file" => content(&fixture.path("state"), b""),
            _ => symlink("/nowhere/at/all", fixture.path("state")).expect("the link is made"),
        }
        fixture.pass().expect_code(74);
        assert_eq!(restarts(&fixture), 0, "{what}: {}", fixture.log());
        assert_eq!(ntfy.titles(), ["Web Down"], "{what}: {}", fixture.log());
    }
}
