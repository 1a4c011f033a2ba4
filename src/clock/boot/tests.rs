use super::*;
use proptest::prelude::*;
use time::macros::datetime;

const BEGIN: Timestamp = datetime!(2026-11-21 10:00 UTC);
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

fn seconds(n: i64) -> time::Duration {
    time::Duration::seconds(n)
}

/// A machine whose real time goes on whatever is done to its wall clock.
struct Machine {
    /// Real time.
    real: i64,
    wall: Timestamp,
    boots: usize,
    booted: i64,
    /// It tells its boots apart.
    telling: bool,
}

impl Machine {
    fn new() -> Self {
        Self { real: 10 * HOUR, wall: BEGIN, boots: 1, booted: 0, telling: true }
    }

    fn pass(&mut self, span: i64) {
        self.real += span;
        self.wall = shifted(self.wall, seconds(span));
    }

    fn set(&mut self, by: i64) {
        self.wall = shifted(self.wall, seconds(by));
    }

    fn reboot(&mut self, off: i64) {
        self.pass(off);
        (self.boots, self.booted) = (self.boots + 1, self.real);
    }

    fn moment(&self) -> Moment {
        let at = shifted(self.wall, -seconds(self.real - self.booted));
        let boot = self.telling.then(|| Boot { id: format!("boot {}", self.boots), at });
        Moment { wall: self.wall, boot }
    }
}

/// A file with one time.
#[derive(Clone)]
struct Remembered {
    boot: Option<Boot>,
    at: Timestamp,
}

impl Remembered {
    fn now(machine: &Machine) -> Self {
        Self { boot: machine.moment().boot, at: machine.wall }
    }

    /// As it is read, and would be written again.
    fn read(&self, machine: &Machine) -> Self {
        let mut read = self.clone();
        machine.moment().reading(&mut read.boot).put_right(&mut read.at);
        read
    }

    fn age(&self, machine: &Machine) -> i64 {
        (machine.wall - self.read(machine).at).whole_seconds()
    }
}

/// What happens between the record of a time and the question how old it is.
#[derive(Debug, Clone, Copy)]
enum Event {
    Pass(i64),
    Set(i64),
    /// Off for so long, with a clock that goes on.
    Reboot(i64),
    /// A pass reads the file and writes it.
    Write,
    /// Nothing tells boots apart any more.
    Forget,
}

use Event::{Forget, Pass, Reboot, Set, Write};

fn play(machine: &mut Machine, file: &mut Remembered, event: Event) {
    match event {
        Pass(span) => machine.pass(span),
        Set(by) => machine.set(by),
        Reboot(off) => machine.reboot(off),
        Write => *file = file.read(machine),
        Forget => machine.telling = false,
    }
}

#[test]
fn a_time_ages_by_real_time_within_a_boot_and_by_the_wall_clock_after_it() {
    let table: [(&str, &[Event], i64); 18] = [
        ("nothing", &[], 0),
        ("time passes", &[Pass(5 * MINUTE)], 5 * MINUTE),
        ("put forward", &[Pass(MINUTE), Set(2 * HOUR), Pass(MINUTE)], 2 * MINUTE),
        ("put back", &[Pass(MINUTE), Set(-2 * HOUR), Pass(MINUTE)], 2 * MINUTE),
        ("put forward at once", &[Set(YEAR)], 0),
        ("there and back", &[Set(YEAR), Pass(MINUTE), Set(-YEAR)], MINUTE),
        ("there and back, written there", &[Set(YEAR), Pass(MINUTE), Write, Set(-YEAR)], MINUTE),
        ("again and again", &[Set(HOUR), Write, Set(HOUR), Write, Set(-3 * HOUR), Pass(9)], 9),
        // The time since the boot goes on.
        ("asleep", &[Pass(8 * HOUR)], 8 * HOUR),
        ("a reboot", &[Reboot(10 * MINUTE)], 10 * MINUTE),
        ("a reboot, written, then put forward", &[Reboot(MINUTE), Write, Set(2 * HOUR)], MINUTE + 2 * HOUR),
        ("put forward, written, a reboot", &[Set(2 * HOUR), Write, Reboot(MINUTE)], MINUTE),
        ("a reboot into the past", &[Reboot(MINUTE), Set(-YEAR)], 0),
        // It was read as now, and is of this boot from then on.
        (
            "which is put right",
            &[Reboot(0), Set(-YEAR), Write, Pass(MINUTE), Set(YEAR), Pass(MINUTE)],
            2 * MINUTE,
        ),
        ("no name for the boot", &[Forget, Pass(MINUTE)], MINUTE),
        ("none, put forward", &[Forget, Set(2 * HOUR)], 2 * HOUR),
        ("none, put back", &[Forget, Set(-2 * HOUR)], 0),
        ("none, put back, written", &[Forget, Set(-2 * HOUR), Write, Pass(MINUTE)], MINUTE),
    ];
    for (what, events, age) in table {
        let mut machine = Machine::new();
        let mut file = Remembered::now(&machine);
        events.iter().for_each(|&event| play(&mut machine, &mut file, event));
        assert_eq!(file.age(&machine), age, "{what}");
    }
}

