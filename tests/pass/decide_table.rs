//! The policy as two tables: the full product of what a decision depends on, at boundary values, with values
//! that make no difference folded (`a/b`, or `*` for all). The first has the rules that leave a service alone, the
//! second the chains of what is tried. A reviewer reads them as the policy; a change of it is a change here.

use crate::sample;

use std::fmt::Write as _;
use std::time::Duration;

use recovery::check::severity::Severity;
use recovery::check::{Failure, Health, Unknown};
use recovery::config::model::{ContainerStart, RestartMethod, Service, ServiceName, Strategy};
use recovery::decide::{Decision, Facts, Follow, Marker, NoWay, Reduced, Situation, Upstream, decide};
use recovery::engine::{ContainerEnd, Keeper, Sign};
use time::macros::datetime;

/// One dimension of the product: its heading and its values.
struct Factor {
    name: &'static str,
    values: Vec<(&'static str, Change)>,
}

type Change = fn(&mut Service, &mut Facts<'static>);

static HEALTHY: Health = Health::Healthy;
static UNHEALTHY: Health = Health::Unhealthy(Failure::HttpError);
static TRANSIENT: Health = Health::Unhealthy(Failure::TimedOut { after: Duration::from_secs(5) });
static CRITICAL: Health = Health::Unhealthy(Failure::Exit { code: 78, output: String::new() });
static BUSY: Health = Health::Unhealthy(Failure::HttpStatus { status: 429, expected: String::new() });
static DENIED: Health = Health::Unhealthy(Failure::HttpStatus { status: 401, expected: String::new() });
static OWN: [Strategy; 3] = [Strategy::Restart, Strategy::RestartContainer, Strategy::Fallback];
static OWN_MADE: [Strategy; 2] = [Strategy::Retry, Strategy::Restart];

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a valid name")
}

fn not_running(end: ContainerEnd, engine_restarts_it: bool) -> Situation {
    Situation::NotRunning { end, sign: Sign::Events, engine_restarts_it }
}

fn kept(facts: &mut Facts<'static>, situation: Situation) {
    facts.container = situation;
    facts.kept_by =
        Some(Box::leak(Box::new(Keeper { who: "Docker Swarm", helps: "update".into(), replaces: true })));
}

/// In the order in which the rules ask.
fn factors() -> Vec<Factor> {
    use ContainerEnd::{Died, Finished, NotStarted, StoppedBySomeone, Unclear};
    let unknown: Change = |_, f| {
        f.health = Box::leak(Box::new(Health::Unknown(Unknown::EngineUnreachable("gone".into()))));
    };
    vec![
        Factor {
            name: "marker",
            values: vec![
                ("present", |_, f| f.marker = Marker::Present("by anna".into())),
                ("unreadable", |_, f| f.marker = Marker::Unreadable("denied".into())),
                ("absent", |_, _| {}),
            ],
        },
        Factor {
            name: "look",
            values: vec![
                ("healthy", |_, f| f.health = &HEALTHY),
                ("unknown", unknown),
                ("unhealthy", |_, f| f.health = &UNHEALTHY),
            ],
        },
        Factor {
            name: "state",
            values: vec![("damaged", |_, f| f.remembered = false), ("readable", |_, _| {})],
        },
        Factor {
            name: "container",
            values: vec![
                ("stopped by someone", |_, f| f.container = not_running(StoppedBySomeone, false)),
                ("being stopped", |_, f| f.container = Situation::BeingStopped),
                ("nobody knows", |_, f| f.container = not_running(Unclear, false)),
                ("not started", |_, f| f.container = not_running(NotStarted, true)),
                ("engine restarts it", |_, f| f.container = not_running(Died, true)),
                ("finished", |_, f| f.container = not_running(Finished, false)),
                ("died", |_, f| f.container = not_running(Died, false)),
                ("just started", |_, f| f.container = Situation::JustStarted),
                ("swarm's, stopped", |_, f| kept(f, not_running(StoppedBySomeone, false))),
                ("swarm's, died", |_, f| kept(f, not_running(Died, false))),
                ("swarm's, just started", |_, f| kept(f, Situation::JustStarted)),
                ("swarm's, running", |_, f| kept(f, Situation::Running)),
                ("running", |_, _| {}),
            ],
        },
        Factor {
            name: "container_start",
            values: vec![
                ("no", |s, _| s.container_start = ContainerStart::No),
                ("on-failure", |_, _| {}),
                ("always", |s, _| s.container_start = ContainerStart::Always),
            ],
        },
        Factor { name: "booting", values: vec![("yes", |_, f| f.booting = true), ("no", |_, _| {})] },
        Factor { name: "starting", values: vec![("yes", |_, f| f.starting = true), ("no", |_, _| {})] },
        Factor {
            name: "upstream",
            values: vec![
                ("stopped", |_, f| f.upstream = Upstream::Stopped(name("db"))),
                ("down", |_, f| f.upstream = Upstream::Down(name("db"))),
                ("recovered", |_, f| f.upstream = Upstream::Recovered(name("db"))),
                ("fine", |_, _| {}),
            ],
        },
        Factor {
            name: "failure",
            values: vec![
                ("2 of 3", |s, _| s.policy.failure_threshold = 3),
                ("2 of 2", |s, _| {
                    s.policy.failure_threshold = 2;
                }),
            ],
        },
        restart(),
        attempts(),
        time_left(),
    ]
}

/// What the restart after a dependency depends on.
fn follow_factors() -> Vec<Factor> {
    let pick = |name: &str, wanted: &[&str]| {
        let mut factor = factors().into_iter().find(|factor| factor.name == name).expect("a factor");
        factor.values.retain(|(value, _)| wanted.contains(value));
        factor
    };
    let mut chosen = vec![
        Factor {
            name: "follow",
            values: vec![
                ("a restart", |_, f| f.follow = Some(Follow { after: name("db"), network: false })),
                ("its network", |_, f| f.follow = Some(Follow { after: name("db"), network: true })),
            ],
        },
        pick("marker", &["present", "unreadable", "absent"]),
        pick("look", &["healthy", "unknown", "unhealthy"]),
        pick("container", &["stopped by someone", "died", "swarm's, running", "running"]),
    ];
    for (name, wanted) in [
        ("state", &["damaged", "readable"][..]),
        ("booting", &["yes", "no"]),
        ("starting", &["yes", "no"]),
        ("upstream", &["stopped", "down", "recovered", "fine"]),
        ("failure", &["2 of 3", "2 of 2"]),
    ] {
        chosen.push(pick(name, wanted));
    }
    chosen.extend([restart(), attempts(), time_left()]);
    chosen
}

fn made(facts: &mut Facts<'static>, steps: &'static [Strategy], worst: Severity) {
    facts.made = steps;
    facts.worst = Some(worst);
}

fn restart() -> Factor {
    Factor {
        name: "restart",
        values: vec![
            ("none", |s, _| s.restart = RestartMethod::Never),
            ("container", |s, _| s.restart = RestartMethod::Container),
            ("command", |_, _| {}),
        ],
    }
}

fn attempts() -> Factor {
    Factor {
        name: "attempts",
        values: vec![
            ("0 of 0", |s, _| s.max_failures = 0),
            ("2 of 3", |_, f| f.attempts = 2),
            ("3 of 3", |_, f| f.attempts = 3),
        ],
    }
}

fn time_left() -> Factor {
    Factor { name: "time left", values: vec![("no", |_, f| f.time_left = false), ("yes", |_, _| {})] }
}

/// What the chains depend on, once nothing speaks for leaving the service alone.
fn chain_factors() -> Vec<Factor> {
    vec![
        Factor {
            name: "degraded",
            values: vec![
                ("yes", |_, f| {
                    let since = datetime!(2026-11-21 10:00 UTC);
                    f.degraded = Some(Reduced { since, until: datetime!(2026-11-21 11:00 UTC) });
                }),
                ("no", |_, _| {}),
            ],
        },
        Factor {
            name: "severity",
            values: vec![
                ("transient", |_, f| f.health = &TRANSIENT),
                ("recoverable", |_, f| f.health = &UNHEALTHY),
                ("critical", |_, f| f.health = &CRITICAL),
                ("transient, alive", |_, f| f.health = &BUSY),
                ("critical, alive", |_, f| f.health = &DENIED),
            ],
        },
        Factor {
            name: "look",
            values: vec![("5 of 5", |_, f| f.escalating = 5), ("6 of 5", |_, f| f.escalating = 6)],
        },
        Factor {
            name: "fallback_cmd",
            values: vec![
                ("none", |_, _| {}),
                ("set", |s, _| s.policy.fallback_cmd = Some("web --readonly &".into())),
            ],
        },
        Factor {
            name: "strategies",
            values: vec![
                ("default", |_, _| {}),
                ("own", |s, _| s.policy.strategies.recoverable = OWN.to_vec()),
            ],
        },
        Factor {
            name: "made",
            values: vec![
                ("nothing", |_, _| {}),
                ("retry", |_, f| made(f, &OWN_MADE[..1], Severity::Transient)),
                ("retry, restart", |_, f| made(f, &OWN_MADE, Severity::Transient)),
                ("restart", |_, f| made(f, &OWN[..1], Severity::Recoverable)),
                ("restart, restart-container", |_, f| {
                    made(f, &OWN[..2], Severity::Recoverable);
                    f.container_spent = true;
                }),
            ],
        },
        Factor {
            name: "restart",
            values: vec![("none", |s, _| s.restart = RestartMethod::Never), ("command", |_, _| {})],
        },
        Factor {
            name: "attempts",
            values: vec![("2 of 3", |_, f| f.attempts = 2), ("3 of 3", |_, f| f.attempts = 3)],
        },
    ]
}

fn facts() -> Facts<'static> {
    Facts { failures: 2, ..sample::facts(&UNHEALTHY) }
}

