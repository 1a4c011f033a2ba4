//! Complete lines for every kind of event, and the way back from them.

use std::time::Duration;

use proptest::prelude::*;
use time::macros::datetime;

use super::facts::usual_action;
use super::{Format, parse, render};
use crate::check::severity::Severity;
use crate::config::model::ServiceName;
use crate::event::{Action, Change, Component, Event, EventKind, Level, phrase};
use crate::stats::{Calendar, Kind, Scanner};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn event(kind: EventKind) -> Event {
    let event = Event::new(datetime!(2026-11-21 10:05:07.123 UTC), Some(name("minio")), kind);
    Event { action: usual_action(&event.kind), ..event }
}

fn component(change: Change) -> EventKind {
    let down = change != Change::Recovered;
    EventKind::Component(Component {
        change,
        host: "vps-1".into(),
        reason: down.then(|| "connection refused on localhost:9000".to_owned()),
        consecutive_failures: if down { 3 } else { 0 },
        severity: (change == Change::Degraded).then_some(Severity::Critical),
        down_since: (change != Change::Unknown).then_some(datetime!(2026-11-21 10:00 UTC)),
    })
}

/// Every kind once, with and without its optional parts.
fn samples() -> Vec<Event> {
    let ms = Duration::from_millis;
    let failed = |left: Option<&str>| EventKind::CheckFailed {
        duration: ms(5002),
        reason: "connection refused on localhost:9000".into(),
        left_because: left.map(Into::into),
        below: None,
        consecutive_failures: 3,
        severity: None,
    };
    let tolerated = EventKind::CheckFailed {
        duration: ms(5002),
        reason: "timed out after 5 s".into(),
        left_because: None,
        below: Some(3),
        consecutive_failures: 1,
        severity: Some(Severity::Transient),
    };
    let given_up = |until| EventKind::GivenUp { attempts: 3, window: Duration::from_secs(3600), until };
    let recovered = |note: Option<&str>| EventKind::Recovered {
        duration: ms(6100),
        attempt: 2,
        note: note.map(Into::into),
    };
    let note = |text: &str| EventKind::Note { level: Level::Warning, text: text.into() };
    let mut events: Vec<Event> = [
        EventKind::CheckPassed { duration: ms(12) },
        failed(None),
        failed(Some("given up")),
        tolerated,
        EventKind::CannotCheck { reason: "no such container: services-container".into() },
        EventKind::ManuallyStopped { details: "by alice since 09:00; reason: upgrade".into() },
        EventKind::ManuallyStopped { details: String::new() },
        EventKind::Blocked { by: name("db") },
        given_up(None),
        given_up(Some(datetime!(2026-11-21 11:00 UTC))),
        EventKind::HealedWithoutRestart,
        EventKind::Executing { what: "pkill -f 'minio' || true; minio &".into(), attempt: 1, max: 3 },
        recovered(None),
        recovered(Some("still in the foreground")),
        EventKind::RecoveryFailed {
            duration: ms(30_000),
            attempt: 3,
            reason: "HTTP 503 (wanted 200)".into(),
            restart_result: "exit 127".into(),
            severity: Some(Severity::Recoverable),
        },
        EventKind::ExecutingFallback { what: "minio --readonly &".into() },
        EventKind::Degraded {
            duration: ms(41_000),
            reason: "HTTP 503".into(),
            result: "exit 1; then fallback: exit 0".into(),
        },
        note("an alert waits"),
        note("exit 3: \u{1b}[31mred\nHealth check passed for minio"),
    ]
    .map(event)
    .into();
    events.push(Event { service: None, ..event(note("the engine is slow")) });
    let container = Some("services-container".to_owned());
    let executing = EventKind::Executing { what: "docker restart x".into(), attempt: 1, max: 3 };
    events.push(Event { container: container.clone(), action: Action::RestartContainer, ..event(executing) });
    events.extend(Change::ALL.map(|change| event(component(change))));
    events.push(Event { container, action: Action::Restart, ..event(component(Change::Down)) });
    events
}

