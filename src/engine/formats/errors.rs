//! The engine's words where something cannot be done: the client's exit code is 1 for all of it, so they must do.

use crate::check::Unknown;
use crate::engine::batch;

/// What an error of the command line means for `container`.
#[must_use]
pub fn of_call(stderr: &[u8], code: i32, container: &str) -> Unknown {
    let text = String::from_utf8_lossy(stderr);
    let line = telling_line(&text);
    let lower = text.to_lowercase();
    let says = |what: &str| lower.contains(what);
    let state = |state: &str| Unknown::ContainerState { container: container.into(), state: state.into() };
    if says("permission denied") && (says("connect") || says("socket")) {
        let remedy = "run as root, or as a member of the engine's group";
        Unknown::EngineUnreachable(format!("permission denied on its socket; {remedy}"))
    } else if is_connection_trouble(&lower) || matches!(code, 126 | 127) {
        Unknown::EngineUnreachable(if line.is_empty() { format!("exit {code}") } else { line })
    } else if says("no such container") || says("no such object") || says("no container with name or id") {
        Unknown::NoSuchContainer(container.to_owned())
    } else if says("is paused") || says("paused container") {
        state("paused")
    } else if says("is restarting") {
        state("restarting")
    } else if says("removal of container") || says("marked for removal") {
        state("removing")
    } else if line.is_empty() {
        Unknown::Other(format!("the engine's command line ended with {code} and said nothing"))
    } else {
        Unknown::Other(line)
    }
}

fn is_connection_trouble(lower: &str) -> bool {
    [
        "cannot connect to the",
        "is the docker daemon running",
        "error during connect",
        "failed to connect to the docker api",
        "connection refused",
        "dial unix",
        "context deadline exceeded",
        "i/o timeout",
        "unable to resolve docker endpoint",
        "context not found",
        "client version",
        "unable to connect to podman",
    ]
    .iter()
    .any(|sign| lower.contains(sign))
}

/// The first line that is more than a warning, in one line, without the engine's preamble.
fn telling_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().find(|line| !line.to_lowercase().starts_with("warning"));
    let line = first.or_else(|| lines.next()).unwrap_or_default();
    let line = line.strip_prefix("Error response from daemon:").unwrap_or(line).trim();
    line.chars().take(500).collect()
}

/// Reads the words of a client whose agent never announced itself.
///
/// Containers are named as the client names them; [`batch::named`] puts in the name for people.
#[must_use]
pub fn of_exec(stdout: &str, stderr: &str, exit: Option<i32>) -> Unknown {
    let text = format!("{stderr}\n{stdout}");
    let low = text.to_ascii_lowercase();
    let has = |phrase: &str| low.contains(phrase);
    let state = |state: &str| Unknown::ContainerState { container: subject(&text), state: state.into() };
    let oci = has("oci runtime exec failed") || has("exec failed");
    if has("no such container") {
        Unknown::NoSuchContainer(subject(&text))
    } else if has("is paused") || has("container paused") {
        state("paused")
    } else if has("is restarting") {
        state("restarting")
    } else if has("is not running") || has("container not running") || has("cannot exec in a stopped") {
        state("not running")
    } else if has("unable to find user")
        || has("no matching entries in passwd")
        || has("unable to find group")
    {
        Unknown::Other(format!("the user is not known in the container: {}", last(&text)))
    } else if oci && (has("resource temporarily unavailable") || has("cannot allocate memory")) {
        Unknown::CannotFork(subject(&text))
    } else if has("executable file not found")
        || oci && (has("no such file or directory") || has("permission denied"))
    {
        Unknown::NoShell(subject(&text))
    } else if has("cannot connect to the docker daemon")
        || has("permission denied")
        || has("connection refused")
        || has("error during connect")
        || has("failed to connect to the docker api")
    {
        Unknown::EngineUnreachable(last(&text))
    } else if batch::could_not_fork(&text) {
        Unknown::CannotFork(subject(&text))
    } else if low.trim().is_empty() {
        let how = exit.map_or_else(|| "was ended".to_owned(), |code| format!("ended with {code}"));
        Unknown::CutOff(format!("the client {how} without a word"))
    } else {
        Unknown::Other(format!("exec failed: {}", last(&text)))
    }
}

/// What stands after `container` in the client's words.
fn subject(text: &str) -> String {
    let mut words =
        text.split_whitespace().skip_while(|word| !word.to_ascii_lowercase().contains("container"));
    let name = words.nth(1).unwrap_or("?");
    name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

fn last(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.unwrap_or("no reason given").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_words_tell_why() {
        let state = |state: &str| Unknown::ContainerState { container: "3fa9".into(), state: state.into() };
        let cases = [
            ("Error response from daemon: No such container: 3fa9", Unknown::NoSuchContainer("3fa9".into())),
            ("Error: No such container: 3fa9", Unknown::NoSuchContainer("3fa9".into())),
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
        let engine = [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        ];
        for stderr in engine {
            assert_eq!(of_exec("", stderr, Some(1)), Unknown::EngineUnreachable(stderr.into()));
        }
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
        of_call(text.as_bytes(), 1, "web")
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
            of_call(b"", 7, "web"),
            Unknown::Other("the engine's command line ended with 7 and said nothing".into())
        );
    }
}
