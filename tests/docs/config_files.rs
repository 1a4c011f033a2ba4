//! Configurations as files: the shipped one, the documented ones, those that cannot be read or trusted, and
//! what `validate` says of them.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use recovery::commands::validate;
use recovery::config::model::Probe;
use recovery::config::read::read;
use recovery::config::{Severity, TrustPolicy, load};
use recovery::exit_code::ExitCode;
use serde_json::{Value, json};

/// The files of these tests lie where the machine's folders decide; their owner is judged in `trust`.
const TRUSTING: TrustPolicy = TrustPolicy { uid: 1000, sudo_uid: None, accept: true };
const AS_USER: TrustPolicy = TrustPolicy { accept: false, ..TRUSTING };

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn the_shipped_configuration_has_one_enabled_service_and_shows_every_kind() {
    let loaded = load(&repository("config/system-config.json"), &nothing, TRUSTING).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    let enabled: Vec<&str> = config.services.iter().filter(|s| s.enabled).map(|s| s.name.as_str()).collect();
    assert_eq!(enabled, ["demo"]);
    let demo = &config.services[0];
    assert!(demo.container.is_none());
    assert!(
        demo.restart_cmd.as_ref().unwrap().starts_with("\"$RECOVERY_EXE\" demo-service --listen 127.0.0.1:")
    );
    assert_eq!(config.recovery.state_dir, repository("config/state").as_path());
    let disabled = || config.services.iter().filter(|service| !service.enabled);
    let shows = |wanted: fn(&Probe) -> bool| disabled().any(|service| wanted(&service.check.probe));
    assert!(shows(|probe| matches!(probe, Probe::Http(_))));
    assert!(shows(|probe| matches!(probe, Probe::Tcp { .. })));
    assert!(shows(|probe| matches!(probe, Probe::Process { .. })));
    assert!(shows(|probe| matches!(probe, Probe::Custom { .. })));
    assert!(disabled().any(|service| service.container.is_some()));
}

/// A documented block as a whole configuration, by what it begins with.
fn completed(block: &Value) -> Value {
    let with = |service: Value| json!({"services": {"example": service}});
    if block.get("services").is_some() {
        block.clone()
    } else if block.get("health_check").is_some() {
        with(block.clone())
    } else if block.get("type").is_some() {
        with(json!({"health_check": block, "restart_cmd": "x"}))
    } else {
        let mut whole = with(json!({"health_check": {"type": "tcp", "port": 1}, "restart_cmd": "x"}));
        whole.as_object_mut().unwrap().extend(block.as_object().unwrap().clone());
        whole
    }
}

#[test]
fn every_documented_block_is_a_valid_configuration() {
    let text = std::fs::read_to_string(repository("docs/configuration.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 9, "{}", blocks.len());
    // Whatever a block names from the environment is set.
    let env = |name: &str| (name != "NTFY_SERVER").then(|| "value".to_owned());
    for block in blocks {
        let whole = completed(&serde_json::from_str(block).unwrap()).to_string();
        let (config, problems) = read(whole.as_bytes(), Path::new("/etc/c.json"), "/state".into(), &env);
        assert!(config.is_some() && problems.is_empty(), "{block}\n{problems:?}");
    }
}

#[test]
fn the_documented_errors_are_what_is_really_said() {
    let text = std::fs::read_to_string(repository("docs/configuration.md")).unwrap();
    let messages = [
        "unknown key; did you mean \"timeout_seconds\"?",
        "no such key in notifications.ntfy.topics (alerts, ops; did you mean \"alerts\"?); a literal topic is written \"topic:NAME\"",
        "these services need each other: minio → web → minio; remove one of the dependencies",
    ];
    let broken = r#"{"services": {
        "minio": {"restart_cmd": "x", "notify_on_fail": "alrets", "dependencies": ["web"],
            "health_check": {"type": "tcp", "port": 1, "timeout_secs": 1}},
        "web": {"restart_cmd": "x", "dependencies": ["minio"], "health_check": {"type": "tcp", "port": 1}}},
        "notifications": {"ntfy": {"topics": {"alerts": "a", "ops": "o"}}}}"#;
    let (_, problems) = read(broken.as_bytes(), Path::new("/etc/c.json"), "/state".into(), &nothing);
    for message in messages {
        assert!(text.contains(message), "{message}");
        assert!(problems.iter().any(|problem| problem.text == message), "{message}\n{problems:?}");
    }
}

/// What loading says, with the folder shortened.
fn complaint(path: &Path, policy: TrustPolicy) -> String {
    let error = load(path, &nothing, policy).map(|_| ()).unwrap_err();
    assert!(error.problems.iter().any(|problem| problem.severity == Severity::Error));
    let folder = path.parent().unwrap();
    let real = folder.canonicalize().unwrap_or_default();
    error.to_string().replace(real.to_str().unwrap(), "D").replace(folder.to_str().unwrap(), "D")
}

const GOOD: &str =
    r#"{"services": {"web": {"restart_cmd": "x", "health_check": {"type": "tcp", "port": 1}}}}"#;

