//! What a random world is made of.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::effects::Blow;

/// A random configuration and what happens to its services.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub services: Vec<Spec>,
    pub cooldown: u64,
    /// Which kinds of trouble there are; without them more can be said of what must come out.
    pub clock_jumps: bool,
    pub passes_are_cut: bool,
    pub disk_fails: bool,
    pub steps: Vec<Step>,
    /// So many times as slow as a pass every five minutes.
    pub pace: u64,
}

/// One service.
#[derive(Debug, Clone)]
pub struct Spec {
    /// None, one of its own, or the one that several share.
    pub home: Home,
    /// Bits: which of the services before it.
    pub needs: u8,
    /// Bits: which of those it is restarted after.
    pub follows: u8,
    pub restart: &'static str,
    pub start: &'static str,
    pub max: u32,
    pub window: u64,
    pub interval: Option<u64>,
    pub start_period: u64,
    pub startup: (u64, u64),
    pub topic: Option<&'static str>,
    /// Failed looks before anything is done, healthy ones after a restart.
    pub thresholds: (u32, u32),
    pub escalate_after: u32,
    /// What is tried against a recoverable failure; `None`: the default.
    pub chain: Option<&'static [&'static str]>,
    pub fallback: bool,
    pub cleanup: bool,
}

/// Chains that a person might write.
const CHAINS: [&[&str]; 4] = [
    &["restart", "restart-container", "fallback"],
    &["retry", "restart", "fallback"],
    &["restart-container", "restart"],
    &["fallback", "restart"],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    Machine,
    Own,
    Shared,
}

/// What happens between two passes, and the second one.
#[derive(Debug, Clone)]
pub struct Step {
    pub ops: Vec<Op>,
    pub gap: u64,
    pub blow: Option<(usize, Blow)>,
    /// Only that service, with its dependencies or without.
    pub only: Option<(u8, bool)>,
    pub dry_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    Kill(u8),
    Ruin(u8),
    Heal(u8),
    Blind(u8),
    Flicker(u8),
    Waver(u8),
    Hang(u8),
    /// Its check times out; a restart helps.
    Slow(u8),
    /// Its check ends with 78, whatever is done.
    Doom(u8),
    /// Its fallback brings it back.
    Soften(u8),
    /// Its fallback fails.
    Harden(u8),
    Stop(u8),
    StopFor(u8, u64),
    Resume(u8),
    StopInside(u8),
    ResumeInside(u8),
    BoxDies(u8),
    BoxEnds(u8),
    BoxIsStopped(u8),
    BoxPauses(u8),
    BoxGoes(u8),
    BoxBack(u8),
    BoxRestarts(u8),
    EngineGoes,
    EngineBack,
    NtfyGoes,
    NtfyBack,
    NtfyRejects,
    Jump(i64),
    Boot,
    DamageState(u8),
    DiskGoes,
    DiskBack,
    Hold(u8),
    Release,
}

impl Op {
    fn is_jump(self) -> bool {
        matches!(self, Self::Jump(_))
    }

    fn is_of_disk(self) -> bool {
        matches!(self, Self::DamageState(_) | Self::DiskGoes)
    }
}