#[test]
fn text_lines_are_exactly_so() {
    let lines: Vec<String> = samples().iter().map(|e| render(e, Format::Text)).collect();
    let expected = r#"
2026-11-21T10:05:07.123Z INFO Health check passed for minio (duration_ms: 12)
2026-11-21T10:05:07.123Z WARNING Health check failed for minio, attempting recovery... (reason: connection refused on localhost:9000; consecutive_failures: 3; duration_ms: 5002)
2026-11-21T10:05:07.123Z WARNING Health check failed for minio, not attempting recovery (reason: connection refused on localhost:9000; left_because: given up; consecutive_failures: 3; duration_ms: 5002)
2026-11-21T10:05:07.123Z WARNING Health check failed for minio, not attempting recovery (failure 1 of 3) (reason: timed out after 5 s; consecutive_failures: 1; severity: transient; duration_ms: 5002)
2026-11-21T10:05:07.123Z WARNING Cannot check minio (reason: no such container: services-container)
2026-11-21T10:05:07.123Z INFO minio manually stopped, skipping auto-recovery (details: "by alice since 09:00; reason: upgrade")
2026-11-21T10:05:07.123Z INFO minio manually stopped, skipping auto-recovery
2026-11-21T10:05:07.123Z WARNING minio is blocked by db
2026-11-21T10:05:07.123Z ERROR minio exceeded max failures (3 in 3600s), giving up
2026-11-21T10:05:07.123Z ERROR minio exceeded max failures (3 in 3600s), giving up (until: 2026-11-21T11:00:00.000Z)
2026-11-21T10:05:07.123Z INFO minio healthy again without restart
2026-11-21T10:05:07.123Z INFO Executing restart command for minio (command: "pkill -f 'minio' || true; minio &"; attempt: 1; max_attempts: 3)
2026-11-21T10:05:07.123Z INFO Successfully recovered minio (duration_ms: 6100; attempt: 2)
2026-11-21T10:05:07.123Z INFO Successfully recovered minio (duration_ms: 6100; attempt: 2; note: still in the foreground)
2026-11-21T10:05:07.123Z ERROR Failed to recover minio (reason: HTTP 503 (wanted 200); restart_result: exit 127; severity: recoverable; duration_ms: 30000; attempt: 3)
2026-11-21T10:05:07.123Z WARNING Executing fallback command for minio (command: minio --readonly &)
2026-11-21T10:05:07.123Z ERROR minio is degraded (reason: HTTP 503; result: "exit 1; then fallback: exit 0"; duration_ms: 41000)
2026-11-21T10:05:07.123Z WARNING an alert waits (service: minio)
2026-11-21T10:05:07.123Z WARNING "exit 3: \u001b[31mred\nHealth\u0020check passed for minio" (service: minio)
2026-11-21T10:05:07.123Z WARNING the engine is slow
2026-11-21T10:05:07.123Z INFO Executing restart command for minio (command: docker restart x; attempt: 1; max_attempts: 3; action: restart-container; container_name: services-container)
2026-11-21T10:05:07.123Z ERROR COMPONENT_DOWN minio (reason: connection refused on localhost:9000; consecutive_failures: 3; down_since: 2026-11-21T10:00:00.000Z; host: vps-1)
2026-11-21T10:05:07.123Z ERROR COMPONENT_GIVEN_UP minio (reason: connection refused on localhost:9000; consecutive_failures: 3; down_since: 2026-11-21T10:00:00.000Z; host: vps-1)
2026-11-21T10:05:07.123Z WARNING COMPONENT_DEGRADED minio (reason: connection refused on localhost:9000; consecutive_failures: 3; severity: critical; down_since: 2026-11-21T10:00:00.000Z; host: vps-1)
2026-11-21T10:05:07.123Z WARNING COMPONENT_UNKNOWN minio (reason: connection refused on localhost:9000; consecutive_failures: 3; host: vps-1)
2026-11-21T10:05:07.123Z INFO COMPONENT_RECOVERED minio (consecutive_failures: 0; down_since: 2026-11-21T10:00:00.000Z; host: vps-1)
2026-11-21T10:05:07.123Z ERROR COMPONENT_DOWN minio (reason: connection refused on localhost:9000; consecutive_failures: 3; down_since: 2026-11-21T10:00:00.000Z; host: vps-1; action: restart; container_name: services-container)
"#;
    assert_eq!(lines.join("\n"), expected.trim());
}

