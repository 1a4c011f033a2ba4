//! `recovery run` as a person meets it: what it prints where, and every exit code, each produced once.

use crate::common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::docker::skipped;
use common::fake_docker::{Answer, FakeDocker};
use common::fixture::{Fixture, LIMIT};
use common::ntfy::{Ntfy, refusal};
use common::run::{self, Finished};
use common::until::until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// A service on the machine that is up where the file `up` is there.
fn by_file(fixture: &Fixture, up: &str, restart_cmd: &str) -> Value {
    json!({
        "health_check": {"type": "custom", "command": format!("test -e {}", fixture.path(up).display())},
        "restart_cmd": restart_cmd,
        "startup_delay_seconds": 0,
        "startup_timeout_seconds": 0
    })
}

/// One service that is up.
fn well() -> Fixture {
    let mut fixture = Fixture::new();
    let web = by_file(&fixture, "web", "exit 3");
    fixture.service("web", web);
    fs::write(fixture.path("web"), "").expect("a file");
    fixture
}

/// One service that is down and cannot be brought up.
fn down() -> Fixture {
    let fixture = well();
    fs::remove_file(fixture.path("web")).expect("it was there");
    fixture
}

#[test]
fn a_dry_run_prints_exactly_this_plan() {
    let mut fake = FakeDocker::new();
    fake.containers(&[("box", "running"), ("paused", "paused")]).when("exec", Answer::RunsHere);
    let mut fixture = Fixture::new();
    let base = |fixture: &Fixture, change: &dyn Fn(&mut Value)| {
        let mut service = by_file(fixture, "never", "secret_token=abc ./start &");
        change(&mut service);
        service
    };
    fs::write(fixture.path("up"), "").expect("a file");
    let up = by_file(&fixture, "up", "exit 0");
    for (name, service) in [
        ("a-well", up),
        ("b-down", base(&fixture, &|_| ())),
        ("c-needs-b", base(&fixture, &|s| s["dependencies"] = json!(["b-down"]))),
        ("d-nothing", base(&fixture, &|s| s["restart"] = json!("none"))),
        ("e-never", base(&fixture, &|s| s["max_failures"] = json!(0))),
        ("f-needs-d", base(&fixture, &|s| s["dependencies"] = json!(["d-nothing"]))),
        ("g-stopped", base(&fixture, &|_| ())),
        ("h-held", base(&fixture, &|s| s["dependencies"] = json!(["g-stopped"]))),
        ("i-gone", base(&fixture, &|s| s["container"] = json!("gone"))),
        ("j-paused", base(&fixture, &|s| s["container"] = json!("paused"))),
        (
            "k-box",
            base(&fixture, &|s| {
                s["container"] = json!("box");
                s["restart"] = json!("container");
            }),
        ),
    ] {
        fixture.service(name, service);
    }
    fixture.fake_docker(&fake).touch_marker("g-stopped");
    let before = fixture.state_files();
    let done = fixture.run(&["run", "--dry-run"]).expect_code(1);
    let marker = fixture.path("state/manual-stop/g-stopped.stopped");
    let expected = format!(
        "\
a-well: healthy
b-down: down (exit 1): would look again, then restart it (attempt 1 of 3): secret_token=*** ./start &
c-needs-b: down (exit 1): would look again after what it depends on is back
d-nothing: down (exit 1): would be left alone, nothing to restart it with
e-never: down (exit 1): would be left alone, max_failures is 0
f-needs-d: down (exit 1): would be left alone, blocked by d-nothing
g-stopped: left alone, manually stopped (until it is removed, marker: {})
h-held: down (exit 1): would be left alone, held, g-stopped is manually stopped
i-gone: cannot be checked: no such container: gone
j-paused: cannot be checked: container paused is paused
k-box: down (exit 1): would look again, then restart it (attempt 1 of 3): docker restart box
",
        marker.display()
    );
    assert_eq!(done.stdout, expected);
    assert_eq!(done.stderr, "");
    assert_eq!((fixture.state_files(), fixture.log()), (before, String::new()));
    for action in ["start", "restart"] {
        assert_eq!(fake.calls_of(action), []);
    }
}

