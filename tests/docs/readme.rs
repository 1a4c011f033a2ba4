//! What the README says is so: its commands run, its JSON is read by the program, its phrases, options and
//! exit codes exist.

use crate::common;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::fixture::{Fixture, LIMIT};
use common::readme::{Block, blocks};
use common::run::{self, Finished};
use common::until::until;
use recovery::exit_code::ExitCode;
use regex::Regex;

/// The phrases that people search the log for.
const PHRASES: [&str; 13] = [
    "Health check passed for S",
    "Health check failed for S, attempting recovery...",
    "Health check failed for S, not attempting recovery",
    "Executing restart command for S",
    "Successfully recovered S",
    "Failed to recover S",
    "S exceeded max failures",
    "S manually stopped, skipping auto-recovery",
    "S is blocked by D",
    "S healthy again without restart",
    "Cannot check S",
    "Executing fallback command for S",
    "S is degraded",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("there is a README")
}

fn blocks_of(language: &str) -> Vec<Block> {
    let mut found = blocks(&readme());
    found.retain(|block| block.language == language);
    found
}

/// `recovery` with these arguments in an environment of nothing but PATH and HOME.
fn recovery(folder: &Path, args: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recovery"));
    command.args(args).current_dir(folder).env_clear().env("HOME", folder);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    run::within(LIMIT, command, b"")
}

#[test]
fn its_two_commands_are_the_ones_that_ci_runs() {
    let commands: Vec<_> = blocks_of("sh").into_iter().map(|block| block.text).collect();
    assert_eq!(commands, ["cargo run --locked --quiet\n", "cargo test --locked\n"]);
}

/// The first command, as it runs on a fresh machine: a copy of the shipped configuration, another port, since
/// somebody may be trying it out right now.
#[test]
fn its_first_command_finds_the_demo_service_dead_and_starts_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let shipped = fs::read_to_string(root().join("config/system-config.json")).expect("it ships");
    let address = Regex::new(r"(127\.0\.0\.1|localhost):\d+").expect("a valid expression");
    fs::create_dir(folder.path().join("config")).expect("a folder");
    let copy = address.replace_all(&shipped, format!("$1:{port}"));
    fs::write(folder.path().join("config/system-config.json"), &*copy).expect("a copy");
    let _demo = Demo(port);

    let first = recovery(folder.path(), &[]).expect_code(0);
    let said = everything_said(folder.path(), &first);
    assert_eq!(said.matches("Successfully recovered ").count(), 1, "{said}");
    assert_eq!(said.matches("Health check passed for ").count(), 0, "{said}");

    let second = recovery(folder.path(), &[]).expect_code(0);
    let said = everything_said(folder.path(), &second);
    assert_eq!(
        said.matches("Successfully recovered ").count(),
        said.matches("attempting recovery...").count()
    );
    let name = Regex::new("`Health check passed for ([a-z-]+)`").expect("a valid expression");
    let text = readme();
    let promised = &name.captures(&text).expect("the README tells what the second run says")[1];
    assert!(said.contains(&format!("Health check passed for {promised}")), "{said}");
}

#[test]
fn the_configurations_it_and_the_reference_show_are_valid() {
    let reference = fs::read_to_string(root().join("docs/configuration.md")).expect("there is a reference");
    let mut examples = blocks(&reference);
    // Its fragments are completed and read by another test.
    examples.retain(|block| block.language == "json" && block.text.contains("\"services\":"));
    assert!(!examples.is_empty(), "the reference shows a whole file");
    let own = blocks_of("json");
    assert!(!own.is_empty(), "and so does the README");
    examples.extend(own);
    for block in examples {
        let mut fixture = Fixture::new();
        fixture.config =
            serde_json::from_str(&block.text).unwrap_or_else(|e| panic!("line {}: {e}", block.line));
        fixture.run(&["validate"]).expect_code(0);
    }
}

#[test]
fn the_shipped_configuration_is_valid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("system-config.json");
    fs::copy(root().join("config/system-config.json"), copy).expect("it ships");
    recovery(folder.path(), &["-c", "system-config.json", "validate"]).expect_code(0);
}