fn spec() -> impl Strategy<Value = Spec> {
    let home = prop_oneof![2 => Just(Home::Machine), 2 => Just(Home::Own), 3 => Just(Home::Shared)];
    let restart = prop_oneof![6 => Just("command"), 3 => Just("container"), 1 => Just("none")];
    let start = prop_oneof![4 => Just("on-failure"), 1 => Just("no"), 1 => Just("always")];
    let window = prop_oneof![Just(400_u64), Just(1000), Just(3600)];
    let interval = prop_oneof![3 => Just(None), 1 => Just(Some(600_u64))];
    let start_period = prop_oneof![1 => Just(0_u64), 2 => Just(30), 1 => Just(400)];
    let startup = prop_oneof![Just((0_u64, 0_u64)), Just((5, 5)), Just((5, 30))];
    let topic = prop_oneof![5 => Just(Some("alerts")), 2 => Just(Some("ops")), 1 => Just(None)];
    let numbers = ((0..8_u8, 0..8_u8), 0..4_u32, window, interval, start_period, startup);
    let thresholds = prop_oneof![3 => Just((1_u32, 1_u32)), 1 => Just((3, 1)), 1 => Just((2, 2))];
    let escalate = prop_oneof![2 => Just(5_u32), 1 => Just(1), 1 => Just(2)];
    let chain = prop_oneof![2 => Just(None), 1 => prop::sample::select(CHAINS.to_vec()).prop_map(Some)];
    let policy = (thresholds, escalate, chain, any::<bool>(), any::<bool>());
    (home, restart, start, numbers, topic, policy).prop_map(|(home, restart, start, n, topic, policy)| Spec {
        home,
        needs: n.0.0,
        follows: n.0.1,
        restart: if home == Home::Machine && restart == "container" { "command" } else { restart },
        start,
        max: n.1,
        window: n.2,
        interval: n.3,
        start_period: n.4,
        startup: n.5,
        topic,
        thresholds: policy.0,
        escalate_after: policy.1,
        // What would contradict the rest of the configuration is left out of it.
        chain: policy.2.filter(|_| restart != "none" && home != Home::Machine),
        fallback: policy.3,
        cleanup: policy.4,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let of_one = (any::<u8>(), 0..28_u8).prop_map(|(i, what)| match what {
        0..=2 => Op::Kill(i),
        3..=5 => Op::Ruin(i),
        6..=8 => Op::Heal(i),
        9 => Op::Blind(i),
        10 => Op::Flicker(i),
        11 => Op::Waver(i),
        12 => Op::Hang(i),
        13 => Op::Stop(i),
        14 => Op::StopFor(i, 500),
        15 => Op::Resume(i),
        16 => Op::StopInside(i),
        17 => Op::ResumeInside(i),
        18 => Op::BoxDies(i),
        19 => Op::BoxEnds(i),
        20 => Op::BoxIsStopped(i),
        21 => {
            if i % 2 == 0 {
                Op::BoxPauses(i)
            } else {
                Op::BoxGoes(i)
            }
        }
        22 => Op::BoxBack(i),
        23 => Op::Slow(i),
        24 => Op::Doom(i),
        25 => Op::Soften(i),
        26 => Op::Harden(i),
        _ => Op::BoxRestarts(i),
    });
    let jump = prop_oneof![Just(-90_000_i64), Just(-700), Just(-1), Just(1), Just(700), Just(90_000)];
    prop_oneof![
        12 => of_one,
        1 => prop_oneof![Just(Op::EngineGoes), Just(Op::EngineBack)],
        1 => prop_oneof![Just(Op::NtfyGoes), Just(Op::NtfyBack), Just(Op::NtfyRejects)],
        1 => jump.prop_map(Op::Jump),
        1 => Just(Op::Boot),
        1 => prop_oneof![any::<u8>().prop_map(Op::DamageState), Just(Op::DiskGoes), Just(Op::DiskBack)],
        1 => prop_oneof![any::<u8>().prop_map(Op::Hold), Just(Op::Release)],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let blow = prop_oneof![3 => Just(Blow::Cut), 1 => Just(Blow::Interrupt), 1 => Just(Blow::DiskGone)];
    (
        prop::collection::vec(op(), 0..4),
        prop_oneof![8 => Just(300_u64), 1 => Just(10), 1 => Just(4000)],
        prop::option::weighted(0.25, (0..120_usize, blow)),
        prop::option::weighted(0.1, (any::<u8>(), any::<bool>())),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(ops, gap, blow, only, dry_first)| Step { ops, gap, blow, only, dry_first })
}

/// Random scenarios; half of each kind of trouble is left out, so that all combinations come.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    (
        prop::collection::vec(spec(), 1..6),
        prop_oneof![Just(600_u64), Just(3600)],
        any::<[bool; 3]>(),
        prop::collection::vec(step(), 5..45),
    )
        .prop_map(|(services, cooldown, [clock_jumps, passes_are_cut, disk_fails], mut steps)| {
            for step in &mut steps {
                step.ops.retain(|op| (clock_jumps || !op.is_jump()) && (disk_fails || !op.is_of_disk()));
                step.blow = step.blow.filter(|(_, blow)| match blow {
                    Blow::DiskGone => disk_fails,
                    Blow::Cut => passes_are_cut,
                    Blow::Interrupt => true,
                });
            }
            Scenario { services, cooldown, clock_jumps, passes_are_cut, disk_fails, steps, pace: 1 }
        })
}

impl Scenario {
    /// The same with passes, windows, intervals and reminders so many times as far apart: the policy knows no
    /// other measure.
    pub fn slowed(mut self, pace: u64) -> Self {
        self.pace = pace;
        self.cooldown *= pace;
        for spec in &mut self.services {
            spec.window *= pace;
            spec.interval = spec.interval.map(|interval| interval * pace);
        }
        for step in &mut self.steps {
            step.gap *= pace;
        }
        self
    }

    pub fn name(i: usize) -> String {
        format!("s{i}")
    }

    pub fn home(&self, i: usize) -> Option<String> {
        match self.services[i].home {
            Home::Machine => None,
            Home::Own => Some(format!("box{i}")),
            Home::Shared => Some("shared".to_owned()),
        }
    }

    pub fn needs(&self, i: usize) -> Vec<usize> {
        (0..i.min(3)).filter(|bit| self.services[i].needs & (1 << bit) != 0).collect()
    }

    /// Those among them that it is restarted after.
    pub fn follows(&self, i: usize) -> Vec<usize> {
        let spec = &self.services[i];
        let can = spec.max > 0 && spec.restart != "none";
        self.needs(i).into_iter().filter(|bit| can && spec.follows & (1 << bit) != 0).collect()
    }

    fn dependencies(&self, i: usize) -> Vec<Value> {
        let follows = self.follows(i);
        let entry = |on: usize| match follows.contains(&on) {
            true => json!({"service": Self::name(on), "restart": true}),
            false => Self::name(on).into(),
        };
        self.needs(i).into_iter().map(entry).collect()
    }

    /// The `services` section.
    pub fn services(&self) -> Value {
        let mut all = serde_json::Map::new();
        for (i, spec) in self.services.iter().enumerate() {
            let mut check = json!({"type": "tcp", "port": 1});
            if let Some(interval) = spec.interval {
                check["interval_seconds"] = interval.into();
            }
            let mut service = json!({
                "health_check": check,
                "restart": spec.restart,
                "max_failures": spec.max,
                "failure_window_seconds": spec.window,
                "startup_delay_seconds": spec.startup.0,
                "startup_timeout_seconds": spec.startup.1,
                "notify_on_fail": spec.topic,
                "dependencies": self.dependencies(i),
            });
            if let Some(home) = self.home(i) {
                service["container"] = home.into();
                service["container_start"] = spec.start.into();
                service["start_period_seconds"] = spec.start_period.into();
            }
            (service["failure_threshold"], service["success_threshold"]) =
                (spec.thresholds.0.into(), spec.thresholds.1.into());
            service["escalate_after"] = spec.escalate_after.into();
            if let Some(chain) = spec.chain {
                service["strategies"] = json!({"recoverable": chain});
            }
            if spec.fallback {
                service["fallback_cmd"] = format!("{} fallback", Self::name(i)).into();
            }
            if spec.cleanup {
                service["cleanup_cmd"] = format!("{} cleanup", Self::name(i)).into();
            }
            if spec.restart == "none" {
                service["restart_cmd"] = Value::Null;
            }
            all.insert(Self::name(i), service);
        }
        Value::Object(all)
    }
}
