//! What a failing command in a container said.

use crate::common;

use std::time::Duration;

use common::docker::{Container, require_docker};
use common::inside::idle;
use recovery::config::model::ServiceName;
use recovery::engine::docker::DockerCli;
use recovery::engine::{ContainerRef, Overrun, RestartCommand, RunResult};
use recovery::process::Interrupt;

fn restart(container: &Container, text: &str, log_path: Option<&str>, seconds: u64) -> RunResult {
    let service = ServiceName::new("svc").expect("a name");
    let timeout = Duration::from_secs(seconds);
    let command = RestartCommand { service: &service, text, env: &[], user: None, log_path, timeout };
    let at = ContainerRef { id: container.id.clone(), name: container.name.clone() };
    DockerCli::new("docker", Interrupt::default()).run(&at, &command, &mut || Overrun::End)
}

fn complained(code: i32, said: &str) -> RunResult {
    RunResult::Complained { code: Some(code), said: said.to_owned() }
}

#[test]
fn the_last_lines_of_a_failing_command_are_told_from_its_log_or_the_containers() {
    let Some(docker) = require_docker() else { return };
    for image in ["debian", "dash", "busybox"] {
        let container = idle(docker, image);
        container.sh("echo old words >/tmp/svc.log");
        let text = "for i in 1 2 3 4 5 6; do echo $i; done; printf seven >&2; exit 7";
        let five = complained(7, "3\n4\n5\n6\nseven");
        let log = Some("/tmp/svc.log");
        assert_eq!(restart(&container, text, log, 60), five, "{image}");
        assert_eq!(restart(&container, "exit 7", log, 60), RunResult::Exited(7), "{image}");
        assert_eq!(restart(&container, "echo fine", log, 60), RunResult::Exited(0), "{image}");
        let hangs = restart(&container, "echo waiting; sleep 1000", log, 1);
        let waiting = RunResult::Complained { code: None, said: "waiting".to_owned() };
        assert_eq!(hangs, waiting, "{image}");
        // Without a log the engine has them.
        let text = text.replace("printf seven", "echo seven");
        assert_eq!(restart(&container, &text, None, 60), five, "{image}");
        assert_eq!(restart(&container, "exit 7", None, 60), RunResult::Exited(7), "{image}");
        let missing = restart(&container, "no-such-program-here", None, 60);
        let RunResult::Complained { code: Some(127), said } = missing else { panic!("{image}: {missing:?}") };
        assert!(said.contains("no-such-program-here"), "{image}: {said}");
    }
}
