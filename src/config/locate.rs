//! Which file is the configuration, and where state lives when nothing says so.

use std::path::{Path, PathBuf};

use super::Env;

/// Used where it exists and nothing else was named.
const SYSTEM: &str = "/etc/recovery/system-config.json";
/// Used where nothing else is there.
const LOCAL: &str = "./config/system-config.json";
/// State of configurations that belong to root.
const SYSTEM_STATE: &str = "/var/lib/recovery";

/// `--config`, else `$RECOVERY_CONFIG`, else the system's file if it exists, else `./config/system-config.json`.
#[must_use]
pub fn locate(cli: Option<&Path>, env: &Env<'_>) -> PathBuf {
    choose(cli, env, Path::new(SYSTEM).exists())
}

fn choose(cli: Option<&Path>, env: &Env<'_>, system_exists: bool) -> PathBuf {
    let named = env("RECOVERY_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let fallback = || PathBuf::from(if system_exists { SYSTEM } else { LOCAL });
    cli.map(Path::to_owned).or(named).unwrap_or_else(fallback)
}

/// The state folder of a configuration that names none, or cannot be read: by the owner of the file (of the
/// folder where the file is missing, of this process where that is missing too).
#[must_use]
pub fn default_state_dir(path: &Path, env: &Env<'_>) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.uid());
    let owner = owner(path).or_else(|| owner(path.parent()?)).unwrap_or(me);
    let passwd = || std::fs::read_to_string("/etc/passwd").ok();
    state_dir_of(owner, me, env, || home_in(&passwd()?, owner))
}

/// Everybody who uses a configuration finds the same folder, so another user's environment says nothing.
fn state_dir_of(owner: u32, me: u32, env: &Env<'_>, home: impl Fn() -> Option<PathBuf>) -> PathBuf {
    if owner == 0 {
        return PathBuf::from(SYSTEM_STATE);
    }
    let mine =
        |name: &str| env(name).filter(|_| owner == me).map(PathBuf::from).filter(|path| path.is_absolute());
    let in_home = || mine("HOME").or_else(&home).map(|home| home.join(".local/state"));
    mine("XDG_STATE_HOME")
        .or_else(in_home)
        .map_or_else(|| PathBuf::from(SYSTEM_STATE), |base| base.join("recovery"))
}

/// The home folder of a user in the text of `/etc/passwd`.
fn home_in(passwd: &str, uid: u32) -> Option<PathBuf> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry =
        fields.into_iter().find(|fields| fields.get(2).and_then(|id| id.parse().ok()) == Some(uid))?;
    entry.get(5).map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_order_of_places_holds() {
        let none = |_: &str| None;
        let set = |name: &str| (name == "RECOVERY_CONFIG").then(|| "/env.json".to_owned());
        let empty = |_: &str| Some(String::new());
        let cli = Some(Path::new("/cli.json"));
        assert_eq!(choose(cli, &set, true), Path::new("/cli.json"));
        assert_eq!(choose(None, &set, true), Path::new("/env.json"));
        assert_eq!(choose(None, &empty, true), Path::new(SYSTEM));
        assert_eq!(choose(None, &none, true), Path::new(SYSTEM));
        assert_eq!(choose(None, &none, false), Path::new(LOCAL));
    }

    #[test]
    fn state_lives_where_the_owner_of_the_configuration_keeps_it() {
        let home = || Some(PathBuf::from("/home/passwd"));
        let none = |_: &str| None;
        let env = |name: &str| (name == "HOME").then(|| "/home/env".to_owned());
        let xdg = |name: &str| Some(if name == "HOME" { "/home/env" } else { "/xdg" }.to_owned());
        let relative = |_: &str| Some("state".to_owned());
        let table: [(u32, u32, &Env<'_>, &str); 6] = [
            (0, 1000, &xdg, "/var/lib/recovery"),
            (1000, 1000, &xdg, "/xdg/recovery"),
            (1000, 1000, &env, "/home/env/.local/state/recovery"),
            (1000, 1000, &none, "/home/passwd/.local/state/recovery"),
            (1000, 1000, &relative, "/home/passwd/.local/state/recovery"),
            (1000, 0, &xdg, "/home/passwd/.local/state/recovery"),
        ];
        for (owner, me, env, expected) in table {
            assert_eq!(state_dir_of(owner, me, env, home), Path::new(expected), "{owner} {me}");
        }
        assert_eq!(state_dir_of(1000, 0, &none, || None), Path::new(SYSTEM_STATE));
    }

    #[test]
    fn homes_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n";
        assert_eq!(home_in(passwd, 1000), Some(PathBuf::from("/home/ada")));
        assert_eq!(home_in(passwd, 1001), None);
    }
}
