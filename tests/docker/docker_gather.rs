//! Looks at single services of one container that are asked for at the same moment.

use crate::common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::fake_docker::{Answer, FakeDocker, id_of};
use common::until::until;
use recovery::check::{Failure, Health, Unknown};
use recovery::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use recovery::engine::docker::DockerCli;
use recovery::engine::{ContainerRef, Request};
use recovery::process::Interrupt;

const SOON: Duration = Duration::from_secs(30);

/// A fake engine whose execs run here once the file `go` is there.
struct Gated {
    fake: FakeDocker,
    docker: DockerCli,
    interrupt: Interrupt,
}

impl Gated {
    fn new(exec: Answer) -> Self {
        let mut fake = FakeDocker::new();
        fake.when("exec", exec);
        let (here, real) = (fake.folder().display(), fake.program());
        let script = format!(
            "#!/bin/sh\necho x >> {here}/begun\nuntil [ -e {here}/go ] || [ ! -e {here} ]; do sleep 0.05; done\n\
             exec {} \"$@\"\n",
            real.display()
        );
        let program = fake.folder().join("gated");
        fs::write(&program, script).expect("the script is written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is made executable");
        let interrupt = Interrupt::default();
        let docker = DockerCli::new(&program.to_string_lossy(), interrupt.clone());
        Self { fake, docker, interrupt }
    }

    /// The same, its execs run at once.
    fn opened(exec: Answer) -> Self {
        let gated = Self::new(exec);
        gated.go();
        gated
    }

    fn go(&self) {
        fs::write(self.fake.folder().join("go"), "").expect("the file is written");
    }

    /// As SIGTERM does.
    fn signal(&self) {
        self.interrupt.flag().store(15, Ordering::SeqCst);
    }

    fn lines_of(&self, file: &str) -> usize {
        fs::read_to_string(self.fake.folder().join(file)).unwrap_or_default().lines().count()
    }

    fn begun(&self) -> usize {
        self.lines_of("begun")
    }

    fn look(&self, text: &str, timeout: u64) -> Health {
        self.looks(text, timeout, 1).remove(0)
    }

    fn looks(&self, text: &str, timeout: u64, number: usize) -> Vec<Health> {
        let name = ServiceName::new("svc").expect("a name");
        let command = CustomCommand::Shell(text.to_owned());
        let check = HealthCheck {
            probe: Probe::Custom {
                command,
                expect_json: Vec::new(),
                missing_program: MissingProgram::Unknown,
            },
            timeout: Duration::from_secs(timeout),
            from: Vantage::Container,
            interval: None,
        };
        let request = Request { service: &name, check: &check, env: &[], user: None };
        let at = ContainerRef { id: id_of("box"), name: "box".to_owned() };
        self.docker.observe(&at, &vec![request; number]).into_iter().map(|look| look.health).collect()
    }

    /// Lets the execs go after one look was begun, and others had the time to be asked for.
    fn open(&self) {
        until("the first exec", SOON, || (self.begun() > 0).then_some(()));
        std::thread::sleep(Duration::from_secs(1));
        self.go();
    }
}

#[test]
fn what_is_asked_for_while_one_exec_is_started_shares_the_next() {
    let gated = Gated::new(Answer::RunsHere);
    let texts: Vec<String> = (0..8).map(|code| format!("exit {code}")).collect();
    let found: Vec<Health> = std::thread::scope(|scope| {
        let looks: Vec<_> = texts.iter().map(|text| scope.spawn(|| gated.look(text, 20))).collect();
        gated.open();
        looks.into_iter().map(|look| look.join().expect("a look does not panic")).collect()
    });
    for (code, health) in (0..).zip(found) {
        let down = Health::Unhealthy(Failure::Exit { code, output: String::new() });
        assert_eq!(health, if code == 0 { Health::Healthy } else { down }, "each its own answer");
    }
    assert_eq!(gated.begun(), 2, "the first alone, then all the others");
}