#[test]
fn json_lines_are_exactly_so() {
    let lines: Vec<String> = samples().iter().map(|e| render(e, Format::Json)).collect();
    let expected = r#"
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"check_passed","service":"minio","message":"Health check passed for minio","duration_ms":12,"action":"none","kind":"CHECK_PASSED","component_name":"minio","success":true}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"check_failed","service":"minio","message":"Health check failed for minio, attempting recovery...","reason":"connection refused on localhost:9000","consecutive_failures":3,"duration_ms":5002,"action":"recover","kind":"CHECK_FAILED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"check_failed","service":"minio","message":"Health check failed for minio, not attempting recovery","reason":"connection refused on localhost:9000","left_because":"given up","consecutive_failures":3,"duration_ms":5002,"action":"none","kind":"CHECK_FAILED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"check_failed","service":"minio","message":"Health check failed for minio, not attempting recovery (failure 1 of 3)","failure_threshold":3,"reason":"timed out after 5 s","consecutive_failures":1,"severity":"transient","duration_ms":5002,"action":"none","kind":"CHECK_FAILED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"cannot_check","service":"minio","message":"Cannot check minio","reason":"no such container: services-container","action":"none","kind":"CHECK_IMPOSSIBLE","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"manually_stopped","service":"minio","message":"minio manually stopped, skipping auto-recovery","details":"by alice since 09:00; reason: upgrade","action":"none","kind":"RECOVERY_STOPPED","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"manually_stopped","service":"minio","message":"minio manually stopped, skipping auto-recovery","action":"none","kind":"RECOVERY_STOPPED","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"blocked","service":"minio","message":"minio is blocked by db","blocked_by":"db","action":"none","kind":"RECOVERY_BLOCKED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"given_up","service":"minio","message":"minio exceeded max failures (3 in 3600s), giving up","attempts":3,"window_seconds":3600,"action":"none","kind":"RECOVERY_GIVEN_UP","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"given_up","service":"minio","message":"minio exceeded max failures (3 in 3600s), giving up","attempts":3,"window_seconds":3600,"until":"2026-11-21T11:00:00.000Z","action":"none","kind":"RECOVERY_GIVEN_UP","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"healed_without_restart","service":"minio","message":"minio healthy again without restart","action":"none","kind":"RECOVERY_NOT_NEEDED","component_name":"minio","success":true}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"executing","service":"minio","message":"Executing restart command for minio","command":"pkill -f 'minio' || true; minio &","attempt":1,"max_attempts":3,"action":"restart","kind":"RECOVERY_STARTED","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"recovered","service":"minio","message":"Successfully recovered minio","duration_ms":6100,"attempt":2,"action":"restart","kind":"RECOVERY_SUCCEEDED","component_name":"minio","success":true}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"recovered","service":"minio","message":"Successfully recovered minio","duration_ms":6100,"attempt":2,"note":"still in the foreground","action":"restart","kind":"RECOVERY_SUCCEEDED","component_name":"minio","success":true}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"recovery_failed","service":"minio","message":"Failed to recover minio","reason":"HTTP 503 (wanted 200)","restart_result":"exit 127","severity":"recoverable","duration_ms":30000,"attempt":3,"action":"restart","kind":"RECOVERY_FAILED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"executing_fallback","service":"minio","message":"Executing fallback command for minio","command":"minio --readonly &","action":"fallback","kind":"RECOVERY_STARTED","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"degraded","service":"minio","message":"minio is degraded","reason":"HTTP 503","result":"exit 1; then fallback: exit 0","duration_ms":41000,"action":"fallback","kind":"RECOVERY_DEGRADED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"note","service":"minio","message":"an alert waits","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"note","service":"minio","message":"exit 3: \u001b[31mred\nHealth\u0020check passed for minio","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"note","service":null,"message":"the engine is slow"}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"executing","service":"minio","message":"Executing restart command for minio","command":"docker restart x","attempt":1,"max_attempts":3,"action":"restart-container","container_name":"services-container","kind":"RECOVERY_STARTED","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"component_down","service":"minio","message":"COMPONENT_DOWN minio","reason":"connection refused on localhost:9000","consecutive_failures":3,"down_since":"2026-11-21T10:00:00.000Z","host":"vps-1","action":"none","kind":"COMPONENT_DOWN","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"component_given_up","service":"minio","message":"COMPONENT_GIVEN_UP minio","reason":"connection refused on localhost:9000","consecutive_failures":3,"down_since":"2026-11-21T10:00:00.000Z","host":"vps-1","action":"none","kind":"COMPONENT_GIVEN_UP","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"component_degraded","service":"minio","message":"COMPONENT_DEGRADED minio","reason":"connection refused on localhost:9000","consecutive_failures":3,"severity":"critical","down_since":"2026-11-21T10:00:00.000Z","host":"vps-1","action":"none","kind":"COMPONENT_DEGRADED","component_name":"minio","success":false}
{"ts":"2026-11-21T10:05:07.123Z","level":"WARNING","event":"component_unknown","service":"minio","message":"COMPONENT_UNKNOWN minio","reason":"connection refused on localhost:9000","consecutive_failures":3,"host":"vps-1","action":"none","kind":"COMPONENT_UNKNOWN","component_name":"minio"}
{"ts":"2026-11-21T10:05:07.123Z","level":"INFO","event":"component_recovered","service":"minio","message":"COMPONENT_RECOVERED minio","consecutive_failures":0,"down_since":"2026-11-21T10:00:00.000Z","host":"vps-1","action":"none","kind":"COMPONENT_RECOVERED","component_name":"minio","success":true}
{"ts":"2026-11-21T10:05:07.123Z","level":"ERROR","event":"component_down","service":"minio","message":"COMPONENT_DOWN minio","reason":"connection refused on localhost:9000","consecutive_failures":3,"down_since":"2026-11-21T10:00:00.000Z","host":"vps-1","action":"restart","container_name":"services-container","kind":"COMPONENT_DOWN","component_name":"minio","success":false}
"#;
    assert_eq!(lines.join("\n"), expected.trim());
}

