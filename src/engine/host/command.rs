//! Operators' own commands on the machine: custom checks and `restart_cmd`.
//!
//! Shell text never stands in an argument, so that a `pkill -f` in it cannot meet its own shell: it travels
//! in an environment variable that is gone before the text begins.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::identity::{Identity, command_as};
use super::said::Listener;
use crate::check::judge::{self, Custom, LONG_CAP, Output, Printed, SHORT_CAP};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::{CustomCommand, MissingProgram, ServiceName};
use crate::engine::{Overrun, Request, RestartCommand, RunResult};
use crate::process::{self, CHECK_MARK, End, Interrupt, Leftovers, Limits, StartError};

/// What the shells of checks call themselves: seen where the environment cannot be read, and in capitals,
/// so that a `pgrep -f recovery` does not find it.
pub const CHECK_NAME: &str = CHECK_MARK;
/// What the shells of restarts call themselves.
const RESTART_NAME: &str = "sh";

/// Expanded before `unset` runs: the text itself finds neither variable.
const EVAL: &str = "eval \"unset RECOVERY_COMMAND RECOVERY_LOG\n$RECOVERY_COMMAND\"";
/// Opened by the command's own user, as a `>>` in the text would be.
const LOG: &str = "if [ -n \"$RECOVERY_LOG\" ] && (: >>\"$RECOVERY_LOG\") 2>/dev/null; then exec >>\"$RECOVERY_LOG\" 2>&1; fi\n";
/// Handed on to commands, where set.
const PLAIN: [&str; 4] = ["PATH", "HOME", "USER", "LANG"];
/// By these the engine's command line finds its engine.
const TO_THE_ENGINE: [&str; 3] = ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"];
/// By these a user's programs find that user's own files and service manager: nothing for another user.
const TO_THE_USERS_OWN: [&str; 4] =
    ["DOCKER_CONFIG", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];
/// Between asking a command to end and killing it.
const GRACE: Duration = Duration::from_secs(2);
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a custom check.
pub fn look(request: &Request<'_>, custom: &Custom<'_>, exe: &Path, interrupt: &Interrupt) -> Health {
    check(request, custom, exe, interrupt).unwrap_or_else(Health::Unknown)
}

fn check(
    request: &Request<'_>,
    custom: &Custom<'_>,
    exe: &Path,
    interrupt: &Interrupt,
) -> Result<Health, Unknown> {
    let identity = Identity::resolve(request.user)?;
    let mut child = match custom.command {
        CustomCommand::Shell(text) => shell(identity.as_ref(), EVAL, CHECK_NAME, text)?,
        CustomCommand::Argv(argv) => {
            let (program, arguments) = argv.split_first().ok_or_else(|| no_tool("an empty command"))?;
            let mut child = command_as(identity.as_ref(), program);
            child.args(arguments);
            child
        }
    };
    let nonce = nonce();
    surroundings(&mut child, identity.as_ref(), exe, request.service, request.env);
    child.env(CHECK_MARK, &nonce);
    if let CustomCommand::Shell(text) = custom.command {
        child.env("RECOVERY_COMMAND", text);
    }
    let timeout = request.check.timeout;
    let limits = Limits {
        deadline: timeout,
        stdout_cap: if custom.expect_json.is_empty() { SHORT_CAP } else { LONG_CAP },
        stderr_cap: SHORT_CAP,
        leftovers: Leftovers::Kill { mark: &format!("{CHECK_MARK}={nonce}") },
    };
    let done = match process::run(child, b"", &limits, interrupt) {
        Ok(done) => done,
        Err(error) if custom.missing_program == MissingProgram::Unhealthy => {
            let output = error.to_string();
            return Ok(Health::Unhealthy(Failure::Exit { code: 127, output }));
        }
        Err(error) => return Err(not_started(error)),
    };
    Ok(match done.end {
        End::Exited(code) => {
            let shown = joined(&done.stdout, &done.stderr);
            let printed = Printed { stdout: &done.stdout, said: &done.stderr, shown: &shown };
            judge::custom(custom, code, &printed)
        }
        End::TimedOut => Health::Unhealthy(Failure::TimedOut { after: timeout }),
        End::Interrupted => Health::Unknown(Unknown::Interrupted),
    })
}

