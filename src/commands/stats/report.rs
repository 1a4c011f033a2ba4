//! Figures for people (an aligned table) and for programs (JSON).

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use crate::journal::escape::shown;
use crate::stats::{Figures, Outcome, to_timestamp};

const NOTHING: &str = "n/a";

fn ratio(part: u64, whole: u64) -> Option<f64> {
    // Beyond 2^53 lines a rate's last digit may be off.
    #[allow(clippy::cast_precision_loss)]
    (whole > 0).then(|| part as f64 / whole as f64)
}

struct Rates {
    success: Option<f64>,
    recovery: Option<f64>,
    per_failure: Option<f64>,
    mttr_millis: Option<i64>,
    downtime_millis: Option<i64>,
}

impl Rates {
    fn of(figures: &Figures) -> Self {
        Self {
            success: ratio(figures.passed, figures.checks()),
            recovery: ratio(figures.recovered, figures.recovered + figures.failed_to_recover),
            per_failure: ratio(figures.recovered, figures.failed),
            mttr_millis: i64::try_from(figures.outages)
                .ok()
                .and_then(|outages| figures.outage_millis.checked_div(outages)),
            downtime_millis: (figures.dated > 0).then_some(figures.downtime_millis),
        }
    }
}

fn moment(at: Option<i64>) -> Option<String> {
    to_timestamp(at?)?.format(&Rfc3339).ok()
}

/// One object, with a newline at its end.
pub(super) fn json(outcome: &Outcome, dated_only: bool) -> String {
    let services: Map<String, Value> =
        outcome.services.iter().map(|(name, figures)| (name.clone(), object(figures))).collect();
    let all = json!({
        "total": object(&outcome.total),
        "services": services,
        "from": moment(outcome.first),
        "to": moment(outcome.latest),
        "undated_lines": if dated_only { 0 } else { outcome.undated },
        "undated_lines_left_out": if dated_only { outcome.undated } else { 0 },
    });
    format!("{all:#}\n")
}

fn object(figures: &Figures) -> Value {
    let rates = Rates::of(figures);
    json!({
        "checks": figures.checks(),
        "passed": figures.passed,
        "failed": figures.failed,
        "success_rate": rates.success,
        "attempts": figures.attempts,
        "recovered": figures.recovered,
        "failed_to_recover": figures.failed_to_recover,
        "recovery_rate": rates.recovery,
        "recoveries_per_failed_check": rates.per_failure,
        "mttr_seconds": rates.mttr_millis.map(seconds),
        "downtime_seconds": rates.downtime_millis.map(seconds),
        "outages": figures.outages,
        "down_since": moment(figures.down_since),
        "given_up": figures.given_up,
        "cannot_check": figures.cannot_check,
    })
}

/// Whole seconds as a whole number, since most readers expect one.
fn seconds(millis: i64) -> Value {
    // A double holds the milliseconds of 285,000 years.
    #[allow(clippy::cast_precision_loss)]
    if millis % 1000 == 0 { (millis / 1000).into() } else { (millis as f64 / 1000.0).into() }
}

const COLUMNS: usize = 12;
const HEADINGS: [&str; COLUMNS] = [
    "SERVICE",
    "CHECKS",
    "PASSED",
    "FAILED",
    "SUCCESS",
    "ATTEMPTS",
    "RECOVERED",
    "NOT RECOVERED",
    "RECOVERY",
    "PER FAILURE",
    "MTTR",
    "DOWNTIME",
];

/// An aligned table and what must be known to read it.
pub(super) fn table(outcome: &Outcome, dated_only: bool) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(outcome.services.iter().map(|(name, figures)| row(&shown(name), figures)));
    rows.push(row("all", &outcome.total));
    let mut text = aligned(&rows);
    text.push('\n');
    text.push_str(&remarks(outcome, dated_only));
    text
}

fn row(name: &str, figures: &Figures) -> [String; COLUMNS] {
    let rates = Rates::of(figures);
    let counted = |number: u64| number.to_string();
    [
        name.to_owned(),
        counted(figures.checks()),
        counted(figures.passed),
        counted(figures.failed),
        percent(rates.success),
        counted(figures.attempts),
        counted(figures.recovered),
        counted(figures.failed_to_recover),
        percent(rates.recovery),
        percent(rates.per_failure),
        rates.mttr_millis.map_or(NOTHING.to_owned(), span),
        rates.downtime_millis.map_or(NOTHING.to_owned(), span),
    ]
}

fn aligned(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mut line = format!("{:<1$}", row[0], width(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            write!(line, "  {cell:>0$}", width(column)).expect("writing to a string cannot fail");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn remarks(outcome: &Outcome, dated_only: bool) -> String {
    let mut text = match (moment(outcome.first), moment(outcome.latest)) {
        (Some(first), Some(latest)) => format!("From {first} to {latest}.\n"),
        _ => "No line with a time was counted.\n".to_owned(),
    };
    for (name, figures) in &outcome.services {
        if let Some(since) = moment(figures.down_since) {
            text.push_str(&format!("{} is down since {since}.\n", shown(name)));
        }
    }
    if outcome.undated > 0 {
        let fate = if dated_only { "left out" } else { "counted, but not in durations" };
        text.push_str(&format!("Lines without a time, {fate}: {}\n", outcome.undated));
    }
    text
}

/// Rounded, but 100 % means all of them and 0 % none.
fn percent(rate: Option<f64>) -> String {
    let Some(rate) = rate else { return NOTHING.to_owned() };
    let rounded = (rate * 1000.0).round() / 10.0;
    let shown = match rate {
        rate if rate < 1.0 && rounded >= 100.0 => 99.9,
        rate if rate > 0.0 && rounded <= 0.0 => 0.1,
        _ => rounded,
    };
    format!("{shown:.1}%")
}

/// `6.1s`, `42s`, `12m05s`, `3h02m`, `2d03h`
fn span(millis: i64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 if millis % 1000 != 0 => format!("{seconds}.{}s", millis % 1000 / 100),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_percent_means_all_and_none_is_not_zero() {
        let cases = [
            (9999, 10_000, "99.9%"),
            (1, 10_000, "0.1%"),
            (1, 1, "100.0%"),
            (2, 3, "66.7%"),
            (0, 5, "0.0%"),
            (0, 0, "n/a"),
        ];
        for (part, whole, text) in cases {
            assert_eq!(percent(ratio(part, whole)), text);
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let cases = [
            (0, "0s"),
            (500, "0.5s"),
            (6100, "6.1s"),
            (42_000, "42s"),
            (42_900, "42s"),
            (725_000, "12m05s"),
            (10_920_000, "3h02m"),
            (183_600_000, "2d03h"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(millis), text);
        }
    }
}
