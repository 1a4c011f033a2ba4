//! Whether a configuration may be believed: it is run as commands, so whoever can write it commands us.
//!
//! [`judge`] is pure; [`inspect`] collects the facts.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Env;
use super::problem::{Problem, Severity};

/// On whose behalf a configuration is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustPolicy {
    /// Who we are.
    pub uid: u32,
    /// Who called `sudo`.
    pub sudo_uid: Option<u32>,
    /// `--trust-config` or `RECOVERY_TRUST_CONFIG=1`: whatever it is, it is accepted.
    pub accept: bool,
}

impl TrustPolicy {
    /// Of this process; `accept` is `--trust-config`.
    #[must_use]
    pub fn of_process(env: &Env<'_>, accept: bool) -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            sudo_uid: env("SUDO_UID").and_then(|uid| uid.parse().ok()),
            accept: accept || env("RECOVERY_TRUST_CONFIG").as_deref() == Some("1"),
        }
    }
}

/// What decides about one file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// For messages.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permission bits, with the sticky bit.
    pub mode: u32,
}

impl Place {
    fn new(path: &Path, meta: &Metadata) -> Self {
        Self { path: path.to_owned(), uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o7777 }
    }

    fn is_sticky(&self) -> bool {
        self.mode & 0o1000 != 0
    }
}

/// The real file behind `path` and all folders above it, the file first.
///
/// # Errors
/// Where one of them cannot be looked at.
pub fn inspect(path: &Path, file: &Metadata) -> std::io::Result<Vec<Place>> {
    let real = path.canonicalize()?;
    let mut places = vec![Place::new(&real, file)];
    for folder in real.ancestors().skip(1) {
        places.push(Place::new(folder, &folder.metadata()?));
    }
    Ok(places)
}

/// Judges the file (the first place) and its folders.
#[must_use]
pub fn judge(places: &[Place], policy: TrustPolicy) -> Vec<Problem> {
    if policy.accept {
        return Vec::new();
    }
    let verdict = |(index, place): (usize, &Place)| {
        let folder = index > 0;
        if folder && place.is_sticky() { None } else { verdict(place, folder, policy) }
    };
    places.iter().enumerate().filter_map(verdict).collect()
}

fn verdict(place: &Place, folder: bool, policy: TrustPolicy) -> Option<Problem> {
    let path = place.path.display();
    let refuse = |why: String, remedy: String| {
        let text =
            format!("{why}, who could then run commands as us; {remedy}, or accept it with --trust-config");
        Some(Problem::of_file(Severity::Error, text))
    };
    let which = if folder { format!("its folder {path}") } else { format!("the file {path}") };
    if place.mode & 0o002 != 0 {
        return refuse(format!("{which} can be written by everybody"), format!("chmod o-w {path}"));
    }
    if policy.uid != 0 {
        let warn = !folder && place.mode & 0o020 != 0;
        let text = format!("{which} can be written by its group; chmod g-w {path} if that is not meant");
        return warn.then(|| Problem::of_file(Severity::Warning, text));
    }
    if place.uid != 0 && Some(place.uid) != policy.sudo_uid {
        let why = format!("{which} belongs to user {}", place.uid);
        return refuse(why, format!("chown root {path}"));
    }
    if place.mode & 0o020 != 0 && place.gid != 0 {
        let why = format!("{which} can be written by group {}", place.gid);
        return refuse(why, format!("chmod g-w {path}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: TrustPolicy = TrustPolicy { uid: 0, sudo_uid: None, accept: false };
    const SUDO: TrustPolicy = TrustPolicy { uid: 0, sudo_uid: Some(1000), accept: false };
    const USER: TrustPolicy = TrustPolicy { uid: 1000, sudo_uid: None, accept: false };

    fn place(path: &str, (uid, gid, mode): (u32, u32, u32)) -> Place {
        Place { path: path.into(), uid, gid, mode }
    }

    #[test]
    fn who_could_write_the_file_or_its_folder_decides() {
        let own = (0, 0, 0o755);
        // policy, file, folder, what is said ("" is nothing)
        let table = [
            (ROOT, (0, 0, 0o644), own, ""),
            (ROOT, (0, 0, 0o664), own, ""),
            (ROOT, (0, 50, 0o664), own, "error: the file /d/c can be written by group 50"),
            (ROOT, (0, 0, 0o646), own, "error: the file /d/c can be written by everybody"),
            (ROOT, (1000, 1000, 0o600), own, "error: the file /d/c belongs to user 1000"),
            (ROOT, (0, 0, 0o644), (1000, 1000, 0o755), "error: its folder /d belongs to user 1000"),
            (ROOT, (0, 0, 0o644), (0, 50, 0o775), "error: its folder /d can be written by group 50"),
            (ROOT, (0, 0, 0o644), (0, 0, 0o777), "error: its folder /d can be written by everybody"),
            (ROOT, (0, 0, 0o644), (0, 0, 0o1777), ""),
            (ROOT, (1000, 1000, 0o600), (0, 0, 0o1777), "error: the file /d/c belongs to user 1000"),
            (SUDO, (1000, 1000, 0o600), (1000, 1000, 0o755), ""),
            (SUDO, (1001, 1000, 0o600), own, "error: the file /d/c belongs to user 1001"),
            (USER, (1000, 1000, 0o600), (1000, 1000, 0o775), ""),
            (USER, (0, 0, 0o644), own, ""),
            (USER, (1000, 1000, 0o664), own, "warning: the file /d/c can be written by its group"),
            (USER, (1000, 1000, 0o666), own, "error: the file /d/c can be written by everybody"),
            (
                USER,
                (1000, 1000, 0o600),
                (1000, 1000, 0o777),
                "error: its folder /d can be written by everybody",
            ),
            (USER, (1000, 1000, 0o600), (0, 0, 0o1777), ""),
        ];
        for (policy, file, folder, expected) in table {
            let places = [place("/d/c", file), place("/d", folder)];
            let said: Vec<String> = judge(&places, policy)
                .iter()
                .map(|problem| format!("{}: {}", problem.severity, problem.text))
                .map(|text| text.split([',', ';']).next().unwrap().to_owned())
                .collect();
            let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![expected] };
            assert_eq!(said, expected, "{policy:?} {file:?} {folder:?}");
            assert_eq!(judge(&places, TrustPolicy { accept: true, ..policy }), []);
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let said = judge(&[place("/d/c", (0, 0, 0o666))], ROOT);
        assert_eq!(
            said[0].text,
            "the file /d/c can be written by everybody, who could then run commands as us; \
             chmod o-w /d/c, or accept it with --trust-config"
        );
    }

    #[test]
    fn the_policy_comes_from_the_environment_and_the_option() {
        let env = |name: &str| match name {
            "SUDO_UID" => Some("1000".to_owned()),
            "RECOVERY_TRUST_CONFIG" => Some("0".to_owned()),
            _ => None,
        };
        let policy = TrustPolicy::of_process(&env, false);
        assert_eq!((policy.sudo_uid, policy.accept), (Some(1000), false));
        assert!(TrustPolicy::of_process(&env, true).accept);
        assert!(TrustPolicy::of_process(&|_| Some("1".to_owned()), false).accept);
    }

    #[test]
    fn a_symbolic_link_is_judged_by_the_real_file() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real.json");
        std::fs::write(&real, "{}").unwrap();
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let places = inspect(&link, &link.metadata().unwrap()).unwrap();
        assert_eq!(places[0].path, real);
        assert_eq!(places.last().unwrap().path, Path::new("/"));
    }
}
