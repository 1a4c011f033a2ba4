//! Debian's cron itself starts the pass, with the shipped crontab line and cron's own empty environment, and a
//! dead service in a real container is recovered. It waits for the next full minute or two, so it runs only
//! where a whole run is wanted: `RECOVERY_REQUIRE_DOCKER=1` or `RECOVERY_CRON_TEST=1`.

use crate::common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::docker::{Container, require_docker, required, skipped, unique_name};
use common::fixture::Fixture;
use common::until::until;
use serde_json::json;

/// Two full minutes and the time of a pass.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn cron_starts_a_pass_that_recovers_a_dead_service() {
    if !required() && std::env::var_os("RECOVERY_CRON_TEST").is_none() {
        skipped("it waits for minutes; set RECOVERY_CRON_TEST=1");
        return;
    }
    let Some(docker) = require_docker() else { return };
    if !rustix::process::geteuid().is_root() || !PathBuf::from("/etc/cron.d").is_dir() {
        skipped("only root can use /etc/cron.d, or there is no cron");
        return;
    }
    let container = Container::start(docker, "debian", &[], &[]);
    let mut fixture = Fixture::new();
    fixture.service(
        "web",
        json!({
            "container": container.name,
            "health_check": {"type": "http", "endpoint": "http://localhost:8080/health"},
            "restart_cmd": "pkill -f 'httpd -f' || true; echo x >> /tmp/restarts; httpd -f -p 8080 -h /www &",
            "startup_delay_seconds": 0,
            "start_period_seconds": 0
        }),
    );
    // Writes the configuration; cron is what runs it.
    drop(fixture.command(&[]));
    let _entry = Entry::install(&fixture);
    let _cron = Cron::ensure();

    until("a pass started by cron", LIMIT, || {
        let log = fixture.log();
        (log.contains("Successfully recovered web") || log.contains("Failed to recover web")).then_some(())
    });
    assert_eq!(fixture.count("Successfully recovered web"), 1, "{}\n{}", fixture.log(), said(&fixture));
    assert_eq!(container.count("httpd -f -p 8080"), 1);
    assert_eq!(container.exec(&["curl", "-sf", "http://localhost:8080/health"]).code, 0);
    assert_eq!(container.lines_of("/tmp/restarts"), 1);

    // The next one, a minute later, finds it healthy: cron, its pipes and what was started get along.
    until("the next pass", LIMIT, || (fixture.count("Health check passed for web") > 0).then_some(()));
    assert_eq!(container.lines_of("/tmp/restarts"), 1);
}

/// What went to the file that the crontab line names.
fn said(fixture: &Fixture) -> String {
    fs::read_to_string(fixture.path("cron.log")).unwrap_or_default()
}

/// The shipped crontab, for this fixture and every minute, under a name of its own; removed at Drop.
struct Entry(PathBuf);

impl Entry {
    fn install(fixture: &Fixture) -> Self {
        let shipped = include_str!("../../contrib/crontab");
        let program = env!("CARGO_BIN_EXE_recovery");
        let line = shipped.lines().last().expect("a line");
        let ours = line
            .replace("*/5 * * * *", "* * * * *")
            .replace("/etc/recovery/system-config.json", &fixture.config_path().to_string_lossy())
            .replace("/var/log/recovery.log", &fixture.path("cron.log").to_string_lossy())
            .replace(" root recovery ", &format!(" root {program} "));
        for changed in ["* * * * * ", program, "cron.log", "system-config.json run"] {
            assert!(ours.contains(changed), "the shipped line has another form now: {line}");
        }
        let path = PathBuf::from("/etc/cron.d").join(unique_name());
        // In place whole: cron may be reading the folder right now; it passes over names with a dot.
        let new = path.with_extension("new");
        fs::write(&new, shipped.replace(line, &ours)).expect("root can write to /etc/cron.d");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).expect("cron wants it so");
        fs::rename(&new, &path).expect("the entry is put in place");
        Self(path)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The machine's cron where it runs, else one of our own, ended at Drop.
struct Cron(Option<Child>);

impl Cron {
    fn ensure() -> Self {
        // Not one in a container, which reads another folder.
        let here = std::process::id().to_string();
        let mut search = Command::new("pgrep");
        search.args(["-x", "--ns", &here, "--nslist", "pid", "cron"]).stdout(Stdio::null());
        let running = search.status();
        if running.expect("pgrep is installed").success() {
            return Self(None);
        }
        let child = Command::new("/usr/sbin/cron")
            .args(["-f", "-L", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(Some(child.expect("cron is installed")))
    }
}

impl Drop for Cron {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