fn word(decision: &Decision) -> String {
    match decision {
        Decision::Stopped(why) => format!("Stopped ({why})"),
        Decision::Held { by } => format!("Held by {by}"),
        Decision::CannotTell(_) => "CannotTell".into(),
        Decision::Unsafe(why) => format!("Unsafe ({why})"),
        Decision::Blocked { by } => format!("Blocked by {by}"),
        Decision::NoWay(NoWay::Kept(keeper)) => format!("NoWay: Kept by {}", keeper.who),
        Decision::NoWay(why) => format!("NoWay: {why:?}"),
        Decision::GiveUp { attempts, .. } => format!("GiveUp ({attempts})"),
        Decision::Restart { attempt, action, .. } => format!("Restart {attempt}: {action:?}"),
        Decision::Follow { after, action, down } => {
            format!("Follow {after}{}: {action:?}", if *down { ", down" } else { "" })
        }
        Decision::Tolerate { failures, threshold } => format!("Tolerate {failures} of {threshold}"),
        Decision::Degraded(_) => "Degraded".into(),
        other => format!("{other:?}"),
    }
}

/// What follows below one choice of the first factors: one decision whatever the rest, or a branch.
#[derive(PartialEq)]
enum Tree {
    Always(String),
    Branch(Vec<(&'static str, Tree)>),
}

fn tree(factors: &[Factor], chosen: &mut Vec<Change>) -> Tree {
    let Some((factor, rest)) = factors.split_first() else {
        let (mut service, mut facts) = (sample::service("web"), facts());
        for change in chosen.iter() {
            change(&mut service, &mut facts);
        }
        return Tree::Always(word(&decide(&service, &facts)));
    };
    let mut branches = Vec::new();
    for (value, change) in &factor.values {
        chosen.push(*change);
        branches.push((*value, tree(rest, chosen)));
        chosen.pop();
    }
    let same = branches.windows(2).all(|pair| pair[0].1 == pair[1].1);
    match branches.first() {
        Some((_, Tree::Always(word))) if same => Tree::Always(word.clone()),
        _ => Tree::Branch(branches),
    }
}

/// Rows in which a factor that does not matter is `*`.
fn rows(tree: &Tree, width: usize, prefix: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match tree {
        Tree::Always(word) => {
            let mut row = prefix.clone();
            row.resize(width, "*".into());
            row.push(word.clone());
            out.push(row);
        }
        Tree::Branch(branches) => {
            let groups: Vec<&[(&'static str, Tree)]> = branches.chunk_by(|a, b| a.1 == b.1).collect();
            for group in &groups {
                let values: Vec<&str> = group.iter().map(|(value, _)| *value).collect();
                prefix.push(if groups.len() == 1 { "*".into() } else { values.join("/") });
                rows(&group[0].1, width, prefix, out);
                prefix.pop();
            }
        }
    }
}

fn table(factors: &[Factor]) -> String {
    let mut out = Vec::new();
    rows(&tree(factors, &mut Vec::new()), factors.len(), &mut Vec::new(), &mut out);
    let mut head: Vec<String> = factors.iter().map(|factor| factor.name.to_owned()).collect();
    head.push("decision".into());
    out.insert(0, head);
    let widths: Vec<usize> =
        (0..out[0].len()).map(|column| out.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &out {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        writeln!(text, "{}", cells.join(" | ").trim_end()).expect("a string takes everything");
    }
    text
}

#[test]
fn the_policy_is_this_table() {
    insta::assert_snapshot!("policy", table(&factors()));
}

#[test]
fn what_follows_a_dependency_is_this_table() {
    insta::assert_snapshot!("follow", table(&follow_factors()));
}

#[test]
fn the_chains_are_this_table() {
    insta::assert_snapshot!("chains", table(&chain_factors()));
}

/// The decisions anywhere in the product that do something to a container.
fn on_containers(factors: &[Factor], keeper: Change) -> usize {
    let mut factors: Vec<Factor> =
        factors.iter().map(|factor| Factor { name: factor.name, values: factor.values.clone() }).collect();
    factors.insert(0, Factor { name: "keeper", values: vec![("", keeper)] });
    let mut all = Vec::new();
    rows(&tree(&factors, &mut Vec::new()), factors.len(), &mut Vec::new(), &mut all);
    let acts = |word: &String| word.contains("StartContainer") || word.contains("RestartContainer");
    all.iter().filter_map(|row| row.last()).filter(|word| acts(word)).count()
}

#[test]
fn what_somebody_else_keeps_is_never_started_or_restarted() {
    for factors in [factors(), follow_factors(), chain_factors()] {
        assert!(on_containers(&factors, |_, _| {}) > 0, "the product has such decisions");
        assert_eq!(on_containers(&factors, |_, f| kept(f, Situation::Running)), 0);
    }
}
