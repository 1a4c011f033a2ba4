//! `contrib/systemd-timer` run by a systemd that is the first process of a container: what a pass starts outlives
//! it, findings are no failures of the unit, the timer starts passes, and the hardened service still does its work.

use crate::common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::docker::{Container, Docker, docker_ok, require_docker, required, skipped};
use common::fixture::LIMIT;
use common::run;
use common::until::until;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_recovery");
const HARDENING: &str = include_str!("../../contrib/systemd-timer/hardening.conf");
/// How the last pass ended; in the one folder where the hardened service may write.
const RESULT: &str = "/var/lib/recovery/result";
const DEMO: &str = "recovery demo-service";

#[test]
fn what_a_pass_starts_on_the_machine_outlives_it() {
    let Some(docker) = require_docker() else { return };
    let Some(machine) = Machine::boot(docker, &[]) else { return };
    machine.configure(&json!({"demo": demo()}));

    assert_eq!(machine.pass(), "success 0");
    assert_eq!(machine.container.count(DEMO), 1);
    assert_eq!(machine.show("ActiveState"), "inactive");
    let first = machine.container.sh("pgrep -x recovery");
    machine.container.sh("systemctl stop recovery.service");
    assert_eq!(machine.pass(), "success 0");
    assert_eq!(machine.container.sh("pgrep -x recovery"), first);
    machine
        .container
        .sh("test -d /var/lib/recovery && test -d /var/log/recovery && test -s /var/lib/recovery/demo.json");
}

/// It would not outlive it otherwise: the tree of control groups is a real one.
#[test]
fn without_its_kill_mode_it_would_not() {
    let Some(docker) = require_docker() else { return };
    let Some(machine) = Machine::boot(docker, &[]) else { return };
    machine.configure(&json!({"demo": demo()}));
    machine.drop_in("service", "kill-mode", "[Service]\nKillMode=control-group\n");
    assert_eq!(machine.pass(), "success 0");
    until("the end of what it started", LIMIT, || (machine.container.count(DEMO) == 0).then_some(()));
}

#[test]
fn a_finding_is_no_failure_of_the_unit_and_a_broken_configuration_is() {
    let Some(docker) = require_docker() else { return };
    let Some(machine) = Machine::boot(docker, &[]) else { return };
    let down = json!({"health_check": {"type": "custom", "command": "exit 1"}});
    machine.configure(&json!({"down": down}));
    assert_eq!(machine.pass(), "success 1");
    let gone = json!({"container": "nowhere", "health_check": {"type": "custom", "command": "true"}});
    machine.configure(&json!({"gone": gone}));
    assert_eq!(machine.pass(), "success 69");
    machine.container.sh("echo '{' > /etc/recovery/system-config.json");
    assert_eq!(machine.pass(), "exit-code 78");
}

#[test]
fn the_timer_starts_passes() {
    let Some(docker) = require_docker() else { return };
    let Some(machine) = Machine::boot(docker, &[]) else { return };
    let count = "echo x >> /tmp/looks";
    machine.configure(&json!({"a": {"health_check": {"type": "custom", "command": count}}}));
    machine.drop_in("timer", "schedule", "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nAccuracySec=1ms\n");
    machine.container.sh("systemctl enable --now recovery.timer");
    until("three passes", LIMIT, || (machine.container.lines_of("/tmp/looks") >= 3).then_some(()));
}

#[test]
fn the_hardened_service_restarts_what_died_in_a_container() {
    let Some(docker) = require_docker() else { return };
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let Some(socket) = host.strip_prefix("unix://") else {
        return skipped("the engine listens on no socket of this machine");
    };
    let mount = format!("--volume={socket}:/run/docker.sock");
    let Some(machine) = Machine::boot(docker, &[&mount]) else { return };
    let victim = Container::start(docker, "busybox", &["--init"], &[]);
    machine.configure(&json!({"web": {
        "container": victim.name,
        "health_check": {"type": "http", "endpoint": "http://localhost:8080/health"},
        "restart_cmd": "httpd -p 8080 -h /www",
        "startup_delay_seconds": 0,
        "start_period_seconds": 0
    }}));
    machine.drop_in("service", "hardening", HARDENING);
    assert_eq!(machine.pass(), "success 0");
    assert_eq!(machine.show("ProtectSystem"), "strict");
    assert_eq!(victim.count("httpd -p 8080"), 1);
    let state: Value =
        serde_json::from_str(&machine.container.sh("cat /var/lib/recovery/web.json")).expect("JSON");
    assert_eq!(state["attempts"][0]["result"], "recovered");
}

