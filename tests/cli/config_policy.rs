//! The keys of the policy: what they mean, what they are by default, and what is said of mistakes in them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use recovery::check::Failure;
use recovery::check::severity::{Life, Rating, Severity as HowBad};
use recovery::config::Severity;
use recovery::config::model::{Config, Policy, ServiceName, Strategies, Strategy};
use recovery::config::read::read;

/// What is read, and everything that is said of it.
fn reading(text: &str) -> (Option<Config>, Vec<String>) {
    let file = Path::new("/cfg/c.json");
    let env = |name: &str| (name == "NTFY_TOPIC").then(|| "some-topic".to_owned());
    let (config, problems) = read(text.as_bytes(), file, PathBuf::from("/state"), &env);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(config.is_some(), errors == 0, "{text}");
    (config, problems.iter().map(|p| p.render(file).replacen("/cfg/c.json", "F", 1)).collect())
}

/// One service `web` with these keys, all on line 1, and these defaults.
fn text(keys: &str, defaults: &str) -> String {
    format!(
        r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check": {{"type": "tcp", "port": 1}}{keys}}}}}, "recovery": {{"defaults": {{{defaults}}}}}}}"#
    )
}

/// The one service that these make, and nothing is said of it.
#[track_caller]
fn web(keys: &str, defaults: &str) -> recovery::config::model::Service {
    let (config, said) = reading(&text(keys, defaults));
    assert_eq!(said, Vec::<String>::new());
    config.unwrap().service(&ServiceName::new("web").unwrap()).unwrap().clone()
}

#[track_caller]
fn policy(keys: &str, defaults: &str) -> Policy {
    web(keys, defaults).policy
}

