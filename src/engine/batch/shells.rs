//! The agent in the real shells of this machine, fed with whatever a check may print, in hostile environments:
//! no byte is lost, none is added. `RECOVERY_BYTES=2000000` asks for so many answers; a few hundred else.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::dialogue::Conversation;
use super::driver::Line;
use super::{Agent, LOOK_ARGV, script, speak};
use crate::check::expect::{Condition, JsonExpectation};
use crate::check::judge::{LONG_CAP, SHORT_CAP};
use crate::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use crate::engine::Request;
use crate::process::{self, Interrupt};

struct Process(Child);

impl Agent for Process {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.0.stdin.take().unwrap())
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(self.0.stdout.take().unwrap())
    }

    fn finish(&mut self, within: Duration, _: &Interrupt) -> (Option<i32>, String) {
        process::wait(&mut self.0, Instant::now() + within, &Interrupt::default());
        process::end(&mut self.0, Duration::ZERO);
        (None, String::new())
    }
}

/// A small generator: the same seed, the same numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Lengths around all that is counted anywhere.
fn length(random: &mut Random) -> usize {
    let around = [0, 1, 200, 400, 799, 800, 801, 899, 900, 901, 1600, 1800, SHORT_CAP, SHORT_CAP + 1, 4800];
    match random.below(4) {
        0 => random.below(40),
        1 => random.below(1200),
        _ => (random.pick(&around) + random.below(3)).saturating_sub(1),
    }
}

/// Anything a check may print but NUL, which no shell can read.
fn bytes(random: &mut Random) -> Vec<u8> {
    let length = length(random);
    let alphabet: &[u8] = random.pick::<&[u8]>(&[
        b"x",
        b"ab \t",
        b"a\n",
        b"\n",
        b"\x01aeX\n",
        b"\x01",
        b"\\'\"$`*?[%s\n",
        b"\xc3\xa9\xff\x80z\n",
        b"\r\n-n ",
        b"\x1b\x7f\x02\n0",
    ]);
    let mut text: Vec<u8> = (0..length).map(|_| *random.pick(alphabet)).collect();
    match random.below(6) {
        0 => text.extend_from_slice(b"0123 x 0 0\nabc d o 1\n"),
        1 => text.push(b'\n'),
        2 => text.extend_from_slice(b"\x01e"),
        _ => {}
    }
    text
}

/// A shell text that prints that by itself: all that could mean anything is written as an octal number.
fn printf(text: &[u8]) -> String {
    let escape = |&byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("printf -- '{}'", text.iter().map(escape).collect::<String>())
}

/// A machine of one shell and some tools.
struct Machine {
    bin: tempfile::TempDir,
    what: String,
    quick: bool,
}

impl Machine {
    fn new(shell: &str, tools: &[&str]) -> Option<Self> {
        let bin = tempfile::tempdir().unwrap();
        symlink(process::find_program(shell, &[])?, bin.path().join("sh")).unwrap();
        for tool in tools {
            symlink(process::find_program(tool, &[])?, bin.path().join(tool)).unwrap();
        }
        let quick = shell != "dash" || tools.contains(&"fold");
        Some(Self { bin, what: format!("{shell} {tools:?}"), quick })
    }

