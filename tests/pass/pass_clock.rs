//! Somebody sets the wall clock, between passes or within one, while the machine runs on: whatever is counted in a
//! window stays as old as it is.

use crate::world;

use std::sync::Arc;

use serde_json::{Value, json};
use world::{Done, Stage};

const HOUR: i64 = 3600;
/// In seconds.
const JUMPS: [i64; 6] = [2 * HOUR, -2 * HOUR, 365 * 24 * HOUR, -365 * 24 * HOUR, 600, -600];

fn web(keys: &Value) -> Stage {
    let stage = Stage::new(&json!({"web": keys}));
    stage.machine().ruin("web");
    stage
}

/// How often that was done in so many passes, one every five minutes.
fn count(stage: &Stage, passes: usize, act: &str) -> usize {
    let done: Vec<Done> = (0..passes).map(|_| stage.pass_after(300)).collect();
    done.iter().flat_map(Done::acts).filter(|done| *done == act).count()
}

#[test]
fn attempts_are_free_after_a_window_whatever_the_clock_says() {
    for jump in JUMPS {
        let stage = web(&json!({"failure_window_seconds": HOUR, "startup_timeout_seconds": 0}));
        assert_eq!(count(&stage, 3, "run web"), 3);
        // Three attempts, the oldest 10 min old and more by what each restart waited for; then the hour is over.
        for _ in 0..3 {
            stage.clock.jump(jump);
            assert_eq!(count(&stage, 3, "run web"), 0, "{jump}");
        }
        stage.clock.jump(-jump);
        assert_eq!(count(&stage, 1, "run web"), 1, "{jump}");
    }
}

#[test]
fn a_clock_that_is_set_while_a_restart_is_under_way_dates_nothing_anew() {
    for jump in JUMPS {
        let stage =
            web(&json!({"failure_window_seconds": HOUR, "max_failures": 1, "startup_timeout_seconds": 0}));
        let clock = Arc::clone(&stage.clock);
        let mut once = Some(jump);
        stage.engine.on("run web", move |_| clock.jump(once.take().unwrap_or(0)));
        assert_eq!(count(&stage, 12, "run web"), 1, "{jump}");
        assert_eq!(count(&stage, 1, "run web"), 1, "{jump}");
    }
}

#[test]
fn what_is_degraded_stays_so_for_a_window() {
    for jump in JUMPS {
        let stage = web(&json!({"fallback_cmd": "web fallback", "failure_window_seconds": HOUR}));
        assert_eq!(count(&stage, 1, "fallback web"), 1);
        stage.clock.jump(jump);
        assert_eq!(count(&stage, 11, "run web"), 0, "{jump}");
        assert_eq!(count(&stage, 2, "run web"), 1, "{jump}");
    }
}

#[test]
fn a_reminder_comes_after_a_cooldown() {
    for jump in JUMPS {
        let stage = web(&json!({"max_failures": 0}));
        assert_eq!(stage.pass().told(), ["web Down → A"]);
        stage.clock.jump(jump);
        for _ in 0..11 {
            assert_eq!(stage.pass_after(300).told(), Vec::<String>::new(), "{jump}");
        }
        assert_eq!(stage.pass_after(300).told(), ["web Down → A"], "{jump}");
    }
}

#[test]
fn a_service_is_looked_at_again_after_its_interval() {
    for jump in JUMPS {
        let check = json!({"type": "tcp", "port": 1, "interval_seconds": 1800});
        let stage = Stage::new(&json!({"web": {"health_check": check}}));
        stage.pass();
        stage.clock.jump(jump);
        let looks = |done: &Done| done.calls.iter().filter(|call| call.starts_with("look")).count();
        for _ in 0..5 {
            assert_eq!(looks(&stage.pass_after(300)), 0, "{jump}");
        }
        assert_eq!(looks(&stage.pass_after(300)), 1, "{jump}");
    }
}

#[test]
fn after_a_reboot_attempts_age_by_the_wall_clock() {
    for (jump, freed) in [(0, 0), (2 * HOUR, 1), (-2 * HOUR, 0)] {
        let stage =
            web(&json!({"failure_window_seconds": HOUR, "max_failures": 1, "startup_timeout_seconds": 0}));
        assert_eq!(count(&stage, 1, "run web"), 1);
        stage.clock.booted(std::time::Duration::from_secs(0));
        stage.clock.jump(jump);
        assert_eq!(count(&stage, 9, "run web"), freed, "{jump}");
        // One of the future was read as now at the first pass.
        assert_eq!(count(&stage, 4, "run web"), 1, "{jump}");
    }
}
