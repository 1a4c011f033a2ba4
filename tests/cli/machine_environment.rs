//! What commands on the machine find in their environment: what leads to the engine and to the user's own service
//! manager, and nothing else of ours.

use crate::common;

use common::docker::skipped;
use common::fixture::Fixture;
use serde_json::json;

const HANDED_ON: [(&str, &str); 7] = [
    ("DOCKER_CERT_PATH", "/certificates"),
    ("DOCKER_CONFIG", "/config"),
    ("DOCKER_CONTEXT", "far"),
    ("DOCKER_HOST", "unix:///no/such.sock"),
    ("DOCKER_TLS_VERIFY", "1"),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/mine/bus"),
    ("XDG_RUNTIME_DIR", "/run/mine"),
];

/// The environment of a check and of a restart, each a sorted list of lines.
fn environments(user: Option<&str>) -> [Vec<String>; 2] {
    let mut fixture = Fixture::new();
    let (check, restart) = (fixture.path("check"), fixture.path("restart"));
    std::fs::write(&check, "").and_then(|()| std::fs::write(&restart, "")).expect("files");
    for file in [&check, &restart] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(file, mode).expect("all may write there");
    }
    let folder = fixture.path(".");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, mode).expect("all may go there");
    for (name, value) in HANDED_ON {
        fixture.env(name, value);
    }
    fixture.env("OURS", "alone").env("NTFY_TOPIC", "a-secret");
    fixture.service(
        "web",
        json!({
            "health_check": {"type": "custom", "command": format!("env | sort >'{}'; exit 1", check.display())},
            "restart_cmd": format!("env | sort >'{}'", restart.display()),
            "env": {"MINE": "yes"}, "user": user,
            "startup_delay_seconds": 0, "startup_timeout_seconds": 0
        }),
    );
    fixture.pass();
    [check, restart].map(|file| {
        let text = std::fs::read_to_string(file).expect("it ran");
        text.lines().map(str::to_owned).collect()
    })
}

fn has(environment: &[String], name: &str, value: &str) -> bool {
    environment.contains(&format!("{name}={value}"))
}

#[test]
fn commands_find_the_engine_and_the_users_service_manager() {
    for environment in environments(None) {
        for (name, value) in HANDED_ON {
            assert!(has(&environment, name, value), "{name}: {environment:?}");
        }
        assert!(has(&environment, "MINE", "yes") && has(&environment, "RECOVERY_SERVICE", "web"));
        for name in ["PATH", "HOME", "LANG", "RECOVERY_EXE"] {
            assert!(environment.iter().any(|line| line.starts_with(&format!("{name}="))), "{name}");
        }
        let ours = ["OURS=", "NTFY_TOPIC=", "RECOVERY_COMMAND=", "RECOVERY_LOG="];
        assert!(!environment.iter().any(|line| ours.iter().any(|name| line.starts_with(name))));
    }
}

#[test]
fn another_user_gets_nothing_that_is_only_ours() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can become another user");
    }
    for environment in environments(Some("nobody")) {
        assert!(has(&environment, "DOCKER_HOST", "unix:///no/such.sock"), "{environment:?}");
        assert!(has(&environment, "USER", "nobody"), "{environment:?}");
        for (name, value) in &HANDED_ON[1..3] {
            assert!(!has(&environment, name, value), "{name}: {environment:?}");
        }
        for (name, value) in &HANDED_ON[5..] {
            assert!(!has(&environment, name, value), "{name}: {environment:?}");
        }
    }
}
