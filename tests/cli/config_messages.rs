//! What an operator reads for the most likely mistakes, word for word: severity, place, what would be right.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use recovery::config::read::read;

/// Every problem of `text`, as it is printed.
fn problems(text: &str) -> Vec<String> {
    let file = Path::new("/cfg/c.json");
    let env = |name: &str| (name == "NTFY_TOPIC").then(|| "some-topic".to_owned());
    let (config, problems) = read(text.as_bytes(), file, PathBuf::from("/state"), &env);
    let errors = problems.iter().filter(|p| p.severity == recovery::config::Severity::Error).count();
    assert_eq!(config.is_some(), errors == 0, "{text}");
    problems.iter().map(|p| p.render(file).replacen("/cfg/c.json", "F", 1)).collect()
}

/// A configuration with one service `web` that has these further keys, all on line 1.
fn with_service(keys: &str) -> String {
    format!(
        r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check": {{"type": "tcp", "port": 1}}{keys}}}}}}}"#
    )
}

/// A configuration with one service `web` with this health check.
fn with_check(check: &str) -> String {
    format!(r#"{{"services": {{"web": {{"restart_cmd": "x", "health_check": {{{check}}}}}}}}}"#)
}

/// A configuration with one good service and this further section.
fn with_section(section: &str) -> String {
    let service = with_service("");
    format!("{}, {section}}}", &service[..service.len() - 1])
}

#[track_caller]
fn says(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "\n{text}");
}