#[test]
fn options_go_before_and_after_the_word_run() {
    let mut fixture = well();
    let alone = by_file(&fixture, "web", "exit 0");
    fixture.service("alone", alone);
    for args in [
        &["-n", "-s", "web"][..],
        &["-n", "run", "-s", "web"],
        &["run", "-n", "-s", "web"],
        &["-s", "web", "run", "--dry-run", "--no-deps"],
        &["--no-deps", "run", "-s", "web", "-n"],
    ] {
        assert_eq!(fixture.run(args).expect_code(0).stdout, "web: healthy\n", "{args:?}");
    }
    let both = fixture.run(&["-s", "web", "-n", "run", "-s", "alone"]).expect_code(0);
    assert_eq!(both.stdout, "alone: healthy\nweb: healthy\n");
    let mut after = Command::new(env!("CARGO_BIN_EXE_recovery"));
    after.args(["run", "-n", "-s", "web", "--config"]).arg(fixture.config_path());
    assert_eq!(run::within(LIMIT, after, b"").expect_code(0).stdout, "web: healthy\n");
}

#[test]
fn the_log_goes_to_its_file_and_nothing_is_printed_into_a_pipe() {
    let fixture = well();
    let done = fixture.pass().expect_code(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
    assert_eq!(fixture.log().lines().count(), 1);

    let other = fixture.path("other.log").display().to_string();
    fixture.run(&["--log-file", &other, "--log-format", "json", "run"]).expect_code(0);
    let line: Value = serde_json::from_str(&fs::read_to_string(&other).expect("a log")).expect("one object");
    assert_eq!((&line["event"], &line["service"]), (&json!("check_passed"), &json!("web")));
    assert_eq!(fixture.log().lines().count(), 1, "the configured log is not used then");
}

#[test]
fn without_a_log_file_lines_go_to_standard_error() {
    let mut fixture = well();
    fixture.setting("log_file", Value::Null);
    let done = fixture.pass().expect_code(0);
    assert_eq!(done.stdout, "");
    assert_eq!(done.stderr.matches("Health check passed for web").count(), 1, "{}", done.stderr);
}

/// Runs it with a terminal as its standard output and error.
fn at_a_terminal(fixture: &Fixture, args: &[&str]) -> Option<Finished> {
    let program = fixture.command(args);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut command = Command::new("script");
    command.args(["-qec", &line.join(" "), "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    let known = Command::new("script").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !known {
        skipped("there is no `script` to make a terminal with");
        return None;
    }
    Some(run::within(LIMIT, command, b""))
}

#[test]
fn at_a_terminal_the_lines_are_shown_with_a_closing_summary() {
    let fixture = down();
    let Some(done) = at_a_terminal(&fixture, &["run"]) else { return };
    let shown = done.expect_code(1).stdout.replace('\r', "");
    assert_eq!(shown.matches("Failed to recover web").count(), 1, "{shown}");
    assert!(shown.ends_with("web: down, restarting did not help (exit 3): exit 1\n"), "{shown}");
    assert!(shown.contains("\u{1b}[31mERROR\u{1b}[0m"), "{shown}");
    let log = fixture.log();
    assert_eq!(log.matches("Failed to recover web").count(), 1);
    assert!(!log.contains('\u{1b}'), "no colours in a file: {log}");

    let Some(quiet) = at_a_terminal(&fixture, &["-q"]) else { return };
    assert!(!quiet.stdout.contains("web: down"), "no summary: {}", quiet.stdout);
    assert!(quiet.stdout.contains("attempting recovery..."), "phrases are never quiet: {}", quiet.stdout);
}

#[test]
fn verbose_tells_where_it_looked_and_why_it_did_not() {
    let mut fixture = well();
    let mut web = by_file(&fixture, "web", "exit 3");
    web["health_check"]["interval_seconds"] = json!(3600);
    fixture.service("web", web);
    fixture.run(&["-v"]).expect_code(0);
    let done = fixture.run(&["run", "-v"]).expect_code(0);
    assert!(done.stderr.contains("web is not due: its interval is over at "), "{}", done.stderr);
    assert!(done.stderr.contains(&fixture.config_path().display().to_string()), "{}", done.stderr);
    assert_eq!(fixture.log().lines().count(), 1, "none of it goes to the log: {}", fixture.log());
    assert_eq!(fixture.run(&["run"]).expect_code(0).stderr, "");
}

#[test]
fn a_disabled_service_that_is_asked_for_is_named() {
    let mut fixture = well();
    let mut off = by_file(&fixture, "off", "exit 0");
    off["enabled"] = json!(false);
    fixture.service("off", off);
    let done = fixture.run(&["run", "-s", "off"]).expect_code(0);
    assert_eq!(done.stderr, "warning: off is disabled in the configuration, it is not looked at\n");
}

#[test]
fn what_is_well_at_the_second_look_is_not_restarted() {
    let mut fixture = well();
    let flag = fixture.path("second").display().to_string();
    let mut web = by_file(&fixture, "web", "exit 3");
    web["health_check"]["command"] = json!(format!("test -e {flag} || {{ touch {flag}; exit 1; }}"));
    fixture.service("web", web);
    fixture.pass().expect_code(0);
    for phrase in ["Health check failed for web, attempting recovery...", "web healthy again without restart"]
    {
        assert_eq!(fixture.count(phrase), 1, "{}", fixture.log());
    }
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
}

#[test]
fn what_is_well_exits_0_and_what_is_down_1() {
    well().pass().expect_code(0);
    down().pass().expect_code(1);
}

#[test]
fn what_cannot_be_looked_at_exits_69() {
    let mut fixture = Fixture::new();
    fixture.setting("engine", json!("no-such-engine-here"));
    let mut web = by_file(&fixture, "web", "exit 0");
    web["container"] = json!("box");
    fixture.service("web", web);
    fixture.pass().expect_code(69);
    assert_eq!(
        fixture.count("command not found; install it, or set recovery.engine"),
        1,
        "{}",
        fixture.log()
    );
}

#[test]
fn a_log_or_a_state_that_cannot_be_written_exits_74_and_the_pass_goes_on() {
    let mut fixture = well();
    fixture.setting("log_file", json!("no/such/folder/recovery.log"));
    let done = fixture.pass().expect_code(74);
    assert!(
        done.stderr.contains("cannot write the log, its lines go to standard error: "),
        "{}",
        done.stderr
    );
    assert_eq!(done.stderr.matches("Health check passed for web").count(), 1, "{}", done.stderr);

    let fixture = down();
    fs::create_dir_all(fixture.path("state")).expect("a folder");
    fs::write(fixture.path("state/web.json"), "damaged").expect("a file");
    fixture.pass().expect_code(74);
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
}

#[test]
fn an_alert_that_waits_exits_75() {
    let ntfy = Ntfy::start();
    let mut fixture = down();
    fixture.ntfy(&ntfy);
    ntfy.always(Some(refusal(429, 42901, "too many requests")));
    fixture.pass().expect_code(1);
    // Up again: what is left is the alert that could not be sent.
    fs::write(fixture.path("web"), "").expect("a file");
    fixture.pass().expect_code(75);
    assert_eq!(fixture.count("1 alert waits for the next pass"), 2, "{}", fixture.log());
    ntfy.always(None);
    fixture.pass().expect_code(0);
}

#[test]
fn a_wrong_configuration_exits_78_and_wrong_usage_2() {
    let mut fixture = well();
    fixture.config["services"]["web"]["dependencies"] = json!(["wep"]);
    fixture.pass().expect_code(78);
    well().run(&["run", "--no-such-option"]).expect_code(2);
}

#[test]
fn a_signal_exits_128_and_its_number_and_the_restart_finishes_by_itself() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut fixture = down();
        let (go, up) = (fixture.path("go"), fixture.path("web"));
        let text = format!("until test -e {}; do sleep 0.05; done; touch {}", go.display(), up.display());
        let web = by_file(&fixture, "web", &text);
        fixture.service("web", web);
        let command = fixture.command(&["run"]);
        let done = std::thread::scope(|scope| {
            let pass = scope.spawn(|| run::within(LIMIT, command, b""));
            let holder = until("the restart", SOON, || {
                let lock = fs::read_to_string(fixture.path("state/web.lock")).ok()?;
                let begun = fixture.count("Executing restart command for web") > 0;
                serde_json::from_str::<Value>(&lock).ok().filter(|_| begun)?["pid"].as_u64()
            });
            let mut kill = Command::new("kill");
            kill.arg(format!("-{signal}")).arg(holder.to_string());
            run::within(LIMIT, kill, b"").expect_code(0);
            pass.join().expect("the pass is waited for")
        });
        assert_eq!(done.code, code, "{done:?}\n{}", fixture.log());
        fs::write(&go, "").expect("a file");
        until("the end of the restart", SOON, || up.exists().then_some(()));
        fixture.pass().expect_code(0);
        assert_eq!(fixture.count("Health check passed for web"), 1, "{}", fixture.log());
        assert_eq!(fixture.count("Executing restart command"), 1, "{}", fixture.log());
    }
}