    fn start(&self, env: &[(String, String)]) -> Process {
        let mut command = Command::new(self.bin.path().join("sh"));
        command.arg0(LOOK_ARGV[0]).args(&LOOK_ARGV[1..]).env_clear();
        command.envs(env.iter().map(|(name, value)| (name, value))).env("PATH", self.bin.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        Process(command.spawn().unwrap())
    }
}

fn machines() -> Vec<Machine> {
    let all: [(&str, &[&str]); 9] = [
        ("dash", &["cat", "head", "sed", "fold"]),
        ("dash", &["cat", "head"]),
        ("dash", &["cat", "dd", "sed", "fold"]),
        ("dash", &["cat", "sed", "fold"]),
        ("dash", &["bash", "cat", "head", "sed", "fold"]),
        ("dash", &[]),
        ("bash", &["cat"]),
        ("busybox", &["cat"]),
        ("busybox", &[]),
    ];
    let found: Vec<Machine> = all.iter().filter_map(|(shell, tools)| Machine::new(shell, tools)).collect();
    assert!(
        found.len() == all.len() || std::env::var_os("CI").is_none(),
        "dash, bash, busybox and coreutils are needed"
    );
    found
}

/// What an image may have in its environment, by names that shells and scripts like to use.
fn environment(random: &mut Random) -> Vec<(String, String)> {
    let names = [
        "N",
        "E",
        "B",
        "O",
        "OLD",
        "d",
        "f",
        "c",
        "p",
        "l",
        "n",
        "x",
        "y",
        "s",
        "i",
        "F",
        "K",
        "T",
        "PP",
        "S",
        "Q",
        "CAT",
        "PIECES",
        "IFS",
        "LC_ALL",
        "LANG",
        "PS4",
        "CDPATH",
        "TMOUT",
        "OPTIND",
        "POSIXLY_CORRECT",
        "BASH_ENV",
        "ENV",
        "SHELLOPTS",
        "BASHOPTS",
        "GREP_OPTIONS",
        "RCVY_T",
        "tools",
        "left",
        "more",
        "BASH_FUNC_printf%%",
        "BASH_FUNC_read%%",
        "BASH_FUNC_cat%%",
        "BASH_FUNC_say%%",
    ];
    let mut chosen = Vec::new();
    for name in names {
        if random.below(3) > 0 {
            continue;
        }
        let value = match name {
            "SHELLOPTS" => random.pick(&["allexport", "noglob:nounset", "errexit:xtrace", "posix:noclobber"]),
            "BASHOPTS" => "extglob:nullglob",
            "TMOUT" => "1",
            // Any other value ends dash itself before its first command.
            "OPTIND" => "3",
            "BASH_ENV" | "ENV" => "/dev/null",
            // A locale that is not there makes bash say so in every check, before its own words.
            "LC_ALL" | "LANG" => random.pick(&["C", "C.UTF-8", "POSIX"]),
            _ if name.starts_with("BASH_FUNC") => "() { exit 99; }",
            _ => random.pick(&["1", "", "a b", "*", "\n", "é", "x'y", "0"]),
        };
        chosen.push((name.to_owned(), (*value).to_owned()));
    }
    chosen
}

/// A check and what it must come to.
struct Case {
    check: HealthCheck,
    code: i32,
    printed: Vec<u8>,
    cap: usize,
}

fn case(random: &mut Random, rest: &Rest<'_>) -> Case {
    let code = *random.pick(&[0, 1, 3, 99, 255]);
    // Rarely as much as an expectation may read, and around it.
    let large = rest.quick && random.below(rest.side_by_side * 10) == 0;
    let reads = large || random.below(3) == 0;
    let (text, printed) = if large {
        let number = random.below(4);
        let file = rest.folder.join(format!("large-{number}"));
        (format!("{} '{}'", rest.cat.display(), file.display()), fs::read(&file).unwrap())
    } else {
        let printed = bytes(random);
        (printf(&printed), printed)
    };
    let expect_json =
        if reads { vec![JsonExpectation::new("$", Condition::Exists(true)).unwrap()] } else { vec![] };
    let command = CustomCommand::Shell(format!("{text}; exit {code}"));
    let probe = Probe::Custom { command, expect_json, missing_program: MissingProgram::Unknown };
    let check =
        HealthCheck { probe, timeout: Duration::from_secs(120), from: Vantage::Container, interval: None };
    Case { check, code, printed, cap: if reads { LONG_CAP } else { SHORT_CAP } }
}

/// What all agents share.
struct Rest<'a> {
    folder: &'a Path,
    cat: &'a Path,
    /// The agent has tools to read long lines with; a plain shell alone takes minutes for megabytes.
    quick: bool,
    /// How many checks an agent makes at most.
    side_by_side: usize,
}

