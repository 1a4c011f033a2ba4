use super::*;
use proptest::prelude::*;
use time::macros::datetime;

const SAMPLE: &str = "\
Service: minio
Status: Failed health check
Recovery attempt: Failed
Container: services-container
Action required: Manual intervention needed

Alert: SERVICE-RECOVERY-FAILED
Host: vps-1
Time: 2026-11-21T10:05:07Z
Down since: 2026-11-21T10:05:00Z
Reason: connection refused on localhost:9000
Health check: HTTP GET http://localhost:9000/minio/health/live
Restart command: pkill -f 'minio server' || true; sleep 1; /usr/local/bin/minio server /data >> /var/log/minio.log 2>&1 &
Restart result: exit 127
Blocks: backup, web
Memory: 91% used, disk: 42% used

View logs: docker exec services-container tail -50 /var/log/minio.log";

fn minio() -> Story {
    Story {
        subject: "MinIO".into(),
        container: Some("services-container".into()),
        at: datetime!(2026-11-21 10:05:07.987 UTC),
        down_since: Some(datetime!(2026-11-21 10:05 UTC)),
        reason: Some("connection refused on localhost:9000".into()),
        health_check: Some("HTTP GET http://localhost:9000/minio/health/live".into()),
        restart_command: Some(
            "pkill -f 'minio server' || true; sleep 1; /usr/local/bin/minio server /data \
             >> /var/log/minio.log 2>&1 &"
                .into(),
        ),
        restart_result: Some("exit 127".into()),
        blocks: vec!["backup".into(), "web".into()],
        memory_used: Some(91),
        disk_used: Some(42),
        view_logs: view_logs("docker", Some("services-container"), Some("/var/log/minio.log")),
        ..Story::sample("minio")
    }
}

#[test]
fn the_documented_alert_word_for_word() {
    assert_eq!(title(&minio()), "MinIO Recovery Failed");
    assert_eq!(body(&minio()), SAMPLE);
    assert_eq!(priority(AlertKind::ServiceRecoveryFailed), 5);
    assert_eq!(tags(AlertKind::ServiceRecoveryFailed), ["rotating_light", "alert", "auto-recovery"]);
}

#[test]
fn titles_priorities_and_tags_by_kind() {
    use AlertKind::*;
    let row = |kind| (title(&Story { kind, ..minio() }), priority(kind), tags(kind).join(" "));
    let red = "rotating_light alert auto-recovery".to_owned();
    assert_eq!(row(ServiceCrashLoop), ("MinIO Crash Loop".into(), 5, red.clone()));
    assert_eq!(row(ServiceDown), ("MinIO Down".into(), 5, red));
    assert_eq!(row(CheckImpossible), ("MinIO Cannot Be Checked".into(), 4, "warning".into()));
    assert_eq!(row(EngineUnreachable), ("Docker Unreachable on vps-1".into(), 4, "warning".into()));
    assert_eq!(
        row(RecoveryConfigInvalid),
        ("Recovery Configuration Invalid on vps-1".into(), 4, "warning".into())
    );
    assert_eq!(row(ServiceRecovered), ("MinIO Recovered".into(), 3, "white_check_mark".into()));
}

#[test]
fn a_recovery_says_how_long_it_was_down() {
    let recovered_at = Some(datetime!(2026-11-21 11:07:09 UTC));
    let story = Story { kind: AlertKind::ServiceRecovered, recovered_at, ..minio() };
    let text = body(&story);
    assert!(text.starts_with("Service: minio\nStatus: Healthy\nWas down for: 1h 2m 9s\n"), "{text}");
    assert!(!text.contains("Action required"));
}

#[test]
fn a_crash_loop_says_how_often_and_a_down_that_nothing_was_configured() {
    let attempts = Some((3, Duration::from_secs(3600)));
    let text = body(&Story { kind: AlertKind::ServiceCrashLoop, attempts, ..minio() });
    assert!(text.contains("\nRecovery attempt: Given up after 3 attempts in 3600 s\n"), "{text}");
    let down = Story { kind: AlertKind::ServiceDown, reminder: true, ..minio() };
    assert!(body(&down).contains("\nRecovery attempt: None at this look\n"), "{}", body(&down));
    let text = body(&Story { restart_command: None, ..down });
    assert!(text.contains("\nRecovery attempt: None configured\n"), "{text}");
    assert!(text.contains("\nAlert: SERVICE-DOWN (reminder)\n"), "{text}");
}

#[test]
fn facts_stay_on_their_line_are_masked_and_cut() {
    let story = Story {
        reason: Some("exit 3: password=hunter2\nAlert: FORGED".into()),
        output: Some("1\n2\n3\n4\ntoken: abc\n\x1b[31m6\n\n".into()),
        restart_command: Some("é".repeat(400)),
        ..minio()
    };
    let text = body(&story);
    assert!(text.contains("\nReason: exit 3: password=***\\nAlert: FORGED\n"), "{text}");
    assert!(text.contains("\nOutput:\n  2\n  3\n  4\n  token: ***\n  \\u{1b}[31m6\nHealth check"), "{text}");
    assert!(text.contains(&format!("\nRestart command: {}…\n", "é".repeat(299))), "{text}");
}

#[test]
fn the_log_command_fits_what_is_configured() {
    let logs = |container, path| view_logs("podman", container, path);
    assert_eq!(logs(Some("c"), None).unwrap(), "podman logs --tail 50 c");
    assert_eq!(logs(None, Some("/a b's")).unwrap(), r"tail -50 '/a b'\''s'");
    assert_eq!(logs(None, None), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_body_fits_whatever_the_facts_are(reason in "\\PC{0,1500}", output in "(\\PC{0,300}\n){0,9}") {
        let blocks = vec!["ü".repeat(128); 60];
        let story = Story { reason: Some(reason), output: Some(output), blocks, ..minio() };
        let text = body(&story);
        prop_assert!(text.len() <= BODY_MAX);
    }

    #[test]
    fn bytes_are_cut_between_characters(text in "\\PC{0,40}", max in 0usize..60) {
        let cut = cut_bytes(&text, max);
        prop_assert!(cut.len() <= max);
        prop_assert!(text.len() > max || cut == text);
    }
}