#[test]
fn stats_count_the_programs_own_logs_in_both_formats_alike() {
    let mut figures = Vec::new();
    for format in ["text", "json"] {
        let fixture = down();
        for _ in 0..2 {
            fixture.run(&["--log-format", format]).expect_code(1);
        }
        fs::write(fixture.path("web"), "").expect("a file");
        fixture.run(&["--log-format", format]).expect_code(0);
        let done = fixture.run(&["stats", "--json"]).expect_code(0);
        let stats: Value = serde_json::from_str(&done.stdout).expect("one object");
        let web = &stats["services"]["web"];
        let keys =
            ["checks", "passed", "failed", "attempts", "recovered", "failed_to_recover", "success_rate"];
        figures.push(keys.map(|key| web[key].clone()));
        assert!(web["downtime_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{web}");
        let table = fixture.run(&["stats"]).expect_code(0).stdout;
        assert!(table.starts_with("SERVICE  CHECKS  PASSED  FAILED  SUCCESS  ATTEMPTS"), "{table}");
        let named = fixture.run(&["stats", "--service", "wep"]).expect_code(2);
        assert!(named.stderr.contains("did you mean \"web\"?"), "{}", named.stderr);
    }
    let expected = [json!(3), json!(1), json!(2), json!(2), json!(0), json!(2), json!(1.0 / 3.0)];
    assert_eq!(figures, [expected.clone(), expected]);
}

#[test]
fn validate_says_what_it_understood() {
    let ntfy = Ntfy::start();
    let mut fixture = well();
    fixture.ntfy(&ntfy);
    let mut needs = by_file(&fixture, "web", "exit 0");
    needs["dependencies"] = json!(["web"]);
    needs["notify_on_fail"] = Value::Null;
    fixture.service("zoo", needs);
    let done = fixture.run(&["validate"]).expect_code(0);
    let expected = format!(
        "{config}: valid, no warnings
services: 2, enabled: 2
  web: custom check on this machine, restarted by its command; told: topic alerts
  zoo: custom check on this machine, restarted by its command, needs web; told: nobody
nobody hears of: zoo
alerts: {server}
state: {folder}/state
log: {folder}/recovery.log
",
        config = fixture.config_path().display(),
        server = ntfy.url(),
        folder = fixture.path("").display().to_string().trim_end_matches('/'),
    );
    assert_eq!((done.stdout, done.stderr), (expected, String::new()));
    let said = fixture.run(&["validate", "--json"]).expect_code(0).stdout;
    let said: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!(said["valid"], json!(true));
    assert_eq!((&said["services"], &said["problems"]), (&json!(2), &json!([])));
    assert_eq!((fixture.state_files(), ntfy.requests().len()), (vec![], 0));
}
