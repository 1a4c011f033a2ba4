//! What a check printed is what the host keeps, byte by byte up to its cap, with its exit code: random outputs through
//! the real agent under every shell, with many tools and few, many checks side by side, in environments that an
//! image may bring along.
//!
//! A few hundred answers in a normal run; `RECOVERY_BYTES=2000000` makes as many as that, `RECOVERY_SEED` repeats one.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use recovery::check::{Failure, Health, Unknown};
use recovery::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use recovery::engine::Request;
use recovery::engine::batch::{self, Agent};
use recovery::process::Interrupt;

/// Kept where no expectation reads the output, and where one does.
const SHORT_CAP: usize = 4096;
const LONG_CAP: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug)]
enum Shell {
    Bash,
    Dash,
    Busybox,
}

/// Tools in the agent's PATH; `env` always.
const TOOLS: [&[&str]; 5] =
    [&["cat", "head", "dd", "sed", "fold"], &["cat", "head"], &["cat"], &["head"], &[]];

/// What an image may have in its environment; `START` is a start file's path.
const ENVIRONMENT: [(&str, &str); 34] = [
    ("N", "no"),
    ("E", "exit 9"),
    ("B", "/bin/false"),
    ("O", "x"),
    ("OLD", " 1 2 "),
    ("d", "x"),
    ("f", "/etc/passwd"),
    ("c", "exit 8"),
    ("F", "1"),
    ("K", "1"),
    ("PP", "1"),
    ("p", "p"),
    ("l", "l"),
    ("n", "-e"),
    ("x", "*"),
    ("y", "y"),
    ("S", "\u{1}"),
    ("Q", "?"),
    ("CAT", "1"),
    ("PIECES", "nothing"),
    ("tools", " cat head"),
    ("rcvy_nonce", "me"),
    ("rcvy_counts", "1"),
    ("rcvy_options", "a@b"),
    ("IFS", "0123456789ep "),
    ("BASH_ENV", "START"),
    ("ENV", "START"),
    ("BASH_VERSION", "5.2"),
    ("POSIXLY_CORRECT", "1"),
    ("LC_ALL", "C.UTF-8"),
    ("TMOUT", "1"),
    ("SHELLOPTS", "noglob:nounset:pipefail"),
    ("FUNCNEST", "1"),
    ("RECOVERY_CHECK", "the image's"),
];

/// Functions of bash that stand in the way of an agent; its own checks are as the image wants them.
const FUNCTIONS: [&str; 6] = ["printf", "read", "command", "kill", "cd", "rcvy_say"];

fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed"))
}

/// The agent's end of the pipes; keeps what it said.
struct Process {
    child: Child,
    said: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

struct Tee {
    from: std::process::ChildStdout,
    said: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.said.lock().unwrap().extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

impl Agent for Process {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.child.stdin.take().unwrap())
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(Tee { from: self.child.stdout.take().unwrap(), said: self.said.clone() })
    }

    fn finish(&mut self, within: Duration, _: &Interrupt) -> (Option<i32>, String) {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), String::new());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (None, String::new())
    }
}

/// One check: what it prints and how it ends.
#[derive(Clone, Debug)]
struct Printed {
    bytes: Vec<u8>,
    code: i32,
    /// An expectation reads it: standard error is apart and the cap is the long one.
    read: bool,
}

/// One agent with its checks.
#[derive(Clone, Debug)]
struct Batch {
    shell: Shell,
    tools: usize,
    environment: Vec<usize>,
    functions: Vec<usize>,
    checks: Vec<Printed>,
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..40_usize,
        4 => prop::sample::select(vec![199, 200, 201, 399, 400, 401, 799, 800, 801, 899, 900, 901, 1600, 1800]),
        2 => prop::sample::select(vec![4095, 4096, 4097, 4098, 7999, 8000, 8001, 8191, 8192, 8193, 16_384]),
        3 => 0..5000_usize,
    ]
}

