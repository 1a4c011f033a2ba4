//! What a valid configuration means: defaults, precedence, the environment, relative paths, the plan.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use recovery::config::Severity;
use recovery::config::model::{
    ClosedAtOnce, Config, CustomCommand, HostLabel, MissingProgram, Notify, Probe, RestartMethod, Service,
    ServiceName, Token, Vantage,
};
use recovery::config::read::read;
use recovery::plan;

fn load_with(text: &str, env: &dyn Fn(&str) -> Option<String>) -> (Config, Vec<String>) {
    let (config, problems) =
        read(text.as_bytes(), Path::new("/etc/r/config.json"), PathBuf::from("/state"), env);
    let lines: Vec<String> = problems.iter().map(|p| p.render(Path::new("F"))).collect();
    assert!(problems.iter().all(|p| p.severity == Severity::Warning), "{lines:?}");
    (config.expect("no errors"), lines)
}

fn load(text: &str) -> Config {
    load_with(text, &|_| None).0
}

/// Services by name, each with these keys besides a health check and a restart command.
fn services(list: &[(&str, &str)], rest: &str) -> String {
    let one = |(name, keys): &(&str, &str)| {
        format!(r#""{name}": {{"health_check": {{"type": "tcp", "port": 1}}, "restart_cmd": "x"{keys}}}"#)
    };
    format!(r#"{{"services": {{{}}}{rest}}}"#, list.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn service<'a>(config: &'a Config, name: &str) -> &'a Service {
    config.service(&ServiceName::new(name).unwrap()).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_documented_defaults_hold() {
    let text = r#"{"services": {"web": {"container": "box", "health_check":
        {"type": "http", "endpoint": "http://localhost/"}}}}"#;
    let config = load(text);
    let web = service(&config, "web");
    assert!(web.enabled);
    assert_eq!((web.kind.as_str(), web.display_name.as_str()), ("daemon", "web"));
    assert_eq!(web.restart, RestartMethod::Container);
    assert_eq!(web.restart_timeout, seconds(60));
    assert_eq!((web.startup_delay, web.startup_timeout), (seconds(5), seconds(30)));
    assert_eq!(web.start_period, seconds(30));
    assert_eq!((web.max_failures, web.failure_window), (3, seconds(3600)));
    assert_eq!((web.check.timeout, web.check.interval), (seconds(5), None));
    assert_eq!(web.check.from, Vantage::Container);
    assert_eq!(web.notify, Notify::Nobody);
    let Probe::Http(http) = &web.check.probe else { panic!("not http") };
    assert_eq!((http.method.as_str(), http.tls_verify), ("GET", true));
    assert_eq!(http.expect_status.text, "200–399");
    assert!(http.expect_status.contains(399) && !http.expect_status.contains(400));

    let settings = &config.recovery;
    assert_eq!(settings.state_dir, Path::new("/state"));
    assert_eq!(settings.stop_dir, Path::new("/state/manual-stop"));
    assert_eq!(settings.log_file, None);
    assert_eq!((settings.container_suffix.as_str(), settings.engine.as_str()), ("-container", "docker"));
    assert_eq!((settings.schedule, settings.max_parallel), (seconds(300), 8));
    assert_eq!((settings.pass_timeout, settings.boot_grace), (seconds(900), seconds(120)));
    assert_eq!(config.notifications.cooldown, seconds(3600));
    assert_eq!((&config.notifications.server, &config.notifications.token), (&None, &Token::None));
}

#[test]
fn the_failure_window_follows_from_budget_and_period() {
    // keys of the service, schedule, window
    let table = [
        ("", 300, 3600),
        (r#", "max_failures": 1"#, 60, 300),
        (r#", "max_failures": 0"#, 300, 1200),
        (r#", "max_failures": 5"#, 60, 1200),
        (r#", "failure_window_seconds": 7200"#, 300, 7200),
    ];
    for (keys, schedule, window) in table {
        let rest = format!(r#", "recovery": {{"schedule_seconds": {schedule}}}"#);
        let config = load(&services(&[("web", keys)], &rest));
        assert_eq!(service(&config, "web").failure_window, seconds(window), "{keys} {schedule}");
    }
    for (interval, window) in [(60, 3600), (300, 3600), (301, 7200), (900, 10800)] {
        let text = format!(
            r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check":
                {{"type": "tcp", "port": 1, "interval_seconds": {interval}}}}}}}}}"#
        );
        assert_eq!(service(&load(&text), "web").failure_window, seconds(window), "{interval}");
    }
}