#[test]
fn its_shell_examples_can_be_read_by_a_shell() {
    for block in blocks_of("bash").iter().chain(&blocks_of("sh")) {
        let mut command = Command::new("bash");
        command.arg("-n");
        let read = run::within(LIMIT, command, block.text.as_bytes());
        assert_eq!(read.code, 0, "line {}: {}", block.line, read.stderr);
    }
}

#[test]
fn its_crontab_line_is_the_shipped_one() {
    let shipped = fs::read_to_string(root().join("contrib/crontab")).expect("it ships");
    for block in blocks_of("crontab") {
        assert!(shipped.lines().any(|line| line == block.text.trim_end()), "{}", block.text);
    }
}

#[test]
fn every_phrase_of_its_table_is_one_of_the_log() {
    let quoted = Regex::new(r"(?m)^\| `([^`]+)` \|").expect("a valid expression");
    let text = readme();
    let section =
        text.split("## When it does not recover").nth(1).and_then(|rest| rest.split("\n## ").next());
    let section = section.expect("it has that section");
    let told: Vec<_> = quoted.captures_iter(section).map(|found| found[1].to_owned()).collect();
    assert!(told.len() >= 8, "{told:?}");
    for phrase in told {
        assert!(PHRASES.contains(&phrase.as_str()), "{phrase}");
    }
}

#[test]
fn its_exit_codes_are_those_of_the_program() {
    use ExitCode::{CannotLook, Config, Down, Io, Ok, TryAgain, Usage};
    let row = Regex::new(r"(?m)^\| (\d+) \|").expect("a valid expression");
    let told: BTreeSet<u8> = row.captures_iter(&readme()).map(|f| f[1].parse().expect("a number")).collect();
    let real = [Ok, Down, Usage, CannotLook, Io, TryAgain, Config].map(ExitCode::number);
    assert_eq!(told, BTreeSet::from(real));
}

#[test]
fn every_file_it_points_to_is_there() {
    let link = Regex::new(r"\]\(([^)#:]+)\)").expect("a valid expression");
    for page in
        ["README.md", "CONTRIBUTING.md", "docs/design.md", "docs/configuration.md", "docs/decisions.md"]
    {
        let page = root().join(page);
        let text = fs::read_to_string(&page).expect("the page is there");
        for target in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            let target = page.parent().expect("a page lies in a folder").join(target);
            assert!(target.exists(), "{} → {}", page.display(), target.display());
        }
    }
}

/// Every `recovery …` that it writes, in blocks and in the text, is a subcommand with such options.
#[test]
fn every_command_it_writes_exists() {
    let inline = Regex::new(r"`(?:sudo )?recovery ([^`]+)`").expect("a valid expression");
    let in_block = Regex::new(r"(?m)^(?:sudo )?recovery (.+)$").expect("a valid expression");
    let text = readme();
    let shell: String = blocks_of("bash").into_iter().map(|block| block.text).collect();
    let written = inline.captures_iter(&text).chain(in_block.captures_iter(&shell));
    let written: BTreeSet<String> = written.map(|found| found[1].to_owned()).collect();
    assert!(written.len() >= 5, "{written:?}");
    for line in written {
        let subcommand = line.split(' ').next().expect("a word");
        let help = recovery(root(), &[subcommand, "--help"]).expect_code(0).stdout;
        for option in line.split(' ').filter(|word| word.starts_with('-')) {
            assert!(help.contains(option), "recovery {line}: no {option}");
        }
    }
}

/// What a pass said, wherever the configuration sends its log.
fn everything_said(folder: &Path, finished: &Finished) -> String {
    let mut said = finished.stderr.clone();
    for file in logs(&folder.join("config")) {
        said.push_str(&fs::read_to_string(file).unwrap_or_default());
    }
    said
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = |path: PathBuf| if path.is_dir() { logs(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.extension().is_some_and(|e| e == "log")).collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The demo service that a pass starts outlives it, as it should; this ends it.
struct Demo(u16);

impl Drop for Demo {
    fn drop(&mut self) {
        use std::io::Write;
        if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.0)) {
            let _ = write!(stream, "GET /crash HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let gone = || std::net::TcpStream::connect(("127.0.0.1", self.0)).is_err().then_some(());
            until("the end of the demo service", std::time::Duration::from_secs(10), gone);
        }
    }
}