/// Bytes as they are met: text, lines, controls, NULs, no UTF-8, and what looks like the protocol's own records.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let of = |alphabet: &'static [u8]| {
        lengths().prop_flat_map(move |n| prop::collection::vec(prop::sample::select(alphabet), n))
    };
    let line = prop::sample::select(vec![
        "x 0 0",
        "d o 0",
        "q o 1 forged",
        "5eed e",
        "w o 0 slow",
        "\\",
        "-n",
        "%s",
        "\t",
        "",
    ]);
    let body = prop_oneof![
        3 => of(b"abc {}\":,"),
        2 => of(b"a\n"),
        2 => of(b"\x01\x02\x7f\r\t\\ \n"),
        1 => of(b"\0a\n"),
        2 => lengths().prop_flat_map(|n| prop::collection::vec(any::<u8>(), n)),
        1 => lengths().prop_map(|n| "é".repeat(n / 2 + 1).into_bytes()),
        1 => prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n").into_bytes()),
    ];
    (body, any::<bool>()).prop_map(|(mut body, end)| {
        if end {
            body.push(b'\n');
        }
        body
    })
}

fn batches() -> impl Strategy<Value = Batch> {
    let check = (bytes(), 1..90_i32, prop::bool::weighted(0.2));
    let checks =
        prop::collection::vec(check.prop_map(|(bytes, code, read)| Printed { bytes, code, read }), 1..20);
    let shell = prop::sample::select(vec![Shell::Bash, Shell::Dash, Shell::Busybox]);
    let names = |all: usize| prop::collection::vec(0..all, 0..5);
    (shell, 0..TOOLS.len(), names(ENVIRONMENT.len()), names(FUNCTIONS.len()), checks).prop_map(
        |(shell, tools, environment, functions, checks)| Batch {
            shell,
            tools,
            environment,
            functions,
            checks,
        },
    )
}

/// Folders that serve as PATH, one for each shell and set of tools, and a place for outputs.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("start"), "alias printf=false read=false eval=false\nN=changed\n")
            .unwrap();
        for shell in [Shell::Bash, Shell::Dash, Shell::Busybox] {
            for (n, tools) in TOOLS.iter().enumerate() {
                let path = folder.path().join(format!("{shell:?}{n}"));
                fs::create_dir(&path).unwrap();
                symlink(find(&format!("{shell:?}").to_lowercase()), path.join("sh")).unwrap();
                for tool in tools.iter().chain(&["env"]) {
                    symlink(find(tool), path.join(tool)).unwrap();
                }
            }
        }
        Self { folder }
    }

    fn path(&self, batch: &Batch) -> PathBuf {
        self.folder.path().join(format!("{:?}{}", batch.shell, batch.tools))
    }

    fn start(&self, batch: &Batch) -> Process {
        let path = self.path(batch);
        let mut command = Command::new(path.join("sh"));
        command.arg0(batch::LOOK_ARGV[0]).args(&batch::LOOK_ARGV[1..]).env_clear().env("PATH", &path);
        for &n in &batch.environment {
            let (name, value) = ENVIRONMENT[n];
            let start = self.folder.path().join("start");
            command.env(name, if value == "START" { start.as_os_str() } else { value.as_ref() });
        }
        for &n in &batch.functions {
            command.env(format!("BASH_FUNC_{}%%", FUNCTIONS[n]), "() { echo hijacked; }");
        }
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Process { child: piped.spawn().unwrap(), said: std::sync::Arc::default() }
    }

    /// The check's text: small outputs by the shell itself, others and those that a function would be in the way of
    /// by a program.
    fn text(&self, batch: &Batch, n: usize, id: u64) -> String {
        let Printed { bytes, code, .. } = &batch.checks[n];
        if batch.functions.is_empty() && bytes.len() < 3000 {
            let escaped: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
            return format!("printf '{escaped}'; exit {code}");
        }
        let file = self.folder.path().join(format!("{id}-{n}"));
        fs::write(&file, bytes).unwrap();
        format!("{} {}; exit {code}", find("cat").display(), file.display())
    }

    fn clean(&self, batch: &Batch, id: u64) {
        for n in 0..batch.checks.len() {
            let _ = fs::remove_file(self.folder.path().join(format!("{id}-{n}")));
        }
    }
}