fn play(machine: &Machine, seed: u64, rest: &Rest<'_>) -> usize {
    let mut random = Random(seed);
    let cases: Vec<Case> = (0..=random.below(rest.side_by_side)).map(|_| case(&mut random, rest)).collect();
    let env = environment(&mut random);
    let name = ServiceName::new("svc").unwrap();
    let request = |case| Request { service: &name, check: case, env: &[], user: None };
    let requests: Vec<Request<'_>> = cases.iter().map(|case| request(&case.check)).collect();
    let nonce = format!("{:032x}", random.next());
    let line = Line::open(machine.start(&env), script::look(&nonce, &format!("m{nonce}"), &requests));
    let mut talk = Conversation::new(&nonce, &requests);
    let why = speak(&line, &mut talk, &Interrupt::default(), &mut |_| {});
    line.close(&Interrupt::default());
    let context = || format!("{} seed {seed} env {env:?}", machine.what);
    assert_eq!(why, None, "{}", context());
    for (index, case) in cases.iter().enumerate() {
        let Some((answer, _)) = talk.answer(index) else {
            panic!("{}: no answer of check {index}", context())
        };
        let kept = &case.printed[..case.printed.len().min(case.cap)];
        let told = || {
            let probe: String = format!("{:?}", case.check.probe).chars().take(300).collect();
            format!("{}: check {index}, cap {}, {probe}", context(), case.cap)
        };
        assert_eq!(answer.code, case.code, "{}", told());
        if answer.out.bytes != kept {
            let at = answer.out.bytes.iter().zip(kept).position(|(a, b)| a != b);
            panic!("{}: {} bytes of {}, other from {at:?} on", told(), answer.out.bytes.len(), kept.len());
        }
        assert_eq!(answer.out.truncated, case.printed.len() > case.cap, "{}", told());
    }
    cases.len()
}

