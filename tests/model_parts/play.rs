//! Plays a scenario through the real pass, step by step.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use recovery::check::{Failure, Health};
use recovery::engine::ContainerEnd;
use recovery::notify::NotifyError;
use recovery::store::{Lock, StateGuard};
use serde_json::json;

use super::rules::{Seen, Truth};
use super::scenario::{Op, Scenario, Step};
use crate::world::clock::BEGINNING;
use crate::world::effects::Killed;
use crate::world::engine::{Run, no_engine, no_tool};
use crate::world::{Done, Stage, died, down, running};

/// Figures of what was played.
#[derive(Debug, Default, Clone, Copy)]
pub struct Figures {
    pub passes: u64,
    pub acts: u64,
    pub alerts: u64,
    pub cut: u64,
    /// Seconds of service time.
    pub service_seconds: u64,
}

impl Figures {
    pub fn service_years(&self) -> f64 {
        self.service_seconds as f64 / (365.25 * 86_400.0)
    }
}

struct Play<'s> {
    scenario: &'s Scenario,
    stage: Stage,
    truth: Truth<'s>,
    held: Vec<(usize, StateGuard)>,
    figures: Figures,
}

/// Plays one scenario to its end; panics where a rule is broken.
pub fn play(scenario: &Scenario) -> Figures {
    let stage =
        Stage::with(&scenario.services(), &json!({}), &json!({"cooldown_seconds": scenario.cooldown}));
    let truth = Truth::new(scenario);
    let mut play = Play { scenario, stage, truth, held: Vec::new(), figures: Figures::default() };
    for step in &scenario.steps {
        play.step(step);
    }
    play.all_is_down();
    play.all_is_well();
    play.figures
}