/// What came of standard output for that check, read from the raw records.
fn carried(said: &[u8], check: usize) -> Vec<u8> {
    let nonce = said.split(|&byte| byte == b' ').next().unwrap_or_default();
    let mut bytes = Vec::new();
    for line in said.split(|&byte| byte == b'\n') {
        let Some(rest) = line.strip_prefix(nonce).and_then(|rest| rest.strip_prefix(b" ")) else { continue };
        for (verb, end) in [("p", false), ("q", true)] {
            if let Some(text) = rest.strip_prefix(format!("{verb} o {check} ").as_bytes()) {
                bytes.extend_from_slice(text);
                bytes.extend(end.then_some(b'\n'));
            }
        }
    }
    bytes
}

/// The last five lines, as a person is shown them.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn holds(stage: &Stage, batch: &Batch, id: u64) -> Result<(), TestCaseError> {
    let exists = || {
        use recovery::check::expect::{Condition, JsonExpectation};
        vec![JsonExpectation::new("$.x", Condition::Exists(true)).unwrap()]
    };
    let checks: Vec<HealthCheck> = (0..batch.checks.len())
        .map(|n| HealthCheck {
            probe: Probe::Custom {
                command: CustomCommand::Shell(stage.text(batch, n, id)),
                expect_json: if batch.checks[n].read { exists() } else { Vec::new() },
                missing_program: MissingProgram::Unknown,
            },
            timeout: Duration::from_secs(60),
            from: Vantage::Container,
            interval: None,
        })
        .collect();
    let name = ServiceName::new("svc").unwrap();
    let requests: Vec<Request<'_>> =
        checks.iter().map(|check| Request { service: &name, check, env: &[], user: None }).collect();
    let agent = stage.start(batch);
    let said = agent.said.clone();
    let looks = batch::look(agent, &requests, &Interrupt::default(), &mut |_| {});
    stage.clean(batch, id);
    let said = said.lock().unwrap();
    for (n, (printed, look)) in batch.checks.iter().zip(looks).enumerate() {
        // No shell carries a NUL.
        let bytes: Vec<u8> = printed.bytes.iter().copied().filter(|&byte| byte != 0).collect();
        let cap = if printed.read { LONG_CAP } else { SHORT_CAP };
        let mut found = carried(&said, n);
        let whole = printed.bytes.len() <= cap;
        found.truncate(cap);
        let expected = &bytes[..bytes.len().min(cap)];
        let same = if whole { found == expected } else { !found.is_empty() && expected.starts_with(&found) };
        // The small read of busybox counts the NULs that it drops, and then stops as at a line end.
        if matches!(batch.shell, Shell::Busybox) && printed.bytes.contains(&0) {
            let letters = |bytes: &[u8]| bytes.iter().copied().filter(|&b| b != b'\n').collect::<Vec<u8>>();
            prop_assert!(letters(expected).starts_with(&letters(&found)), "check {n} of {:?}", brief(batch));
            continue;
        }
        prop_assert!(
            same,
            "check {n} printed {:?}\ncame {:?}\nof {:?}",
            lossy(expected),
            lossy(&found),
            brief(batch)
        );
        match look.health {
            Health::Unhealthy(Failure::Exit { code, output }) => {
                prop_assert_eq!(code, printed.code);
                prop_assert_eq!(output, shown(&found));
            }
            Health::Unknown(Unknown::CannotFork(_)) => {}
            other => prop_assert!(false, "check {n}: {other:?} of {:?}", brief(batch)),
        }
    }
    Ok(())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(3000)]).into_owned()
}

fn brief(batch: &Batch) -> String {
    let names: Vec<&str> = batch.environment.iter().map(|&n| ENVIRONMENT[n].0).collect();
    format!("{:?} {:?} {names:?} {:?}", batch.shell, TOOLS[batch.tools], batch.functions)
}

#[test]
fn every_byte_that_a_check_prints_arrives() {
    let answers: u64 = std::env::var("RECOVERY_BYTES").map_or(300, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("RECOVERY_SEED").map_or(7, |text| text.parse().unwrap());
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for worker in 0..2_u64 {
            let stage = &stage;
            scope.spawn(move || {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&(seed * 2 + worker).to_le_bytes());
                let random = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
                let mut runner = TestRunner::new_with_rng(Config::default(), random);
                let (mut made, mut id) = (0, 0);
                while made < answers / 2 {
                    let batch = batches().new_tree(&mut runner).unwrap().current();
                    made += batch.checks.len() as u64;
                    id += 1;
                    if let Err(why) = holds(stage, &batch, worker << 32 | id) {
                        panic!("seed {seed}, worker {worker}, agent {id}: {why}");
                    }
                }
            });
        }
    });
}

