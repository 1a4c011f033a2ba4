//! The batch protocol against real shells, without a container: each shell of this machine plays the part
//! of the container's `sh`, with a PATH that holds only the tools a test wants it to have.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use recovery::check::{Failure, Health, Look, Unknown};
use recovery::config::model::{
    ClosedAtOnce, CustomCommand, Header, HeaderValue, HealthCheck, HttpProbe, MissingProgram, Probe,
    ServiceName, StatusSet, Vantage,
};
use recovery::engine::batch::{self, Agent};
use recovery::engine::{Overrun, Request, RestartCommand, RunResult};
use recovery::process::Interrupt;

/// A shell as the container's `sh`.
#[derive(Clone, Copy, Debug)]
enum Shell {
    Bash,
    Dash,
    Busybox,
}

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Dash, Shell::Busybox];

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A folder that serves as the agent's whole PATH.
struct Container {
    bin: tempfile::TempDir,
}

impl Container {
    /// `None`, visibly, where the shell is not installed.
    fn new(shell: Shell, tools: &[&str]) -> Option<Self> {
        let name = match shell {
            Shell::Bash => "bash",
            Shell::Dash => "dash",
            Shell::Busybox => "busybox",
        };
        let Some(real) = find(name) else {
            assert!(std::env::var_os("RECOVERY_REQUIRE_SHELLS").is_none(), "{name} is not installed");
            eprintln!("skipped: {name} is not installed");
            return None;
        };
        let bin = tempfile::tempdir().unwrap();
        symlink(real, bin.path().join("sh")).unwrap();
        // `env` carries a variable that a shell refuses to set.
        for tool in tools.iter().chain(&["env"]) {
            let (name, program) = tool.split_once('=').unwrap_or((tool, tool));
            let Some(real) = find(program) else {
                assert!(std::env::var_os("RECOVERY_REQUIRE_SHELLS").is_none(), "{program} is not installed");
                eprintln!("skipped: {program} is not installed");
                return None;
            };
            symlink(real, bin.path().join(name)).unwrap();
        }
        Some(Self { bin })
    }

    fn path(&self) -> &Path {
        self.bin.path()
    }

    fn start(&self, argv: &[&str]) -> Process {
        let mut command = Command::new(self.path().join("sh"));
        // The arguments of an agent are told from those of others: a busybox is asked for `sh` by them.
        command.arg0(argv[0]).args(&argv[1..]).env_clear().env("PATH", self.path());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Process(child.unwrap())
    }

    fn look(&self, requests: &[Request<'_>]) -> Vec<Look> {
        batch::look(self.start(&batch::LOOK_ARGV), requests, &Interrupt::default(), &mut |_| {})
    }
}

struct Process(Child);

impl Agent for Process {
    fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        Box::new(self.0.stdin.take().unwrap())
    }

    fn take_stdout(&mut self) -> Box<dyn Read + Send> {
        Box::new(self.0.stdout.take().unwrap())
    }

    fn finish(&mut self, within: Duration, _: &Interrupt) -> (Option<i32>, String) {
        let end = Instant::now() + within;
        let code = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                None => {
                    self.0.kill().unwrap();
                    self.0.wait().unwrap();
                    break None;
                }
            }
        };
        // Whoever the agent left behind may hold the pipe: what is there now must do.
        let mut text = Vec::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            let flags = rustix::fs::fcntl_getfl(&stderr).unwrap();
            rustix::fs::fcntl_setfl(&stderr, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
            let _ = stderr.by_ref().take(65536).read_to_end(&mut text);
        }
        (code, String::from_utf8_lossy(&text).into_owned())
    }
}

fn check(probe: Probe) -> HealthCheck {
    HealthCheck { probe, timeout: Duration::from_secs(20), from: Vantage::Container, interval: None }
}

fn quick(mut check: HealthCheck) -> HealthCheck {
    check.timeout = Duration::from_millis(700);
    check
}

fn shell(text: &str) -> HealthCheck {
    check(Probe::Custom {
        command: CustomCommand::Shell(text.into()),
        expect_json: Vec::new(),
        missing_program: MissingProgram::Unknown,
    })
}