impl Play<'_> {
    fn step(&mut self, step: &Step) {
        for op in &step.ops {
            self.happen(*op);
        }
        self.wait(step.gap);
        let only = step.only.map(|(i, deps)| (self.index(i), deps));
        if step.dry_first {
            self.dry(only);
        }
        self.stage.effects.plan(step.blow);
        self.pass(only);
        self.stage.effects.plan(None);
        self.stage.end_interrupt();
    }

    fn wait(&mut self, seconds: u64) {
        self.stage.advance(seconds);
        self.figures.service_seconds += seconds * self.scenario.services.len() as u64;
    }

    fn index(&self, i: u8) -> usize {
        usize::from(i) % self.scenario.services.len()
    }

    fn dry(&mut self, only: Option<(usize, bool)>) {
        let before = self.stage.files();
        let done = self.run(only, true).expect("no blow is planned");
        assert_eq!(self.stage.files(), before, "a dry run changed a file");
        assert!(done.acts().is_empty() && done.alerts.is_empty() && done.phrases().is_empty());
    }

    fn pass(&mut self, only: Option<(usize, bool)>) -> Option<Done> {
        for service in self.stage.machine().services.values_mut() {
            service.seen.clear();
        }
        self.stage.machine().acts.clear();
        let markers = self.markers();
        let began = self.stage.clock.peek();
        let done = self.run(only, false);
        let cut = done.is_none();
        // What a cut pass did counts no less.
        let alerts = done.as_ref().map_or_else(|| self.stage.notifier.take(), |done| done.alerts.clone());
        let events = done.as_ref().map_or_else(|| self.stage.log.take(), |done| done.events.clone());
        let (acts, last_looks) = {
            let mut machine = self.stage.machine();
            machine.calls.clear();
            let looks = machine.services.iter();
            let looks = looks.map(|(name, service)| (name.clone(), service.seen.last().cloned())).collect();
            (machine.acts.clone(), looks)
        };
        let seen = Seen {
            only,
            began,
            acts,
            events,
            alerts,
            markers,
            held: self.held.iter().map(|(i, _)| *i).collect(),
            last_looks,
            done: done.as_ref(),
        };
        self.figures.passes += 1;
        self.figures.cut += u64::from(cut);
        self.figures.acts += seen.acts.len() as u64;
        self.figures.alerts += seen.alerts.len() as u64;
        self.truth.judge(&self.stage, &seen);
        done
    }

    /// `None` where the pass was cut.
    fn run(&self, only: Option<(usize, bool)>, dry_run: bool) -> Option<Done> {
        let name = only.map(|(i, _)| Scenario::name(i));
        let names: Vec<&str> = name.iter().map(String::as_str).collect();
        let deps = only.is_none_or(|(_, deps)| deps);
        match catch_unwind(AssertUnwindSafe(|| self.stage.run(&names, deps, dry_run))) {
            Ok(done) => Some(done),
            Err(payload) if payload.is::<Killed>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Services with a marker that holds, as a person would say.
    fn markers(&self) -> Vec<usize> {
        let now = self.stage.clock.peek();
        (0..self.scenario.services.len())
            .filter(|&i| {
                std::fs::read_to_string(self.stage.marker(&Scenario::name(i))).is_ok_and(|content| {
                    let until = serde_json::from_str::<serde_json::Value>(&content).ok().and_then(|value| {
                        let text = value["until"].as_str()?.to_owned();
                        time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339)
                            .ok()
                    });
                    // What runs out during the pass may be taken either way.
                    until.is_none_or(|until| until > now + time::Duration::hours(1))
                })
            })
            .collect()
    }

    fn happen(&mut self, op: Op) {
        let stage = &self.stage;
        let name = |i: u8| Scenario::name(self.index(i));
        match op {
            Op::Kill(i) => {
                stage.machine().kill(&name(i));
            }
            Op::Ruin(i) => stage.machine().ruin(&name(i)),
            Op::Heal(i) => stage.machine().heal(&name(i)),
            Op::Blind(i) => stage.machine().service(&name(i)).health = no_tool(),
            Op::Flicker(i) => stage.machine().service(&name(i)).next.push_back(down()),
            Op::Waver(i) => stage.machine().kill(&name(i)).next.extend([down(), Health::Healthy]),
            Op::Hang(i) => stage.machine().kill(&name(i)).run = Run::Hangs,
            Op::Slow(i) => {
                let timed_out = Failure::TimedOut { after: std::time::Duration::from_secs(5) };
                stage.machine().kill(&name(i)).health = Health::Unhealthy(timed_out);
            }
            Op::Doom(i) => {
                let mut machine = stage.machine();
                machine.ruin(&name(i));
                machine.service(&name(i)).health =
                    Health::Unhealthy(Failure::Exit { code: 78, output: String::new() });
            }
            Op::Soften(i) => stage.machine().service(&name(i)).after_fallback = vec![Health::Healthy],
            Op::Harden(i) => {
                let mut machine = stage.machine();
                machine.service(&name(i)).after_fallback.clear();
                machine.service(&name(i)).fallback = Run::Exits(1);
            }
            Op::Stop(i) => stage.stop(&name(i), ""),
            Op::StopFor(i, seconds) => {
                let until = stage.clock.peek() + std::time::Duration::from_secs(seconds);
                let until = until.format(&time::format_description::well_known::Rfc3339).unwrap();
                stage.stop(&name(i), &format!(r#"{{"schema": 1, "until": "{until}"}}"#));
            }
            Op::Resume(i) => drop(std::fs::remove_file(stage.marker(&name(i)))),
            Op::StopInside(i) => stage.machine().service(&name(i)).marker = Some(Vec::new()),
            Op::ResumeInside(i) => stage.machine().service(&name(i)).marker = None,
            Op::BoxDies(i) => self.set_box(i, &died(ContainerEnd::Died, 137)),
            Op::BoxEnds(i) => self.set_box(i, &died(ContainerEnd::Finished, 0)),
            Op::BoxIsStopped(i) => self.set_box(i, &died(ContainerEnd::StoppedBySomeone, 137)),
            Op::BoxPauses(i) => {
                self.set_box(i, &recovery::engine::ContainerDetails { state: "paused".into(), ..running() });
            }
            Op::BoxGoes(i) => {
                let home = self.scenario.home(self.index(i)).unwrap_or_default();
                stage.machine().containers.remove(&home);
            }
            Op::BoxBack(i) => self.set_box(i, &running()),
            Op::BoxRestarts(i) => {
                let started_at = Some(stage.clock.peek());
                self.set_box(i, &recovery::engine::ContainerDetails { started_at, ..running() });
            }
            Op::EngineGoes => stage.machine().trouble = Some(no_engine()),
            Op::EngineBack => stage.machine().trouble = None,
            Op::NtfyGoes => stage.notifier.set_unreachable(true),
            Op::NtfyBack => stage.notifier.set_unreachable(false),
            Op::NtfyRejects => {
                let mut answers = stage.notifier.answers.lock().unwrap();
                answers.clear();
                answers.push_back(NotifyError::Rejected("too large".into()));
            }
            Op::Jump(seconds) => {
                let booted = stage.clock.peek() - stage.clock.uptime_now();
                self.truth.clock_was_set(time::Duration::seconds(seconds), booted);
                stage.clock.jump(seconds);
            }
            Op::Boot => stage.clock.booted(std::time::Duration::ZERO),
            Op::DamageState(i) => {
                let name = name(i);
                if stage.state_file(&name).exists() {
                    std::fs::write(stage.state_file(&name), "{\"schema\": 1, \"ser").unwrap();
                    self.truth.damaged(&name);
                }
            }
            Op::DiskGoes => {
                self.held.clear();
                stage.effects.take_disk();
            }
            Op::DiskBack => stage.effects.give_disk_back(),
            Op::Hold(i) => self.hold(i),
            Op::Release => self.held.clear(),
        }
    }

    fn set_box(&self, i: u8, details: &recovery::engine::ContainerDetails) {
        let Some(home) = self.scenario.home(self.index(i)) else { return };
        self.stage.machine().containers.insert(home, details.clone());
    }

    /// Another pass has the service's lock.
    fn hold(&mut self, i: u8) {
        let i = self.index(i);
        let name = Stage::name(&Scenario::name(i));
        if let Ok(Lock::Held(guard)) = self.stage.store.try_lock(&name, self.stage.clock.peek()) {
            self.held.push((i, guard));
        }
    }

    /// All trouble but the services' own is over.
    fn quiet(&mut self) {
        self.held.clear();
        let stage = &self.stage;
        stage.effects.give_disk_back();
        stage.notifier.set_unreachable(false);
        stage.notifier.answers.lock().unwrap().clear();
        for i in 0..self.scenario.services.len() {
            let name = Scenario::name(i);
            let _ = std::fs::remove_file(stage.marker(&name));
            let mut machine = stage.machine();
            machine.trouble = None;
            machine.service(&name).marker = None;
            machine.service(&name).run = Run::Exits(0);
            machine.service(&name).after_fallback.clear();
            if let Some(home) = self.scenario.home(i) {
                let started_at = Some(BEGINNING - time::Duration::days(1000));
                machine
                    .containers
                    .insert(home, recovery::engine::ContainerDetails { started_at, ..running() });
            }
        }
    }

    /// Everything is down and stays so: whoever is to hear of it has heard.
    fn all_is_down(&mut self) {
        self.quiet();
        for i in 0..self.scenario.services.len() {
            let mut machine = self.stage.machine();
            machine.heal(&Scenario::name(i));
            machine.ruin(&Scenario::name(i));
        }
        for _ in 0..6 {
            self.wait(300 * self.scenario.pace);
            self.pass(None);
        }
        self.truth.what_is_down_was_told(&self.stage);
    }

    /// Everything is well for longer than any window: nothing is left over.
    fn all_is_well(&mut self) {
        for i in 0..self.scenario.services.len() {
            self.stage.machine().heal(&Scenario::name(i));
        }
        let mut last = None;
        // A follower whose window was used up follows when that is over, which may be an incident once more.
        for _ in 0..16 {
            self.wait(900 * self.scenario.pace);
            last = self.pass(None);
        }
        self.truth.nothing_is_left(&self.stage, &last.expect("no blow is planned"));
    }
}