#[test]
fn the_file_as_a_whole() {
    says(r#"[]"#, &["F:1:1: error: expected an object { … }, found a list"]);
    says(r#"{}"#, &[r#"F:1:1: error: "services" is missing: {"services": {"NAME": {"health_check": {…}}}}"#]);
    says(r#"{"services": {}}"#, &["F: warning: services: no service is enabled: nothing will be looked at"]);
    says(
        r#"{"service": {}}"#,
        &[
            r#"F:1:1: error: "services" is missing: {"services": {"NAME": {"health_check": {…}}}}"#,
            r#"F:1:2: warning: service: not read, as it is no section of recovery; did you mean "services"?"#,
        ],
    );
    says(r#"{"services": []}"#, &["F:1:14: error: services: expected an object { … }, found a list"]);
    says(
        r#"{"services": {"a b": {"health_check": {"type": "tcp", "port": 1}}}}"#,
        &[
            r#"F:1:15: error: services["a b"]: "a b" cannot name a service: letters, digits, ".", "_", "-", at most 128, not "." or "-" first"#,
        ],
    );
    says(
        r#"{"services": {"web": {}}}"#,
        &[
            r#"F:1:15: warning: services.web: nothing can restart it; set restart_cmd, or "restart": "none" if that is meant"#,
            r#"F:1:22: error: services.web: "health_check" is missing: every service needs one"#,
        ],
    );
    says(
        r#"{"services": {"web": {"enabled": false, "health_check": {"type": "tcp", "port": 1}}}, "x": {"a": 1, "a": 2}, "other": 1}"#,
        &["F:1:101: error: x.a: this key stands twice in the same object; remove one of them"],
    );
}

#[test]
fn keys_of_a_service() {
    says(
        &with_service(r#", "startup_delay_secs": 5"#),
        &[
            r#"F:1:87: error: services.web.startup_delay_secs: unknown key; did you mean "startup_delay_seconds"?"#,
        ],
    );
    says(
        &with_service(r#", "restart_command": "y""#),
        &[r#"F:1:87: error: services.web.restart_command: unknown key; did you mean "restart_cmd"?"#],
    );
    says(
        &with_service(r#", "depends_on": []"#),
        &[r#"F:1:87: error: services.web.depends_on: unknown key; did you mean "dependencies"?"#],
    );
    says(
        &with_service(r#", "description": "x", "x-y": 1, "_z": 2"#),
        &[
            r#"F:1:87: warning: services.web.description: unknown key, ignored; begin it with "x-" or "_" if that is meant"#,
        ],
    );
    says(
        &with_service(r#", "timeout_seconds": 5, "port": 9000"#),
        &[
            r#"F:1:87: error: services.web.timeout_seconds: belongs into health_check: {"health_check": {"timeout_seconds": …}}"#,
            r#"F:1:109: warning: services.web.port: unknown key, ignored; begin it with "x-" or "_" if that is meant"#,
        ],
    );
    says(
        &with_service(r#", "enabled": "yes""#),
        &[r#"F:1:98: error: services.web.enabled: expected true or false, found "yes""#],
    );
    says(
        &with_service(r#", "enabled": true, "enabled": false"#),
        &[
            "F:1:104: error: services.web.enabled: this key stands twice in the same object; remove one of them",
        ],
    );
    says(
        &with_service(r#", "startup_delay_seconds": "5s""#),
        &[
            r#"F:1:112: error: services.web.startup_delay_seconds: expected a number of seconds, such as 5, found "5s""#,
        ],
    );
    says(
        &with_service(r#", "startup_delay_seconds": -1"#),
        &["F:1:112: error: services.web.startup_delay_seconds: expected seconds from 0 to 86400, found -1"],
    );
    says(
        &with_service(r#", "startup_delay_seconds": 1e400"#),
        &[
            "F:1:112: error: services.web.startup_delay_seconds: expected seconds from 0 to 86400, found 1e400",
        ],
    );
    says(
        &with_service(r#", "max_failures": 2.5"#),
        &["F:1:103: error: services.web.max_failures: expected a whole number from 0 to 1000, found 2.5"],
    );
    says(
        &with_service(r#", "max_failures": -1"#),
        &["F:1:103: error: services.web.max_failures: expected a whole number from 0 to 1000, found -1"],
    );
    says(
        &with_service(r#", "restart": "contaner""#),
        &[
            r#"F:1:98: error: services.web.restart: expected one of "command", "container", "none", found "contaner"; did you mean "container"?"#,
        ],
    );
    says(
        &with_service(r#", "restart": "container""#),
        &[r#"F:1:98: error: services.web.restart: "container" needs a container"#],
    );
    says(
        &with_service(r#", "container": "my container""#),
        &[
            r#"F:1:100: error: services.web.container: expected a container's name (letters, digits, ".", "_", "-"), found "my container""#,
        ],
    );
    says(
        &with_service(r#", "log_path": "~/web.log""#),
        &[r#"F:1:99: error: services.web.log_path: "~" is not expanded; write the whole path"#],
    );
    says(
        &with_service(r#", "display_name": """#),
        &["F:1:103: error: services.web.display_name: must not be empty"],
    );
    says(
        &with_service(r#", "env": {"1A": "x", "B": 5, "C": null}"#),
        &[
            r#"F:1:101: error: services.web.env.1A: "1A" cannot name an environment variable: letters, digits and "_", not a digit first"#,
            "F:1:111: error: services.web.env.B: expected text, found a number; put it in double quotes",
        ],
    );
    says(
        &with_service(r#", "user": "-x""#),
        &[
            r#"F:1:95: error: services.web.user: expected a user as "docker exec -u" takes it (name, number, or user:group), found "-x""#,
        ],
    );
    says(
        &with_service(r#", "dependencies": "db""#),
        &[r#"F:1:103: error: services.web.dependencies: expected a list of service names, found "db""#],
    );
    says(
        &with_service(r#", "dependencies": ["wbe", 5]"#),
        &[
            r#"F:1:104: error: services.web.dependencies[0]: unknown service "wbe"; did you mean "web"?"#,
            "F:1:111: error: services.web.dependencies[1]: expected text, found a number; put it in double quotes",
        ],
    );
    says(
        &with_service(r#", "dependencies": ["web"]"#),
        &[
            "F:1:103: error: services.web.dependencies: these services need each other: web → web; remove one of the dependencies",
        ],
    );
    says(
        &with_service(
            r#", "dependencies": [{"service": "wbe", "restrat": true}, {"restart": "yes"}, {"service": 5}, 7]"#,
        ),
        &[
            r#"F:1:116: error: services.web.dependencies[0].service: unknown service "wbe"; did you mean "web"?"#,
            r#"F:1:123: error: services.web.dependencies[0].restrat: unknown key; did you mean "restart"?"#,
            r#"F:1:141: error: services.web.dependencies[1]: "service" is missing: {"service": "NAME", "restart": true}"#,
            "F:1:153: error: services.web.dependencies[1].restart: expected true or false, found \"yes\"",
            "F:1:173: error: services.web.dependencies[2].service: expected text, found a number; put it in double quotes",
            "F:1:177: error: services.web.dependencies[3]: expected text, found a number; put it in double quotes",
        ],
    );
    says(
        &with_service(r#", "notify_on_fail": "alert""#),
        &[
            r#"F:1:105: error: services.web.notify_on_fail: no such key in notifications.ntfy.topics (there are none); a literal topic is written "topic:NAME""#,
        ],
    );
    says(
        &with_service(r#", "notify_on_fail": "topic:not a topic""#),
        &[r#"F:1:105: error: services.web.notify_on_fail: a topic is 1 to 64 letters, digits, "_" or "-""#],
    );
    says(&with_service(r#", "notify_on_fail": null"#), &[]);
    says(
        &with_service(r#", "failure_window_seconds": 300"#),
        &[
            "F:1:113: warning: services.web.failure_window_seconds: 3 restarts, one every 300 s, never fit into 300 s, so web is never given up; set at least 1200",
        ],
    );
    says(
        &with_service(r#", "container_start": "always""#),
        &["F:1:15: warning: services.web: container_start means nothing without a container"],
    );
    says(
        &with_service(r#", "startup_delay_seconds": 10, "startup_timeout_seconds": 5"#),
        &[
            "F:1:15: warning: services.web: startup_timeout_seconds is less than startup_delay_seconds; the delay is used for both",
        ],
    );
}

#[test]
fn health_checks() {
    says(
        &with_check(r#""type": "htttp""#),
        &[
            r#"F:1:68: error: services.web.health_check.type: expected one of "http", "tcp", "process", "custom", found "htttp"; did you mean "http"?"#,
        ],
    );
    says(
        &with_check(r#""#),
        &[
            r#"F:1:59: error: services.web.health_check: "type" is missing: one of "http", "tcp", "process", "custom""#,
        ],
    );
    says(
        &with_check(r#""type": "http""#),
        &[r#"F:1:59: error: services.web.health_check: "endpoint" is missing: http checks need it"#],
    );
    says(
        &with_check(r#""type": "http", "url": "http://x/""#),
        &[
            r#"F:1:59: error: services.web.health_check: "endpoint" is missing: http checks need it"#,
            r#"F:1:76: error: services.web.health_check.url: unknown key; did you mean "endpoint"?"#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "localhost:9000""#),
        &[
            r#"F:1:88: error: services.web.health_check.endpoint: does not begin with "http://" or "https://"; expected a URL such as "http://localhost:9000/health""#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http://x:99999/""#),
        &[
            r#"F:1:88: error: services.web.health_check.endpoint: has no valid port (1 to 65535); expected a URL such as "http://localhost:9000/health""#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http:///x""#),
        &[
            r#"F:1:88: error: services.web.health_check.endpoint: is not a valid URL; expected a URL such as "http://localhost:9000/health""#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http://x/", "method": "GTE""#),
        &[
            r#"F:1:111: error: services.web.health_check.method: expected one of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", found "GTE"; did you mean "GET"?"#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http://x/", "expect_status": 99"#),
        &[
            r#"F:1:118: error: services.web.health_check.expect_status: expected a status from 100 to 599, a list of them, or a class such as "2xx""#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http://x/", "expect_status": ["2xx", 404, "6xx"]"#),
        &[
            r#"F:1:131: error: services.web.health_check.expect_status[2]: expected a status from 100 to 599, a list of them, or a class such as "2xx""#,
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http://x/", "port": 80, "timeout_secs": 1"#),
        &[
            "F:1:101: warning: services.web.health_check.port: ignored: it belongs to tcp checks, not to http checks",
            r#"F:1:113: error: services.web.health_check.timeout_secs: unknown key; did you mean "timeout_seconds"?"#,
        ],
    );
    says(
        &with_check(
            r#""type": "http", "endpoint": "http://x/", "headers": {"A B": "x", "C": "a\nb"}, "headers_env": {"D": "not a name"}"#,
        ),
        &[
            r#"F:1:120: error: services.web.health_check.headers["A B"]: "A B" cannot name a header"#,
            "F:1:130: error: services.web.health_check.headers.C: a header's value is one line of visible characters",
            r#"F:1:160: error: services.web.health_check.headers_env.D: expected the name of an environment variable (letters, digits, "_"), not a value"#,
        ],
    );
    says(
        &with_check(
            r#""type": "http", "endpoint": "http://x/", "headers_env": {"Authorization": "WEB_AUTH"}"#,
        ),
        &[
            "F:1:134: warning: services.web.health_check.headers_env.Authorization: environment variable WEB_AUTH is not set: the check cannot be made",
        ],
    );
    says(
        &with_check(r#""type": "http", "endpoint": "http://x/", "method": "head", "expect_body": "x""#),
        &[
            "F:1:59: error: services.web.health_check: the answer to HEAD has no body; use another method, or leave out expect_body and expect_json",
        ],
    );
    says(
        &with_check(r#""type": "tcp", "port": 1, "max_failures": 2"#),
        &["F:1:86: error: services.web.health_check.max_failures: belongs to the service, one level up"],
    );
    says(
        &with_check(r#""type": "tcp""#),
        &[r#"F:1:59: error: services.web.health_check: "port" is missing: tcp checks need it"#],
    );
    says(
        &with_check(r#""type": "tcp", "port": 70000"#),
        &[
            "F:1:83: error: services.web.health_check.port: expected a whole number from 1 to 65535, found 70000",
        ],
    );
    says(
        &with_check(r#""type": "tcp", "port": "5432""#),
        &[
            r#"F:1:83: error: services.web.health_check.port: expected a whole number from 1 to 65535, found "5432""#,
        ],
    );
    says(
        &with_check(r#""type": "tcp", "port": 1, "host": "-x""#),
        &[r#"F:1:94: error: services.web.health_check.host: expected a host name or address, found "-x""#],
    );
    says(
        &with_check(r#""type": "tcp", "port": 1, "timeout_seconds": 0"#),
        &[
            "F:1:105: error: services.web.health_check.timeout_seconds: expected seconds from 0.1 to 3600, found 0",
        ],
    );
    says(
        &with_check(r#""type": "tcp", "port": 1, "from": "container""#),
        &[
            r#"F:1:94: error: services.web.health_check.from: the service names no container; set "container" or leave this out"#,
        ],
    );
    says(
        &with_check(r#""type": "process", "process_name": "(minio""#),
        &[
            r#"F:1:95: error: services.web.health_check.process_name: invalid regular expression "(minio": unclosed group"#,
        ],
    );
    says(
        &with_check(r#""type": "process", "process_name": ".*""#),
        &[
            "F:1:95: warning: services.web.health_check.process_name: matches every process, so the service would always look healthy",
        ],
    );
    says(
        &with_check(r#""type": "process""#),
        &[r#"F:1:59: error: services.web.health_check: "process_name" is missing: process checks need it"#],
    );
    says(
        &with_check(r#""type": "custom", "command": []"#),
        &["F:1:89: error: services.web.health_check.command: an empty list: the first item is the program"],
    );
    says(
        &with_check(r#""type": "custom", "command": ["", 5]"#),
        &[
            "F:1:90: error: services.web.health_check.command[0]: must not be empty",
            "F:1:94: error: services.web.health_check.command[1]: expected text, found a number; put it in double quotes",
        ],
    );
    says(
        &with_check(r#""type": "custom", "command": " ""#),
        &["F:1:89: error: services.web.health_check.command: must not be empty"],
    );
    says(
        &with_check(r#""type": "custom", "command": "x", "expect_json": {"path": "$"}"#),
        &[
            r#"F:1:109: error: services.web.health_check.expect_json: expected a list such as [{"path": "$.status", "equals": "ok"}], found an object"#,
        ],
    );
    says(
        &with_check(
            r#""type": "custom", "command": "x", "expect_json": [{"path": "status", "equals": 1}, {"path": "$.a["}, {"equals": 1}, {"path": "$", "min": "1"}, {"path": "$", "equal": 1}, {"path": "$", "min": 1, "max": 2}, {"path": "$", "matches": "("}, {"path": "$", "one_of": []}]"#,
        ),
        &[
            r#"F:1:119: error: services.web.health_check.expect_json[0].path: invalid JSONPath: a JSONPath begins with "$"; expected one such as "$.status""#,
            "F:1:143: error: services.web.health_check.expect_json[1]: expected exactly one of equals, not_equals, one_of, min, max, matches, exists, found 0",
            r#"F:1:161: error: services.web.health_check.expect_json[2]: "path" is missing, such as "$.status""#,
            "F:1:197: error: services.web.health_check.expect_json[3].min: expected a number",
            "F:1:203: error: services.web.health_check.expect_json[4]: expected exactly one of equals, not_equals, one_of, min, max, matches, exists, found 0",
            r#"F:1:217: error: services.web.health_check.expect_json[4].equal: unknown key; did you mean "equals"?"#,
            "F:1:230: error: services.web.health_check.expect_json[5]: expected exactly one of equals, not_equals, one_of, min, max, matches, exists, found 2",
            r#"F:1:290: error: services.web.health_check.expect_json[6].matches: invalid regular expression "(": unclosed group"#,
            "F:1:320: error: services.web.health_check.expect_json[7].one_of: an empty list: nothing would be healthy",
        ],
    );
}

#[test]
fn recovery_section() {
    says(
        &with_section(r#""recovery": {"state_directory": "x", "schedule": 60}"#),
        &[
            r#"F:1:102: error: recovery.state_directory: unknown key; did you mean "state_dir"?"#,
            r#"F:1:126: error: recovery.schedule: unknown key; did you mean "schedule_seconds"?"#,
        ],
    );
    says(
        &with_section(r#""recovery": {"engine": "-x", "container_suffix": "a b", "max_parallel": 0}"#),
        &[
            r#"F:1:112: error: recovery.engine: expected the name or path of a command, found "-x""#,
            r#"F:1:138: error: recovery.container_suffix: expected the end of a container's name (letters, digits, ".", "_", "-")"#,
            "F:1:161: error: recovery.max_parallel: expected a whole number from 1 to 256, found 0",
        ],
    );
    says(
        &with_section(r#""recovery": {"log_file": "~/x", "pass_timeout_seconds": 0}"#),
        &[
            r#"F:1:114: error: recovery.log_file: "~" is not expanded; write the whole path"#,
            "F:1:145: error: recovery.pass_timeout_seconds: expected seconds from 1 to 604800, found 0",
        ],
    );
    says(
        &with_section(r#""recovery": {"defaults": {"timeout": 5, "health_check": {}, "max_failures": "3"}}"#),
        &[
            r#"F:1:115: error: recovery.defaults.timeout: unknown key; did you mean "timeout_seconds"?"#,
            "F:1:129: warning: recovery.defaults.health_check: ignored: of a health check only timeout_seconds has a default",
            r#"F:1:165: error: recovery.defaults.max_failures: expected a whole number from 0 to 1000, found "3""#,
        ],
    );
    says(
        &with_section(r#""recovery": {"defaults": {"dependencies": ["nope"]}}"#),
        &[r#"F:1:132: error: recovery.defaults.dependencies[0]: unknown service "nope""#],
    );
    says(
        &with_section(r#""recovery": []"#),
        &["F:1:101: error: recovery: expected an object { … }, found a list"],
    );
}

#[test]
fn notifications_section() {
    says(
        &with_section(
            r#""notifications": {"ntfy": {"server": "ntfy.sh", "topics": {"alerts": "not a topic!"}}}"#,
        ),
        &[
            r#"F:1:126: error: notifications.ntfy.server: does not begin with "http://" or "https://"; expected the server alone, such as "https://ntfy.sh""#,
            r#"F:1:158: error: notifications.ntfy.topics.alerts: a topic is 1 to 64 letters, digits, "_" or "-""#,
        ],
    );
    says(
        &with_section(r#""notifications": {"ntfy": {"server": "https://ntfy.sh/alerts"}}"#),
        &[
            r#"F:1:126: error: notifications.ntfy.server: has a path; expected the server alone, such as "https://ntfy.sh", and topics in "topics""#,
        ],
    );
    says(
        &with_section(r#""notifications": {"ntfy": {"server": "https://me:pw@ntfy.sh"}}"#),
        &[
            r#"F:1:126: error: notifications.ntfy.server: contains a password; expected the server alone, such as "https://ntfy.sh", and token_env or token_file"#,
        ],
    );
    says(
        &with_section(
            r#""notifications": {"ntfy": {"topics": {"ops": {"env": "OPS_TOPIC"}, "b": {"envv": "X"}, "c": 5}}}"#,
        ),
        &[
            "F:1:142: warning: notifications.ntfy.topics.ops.env: environment variable OPS_TOPIC is not set; the default topic is used instead",
            r#"F:1:161: error: notifications.ntfy.topics.b: expected {"env": "VARIABLE"}"#,
            r#"F:1:162: error: notifications.ntfy.topics.b.envv: unknown key; did you mean "env"?"#,
            "F:1:181: error: notifications.ntfy.topics.c: expected text, found a number; put it in double quotes",
        ],
    );
    says(
        &with_section(r#""notifications": {"ntfy": {"token": "tk_secret"}}"#),
        &[r#"F:1:116: error: notifications.ntfy.token: unknown key; did you mean "token_env"?"#],
    );
    says(
        &with_section(r#""notifications": {"ntfy": {"token_env": "tk-secret"}}"#),
        &[
            r#"F:1:129: error: notifications.ntfy.token_env: expected the name of an environment variable (letters, digits, "_"), not a value"#,
        ],
    );
    says(
        &with_section(r#""notifications": {"ntfy": {"token_env": "NTFY_TOKEN"}}"#),
        &["F:1:129: warning: notifications.ntfy.token_env: environment variable NTFY_TOKEN is not set"],
    );
    says(
        &with_section(r#""notifications": {"ntfy": {"token_env": "A", "token_file": "t"}}"#),
        &["F:1:148: error: notifications.ntfy.token_file: token_env is set too; leave one of them out"],
    );
    says(
        &with_section(
            r#""notifications": {"default_topic": "ops", "cooldown": 5, "ntfy": {"topic": "x", "topics": {"alerts": "abc"}}}"#,
        ),
        &[
            r#"F:1:124: error: notifications.default_topic: no such key in notifications.ntfy.topics (alerts); a literal topic is written "topic:NAME""#,
            r#"F:1:131: error: notifications.cooldown: unknown key; did you mean "cooldown_seconds"?"#,
            r#"F:1:155: error: notifications.ntfy.topic: write "topics": {"alerts": "NAME"}"#,
        ],
    );
}

#[test]
fn webhook_label_and_runbook() {
    let webhook = |keys: &str| with_section(&format!(r#""notifications": {{"webhook": {keys}}}"#));
    says(
        &webhook(r#""https://example.org/hook""#),
        &[
            r#"F:1:118: error: notifications.webhook: expected an object: {"url": "https://…"} or {"url_env": "VARIABLE"}"#,
        ],
    );
    says(
        &webhook("{}"),
        &[
            r#"F:1:118: error: notifications.webhook: "url" is missing: {"url": "https://…"} or {"url_env": "VARIABLE"}"#,
        ],
    );
    says(
        &webhook(r#"{"url": "https://a", "url_env": "B"}"#),
        &["F:1:150: error: notifications.webhook.url_env: url is set too; leave one of them out"],
    );
    says(
        &webhook(r#"{"url": "me:hush@example.org"}"#),
        &[
            r#"F:1:126: error: notifications.webhook.url: does not begin with "http://" or "https://"; expected a URL such as "https://example.org/hook""#,
        ],
    );
    says(
        &webhook(r#"{"url": "https://me:hush@example.org"}"#),
        &[
            r#"F:1:126: error: notifications.webhook.url: contains a user or password; expected a URL such as "https://example.org/hook", and headers_env"#,
        ],
    );
    says(
        &webhook(r#"{"urls": "x", "url": "https://a", "headers": {"A": "b"}}"#),
        &[
            r#"F:1:119: error: notifications.webhook.urls: unknown key; did you mean "url"?"#,
            "F:1:152: error: notifications.webhook.headers: a header may hold a secret, so it is read from the environment: headers_env",
        ],
    );
    says(
        &webhook(r#"{"url": "https://a", "headers_env": {"a b": "X", "Host": "Y"}}"#),
        &[
            "F:1:162: warning: notifications.webhook.headers_env[\"a b\"]: environment variable X is not set: events wait until a pass finds it set",
            "F:1:162: error: notifications.webhook.headers_env[\"a b\"]: \"a b\" cannot name a header",
            "F:1:175: warning: notifications.webhook.headers_env.Host: environment variable Y is not set: events wait until a pass finds it set",
            "F:1:175: error: notifications.webhook.headers_env.Host: this header is set by recovery itself",
        ],
    );
    says(
        &with_section(r#""notifications": {"topics": {}, "host_label": 5, "notify_on_recovery": "yes"}"#),
        &[
            r#"F:1:107: error: notifications.topics: belongs to ntfy, one level down: {"ntfy": {"topics": …}}"#,
            r#"F:1:135: error: notifications.host_label: expected true (this machine's own name) or a text such as "vps-1""#,
            r#"F:1:160: error: notifications.notify_on_recovery: expected true or false, found "yes""#,
        ],
    );
    says(
        &with_service(r#", "runbook_url": "wiki/web", "notify_on_recover": true"#),
        &[
            r#"F:1:102: error: services.web.runbook_url: does not begin with "http://" or "https://"; expected a URL such as "https://wiki.example.org/runbooks/web""#,
            r#"F:1:114: error: services.web.notify_on_recover: unknown key; did you mean "notify_on_recovery"?"#,
        ],
    );
    says(
        &with_service(r#", "runbook_url": "https://me:hush@wiki/web""#),
        &[
            r#"F:1:102: error: services.web.runbook_url: contains a user or password, and is shown to everybody told; expected a URL such as "https://wiki.example.org/runbooks/web""#,
        ],
    );
}

#[test]
fn services_together() {
    says(
        r#"{"services": {"db": {"restart_cmd": "x", "health_check": {"type": "tcp"}}, "web": {"restart_cmd": "x", "dependencies": ["db"], "health_check": {"type": "tcp", "port": 1}}}}"#,
        &[r#"F:1:58: error: services.db.health_check: "port" is missing: tcp checks need it"#],
    );
    says(
        r#"{"services": {"a": {"restart_cmd": "x", "dependencies": ["b"], "health_check": {"type": "tcp", "port": 1}}, "b": {"restart_cmd": "x", "dependencies": ["c"], "health_check": {"type": "tcp", "port": 1}}, "c": {"restart_cmd": "x", "dependencies": ["a"], "health_check": {"type": "tcp", "port": 1}}}}"#,
        &[
            "F:1:57: error: services.a.dependencies: these services need each other: a → b → c → a; remove one of the dependencies",
        ],
    );
    says(
        r#"{"services": {"a": {"container": "box", "restart": "container", "health_check": {"type": "tcp", "port": 1}}, "b": {"container": "box-container", "health_check": {"type": "tcp", "port": 1}}}}"#,
        &[
            "F:1:52: warning: services.a.restart: restarting the container also restarts b",
            r#"F:1:110: warning: services.b: nothing can restart it, as its container is shared with a; set restart_cmd, "restart": "container", or "restart": "none" if that is meant"#,
        ],
    );
    says(
        r#"{"services": {"a": {"restart": "command", "health_check": {"type": "tcp", "port": 1}}, "b": {"health_check": {"type": "tcp", "port": 1}}}}"#,
        &[
            r#"F:1:32: error: services.a.restart: "command" needs a restart_cmd"#,
            r#"F:1:88: warning: services.b: nothing can restart it; set restart_cmd, or "restart": "none" if that is meant"#,
        ],
    );
    says(
        r#"{"services": {"a": {"container": "box", "restart_cmd": "x", "health_check": {"type": "process", "process_name": "x", "from": "machine"}}}}"#,
        &[
            "F:1:126: error: services.a.health_check.from: only http and tcp checks of a container can be made from the machine, not process checks",
        ],
    );
}

/// `web` with these keys beside a good `vpn`.
fn beside_vpn(keys: &str, rest: &str) -> String {
    let check = r#""restart_cmd": "x", "health_check": {"type": "tcp", "port": 1}"#;
    format!(r#"{{"services": {{"vpn": {{{check}}}, "web": {{{check}{keys}}}}}{rest}}}"#)
}

#[test]
fn a_restart_after_a_dependency_must_be_possible_and_said_once() {
    let follows = r#", "dependencies": [{"service": "vpn", "restart": true}"#;
    says(
        &beside_vpn(&format!(r#"{follows}, "vpn"]"#), ""),
        &[
            r#"F:1:214: error: services.web.dependencies[1]: "vpn" is there twice, with and without "restart": true; leave one of them out"#,
        ],
    );
    for (keys, why) in [
        (r#", "restart": "none""#, "nothing restarts this service"),
        (r#", "max_failures": 0"#, "max_failures is 0"),
    ] {
        let error = format!(
            "F:1:189: error: services.web.dependencies[0].service: is to be followed by a restart, but {why}; leave \"restart\": true out"
        );
        says(&beside_vpn(&format!("{follows}]{keys}"), ""), &[&error]);
        // By default it is to follow where it can.
        let defaults = format!(r#", "recovery": {{"defaults": {{{}]}}}}"#, &follows[2..]);
        assert_eq!(problems(&beside_vpn(keys, &defaults)), Vec::<String>::new());
    }
}

/// Pasted from a Compose file: understood where it has one meaning, else told in our words.
#[test]
fn words_of_compose() {
    let check = |rest: &str| with_check(&format!(r#""type": "custom", {rest}"#));
    let place = "F:1:89: error: services.web.health_check.command:";
    for fine in [
        r#""command": ["CMD", "curl", "-f", "http://localhost/"]"#,
        r#""command": ["CMD-SHELL", "curl -f http://localhost/ || exit 1"]"#,
        r#""command": "echo $$; kill -0 $$ && touch /tmp/x.$$""#,
        r#""command": "command -v curl >/dev/null || exit 127; curl -f http://localhost/""#,
        r#""command": "type -t x; curl -f http://localhost/ || exit 1""#,
    ] {
        says(&check(fine), &[]);
    }
    let disabled = "leave the service out, or set its \"enabled\" to false";
    let errors = [
        (r#"["NONE"]"#, format!("\"NONE\" is Compose's word for no check; {disabled}")),
        (r#"["CMD"]"#, "after \"CMD\" stands the program, as [\"CMD\", \"curl\", \"-f\", \"…\"]".to_owned()),
        (
            r#"["CMD-SHELL", "a", "b"]"#,
            "after \"CMD-SHELL\" stands one shell text, as [\"CMD-SHELL\", \"curl … || exit 1\"]".to_owned(),
        ),
        (
            r#""CMD curl -f http://localhost/""#,
            "begins with \"CMD\", which is no program but a word of Compose; leave it out".to_owned(),
        ),
        (r#""NONE""#, format!("begins with \"NONE\", which is no program but a word of Compose; {disabled}")),
    ];
    for (command, text) in errors {
        says(&check(&format!(r#""command": {command}"#)), &[&format!("{place} {text}")]);
    }
    let escape =
        "\"$$\" is Compose's escape for \"$\"; a shell takes it for its own process id: write \"$\" alone";
    let place = "F:1:89: warning: services.web.health_check.command";
    says(&check(r#""command": "curl -f http://$$HOST/""#), &[&format!("{place}: {escape}")]);
    let place = "F:1:103: warning: services.web.health_check.command[1]";
    says(&check(r#""command": ["CMD-SHELL", "[ $$(id -u) = 0 ]"]"#), &[&format!("{place}: {escape}")]);
    says(
        &with_service(r#", "cleanup_cmd": "rm -f $${DIR}/x.pid""#),
        &[&format!("F:1:102: warning: services.web.cleanup_cmd: {escape}")],
    );
    says(
        &check(r#""command": "command -v redis-cli >/dev/null || exit 1; redis-cli ping""#),
        &[
            "F:1:89: warning: services.web.health_check.command: a missing program would count as a service that is \
           down; write \"exit 127\" for \"cannot be checked\"",
        ],
    );
    says(
        &with_check(
            r#""test": "x", "interval": "30s", "timeout": "5s", "retries": 3, "start_period": "9s", "disable": true"#,
        ),
        &[
            r#"F:1:59: error: services.web.health_check: "type" is missing: one of "http", "tcp", "process", "custom""#,
            r#"F:1:60: error: services.web.health_check.test: "test" is Compose's word; write "type": "custom" with "command""#,
            r#"F:1:73: error: services.web.health_check.interval: "interval" is Compose's word; write "interval_seconds", a number, or leave it out: then every pass looks"#,
            r#"F:1:92: error: services.web.health_check.timeout: "timeout" is Compose's word; write "timeout_seconds", a number"#,
            r#"F:1:109: error: services.web.health_check.retries: "retries" is Compose's word; write "failure_threshold" of the service, one level up"#,
            r#"F:1:123: error: services.web.health_check.start_period: "start_period" is Compose's word; write "start_period_seconds" of the service, one level up, a number"#,
            r#"F:1:145: error: services.web.health_check.disable: "disable" is Compose's word; write "enabled": false of the service, one level up"#,
        ],
    );
}
