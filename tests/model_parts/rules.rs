//! What must hold after every pass, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use recovery::alert::Alert;
use recovery::check::{Failure, Health, Unknown};
use recovery::clock::Timestamp;
use recovery::clock::boot::Moment;
use recovery::decide::Decision;
use recovery::engine::ContainerEnd;
use recovery::event::{Event, EventKind};
use recovery::outbox::Outbox;
use recovery::pass::Outcome;
use recovery::state::{AlertKind, ServiceState};

use super::scenario::Scenario;
use crate::world::engine::Act;
use crate::world::stage::topic;
use crate::world::{Done, Stage};

/// What a pass did, and what was so when it began.
pub struct Seen<'d> {
    pub only: Option<(usize, bool)>,
    /// The wall clock when it began.
    pub began: Timestamp,
    pub acts: Vec<Act>,
    pub events: Vec<Event>,
    pub alerts: Vec<Alert>,
    /// Services with a marker on the machine.
    pub markers: Vec<usize>,
    /// Services whose lock another pass holds.
    pub held: Vec<usize>,
    pub last_looks: BTreeMap<String, Option<Health>>,
    /// `None`: it was cut.
    pub done: Option<&'d Done>,
}

/// What an onlooker who sees everything knows.
pub struct Truth<'s> {
    scenario: &'s Scenario,
    /// When each service was restarted.
    restarts: BTreeMap<String, Vec<Timestamp>>,
    /// Failures told to each topic, and not yet their recovery.
    failures: BTreeMap<(String, String), u32>,
    /// When each alert was last told: `(service, incident, kind, topic)`.
    told: BTreeMap<(String, String, AlertKind, String), Timestamp>,
    /// Incidents of which a failure was delivered.
    incidents: BTreeSet<(String, String)>,
    damaged: BTreeSet<String>,
    /// Passes in a row that saw each service down at last.
    down: BTreeMap<String, u32>,
    /// Services that run in a reduced way.
    degraded: BTreeMap<String, Reduced>,
}

/// Whether it is no restart: its window does not count it.
fn is_of_its_own(act: &Act) -> bool {
    act.call.starts_with("cleanup ") || act.call.starts_with("fallback ")
}

/// What runs in a reduced way, as its state tells: the begin of its chain, since when, and in which run of its
/// container.
#[derive(Clone, Copy)]
struct Reduced {
    began: Timestamp,
    since: Timestamp,
    run: Option<Timestamp>,
}

impl Reduced {
    fn of(state: &ServiceState) -> Option<Self> {
        let chain = state.chain.as_ref()?;
        Some(Self { began: chain.began, since: chain.degraded_since?, run: chain.degraded_in })
    }
}

fn is_down(health: Option<&Health>) -> bool {
    matches!(health, Some(Health::Unhealthy(_)))
}

impl<'s> Truth<'s> {
    pub fn new(scenario: &'s Scenario) -> Self {
        Self {
            scenario,
            restarts: BTreeMap::new(),
            failures: BTreeMap::new(),
            told: BTreeMap::new(),
            incidents: BTreeSet::new(),
            damaged: BTreeSet::new(),
            down: BTreeMap::new(),
            degraded: BTreeMap::new(),
        }
    }

    /// Its state file was made unreadable: what it held is lost.
    pub fn damaged(&mut self, service: &str) {
        self.damaged.insert(service.to_owned());
        self.restarts.remove(service);
        self.degraded.remove(service);
    }

    /// Somebody set the wall clock: what happened since the machine booted, `booted` by the clock until now, is as
    /// long ago as it was.
    pub fn clock_was_set(&mut self, by: time::Duration, booted: Timestamp) {
        let of_this_boot = |at: &&mut Timestamp| **at >= booted;
        let restarts = self.restarts.values_mut().flatten();
        let degraded = self.degraded.values_mut().flat_map(|it| [&mut it.began, &mut it.since]);
        restarts.chain(degraded).filter(of_this_boot).for_each(|at| *at += by);
    }

    pub fn judge(&mut self, stage: &Stage, seen: &Seen<'_>) {
        self.each_once(seen);
        // Times of the future are read as now at every pass, also where nothing is restarted.
        self.forget_what_left_its_window(seen.began);
        for act in &seen.acts {
            for i in self.owners(act, seen) {
                self.may_be_touched(i, act, seen);
                // What follows a dependency is neither judged by its failures nor uses up an attempt.
                if Self::follows(i, seen) {
                    continue;
                }
                self.is_worth_it(i, act);
                if !is_of_its_own(act) {
                    self.within_its_budget(i, act);
                }
            }
        }
        self.count_what_is_down(stage, seen);
        self.forget_what_left_its_window(stage.clock.peek());
        self.look_and_outcome_agree(seen);
        self.alerts(stage, seen);
        self.state_loads(stage);
    }