/// What is said of a key of the service; its place is that of the value, or of the key where that is unknown.
#[track_caller]
fn says(keys: &str, expected: &[&str]) {
    let (_, said) = reading(&text(keys, ""));
    assert_eq!(said, expected, "\n{keys}");
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_documented_defaults_hold() {
    let policy = policy("", "");
    assert_eq!((policy.failure_threshold, policy.success_threshold, policy.escalate_after), (1, 1, 5));
    assert_eq!((policy.retry.attempts, policy.retry.base_delay), (4, seconds(1)));
    assert_eq!((policy.cleanup_cmd, policy.fallback_cmd), (None, None));
    assert_eq!((policy.severity.exit_codes.len(), policy.severity.http_status.len()), (0, 0));
    use Strategy::{Fallback, Restart, Retry};
    let Strategies { transient, recoverable, critical, alive } = policy.strategies;
    assert_eq!(
        (transient, recoverable, critical, alive),
        (vec![Retry, Restart], vec![Restart, Fallback], vec![Fallback], vec![])
    );
}

#[test]
fn every_key_means_what_it_says() {
    let policy = policy(
        r#", "failure_threshold": 3, "success_threshold": 2, "escalate_after": 9,
        "severity": {"exit_codes": {"3": "critical", "255": "transient"}, "http_status": {"507": "critical"},
            "tls": "recoverable", "unresolved": "transient"},
        "strategies": {"transient": [], "recoverable": ["restart", "retry", "fallback"],
            "critical": ["retry", "fallback"]},
        "retry": {"attempts": 2, "base_delay_seconds": 0.5}, "cleanup_cmd": "rm -f x", "fallback_cmd": "y &""#,
        "",
    );
    assert_eq!((policy.failure_threshold, policy.success_threshold, policy.escalate_after), (3, 2, 9));
    let exit = |code| policy.severity.of(&Failure::Exit { code, output: String::new() }).severity;
    assert_eq!([exit(3), exit(255), exit(4)], [HowBad::Critical, HowBad::Transient, HowBad::Recoverable]);
    let http = |status| policy.severity.of(&Failure::HttpStatus { status, expected: String::new() }).severity;
    assert_eq!([http(507), http(503)], [HowBad::Critical, HowBad::Transient]);
    use Strategy::{Fallback, Restart, Retry};
    assert_eq!(policy.severity.tls, Some(HowBad::Recoverable));
    assert_eq!(policy.severity.unresolved, Some(HowBad::Transient));
    let chain = |severity, life| policy.strategies.of(Rating { severity, life });
    assert_eq!(chain(HowBad::Transient, Life::Doubtful), []);
    assert_eq!(chain(HowBad::Recoverable, Life::Doubtful), [Restart, Retry, Fallback]);
    assert_eq!(chain(HowBad::Critical, Life::Doubtful), [Retry, Fallback]);
    // A written chain for critical failures is one for a service that answers, too; what it is busy with is not.
    assert_eq!(chain(HowBad::Critical, Life::Alive), [Retry, Fallback]);
    assert_eq!(chain(HowBad::Transient, Life::Alive), [Retry]);
    assert_eq!((policy.retry.attempts, policy.retry.base_delay), (2, Duration::from_millis(500)));
    assert_eq!(
        (policy.cleanup_cmd.as_deref(), policy.fallback_cmd.as_deref()),
        (Some("rm -f x"), Some("y &"))
    );
}

#[test]
fn defaults_hold_where_a_service_says_nothing_severity_by_severity_and_figure_by_figure() {
    let defaults = r#""failure_threshold": 3, "success_threshold": 2, "escalate_after": 9,
        "severity": {"exit_codes": {"3": "critical"}}, "fallback_cmd": "less", "cleanup_cmd": "clean",
        "strategies": {"transient": ["retry"], "critical": []}, "retry": {"attempts": 2, "base_delay_seconds": 3}"#;
    let inherited = policy("", defaults);
    assert_eq!(
        (inherited.failure_threshold, inherited.success_threshold, inherited.escalate_after),
        (3, 2, 9)
    );
    assert_eq!(
        (inherited.fallback_cmd.as_deref(), inherited.cleanup_cmd.as_deref()),
        (Some("less"), Some("clean"))
    );
    assert_eq!(inherited.strategies.transient, [Strategy::Retry]);
    assert_eq!(inherited.strategies.recoverable, Strategies::RECOVERABLE);
    assert_eq!(inherited.severity.exit_codes.len(), 1);

    let own = policy(
        r#", "failure_threshold": 1, "escalate_after": 2, "max_failures": 2, "severity": {"http_status": {"500": "transient"}},
        "strategies": {"transient": ["restart"]}, "retry": {"attempts": 7}, "fallback_cmd": "own""#,
        defaults,
    );
    assert_eq!((own.failure_threshold, own.success_threshold, own.escalate_after), (1, 2, 2));
    assert_eq!((own.fallback_cmd.as_deref(), own.cleanup_cmd.as_deref()), (Some("own"), Some("clean")));
    assert_eq!((own.strategies.transient, own.strategies.critical), (vec![Strategy::Restart], vec![]));
    assert_eq!((own.retry.attempts, own.retry.base_delay), (7, seconds(3)));
    // One map, not two laid over each other.
    assert_eq!((own.severity.exit_codes.len(), own.severity.http_status.len()), (0, 1));
    // `null` is as if it were not there.
    assert_eq!(policy(r#", "fallback_cmd": null, "retry": null"#, defaults).retry.attempts, 2);
}

#[test]
fn no_attempt_is_out_of_reach_because_the_failure_counts_as_worse_before() {
    let after = |keys: &str, defaults: &str| policy(keys, defaults).escalate_after;
    assert_eq!(after(r#", "max_failures": 5"#, ""), 5);
    assert_eq!(after(r#", "max_failures": 8"#, ""), 8);
    assert_eq!(after("", r#""max_failures": 8"#), 8);
    assert_eq!(after(r#", "max_failures": 3"#, r#""max_failures": 8"#), 5);
    assert_eq!(after(r#", "max_failures": 8"#, r#""escalate_after": 9"#), 9);
    let warned = |at: u32, keys: &str, least: u32| {
        let text = format!(
            "F:1:{at}: warning: services.web.escalate_after: after 2 failed looks a failure of web counts as critical, \
             for which nothing restarts it, so its 8 attempts (max_failures) are never used up; set at least {least}"
        );
        says(&format!(r#", "escalate_after": 2, "max_failures": 8{keys}"#), &[&text]);
    };
    warned(105, "", 8);
    warned(
        105,
        r#", "container": "app", "strategies": {"recoverable": ["restart", "restart-container"]}"#,
        4,
    );
    let fine = [
        r#", "escalate_after": 8, "max_failures": 8"#,
        r#", "escalate_after": 2, "max_failures": 8, "strategies": {"critical": ["restart"]}"#,
        r#", "escalate_after": 2, "max_failures": 0"#,
        r#", "escalate_after": 2, "max_failures": 4, "container": "app",
            "strategies": {"recoverable": ["restart", "restart-container"]}"#,
        r#", "escalate_after": 2, "max_failures": 8, "strategies": {"recoverable": [], "transient": []}"#,
    ];
    for keys in fine {
        says(keys, &[]);
    }
    let (_, said) = reading(&text(r#", "max_failures": 8"#, r#""escalate_after": 2"#));
    assert_eq!(said.len(), 1, "what is inherited is said where it stands: {said:?}");
    assert!(said[0].contains("recovery.defaults.escalate_after"), "{said:?}");
}

#[test]
fn the_default_window_has_room_for_the_threshold() {
    assert_eq!(web("", "").failure_window, seconds(3600));
    assert_eq!(web(r#", "failure_threshold": 3"#, "").failure_window, seconds(3 * 3600));
    says(
        r#", "failure_threshold": 3, "failure_window_seconds": 3599"#,
        &[
            "F:1:137: warning: services.web.failure_window_seconds: 3 restarts, one every 900 s, never fit into 3599 s, so web is never given up; set at least 3600",
        ],
    );
    says(r#", "failure_threshold": 3, "failure_window_seconds": 3600"#, &[]);
}

#[test]
fn figures_have_their_ranges() {
    for (key, max) in
        [("failure_threshold", 1000), ("success_threshold", 1000), ("escalate_after", 1_000_000)]
    {
        for wrong in
            ["0".to_owned(), (max + 1).to_string(), "-1".to_owned(), "1.5".to_owned(), "\"3\"".to_owned()]
        {
            let (config, said) = reading(&text(&format!(r#", "{key}": {wrong}"#), ""));
            assert!(config.is_none());
            let expected =
                format!("error: services.web.{key}: expected a whole number from 1 to {max}, found {wrong}");
            assert!(said.len() == 1 && said[0].ends_with(&expected), "{said:?}");
        }
        let window =
            "\"failure_window_seconds\": 86400, \"startup_timeout_seconds\": 86400, \"max_failures\": 1";
        assert_eq!(reading(&text(&format!(r#", "{key}": 1, {window}"#), "")).1, Vec::<String>::new());
    }
    says(
        r#", "retry": {"attempts": 11, "base_delay_seconds": 61, "delay": 1}"#,
        &[
            "F:1:109: error: services.web.retry.attempts: expected a whole number from 1 to 10, found 11",
            "F:1:135: error: services.web.retry.base_delay_seconds: expected seconds from 0 to 60, found 61",
            r#"F:1:139: warning: services.web.retry.delay: unknown key, ignored; begin it with "x-" or "_" if that is meant"#,
        ],
    );
    assert_eq!(
        policy(r#", "retry": {"attempts": 10, "base_delay_seconds": 0}"#, "").retry.base_delay,
        seconds(0)
    );
    says(r#", "retry": 3"#, &["F:1:96: error: services.web.retry: expected an object { … }, found 3"]);
}

#[test]
fn mistakes_in_severities_are_named() {
    says(
        r#", "severity": {"exit_codes": {"0": "critical", "256": "critical", "x": "critical", "3": "fatal"}}"#,
        &[
            r#"F:1:120: error: services.web.severity.exit_codes.0: "0" is no whole number from 1 to 255"#,
            r#"F:1:139: error: services.web.severity.exit_codes.256: "256" is no whole number from 1 to 255"#,
            r#"F:1:156: error: services.web.severity.exit_codes.x: "x" is no whole number from 1 to 255"#,
            r#"F:1:173: error: services.web.severity.exit_codes.3: expected one of "transient", "recoverable", "critical", found "fatal""#,
        ],
    );
    says(
        r#", "severity": {"http_status": {"99": "transient", "600": "transient", "5xx": "transient", "507": 1}}"#,
        &[
            r#"F:1:122: error: services.web.severity.http_status.99: "99" is no whole number from 100 to 599"#,
            r#"F:1:142: error: services.web.severity.http_status.600: "600" is no whole number from 100 to 599"#,
            r#"F:1:162: error: services.web.severity.http_status.5xx: "5xx" is no whole number from 100 to 599"#,
            r#"F:1:182: error: services.web.severity.http_status.507: expected one of "transient", "recoverable", "critical", found 1"#,
        ],
    );
    says(
        r#", "severity": {"exit_code": {}, "http_status": []}"#,
        &[
            r#"F:1:100: error: services.web.severity.exit_code: unknown key; did you mean "exit_codes"?"#,
            r#"F:1:132: error: services.web.severity.http_status: expected an object { … }, found a list"#,
        ],
    );
    says(
        r#", "severity": "critical""#,
        &[r#"F:1:99: error: services.web.severity: expected an object { … }, found "critical""#],
    );
}

#[test]
fn mistakes_in_strategies_are_named() {
    says(
        r#", "strategies": {"recoverable": ["restart", "fall-back"], "transient": "retry", "severe": []}"#,
        &[
            r#"F:1:129: error: services.web.strategies.recoverable[1]: expected one of "retry", "restart", "restart-container", "fallback", found "fall-back"; did you mean "fallback"?"#,
            r#"F:1:156: error: services.web.strategies.transient: expected a list such as ["restart", "fallback"], found "retry""#,
            r#"F:1:165: warning: services.web.strategies.severe: unknown key, ignored; begin it with "x-" or "_" if that is meant"#,
        ],
    );
    says(
        r#", "strategies": ["restart"]"#,
        &[r#"F:1:101: error: services.web.strategies: expected an object { … }, found a list"#],
    );
    says(
        r#", "strategies": {"transient": ["retry", "restart", "retry"]}"#,
        &[
            r#"F:1:136: error: services.web.strategies.transient[2]: "retry" stands there twice; each step is made once a pass"#,
        ],
    );
    says(
        r#", "strategies": {"recoverable": ["restart-container"]}"#,
        &[r#"F:1:101: error: services.web.strategies: "restart-container" needs a container"#],
    );
    says(
        r#", "restart": "none", "strategies": {"recoverable": ["restart"]}"#,
        &[
            r#"F:1:120: error: services.web.strategies: restarts it, but "restart" is "none"; leave one of them out"#,
        ],
    );
    says(
        r#", "strategies": {"recoverable": ["restart", "fallback"]}"#,
        &[r#"F:1:101: warning: services.web.strategies: "fallback" does nothing without a fallback_cmd"#],
    );
}

#[test]
fn commands_that_nothing_runs_are_named() {
    says(
        r#", "cleanup_cmd": "", "fallback_cmd": 3"#,
        &[
            r#"F:1:102: error: services.web.cleanup_cmd: must not be empty"#,
            r#"F:1:122: error: services.web.fallback_cmd: expected text, found a number; put it in double quotes"#,
        ],
    );
    says(
        r#", "fallback_cmd": "x", "strategies": {"recoverable": ["restart"], "critical": []}"#,
        &[
            r#"F:1:103: warning: services.web.fallback_cmd: no strategy runs it; add "fallback" to one of strategies"#,
        ],
    );
    says(
        r#", "cleanup_cmd": "x", "max_failures": 0"#,
        &[
            r#"F:1:102: warning: services.web.cleanup_cmd: it is run before a restart, and nothing restarts this service"#,
        ],
    );
    says(
        r#", "cleanup_cmd": "x", "strategies": {"transient": ["retry"], "recoverable": []}"#,
        &[
            r#"F:1:102: warning: services.web.cleanup_cmd: it is run before a restart, and nothing restarts this service"#,
        ],
    );
    says(
        r#", "cleanup_cmd": "x", "restart": "none""#,
        &[
            r#"F:1:102: warning: services.web.cleanup_cmd: it is run before a restart, and nothing restarts this service"#,
        ],
    );
    says(r#", "fallback_cmd": "x", "cleanup_cmd": "x""#, &[]);
    // Of what is not looked at nothing is said.
    says(
        r#", "enabled": false, "cleanup_cmd": "x", "max_failures": 0, "strategies": {"recoverable": ["fallback"]}"#,
        &[r#"F: warning: services: no service is enabled: nothing will be looked at"#],
    );
}

#[test]
fn a_recovery_that_could_never_count_is_named() {
    says(
        r#", "success_threshold": 27"#,
        &[
            r#"F:1:108: warning: services.web.success_threshold: 27 looks, one a second, do not fit between startup_delay_seconds and startup_timeout_seconds (25 s): no restart would ever count as a recovery"#,
        ],
    );
    says(r#", "success_threshold": 26"#, &[]);
}

#[test]
fn keys_that_were_clearly_meant_are_named() {
    says(
        r#", "failure_treshold": 2, "strategy": {}, "fallback_command": "x", "cleanup": "y""#,
        &[
            r#"F:1:87: error: services.web.failure_treshold: unknown key; did you mean "failure_threshold"?"#,
            r#"F:1:110: error: services.web.strategy: unknown key; did you mean "strategies"?"#,
            r#"F:1:126: error: services.web.fallback_command: unknown key; did you mean "fallback_cmd"?"#,
            r#"F:1:151: error: services.web.cleanup: unknown key; did you mean "cleanup_cmd"?"#,
        ],
    );
}

#[test]
fn mistakes_in_the_defaults_are_named_once() {
    let (config, said) =
        reading(&text("", r#""failure_threshold": 0, "strategies": {"recoverable": ["reboot"]}"#));
    assert!(config.is_none());
    assert_eq!(
        said,
        [
            r#"F:1:136: error: recovery.defaults.failure_threshold: expected a whole number from 1 to 1000, found 0"#,
            r#"F:1:170: error: recovery.defaults.strategies.recoverable[0]: expected one of "retry", "restart", "restart-container", "fallback", found "reboot""#,
        ]
    );
}