#[test]
fn a_clock_that_is_slewed_rewrites_nothing() {
    let mut machine = Machine::new();
    let file = Remembered::now(&machine);
    machine.wall += time::Duration::milliseconds(999);
    let read = file.read(&machine);
    assert_eq!((read.at, read.boot), (file.at, file.boot.clone()));
    machine.wall += time::Duration::milliseconds(1);
    assert_eq!(file.read(&machine).at, file.at + time::Duration::SECOND);
}

#[test]
fn nonsense_about_the_boot_is_no_boot() {
    #[derive(Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "Boot::lenient")]
        boot: Option<Boot>,
    }
    for text in ["{}", "null", "7", "[]", r#"{"id": 7}"#, r#"{"id": "x"}"#, r#"{"id": "x", "at": "soon"}"#] {
        let read: File = serde_json::from_str(&format!(r#"{{"boot": {text}}}"#)).expect("it is passed over");
        assert_eq!(read.boot, None, "{text}");
    }
    assert!(serde_json::from_str::<File>("{}").expect("an old file").boot.is_none());
    let far = r#"{"boot": {"id": "boot 1", "at": "9999-12-31T23:59:59-23:59"}}"#;
    let boot = serde_json::from_str::<File>(far).expect("a time").boot;
    let file = Remembered { boot, at: BEGIN };
    assert_eq!(file.age(&Machine::new()), 0);
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let jump = prop_oneof![-3 * HOUR..3 * HOUR, -50 * YEAR..50 * YEAR];
    let event =
        prop_oneof![(0..HOUR).prop_map(Pass), jump.prop_map(Set), Just(Write), Just(Set(1)), Just(Set(-1))];
    proptest::collection::vec(event, 0..30)
}

proptest! {
    /// No jump of the clock frees an attempt early or holds one longer, however often it is read or written.
    #[test]
    fn within_a_boot_a_time_is_as_old_as_it_is(events in events()) {
        let mut machine = Machine::new();
        let (mut file, recorded) = (Remembered::now(&machine), machine.real);
        for event in events {
            play(&mut machine, &mut file, event);
            let wrong = file.age(&machine) - (machine.real - recorded);
            prop_assert!(wrong == 0, "{wrong} s after {event:?}");
        }
    }

    /// Whatever was remembered, nothing is held longer than a window from when it was first read and written.
    #[test]
    fn nothing_is_held_for_longer_than_a_window_after_it_was_read(
        at in prop_oneof![-50 * YEAR..50 * YEAR, -HOUR..HOUR],
        reboots in 0..3_usize,
        then in events(),
    ) {
        let mut machine = Machine::new();
        let mut file = Remembered::now(&machine);
        file.at = shifted(file.at, seconds(at));
        (0..reboots).for_each(|_| machine.reboot(MINUTE));
        machine.telling = reboots < 2;
        file = file.read(&machine);
        let read = machine.real;
        for event in then {
            // An earlier boot's times go by the wall clock.
            if matches!(event, Set(_)) {
                continue;
            }
            play(&mut machine, &mut file, event);
            prop_assert!(file.age(&machine) >= machine.real - read, "after {event:?}");
        }
    }
}