/// Runs a `restart_cmd`: what it starts lives on, whatever becomes of us.
pub fn restart(
    command: &RestartCommand<'_>,
    exe: &Path,
    interrupt: &Interrupt,
    at_timeout: &mut dyn FnMut() -> Overrun,
) -> RunResult {
    let (mut child, said) = match start(command, exe) {
        Ok(started) => started,
        Err(why) => return RunResult::Failed(why),
    };
    let said = || said.map(Listener::last_lines).unwrap_or_default();
    match process::wait(&mut child, Instant::now() + command.timeout, interrupt) {
        End::Exited(code) => return RunResult::exited(code, said),
        End::Interrupted => return RunResult::Interrupted,
        End::TimedOut => {}
    }
    match at_timeout() {
        Overrun::Leave => RunResult::LeftRunning,
        // It may have ended while we looked.
        Overrun::End => match process::wait(&mut child, Instant::now(), &Interrupt::default()) {
            End::Exited(code) => RunResult::exited(code, said),
            End::TimedOut | End::Interrupted => {
                process::end(&mut child, GRACE);
                RunResult::timed_out(said())
            }
        },
    }
}

fn start(command: &RestartCommand<'_>, exe: &Path) -> Result<(Child, Option<Listener>), Unknown> {
    let identity = Identity::resolve(command.user)?;
    let mut child = restart_child(command, identity.as_ref(), exe)?;
    let owner = identity.as_ref().map(Identity::owner);
    let said = Listener::attach(&mut child, command.log_path.map(Path::new), owner);
    Ok((process::spawn(&mut child).map_err(not_started)?, said))
}

fn restart_child(
    command: &RestartCommand<'_>,
    identity: Option<&Identity>,
    exe: &Path,
) -> Result<Command, Unknown> {
    let script = format!("{LOG}{EVAL}");
    let mut child = shell(identity, &script, RESTART_NAME, command.text)?;
    surroundings(&mut child, identity, exe, command.service, command.env);
    child.env("RECOVERY_COMMAND", command.text);
    child.env("RECOVERY_LOG", command.log_path.unwrap_or_default());
    child.stdin(Stdio::null());
    Ok(child)
}

fn shell(identity: Option<&Identity>, script: &str, name: &str, text: &str) -> Result<Command, Unknown> {
    if text.contains('\0') {
        return Err(Unknown::Other("the command holds a NUL byte".to_owned()));
    }
    let shell = process::find_program("bash", &[])
        .or_else(|| process::find_program("sh", &[]))
        .ok_or_else(|| no_tool("no shell on this machine"))?;
    let mut command = command_as(identity, &shell.to_string_lossy());
    command.args(["-c", script, name]);
    Ok(command)
}

fn surroundings(
    command: &mut Command,
    identity: Option<&Identity>,
    exe: &Path,
    service: &ServiceName,
    env: &[(String, String)],
) {
    command.env_clear().current_dir("/").env("PATH", DEFAULT_PATH);
    let handed_on = |names: &[&'static str]| {
        let set = |name: &&'static str| Some((*name, std::env::var_os(name)?));
        names.iter().filter_map(set).collect::<Vec<_>>()
    };
    command.envs(handed_on(&PLAIN)).envs(handed_on(&TO_THE_ENGINE));
    match identity {
        Some(identity) => command.envs(identity.environment()),
        None => command.envs(handed_on(&TO_THE_USERS_OWN)),
    };
    command.env("RECOVERY_EXE", exe).env("RECOVERY_SERVICE", service.as_str());
    command.envs(env.iter().map(|(name, value)| (name, value)));
}

fn joined(stdout: &Output, stderr: &Output) -> Output {
    let mut bytes = stdout.bytes.clone();
    if !bytes.is_empty() && !bytes.ends_with(b"\n") && !stderr.bytes.is_empty() {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(&stderr.bytes);
    Output { bytes, truncated: stdout.truncated || stderr.truncated }
}

fn not_started(error: StartError) -> Unknown {
    match error {
        StartError::NotFound(program) => no_tool(&format!("{program}: command not found")),
        refused @ StartError::Refused { .. } => Unknown::Other(refused.to_string()),
    }
}

fn no_tool(what: &str) -> Unknown {
    Unknown::NoTool(what.to_owned())
}

/// Unlike any other check's, of this pass or another.
fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}-{}-{count}", getrandom::u64().unwrap_or_default(), std::process::id())
}
