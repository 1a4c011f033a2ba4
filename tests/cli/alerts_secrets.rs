//! What looks like a secret stays where the operator wrote it: it is planted wherever configuration, checks and
//! servers can carry one, and looked for in everything that a pass leaves or shows.

use crate::common;

use std::fs;
use std::path::Path;

use common::fixture::Fixture;
use common::hook::Hook;
use common::http::HttpService;
use common::ntfy::{Ntfy, refusal};
use common::run::Finished;
use common::server::Reply;
use serde_json::json;

/// Each of its own, so that a leak names its place.
const RESTART: [&str; 5] =
    ["leakenvpass", "leakdashtoken", "leakbearer", "leakurlpass", "AKIALEAKLEAKLEAK1234"];
const OUTPUT: [&str; 3] = ["leakoutputpass", "leakoutputkey", "leakcookie"];
const ENDPOINT: [&str; 2] = ["leakuserinfo", "leakquery"];
const FOUND: [&str; 2] = ["leakbodypass", "leakservererror"];
const SERVICE_ENV: &str = "leakserviceenv";
const HEADER: &str = "leakheader";
const MARKER: &str = "leakreason";
const TOKEN: &str = "leakaccesstoken";
const TOPIC: &str = "leaktopicname";

fn all() -> Vec<&'static str> {
    let mut all = vec![SERVICE_ENV, HEADER, MARKER, TOKEN];
    all.extend(RESTART.iter().chain(&OUTPUT).chain(&ENDPOINT).chain(&FOUND));
    all
}

/// Four services, down or held, with something to hide in every place.
fn fixture(web: &HttpService, ntfy: &Ntfy) -> Fixture {
    let mut fixture = Fixture::new();
    let restart = format!(
        "PGPASSWORD={} psql; tool --token {} -H 'Authorization: Bearer {}'; curl http://u:{}@h/; echo {}; false",
        RESTART[0], RESTART[1], RESTART[2], RESTART[3], RESTART[4]
    );
    let output = format!(
        "echo password={}; echo '\"api_key\": \"{}\"'; echo 'Set-Cookie: id={}'; exit 3",
        OUTPUT[0], OUTPUT[1], OUTPUT[2]
    );
    fixture.service(
        "output",
        json!({
            "health_check": {"type": "custom", "command": output},
            "restart_cmd": restart, "env": {"DB_PASSWORD": SERVICE_ENV},
            "startup_delay_seconds": 0, "startup_timeout_seconds": 0, "max_failures": 1
        }),
    );
    let endpoint = web.url("/health").replace("http://", &format!("http://user:{}@", ENDPOINT[0]));
    fixture.service(
        "endpoint",
        json!({
            "health_check": {
                "type": "http", "endpoint": format!("{endpoint}?token={}", ENDPOINT[1]),
                "headers": {"Authorization": format!("Bearer {HEADER}")}, "expect_body": "fine"
            },
            "restart": "none"
        }),
    );
    fixture.service(
        "found",
        json!({
            "health_check": {
                "type": "http", "endpoint": web.url("/health"),
                "expect_json": [{"path": "$.status", "equals": "ok"}]
            },
            "restart": "none"
        }),
    );
    fixture
        .service("held", json!({"health_check": {"type": "custom", "command": "false"}, "restart": "none"}));
    fs::write(fixture.path("token"), TOKEN).expect("the token is written");
    fixture.config["notifications"] = json!({
        "ntfy": {"server": ntfy.url(), "topics": {"alerts": TOPIC}, "token_file": "token"},
        "cooldown_seconds": 0
    });
    fixture
}

#[track_caller]
fn hides(where_it_is: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {where_it_is}:\n{text}");
    }
}

#[track_caller]
fn output_hides(done: &Finished) {
    hides("standard output", &done.stdout, &[all(), vec![TOPIC]].concat());
    hides("standard error", &done.stderr, &[all(), vec![TOPIC]].concat());
}

/// The state folder and its outbox. Topics stand there, for their owner alone; what a person wrote into a marker
/// is that person's.
#[track_caller]
fn state_hides(folder: &Path) {
    let mut waiting = vec![folder.to_owned()];
    let mut seen = 0;
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
            let marker = path.extension().is_some_and(|ending| ending == "stopped");
            let secrets: Vec<&str> = all().into_iter().filter(|s| !(marker && *s == MARKER)).collect();
            hides(&path.display().to_string(), &text, &secrets);
            seen += 1;
        }
    }
    assert!(seen > 4, "there is something to look through");
}

