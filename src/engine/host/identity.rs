//! Whom a command runs as: the key `user` on the machine, in the forms of `docker exec -u`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::check::Unknown;
use crate::process::{self, End, Interrupt, Leftovers, Limits};

/// A user to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    uid: u32,
    gid: u32,
    /// Its entry in the user database; `None` for a bare number without one.
    name: Option<String>,
    home: String,
}

impl Identity {
    /// Reads `NAME`, `UID`, `NAME:GROUP` or `UID:GID`. `None`: already that user, nothing to become.
    ///
    /// # Errors
    /// No such user or group, or we are not root.
    pub fn resolve(user: Option<&str>) -> Result<Option<Self>, Unknown> {
        let Some(user) = user else { return Ok(None) };
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        let entry = entry("passwd", name);
        let mut identity = match (entry.as_deref().and_then(from_passwd), name.parse()) {
            (Some(identity), _) => identity,
            // Its group is its own number: never root's by accident.
            (None, Ok(uid)) => Self { uid, gid: uid, name: None, home: "/".to_owned() },
            (None, Err(_)) => return Err(Unknown::Other(format!("no such user on this machine: {name}"))),
        };
        if let Some(group) = group {
            identity.gid = gid(group)?;
        }
        let own = rustix::process::geteuid().as_raw();
        if own == identity.uid && (own != 0 || group.is_none()) {
            return Ok(None);
        }
        if own != 0 {
            return Err(Unknown::Other(format!("cannot run a command as user {user}: recovery is not root")));
        }
        Ok(Some(identity))
    }

    /// Its number and its group's.
    pub fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Its home folder and name, for `HOME` and `USER`, and where it is logged in the way to its service manager.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let name = self.name.clone().unwrap_or_else(|| self.uid.to_string());
        let mut all = vec![("HOME", self.home.clone()), ("USER", name)];
        let folder = format!("/run/user/{}", self.uid);
        if Path::new(&folder).is_dir() {
            all.push(("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={folder}/bus")));
            all.push(("XDG_RUNTIME_DIR", folder));
        }
        all
    }
}

/// A command in its own session that runs `program` as that user.
///
/// By `setpriv`, which brings the user's further groups; where there is none, without these.
pub fn command_as(identity: Option<&Identity>, program: &str) -> Command {
    let Some(identity) = identity else { return process::in_own_session(program) };
    let (uid, gid) = (identity.uid.to_string(), identity.gid.to_string());
    match setpriv() {
        Some(setpriv) => {
            let mut command = process::in_own_session(setpriv);
            let groups = if identity.name.is_some() { "--init-groups" } else { "--clear-groups" };
            command.args(["--reuid", &uid, "--regid", &gid, groups, "--", program]);
            command
        }
        None => {
            let mut command = process::in_own_session(program);
            command.uid(identity.uid).gid(identity.gid);
            command
        }
    }
}

/// The one of util-linux; busybox's cannot change users.
fn setpriv() -> Option<std::path::PathBuf> {
    let found = process::find_program("setpriv", &[])?;
    let real = found.canonicalize().ok()?;
    (!real.to_string_lossy().contains("busybox")).then_some(found)
}

fn gid(group: &str) -> Result<u32, Unknown> {
    let named = entry("group", group).and_then(|line| line.split(':').nth(2)?.parse().ok());
    named
        .or_else(|| group.parse().ok())
        .ok_or_else(|| Unknown::Other(format!("no such group on this machine: {group}")))
}

/// A line of the database, by name or number: from its file, else from wherever the system looks.
fn entry(database: &str, key: &str) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    let file = std::fs::read_to_string(format!("/etc/{database}")).unwrap_or_default();
    let found = file.lines().find(|line| {
        let mut fields = line.split(':');
        fields.next() == Some(key) || fields.nth(1) == Some(key)
    });
    found.map(str::to_owned).or_else(|| getent(database, key))
}

fn getent(database: &str, key: &str) -> Option<String> {
    let mut command = process::in_own_group(process::find_program("getent", &[])?);
    command.args([database, key]);
    let limits = Limits {
        deadline: Duration::from_secs(5),
        stdout_cap: 4096,
        stderr_cap: 0,
        leftovers: Leftovers::Spare,
    };
    let done = process::run(command, b"", &limits, &Interrupt::default()).ok()?;
    let text = String::from_utf8_lossy(&done.stdout.bytes).into_owned();
    (done.end == End::Exited(0)).then(|| text.lines().next().map(str::to_owned))?
}

fn from_passwd(line: &str) -> Option<Identity> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
    Some(Identity {
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        name: Some((*name).to_owned()),
        home: (*home).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_is_read() {
        let www = from_passwd("www-data:x:33:34:www-data:/var/www:/usr/sbin/nologin").unwrap();
        assert_eq!((www.uid, www.gid, www.home.as_str()), (33, 34, "/var/www"));
        assert_eq!(from_passwd("nonsense"), None);
    }

    #[test]
    fn an_unknown_user_is_told_by_name() {
        let error = Identity::resolve(Some("no-such-user-here")).unwrap_err();
        assert_eq!(error.to_string(), "no such user on this machine: no-such-user-here");
    }

    #[test]
    fn to_be_oneself_needs_nothing() {
        let own = rustix::process::geteuid().as_raw().to_string();
        assert_eq!(Identity::resolve(Some(&own)), Ok(None));
        assert_eq!(Identity::resolve(None), Ok(None));
    }
}
