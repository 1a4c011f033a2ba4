//! Why an `exec` did not even start: the client's exit code is 1 for all of it, so its words must do.

use super::verdict;
use crate::check::Unknown;

/// Reads the words of a client whose agent never announced itself.
///
/// Containers are named as the client names them; [`super::named`] puts in the name for people.
#[must_use]
pub fn classify(stdout: &str, stderr: &str, exit: Option<i32>) -> Unknown {
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
    } else if verdict::could_not_fork(&text) {
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
            assert_eq!(classify("", stderr, Some(1)), expected, "{stderr}");
        }
    }

    #[test]
    fn the_engine_is_told_from_the_container() {
        let engine = [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        ];
        for stderr in engine {
            assert_eq!(classify("", stderr, Some(1)), Unknown::EngineUnreachable(stderr.into()));
        }
        let no_shell = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": \
                        executable file not found in $PATH: unknown";
        assert!(matches!(classify(no_shell, "", Some(126)), Unknown::NoShell(_)));
        let denied = "OCI runtime exec failed: exec failed: container_linux.go:380: starting container process \
                      caused: exec: \"sh\": permission denied: unknown";
        assert!(matches!(classify(denied, "", Some(126)), Unknown::NoShell(_)));
        let user = "unable to find user nobody9: no matching entries in passwd file";
        assert!(matches!(classify(user, "", Some(126)), Unknown::Other(_)));
        assert!(matches!(classify("", "", None), Unknown::CutOff(_)));
    }
}
