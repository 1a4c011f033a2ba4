//! A temporary folder with a configuration, state and log, and the built binary run on them in a clean
//! environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use recovery::store::lock::file_name_for;
use serde_json::{Map, Value, json};

use super::fake_docker::FakeDocker;
use super::ntfy::Ntfy;
use super::run::{self, Finished};

/// More than any pass of a test takes; it is there so that a hanging one fails.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A configuration and the world around it.
pub struct Fixture {
    folder: tempfile::TempDir,
    /// What is written to `system-config.json`; changed freely between runs.
    pub config: Value,
    env: Vec<(String, String)>,
    path: String,
}

impl Fixture {
    /// No services; state, markers and log in the folder; no grace after boot, since the machine of a test may
    /// just have booted.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("recovery-test-").tempdir().expect("a temporary folder");
        let config = json!({
            "services": {},
            "recovery": {"state_dir": "state", "log_file": "recovery.log", "boot_grace_seconds": 0}
        });
        fs::create_dir(folder.path().join("home")).expect("a home folder");
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
        Self { folder, config, env: Vec::new(), path }
    }

    /// Adds or replaces a service.
    pub fn service(&mut self, name: &str, service: Value) -> &mut Self {
        self.config["services"][name] = service;
        self
    }

    /// Sets a key of the `recovery` section.
    pub fn setting(&mut self, key: &str, value: Value) -> &mut Self {
        self.config["recovery"][key] = value;
        self
    }

    /// Sends all alerts to that server, topic `test-topic` under the name `alerts`.
    pub fn ntfy(&mut self, ntfy: &Ntfy) -> &mut Self {
        self.config["notifications"] = json!({
            "ntfy": {"server": ntfy.url(), "topics": {"alerts": "test-topic"}},
            "default_topic": "alerts"
        });
        self
    }

    /// Puts a fake `docker` first on PATH.
    pub fn fake_docker(&mut self, fake: &FakeDocker) -> &mut Self {
        self.path = format!("{}:{}", fake.folder().display(), self.path);
        self
    }

    /// Sets a variable of the environment of every run.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where `system-config.json` stands.
    pub fn config_path(&self) -> PathBuf {
        self.path("system-config.json")
    }

    /// Writes the configuration and prepares `recovery --config IT ARGS…`, for tests that need the command.
    pub fn command(&self, args: &[&str]) -> Command {
        let text = serde_json::to_string_pretty(&self.config).expect("a JSON value is written");
        fs::write(self.config_path(), text).expect("the configuration is written");
        self.bare_command(args)
    }

    /// The same without writing it, so that a test can have written anything there, or nothing.
    pub fn bare_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recovery"));
        command.arg("--config").arg(self.config_path()).args(args).current_dir(self.folder.path());
        command.env_clear().env("PATH", &self.path).env("HOME", self.path("home")).env("LANG", "C.UTF-8");
        if let Some(host) = std::env::var_os("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Finished {
        run::within(LIMIT, self.command(args), b"")
    }

    /// One pass.
    #[track_caller]
    pub fn pass(&self) -> Finished {
        self.run(&["run"])
    }

    /// What is remembered of a service; `None` where nothing is.
    pub fn state(&self, service: &str) -> Option<Value> {
        let text = fs::read_to_string(self.path("state").join(format!("{service}.json"))).ok()?;
        Some(serde_json::from_str(&text).expect("a state file is JSON"))
    }

    /// The log so far; empty where there is none.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("recovery.log")).unwrap_or_default()
    }

    /// How many lines of the log contain `phrase`.
    pub fn count(&self, phrase: &str) -> usize {
        self.log().lines().filter(|line| line.contains(phrase)).count()
    }

    /// The alerts that wait in the outbox, by file name; what is kept in its folders does not wait.
    pub fn outbox(&self) -> Map<String, Value> {
        let alerts =
            files(&self.path("state").join("outbox")).into_iter().filter(|(name, _)| !name.contains('/'));
        let parsed = alerts.filter_map(|(name, text)| Some((name, serde_json::from_str(&text).ok()?)));
        parsed.collect()
    }

    /// Every file below the state folder with its content: two equal answers mean that nothing was written.
    pub fn state_files(&self) -> Vec<(String, String)> {
        files(&self.path("state"))
    }

    /// Makes a marker as a person does, with `touch`.
    #[track_caller]
    pub fn touch_marker(&self, service: &str) {
        let folder = self.path("state/manual-stop");
        fs::create_dir_all(&folder).expect("the folder of the markers");
        fs::write(folder.join(format!("{service}.stopped")), "").expect("the marker is written");
    }
}

/// As root, what a pass needs to tell of an unreadable configuration is kept outside of the folder, by the
/// configuration's path.
impl Drop for Fixture {
    fn drop(&mut self) {
        let kept = file_name_for(&self.config_path().to_string_lossy()).with_extension("json");
        let _ = fs::remove_file(Path::new("/var/lib/recovery/last-good").join(kept));
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

/// All files below `folder`, by their sorted paths relative to it; none where there is no such folder.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                let name = path.strip_prefix(folder).expect("it lies below").to_string_lossy().into_owned();
                found.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    found.sort();
    found
}