    /// At the begin and at the end of a pass, as the program does, and for good: also where the clock is put
    /// back later. Times of the future are read as now.
    fn forget_what_left_its_window(&mut self, now: Timestamp) {
        for (index, spec) in self.scenario.services.iter().enumerate() {
            let Some(restarts) = self.restarts.get_mut(&Scenario::name(index)) else { continue };
            for at in restarts.iter_mut() {
                *at = (*at).min(now);
            }
            restarts.retain(|at| now - *at < Duration::from_secs(spec.window));
        }
        for reduced in self.degraded.values_mut() {
            (reduced.began, reduced.since) = (reduced.began.min(now), reduced.since.min(now));
        }
    }

    fn index(name: &str) -> usize {
        name[1..].parse().expect("the model's own names")
    }

    /// Whose restart an act is: the command's, or the one for which the container's was written in the log.
    fn owners(&self, act: &Act, seen: &Seen<'_>) -> Vec<usize> {
        let (verb, name) = act.call.split_once(' ').expect("verb and name");
        if matches!(verb, "run" | "cleanup" | "fallback") {
            return vec![Self::index(name)];
        }
        let owner = seen.events.iter().find_map(|event| match &event.kind {
            EventKind::Executing { what, .. } if what.ends_with(&act.call) => event.service.as_ref(),
            _ => None,
        });
        vec![Self::index(owner.expect("a change is written before it is made").as_str())]
    }

    /// Whether it was restarted after a dependency, however well it is.
    fn follows(i: usize, seen: &Seen<'_>) -> bool {
        let begin = format!("{} is restarted after s", Scenario::name(i));
        seen.events
            .iter()
            .any(|event| matches!(&event.kind, EventKind::Note { text, .. } if text.starts_with(&begin)))
    }

    fn each_once(&self, seen: &Seen<'_>) {
        let mut calls = BTreeSet::new();
        for act in &seen.acts {
            let (verb, what) = act.call.split_once(' ').expect("verb and name");
            let key = if matches!(verb, "run" | "fallback") { act.call.clone() } else { what.to_owned() };
            // A cleanup comes before each restart.
            assert!(verb == "cleanup" || calls.insert(key), "twice in a pass: {:?}", act.call);
        }
    }

    fn may_be_touched(&self, i: usize, act: &Act, seen: &Seen<'_>) {
        let (spec, name) = (&self.scenario.services[i], Scenario::name(i));
        let call = &act.call;
        let is_fallback = call.starts_with("fallback ");
        assert!(is_fallback || spec.max > 0 && spec.restart != "none", "{call}: it is never to be restarted");
        assert!(!seen.markers.contains(&i), "{call}: it is manually stopped");
        assert!(!seen.held.contains(&i), "{call}: another pass holds its lock");
        assert!(!self.damaged.contains(&name), "{call}: its state could not be read");
        assert!(act.uptime >= Duration::from_secs(120), "{call}: the machine just booted");
        let follows = Self::follows(i, seen);
        let recorded = if is_fallback { &act.falling_back } else { &act.recorded };
        assert!(follows || recorded.contains(&name), "{call}: it is not on disk");
        assert!(!follows || !self.scenario.follows(i).is_empty(), "{call}: it follows nothing");
        let looks = &act.seen[&name];
        let home = self.scenario.home(i);
        let details = home.as_ref().and_then(|home| act.containers.get(home));
        if home.is_some() {
            assert!(act.engine, "{call}: the engine cannot be reached");
            let details = details.unwrap_or_else(|| panic!("{call}: there is no such container"));
            if call.starts_with("start ") {
                assert_eq!(details.state, "exited", "{call}");
                let allowed = match spec.start {
                    "always" => true,
                    "on-failure" => details.end == ContainerEnd::Died,
                    _ => false,
                };
                assert!(allowed, "{call}: {:?} under {}", details.end, spec.start);
            } else {
                assert_eq!(details.state, "running", "{call}");
            }
        }
        let started = seen.acts.iter().any(|other| {
            home.as_ref().is_some_and(|home| other.call == format!("start {home}")) && other.at <= act.at
        });
        if !started && !follows {
            let failed = looks.iter().filter(|look| is_down(Some(look))).count();
            assert!(failed >= 2, "{call}: not looked at twice: {looks:?}");
        }
        if !call.starts_with("start ") && !follows {
            assert!(is_down(looks.last()), "{call}: last seen {:?}", looks.last());
        }
        if follows {
            assert!(!call.starts_with("start "), "{call}: its strategies start it");
            let last = looks.last();
            assert!(
                matches!(last, Some(Health::Healthy | Health::Unhealthy(_))),
                "{call}: last seen {last:?}"
            );
        }
        self.nothing_above_is_down(i, act, seen);
    }

