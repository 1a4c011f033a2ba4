//! `recovery stats` on real files: complete output and exit code.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use recovery::commands::stats::{Request, Streams, run};
use recovery::config::model::ServiceName;
use recovery::exit_code::ExitCode;
use time::macros::datetime;

struct Said {
    code: ExitCode,
    out: String,
    err: String,
}

fn ask(request: &Request, log: Option<&Path>, known: &[&str], input: &[u8]) -> Said {
    let known: Vec<ServiceName> = known.iter().map(|name| ServiceName::new(name).unwrap()).collect();
    let (mut input, mut out, mut err) = (input, Vec::new(), Vec::new());
    let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err };
    let code = run(request, log, &known, datetime!(2026-11-21 12:00 UTC), &mut streams);
    Said { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn stdin() -> Request {
    Request { files: vec!["-".into()], ..Request::default() }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const MIXED: &str = "\
2026-11-21T10:00:00.000Z INFO Health check passed for minio (duration_ms: 12)
2026-11-21T10:05:00.000Z WARNING Health check failed for minio, attempting recovery... (reason: refused; consecutive_failures: 1; duration_ms: 3)
2026-11-21T10:05:00.100Z INFO Executing restart command for minio (command: x; attempt: 1; max_attempts: 3)
nginx: GET / 200
{\"ts\":\"2026-11-21T10:05:06.100Z\",\"level\":\"INFO\",\"event\":\"recovered\",\"service\":\"minio\",\"message\":\"Successfully recovered minio\",\"duration_ms\":6000,\"attempt\":1}
2026-11-21T10:10:00.000Z INFO Health check passed for minio (duration_ms: 12)
[2026-11-21 10:10:01] Health check failed: db
[2026-11-21 10:10:02] Attempting recovery: db
[2026-11-21 10:10:32] Recovery failed: db
Health check passed: web
";

#[test]
fn the_table_is_exactly_so() {
    let said = ask(&stdin(), None, &[], MIXED.as_bytes());
    let expected = "\
SERVICE  CHECKS  PASSED  FAILED  SUCCESS  ATTEMPTS  RECOVERED  NOT RECOVERED  RECOVERY  PER FAILURE  MTTR  DOWNTIME
db            1       0       1     0.0%         1          0              1      0.0%         0.0%   n/a       31s
minio         3       2       1    66.7%         1          1              0    100.0%       100.0%  6.1s      6.1s
web           1       1       0   100.0%         0          0              0       n/a          n/a   n/a       n/a
all           5       3       2    60.0%         2          1              1     50.0%        50.0%  6.1s       37s

From 2026-11-21T10:00:00Z to 2026-11-21T10:10:32Z.
db is down since 2026-11-21T10:10:01Z.
Lines without a time, counted, but not in durations: 1
";
    assert_eq!(said.out, expected);
    assert_eq!((said.err.as_str(), said.code), ("", ExitCode::Ok));
}

#[test]
fn json_is_exactly_so() {
    let request = Request { json: true, services: vec!["minio".into()], ..stdin() };
    let said = ask(&request, None, &[], MIXED.as_bytes());
    let figures = serde_json::json!({
        "checks": 3, "passed": 2, "failed": 1, "success_rate": 2.0 / 3.0, "attempts": 1, "recovered": 1,
        "failed_to_recover": 0, "recovery_rate": 1.0, "recoveries_per_failed_check": 1.0, "mttr_seconds": 6.1,
        "downtime_seconds": 6.1, "outages": 1, "down_since": null, "given_up": 0, "cannot_check": 0
    });
    let expected = serde_json::json!({
        "total": figures, "services": {"minio": figures}, "from": "2026-11-21T10:00:00Z",
        "to": "2026-11-21T10:10:00Z", "undated_lines": 0, "undated_lines_left_out": 0
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap(), expected);
}

#[test]
fn nothing_counted_is_not_zero_percent() {
    let said = ask(&stdin(), None, &[], b"");
    let expected = "\
SERVICE  CHECKS  PASSED  FAILED  SUCCESS  ATTEMPTS  RECOVERED  NOT RECOVERED  RECOVERY  PER FAILURE  MTTR  DOWNTIME
all           0       0       0      n/a         0          0              0       n/a          n/a   n/a       n/a

No line with a time was counted.
";
    assert_eq!(said.out, expected);
    let said = ask(&Request { json: true, ..stdin() }, None, &[], b"");
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    for key in
        ["success_rate", "recovery_rate", "recoveries_per_failed_check", "mttr_seconds", "downtime_seconds"]
    {
        assert!(all["total"][key].is_null(), "{key}");
    }
}

#[test]
fn lines_without_a_time_are_left_out_under_since_and_told() {
    let request = Request { since: Some("2026-11-21T10:06:00Z".parse().unwrap()), ..stdin() };
    let said = ask(&request, None, &[], MIXED.as_bytes());
    assert!(said.out.contains("\nLines without a time, left out: 1\n"), "{}", said.out);
    assert!(!said.out.contains("web"), "{}", said.out);
    let request =
        Request { since: Some("1h".parse().unwrap()), until: Some("2026-11-20".parse().unwrap()), ..stdin() };
    let said = ask(&request, None, &[], b"");
    assert_eq!((said.err.as_str(), said.code), ("error: --since must lie before --until\n", ExitCode::Usage));
}

fn line(minute: u32, text: &str) -> String {
    format!("2026-11-21T10:{minute:02}:00.000Z INFO {text}\n")
}

/// A log in four pieces, whose names and times of change do not tell their order.
fn rotated(folder: &Path) -> PathBuf {
    let log = folder.join("recovery.log");
    fs::write(&log, line(30, "Health check passed for a")).unwrap();
    fs::write(folder.join("recovery.log.1"), line(20, "Health check failed for a, not attempting recovery"))
        .unwrap();
    let two_members = [
        gzip(&line(10, "Health check failed for a, not attempting recovery")),
        gzip(&line(15, "Cannot check a")),
    ];
    fs::write(folder.join("recovery.log.2.gz"), two_members.concat()).unwrap();
    fs::write(folder.join("recovery.log-20261120.gz"), gzip(&line(0, "Health check passed for a"))).unwrap();
    fs::write(folder.join("recovery.log.1.gz"), gzip(&line(20, "Health check passed for a"))).unwrap();
    fs::write(folder.join("recovery.log.old"), line(25, "Health check passed for a")).unwrap();
    log
}

#[test]
fn the_configured_log_and_its_siblings_are_read_in_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = rotated(folder.path());
    let said = ask(&Request { json: true, ..Request::default() }, Some(&log), &["a"], b"");
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let a = &all["services"]["a"];
    assert_eq!((&a["passed"], &a["failed"]), (&2.into(), &2.into()), "{}", said.out);
    // Down from :10 to :15, unknown to :20, down to :30.
    assert_eq!(a["downtime_seconds"], 900);
    assert_eq!((said.err.as_str(), said.code), ("", ExitCode::Ok));
}

#[test]
fn files_named_by_a_shell_pattern_are_put_in_order_too() {
    let folder = tempfile::tempdir().unwrap();
    let log = rotated(folder.path());
    let files = ["recovery.log", "recovery.log.1", "recovery.log.2.gz"].map(|name| folder.path().join(name));
    let said = ask(&Request { json: true, files: files.into(), ..Request::default() }, Some(&log), &[], b"");
    assert!(said.out.contains("\"downtime_seconds\": 900"), "{}", said.out);
}

#[test]
fn without_a_file_and_a_log_it_is_wrong_usage() {
    let said = ask(&Request::default(), None, &[], b"");
    let text = "error: no log is configured: name a FILE, or set \"log_file\" in the \"recovery\" section\n";
    assert_eq!((said.err.as_str(), said.out.as_str(), said.code), (text, "", ExitCode::Usage));
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let [missing, cut, xz, good] =
        ["missing.log", "cut.gz", "x.xz", "good.log"].map(|name| folder.path().join(name));
    let whole = gzip(&line(0, "Health check passed for a").repeat(50));
    fs::write(&cut, &whole[..whole.len() - 6]).unwrap();
    fs::write(&xz, b"\xfd7zXZ\0rest").unwrap();
    fs::write(&good, line(1, "Health check passed for a")).unwrap();
    let files = vec![missing.clone(), cut.clone(), xz.clone(), good];
    let said = ask(&Request { json: true, files, ..Request::default() }, None, &[], b"");
    assert_eq!(said.code, ExitCode::Io);
    assert!(
        said.err.contains(&format!("error: cannot read {}: No such file", missing.display())),
        "{}",
        said.err
    );
    assert!(said.err.contains(&format!("error: cannot read {}: ", cut.display())), "{}", said.err);
    assert!(said.err.contains("compressed with xz, which is not read here"), "{}", said.err);
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(all["total"]["passed"], 51);
    let said = ask(&Request::default(), Some(&missing), &[], b"");
    assert_eq!(said.err, format!("error: no log has been written yet: {}\n", missing.display()));
    assert_eq!(said.code, ExitCode::Io);
}

#[test]
fn a_misspelt_service_is_wrong_usage() {
    let request = Request { services: vec!["mino".into()], ..stdin() };
    let said = ask(&request, None, &["db"], MIXED.as_bytes());
    let text = "error: no service is called \"mino\", neither in the configuration nor in these logs; did you mean \"minio\"?\n";
    assert_eq!((said.err.as_str(), said.out.as_str(), said.code), (text, "", ExitCode::Usage));
    // Known, and not in the log: nothing was counted, and that is no error.
    let request = Request { services: vec!["quiet".into()], ..stdin() };
    assert_eq!(ask(&request, None, &["quiet"], MIXED.as_bytes()).code, ExitCode::Ok);
}

/// Figures of a log of some megabytes are those of counting line by line, in every wording and through gzip.
#[test]
fn a_big_log_counts_as_counting_does() {
    let phrases = [
        "INFO Health check passed for {} (duration_ms: 12)",
        "WARNING Health check failed for {}, attempting recovery... (reason: Health check\\u0020passed for x; duration_ms: 1)",
        "INFO Executing restart command for {} (attempt: 1)",
        "INFO Successfully recovered {} (duration_ms: 1)",
        "ERROR Failed to recover {} (reason: x)",
        "INFO other words of {}",
        "[app] Health check passed: {}",
        "[app] Recovery failed: {}",
    ];
    let (mut text, mut seed) = (String::new(), 1_u64);
    for n in 0..40_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let phrase = phrases[usize::try_from(seed >> 33).unwrap() % phrases.len()];
        let (second, minute, hour) = (n % 60, n / 60 % 60, n / 3600 % 24);
        let service = ["minio", "db", "web.1"][usize::try_from(seed >> 50).unwrap() % 3];
        text += &format!(
            "2026-11-21T{hour:02}:{minute:02}:{second:02}.{:03}Z {}\n",
            n % 1000,
            phrase.replace("{}", service)
        );
    }
    let naive = |needles: &[&str]| text.lines().filter(|l| needles.iter().any(|n| l.contains(n))).count();
    for input in [text.clone().into_bytes(), gzip(&text)] {
        let said = ask(&Request { json: true, ..stdin() }, None, &[], &input);
        let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let total = &all["total"];
        assert_eq!(total["passed"], naive(&["Health check passed for", "Health check passed: "]));
        assert_eq!(total["failed"], naive(&["Health check failed for"]));
        assert_eq!(total["recovered"], naive(&["Successfully recovered"]));
        assert_eq!(total["failed_to_recover"], naive(&["Failed to recover", "Recovery failed: "]));
        assert_eq!(all["services"].as_object().unwrap().len(), 3);
    }
}
