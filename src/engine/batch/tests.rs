//! The state machine without processes: a scripted agent, and streams that were cut, mixed, doubled or forged.

use std::time::Duration;

use proptest::prelude::*;

use super::dialogue::{Conversation, Progress};
use super::script;
use crate::check::{Failure, Health, Look, Unknown};
use crate::config::model::{CustomCommand, HealthCheck, MissingProgram, Probe, ServiceName, Vantage};
use crate::engine::Request;
use crate::engine::formats::errors;

const NONCE: &str = "5eed";

fn check(text: &str) -> HealthCheck {
    let command = CustomCommand::Shell(text.into());
    HealthCheck {
        probe: Probe::Custom { command, expect_json: Vec::new(), missing_program: MissingProgram::Unknown },
        timeout: Duration::from_secs(5),
        from: Vantage::Container,
        interval: None,
    }
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Lets a conversation over `checks` run and returns its looks.
fn converse(checks: &[HealthCheck], act: impl FnOnce(&mut Conversation<'_>)) -> Vec<Look> {
    let name = ServiceName::new("svc").unwrap();
    let request = |check| Request { service: &name, check, env: &[], user: None };
    let requests: Vec<Request<'_>> = checks.iter().map(request).collect();
    let mut talk = Conversation::new(NONCE, &requests);
    act(&mut talk);
    talk.looks(&Unknown::CutOff("end".into()))
}

fn say(talk: &mut Conversation<'_>, seconds: f64, lines: &str) -> String {
    for line in lines.lines() {
        talk.line(format!("{NONCE} {line}").as_bytes(), at(seconds));
    }
    talk.tick(at(seconds));
    talk.orders()
}

#[test]
fn a_check_is_ordered_and_judged_and_then_the_agent_may_go() {
    let looks = converse(&[check("x"), check("y")], |talk| {
        assert_eq!(say(talk, 0.1, "s 7 cat\nr"), "run 0\nrun 1\n");
        assert_eq!(say(talk, 0.2, "b 1 9\nq o 1 no\nx 1 3\nb 0 8\nd o 1"), "");
        assert_eq!(say(talk, 0.3, "x 0 0\nd o 0"), "end\n");
        assert_eq!(talk.progress(), Progress::Going);
        say(talk, 0.4, "e");
        assert_eq!(talk.progress(), Progress::Finished);
    });
    assert_eq!(looks[0].health, Health::Healthy);
    assert_eq!(looks[1].health, Health::Unhealthy(Failure::Exit { code: 3, output: "no".into() }));
}

#[test]
fn a_check_over_its_time_is_killed_and_one_in_a_frozen_container_says_nothing() {
    let looks = converse(&[check("x"), check("y")], |talk| {
        say(talk, 0.0, "s 7\nr\nb 0 8\nb 1 9");
        assert_eq!(say(talk, 4.9, ""), "");
        assert_eq!(say(talk, 5.0, ""), "kill 0 8\nkill 1 9\n");
        say(talk, 5.2, "x 0 137\nd o 0\nk 0");
        assert_eq!(say(talk, 15.0, "k 1"), "end\n");
    });
    assert_eq!(looks[0].health, Health::Unhealthy(Failure::TimedOut { after: at(5.0) }));
    assert!(matches!(looks[1].health, Health::Unknown(Unknown::Frozen { .. })));
}

#[test]
fn at_most_sixteen_run_at_once_and_those_that_look_at_processes_alone() {
    let mut checks: Vec<HealthCheck> = (0..20).map(|_| check("true")).collect();
    checks[3] = check("pgrep -f minio");
    converse(&checks, |talk| {
        assert_eq!(say(talk, 0.0, "s 7\nr"), "run 3\n");
        assert_eq!(say(talk, 0.1, "b 3 8\nx 3 0\nd o 3").lines().count(), 16);
        assert_eq!(say(talk, 0.1, "b 0 9\nx 0 0\nd o 0"), "run 17\n");
    });
}

#[test]
fn a_check_that_never_began_could_not_be_started() {
    let looks = converse(&[check("x"), check("y")], |talk| {
        say(talk, 0.0, "s 7\nr\nb 0 8\nd o 0");
        say(talk, 11.0, "");
    });
    for look in looks {
        assert!(matches!(look.health, Health::Unknown(Unknown::CannotFork(_))), "{look:?}");
    }
}

#[test]
fn a_process_of_the_machine_s_own_checking_satisfies_no_check() {
    let stat = |pid: u32, started: u64| format!("{pid} (x) S 1{} {started} 0 0 0", " 0".repeat(17));
    let pass = || {
        vec![crate::check::judge::ProcessRow {
            pid: 900,
            ppid: 1,
            state: 'S',
            command_line: "recovery run -s minio".into(),
            started: 777,
        }]
    };
    let mut by_name = check("");
    by_name.probe = Probe::Process { pattern: regex::Regex::new("minio").unwrap() };
    let name = ServiceName::new("svc").unwrap();
    for (started, healthy) in [(777, false), (778, true)] {
        let request = Request { service: &name, check: &by_name, env: &[], user: None };
        let requests = [request];
        let mut talk = Conversation::new(NONCE, &requests).beside(pass);
        say(&mut talk, 0.1, "s 7 cat\nl");
        talk.line(stat(7, 1).as_bytes(), at(0.1));
        talk.line(b"sh\0-s\0:rcvy:\0Linux", at(0.1));
        talk.line(stat(41, started).as_bytes(), at(0.1));
        talk.line(b"recovery\0run\0-s\0minio\0Linux", at(0.1));
        say(&mut talk, 0.2, "L\nG\nr");
        let health = talk.looks(&Unknown::CutOff("end".into())).remove(0).health;
        assert_eq!(health == Health::Healthy, healthy, "{started}: {health:?}");
    }
}

#[test]
fn an_agent_that_never_speaks_is_a_silent_engine() {
    converse(&[check("x")], |talk| {
        say(talk, 16.0, "");
        assert_eq!(talk.progress(), Progress::Silent);
    });
}

#[test]
fn what_comes_from_outside_is_quoted() {
    assert_eq!(script::quote("a'; rm -rf $x\n"), "'a'\\''; rm -rf $x\n'");
    let name = ServiceName::new("svc").unwrap();
    let check = check("@NONCE@ 'quoted' @GO@");
    let request = Request { service: &name, check: &check, env: &[], user: None };
    let script = script::look(NONCE, "mark", &[request]);
    assert!(script.contains(r"RCVY_T='@NONCE@ '\''quoted'\'' @GO@'"), "{script}");
    assert!(script.starts_with("set +a\nrecovery_agent() {\n") && script.ends_with("}\nrecovery_agent\n"));
}

const WHOLE: [&str; 12] = [
    "s 7 cat bash",
    "r",
    "b 0 10",
    "b 1 11",
    "p o 0 hello",
    "q o 0  there",
    "x 0 0",
    "q o 1 bad",
    "x 1 2",
    "d o 1",
    "d o 0",
    "e",
];

/// A line of the true stream, of a noisy one, or of a random one.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..WHOLE.len()).prop_map(|i| format!("{NONCE} {}", WHOLE[i]).into_bytes()),
        1 => (0..WHOLE.len()).prop_map(|i| WHOLE[i].as_bytes().to_vec()),
        1 => (0..WHOLE.len()).prop_map(|i| format!("beef {}", WHOLE[i]).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        2 => "[sLlGZmurbxdkeqp] [oem0-9-]{1,3} [0-9]{0,3}"
            .prop_map(|tail| format!("{NONCE} {tail}").into_bytes()),
    ]
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_keeps_only_complete_results(cut in 0..=WHOLE.len(), tail in 0..5_usize) {
        let looks = converse(&[check("x"), check("y")], |talk| {
            say(talk, 0.1, &WHOLE[..cut].join("\n"));
            if let Some(rest) = WHOLE.get(cut) {
                talk.line(&rest.as_bytes()[..tail.min(rest.len())], at(0.2));
            }
        });
        let known = |look: &Look| !matches!(look.health, Health::Unknown(_));
        prop_assert_eq!(known(&looks[0]), cut > 10);
        prop_assert_eq!(known(&looks[1]), cut > 9);
    }

    #[test]
    fn healthy_takes_an_exit_record_of_its_own(lines in prop::collection::vec(any_line(), 0..60)) {
        let looks = converse(&[check("x"), check("y"), check("z")], |talk| {
            for (n, line) in lines.iter().enumerate() {
                talk.line(line, at(n as f64 * 0.3));
                talk.tick(at(n as f64 * 0.3));
                talk.orders();
            }
        });
        for (index, look) in looks.iter().enumerate() {
            let said = |code: &str| {
                let record = format!("{NONCE} x {index} {code}");
                lines.iter().any(|line| line.starts_with(record.as_bytes()))
            };
            match &look.health {
                Health::Healthy => prop_assert!(said("0")),
                Health::Unhealthy(Failure::Exit { code, .. }) => prop_assert!(said(&code.to_string())),
                Health::Unhealthy(Failure::TimedOut { .. }) => {
                    let record = format!("{NONCE} k {index}");
                    prop_assert!(lines.iter().any(|line| line.starts_with(record.as_bytes())));
                }
                Health::Unhealthy(other) => prop_assert!(false, "{other:?}"),
                Health::Unknown(_) => {}
            }
        }
    }

    #[test]
    fn without_the_nonce_nothing_is_known(lines in prop::collection::vec("[^\n]{0,60}", 0..40)) {
        let looks = converse(&[check("x")], |talk| {
            for line in &lines {
                talk.line(line.as_bytes(), at(1.0));
            }
        });
        prop_assert!(matches!(looks[0].health, Health::Unknown(_)));
    }

    #[test]
    fn the_clients_words_never_make_it_panic(stdout in ".{0,200}", stderr in ".{0,200}") {
        let _ = errors::of_exec(&stdout, &stderr, Some(1));
    }

    #[test]
    fn listings_never_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = super::listing::rows(&raw);
    }
}