fn argv(words: &[&str]) -> HealthCheck {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    check(Probe::Custom {
        command: CustomCommand::Argv(words),
        expect_json: Vec::new(),
        missing_program: MissingProgram::Unknown,
    })
}

fn http(endpoint: &str, body: Option<&str>) -> HttpProbe {
    HttpProbe {
        endpoint: endpoint.into(),
        method: "GET".into(),
        headers: Vec::new(),
        tls_verify: true,
        expect_status: StatusSet { ranges: vec![(200, 399)], text: "200–399".into() },
        expect_body: body.map(Into::into),
        expect_json: Vec::new(),
    }
}

fn process(pattern: &str) -> HealthCheck {
    check(Probe::Process { pattern: regex::Regex::new(pattern).unwrap() })
}

/// Looks with these checks and returns what they said.
fn healths(container: &Container, checks: &[HealthCheck]) -> Vec<Health> {
    let name = ServiceName::new("svc").unwrap();
    let env = [("GREETING".to_owned(), "it's $HOME".to_owned()), ("UID".to_owned(), "77".to_owned())];
    let request = |check| Request { service: &name, check, env: &env, user: None };
    let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
    container.look(&requests).into_iter().map(|look| look.health).collect()
}

fn exit(code: i32, output: &str) -> Health {
    Health::Unhealthy(Failure::Exit { code, output: output.into() })
}

/// The processes with that in their arguments.
fn with_argument(needle: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let matching = entries.filter(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(needle)
    });
    matching.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a process with that in its arguments lives.
fn lives(needle: &str) -> bool {
    !with_argument(needle).is_empty()
}

/// Waits for a condition that must come true.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A number that no other process has in its arguments.
fn tag(base: u32) -> String {
    format!("{}", 1_000_000 + base * 100_000 + std::process::id() % 100_000)
}

#[test]
fn exit_codes_and_output_come_back_whole() {
    for kind in SHELLS {
        let Some(container) = Container::new(kind, &["cat"]) else { continue };
        let long = "y".repeat(2500);
        let checks = [
            shell("exit 0"),
            shell("echo one; echo two >&2; exit 3"),
            shell("exit 127"),
            shell(&format!("printf '%s' {long}; exit 4")),
            shell("printf 'a\\000b\\377c\\n'; exit 5"),
            shell("echo \"$GREETING\"; exit 6"),
            argv(&["sh", "-c", "echo \"$UID-$1\"; exit 7", "sh", "it's"]),
            argv(&["no-such-program-here"]),
            shell("read x; echo \"<$x>\"; exit 8"),
            shell("kill -9 $$"),
            shell("echo \"'\\\\\"; # not a comment's end\nexit 9"),
            shell("set | grep RCVY; exit 10"),
        ];
        let found = healths(&container, &checks);
        assert_eq!(found[0], Health::Healthy, "{kind:?}");
        assert_eq!(found[1], exit(3, "one\ntwo"), "{kind:?}");
        assert!(matches!(found[2], Health::Unknown(Unknown::NoTool(_))), "{kind:?} {:?}", found[2]);
        assert_eq!(found[3], exit(4, &long), "{kind:?}");
        assert!(
            matches!(&found[4], Health::Unhealthy(Failure::Exit { code: 5, output }) if output == "ab\u{fffd}c"),
            "{kind:?} {:?}",
            found[4]
        );
        assert_eq!(found[5], exit(6, "it's $HOME"), "{kind:?}");
        assert_eq!(found[6], exit(7, "77-it's"), "{kind:?}");
        assert!(matches!(found[7], Health::Unknown(Unknown::NoTool(_))), "{kind:?} {:?}", found[7]);
        assert_eq!(found[8], exit(8, "<>"), "{kind:?}");
        assert!(
            matches!(&found[9], Health::Unhealthy(Failure::Exit { code: 137, .. })),
            "{kind:?} {:?}",
            found[9]
        );
        assert_eq!(found[10], exit(9, "'\\"), "{kind:?}");
        assert!(
            matches!(&found[11], Health::Unhealthy(Failure::Exit { code: 10, output }) if !output.contains("RCVY_")),
            "{kind:?} {:?}",
            found[11]
        );
    }
}

