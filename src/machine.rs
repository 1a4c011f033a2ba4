//! What a person who is woken up wants to know of the machine.

/// The machine's name, for people.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Memory in use, in percent, from `/proc/meminfo`; `None` where that cannot be told.
#[must_use]
pub fn memory_used_percent() -> Option<u8> {
    used_percent(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn used_percent(meminfo: &str) -> Option<u8> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    percent(field("MemTotal:")?.checked_sub(field("MemAvailable:")?)?, field("MemTotal:")?)
}

/// Room in use on the root file system, in percent, as `df` counts it.
#[must_use]
pub fn disk_used_percent() -> Option<u8> {
    let found = rustix::fs::statvfs("/").ok()?;
    let used = found.f_blocks.checked_sub(found.f_bfree)?;
    percent(used, used.checked_add(found.f_bavail)?)
}

fn percent(part: u64, whole: u64) -> Option<u8> {
    let rounded_up = part.checked_mul(100)?.checked_add(whole.checked_sub(1)?)?.checked_div(whole)?;
    u8::try_from(rounded_up).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_is_not_available() {
        let text = "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    90 kB\n";
        assert_eq!(used_percent(text), Some(91));
        assert_eq!(used_percent("MemTotal: x kB\n"), None);
        assert_eq!(used_percent(""), None);
    }

    #[test]
    fn an_empty_file_system_has_no_figure() {
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(420, 1000), Some(42));
        assert_eq!(percent(421, 1000), Some(43));
    }
}