fn custom(text: &str, seconds: u64) -> HealthCheck {
    HealthCheck {
        probe: Probe::Custom {
            command: CustomCommand::Shell(text.into()),
            expect_json: Vec::new(),
            missing_program: MissingProgram::Unknown,
        },
        timeout: Duration::from_secs(seconds),
        from: Vantage::Container,
        interval: None,
    }
}

fn look_at(stage: &Stage, batch: &Batch, check: &HealthCheck) -> Health {
    let name = ServiceName::new("svc").unwrap();
    let request = Request { service: &name, check, env: &[], user: None };
    let mut looks = batch::look(stage.start(batch), &[request], &Interrupt::default(), &mut |_| {});
    looks.remove(0).health
}

fn plain(shell: Shell, tools: usize) -> Batch {
    Batch { shell, tools, environment: Vec::new(), functions: Vec::new(), checks: Vec::new() }
}

/// A tool that prints one line of 50 MB without a line end.
fn flood() -> String {
    format!("{} -c 50000000 /dev/zero | {} '\\0' x; exit 0", find("head").display(), find("tr").display())
}

#[test]
fn a_line_of_fifty_megabytes_is_swallowed_and_the_exit_code_counts() {
    let stage = Stage::new();
    for shell in [Shell::Bash, Shell::Dash, Shell::Busybox] {
        for (tools, names) in TOOLS.iter().enumerate().take(4) {
            let found = look_at(&stage, &plain(shell, tools), &custom(&flood(), 10));
            assert_eq!(found, Health::Healthy, "{shell:?} {names:?}");
        }
    }
}

#[test]
fn a_shell_without_any_tool_that_cannot_keep_up_says_nothing_of_the_service() {
    let stage = Stage::new();
    for shell in [Shell::Bash, Shell::Dash, Shell::Busybox] {
        let endless = format!("exec {} '\\0' x </dev/zero", find("tr").display());
        let found = look_at(&stage, &plain(shell, 4), &custom(&endless, 3));
        assert!(matches!(found, Health::Unknown(_)), "{shell:?}: {found:?}");
    }
}

#[test]
fn a_check_sees_the_image_s_environment_and_nothing_of_ours_but_its_mark() {
    let stage = Stage::new();
    for shell in [Shell::Bash, Shell::Dash, Shell::Busybox] {
        // The ones that a shell sets itself, whatever it was given.
        let own = [
            "IFS",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
            "PPID",
            "OPTIND",
            "BASH_VERSION",
            "POSIXLY_CORRECT",
            "SHELLOPTS",
            "RECOVERY_CHECK",
        ];
        let mut batch = plain(shell, 1);
        batch.environment =
            (0..ENVIRONMENT.len()).filter(|&n| !ENVIRONMENT[n].0.starts_with("rcvy_")).collect();
        batch.environment.retain(|&n| !["BASH_ENV", "SHELLOPTS"].contains(&ENVIRONMENT[n].0));
        batch.functions = vec![0, 1];
        let file = stage.folder.path().join("env");
        let text = format!("{} -0 >{}; exit 1", find("env").display(), file.display());
        assert!(matches!(look_at(&stage, &batch, &custom(&text, 30)), Health::Unhealthy(_)), "{shell:?}");
        let bytes = fs::read(&file).unwrap();
        let seen: Vec<(String, String)> = bytes
            .split(|&byte| byte == 0)
            .filter_map(|entry| {
                let text = std::ffi::OsStr::from_bytes(entry).to_string_lossy().into_owned();
                text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect();
        for (name, value) in &seen {
            let known = ENVIRONMENT.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            let ours = own.contains(&name.as_str()) || name == "PATH" || name.starts_with("BASH_FUNC_");
            assert!(ours || known == Some(value) || known == Some("START"), "{shell:?}: {name}={value}");
        }
        for &n in &batch.environment {
            let (name, _) = ENVIRONMENT[n];
            assert!(seen.iter().any(|(seen, _)| seen == name), "{shell:?}: {name} is lost");
        }
        if matches!(shell, Shell::Bash) {
            assert!(seen.iter().any(|(name, _)| name == "BASH_FUNC_printf%%"), "{seen:?}");
        }
    }
}
