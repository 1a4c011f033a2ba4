//! The engine's words where something cannot be done: the client's exit code says nothing of the reason, so they
//! must.

use super::proxy;
use crate::check::Unknown;
use crate::engine::batch;

/// What an error means, whichever engine words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Gone,
    Paused,
    Restarting,
    Removing,
    NotRunning,
    /// Podman does not tell which state it is in.
    WrongState,
    NoUser,
    CannotFork,
    NoShell,
    SocketDenied,
    EngineDenied,
    Unreachable,
    /// By a proxy or a plugin before the engine: it was not done.
    Refused,
}

use Meaning::{
    CannotFork, EngineDenied, Gone, NoShell, NoUser, NotRunning, Paused, Refused, Removing, Restarting,
    SocketDenied, Unreachable, WrongState,
};

/// The first row decides of which all phrases, in small letters, stand in the error.
const WORDS: &[(&[&str], Meaning)] = &[
    (&["no such container"], Gone),
    (&["no such object"], Gone),
    (&["no container with name or id"], Gone),
    (&["is paused"], Paused),
    (&["container paused"], Paused),
    (&["paused container"], Paused),
    (&["is restarting"], Restarting),
    (&["removal of container"], Removing),
    (&["marked for removal"], Removing),
    (&["is not running"], NotRunning),
    (&["container not running"], NotRunning),
    (&["cannot exec in a stopped"], NotRunning),
    (&["can only create exec sessions on running containers"], NotRunning),
    (&["container state improper"], WrongState),
    (&["unable to find user"], NoUser),
    (&["no matching entries in passwd"], NoUser),
    (&["unable to find group"], NoUser),
    (&["exec failed", "resource temporarily unavailable"], CannotFork),
    (&["exec failed", "cannot allocate memory"], CannotFork),
    (&["executable file not found"], NoShell),
    (&["attempted to invoke a command that was not found"], NoShell),
    (&["oci permission denied"], NoShell),
    (&["exec failed", "no such file or directory"], NoShell),
    (&["exec failed", "permission denied"], NoShell),
    (&["authorization denied by plugin"], Refused),
    (&["error response from daemon: forbidden"], Refused),
    (&["error response from daemon: method not allowed"], Refused),
    (&["request returned 403"], Refused),
    (&["request returned 405"], Refused),
    (&["permission denied", "connect"], SocketDenied),
    (&["permission denied", "socket"], SocketDenied),
    (&["permission denied"], EngineDenied),
    (&["cannot connect to the"], Unreachable),
    (&["is the docker daemon running"], Unreachable),
    (&["error during connect"], Unreachable),
    (&["failed to connect to the docker api"], Unreachable),
    (&["connection refused"], Unreachable),
    (&["dial unix"], Unreachable),
    (&["context deadline exceeded"], Unreachable),
    (&["i/o timeout"], Unreachable),
    (&["unable to resolve docker endpoint"], Unreachable),
    (&["context not found"], Unreachable),
    (&["client version"], Unreachable),
    (&["connect to podman"], Unreachable),
    (&["request returned 5"], Unreachable),
];

/// What was asked of the engine when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A question, such as the listing.
    Question,
    /// To start or to restart a container.
    Order,
    /// An `exec`.
    Exec,
}

impl Meaning {
    fn of(text: &str, asked: Asked) -> Option<Self> {
        let text = text.to_lowercase();
        // What is said of a program is only of an exec said of our shell.
        let is_of_program = |meaning| matches!(meaning, NoUser | CannotFork | NoShell | EngineDenied);
        let rows = WORDS.iter().filter(|(_, meaning)| asked == Asked::Exec || !is_of_program(*meaning));
        let says = |phrases: &[&str]| phrases.iter().all(|phrase| text.contains(phrase));
        rows.copied().find(|(phrases, _)| says(phrases)).map(|(_, meaning)| meaning)
    }

    fn unknown(self, container: &str, line: String, asked: Asked) -> Unknown {
        let container = container.to_owned();
        let state =
            |state: &str| Unknown::ContainerState { container: container.clone(), state: state.into() };
        match self {
            Gone => Unknown::NoSuchContainer(container),
            Paused => state("paused"),
            Restarting => state("restarting"),
            Removing => state("removing"),
            NotRunning => state("not running"),
            WrongState => state("paused, or just changing"),
            NoUser => Unknown::Other(format!("the user is not known in the container: {line}")),
            CannotFork => Unknown::CannotFork(container),
            NoShell => Unknown::NoShell(container),
            SocketDenied => Unknown::EngineUnreachable(
                "permission denied on its socket; run as root, or as a member of the engine's group".into(),
            ),
            EngineDenied | Unreachable => Unknown::EngineUnreachable(line),
            Refused => refused(line, asked),
        }
    }
}

/// An order that was refused was not carried out; of all else nothing can be known.
pub(super) fn refused(line: String, asked: Asked) -> Unknown {
    if asked == Asked::Order { Unknown::Other(line) } else { Unknown::EngineUnreachable(line) }
}

/// What an error of the command line means for `container`.
#[must_use]
pub fn of_call(stderr: &[u8], code: i32, container: &str, asked: Asked) -> Unknown {
    let text = String::from_utf8_lossy(stderr);
    let line = telling_line(&text);
    if let Some(page) = proxy::page(&text) {
        return page.unknown(asked);
    }
    if let Some(meaning) = Meaning::of(&text, asked) {
        return meaning.unknown(container, line, asked);
    }
    // A wrapper could not run the command line itself. Podman ends with the same numbers where a container's
    // program cannot be run.
    if matches!(code, 126 | 127) && !text.contains("Error: ") {
        return Unknown::EngineUnreachable(if line.is_empty() { format!("exit {code}") } else { line });
    }
    if line.is_empty() {
        return Unknown::Other(format!("the engine's command line ended with {code} and said nothing"));
    }
    Unknown::Other(line)
}

