//! A fake `docker` command, for exact output and for faults that a real engine cannot be brought to.
//!
//! It is a shell script that goes through rules, the youngest first; a rule answers where the arguments begin
//! with its words. Every call leaves its arguments and standard input behind.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

/// What the client says where no engine listens.
pub const NO_ENGINE: &str =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";

/// How a call ends.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This output and exit code.
    Says(String, String, u8),
    /// It accepts and never answers, until it is killed or the double is gone.
    Hangs,
    /// `exec` only: runs the command here instead of in a container, with its `-e` and its standard input.
    RunsHere,
}

impl Answer {
    /// Exit code 0 and that standard output.
    pub fn ok(stdout: &str) -> Self {
        Self::Says(stdout.to_owned(), String::new(), 0)
    }

    /// That standard error and exit code.
    pub fn fails(stderr: &str, code: u8) -> Self {
        Self::Says(String::new(), stderr.to_owned(), code)
    }

    /// As where no engine listens.
    pub fn no_engine() -> Self {
        Self::fails(NO_ENGINE, 1)
    }
}

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its arguments.
    pub argv: Vec<String>,
    /// Its standard input, as far as it was sent; recorded only where an `exec -i` was run here, since a client
    /// that only answers does not read it.
    pub stdin: String,
}

/// The fake command in its folder.
pub struct FakeDocker {
    folder: tempfile::TempDir,
    rules: Vec<(String, bool, Answer)>,
}

impl FakeDocker {
    /// Without a rule every call fails with exit code 1 and `fake docker: no rule for …`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("calls")).expect("a folder for the calls");
        fs::create_dir(folder.path().join("rules")).expect("a folder for the rules");
        let fake = Self { folder, rules: Vec::new() };
        fake.write();
        fake
    }

    /// Answers so where the arguments begin with `words` (an empty text: always), before all earlier rules.
    pub fn when(&mut self, words: &str, answer: Answer) -> &mut Self {
        self.add(words, false, answer)
    }

    /// The same, once: afterwards the earlier rules apply again.
    pub fn when_once(&mut self, words: &str, answer: Answer) -> &mut Self {
        self.add(words, true, answer)
    }

    /// Lists these containers (name, state) and inspects them, all started an hour ago and never restarted; the
    /// engine knows no events.
    pub fn containers(&mut self, list: &[(&str, &str)]) -> &mut Self {
        let rows = list.iter().map(|(name, state)| {
            let status = if *state == "running" { "Up 1 hour" } else { state };
            json!({"ID": id_of(name), "Names": name, "State": state, "Status": status}).to_string() + "\n"
        });
        self.when("ps", Answer::ok(&rows.collect::<String>())).when("events", Answer::ok(""));
        for (name, state) in list {
            let started = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
            let started = started.format(&time::format_description::well_known::Rfc3339).expect("a time");
            let inspected = json!([{
                "Id": id_of(name),
                "Name": format!("/{name}"),
                "RestartCount": 0,
                "State": {
                    "Status": state,
                    "Running": *state == "running",
                    "Paused": *state == "paused",
                    "StartedAt": started,
                    "FinishedAt": "0001-01-01T00:00:00Z",
                    "ExitCode": 0,
                    "OOMKilled": false
                },
                "HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
                "Config": {}
            }]);
            self.when(
                &format!("inspect --type container {}", id_of(name)),
                Answer::ok(&inspected.to_string()),
            );
        }
        self
    }

    /// The path of the command, for `recovery.engine`.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    /// Its folder, to stand first on PATH.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All calls so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        let folder = |number: usize| self.folder.path().join("calls").join(number.to_string());
        // One that was killed at once has left no arguments.
        let call = |folder: PathBuf| {
            let argv = fs::read(folder.join("argv")).ok()?;
            let argv = String::from_utf8(argv).expect("arguments are text");
            let argv = argv.split_terminator('\0').map(str::to_owned).collect();
            let stdin = fs::read(folder.join("stdin")).unwrap_or_default();
            Some(Call { argv, stdin: String::from_utf8_lossy(&stdin).into_owned() })
        };
        (1..).map(folder).take_while(|folder| folder.exists()).filter_map(call).collect()
    }

    /// The calls of one subcommand.
    pub fn calls_of(&self, subcommand: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.argv.first().is_some_and(|first| first == subcommand));
        calls
    }

    fn add(&mut self, words: &str, once: bool, answer: Answer) -> &mut Self {
        self.rules.push((words.to_owned(), once, answer));
        self.write();
        self
    }

    /// Writes the script beside and renames it over the old one, so that a call under way reads a whole one.
    fn write(&self) {
        let root = self.folder.path();
        let mut script = format!("#!/bin/sh\nroot={}\n{PROLOGUE}", quoted(&root.to_string_lossy()));
        for (number, (words, once, answer)) in self.rules.iter().enumerate().rev() {
            let once = if *once {
                format!(" && mkdir \"$root/rules/{number}.used\" 2>/dev/null")
            } else {
                String::new()
            };
            let begin = quoted(&format!("{words}{}", if words.is_empty() { "" } else { " " }));
            let _ = writeln!(script, "if case \"$* \" in {begin}*) :;; *) false;; esac{once}; then");
            match answer {
                Answer::Says(stdout, stderr, code) => {
                    let (out, err) =
                        (root.join(format!("rules/{number}.out")), root.join(format!("rules/{number}.err")));
                    fs::write(out, stdout)
                        .and_then(|()| fs::write(err, stderr))
                        .expect("the rule is written");
                    let _ = writeln!(
                        script,
                        "cat \"$root/rules/{number}.out\"; cat \"$root/rules/{number}.err\" >&2; exit {code}"
                    );
                }
                Answer::Hangs => script.push_str("while [ -d \"$root\" ]; do sleep 1; done; exit 1\n"),
                Answer::RunsHere => script.push_str("run_here \"$@\"\n"),
            }
            script.push_str("fi\n");
        }
        script.push_str("echo \"fake docker: no rule for $*\" >&2\nexit 1\n");
        let new = root.join("docker.new");
        fs::write(&new, script).expect("the script is written");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("the script is made executable");
        fs::rename(&new, root.join("docker")).expect("the script is put in place");
    }
}