#[test]
fn no_secret_leaves_the_configuration() {
    let (web, ntfy) = (HttpService::start(), Ntfy::start());
    let body = format!(r#"{{"status": "down: password={}", "token": "{}"}}"#, FOUND[0], FOUND[1]);
    web.answer(Reply::status(200, &body));
    let fixture = fixture(&web, &ntfy);
    let stop = fixture.run(&["stop", "held", "--reason", &format!("password={MARKER}")]).expect_code(0);
    output_hides(&stop);

    // A server that repeats what it was sent.
    ntfy.always(Some(refusal(
        403,
        40301,
        &format!("forbidden: {TOPIC} with {TOKEN}, password={}", FOUND[1]),
    )));
    for args in [&["run"][..], &["run", "--log-format", "json"], &["-v", "run"], &["run", "--dry-run"]] {
        let done = fixture.run(args);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        output_hides(&done);
        hides("the log", &fixture.log(), &[all(), vec![TOPIC]].concat());
        state_hides(&fixture.path("state"));
    }
    assert!(fixture.outbox().len() >= 3, "{:?}", fixture.outbox());
    let dry = fixture.run(&["run", "--dry-run", "--service", "endpoint"]);
    assert!(dry.stdout.contains("endpoint") && !dry.stdout.is_empty(), "{}", dry.stdout);

    ntfy.always(None);
    fixture.pass().expect_code(1);
    assert!(ntfy.messages().len() >= 3, "{:?}", ntfy.titles());
    for message in ntfy.messages() {
        let text = format!("{}\n{}", message["title"], message["message"]);
        hides("an alert", &text, &[all(), vec![TOPIC]].concat());
        assert_eq!(message["topic"], TOPIC);
    }
    let sent = format!("{:?}", ntfy.messages());
    for kept in ["PGPASSWORD=***", "--token ***", "AKIA***", "password=***"] {
        assert!(sent.contains(kept), "{kept} in {sent}");
    }
    for request in ntfy.requests() {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    }
    hides("the log", &fixture.log(), &[all(), vec![TOPIC]].concat());
    state_hides(&fixture.path("state"));
}

#[test]
fn a_configuration_that_became_invalid_is_told_without_its_secrets() {
    let (web, ntfy) = (HttpService::start(), Ntfy::start());
    let mut fixture = fixture(&web, &ntfy);
    fixture.pass();
    let before = ntfy.messages().len();
    fixture.config["services"]["output"]["health_check"]["type"] = json!("password=leakoutputpass");
    fixture.config["notifications"]["ntfy"]["topics"]["alerts"] = json!("leaktopicname/with a slash");
    let done = fixture.pass().expect_code(78);
    assert!(ntfy.messages().len() > before, "{}", done.stderr);
    for message in &ntfy.messages()[before..] {
        hides("an alert", &message["message"].to_string(), &[all(), vec![TOPIC]].concat());
    }
}

#[test]
fn the_token_of_the_environment_is_hidden_too() {
    let (web, ntfy) = (HttpService::start(), Ntfy::start());
    let mut fixture = fixture(&web, &ntfy);
    fixture.config["notifications"]["ntfy"] =
        json!({"server": ntfy.url(), "topics": {"alerts": {"env": "MY_TOPIC"}}, "token_env": "MY_TOKEN"});
    fixture.env("MY_TOPIC", TOPIC).env("MY_TOKEN", TOKEN);
    ntfy.always(Some(refusal(401, 40101, &format!("unauthorized: {TOKEN} for {TOPIC}"))));
    output_hides(&fixture.pass());
    hides("the log", &fixture.log(), &[all(), vec![TOPIC]].concat());
    assert_eq!(fixture.count("unauthorized: *** for ***"), 1, "{}", fixture.log());
    state_hides(&fixture.path("state"));
}

#[test]
fn a_command_that_complains_aloud_is_masked() {
    let (web, ntfy) = (HttpService::start(), Ntfy::start());
    let mut fixture = fixture(&web, &ntfy);
    let command = format!("echo 'login failed, password={}' >&2; exit 1", OUTPUT[0]);
    fixture.config["notifications"] = json!({"command": command});
    output_hides(&fixture.pass());
    hides("the log", &fixture.log(), &all());
    assert_eq!(fixture.count("login failed, password=***"), 1, "{}", fixture.log());
    state_hides(&fixture.path("state"));
}

#[test]
fn a_webhooks_address_and_headers_are_hidden_even_where_it_repeats_them() {
    const PATH: &str = "leakhookpath";
    const QUERY: &str = "leakhookquery";
    const KEY: &str = "leakhookkey";
    let (web, ntfy, hook) = (HttpService::start(), Ntfy::start(), Hook::start());
    let secrets = [all(), vec![TOPIC, PATH, QUERY, KEY]].concat();
    let url = hook.url(&format!("/{PATH}/x?sig={QUERY}"));
    for by_env in [false, true] {
        let mut fixture = fixture(&web, &ntfy);
        let address = if by_env { json!({"url_env": "MY_HOOK"}) } else { json!({"url": url}) };
        fixture.config["notifications"] = json!({"webhook": address});
        fixture.config["notifications"]["webhook"]["headers_env"] = json!({"Authorization": "MY_KEY"});
        fixture.env("MY_HOOK", &url).env("MY_KEY", &format!("Bearer {KEY}"));
        hook.always(Some(Reply::status(
            403,
            &format!("no POST to {url} (/{PATH}/x?sig={QUERY}, {QUERY}) with Bearer {KEY}: {KEY}"),
        )));
        for args in [&["run"][..], &["run", "--log-format", "json"], &["-v", "run"], &["validate"]] {
            let done = fixture.run(args);
            hides("standard output", &done.stdout, &secrets);
            hides("standard error", &done.stderr, &secrets);
            hides("the log", &fixture.log(), &secrets);
        }
        assert!(fixture.count("webhook: HTTP 403: no POST to ***") >= 1, "{}", fixture.log());
        assert!(fixture.outbox().len() >= 3, "{:?}", fixture.outbox());
        for waiting in fixture.outbox().values() {
            hides("the outbox", &waiting.to_string(), &secrets);
        }
        hook.always(Some(Reply::Close));
        fixture.pass();
        hides("the log", &fixture.log(), &secrets);
        hook.always(Some(Reply::status(400, &format!("bad: {url} {KEY}"))));
        fixture.pass();
        hides("the log", &fixture.log(), &secrets);
        assert!(fixture.count("was refused for good") >= 3, "{}", fixture.log());
    }
    for request in hook.requests() {
        hides("an event", &String::from_utf8_lossy(&request.body), &all());
    }
    assert!(hook.requests().len() >= 6);
}
