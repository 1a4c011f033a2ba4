//! What real engines answered, read to the same values. `scripts/engine-samples.sh` writes the samples of an engine
//! down, so that another one is a folder more and a line here.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::errors::{self, Asked};
use super::{Dialect, events, inspect, listing, runs};
use crate::check::Unknown;
use crate::engine::docker::ended;
use crate::engine::ended::Events;
use crate::engine::{Container, ContainerRef};

const ENGINES: [(&str, Dialect); 2] = [("docker-20.10", Dialect::Docker), ("podman-4.3", Dialect::Podman)];

/// Name, state, exit code.
const CONTAINERS: [(&str, &str, i32); 12] = [
    ("running", "running", 0),
    ("sharing", "running", 0),
    ("kept", "running", 0),
    ("paused", "paused", 0),
    ("created", "created", 0),
    ("crashed", "exited", 3),
    ("finished", "exited", 0),
    ("stopped", "exited", 0),
    ("refused", "exited", 1),
    ("deaf", "exited", 137),
    ("killed", "exited", 137),
    ("shot", "exited", 137),
];

fn sample(engine: &str, file: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/engine/formats/samples");
    let path = folder.join(engine).join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn listed(engine: &str) -> Vec<Container> {
    listing::parse(&sample(engine, "ps.txt")).unwrap()
}

fn at(engine: &str, name: &str) -> ContainerRef {
    let name = format!("sample-{name}");
    listed(engine).into_iter().find(|found| found.at.name == name).unwrap().at
}

#[test]
fn every_listing_tells_the_states() {
    for (engine, _) in ENGINES {
        let listed = listed(engine);
        assert_eq!(listed.len(), CONTAINERS.len(), "{engine}");
        for (name, state, _) in CONTAINERS {
            let found = listed.iter().find(|found| found.at.name == format!("sample-{name}")).unwrap();
            assert_eq!((found.state.as_str(), found.at.id.len()), (state, 64), "{engine} {name}");
            assert_eq!(found.kept_by.is_some(), name == "kept", "{engine} {name}");
        }
        let sharing = listed.iter().find(|found| found.at.name == "sample-sharing").unwrap();
        assert!(sharing.networkless, "{engine}");
    }
}

#[test]
fn every_inspection_tells_the_same_of_a_container() {
    for (engine, dialect) in ENGINES {
        for (name, state, exit_code) in
            CONTAINERS.iter().filter(|(name, ..)| !["sharing", "kept"].contains(name))
        {
            let seen = inspect::parse(&sample(engine, &format!("inspect/{name}.json"))).unwrap();
            let told = (seen.state.as_str(), seen.exit_code, seen.oom_killed, seen.engine_restarts_it);
            assert_eq!(told, (*state, *exit_code, false, false), "{engine} {name}");
            assert_eq!(seen.dialect, dialect, "{engine} {name}");
            let times = (seen.started_at.is_some(), seen.finished_at.is_some());
            assert_eq!(times, (*state != "created", *state == "exited"), "{engine} {name}");
            let stop = if *name == "crashed" { 3 } else { 10 };
            assert_eq!(seen.stop_timeout, Duration::from_secs(stop), "{engine} {name}");
        }
    }
}

#[test]
fn every_answer_about_runs_tells_networks_and_starts() {
    for (engine, _) in ENGINES {
        let all: Vec<ContainerRef> = listed(engine).into_iter().map(|found| found.at).collect();
        let runs = runs::parse(&sample(engine, "runs.txt"), &all).unwrap();
        assert_eq!(runs.len(), CONTAINERS.len(), "{engine}");
        for (name, state, _) in CONTAINERS {
            let run = &runs[&at(engine, name)];
            assert_eq!(run.started_at.is_some(), state != "created", "{engine} {name}");
            let other = (name == "sharing").then(|| at(engine, "running").id);
            assert_eq!((run.network_of.clone(), run.on_host), (other, name != "sharing"), "{engine} {name}");
            if state == "exited" {
                let seen = inspect::parse(&sample(engine, &format!("inspect/{name}.json"))).unwrap();
                assert_eq!(run.started_at, seen.started_at, "{engine} {name}");
            }
        }
    }
}

/// Podman's events do not tell a `kill -9` of the machine from a stop.
#[test]
fn the_events_tell_who_ended_a_container() {
    use Events::{NobodyStopped, Silent, SomebodyStopped};
    for (name, docker, podman) in [
        ("crashed", NobodyStopped, Silent),
        ("finished", NobodyStopped, Silent),
        ("stopped", SomebodyStopped, SomebodyStopped),
        ("refused", SomebodyStopped, SomebodyStopped),
        ("deaf", SomebodyStopped, SomebodyStopped),
        ("killed", SomebodyStopped, SomebodyStopped),
        ("shot", NobodyStopped, Silent),
    ] {
        for (engine, dialect) in ENGINES {
            let seen = inspect::parse(&sample(engine, &format!("inspect/{name}.json"))).unwrap();
            let window = ended::Window::around(&seen, seen.finished_at.unwrap());
            let mut happened = events::parse(&sample(engine, &format!("events/{name}.txt")), dialect);
            assert!(happened.iter().all(|event| event.at.is_some()), "{engine} {name}: {happened:?}");
            happened.retain(|event| event.at.is_none_or(|at| at >= window.since && at <= window.until));
            let expected = if dialect == Dialect::Docker { docker } else { podman };
            assert_eq!(ended::said(&happened, &seen), expected, "{engine} {name}: {happened:?}");
            assert_eq!((seen.start_error, seen.stop_signal.unwrap_or(15)), (None, 15), "{engine} {name}");
        }
    }
}

#[test]
fn errors_mean_the_same() {
    let state = |state: &str| Unknown::ContainerState { container: "box".into(), state: state.into() };
    let gone = || Unknown::NoSuchContainer("box".into());
    let improper = || state("paused, or just changing");
    let user = "the user is not known in the container: unable to find user nobody9: no matching entries in passwd file";
    for (name, docker, podman) in [
        ("exec-gone", Some(gone()), gone()),
        ("exec-ended", Some(state("not running")), state("not running")),
        ("exec-paused", Some(state("paused")), state("not running")),
        ("exec-no-shell", Some(Unknown::NoShell("box".into())), Unknown::NoShell("box".into())),
        ("exec-no-user", Some(Unknown::Other(user.into())), Unknown::Other(user.into())),
        ("inspect-gone", Some(gone()), gone()),
        ("start-gone", Some(gone()), gone()),
        ("start-paused", Some(state("paused")), improper()),
        // Docker does it.
        ("restart-paused", None, improper()),
    ] {
        for (engine, dialect) in ENGINES {
            let text = String::from_utf8(sample(engine, &format!("errors/{name}.txt"))).unwrap();
            let (code, said) = text.split_once('\n').unwrap();
            let code: i32 = code.parse().unwrap();
            let (err, out) = said.split_once("-- standard output\n").unwrap_or((said, ""));
            let expected = if dialect == Dialect::Docker { docker.clone() } else { Some(podman.clone()) };
            let Some(expected) = expected else {
                assert_eq!(code, 0, "{engine} {name}");
                continue;
            };
            let meant = match name.split_once('-').unwrap().0 {
                "exec" => crate::engine::batch::named(errors::of_exec(out, err, Some(code)), "box"),
                "inspect" => errors::of_call(err.as_bytes(), code, "box", Asked::Question),
                _ => errors::of_call(err.as_bytes(), code, "box", Asked::Order),
            };
            assert_eq!(meant, expected, "{engine} {name}: {text}");
        }
    }
}
