//! `docs/decisions.md`: its tables are those of the tests of the policy, and its rules are all of them, in order.

use crate::sample;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use recovery::check::{Failure, Health};
use recovery::decide::{Asked, consider};

const PAGE: &str = "docs/decisions.md";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

type Row = Vec<String>;

/// Heading and rows of a snapshot.
fn snapshot(name: &str) -> (Row, Vec<Row>) {
    let text = read(&format!("tests/pass/snapshots/pass__decide_table__{name}.snap"));
    let cells = |line: &str| line.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Row>();
    let mut rows = text.lines().filter(|line| line.contains(" | ")).map(cells);
    (rows.next().expect("a heading"), rows.collect())
}

/// One table for each value of these columns in a row; what is the same in all of its rows stands above it.
fn tables(name: &str, by: &[&str]) -> String {
    let (head, rows) = snapshot(name);
    let at = |column: &&str| head.iter().position(|name| name == column).expect("a column");
    let key = |row: &Row| by.iter().map(|column| row[at(column)].clone()).collect::<Row>();
    let mut text = String::new();
    for group in rows.chunk_by(|a, b| key(a) == key(b)) {
        let differs = |column: &usize| group.iter().any(|row| row[*column] != group[0][*column]);
        let last = head.len() - 1;
        let (shown, same): (Vec<usize>, Vec<usize>) =
            (0..head.len()).partition(|column| *column == last || differs(column));
        let told: Vec<String> = same
            .iter()
            .filter(|&&column| group[0][column] != "*")
            .map(|&column| format!("{} *{}*", head[column], group[0][column]))
            .collect();
        let above = if told.is_empty() { "Whatever else holds".to_owned() } else { told.join(", ") };
        if shown == [last] {
            writeln!(text, "\n{above}: {}", group[0][last]).expect("a string takes everything");
            continue;
        }
        writeln!(text, "\n{above}:\n").expect("a string takes everything");
        let pick = |row: &Row| shown.iter().map(|&column| row[column].clone()).collect::<Row>();
        text.push_str(&markdown(&pick(&head), &group.iter().map(pick).collect::<Vec<_>>()));
    }
    text
}

fn markdown(head: &Row, rows: &[Row]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().chain([head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Row| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
    [head, &rule].into_iter().chain(rows).map(line).collect()
}

/// The page with these generated anew between their markers.
fn renewed(page: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("\n<!-- {name}: end -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} has no {end}"));
    format!("{before}{begin}{content}{end}{after}")
}

#[test]
fn its_tables_are_those_of_the_tests() {
    let page = read(PAGE);
    let new = renewed(&page, "policy", &tables("policy", &["marker", "look", "state", "container"]));
    let new = renewed(&new, "chains", &tables("chains", &["degraded", "severity", "look", "fallback_cmd"]));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        fs::write(path, &new).expect("the page is written");
        return;
    }
    assert!(
        new == page,
        "{PAGE} is not up to date; UPDATE_DOCS=1 cargo test --test docs decisions renews its tables"
    );
}

/// All that is asked of a failure that no rule leaves alone.
fn asked() -> Vec<Asked> {
    let failure = Health::Unhealthy(Failure::HttpError);
    let facts = sample::facts(&failure);
    consider(&sample::service("web"), &facts).1.into_iter().map(|considered| considered.what).collect()
}

#[test]
fn it_tells_every_rule_in_its_order() {
    let page = read(PAGE);
    let section = page.split("## The rules").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("it has that section").lines().filter_map(|line| line.strip_prefix("| "));
    let told: Vec<&str> =
        rows.filter_map(|row| row.split(" | ").nth(1)).filter(|cell| cell.starts_with('`')).collect();
    let rules: Vec<String> = asked()
        .into_iter()
        .filter(|what| matches!(what, Asked::Rule(_)))
        .map(|what| format!("`{what}`"))
        .collect();
    assert_eq!(told, rules);
}