#[test]
fn no_check_can_forge_a_record() {
    for kind in SHELLS {
        let Some(container) = Container::new(kind, &["cat"]) else { continue };
        // The nonce is in the check's own environment: this is the worst case.
        let forge = "n=${RECOVERY_CHECK%%.*}; i=0; while [ $i -lt 50 ]; do \
                     echo \"$n x 1 0\"; echo \"$n d o 1\"; printf '\\n%s e\\n' \"$n\"; i=$((i+1)); done; exit 1";
        let found = healths(&container, &[shell(forge), shell("exit 2"), shell(forge)]);
        assert!(
            matches!(found[0], Health::Unhealthy(Failure::Exit { code: 1, .. })),
            "{kind:?} {:?}",
            found[0]
        );
        assert_eq!(found[1], exit(2, ""), "{kind:?}");
        assert!(
            matches!(found[2], Health::Unhealthy(Failure::Exit { code: 1, .. })),
            "{kind:?} {:?}",
            found[2]
        );
    }
}

#[test]
fn heavy_writers_side_by_side_do_not_mix() {
    for kind in SHELLS {
        for tools in [&["cat"][..], &[][..]] {
            let Some(container) = Container::new(kind, tools) else { continue };
            let text = |n: usize| {
                format!("i=0; while [ $i -lt 400 ]; do echo {n}{n}{n}{n}$i; i=$((i+1)); done; exit {n}")
            };
            let checks: Vec<HealthCheck> = (1..=24).map(|n| shell(&text(n))).collect();
            for (n, health) in (1..=24).zip(healths(&container, &checks)) {
                let Health::Unhealthy(Failure::Exit { code, output }) = health else {
                    panic!("{kind:?} {tools:?}: {health:?}")
                };
                let own = format!("{n}{n}{n}{n}");
                assert_eq!(code, n, "{kind:?}");
                // The last line may be cut by the cap.
                assert!(
                    output.lines().all(|line| line.starts_with(&own) || own.starts_with(line)),
                    "{kind:?} {tools:?}: {output}"
                );
            }
        }
    }
}