/// Reads the words of a client whose agent never announced itself; [`batch::named`] puts in the container's name.
#[must_use]
pub fn of_exec(stdout: &str, stderr: &str, exit: Option<i32>) -> Unknown {
    let text = format!("{stderr}\n{stdout}");
    if let Some(page) = proxy::page(stderr) {
        return page.unknown(Asked::Exec);
    }
    let container = "the container";
    if let Some(meaning) = Meaning::of(&text, Asked::Exec) {
        meaning.unknown(container, last(&text), Asked::Exec)
    } else if batch::could_not_fork(&text) {
        Unknown::CannotFork(container.into())
    } else if text.trim().is_empty() {
        let how = exit.map_or_else(|| "was ended".to_owned(), |code| format!("ended with {code}"));
        Unknown::CutOff(format!("the client {how} without a word"))
    } else {
        Unknown::Other(format!("exec failed: {}", last(&text)))
    }
}

/// Whether an engine says that it writes no events down.
#[must_use]
pub fn keeps_no_events(text: &str) -> bool {
    text.contains("cannot read events with the \"none\"")
}

/// The first line that is more than a warning, in one line, without the engine's preamble.
fn telling_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.clone().find(|line| !is_warning(line)).or_else(|| lines.next()).unwrap_or_default();
    without_preamble(line).chars().take(500).collect()
}

fn without_preamble(line: &str) -> &str {
    let preambles = ["Error response from daemon:", "Error:"];
    preambles.iter().find_map(|preamble| line.strip_prefix(preamble)).unwrap_or(line).trim()
}

/// A line that stands before the error, or without one.
fn is_warning(line: &str) -> bool {
    let line = line.to_lowercase();
    let is_log = line.starts_with("time=") && !line.contains("level=error") && !line.contains("level=fatal");
    is_log || ["warn", "emulate docker cli"].iter().any(|start| line.starts_with(start))
}

fn last(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map_or("no reason given", without_preamble).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_words_tell_why() {
        let state =
            |state: &str| Unknown::ContainerState { container: "the container".into(), state: state.into() };
        let cases = [
            (
                "Error response from daemon: No such container: 3fa9",
                Unknown::NoSuchContainer("the container".into()),
            ),
            ("Error: No such container: 3fa9", Unknown::NoSuchContainer("the container".into())),
            ("Error response from daemon: Container 3fa9 is not running", state("not running")),
            ("Error response from daemon: container 3fa9 is not running", state("not running")),
            (
                "Error response from daemon: Container 3fa9 is paused, unpause the container before exec",
                state("paused"),
            ),
            (
                "Error response from daemon: Container 3fa9 is restarting, wait until the container is running",
                state("restarting"),
            ),
        ];
        for (stderr, expected) in cases {
            assert_eq!(of_exec("", stderr, Some(1)), expected, "{stderr}");
        }
    }

    #[test]
    fn the_engine_is_told_from_the_container() {
        let gone = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        assert_eq!(of_exec("", gone, Some(1)), Unknown::EngineUnreachable(gone.into()));
        let denied = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock";
        assert!(of_exec("", denied, Some(1)).to_string().contains("run as root"));
        let no_shell = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": \
                        executable file not found in $PATH: unknown";
        assert!(matches!(of_exec(no_shell, "", Some(126)), Unknown::NoShell(_)));
        let denied = "OCI runtime exec failed: exec failed: container_linux.go:380: starting container process \
                      caused: exec: \"sh\": permission denied: unknown";
        assert!(matches!(of_exec(denied, "", Some(126)), Unknown::NoShell(_)));
        let user = "unable to find user nobody9: no matching entries in passwd file";
        assert!(matches!(of_exec(user, "", Some(126)), Unknown::Other(_)));
        assert!(matches!(of_exec("", "", None), Unknown::CutOff(_)));
    }

    fn understood(text: &str) -> Unknown {
        of_call(text.as_bytes(), 1, "web", Asked::Order)
    }

    #[test]
    fn an_engine_that_cannot_be_asked_is_told_from_a_container_that_is_gone() {
        for text in [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "error during connect: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.41/x\": EOF",
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "Got permission denied while trying to connect to the Docker daemon socket",
            "Failed to initialize: unable to resolve docker endpoint: context \"x\": context not found",
        ] {
            assert!(matches!(understood(text), Unknown::EngineUnreachable(_)), "{text}");
        }
        let gone = Unknown::NoSuchContainer("web".into());
        assert_eq!(understood("Error response from daemon: No such container: abc"), gone);
        assert_eq!(understood("Error: No such object: abc"), gone);
        let paused = "Error response from daemon: cannot start a paused container, try unpause instead";
        assert_eq!(
            understood(paused),
            Unknown::ContainerState { container: "web".into(), state: "paused".into() }
        );
    }

    #[test]
    fn other_refusals_are_passed_on_in_one_line() {
        let text = "WARNING: old\nError response from daemon: driver failed programming external \
                    connectivity: port is already allocated\nError: failed to start containers: web\n";
        assert_eq!(
            understood(text),
            Unknown::Other(
                "driver failed programming external connectivity: port is already allocated".into()
            )
        );
        assert_eq!(
            of_call(b"", 7, "web", Asked::Order),
            Unknown::Other("the engine's command line ended with 7 and said nothing".into())
        );
    }
}
