//! `docs/reliability.md` names the test of each promise: each of them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push(path);
        }
    }
}

/// `module function` of every function, and every `module` alone; a folder's file speaks for the folder.
fn all_names() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    let mut names = BTreeSet::new();
    for path in files {
        let stem = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let folder =
            path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned();
        let module = if matches!(stem.as_str(), "mod" | "tests") { folder } else { stem };
        let text = fs::read_to_string(&path).expect("a source");
        for line in text.lines() {
            if let Some(name) = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.split('(').next())
            {
                names.insert(format!("{module} {name}"));
            }
        }
        names.insert(module);
    }
    names
}

/// The names of tests in one line: `module::test`, `module::*`, or `` `module` `test` `` in two spans.
fn named(line: &str) -> Vec<(String, String)> {
    let spans: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let is_test = |name: &str| name.contains('_') && !name.contains(['.', '/', ' ', '=', '-']);
    let mut named = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        if let Some((module, test)) = span.rsplit_once("::") {
            let module = module.rsplit("::").next().unwrap_or(module);
            match spans.get(at + 1) {
                // `check::judge` `a_zombie…`: a path to a module, then the test.
                Some(next) if is_test(next) && !test.contains('_') && !test.contains('*') => {
                    named.push((test.to_owned(), (*next).to_owned()));
                }
                _ => named.push((module.to_owned(), test.to_owned())),
            }
        } else if at > 0 && is_test(span) && span.matches('_').count() > 2 && !spans[at - 1].contains("::") {
            named.push((spans[at - 1].to_owned(), (*span).to_owned()));
        }
    }
    named
}

#[test]
fn every_test_that_the_page_of_promises_names_is_there() {
    let names = all_names();
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("it is there");
    let (mut count, mut missing) = (0, Vec::new());
    for (module, test) in page.lines().filter(|line| line.starts_with('|')).flat_map(named) {
        count += 1;
        let (start, cut) = match test.strip_suffix('…').or(test.strip_suffix('*')) {
            Some(start) => (start, true),
            None => (test.as_str(), false),
        };
        let wanted = format!("{module} {start}");
        let found = if cut {
            names.range(wanted.clone()..).next().is_some_and(|name| name.starts_with(&wanted))
        } else {
            names.contains(&wanted)
        };
        if !found {
            missing.push(format!("{module}::{test}"));
        }
    }
    assert!(count > 60, "only {count} names were understood");
    assert!(missing.is_empty(), "named in docs/reliability.md, and not there: {missing:#?}");
}
