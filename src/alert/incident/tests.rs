use super::super::text::Story;
use super::super::{Destination, Report};
use super::*;
use crate::clock::boot::Moment;
use AlertKind::*;
use proptest::prelude::*;
use time::macros::datetime;

const START: Timestamp = datetime!(2026-11-21 10:00 UTC);
const POLICY: Policy = Policy { cooldown: Duration::from_secs(3600), window: Duration::from_secs(1800) };

fn minute(n: i64) -> Timestamp {
    START + time::Duration::minutes(n)
}

/// A service with the places that have heard of its failure.
struct History {
    state: ServiceState,
    owed: bool,
}

impl History {
    fn new() -> Self {
        Self { state: ServiceState::new("web"), owed: false }
    }

    /// One pass; what is told is delivered at once.
    fn pass(&mut self, at: i64, found: Found) -> Option<AlertKind> {
        let due = self.undelivered(at, found);
        match due {
            Some(ServiceRecovered) => self.owed = false,
            Some(kind) if kind.is_failure() => self.owed = true,
            _ => {}
        }
        due
    }

    fn undelivered(&mut self, at: i64, found: Found) -> Option<AlertKind> {
        match found {
            Found::Healthy => self.state.saw_healthy(minute(at)),
            Found::Failed(_) => self.state.saw_unhealthy(minute(at)),
            Found::Unknown => self.state.saw_unknown(minute(at)),
            Found::LeftAlone => {}
        }
        advance(&mut self.state, found, self.owed, POLICY, minute(at)).map(|due| due.kind)
    }
}

const FAILED: Found = Found::Failed(ServiceRecoveryFailed);
const LOOP: Found = Found::Failed(ServiceCrashLoop);

#[test]
fn each_kind_once_then_one_reminder_a_cooldown() {
    let mut web = History::new();
    let told: Vec<_> = (0..40)
        .filter_map(|n| web.pass(n * 5, if n < 3 { FAILED } else { LOOP }).map(|kind| (n * 5, kind)))
        .collect();
    let expected =
        [(0, ServiceRecoveryFailed), (15, ServiceCrashLoop), (75, ServiceCrashLoop), (135, ServiceCrashLoop)];
    assert_eq!(told, [expected.as_slice(), &[(195, ServiceCrashLoop)]].concat());
}

#[test]
fn a_reminder_says_that_it_is_one_and_since_when_it_is_down() {
    let mut state = ServiceState::new("web");
    state.saw_unhealthy(minute(-5));
    state.saw_unhealthy(minute(0));
    let first = advance(&mut state, FAILED, false, POLICY, minute(0)).unwrap();
    assert!(!first.reminder);
    assert_eq!(first.down_since, Some(minute(-5)));
    let second = advance(&mut state, FAILED, false, POLICY, minute(60)).unwrap();
    assert!(second.reminder);
    assert_eq!((second.incident, second.down_since), (first.incident, first.down_since));
}

#[test]
fn recovered_follows_a_delivered_failure_only() {
    let mut web = History::new();
    assert_eq!(web.pass(0, FAILED), Some(ServiceRecoveryFailed));
    assert_eq!(web.pass(5, Found::LeftAlone), None);
    assert_eq!(web.pass(10, Found::Healthy), Some(ServiceRecovered));
    assert_eq!(web.pass(15, Found::Healthy), None);

    let mut web = History::new();
    assert_eq!(web.undelivered(0, FAILED), Some(ServiceRecoveryFailed));
    assert_eq!(web.undelivered(5, Found::Healthy), None);
    // The sender was just at it when the incident was closed.
    web.owed = true;
    assert_eq!(web.pass(10, Found::Healthy), Some(ServiceRecovered));
}

#[test]
fn a_new_incident_alerts_at_once() {
    let mut web = History::new();
    web.pass(0, FAILED);
    web.pass(5, Found::Healthy);
    assert_eq!(web.pass(10, FAILED), Some(ServiceRecoveryFailed));
}

#[test]
fn a_flapping_service_is_called_recovered_after_a_healthy_window() {
    let mut web = History::new();
    web.pass(0, FAILED);
    assert_eq!(web.pass(5, Found::Healthy), Some(ServiceRecovered));
    assert_eq!(web.pass(10, FAILED), Some(ServiceRecoveryFailed));
    assert_eq!(web.pass(15, Found::Healthy), None);
    assert_eq!(web.pass(40, FAILED), Some(ServiceRecoveryFailed));
    assert_eq!(web.pass(45, Found::Healthy), None);
    // A failure that was mended without a word starts the window anew.
    web.state.saw_unhealthy(minute(50));
    assert_eq!(web.pass(50, Found::Healthy), None);
    assert_eq!(web.pass(79, Found::Healthy), None);
    assert_eq!(web.pass(80, Found::Healthy), Some(ServiceRecovered));
    // A window later an incident is the first again.
    assert_eq!(web.pass(200, FAILED), Some(ServiceRecoveryFailed));
    assert_eq!(web.pass(205, Found::Healthy), Some(ServiceRecovered));
}

#[test]
fn check_impossible_needs_two_looks_in_a_row_and_is_no_failure() {
    let mut web = History::new();
    assert_eq!(web.pass(0, Found::Unknown), None);
    assert_eq!(web.pass(5, Found::Healthy), None);
    assert_eq!(web.pass(10, Found::Unknown), None);
    assert_eq!(web.pass(15, Found::Unknown), Some(CheckImpossible));
    assert_eq!(web.pass(20, Found::Unknown), None);
    assert_eq!(web.pass(75, Found::Unknown), Some(CheckImpossible));
    assert_eq!(web.pass(80, Found::Healthy), None);
    assert_eq!(web.state.incident, None);
}

