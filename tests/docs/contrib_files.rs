//! Pages and files beside the code keep up with it: every dependency has its reason, `just check` is CI, and what
//! `contrib/` says of paths is what the program means by them.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The names in a section of `Cargo.toml`.
fn dependencies(section: &str) -> Vec<String> {
    let manifest = read("Cargo.toml");
    let lines = manifest
        .lines()
        .skip_while(|line| *line != section)
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let names: Vec<_> = lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect();
    assert!(!names.is_empty(), "no {section}");
    names
}

#[test]
fn every_dependency_has_its_reason() {
    let page = read("docs/dependencies.md");
    let all = [dependencies("[dependencies]"), dependencies("[dev-dependencies]")].concat();
    for name in &all {
        assert!(page.contains(&format!("`{name}`")), "{name} has none in docs/dependencies.md");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    for told in rows.flat_map(|cell| cell.split(',')) {
        let told = told.trim().trim_matches('`');
        assert!(all.iter().any(|name| name == told), "{told} is no dependency any more");
    }
}

#[test]
fn every_dependency_is_used() {
    let sources = sources(&["src", "tests"]);
    for name in [dependencies("[dependencies]"), dependencies("[dev-dependencies]")].concat() {
        let name = name.replace('-', "_");
        let used = [format!("{name}::"), format!("use {name};")];
        assert!(used.iter().any(|text| sources.contains(text)), "{name} is used nowhere");
    }
}

#[test]
fn just_check_is_what_ci_does() {
    let recipes = read("justfile");
    let mut lines = recipes.lines().skip_while(|line| *line != "check:").skip(1);
    assert_eq!(lines.next(), Some("    .ci/run"));
    assert_eq!(lines.next(), Some(""), "and nothing else");
}

#[test]
fn contrib_names_one_place_for_each_thing() {
    let (cron, unit) = (read("contrib/crontab"), read("contrib/systemd-timer/recovery.service"));
    for file in [&cron, &unit] {
        assert!(file.contains("--config /etc/recovery/system-config.json run"), "{file}");
    }
    let rotated = read("contrib/logrotate");
    assert!(cron.contains(">> /var/log/recovery.log 2>&1") && rotated.contains("/var/log/recovery.log "));
    assert!(unit.contains("LogsDirectory=recovery") && rotated.contains("/var/log/recovery/*.log "));
    // Compressed at once, a log would lose what a pass under way still writes into it.
    let directives: Vec<_> = rotated.lines().map(str::trim).collect();
    assert!(directives.contains(&"delaycompress") && !directives.contains(&"copytruncate"));
    let timer = read("contrib/systemd-timer/recovery.timer");
    assert!(cron.contains("\n*/5 * * * * ") && timer.contains("OnCalendar=*:0/5\n"), "one schedule");
}

/// All Rust code below these folders.
fn sources(folders: &[&str]) -> String {
    let mut waiting: Vec<_> =
        folders.iter().map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).collect();
    let mut text = String::new();
    while let Some(folder) = waiting.pop() {
        for path in folder.read_dir().expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text.push_str(&fs::read_to_string(path).expect("code is text"));
            }
        }
    }
    text
}