    fn nothing_above_is_down(&self, i: usize, act: &Act, seen: &Seen<'_>) {
        if seen.only.is_some_and(|(_, deps)| !deps) {
            return;
        }
        for above in self.scenario.needs(i) {
            let last = act.seen[&Scenario::name(above)].last();
            assert!(!seen.markers.contains(&above), "{}: s{above} is stopped", act.call);
            let name = Scenario::name(above);
            let unsure = self.scenario.disk_fails && self.scenario.services[above].fallback;
            let reduced = unsure
                || self.degraded.contains_key(&name)
                || seen.acts.iter().any(|act| act.call == format!("fallback {name}"));
            let fine = reduced || matches!(last, Some(Health::Healthy | Health::Unknown(Unknown::NoTool(_))));
            assert!(fine, "{}: it needs s{above}, which was seen {last:?}", act.call);
        }
    }

    /// Nothing is done below the threshold, against what a person must mend, or while the fallback runs.
    fn is_worth_it(&self, i: usize, act: &Act) {
        let (spec, name, call) = (&self.scenario.services[i], Scenario::name(i), &act.call);
        let failures = self.down.get(&name).copied().unwrap_or(0) + 1;
        assert!(failures >= spec.thresholds.0, "{call}: after {failures} failed looks");
        assert!(!call.starts_with("fallback") || spec.fallback, "{call}: it has none");
        let critical =
            matches!(act.seen[&name].last(), Some(Health::Unhealthy(Failure::Exit { code: 78, .. })));
        let restarts = call.starts_with("run ") || call.starts_with("restart ");
        assert!(!(critical && restarts), "{call}: no restart mends that");
        if let Some(reduced) = self.degraded.get(&name) {
            let over = act.at - reduced.began.min(act.at) >= Duration::from_secs(spec.window);
            let gone = match self.scenario.home(i) {
                Some(home) => act
                    .containers
                    .get(&home)
                    .is_none_or(|run| run.state != "running" || run.started_at != reduced.run),
                None => act.uptime < act.at - reduced.since.min(act.at),
            };
            assert!(over || gone, "{call}: it is degraded, its chain began {}", reduced.began);
        }
    }

    /// At least as many as the program counts.
    fn count_what_is_down(&mut self, stage: &Stage, seen: &Seen<'_>) {
        for (i, _) in self.scenario.services.iter().enumerate() {
            let name = Scenario::name(i);
            let outcome = seen.done.and_then(|done| done.outcomes.get(&name));
            let forgotten = !self.scenario.disk_fails && !seen.held.contains(&i);
            match outcome {
                Some(Outcome::Healthy | Outcome::Healed | Outcome::Recovered) if forgotten => {
                    self.down.remove(&name);
                }
                Some(
                    Outcome::Healthy
                    | Outcome::NotDue
                    | Outcome::Unknown(_)
                    | Outcome::Left(Decision::CannotTell(_) | Decision::Stopped(_)),
                ) => {}
                // A pass that was cut may have counted it.
                _ => *self.down.entry(name.clone()).or_default() += 1,
            }
            match outcome {
                Some(Outcome::Degraded(_)) if !self.scenario.disk_fails => {
                    let reduced = Reduced::of(&stage.state(&name)).expect("it is remembered");
                    self.degraded.insert(name, reduced);
                }
                Some(Outcome::Left(_) | Outcome::NotDue | Outcome::OtherPass(_)) => {}
                // What a pass that was cut did of it is told by what it left.
                None if !self.scenario.disk_fails => match Reduced::of(&stage.state(&name)) {
                    Some(reduced) => drop(self.degraded.insert(name, reduced)),
                    None => drop(self.degraded.remove(&name)),
                },
                _ => drop(self.degraded.remove(&name)),
            }
        }
    }

    /// Never more than `max_failures` in any window. Times of the future are read as now.
    fn within_its_budget(&mut self, i: usize, act: &Act) {
        let spec = &self.scenario.services[i];
        let restarts = self.restarts.entry(Scenario::name(i)).or_default();
        for at in restarts.iter_mut() {
            *at = (*at).min(act.at);
        }
        restarts.retain(|at| act.at - *at < Duration::from_secs(spec.window));
        // A start and the command after it are one attempt; so they fall into one pass.
        if restarts
            .last()
            .is_some_and(|last| act.at - *last < Duration::from_secs(200) && act.call.starts_with("run"))
            && self.scenario.home(i).is_some()
        {
            return;
        }
        restarts.push(act.at);
        assert!(restarts.len() <= spec.max as usize, "{}: {restarts:?}", act.call);
    }