#[test]
fn the_documented_events_are_those_there_are() {
    let table = include_str!("../../docs/events.md");
    for event in samples() {
        let Some(code) = event.code() else { continue };
        let name = super::facts::of(&event).name;
        let documented =
            |line: &str| line.contains(&format!("| `{code}` | ")) && line.contains(&format!("`{name}`"));
        assert!(table.lines().any(documented), "{code} {name}");
    }
    for action in Action::ALL {
        assert!(table.contains(&format!("| `{}` | ", action.as_str())), "{action:?}");
    }
}

#[test]
fn every_sample_reads_back() {
    for event in samples() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(parse(&render(&event, format)), Some(event.clone()), "{format:?}");
        }
    }
}

#[test]
fn lines_of_others_are_no_events() {
    for line in [
        "",
        "hello",
        "{}",
        "{",
        "2026-11-21 INFO x",
        r#"{"ts":"2026-11-21T10:05:07.123Z","event":"executing"}"#,
    ] {
        assert_eq!(parse(line), None, "{line}");
    }
}

/// Text with everything in it that could end, split or forge a line.
fn hostile() -> impl Strategy<Value = String> {
    let fragments = phrase::FRAGMENTS.iter().map(|f| format!("{f} minio")).collect::<Vec<_>>();
    let piece = prop_oneof![
        ".{0,8}",
        proptest::sample::select(fragments),
        proptest::sample::select(vec![
            "; ",
            ": ",
            " (",
            ")",
            "\"",
            "\\",
            "\n",
            "\r",
            "\u{1b}[2J",
            "\0",
            "\u{9b}",
            "\u{202e}",
            " (service: x)",
            "reason: ",
            "\\u0020",
            "2026-11-21T10:05:07.123Z INFO ",
            " "
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn any_severity() -> impl Strategy<Value = Option<Severity>> {
    let all = vec![None, Some(Severity::Transient), Some(Severity::Recoverable), Some(Severity::Critical)];
    proptest::sample::select(all)
}

fn any_kind() -> impl Strategy<Value = EventKind> {
    let ms = || any::<u32>().prop_map(|n| Duration::from_millis(n.into()));
    let maybe = || proptest::option::of(hostile());
    let service = || "[A-Za-z0-9_][A-Za-z0-9._-]{0,12}".prop_map(|n| name(&n));
    let level = proptest::sample::select(vec![Level::Info, Level::Warning, Level::Error]);
    prop_oneof![
        ms().prop_map(|duration| EventKind::CheckPassed { duration }),
        (ms(), hostile(), maybe(), proptest::option::of(any::<u32>()), any::<u32>(), any_severity())
            .prop_map(|(duration, reason, left_because, below, consecutive_failures, severity)| {
                EventKind::CheckFailed {
                    duration,
                    reason,
                    left_because,
                    below,
                    consecutive_failures,
                    severity,
                }
            }),
        hostile().prop_map(|reason| EventKind::CannotCheck { reason }),
        hostile().prop_map(|details| EventKind::ManuallyStopped { details }),
        service().prop_map(|by| EventKind::Blocked { by }),
        (any::<u32>(), any::<u32>(), proptest::option::of(0_i64..4_000_000_000_000)).prop_map(
            |(attempts, s, until)| {
                let until =
                    until.map(|ms| datetime!(1970-01-01 00:00 UTC) + time::Duration::milliseconds(ms));
                EventKind::GivenUp { attempts, window: Duration::from_secs(s.into()), until }
            }
        ),
        Just(EventKind::HealedWithoutRestart),
        (hostile(), any::<u32>(), any::<u32>()).prop_map(|(what, attempt, max)| EventKind::Executing {
            what,
            attempt,
            max
        }),
        (ms(), any::<u32>(), maybe()).prop_map(|(duration, attempt, note)| EventKind::Recovered {
            duration,
            attempt,
            note
        }),
        (ms(), any::<u32>(), hostile(), hostile(), any_severity()).prop_map(
            |(duration, attempt, reason, restart_result, severity)| EventKind::RecoveryFailed {
                duration,
                attempt,
                reason,
                restart_result,
                severity
            }
        ),
        hostile().prop_map(|what| EventKind::ExecutingFallback { what }),
        (ms(), hostile(), hostile()).prop_map(|(duration, reason, result)| EventKind::Degraded {
            duration,
            reason,
            result
        }),
        (proptest::sample::select(Change::ALL.to_vec()), hostile(), maybe(), any::<u32>()).prop_map(
            |(change, host, reason, consecutive_failures)| {
                let down_since = reason.as_ref().map(|_| datetime!(2026-11-21 10:00 UTC));
                let severity = down_since.and(Some(Severity::Transient));
                EventKind::Component(Component {
                    change,
                    host,
                    reason,
                    consecutive_failures,
                    severity,
                    down_since,
                })
            }
        ),
        (level, hostile()).prop_map(|(level, text)| EventKind::Note { level, text }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let service = "[A-Za-z0-9_][A-Za-z0-9._-]{0,12}".prop_map(|n| name(&n));
    let action = proptest::sample::select(Action::ALL.to_vec());
    let context = (any::<bool>(), proptest::option::of(hostile()), action);
    (0_i64..4_000_000_000_000, service, any_kind(), context).prop_map(
        |(ms, service, kind, (alone, container, action))| {
            let at = datetime!(1970-01-01 00:00 UTC) + time::Duration::milliseconds(ms);
            if let EventKind::Note { .. } = kind {
                return Event::new(at, (!alone).then_some(service), kind);
            }
            Event { container, action, ..Event::new(at, Some(service), kind) }
        },
    )
}

proptest! {
    #[test]
    fn both_formats_carry_the_same_facts(event in any_event()) {
        for format in [Format::Text, Format::Json] {
            let line = render(&event, format);
            prop_assert_eq!(parse(&line), Some(event.clone()), "{}", line);
        }
    }

    /// What came from outside neither ends a line nor adds a phrase to it.
    #[test]
    fn nothing_from_outside_forges(event in any_event()) {
        let own = usize::from(!matches!(event.kind, EventKind::Note { .. }));
        for format in [Format::Text, Format::Json] {
            let line = render(&event, format);
            prop_assert!(!line.chars().any(char::is_control), "{}", line);
            let phrases: usize = phrase::FRAGMENTS.iter().map(|f| line.matches(f).count()).sum();
            // A failed look's sentence is made of two: `Health check failed` and `attempting recovery`.
            let own = own + usize::from(matches!(event.kind, EventKind::CheckFailed { .. }));
            prop_assert_eq!(phrases, own, "{}", line);
        }
    }

    /// The statistics read a line of either format as the one event it is.
    #[test]
    fn the_statistics_count_what_was_written(event in any_event()) {
        let found = [Format::Text, Format::Json].map(|format| {
            let mut found = Vec::new();
            let line = render(&event, format) + "\n";
            let calendar = Calendar::new(datetime!(2026-11-21 12:00 UTC));
            Scanner::new(calendar).scan(line.as_bytes(), &mut |fact| {
                if fact.kind == Kind::Other {
                    return;
                }
                found.push((String::from_utf8_lossy(fact.service).into_owned(), fact.kind, fact.at));
            });
            found
        });
        let kind = match event.kind {
            EventKind::CheckPassed { .. } => Some(Kind::Passed),
            EventKind::CheckFailed { .. } => Some(Kind::Failed),
            EventKind::CannotCheck { .. } => Some(Kind::Unknown),
            EventKind::ManuallyStopped { .. } => Some(Kind::Stopped),
            EventKind::GivenUp { .. } => Some(Kind::GivenUp),
            EventKind::HealedWithoutRestart => Some(Kind::Healed),
            EventKind::Executing { .. } => Some(Kind::Executing),
            EventKind::Recovered { .. } => Some(Kind::Recovered),
            EventKind::RecoveryFailed { .. } => Some(Kind::NotRecovered),
            EventKind::Blocked { .. }
            | EventKind::ExecutingFallback { .. }
            | EventKind::Degraded { .. }
            | EventKind::Component(_)
            | EventKind::Note { .. } => None,
        };
        let at = i64::try_from(event.at.unix_timestamp_nanos() / 1_000_000).ok();
        let service = event.service.as_ref().map(ToString::to_string).unwrap_or_default();
        let expected: Vec<_> = kind.map(|kind| (service, kind, at)).into_iter().collect();
        for found in found {
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn any_line_can_be_read(line in ".*") {
        let _ = parse(&line);
    }
}
