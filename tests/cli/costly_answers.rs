//! Answers that would cost gigabytes or minutes to judge: the pass goes on, the check is unknown, and what is
//! merely large is judged all the same.

use crate::common;

use common::fixture::Fixture;
use serde_json::{Value, json};

/// A service on the machine whose check prints that file.
fn prints(fixture: &mut Fixture, name: &str, text: &str, expectation: &Value) {
    let file = fixture.path(name);
    std::fs::write(&file, text).expect("room for a file");
    fixture.service(
        name,
        json!({
            "health_check": {"type": "custom", "command": ["cat", file], "timeout_seconds": 30,
                "expect_json": [expectation]},
            "restart_cmd": "exit 1", "startup_delay_seconds": 0, "startup_timeout_seconds": 0
        }),
    );
}

/// As long as an answer may be.
fn numbers() -> String {
    format!("[{}0]", "0,".repeat((1 << 19) - 4))
}

#[test]
fn what_costs_too_much_to_judge_is_unknown_and_holds_up_nobody() {
    let deep = format!("{}{}{}", "[".repeat(120), "0,".repeat(400_000) + "0", "]".repeat(120));
    let long_text = format!("{{\"a\": \"{}\"}}", "ab".repeat(400_000));
    let texts = format!("[{}\"a\"]", "\"aaaaaa\",".repeat(100_000));
    let unions = |count: usize| format!("${}", "[0,0,0,0,0,0,0,0]".repeat(count));
    let nested = format!("{}0{}", "[".repeat(40), "]".repeat(40));
    let table = [
        ("unions-in-a-row", &nested, json!({"path": unions(30), "exists": true})),
        (
            "unions-of-wildcards",
            &numbers(),
            json!({"path": format!("$[{}*]", "*,".repeat(600)), "exists": true}),
        ),
        ("all-of-all", &deep, json!({"path": "$..*..*", "exists": true})),
        ("root-in-a-filter", &numbers(), json!({"path": "$[?$..x]", "exists": true})),
        ("search", &texts, json!({"path": "$[?search(@, '^a+$')]", "exists": true})),
        ("a-counted-pattern", &long_text, json!({"path": "$.a", "matches": "a[ab]{10000}c"})),
    ];
    let mut fixture = Fixture::new();
    for (name, text, expectation) in &table {
        prints(&mut fixture, name, text, expectation);
    }
    prints(&mut fixture, "large", &numbers(), &json!({"path": "$[*]", "equals": 0}));
    let code = fixture.pass().code;
    assert_eq!(code, 69, "{}", fixture.log());
    for (name, ..) in &table {
        let line =
            format!("Cannot check {name} (reason: \"to judge what it answered takes more than 1 s or 64 MiB");
        assert_eq!(fixture.count(&line), 1, "{name}: {}", fixture.log());
    }
    assert_eq!(fixture.count("Health check passed for large"), 1, "{}", fixture.log());
    assert_eq!(fixture.count("Executing restart command"), 0, "{}", fixture.log());
}

#[test]
fn what_a_child_judges_reads_as_what_the_pass_judges() {
    let mut fixture = Fixture::new();
    prints(&mut fixture, "wrong", &numbers().replace("0]", "7]"), &json!({"path": "$[*]", "equals": 0}));
    prints(&mut fixture, "no-json", &"x".repeat(100_000), &json!({"path": "$", "exists": true}));
    prints(&mut fixture, "missing", &numbers(), &json!({"path": "$.status", "equals": "ok"}));
    let code = fixture.pass().code;
    assert_eq!(code, 1, "{}", fixture.log());
    assert_eq!(
        fixture.count("attempting recovery... (reason: $[*] is 7, expected 0"),
        1,
        "{}",
        fixture.log()
    );
    assert_eq!(
        fixture.count("attempting recovery... (reason: the answer is not JSON: expected value"),
        1,
        "{}",
        fixture.log()
    );
    assert_eq!(fixture.count(r#"Health check failed for missing, attempting recovery... (reason: "$.status is missing, expected \"ok\"""#), 1, "{}", fixture.log());
}

#[test]
fn a_costly_pattern_over_all_processes_is_judged_by_a_child_too() {
    let mut sleeper = std::process::Command::new("sleep").arg("117.5").spawn().expect("sleep starts");
    let mut fixture = Fixture::new();
    let check = |pattern: &str| json!({"health_check": {"type": "process", "process_name": pattern}, "restart": "none"});
    // The many ways that these have open at once are too many for the pass itself.
    fixture.service("here", check("sl[a-z]{0,9000}p 117[.]5"));
    fixture.service("gone", check("sl[a-z]{0,9000}p 117[.]6"));
    let code = fixture.pass().code;
    sleeper.kill().and_then(|()| sleeper.wait()).expect("it can be ended");
    assert_eq!(code, 1, "{}", fixture.log());
    assert_eq!(fixture.count("Health check passed for here"), 1, "{}", fixture.log());
    assert_eq!(
        fixture.count("not attempting recovery (reason: no matching process: sl[a-z]{0,9000}p 117[.]6"),
        1,
        "{}",
        fixture.log()
    );
}

#[test]
fn validate_warns_of_what_may_cost_much() {
    let mut fixture = Fixture::new();
    prints(&mut fixture, "a", "{}", &json!({"path": "$..a..b..c", "exists": true}));
    prints(&mut fixture, "b", "{}", &json!({"path": "$.a", "matches": "a[ab]{10000}c"}));
    prints(&mut fixture, "c", "{}", &json!({"path": "$.a[*].b", "matches": "^ok$"}));
    let said = fixture.run(&["validate"]).expect_code(0);
    let text = said.stdout + &said.stderr;
    assert_eq!(text.matches("may cost much over a long answer").count(), 2, "{text}");
}