#[test]
fn nobody_waits_for_the_check_of_another() {
    let gated = Gated::new(Answer::RunsHere);
    let file = gated.fake.folder().join("answered");
    let slow = format!("until [ -e {} ]; do sleep 0.1; done", file.display());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| gated.look("true", 20));
        until("the first exec", SOON, || (gated.begun() > 0).then_some(()));
        // Slower than anything here may take: who waited for it would get its answer only then.
        let slow = scope.spawn(|| gated.look(&slow, 60));
        let (sender, quick) = channel();
        let gated = &gated;
        scope.spawn(move || sender.send(gated.look("true", 20)));
        gated.open();
        assert_eq!(quick.recv_timeout(SOON), Ok(Health::Healthy));
        assert!(!slow.is_finished());
        fs::write(&file, "").expect("the file is written");
        assert_eq!(slow.join().expect("a look does not panic"), Health::Healthy);
        assert_eq!(first.join().expect("a look does not panic"), Health::Healthy);
    });
    assert_eq!(gated.begun(), 2, "they shared one");
}

#[test]
fn an_exec_that_fails_is_unknown_to_all_and_holds_up_nobody() {
    let gated = Gated::new(Answer::fails("Error response from daemon: Container x is not running\n", 1));
    let found: Vec<Health> = std::thread::scope(|scope| {
        let looks: Vec<_> = (0..4).map(|_| scope.spawn(|| gated.look("true", 20))).collect();
        gated.open();
        looks.into_iter().map(|look| look.join().expect("a look does not panic")).collect()
    });
    for health in found {
        assert!(
            matches!(&health, Health::Unknown(Unknown::ContainerState { container, .. }) if container == "box"),
            "{health:?}"
        );
    }
    assert!(matches!(gated.look("true", 20), Health::Unknown(_)), "the desk is free again");
}

#[test]
fn a_check_that_looks_at_processes_goes_alone() {
    let gated = Gated::new(Answer::RunsHere);
    std::thread::scope(|scope| {
        let looks: Vec<_> =
            (0..3).map(|_| scope.spawn(|| gated.look("pgrep -x no-such-program || true", 20))).collect();
        gated.open();
        for look in looks {
            assert_eq!(look.join().expect("a look does not panic"), Health::Healthy);
        }
    });
    assert_eq!(gated.begun(), 3);
}

#[test]
fn an_exec_that_does_not_start_holds_up_nobody_else() {
    let mut gated = Gated::opened(Answer::RunsHere);
    gated.fake.when_once("exec", Answer::Hangs);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| gated.look("true", 20));
        until("the first exec", SOON, || (gated.fake.calls_of("exec").len() == 1).then_some(()));
        assert_eq!(gated.look("true", 20), Health::Healthy);
        assert!(!first.is_finished(), "it was not waited for");
        gated.signal();
        assert_eq!(first.join().expect("a look does not panic"), Health::Unknown(Unknown::Interrupted));
    });
}

#[test]
fn many_looks_at_a_container_that_hangs_wait_side_by_side() {
    let gated = Gated::opened(Answer::Hangs);
    std::thread::scope(|scope| {
        let looks: Vec<_> = (0..20).map(|_| scope.spawn(|| gated.look("true", 20))).collect();
        // 16 at most share one.
        until("an exec for everybody", SOON, || (gated.begun() >= 3).then_some(()));
        assert!(looks.iter().all(|look| !look.is_finished()));
        gated.signal();
        for look in looks {
            let health = look.join().expect("a look does not panic");
            assert_eq!(health, Health::Unknown(Unknown::Interrupted));
        }
    });
    assert!(gated.begun() < 10, "they still share");
}

#[test]
fn after_a_signal_no_exec_is_begun() {
    let gated = Gated::opened(Answer::RunsHere);
    gated.signal();
    assert_eq!(gated.look("true", 20), Health::Unknown(Unknown::Interrupted));
    for health in gated.looks("true", 20, 2) {
        assert_eq!(health, Health::Unknown(Unknown::Interrupted));
    }
    assert_eq!(gated.begun(), 0);
}

#[test]
fn the_last_answer_comes_after_the_end_of_the_exec() {
    let gated = Gated::new(Answer::RunsHere);
    let (real, here) = (gated.fake.program(), gated.fake.folder().to_owned());
    let ends_slowly = here.join("ends-slowly");
    fs::rename(&real, &ends_slowly).expect("it is renamed");
    let script =
        format!("#!/bin/sh\n{} \"$@\"\nsleep 1\necho x >> {}/ended\n", ends_slowly.display(), here.display());
    fs::write(&real, script).expect("the script is written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).expect("it is made executable");
    std::thread::scope(|scope| {
        for code in 0..4 {
            let gated = &gated;
            scope.spawn(move || gated.look(&format!("exit {code}"), 20));
        }
        gated.open();
    });
    assert_eq!(gated.lines_of("ended"), gated.begun(), "what is restarted now has nothing of ours in it");
}
