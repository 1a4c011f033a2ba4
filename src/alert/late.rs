//! What becomes of alerts that could not be delivered as they were: those whose incident is over, and
//! those that the receiver refused.

use time::macros::format_description;

use super::text::{cut_bytes, cut_chars, labelled, timestamp};
use super::{Alert, AlertKind};
use crate::clock::Timestamp;
use crate::clock::text::utc;

/// Good news comes with this priority, also when it is late.
const PRIORITY: u8 = 3;
/// The longest body of a short form, in bytes.
const SHORT_MAX: usize = 500;

/// The one message in place of an alert whose incident is over.
#[must_use]
pub fn over(alert: &Alert, from: Timestamp, to: Option<Timestamp>, now: Timestamp) -> Alert {
    let (subject, host) = (&alert.subject, &alert.host);
    let (kind, title, was, is) = match alert.kind {
        AlertKind::CheckImpossible => {
            (alert.kind, format!("{subject} Can Be Checked Again"), "could not be checked", "can be again")
        }
        AlertKind::EngineUnreachable => {
            (alert.kind, format!("Docker Reachable Again on {host}"), "was unreachable", "reachable again")
        }
        AlertKind::RecoveryConfigInvalid => (
            alert.kind,
            format!("Recovery Configuration Valid Again on {host}"),
            "was invalid",
            "valid again",
        ),
        _ => (AlertKind::ServiceRecovered, format!("{subject} Recovered"), "was down", "recovered"),
    };
    let status = format!("{was} {}, {is}; delivery delayed", interval(from, to));
    let service = match alert.services.join(", ") {
        names if names.is_empty() => String::new(),
        names => format!("Service: {}\n", cut_chars(&names, 1000)),
    };
    let until = to.map(|to| format!("\nUntil: {}", timestamp(to))).unwrap_or_default();
    let body = format!(
        "{service}Status: {status}\n\nAlert: {kind}\nHost: {host}\nTime: {}\nSince: {}{until}\nUndelivered: {}",
        timestamp(now),
        timestamp(from),
        alert.kind,
    );
    Alert {
        kind,
        at: now,
        priority: PRIORITY,
        tags: vec!["white_check_mark".into()],
        title: labelled(alert.label.as_deref(), &title),
        body,
        ..alert.clone()
    }
}

/// `02:00–02:05Z`, with dates where the two are not of one day.
fn interval(from: Timestamp, to: Option<Timestamp>) -> String {
    let (clock, day) = (format_description!("[hour]:[minute]"), format_description!("[year]-[month]-[day]"));
    let (from, to) = (utc(from), to.map(utc));
    let time = |t: Timestamp| t.format(clock).unwrap_or_default();
    let date = |t: Timestamp| t.format(day).unwrap_or_default();
    match to {
        Some(to) if to.date() == from.date() => format!("{}–{}Z", time(from), time(to)),
        Some(to) => format!("{} {}–{} {}Z", date(from), time(from), date(to), time(to)),
        None => format!("from {} {}Z", date(from), time(from)),
    }
}

/// The same in few plain words, for a receiver that refused the whole.
#[must_use]
pub fn short(alert: &Alert) -> Alert {
    let plain = |text: &str| text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>();
    let services = cut_bytes(&plain(&alert.services.join(", ")), SHORT_MAX / 2);
    let body = format!(
        "Service: {services}\nAlert: {}\nHost: {}\nTime: {}\n(short form: the whole alert was refused)",
        alert.kind,
        cut_bytes(&plain(&alert.host), 100),
        timestamp(alert.at),
    );
    Alert {
        title: cut_bytes(&plain(&alert.title), 80).replace('…', ""),
        body: cut_bytes(&body, SHORT_MAX),
        tags: alert.tags.first().cloned().into_iter().collect(),
        ..alert.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Story;
    use super::super::{Destination, Report};
    use super::*;
    use time::macros::datetime;

    fn alert(kind: AlertKind) -> Alert {
        let report = Report {
            story: Story { kind, subject: "MinIO".into(), ..Story::sample("minio") },
            incidents: Vec::new(),
            group: None,
            to: [Destination::Command].into(),
        };
        report.alerts().remove(0)
    }

    #[test]
    fn it_says_what_was_and_that_it_comes_late() {
        let (from, to, now) = (
            datetime!(2026-11-21 02:00:10 UTC),
            datetime!(2026-11-21 02:05 UTC),
            datetime!(2026-11-21 03:00 UTC),
        );
        let late = over(&alert(AlertKind::ServiceCrashLoop), from, Some(to), now);
        assert_eq!((late.priority, late.title.as_str()), (3, "MinIO Recovered"));
        assert_eq!(late.kind, AlertKind::ServiceRecovered);
        assert_eq!(
            late.body,
            "Service: minio\nStatus: was down 02:00–02:05Z, recovered; delivery delayed\n\n\
             Alert: SERVICE-RECOVERED\nHost: vps-1\nTime: 2026-11-21T03:00:00Z\n\
             Since: 2026-11-21T02:00:10Z\nUntil: 2026-11-21T02:05:00Z\nUndelivered: SERVICE-CRASH-LOOP"
        );
        let engine = over(&alert(AlertKind::EngineUnreachable), from, None, now);
        assert!(engine.body.contains("was unreachable from 2026-11-21 02:00Z, reachable again"));
        assert_eq!(engine.title, "Docker Reachable Again on vps-1");
    }

    #[test]
    fn over_midnight_the_dates_are_told() {
        let (from, to) = (datetime!(2026-11-20 23:55 UTC), datetime!(2026-11-21 00:05 UTC));
        assert_eq!(interval(from, Some(to)), "2026-11-20 23:55–2026-11-21 00:05Z");
    }

    #[test]
    fn the_short_form_is_short_and_plain() {
        let long = Alert {
            title: "ü".repeat(300),
            services: vec!["s".repeat(5000)],
            ..alert(AlertKind::ServiceDown)
        };
        let short = short(&long);
        assert!(short.body.len() <= SHORT_MAX && short.title.len() <= 80 && short.title.is_ascii());
        assert!(short.body.contains("\nAlert: SERVICE-DOWN\nHost: vps-1\nTime: 2026-11-21T10:05:07Z\n"));
    }
}