#[test]
fn files_that_cannot_be_used_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    assert_eq!(
        complaint(&file, TRUSTING),
        "D/c.json: error: no such file; name the configuration with --config or $RECOVERY_CONFIG"
    );
    std::fs::create_dir(&file).unwrap();
    assert_eq!(complaint(&file, TRUSTING), "D/c.json: error: is not a regular file");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, " ".repeat(4 * 1024 * 1024 + 1)).unwrap();
    assert_eq!(complaint(&file, TRUSTING), "D/c.json: error: is larger than 4194304 bytes");
    std::fs::write(&file, "{\n  \"services\": {},\n}").unwrap();
    assert_eq!(
        complaint(&file, TRUSTING),
        "D/c.json:2:17: error: a comma before a closing bracket; remove it"
    );
}

#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("c.json");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(complaint(&pipe, TRUSTING), "D/c.json: error: is not a regular file");
}

#[test]
fn trust_and_content_are_judged_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    std::fs::write(&file, GOOD.replace("port\": 1", "port\": 0")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(
        complaint(&file, AS_USER),
        "D/c.json: error: the file D/c.json can be written by everybody, who could then run commands as us; \
         chmod o-w D/c.json, or accept it with --trust-config\n\
         D/c.json:1:83: error: services.web.health_check.port: expected a whole number from 1 to 65535, found 0"
    );
    std::fs::write(&file, GOOD).unwrap();
    assert!(load(&file, &nothing, AS_USER).is_err());
    assert!(load(&file, &nothing, TRUSTING).is_ok());
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(load(&file, &nothing, AS_USER).is_ok());
}

#[test]
fn relative_names_and_byte_order_marks_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    std::fs::write(&file, format!("\u{feff}{GOOD}")).unwrap();
    let loaded =
        load(&folder.path().join("./../").join(folder.path()).join("c.json"), &nothing, TRUSTING).unwrap();
    assert_eq!(loaded.config.path, file.canonicalize().unwrap());
}

/// Exit code, standard output and standard error of `validate`, with the folder shortened.
fn validated(text: &str, json: bool) -> (ExitCode, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    std::fs::write(&file, text).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = validate::run(&file, &nothing, TRUSTING, json, &mut out, &mut err).unwrap();
    let folder = folder.path().to_str().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(folder, "D");
    (code, text(out), text(err))
}

#[test]
fn validate_says_what_was_understood() {
    let text = r#"{"services": {
        "web": {"container": "box", "restart_cmd": "x", "dependencies": ["db"],
            "health_check": {"type": "http", "endpoint": "http://localhost/"}},
        "db": {"container": "db", "health_check": {"type": "tcp", "port": 1, "from": "machine"}, "notify_on_fail": "ops"},
        "cron": {"restart": "none", "health_check": {"type": "process", "process_name": "^cron"}, "notify_on_fail": null},
        "old": {"enabled": false, "health_check": {"type": "custom", "command": "x"}}},
        "recovery": {"state_dir": "/s"},
        "notifications": {"ntfy": {"topics": {"alerts": "secret1", "ops": "secret2"}}, "command": "mail"}}"#;
    let (code, out, err) = validated(text, false);
    assert_eq!((code, err.as_str()), (ExitCode::Ok, ""));
    assert_eq!(
        out,
        "D/c.json: valid, no warnings\n\
         services: 4, enabled: 3\n\
         \x20 db: tcp check of container db, from this machine, restarted with its container; told: topic ops\n\
         \x20 web: http check in container box, restarted by its command, needs db; told: topic alerts\n\
         \x20 cron: process check on this machine, never restarted; told: nobody\n\
         disabled: old\n\
         nobody hears of: cron\n\
         alerts: https://ntfy.sh and the notification command\n\
         state: /s\n\
         log: standard error\n"
    );
}

#[test]
fn validate_ends_well_with_warnings_and_with_78_on_errors() {
    let warned = GOOD.replace("\"restart_cmd\"", "\"note\": 1, \"restart_cmd\"");
    let (code, out, err) = validated(&warned, false);
    assert_eq!(code, ExitCode::Ok);
    assert!(out.starts_with("D/c.json: valid, 2 warnings\n"), "{out}");
    assert_eq!(err.lines().count(), 2);
    let (code, out, err) = validated(&GOOD.replace("\"tcp\"", "\"tpc\""), false);
    assert_eq!((code, out.as_str()), (ExitCode::Config, ""));
    assert_eq!(
        err,
        "D/c.json:1:68: error: services.web.health_check.type: \
         expected one of \"http\", \"tcp\", \"process\", \"custom\", found \"tpc\"; did you mean \"tcp\"?\n\
         D/c.json: not valid, 1 error\n"
    );
}

#[test]
fn validate_speaks_json_too() {
    let (code, out, err) = validated(&GOOD.replace("\"port\": 1", "\"port\": -1"), true);
    assert_eq!((code, err.as_str()), (ExitCode::Config, ""));
    let said: Value = serde_json::from_str(&out).unwrap();
    let problem = json!({"severity": "error", "line": 1, "column": 83, "path": "services.web.health_check.port",
        "text": "expected a whole number from 1 to 65535, found -1"});
    assert_eq!(said, json!({"valid": false, "file": "D/c.json", "problems": [problem], "services": 0}));

    let (code, out, _) = validated(GOOD, true);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &said["valid"], &said["services"]), (ExitCode::Ok, &json!(true), &json!(1)));
    assert_eq!(said["problems"][0]["path"], "notifications");
    assert_eq!(said["problems"][0]["line"], Value::Null);
}