fn demo() -> Value {
    json!({
        "health_check": {"type": "http", "endpoint": "http://127.0.0.1:18080/health"},
        "restart_cmd": "\"$RECOVERY_EXE\" demo-service --listen 127.0.0.1:18080 &",
        "startup_delay_seconds": 0
    })
}

/// A container with systemd as its first process, the units and the program where they are installed.
struct Machine {
    container: Container,
}

impl Machine {
    /// `None`, after saying so, where systemd is not installed, or does not come up in a container of this engine.
    fn boot(docker: Docker, more: &[&str]) -> Option<Self> {
        if !Path::new("/lib/systemd/systemd").exists() {
            assert!(!required(), "systemd is not installed");
            skipped("systemd is not installed");
            return None;
        }
        build_image();
        let program = format!("--volume={PROGRAM}:/usr/local/bin/recovery:ro");
        let mut options =
            vec!["--tty", "--cgroupns=private", "--cap-add=SYS_ADMIN", "--tmpfs=/run", "--tmpfs=/tmp:exec"];
        options.extend(["--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"]);
        options.push(&program);
        options.extend_from_slice(more);
        let container = Container::start(docker, "systemd", &options, &[]);
        let up = until("systemd to come up, or to give up", LIMIT, || {
            if container.state().status != "running" {
                return Some(false);
            }
            let state = container.exec(&["systemctl", "is-system-running"]).stdout;
            ["running", "degraded"].contains(&state.trim()).then_some(true)
        });
        if !up {
            skipped(&format!(
                "systemd does not come up in a container here: {}",
                docker_ok(&["logs", &container.id])
            ));
            return None;
        }
        let machine = Self { container };
        // systemd forgets a unit that is over, and with it how it ended.
        let tell = format!("[Service]\nExecStopPost=sh -c 'echo $SERVICE_RESULT $EXIT_STATUS > {RESULT}'\n");
        machine.drop_in("service", "tell", &tell);
        Some(machine)
    }

    fn configure(&self, services: &Value) {
        let config = json!({"recovery": {"boot_grace_seconds": 0}, "services": services});
        self.write("/etc/recovery/system-config.json", &config.to_string());
    }

    /// Adds the drop-in `name` to `recovery.UNIT`.
    fn drop_in(&self, unit: &str, name: &str, text: &str) {
        let folder = format!("/etc/systemd/system/recovery.{unit}.d");
        self.container.sh(&format!("mkdir -p {folder}"));
        self.write(&format!("{folder}/{name}.conf"), text);
        self.container.sh("systemctl daemon-reload");
    }

    fn write(&self, path: &str, text: &str) {
        let mut command = Command::new("docker");
        command.args(["exec", "--interactive", &self.container.id, "sh", "-c", &format!("cat > {path}")]);
        run::within(LIMIT, command, text.as_bytes()).expect_code(0);
    }

    /// Starts the service as the timer does, waits for its end, and tells how systemd judges it and its exit code.
    fn pass(&self) -> String {
        self.container.exec(&["systemctl", "start", "recovery.service"]);
        self.container.sh(&format!("cat {RESULT} && rm {RESULT}"))
    }

    fn show(&self, property: &str) -> String {
        self.container.sh(&format!("systemctl show --value --property={property} recovery.service"))
    }
}

fn build_image() {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd-image.sh"));
    command.arg(PROGRAM);
    run::within(Duration::from_secs(180), command, b"").expect_code(0);
}