    fn look_and_outcome_agree(&self, seen: &Seen<'_>) {
        let Some(done) = seen.done else { return };
        for (name, outcome) in &done.outcomes {
            let last = seen.last_looks[name].as_ref();
            match outcome {
                Outcome::Healthy | Outcome::Healed | Outcome::Recovered | Outcome::Followed(_) => {
                    assert_eq!(last, Some(&Health::Healthy), "{name}: {outcome:?}");
                }
                // Well, but not for as many looks as are asked for.
                Outcome::Failed(attempted) | Outcome::Degraded(attempted)
                    if attempted.reason.starts_with("healthy for only") => {}
                Outcome::Failed(_) | Outcome::Degraded(_) => {
                    assert_ne!(last, Some(&Health::Healthy), "{name}: {outcome:?}");
                }
                _ => {}
            }
        }
    }

    fn alerts(&mut self, stage: &Stage, seen: &Seen<'_>) {
        let calm = !(self.scenario.clock_jumps || self.scenario.passes_are_cut || self.scenario.disk_fails);
        for alert in &seen.alerts {
            // The short form of a late message does not say that it is one.
            let short = alert.kind == AlertKind::ServiceRecovered && alert.body.contains("short form");
            let late = alert.body.contains("delivery delayed");
            for (service, incident) in &alert.incidents {
                let at = (service.clone(), topic(alert).to_owned());
                if alert.kind.is_failure() {
                    *self.failures.entry(at.clone()).or_default() += 1;
                    self.incidents.insert((service.clone(), incident.clone()));
                }
                if alert.kind == AlertKind::ServiceRecovered && !late {
                    let failures = self.failures.entry(at.clone()).or_default();
                    // A clock that is put back lets what waits go out in another order than it happened.
                    let known = short || *failures > 0 || !calm;
                    assert!(known, "recovered without a failure: {}\n{}", alert.title, alert.body);
                    *failures = 0;
                }
                if late {
                    // It tells the end as well, also of a failure that was told before the pass was killed.
                    self.failures.insert(at.clone(), 0);
                    self.incidents.insert((service.clone(), incident.clone()));
                    continue;
                }
                let key = (service.clone(), incident.clone(), alert.kind, at.1);
                let before = self.told.insert(key, alert.at);
                let cooldown = stage.config.notifications.cooldown;
                if let Some(before) = before.filter(|_| calm && alert.kind != AlertKind::ServiceRecovered) {
                    assert!(
                        alert.at - before >= cooldown,
                        "told again after {}: {}",
                        alert.at - before,
                        alert.title
                    );
                }
            }
        }
    }

    fn state_loads(&mut self, stage: &Stage) {
        if !stage.store.dir().is_dir() {
            // What was set aside before the disk went is not there when it comes back.
            let away = stage.store.dir().with_extension("away");
            self.damaged.retain(|name| away.join(format!("{name}.json")).exists());
            return;
        }
        for service in &stage.config.services {
            match stage.store.load(&service.name) {
                Ok(_) => drop(self.damaged.remove(service.name.as_str())),
                Err(error) => assert!(self.damaged.contains(service.name.as_str()), "{error}"),
            }
        }
        stage.store.last_pass(&Moment { wall: stage.clock.peek(), boot: None }).expect("the last looks load");
        Outbox::new(stage.store.dir()).waiting().expect("the outbox loads");
    }

    /// Every root cause has an open incident whose failure was delivered.
    pub fn what_is_down_was_told(&self, stage: &Stage) {
        for i in 0..self.scenario.services.len() {
            let name = Scenario::name(i);
            if self.scenario.services[i].topic.is_none() || !self.scenario.needs(i).is_empty() {
                continue;
            }
            let state = stage.state(&name);
            let incident =
                state.incident.unwrap_or_else(|| panic!("{name} is down, and there is no incident"));
            let told = self.incidents.contains(&(name.clone(), incident.id.clone()));
            assert!(told, "{name} is down, and nobody was told of {incident:?}");
        }
    }

    /// After a long calm time all are well, and whoever heard of a failure heard of its end.
    pub fn nothing_is_left(&self, stage: &Stage, last: &Done) {
        assert_eq!(last.exit, 0, "{:?}", last.outcomes);
        assert!(last.outcomes.values().all(|outcome| *outcome == Outcome::Healthy), "{:?}", last.outcomes);
        let outbox = Outbox::new(stage.store.dir());
        assert_eq!(outbox.waiting().expect("it can be read"), []);
        for service in &stage.config.services {
            let state = stage.state(service.name.as_str());
            assert_eq!(state.incident, None, "{}", service.name);
            assert_eq!(outbox.owed(service.name.as_str()).expect("it can be read"), [], "{}", service.name);
        }
        if !self.scenario.disk_fails {
            let open: Vec<_> = self.failures.iter().filter(|(_, count)| **count > 0).collect();
            assert!(open.is_empty(), "no recovery was told for {open:?}");
        }
    }
}