#[test]
fn hanging_checks_time_out_and_leave_nothing() {
    for (base, kind) in (1..).zip(SHELLS) {
        let Some(container) = Container::new(kind, &["cat", "sleep", "setsid"]) else { continue };
        let nap = tag(base);
        let checks = [
            quick(shell(&format!("sleep {nap}"))),
            quick(shell(&format!("trap '' TERM HUP INT; sleep {nap}; sleep {nap}"))),
            quick(shell(&format!("setsid sh -c 'trap \"\" TERM; sleep {nap} & sleep {nap}' & sleep {nap}"))),
            quick(argv(&[
                "env",
                "-i",
                "sh",
                "-c",
                &format!("exec {} {nap}", find("sleep").unwrap().display()),
            ])),
            // These end at once, but leave somebody who holds their output.
            shell(&format!("sleep {nap} & exit 0")),
            shell(&format!("setsid sleep {nap} >/dev/null 2>&1 & exit 5")),
            quick(shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")),
            shell("exit 0"),
        ];
        let found = healths(&container, &checks);
        let timed_out = Health::Unhealthy(Failure::TimedOut { after: Duration::from_millis(700) });
        for index in [0, 1, 2, 3, 6] {
            assert_eq!(found[index], timed_out, "{kind:?} {index}");
        }
        assert_eq!(found[4], Health::Healthy, "{kind:?}");
        assert_eq!(found[5], exit(5, ""), "{kind:?}");
        assert_eq!(found[7], Health::Healthy, "{kind:?}");
        assert!(!lives(&nap), "{kind:?}: a process is left");
    }
}

#[test]
fn when_the_host_goes_away_everything_ends() {
    for (base, kind) in (11..).zip(SHELLS) {
        let Some(container) = Container::new(kind, &["cat", "sleep", "setsid"]) else { continue };
        let nap = tag(base);
        let interrupt = Interrupt::default();
        let agent = container.start(&batch::LOOK_ARGV);
        let stop = {
            let (interrupt, nap) = (interrupt.clone(), nap.clone());
            thread::spawn(move || {
                until("the check runs", || lives(&nap));
                interrupt.flag().store(15, std::sync::atomic::Ordering::Relaxed);
            })
        };
        let name = ServiceName::new("svc").unwrap();
        let text = shell(&format!("trap '' TERM; setsid sleep {nap} & sleep {nap}; sleep {nap}"));
        let request = Request { service: &name, check: &text, env: &[], user: None };
        let looks = batch::look(agent, &[request], &interrupt, &mut |_| {});
        stop.join().unwrap();
        assert_eq!(looks[0].health, Health::Unknown(Unknown::Interrupted), "{kind:?}");
        until("all processes have ended", || !lives(&nap));
    }
}

#[test]
fn processes_are_seen_but_never_the_checking_itself() {
    for (base, kind) in (21..).zip(SHELLS) {
        for tools in [&["cat", "sleep", "grep", "pgrep"][..], &["bash", "sleep", "pgrep"][..]] {
            let Some(container) = Container::new(kind, tools) else { continue };
            let (there, gone) = (tag(base), tag(base + 40));
            // In a session of its own: what is in a pass's session belongs to the checking.
            let mut sleep = Command::new("setsid").args(["sleep", &there]).spawn().unwrap();
            until("it sleeps", || lives(&there) && !lives(&format!("setsid\0sleep\0{there}")));
            let checks = [
                process(&format!("^sleep {there}$")),
                process(&gone),
                shell(&format!("pgrep -f {gone}")),
                shell(&format!(": {gone}; sleep 0.2")),
                process(":rcvy:"),
                process("RCVY_T"),
            ];
            let found = healths(&container, &checks);
            sleep.kill().unwrap();
            sleep.wait().unwrap();
            let no = |pattern: &str| Health::Unhealthy(Failure::NoProcess { pattern: pattern.into() });
            assert_eq!(found[0], Health::Healthy, "{kind:?} {tools:?}");
            assert_eq!(found[1], no(&gone), "{kind:?} {tools:?}");
            assert_eq!(found[2], exit(1, ""), "{kind:?} {tools:?}");
            assert_eq!(found[3], Health::Healthy, "{kind:?} {tools:?}");
            assert_eq!(found[4], no(":rcvy:"), "{kind:?} {tools:?}");
            assert_eq!(found[5], no("RCVY_T"), "{kind:?} {tools:?}");
        }
    }
}

#[test]
fn without_tools_nothing_is_claimed() {
    for kind in [Shell::Dash, Shell::Busybox] {
        let Some(container) = Container::new(kind, &[]) else { continue };
        let tcp =
            check(Probe::Tcp { host: "127.0.0.1".into(), port: 1, closed_at_once: ClosedAtOnce::Refused });
        let web = check(Probe::Http(http("http://127.0.0.1:1/", None)));
        for health in healths(&container, &[tcp, web, process("init")]) {
            assert!(matches!(health, Health::Unknown(Unknown::NoTool(_))), "{kind:?} {health:?}");
        }
    }
}

#[test]
fn tcp_is_open_or_refused() {
    for kind in SHELLS {
        for tools in [&["bash"][..], &["nc=busybox", "true"][..]] {
            let Some(container) = Container::new(kind, tools) else { continue };
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let open = server.local_addr().unwrap().port();
            let closed = free_port();
            let tcp = |port| {
                check(Probe::Tcp { host: "127.0.0.1".into(), port, closed_at_once: ClosedAtOnce::Refused })
            };
            let found = healths(&container, &[tcp(open), tcp(closed)]);
            assert_eq!(found[0], Health::Healthy, "{kind:?} {tools:?}");
            let to = format!("127.0.0.1:{closed}");
            assert_eq!(found[1], Health::Unhealthy(Failure::Refused { to }), "{kind:?} {tools:?}");
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that answers by path; `/ok` says what it was asked. Lives as long as the test program.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                let (status, body) = match path.as_str() {
                    "/down" => ("503 Unavailable", "sorry, maintenance".to_owned()),
                    "/moved" => ("302 Found\r\nLocation: /down", String::new()),
                    "/hang" => return thread::sleep(Duration::from_secs(3)),
                    "/cut" => return,
                    "/long" => ("200 OK", format!("{}needle\n", "é123456789".repeat(40_000))),
                    "/longer" => ("200 OK", "0123456789".repeat(150_000)),
                    _ => ("200 OK", format!("{head}\nneedle\n")),
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    port
}

#[test]
fn http_by_curl_and_by_two_kinds_of_wget() {
    let port = server();
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    for kind in SHELLS {
        for tools in [
            &["curl", "cat", "sed", "fold"][..],
            &["wget", "cat", "sed", "fold"][..],
            &["wget=busybox", "cat", "sed", "fold"][..],
        ] {
            let Some(container) = Container::new(kind, tools) else { continue };
            let get = |path: &str, body| check(Probe::Http(http(&at(path), body)));
            let closed = free_port();
            let only = |status: u16| {
                let mut probe = http(&at("/moved"), None);
                probe.expect_status = StatusSet { ranges: vec![(status, status)], text: status.to_string() };
                check(Probe::Http(probe))
            };
            let mut with_header = http(&at("/ok?a=b&c='d'"), Some("X-Odd: a \"b\\ 'c' $d"));
            let value = HeaderValue::Plain("a \"b\\ 'c' $d".into());
            with_header.headers.push(Header { name: "X-Odd".into(), value });
            let checks = [
                get("/ok", None),
                get("/ok", Some("needle")),
                get("/ok", Some("haystack")),
                get("/down", None),
                only(302),
                check(Probe::Http(http(&format!("http://127.0.0.1:{closed}/"), None))),
                quick(get("/hang", None)),
                get("/long", Some("9needle\n")),
                get("/longer", Some("needle")),
                check(Probe::Http(with_header)),
                get("/cut", None),
            ];
            let found = healths(&container, &checks);
            let say = format!("{kind:?} {tools:?}");
            assert_eq!(found[0], Health::Healthy, "{say}");
            assert_eq!(found[1], Health::Healthy, "{say}");
            assert!(matches!(found[2], Health::Unhealthy(Failure::Expectation(_))), "{say} {:?}", found[2]);
            let expected = "200–399".to_owned();
            assert_eq!(found[3], Health::Unhealthy(Failure::HttpStatus { status: 503, expected }), "{say}");
            assert_eq!(found[4], Health::Healthy, "{say}");
            let to = format!("127.0.0.1:{closed}");
            assert_eq!(found[5], Health::Unhealthy(Failure::Refused { to }), "{say}");
            assert!(matches!(found[6], Health::Unhealthy(Failure::TimedOut { .. })), "{say} {:?}", found[6]);
            assert_eq!(found[7], Health::Healthy, "{say}");
            assert!(
                matches!(found[8], Health::Unknown(Unknown::OutputTooLarge { .. })),
                "{say} {:?}",
                found[8]
            );
            assert_eq!(found[9], Health::Healthy, "{say}");
            assert!(
                matches!(found[10], Health::Unhealthy(Failure::Reset { .. } | Failure::Connection { .. })),
                "{say} {:?}",
                found[10]
            );
        }
    }
}

fn restart(container: &Container, text: &str, log: Option<&str>, end: Overrun) -> RunResult {
    let name = ServiceName::new("svc").unwrap();
    let env = [("GREETING".to_owned(), "it's".to_owned())];
    let timeout = Duration::from_millis(1500);
    let command = RestartCommand { service: &name, text, env: &env, user: None, log_path: log, timeout };
    batch::run(container.start(&batch::RUN_ARGV), &command, &Interrupt::default(), &mut || end)
}

#[test]
fn a_restart_command_works_as_operators_write_it() {
    for (base, kind) in (31..).zip(SHELLS) {
        let tools = ["sleep", "pkill", "setsid", "cat", "tail"];
        let Some(container) = Container::new(kind, &tools) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("svc.log");
        let nap = tag(base);
        let text = format!(
            "pkill -f 'sleep {nap}' || true; echo \"$GREETING\"; echo err >&2; cat; \
             sh -c 'while sleep 0.1; do echo alive; done; : {nap}' &"
        );
        let result = restart(&container, &text, Some(log.to_str().unwrap()), Overrun::End);
        assert_eq!(result, RunResult::Exited(0), "{kind:?}");
        let read = || fs::read_to_string(&log).unwrap();
        assert!(read().starts_with("it's\nerr\n"), "{kind:?}: {}", read());
        let before = read().len();
        until("what it started goes on writing", || read().len() > before + 20);
        assert!(lives(&nap), "{kind:?}");
        assert_eq!(
            restart(&container, &format!("pkill -f ': {nap}'; exit 3"), None, Overrun::End),
            RunResult::Exited(3),
            "{kind:?}"
        );
        until("it was ended", || !lives(&nap));
    }
}

#[test]
fn a_restart_command_that_takes_too_long_is_ended_or_left() {
    for (base, kind) in (51..).zip(SHELLS) {
        let Some(container) = Container::new(kind, &["sleep"]) else { continue };
        let nap = tag(base);
        let text = format!("trap '' TERM; env -i sh -c 'sleep {nap}; :' & sleep {nap}; sleep {nap}");
        let text = text
            .replace("sleep ", &format!("{} ", find("sleep").unwrap().display()))
            .replace(" sh ", &format!(" {}/sh ", container.path().display()));
        assert_eq!(restart(&container, &text, None, Overrun::End), RunResult::TimedOut, "{kind:?}");
        assert!(!lives(&nap), "{kind:?}: a process is left");
        let text = format!("exec sleep {nap}");
        assert_eq!(restart(&container, &text, None, Overrun::Leave), RunResult::LeftRunning, "{kind:?}");
        assert!(lives(&nap), "{kind:?}: it was not left running");
        for pid in with_argument(&nap).into_iter().filter_map(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
}

#[test]
fn a_restart_command_may_print_as_much_as_it_likes() {
    for kind in SHELLS {
        let Some(container) = Container::new(kind, &["head", "cat"]) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("svc.log");
        let text = "head -c 50000000 /dev/zero; exit 4";
        let result = restart(&container, text, Some(log.to_str().unwrap()), Overrun::End);
        assert_eq!(result, RunResult::Exited(4), "{kind:?}");
        assert_eq!(fs::metadata(&log).unwrap().len(), 50_000_000, "{kind:?}");
        assert_eq!(restart(&container, "no-such-program", None, Overrun::End), RunResult::Exited(127));
    }
}

#[test]
fn a_script_that_was_cut_off_runs_nothing() {
    struct Short(Process);
    struct Half(Box<dyn Write + Send>);
    impl Write for Half {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.write(&buffer[..buffer.len().saturating_sub(5)])?;
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.0.flush()
        }
    }
    impl Agent for Short {
        fn take_stdin(&mut self) -> Box<dyn Write + Send> {
            Box::new(Half(self.0.take_stdin()))
        }
        fn take_stdout(&mut self) -> Box<dyn Read + Send> {
            self.0.take_stdout()
        }
        fn finish(&mut self, within: Duration, interrupt: &Interrupt) -> (Option<i32>, String) {
            self.0.finish(within, interrupt)
        }
    }
    for kind in SHELLS {
        let Some(container) = Container::new(kind, &["cat"]) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("touched");
        let text = format!(": >{}", file.display());
        let name = ServiceName::new("svc").unwrap();
        let command = RestartCommand {
            service: &name,
            text: &text,
            env: &[],
            user: None,
            log_path: None,
            timeout: Duration::from_secs(5),
        };
        let agent = Short(container.start(&batch::RUN_ARGV));
        let result = batch::run(agent, &command, &Interrupt::default(), &mut || Overrun::End);
        assert!(matches!(result, RunResult::Failed(_)), "{kind:?} {result:?}");
        assert!(!file.exists(), "{kind:?}");
    }
}