#[test]
fn whatever_a_check_prints_no_byte_is_lost_and_none_is_added() {
    let wanted = std::env::var("RECOVERY_BYTES").ok().and_then(|n| n.parse().ok()).unwrap_or(600_usize);
    let first = std::env::var("RECOVERY_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1_u64);
    let folder = tempfile::tempdir().unwrap();
    for (number, length) in [LONG_CAP - 1, LONG_CAP, LONG_CAP + 1, 3 * LONG_CAP].into_iter().enumerate() {
        let mut random = Random(number as u64);
        let line = [100, 799, 5000, usize::MAX][number];
        let text =
            (0..length).map(|at| if at % line == line - 1 { b'\n' } else { *random.pick(b"{}\x01ae, ") });
        let text: Vec<u8> = text.collect();
        fs::write(folder.path().join(format!("large-{number}")), text).unwrap();
    }
    let cat = process::find_program("cat", &[]).unwrap_or_else(|| PathBuf::from("/bin/cat"));
    let machines = machines();
    // In a long run the start of an agent is not what takes the time.
    let side_by_side = if wanted > 10_000 { 1000 } else { 40 };
    let (done, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < wanted {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let machine = &machines[turn % machines.len()];
                    let rest = Rest { folder: folder.path(), cat: &cat, quick: machine.quick, side_by_side };
                    let answers = play(machine, first + turn as u64, &rest);
                    done.fetch_add(answers, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(done.into_inner() >= wanted);
}

/// What a shell itself puts into the environment of what it starts.
const A_SHELLS_OWN: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];

#[test]
fn a_check_finds_the_environment_of_its_image_and_nothing_of_ours_but_its_mark() {
    let own = |line: &str| {
        let name = line.split('=').next().unwrap_or_default();
        !line.is_empty() && !A_SHELLS_OWN.contains(&name)
    };
    for shell in ["dash", "bash", "busybox"] {
        let Some(machine) = Machine::new(shell, &["env", "cat"]) else { continue };
        for seed in 0..20 {
            let mut random = Random(seed);
            // What bash itself makes of these as it starts is not ours.
            let odd = |name: &str| {
                name.starts_with("BASH_FUNC")
                    || matches!(name, "SHELLOPTS" | "BASHOPTS" | "IFS" | "PS4" | "POSIXLY_CORRECT")
            };
            let env: Vec<_> = environment(&mut random)
                .into_iter()
                .filter(|(name, value)| {
                    !odd(name) && !value.contains('\n') && name != "RCVY_T" && name != "OPTIND"
                })
                .collect();
            let name = ServiceName::new("svc").unwrap();
            let argv = CustomCommand::Argv(vec!["env".to_owned()]);
            let text = CustomCommand::Shell("env".to_owned());
            let checks = [argv, text].map(|command| HealthCheck {
                probe: Probe::Custom {
                    command,
                    expect_json: Vec::new(),
                    missing_program: MissingProgram::Unknown,
                },
                timeout: Duration::from_secs(60),
                from: Vantage::Container,
                interval: None,
            });
            let requests: Vec<Request<'_>> =
                checks.iter().map(|check| Request { service: &name, check, env: &[], user: None }).collect();
            let nonce = format!("{:032x}", random.next());
            let line = Line::open(machine.start(&env), script::look(&nonce, "the-mark", &requests));
            let mut talk = Conversation::new(&nonce, &requests);
            assert_eq!(speak(&line, &mut talk, &Interrupt::default(), &mut |_| {}), None, "{shell} {env:?}");
            line.close(&Interrupt::default());
            for index in 0..2 {
                let (answer, _) = talk.answer(index).unwrap();
                let text = String::from_utf8_lossy(&answer.out.bytes).into_owned();
                let mut found: Vec<&str> = text.lines().filter(|line| own(line)).collect();
                let mut expected: Vec<String> =
                    env.iter().map(|(name, value)| format!("{name}={value}")).collect();
                expected.push(format!("PATH={}", machine.bin.path().display()));
                expected.push(format!("RECOVERY_CHECK=the-mark.{index}."));
                expected.sort();
                found.sort_unstable();
                assert_eq!(found, expected, "{shell} seed {seed} check {index}");
            }
        }
    }
}

#[test]
fn one_line_of_fifty_megabytes_is_swallowed_and_the_exit_code_counts() {
    let (head, tr) = (process::find_program("head", &[]), process::find_program("tr", &[]));
    let (Some(head), Some(tr)) = (head, tr) else { panic!("coreutils are needed") };
    let flood = format!("{} -c 50000000 /dev/zero | {} '\\0' x; exit 3", head.display(), tr.display());
    let machines: [(&str, &[&str]); 7] = [
        ("dash", &["cat", "head", "sed", "fold"]),
        ("dash", &["head"]),
        ("dash", &["dd"]),
        ("bash", &["cat"]),
        ("bash", &["head"]),
        ("busybox", &["cat"]),
        ("busybox", &["dd"]),
    ];
    for (shell, tools) in machines {
        let Some(machine) = Machine::new(shell, tools) else { continue };
        let reads = vec![JsonExpectation::new("$", Condition::Exists(true)).unwrap()];
        for expect_json in if tools.len() > 1 { vec![vec![], reads] } else { vec![vec![]] } {
            let command = CustomCommand::Shell(flood.clone());
            let probe = Probe::Custom { command, expect_json, missing_program: MissingProgram::Unknown };
            let check = HealthCheck {
                probe,
                timeout: Duration::from_secs(60),
                from: Vantage::Container,
                interval: None,
            };
            let name = ServiceName::new("svc").unwrap();
            let requests = [Request { service: &name, check: &check, env: &[], user: None }];
            let nonce = format!("{:032x}", 7);
            let line = Line::open(machine.start(&[]), script::look(&nonce, "flood", &requests));
            let mut talk = Conversation::new(&nonce, &requests);
            assert_eq!(speak(&line, &mut talk, &Interrupt::default(), &mut |_| {}), None, "{}", machine.what);
            line.close(&Interrupt::default());
            let (answer, _) = talk.answer(0).unwrap_or_else(|| panic!("{}: timed out", machine.what));
            assert_eq!((answer.code, answer.out.truncated), (3, true), "{}", machine.what);
        }
    }
}

#[test]
fn nothing_of_ours_is_exported_where_the_image_has_all_exported() {
    let Some(machine) = Machine::new("bash", &["env", "cat"]) else { return };
    let command = CustomCommand::Argv(vec!["env".to_owned()]);
    let probe = Probe::Custom { command, expect_json: Vec::new(), missing_program: MissingProgram::Unknown };
    let check =
        HealthCheck { probe, timeout: Duration::from_secs(60), from: Vantage::Container, interval: None };
    let name = ServiceName::new("svc").unwrap();
    let requests = [Request { service: &name, check: &check, env: &[], user: None }];
    let nonce = format!("{:032x}", 11);
    let env = [("SHELLOPTS".to_owned(), "allexport".to_owned())];
    let line = Line::open(machine.start(&env), script::look(&nonce, "exports", &requests));
    let mut talk = Conversation::new(&nonce, &requests);
    assert_eq!(speak(&line, &mut talk, &Interrupt::default(), &mut |_| {}), None);
    line.close(&Interrupt::default());
    let (answer, _) = talk.answer(0).unwrap();
    let seen = String::from_utf8_lossy(&answer.out.bytes).into_owned();
    assert!(seen.contains("RECOVERY_CHECK=exports.0."), "{seen}");
    assert!(!seen.contains("rcvy") && !seen.contains("recovery_agent") && !seen.contains(&nonce), "{seen}");
}
