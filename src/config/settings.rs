//! The `recovery` section.

use std::path::PathBuf;
use std::time::Duration;

use super::field::{Field, Section};
use super::model::Settings;
use super::service::{DAY, ServiceKeys};

const KEYS: [&str; 10] = [
    "state_dir",
    "stop_dir",
    "log_file",
    "container_suffix",
    "engine",
    "schedule_seconds",
    "max_parallel",
    "pass_timeout_seconds",
    "boot_grace_seconds",
    "defaults",
];

/// Reads it, and what `defaults` in it says of services and of `timeout_seconds`.
pub(super) fn read<'a, 't>(
    section: Option<&Section<'a, 't>>,
    default_state_dir: PathBuf,
) -> (Settings, ServiceKeys<'a, 't>, Option<Duration>) {
    if let Some(section) = section {
        section.only(&KEYS);
    }
    let get = |key: &str| section.and_then(|section| section.get(key));
    let path = |key: &str| get(key).and_then(|field| field.file_path());
    let seconds = |key: &str, default: u64, min: f64, max: f64| {
        get(key).and_then(|field| field.seconds(min, max)).unwrap_or(Duration::from_secs(default))
    };
    let state_dir = path("state_dir").unwrap_or(default_state_dir);
    let settings = Settings {
        stop_dir: path("stop_dir").unwrap_or_else(|| state_dir.join("manual-stop")),
        state_dir,
        log_file: path("log_file"),
        container_suffix: get("container_suffix")
            .and_then(|field| suffix(&field))
            .unwrap_or_else(|| "-container".to_owned()),
        engine: get("engine").and_then(|field| engine(&field)).unwrap_or_else(|| "docker".to_owned()),
        schedule: seconds("schedule_seconds", 300, 1.0, 31.0 * DAY),
        max_parallel: get("max_parallel")
            .and_then(|field| field.whole(1, 256))
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(8),
        pass_timeout: seconds("pass_timeout_seconds", 900, 1.0, 7.0 * DAY),
        boot_grace: seconds("boot_grace_seconds", 120, 0.0, DAY),
    };
    let defaults = get("defaults").and_then(|field| field.section());
    let (defaults, timeout) =
        defaults.map_or_else(|| (ServiceKeys::default(), None), |section| ServiceKeys::of_defaults(&section));
    (settings, defaults, timeout)
}

/// May be empty: containers are then looked up as they are written.
fn suffix(field: &Field<'_, '_>) -> Option<String> {
    let text = field.any_text()?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
        return Some(text);
    }
    field.error("expected the end of a container's name (letters, digits, \".\", \"_\", \"-\")");
    None
}

/// A name is looked up on PATH; with a slash it is a path.
fn engine(field: &Field<'_, '_>) -> Option<String> {
    let text = field.text_where("the name or path of a command", |text| !text.starts_with('-'))?;
    if text.contains('/') {
        return field.file_path().map(|path| path.to_string_lossy().into_owned());
    }
    Some(text)
}