#[test]
fn a_window_is_warned_of_exactly_where_the_guard_cannot_trip() {
    for (window, warned) in [(1199, true), (1200, false)] {
        let keys = format!(r#", "failure_window_seconds": {window}, "notify_on_fail": null"#);
        let (_, warnings) = load_with(&services(&[("web", &keys)], ""), &|_| None);
        assert_eq!(!warnings.is_empty(), warned, "{window} {warnings:?}");
    }
}

#[test]
fn how_a_service_is_restarted_follows_from_command_and_container() {
    use RestartMethod::{Command, Container, Never};
    let check = r#""health_check": {"type": "tcp", "port": 1}"#;
    // keys of a, of b; how a is restarted
    let table = [
        ("", "", Never),
        (r#", "restart_cmd": "x""#, "", Command),
        (r#", "container": "box""#, "", Container),
        (r#", "container": "box", "restart_cmd": "x""#, "", Command),
        (r#", "container": "box""#, r#", "container": "box""#, Never),
        (r#", "container": "box""#, r#", "container": "box-container""#, Never),
        (r#", "container": "box""#, r#", "container": "box", "enabled": false"#, Container),
        (r#", "container": "box", "restart": "container""#, r#", "container": "box""#, Container),
        (r#", "restart_cmd": "x", "restart": "none""#, "", Never),
        (r#", "restart_cmd": null, "container": "box""#, "", Container),
    ];
    for (a, b, expected) in table {
        let config = load(&format!(r#"{{"services": {{"a": {{{check}{a}}}, "b": {{{check}{b}}}}}}}"#));
        assert_eq!(service(&config, "a").restart, expected, "{a} / {b}");
    }
}

#[test]
fn defaults_serve_where_a_service_is_silent() {
    let rest = r#", "recovery": {"defaults": {"max_failures": 7, "startup_delay_seconds": 0, "timeout_seconds": 2.5,
        "user": "www", "enabled": false, "env": {"A": "1"}, "dependencies": ["db"]}}"#;
    let own = r#", "max_failures": 1, "enabled": true, "user": null, "env": {"B": "2"}, "dependencies": []"#;
    let config = load(&services(&[("db", ""), ("web", own)], rest));
    let (db, web) = (service(&config, "db"), service(&config, "web"));
    assert_eq!((db.max_failures, db.enabled, db.check.timeout), (7, false, Duration::from_millis(2500)));
    assert_eq!((db.env.clone(), db.dependencies.len()), (vec![("A".into(), "1".into())], 0));
    assert_eq!((web.max_failures, web.enabled, web.startup_delay), (1, true, Duration::ZERO));
    assert_eq!((web.user.as_deref(), web.env.clone()), (Some("www"), vec![("B".into(), "2".into())]));
    assert!(web.dependencies.is_empty());
}

#[test]
fn a_dependency_may_be_one_to_follow() {
    let rest = r#", "recovery": {"defaults": {"dependencies": [{"service": "vpn", "restart": true}]}}"#;
    let own = r#", "dependencies": ["db", {"service": "vpn"}, {"service": "dns", "restart": true}]"#;
    let never = r#", "restart": "none""#;
    let services = services(&[("vpn", ""), ("db", ""), ("dns", ""), ("web", own), ("look", never)], rest);
    let config = load(&services);
    let names = |list: &[ServiceName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let of = |name: &str| {
        let service = service(&config, name);
        (names(&service.dependencies), names(&service.follows))
    };
    assert_eq!(of("vpn"), (vec![], vec![]));
    assert_eq!(of("db"), (vec!["vpn".into()], vec!["vpn".into()]));
    assert_eq!(of("web"), (vec!["db".into(), "vpn".into(), "dns".into()], vec!["dns".into()]));
    assert_eq!(of("look"), (vec!["vpn".into()], vec![]));
}

#[test]
fn the_startup_timeout_is_never_less_than_the_delay() {
    let config = load(&services(&[("web", r#", "startup_delay_seconds": 45"#)], ""));
    assert_eq!(service(&config, "web").startup_timeout, seconds(45));
}

#[test]
fn who_hears_of_a_service_in_the_documented_order() {
    let env = |name: &str| match name {
        "NTFY_TOPIC" => Some("from-env".to_owned()),
        "OPS_TOPIC" => Some("ops-secret".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let topics = r#""topics": {"alerts": "a1", "ops": {"env": "OPS_TOPIC"}, "gone": {"env": "EMPTY"}}"#;
    let only_ops = r#""topics": {"ops": {"env": "OPS_TOPIC"}}"#;
    // notify_on_fail, notifications, label and topic
    let table = [
        (
            r#", "notify_on_fail": "ops""#,
            format!(r#"{{"ntfy": {{{topics}}}}}"#),
            Some((Some("ops"), "ops-secret")),
        ),
        (r#", "notify_on_fail": "topic:x_Y-1""#, "{}".into(), Some((None, "x_Y-1"))),
        (r#", "notify_on_fail": null"#, format!(r#"{{"ntfy": {{{topics}}}}}"#), None),
        (
            "",
            format!(r#"{{"default_topic": "ops", "ntfy": {{{topics}}}}}"#),
            Some((Some("ops"), "ops-secret")),
        ),
        ("", format!(r#"{{"ntfy": {{{topics}}}}}"#), Some((Some("alerts"), "a1"))),
        ("", format!(r#"{{"ntfy": {{{only_ops}}}}}"#), Some((None, "from-env"))),
        ("", "{}".into(), Some((None, "from-env"))),
        (
            r#", "notify_on_fail": "gone""#,
            format!(r#"{{"ntfy": {{{topics}}}}}"#),
            Some((Some("alerts"), "a1")),
        ),
    ];
    for (keys, section, expected) in table {
        let rest = format!(r#", "notifications": {section}"#);
        let (config, _) = load_with(&services(&[("web", keys)], &rest), &env);
        let heard = match &service(&config, "web").notify {
            Notify::Topic(topic) => Some((topic.label.as_deref(), topic.secret.as_str())),
            Notify::Nobody | Notify::CommandOnly => None,
        };
        assert_eq!(heard, expected, "{keys} {section}");
        assert_eq!(config.notifications.server.as_deref(), Some("https://ntfy.sh"));
    }
}

#[test]
fn a_literal_topic_alone_is_enough_to_be_heard() {
    let (config, warnings) =
        load_with(&services(&[("web", r#", "notify_on_fail": "topic:x""#)], ""), &|_| None);
    assert_eq!(config.notifications.server.as_deref(), Some("https://ntfy.sh"));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_notification_command_alone_hears_of_everything_but_the_silenced() {
    let rest = r#", "notifications": {"command": "mail ops"}"#;
    let (config, warnings) =
        load_with(&services(&[("a", ""), ("b", r#", "notify_on_fail": null"#)], rest), &|_| None);
    assert_eq!(service(&config, "a").notify, Notify::CommandOnly);
    assert_eq!(service(&config, "b").notify, Notify::Nobody);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn services_that_nobody_would_hear_of_are_listed() {
    let (_, warnings) = load_with(&services(&[("web", "")], ""), &|_| None);
    assert_eq!(
        warnings,
        ["F: warning: notifications: no notifications are configured: alerts are only logged; \
          set ntfy.topics, command or webhook, or NTFY_TOPIC in the environment"]
    );
    let rest = r#", "notifications": {"ntfy": {"topics": {"ops": "x"}}}"#;
    let heard = r#", "notify_on_fail": "ops""#;
    let (_, warnings) = load_with(&services(&[("db", heard), ("web", "")], rest), &|_| None);
    assert_eq!(
        warnings,
        ["F:1:112: warning: services.web: nobody would hear of it; \
          set notify_on_fail, or notifications.default_topic"]
    );
}

#[test]
fn the_environment_serves_where_the_file_is_silent_and_secrets_stay_out_of_debug_output() {
    let env = |name: &str| match name {
        "NTFY_SERVER" => Some("http://ntfy.local:8080/".to_owned()),
        "NTFY_TOPIC" => Some("secret-topic".to_owned()),
        "TOKEN" => Some("tk_secret".to_owned()),
        "WEB_AUTH" => Some("Bearer secret-bearer".to_owned()),
        _ => None,
    };
    let text = r#"{"services": {"web": {"restart_cmd": "x", "health_check": {"type": "http", "endpoint": "http://x/",
        "headers_env": {"Authorization": "WEB_AUTH"}}}}, "notifications": {"ntfy": {"token_env": "TOKEN"}}}"#;
    let (config, warnings) = load_with(text, &env);
    assert_eq!(config.notifications.server.as_deref(), Some("http://ntfy.local:8080"));
    assert_eq!(warnings, Vec::<String>::new());
    let shown = format!("{config:?}");
    assert!(!shown.contains("secret"), "{shown}");
    let named = r#", "notifications": {"ntfy": {"server": "https://n.example"}}"#;
    let (config, _) = load_with(&services(&[("web", "")], named), &env);
    assert_eq!(config.notifications.server.as_deref(), Some("https://n.example"));
}

#[test]
fn a_webhook_alone_hears_of_everything_but_the_silenced_and_stays_hidden() {
    let env = |name: &str| ["HOOK", "KEY"].contains(&name).then(|| "https://secret/hook".to_owned());
    let literal = r#"{"url": "https://example.org/secret"}"#;
    let named = r#"{"url_env": "HOOK", "headers_env": {"X-Key": "KEY"}}"#;
    for webhook in [literal, named] {
        let rest = format!(r#", "notifications": {{"webhook": {webhook}, "host_label": " vps-1 "}}"#);
        let texts = [("a", ""), ("b", r#", "notify_on_fail": null, "runbook_url": "https://wiki/b""#)];
        let (config, warnings) = load_with(&services(&texts, &rest), &env);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(service(&config, "a").notify, Notify::CommandOnly);
        assert_eq!(service(&config, "b").notify, Notify::Nobody);
        assert_eq!(service(&config, "b").runbook_url.as_deref(), Some("https://wiki/b"));
        assert_eq!(config.notifications.host_label, Some(HostLabel::Text("vps-1".into())));
        let shown = format!("{config:?}");
        assert!(!shown.contains("secret") && shown.contains("Webhook("), "{shown}");
    }
}

#[test]
fn relative_paths_are_relative_to_the_configuration_file() {
    let rest = r#", "recovery": {"state_dir": "../state", "log_file": "./log/r.log", "engine": "bin/podman"},
        "notifications": {"ntfy": {"token_file": "token"}}"#;
    let keys = r#", "log_path": "web.log""#;
    let boxed = r#", "log_path": "web.log", "container": "box""#;
    let config = load(&services(&[("host", keys), ("boxed", boxed)], rest));
    assert_eq!(config.recovery.state_dir, Path::new("/etc/state"));
    assert_eq!(config.recovery.stop_dir, Path::new("/etc/state/manual-stop"));
    assert_eq!(config.recovery.log_file.as_deref(), Some(Path::new("/etc/r/log/r.log")));
    assert_eq!(config.recovery.engine, "/etc/r/bin/podman");
    assert_eq!(config.notifications.token, Token::File("/etc/r/token".into()));
    assert_eq!(service(&config, "host").log_path.as_deref(), Some("/etc/r/web.log"));
    assert_eq!(service(&config, "boxed").log_path.as_deref(), Some("web.log"));
}

#[test]
fn null_means_not_set_but_is_a_value_to_expect() {
    let text = r#"{"services": {"web": {"enabled": null, "restart_cmd": "x", "container": null, "env": {"A": null},
        "health_check": {"type": "custom", "command": "x", "interval_seconds": null,
            "expect_json": [{"path": "$.error", "equals": null}]}}, "gone": null},
        "recovery": null, "notifications": {"ntfy": null, "command": null}}"#;
    let config = load(text);
    assert_eq!(config.services.len(), 1);
    let web = service(&config, "web");
    assert!(web.enabled && web.container.is_none() && web.env.is_empty() && web.check.interval.is_none());
    let Probe::Custom { expect_json, .. } = &web.check.probe else { panic!("not custom") };
    assert_eq!(expect_json.len(), 1);
}

#[test]
fn status_sets_are_read_as_written() {
    let table: [(&str, &str, &[u16], &[u16]); 4] = [
        ("204", "204", &[204], &[200, 205]),
        (r#""2xx""#, "2xx", &[200, 299], &[199, 300]),
        (r#"["2xx", 404]"#, "2xx, 404", &[200, 404], &[403, 300]),
        (r#""200-204""#, "200-204", &[200, 204], &[205]),
    ];
    for (written, text, healthy, not) in table {
        let text_of_file = format!(
            r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check":
                {{"type": "http", "endpoint": "http://x/", "expect_status": {written}}}}}}}}}"#
        );
        let config = load(&text_of_file);
        let Probe::Http(http) = &service(&config, "web").check.probe else { panic!("not http") };
        assert_eq!(http.expect_status.text, text);
        assert!(healthy.iter().all(|&code| http.expect_status.contains(code)), "{written}");
        assert!(!not.iter().any(|&code| http.expect_status.contains(code)), "{written}");
    }
}

fn names(list: &[&Service]) -> Vec<String> {
    list.iter().map(|service| service.name.to_string()).collect()
}

#[test]
fn the_plan_takes_dependencies_first_and_otherwise_the_order_of_the_file() {
    let list = [
        ("web", r#", "dependencies": ["db", "old"]"#),
        ("cache", ""),
        ("db", r#", "dependencies": ["disk"]"#),
        ("old", r#", "enabled": false, "dependencies": ["cache"]"#),
        ("disk", ""),
        ("lonely", ""),
    ];
    let config = load(&services(&list, ""));
    assert_eq!(names(&plan::order(&config)), ["disk", "db", "web", "cache", "lonely"]);

    let select = |wanted: &[&str], deps| {
        let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
        plan::select(&config, &wanted, deps).map(|list| names(&list)).map_err(|error| error.to_string())
    };
    assert_eq!(select(&["web"], true).unwrap(), ["disk", "db", "web"]);
    assert_eq!(select(&["web", "disk", "web"], false).unwrap(), ["disk", "web"]);
    assert_eq!(select(&["lonely", "db"], true).unwrap(), ["disk", "db", "lonely"]);
    assert_eq!(select(&["old"], true).unwrap(), Vec::<String>::new());
    assert_eq!(
        select(&["web", "lonly"], true).unwrap_err(),
        r#"unknown service "lonly"; did you mean "lonely"?"#
    );
    assert_eq!(
        select(&["nothing-like-it"], true).unwrap_err(),
        r#"unknown service "nothing-like-it"; "recovery validate" lists the services"#
    );

    let dependents = |name: &str| {
        let list = plan::dependents(&config, &ServiceName::new(name).unwrap());
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(dependents("disk"), ["web", "db"]);
    assert_eq!(dependents("cache"), Vec::<String>::new());
    assert_eq!(dependents("old"), ["web"]);
}

#[test]
fn a_check_pasted_from_compose_means_what_it_means_there() {
    let command = |written: &str| {
        let text = format!(
            r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check": {{"type": "custom", "command": {written}}}}}}}}}"#
        );
        let config = load(&text);
        let Probe::Custom { command, .. } = &service(&config, "web").check.probe else {
            panic!("not custom")
        };
        command.clone()
    };
    let argv = |words: &[&str]| CustomCommand::Argv(words.iter().map(|&word| word.to_owned()).collect());
    assert_eq!(command(r#"["CMD", "curl", "-f", "$HOME"]"#), argv(&["curl", "-f", "$HOME"]));
    assert_eq!(command(r#"["curl", "CMD"]"#), argv(&["curl", "CMD"]));
    assert_eq!(command(r#"["CMD-SHELL", "a || exit 1"]"#), CustomCommand::Shell("a || exit 1".into()));
    assert_eq!(command(r#""a || exit 1""#), CustomCommand::Shell("a || exit 1".into()));
}

#[test]
fn what_a_missing_program_and_a_closed_connection_mean_is_the_operators_word() {
    let probe = |check: &str| {
        let text =
            format!(r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check": {{{check}}}}}}}}}"#);
        service(&load(&text), "web").check.probe.clone()
    };
    let missing = |rest: &str| match probe(&format!(r#""type": "custom", "command": "x"{rest}"#)) {
        Probe::Custom { missing_program, .. } => missing_program,
        _ => panic!("not custom"),
    };
    assert_eq!(missing(""), MissingProgram::Unknown);
    assert_eq!(missing(r#", "missing_program": "unknown""#), MissingProgram::Unknown);
    assert_eq!(missing(r#", "missing_program": "unhealthy""#), MissingProgram::Unhealthy);
    let closed = |rest: &str| match probe(&format!(r#""type": "tcp", "port": 1{rest}"#)) {
        Probe::Tcp { closed_at_once, .. } => closed_at_once,
        _ => panic!("not tcp"),
    };
    assert_eq!(closed(""), ClosedAtOnce::Refused);
    assert_eq!(closed(r#", "closed_at_once": "healthy""#), ClosedAtOnce::Healthy);
}