impl Default for FakeDocker {
    fn default() -> Self {
        Self::new()
    }
}

/// Records the call. A folder is made or not made, so parallel calls cannot take the same number. Its
/// arguments are put in place whole, last, so that nobody reads a half of them.
const PROLOGUE: &str = r#"
number=1
while ! mkdir "$root/calls/$number" 2>/dev/null; do
  [ -d "$root/calls" ] || exit 1
  number=$((number + 1))
done
call=$root/calls/$number
for word; do printf '%s\0' "$word"; done > "$call/argv.new"
mv "$call/argv.new" "$call/argv"
run_here() {
  shift
  interactive=no
  while :; do
    case $1 in
      -i | --interactive) interactive=yes; shift ;;
      -e | --env) case $2 in *=*) export "$2" ;; esac; shift 2 ;;
      --env=*) export "${1#--env=}"; shift ;;
      -u | --user | -w | --workdir) shift 2 ;;
      -*) shift ;;
      *) break ;;
    esac
  done
  shift
  [ $interactive = yes ] || exec "$@" < /dev/null
  # As through the real client: what is sent arrives while it is being sent, and a command that ends early
  # leaves the rest unread without holding any output open.
  mkfifo "$call/fifo"
  exec 3<&0
  tee "$call/stdin" <&3 3<&- > "$call/fifo" 2>/dev/null &
  exec 3<&-
  exec "$@" < "$call/fifo"
}
"#;

/// The id under which [`FakeDocker::containers`] lists that name.
pub fn id_of(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex:0<64.64}")
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
