//! Random configurations in random worlds through the real pass, and what must hold whatever happens.
//!
//! The suite plays the same scenarios everywhere, so that a change is judged and not luck. With
//! `RECOVERY_MODEL_SECONDS` it plays new ones for so long; `RECOVERY_MODEL_SEED` sets where it begins. A failure
//! prints its seed and the smallest scenario that still fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::model_parts;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use model_parts::play::{Figures, play};
use model_parts::scenario::scenario;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// So many scenarios share a seed.
const BATCH: u32 = 8;
/// So many seeds are played where no time is set.
const SEEDS: u64 = 40;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases: BATCH, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Plays seed after seed until `enough`; what was played.
fn play_seeds(first: u64, pace: u64, enough: impl Fn(&Figures, u64) -> bool) -> Figures {
    let sum = RefCell::new(Figures::default());
    let began = Instant::now();
    let mut seed = first;
    while seed == first || !enough(&sum.borrow(), seed - first) {
        let outcome = runner(seed).run(&scenario(), |scenario| {
            let played = play(&scenario.slowed(pace));
            let mut sum = sum.borrow_mut();
            sum.passes += played.passes;
            sum.acts += played.acts;
            sum.alerts += played.alerts;
            sum.cut += played.cut;
            sum.service_seconds += played.service_seconds;
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("RECOVERY_MODEL_SEED={seed} fails at pace {pace}:\n{error}");
        }
        seed += 1;
    }
    let (sum, took) = (*sum.borrow(), began.elapsed().as_secs_f64());
    println!(
        "{sum:?}: {:.0} passes a second, {:.1} service-years in {took:.1} s, seeds {first} to {}",
        sum.passes as f64 / took,
        sum.service_years(),
        seed - 1
    );
    assert!(sum.acts > 0 && sum.alerts > 0, "a world in which nothing happens proves nothing: {sum:?}");
    sum
}

#[test]
fn whatever_happens_the_promises_are_kept() {
    let budget = number("RECOVERY_MODEL_SECONDS").map(Duration::from_secs);
    let anew = || budget.map_or(0, |_| u64::from(std::process::id()) << 32);
    let first = number("RECOVERY_MODEL_SEED").unwrap_or_else(anew);
    let began = Instant::now();
    play_seeds(first, 1, |_, seeds| budget.map_or(seeds >= SEEDS, |budget| began.elapsed() >= budget));
}

/// Passes once a day, so that a thousand service-years are some hundred thousand looks.
#[test]
fn for_a_thousand_service_years_too() {
    let first = number("RECOVERY_MODEL_SEED").unwrap_or(1 << 40);
    let sum = play_seeds(first, 288, |sum, _| sum.service_years() >= 1000.0);
    assert!(sum.service_years() >= 1000.0);
}
