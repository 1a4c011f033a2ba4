//! What a line says, and what a sequence of lines amounts to.

use proptest::prelude::*;
use time::macros::datetime;

use super::Kind::*;
use super::{Calendar, Fact, Figures, Filter, Kind, Outcome, Scanner, Tally, count};
use crate::clock::Timestamp;

const NOW: Timestamp = datetime!(2026-11-21 12:00 UTC);

fn scan(text: &[u8], each: &mut impl FnMut(&Fact<'_>)) {
    Scanner::new(Calendar::new(NOW)).scan(text, each);
}

/// `(service, kind, seconds of the day)`
fn facts(text: &[u8]) -> Vec<(String, Kind, Option<i64>)> {
    let mut found = Vec::new();
    scan(text, &mut |fact| {
        let name = String::from_utf8_lossy(fact.service).into_owned();
        found.push((name, fact.kind, fact.at.map(|at| at / 1000 % 86_400)));
    });
    found
}

fn outcome(text: &str, filter: Filter) -> Outcome {
    let mut tally = Tally::new(filter);
    scan(text.as_bytes(), &mut |fact| tally.add(fact));
    tally.finish()
}

/// Lines at seconds after 10:00 on one day: `5 Health check passed for a`
fn log(lines: &str) -> String {
    let line = |line: &str| {
        let (second, rest) = line.trim().split_once(' ').unwrap();
        let second: u32 = second.parse().unwrap();
        format!(
            "2026-11-21T{:02}:{:02}:{:02}.000Z INFO {rest}\n",
            10 + second / 3600,
            second / 60 % 60,
            second % 60
        )
    };
    lines.trim().lines().map(line).collect()
}

fn total(lines: &str) -> Figures {
    outcome(&log(lines), Filter::default()).total
}

#[test]
fn every_phrase_is_found_behind_any_prefix() {
    let at = Some(36_307);
    let prefixes = [
        ("2026-11-21T10:05:07.123Z INFO ", at),
        ("[2026-11-21 10:05:07] ", at),
        ("[2026-11-21 10:05:07] [INFO] ", at),
        ("Nov 21 10:05:07 host recovery[123]: ", at),
        ("Nov 21 11:05:07 host recovery[123]: 2026-11-21T10:05:07.123Z WARNING ", at),
        ("2026-11-21T11:05:07+01:00 ", at),
        ("\0\0\0\x002026-11-21T10:05:07.123Z INFO ", at),
        ("\u{1b}[32m2026-11-21 10:05:07\u{1b}[0m ", at),
        ("INFO - ", None),
        ("\u{2713} ", None),
        ("", None),
    ];
    let phrases = [
        ("Health check passed for a.b_c-1", Passed),
        ("Health check passed for a.b_c-1 (duration_ms: 12)", Passed),
        ("Health check failed for a.b_c-1, attempting recovery...", Failed),
        (
            "Health check failed for a.b_c-1, not attempting recovery (reason: Health check passed for x)",
            Failed,
        ),
        ("Executing restart command for a.b_c-1", Executing),
        ("Successfully recovered a.b_c-1", Recovered),
        ("Failed to recover a.b_c-1", NotRecovered),
        ("a.b_c-1 exceeded max failures (3 in 3600s), giving up", GivenUp),
        ("a.b_c-1 manually stopped, skipping auto-recovery", Stopped),
        ("a.b_c-1 is blocked by db", Other),
        ("a.b_c-1 healthy again without restart", Healed),
        ("Cannot check a.b_c-1 (reason: x)", Unknown),
        ("Health check passed: a.b_c-1", Passed),
        ("Health check failed: a.b_c-1 - exit 1", Failed),
        ("Attempting recovery: a.b_c-1...", Attempting),
        ("Recovery successful: a.b_c-1.", Recovered),
        ("Recovery failed: 'a.b_c-1'", NotRecovered),
    ];
    for (prefix, at) in prefixes {
        for (phrase, kind) in phrases {
            for end in ["", "\n", "\r\n", "\u{1b}[0m\n"] {
                let line = format!("{prefix}{phrase}{end}");
                assert_eq!(facts(line.as_bytes()), [("a.b_c-1".to_owned(), kind, at)], "{line:?}");
            }
        }
    }
}

#[test]
fn a_minute_is_remembered_and_its_leap_second_too() {
    let lines = ["10:05:07.001", "10:05:60.500", "10:05:08.999", "10:06:00.000"]
        .map(|clock| format!("2026-11-21T{clock}Z INFO Health check passed for a\n"));
    let mut times = Vec::new();
    scan(lines.concat().as_bytes(), &mut |fact| times.extend(fact.at.map(|at| at % 86_400_000 - 36_300_000)));
    assert_eq!(times, [7_001, 60_500, 8_999, 60_000]);
}

#[test]
fn zero_bytes_are_no_time_before_the_first_minute() {
    let line = [&[0; 16][..], b":07.123Z INFO Health check passed for a\n"].concat();
    assert_eq!(facts(&line), [("a".to_owned(), Passed, None)]);
}

#[test]
fn lines_that_only_look_alike_are_not_counted() {
    for line in [
        "Health check passed",
        "Health check passed for ",
        "Health check passed for (nothing)",
        "Health check passed by a",
        "MyHealth check passed for a",
        "health check passed for a",
        "Failed to recover",
        " manually stopped, skipping auto-recovery",
        "manually stopped, skipping auto-recovery",
        r#"{"ts":"2026-11-21T10:05:07.123Z","event":"note","service":"a","message":"Health check passed for a"}"#,
    ] {
        let found = facts(line.as_bytes());
        assert!(found.iter().all(|(_, kind, _)| *kind == Other), "{line}: {found:?}");
    }
}

#[test]
fn json_is_read_as_we_write_it_as_others_rewrite_it_and_in_envelopes() {
    let at = Some(36_307);
    for (line, kind, at) in [
        (
            r#"{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"check_passed","service":"a","message":"Health check passed for a","duration_ms":12}"#,
            Passed,
            at,
        ),
        (
            r#"{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"manually_stopped","service":"a","message":"a manually stopped, skipping auto-recovery"}"#,
            Stopped,
            at,
        ),
        (
            r#"{"duration_ms": 12, "event": "check_failed", "left_because": "Health check passed for x", "level": "WARNING", "message": "Health check failed for a, not attempting recovery", "service": "a", "ts": "2026-11-21T10:05:07.123Z"}"#,
            Failed,
            at,
        ),
        (
            r#"{"log":"2026-11-21T10:05:07.123Z INFO Health check passed for a\n","stream":"stderr","time":"2026-11-21T10:05:08.5Z"}"#,
            Passed,
            at,
        ),
        (
            r#"{"log":"Recovery failed: a\n","stream":"stderr","time":"2026-11-21T10:05:07.5Z"}"#,
            NotRecovered,
            at,
        ),
        (
            r#"{"MESSAGE":"Successfully recovered a","__REALTIME_TIMESTAMP":"1763719507000000"}"#,
            Recovered,
            None,
        ),
        (r#"{ cut off, 2026-11-21T10:05:07Z Health check passed for a"#, Passed, at),
    ] {
        assert_eq!(facts(line.as_bytes()), [("a".to_owned(), kind, at)], "{line}");
    }
}

#[test]
fn lines_of_others_in_between_are_leapt_over() {
    let text = b"nginx: GET /health 200\n\xff\xfe broken \xf0\n\n\r\n{\"a\":1}\n2026-11-21T10:05:07.123Z INFO Health check passed for a\n\
        kernel: oops\n[x] Health check failed: b\nlast words";
    assert_eq!(facts(text), [("a".into(), Passed, Some(36_307)), ("b".into(), Failed, None)]);
}

#[test]
fn a_json_line_is_known_by_its_keys_wherever_it_stands() {
    let line = r#"{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"recovered","service":"a","message":"other words"}"#;
    let expected = [("a".to_owned(), Recovered, Some(36_307))];
    assert_eq!(facts(line.as_bytes()), expected);
    assert_eq!(facts(format!("nginx: GET / 200\n{line}\n").as_bytes()), expected);
}

#[test]
fn a_name_followed_by_words_is_believed_only_where_a_look_named_it() {
    let figures = outcome(
        "app: Failed to recover session from cache\nHealth check failed: a\nRecovery failed: a after 3 s\n",
        Filter::default(),
    );
    assert_eq!(figures.services.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!((figures.total.failed, figures.total.failed_to_recover), (1, 1));
}

#[test]
fn an_attempt_is_counted_once_however_it_is_told() {
    let cases = [
        ("1 Executing restart command for a\n2 Successfully recovered a", 1),
        ("1 Executing restart command for a\n2 Executing restart command for a\n3 Failed to recover a", 2),
        (
            "1 Attempting recovery: a\n2 Recovery failed: a\n3 Attempting recovery: a\n4 Recovery successful: a",
            2,
        ),
        ("1 Attempting recovery: a\n2 Executing restart command for a\n3 Recovery successful: a", 1),
        ("1 Health check failed for a, attempting recovery...\n2 Successfully recovered a", 1),
        ("1 Health check failed for a, attempting recovery...\n2 a healthy again without restart", 0),
    ];
    for (lines, attempts) in cases {
        assert_eq!(total(lines).attempts, attempts, "{lines}");
    }
}

#[test]
fn downtime_runs_from_the_first_failed_look_to_the_next_healthy_sign() {
    // (log, downtime, outages that are over, their length)
    let cases = [
        (
            "0 Health check passed for a\n60 Health check failed for a, attempting recovery...\n90 Successfully recovered a\n120 Health check passed for a",
            30,
            1,
            30,
        ),
        (
            "0 Health check failed for a, attempting recovery...\n40 Failed to recover a\n300 Health check failed for a, not attempting recovery\n600 Health check passed for a",
            600,
            1,
            600,
        ),
        ("0 Health check failed: a\n7 a healthy again without restart", 7, 1, 7),
        // Unknown and stopped time is left out.
        (
            "0 Health check failed: a\n100 Cannot check a\n200 Health check failed: a\n250 Health check passed: a",
            150,
            1,
            150,
        ),
        (
            "0 Health check failed: a\n100 a manually stopped, skipping auto-recovery\n5000 Health check passed: a",
            100,
            1,
            100,
        ),
        // Not over: known down until the last sign of it.
        ("0 Health check failed: a\n300 Health check failed: a\n330 Failed to recover a", 330, 0, 0),
        // Two services at once.
        (
            "0 Health check failed: a\n10 Health check failed: b\n20 Health check passed: a\n40 Health check passed: b",
            50,
            2,
            50,
        ),
        // A clock that was set back.
        ("100 Health check failed: a\n50 Health check passed: a", 0, 1, 0),
        ("0 Health check passed: a", 0, 0, 0),
    ];
    for (lines, downtime, outages, length) in cases {
        let figures = total(lines);
        assert_eq!(
            (figures.downtime_millis / 1000, figures.outages, figures.outage_millis / 1000),
            (downtime, outages, length),
            "{lines}"
        );
    }
    assert_eq!(
        total("5 Health check failed: a\n9 Health check failed: a").down_since.map(|at| at / 1000 % 60),
        Some(5)
    );
}

#[test]
fn lines_without_a_time_count_but_not_in_durations() {
    let text =
        "Health check failed: a\n2026-11-21T10:00:00Z Health check failed: a\nHealth check passed: a\n";
    let all = outcome(text, Filter::default());
    assert_eq!((all.total.failed, all.total.passed, all.undated, all.total.outages), (2, 1, 2, 0));
    let since = Filter { since: Some(0), ..Filter::default() };
    let dated = outcome(text, since);
    assert_eq!((dated.total.failed, dated.total.passed, dated.undated), (1, 0, 2));
}

#[test]
fn filters_take_from_and_before() {
    let text = log(
        "0 Health check passed: a\n10 Health check passed: a\n20 Health check passed: b\n30 Health check passed: a",
    );
    let at = |second: i64| Some(datetime!(2026-11-21 10:00 UTC).unix_timestamp() * 1000 + second * 1000);
    let passed = |filter| outcome(&text, filter).total.passed;
    assert_eq!(passed(Filter { since: at(10), ..Filter::default() }), 3);
    assert_eq!(passed(Filter { until: at(10), ..Filter::default() }), 1);
    assert_eq!(passed(Filter { since: at(10), until: at(30), ..Filter::default() }), 2);
    let b = outcome(&text, Filter { services: vec!["b".into()], ..Filter::default() });
    assert_eq!((b.total.passed, b.services.len(), b.seen), (1, 1, vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_flood_of_names_does_not_fill_the_memory() {
    let mut tally = Tally::new(Filter::default());
    for n in 0..30_000 {
        scan(format!("Health check passed: s{n}\n").as_bytes(), &mut |fact| tally.add(fact));
    }
    assert_eq!(tally.finish().services.len(), 10_000);
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = vec![
        "Health check passed for ",
        "Health check failed: ",
        "Executing restart command for ",
        "Recovery successful: ",
        "Failed to recover ",
        "Cannot check ",
        " manually stopped, skipping auto-recovery",
        "a",
        "b",
        " ",
        "\n",
        "\r\n",
        "\0",
        "2026-11-21T10:05:07.123Z INFO ",
        "2026-11-21T10:05:09.123Z ERROR ",
        "Nov 21 10:05:08 ",
        "{",
        "}",
        "\"",
        r#"{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"check_passed","service":"a","message":"Health check passed for a"#,
        r#"{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"recovered","service":"a","message":"other"}"#,
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_figures_add_up(bytes in soup()) {
        let mut tally = Tally::new(Filter::default());
        let mut looks = 0;
        scan(&bytes, &mut |fact| {
            looks += u64::from(matches!(fact.kind, Passed | Failed));
            tally.add(fact);
        });
        let outcome = tally.finish();
        prop_assert_eq!(outcome.total.checks(), looks);
        prop_assert_eq!(outcome.services.values().map(Figures::checks).sum::<u64>(), looks);
        prop_assert!(outcome.total.attempts >= outcome.total.recovered.max(outcome.total.failed_to_recover));
        prop_assert!(outcome.total.downtime_millis >= outcome.total.outage_millis);
        prop_assert!(outcome.total.outage_millis >= 0);
    }

    /// A leap must not skip a fact: line by line is the same as all at once.
    #[test]
    fn a_chunk_says_what_its_lines_say(bytes in soup()) {
        let by_line: Vec<_> = bytes.split_inclusive(|&b| b == b'\n').flat_map(facts).collect();
        prop_assert_eq!(facts(&bytes), by_line);
    }

    /// Neither where a log is cut into pieces nor how many threads read them changes a figure.
    #[test]
    fn any_cut_and_any_number_of_threads_say_the_same(
        bytes in proptest::collection::vec(soup(), 1..8).prop_map(|parts| parts.concat()),
        cuts in proptest::collection::vec(1_usize..9, 1..20),
        threads in 0_usize..5,
        since in proptest::option::of(Just(1_795_255_508_000_i64)),
    ) {
        let filter = Filter { since, ..Filter::default() };
        let mut whole = Tally::new(filter.clone());
        scan(&bytes, &mut |fact| whole.add(fact));

        let mut lines = bytes.split_inclusive(|&b| b == b'\n');
        let mut cuts = cuts.into_iter().cycle();
        let mut cut = Tally::new(filter);
        count(&mut cut, Calendar::new(NOW), threads, bytes.len().max(1), |buffer| {
            let piece = lines.by_ref().take(cuts.next().unwrap()).collect::<Vec<_>>().concat();
            buffer[..piece.len()].copy_from_slice(&piece);
            piece.len()
        });
        prop_assert_eq!(cut.finish(), whole.finish());
    }
}