#[test]
fn the_engine_is_told_at_the_second_pass_and_closes_in_silence() {
    let mut engine = ServiceState::new(".engine");
    let mut pass = |at, up| advance_engine(&mut engine, up, POLICY, minute(at)).map(|due| due.kind);
    assert_eq!([pass(0, false), pass(5, true), pass(10, false)], [None; 3]);
    assert_eq!(pass(15, false), Some(EngineUnreachable));
    assert_eq!([pass(20, false), pass(25, true), pass(30, false)], [None; 3]);
    assert_eq!(pass(35, false), Some(EngineUnreachable));
}

#[test]
fn a_wrong_configuration_is_told_at_once_and_then_once_a_cooldown() {
    let mut config = ServiceState::new(".configuration");
    let mut pass = |at, ok| advance_configuration(&mut config, ok, POLICY, minute(at)).map(|due| due.kind);
    assert_eq!(pass(0, false), Some(RecoveryConfigInvalid));
    assert_eq!(pass(59, false), None);
    assert_eq!(pass(60, false), Some(RecoveryConfigInvalid));
    assert_eq!(pass(61, true), None);
    assert_eq!(pass(62, false), Some(RecoveryConfigInvalid));
}

#[test]
fn a_clock_that_was_put_back_delays_a_reminder_by_one_cooldown_at_most() {
    let mut web = History::new();
    web.pass(60 * 24 * 365, FAILED);
    web.state.put_right(&Moment { wall: minute(0), boot: None });
    assert_eq!(web.pass(0, FAILED), None);
    assert_eq!(web.pass(60, FAILED), Some(ServiceRecoveryFailed));
}

#[test]
fn an_end_that_lies_in_the_future_makes_no_flapping() {
    let mut web = History::new();
    web.pass(0, FAILED);
    web.pass(5, Found::Healthy);
    web.state.last_incident.as_mut().unwrap().closed_at = minute(60 * 24 * 365);
    web.pass(10, FAILED);
    assert!(!web.state.incident.unwrap().flapping);
}

fn alert_of(state: &ServiceState, due: &Due, at: Timestamp) -> Alert {
    let report = Report {
        story: Story { kind: due.kind, at, down_since: due.down_since, ..Story::sample(&state.service) },
        incidents: vec![(state.service.clone(), due.incident.clone())],
        group: None,
        to: [Destination::Command].into(),
    };
    report.alerts().remove(0)
}

#[test]
fn an_alert_is_over_only_where_its_incident_is_known_to_be() {
    let mut state = ServiceState::new("web");
    state.saw_unhealthy(minute(0));
    let before = state.clone();
    let due = advance(&mut state, FAILED, false, POLICY, minute(1)).unwrap();
    let alert = alert_of(&state, &due, minute(1));
    let judged = |state: &ServiceState| judge(&alert, &|_| Some(state.clone()));
    assert_eq!(judge(&alert, &|_| None), Delivery::AsItIs, "the state cannot be read");
    assert_eq!(judged(&before), Delivery::AsItIs, "its pass died before the state was saved");
    assert_eq!(judged(&state), Delivery::AsItIs);
    state.saw_healthy(minute(5));
    let _ = advance(&mut state, Found::Healthy, false, POLICY, minute(5));
    assert_eq!(judged(&state), Delivery::Over { from: minute(0), to: Some(minute(5)) });
    state.saw_unhealthy(minute(6));
    let _ = advance(&mut state, FAILED, false, POLICY, minute(6));
    assert_eq!(judged(&state), Delivery::Over { from: minute(0), to: Some(minute(5)) });
    state.saw_healthy(minute(7));
    let _ = advance(&mut state, Found::Healthy, false, POLICY, minute(7));
    assert_eq!(judged(&state), Delivery::Over { from: minute(0), to: None });
}

fn found() -> impl Strategy<Value = Found> {
    prop_oneof![
        4 => Just(Found::Healthy),
        4 => Just(FAILED),
        3 => Just(LOOP),
        1 => Just(Found::Failed(ServiceDown)),
        2 => Just(Found::Unknown),
        1 => Just(Found::LeftAlone),
    ]
}

proptest! {
    #[test]
    fn whatever_happens(steps in prop::collection::vec((found(), 1i64..50, any::<bool>()), 1..60)) {
        let mut web = History::new();
        let mut now = 0;
        let mut told: Vec<(String, AlertKind, i64)> = Vec::new();
        let mut owed = false;
        for (found, wait, delivered) in steps {
            now += wait;
            web.owed = owed;
            let due = web.undelivered(now, found);
            if due == Some(ServiceRecovered) {
                prop_assert!(owed, "recovered without a failure");
                owed = false;
            } else if let Some(kind) = due {
                let id = web.state.incident.as_ref().expect("it was just opened").id.clone();
                for (_, _, at) in told.iter().filter(|(i, k, _)| *i == id && *k == kind) {
                    prop_assert!(now - at >= 60, "two of a kind within the cooldown");
                }
                told.push((id, kind, now));
                owed |= delivered && kind.is_failure();
            }
            if let Found::Failed(_) = found {
                let id = &web.state.incident.as_ref().expect("a failure is an incident").id;
                prop_assert!(
                    told.iter().any(|(i, k, at)| i == id && k.is_failure() && now - at < 60 + 50),
                    "a lasting incident is told, and told again"
                );
            }
            if found == Found::Healthy {
                prop_assert!(web.state.incident.is_none());
            }
        }
        // Whoever heard of a failure hears of the recovery in the end.
        for _ in 0..2 {
            now += 30;
            web.owed = owed;
            owed &= web.undelivered(now, Found::Healthy) != Some(ServiceRecovered);
        }
        prop_assert!(!owed);
    }
}
