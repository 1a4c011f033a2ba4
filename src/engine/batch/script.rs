//! The scripts for the agent, with everything from outside quoted as data.
//!
//! Text in, text out; who sends them and reads the answers is in `dialogue` and `driver`.

use std::fmt::Write as _;

use crate::check::Unknown;
use crate::check::judge::{LONG_CAP, SHORT_CAP};
use crate::config::model::{CustomCommand, HeaderValue, HttpProbe, Probe, ServiceName};
use crate::engine::{Request, RestartCommand};

const COMMON: &str = include_str!("common.sh");
const LOOK: &str = include_str!("look.sh");
const RUN: &str = include_str!("run.sh");
const REMOVE: &str = include_str!("remove.sh");
const NC: &str = include_str!("nc.sh");
const WGET: &str = include_str!("wget.sh");
const LIST: &str = include_str!("list.sh");

/// Variables that some shell refuses to assign: they go through `env`.
const READ_ONLY: [&str; 8] =
    ["UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO", "GROUPS", "OPTIND"];

/// The script that looks: nothing in it runs before its last line has arrived.
/// `mark` is what its processes are found by.
pub(super) fn look(nonce: &str, mark: &str, requests: &[Request<'_>]) -> String {
    let asked = || requests.iter().enumerate().filter(|(_, request)| obstacle(request).is_none());
    let (mut checks, mut go, mut markers) = (String::new(), String::new(), String::new());
    for (index, request) in requests.iter().enumerate() {
        let _ = writeln!(markers, "  marker {index} {}", quote(request.service.as_str()));
    }
    for (index, request) in asked() {
        if matches!(request.check.probe, Probe::Process { .. }) {
            continue;
        }
        let probe = &request.check.probe;
        let how = if reads_apart(probe) { "two" } else { "one" };
        let _ = writeln!(go, "  {index}) {how} {} {index} {} ;;", reader(probe), cap(probe));
        let _ = writeln!(checks, "c{index}() {{\n{}\n}}", check(index, request));
    }
    let listing = asked().any(|(_, request)| matches!(request.check.probe, Probe::Process { .. }));
    fill(
        LOOK,
        &[
            ("NONCE", nonce),
            ("MARK", mark),
            ("COMMON", &bare(COMMON)),
            ("NC", &escape(NC)),
            ("WGET", &escape(WGET)),
            ("LIST", &escape(LIST)),
            ("MARKERS", &markers),
            ("GO", &go),
            ("CHECKS", &checks),
            ("LISTING", if listing { "list" } else { "" }),
        ],
    )
}

/// The script that runs a restart command.
pub(super) fn run(nonce: &str, command: &RestartCommand<'_>) -> String {
    let text = format!("RCVY_T={}", quote(command.text));
    let exec = exec(command.env, &text, RUN_TEXT);
    let log = quote(command.log_path.unwrap_or_default());
    fill(RUN, &[("NONCE", nonce), ("COMMON", &bare(COMMON)), ("LOG", &log), ("COMMAND", &exec)])
}

/// The script that removes a marker.
pub(super) fn remove(nonce: &str, service: &ServiceName) -> String {
    fill(REMOVE, &[("NONCE", nonce), ("COMMON", &bare(COMMON)), ("SERVICE", service.as_str())])
}

/// Why a check cannot even be asked for.
pub(super) fn obstacle(request: &Request<'_>) -> Option<Unknown> {
    if let Some(why) = obstacle_in_env(request.env) {
        return Some(why);
    }
    match &request.check.probe {
        Probe::Http(probe) => obstacle_in_http(probe),
        Probe::Tcp { host, .. } if host.starts_with('-') || host.contains(char::is_control) => {
            Some(Unknown::Other(format!("not a host: {host:?}")))
        }
        Probe::Custom { command: CustomCommand::Shell(text), .. } => nul_in(text),
        Probe::Custom { command: CustomCommand::Argv(argv), .. } => argv.iter().find_map(|word| nul_in(word)),
        Probe::Tcp { .. } | Probe::Process { .. } => None,
    }
}

/// Why a command cannot be run with that environment.
pub(super) fn obstacle_in_env(env: &[(String, String)]) -> Option<Unknown> {
    env.iter().find_map(|(name, value)| {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Some(Unknown::Other(format!("not the name of an environment variable: {name:?}")));
        }
        nul_in(value)
    })
}

/// A NUL cannot be handed to any program.
pub(super) fn nul_in(text: &str) -> Option<Unknown> {
    text.contains('\0').then(|| Unknown::Other(format!("a NUL character cannot be passed on: {text:?}")))
}

fn obstacle_in_http(probe: &HttpProbe) -> Option<Unknown> {
    let unset = probe.headers.iter().find_map(|header| match &header.value {
        HeaderValue::FromEnv { variable, value: None } => Some(variable.clone()),
        HeaderValue::FromEnv { .. } | HeaderValue::Plain(_) => None,
    });
    if let Some(variable) = unset {
        return Some(Unknown::MissingEnv(variable));
    }
    if let Some((name, _)) = headers(probe)
        .find(|(name, value)| name.contains(char::is_control) || value.contains(char::is_control))
    {
        return Some(Unknown::Other(format!("header with a control character: {name:?}")));
    }
    let odd = probe.endpoint.starts_with('-') || probe.endpoint.contains(char::is_control);
    odd.then(|| Unknown::Other(format!("not an endpoint: {:?}", probe.endpoint)))
}

fn headers(probe: &HttpProbe) -> impl Iterator<Item = (&str, &str)> {
    probe.headers.iter().filter_map(|header| match &header.value {
        HeaderValue::Plain(value) | HeaderValue::FromEnv { value: Some(value), .. } => {
            Some((header.name.as_str(), value.as_str()))
        }
        HeaderValue::FromEnv { value: None, .. } => None,
    })
}

/// Whether an expectation reads the body or the output.
pub(super) fn reads_body(probe: &Probe) -> bool {
    match probe {
        Probe::Http(http) => http.expect_body.is_some() || !http.expect_json.is_empty(),
        Probe::Custom { expect_json, .. } => !expect_json.is_empty(),
        Probe::Tcp { .. } | Probe::Process { .. } => false,
    }
}

/// Where an expectation reads standard output, standard error must not stand in it.
pub(super) fn reads_apart(probe: &Probe) -> bool {
    reads_body(probe)
}

/// Which of the agent's readers carries its output.
fn reader(probe: &Probe) -> &'static str {
    match probe {
        Probe::Tcp { .. } => "brief",
        Probe::Http(_) if !reads_body(probe) => "\"$rcvy_http\"",
        _ => "carry",
    }
}

/// Bytes of output to keep.
pub(super) fn cap(probe: &Probe) -> usize {
    if reads_body(probe) { LONG_CAP } else { SHORT_CAP }
}

/// Whether a check looks at processes itself, so that another check beside it could be what it sees.
pub(super) fn looks_at_processes(probe: &Probe) -> bool {
    let Probe::Custom { command, .. } = probe else { return false };
    let has = |text: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| matches!(word, "pgrep" | "pidof" | "pkill" | "killall" | "ps" | "proc"))
    };
    match command {
        CustomCommand::Shell(text) => has(text),
        CustomCommand::Argv(argv) => argv.iter().any(|word| has(word)),
    }
}

fn check(index: usize, request: &Request<'_>) -> String {
    // A mark ends with a dot, so that 3 is not the beginning of 33.
    let mark = format!("RECOVERY_CHECK=\"$rcvy_mark.{index}.\"");
    let body = match &request.check.probe {
        Probe::Http(probe) => return http(probe, request, &mark),
        Probe::Tcp { host, port, .. } => {
            let values = format!("RCVY_H={} RCVY_P={port} RCVY_W={} {mark}", quote(host), seconds(request));
            return format!(
                "if [ \"$rcvy_bash\" ]; then ( {values} exec $rcvy_shell -c \"$rcvy_tcp\" ) {FDS}\n\
                 else ( {values} exec sh -c \"$rcvy_nc\" ) {FDS}; fi"
            );
        }
        Probe::Custom { command: CustomCommand::Shell(text), .. } => {
            exec(request.env, &format!("RCVY_T={} {mark}", quote(text)), RUN_TEXT)
        }
        Probe::Custom { command: CustomCommand::Argv(argv), .. } => {
            let words: Vec<String> = argv.iter().map(|word| quote(word)).collect();
            exec(request.env, &mark, &words.join(" "))
        }
        Probe::Process { .. } => ":".to_owned(),
    };
    format!("( {body} ) {FDS}")
}

/// Runs the text in `RCVY_T`, which is in no argument list and in no environment of what it starts.
const RUN_TEXT: &str = "$rcvy_shell -c \"$rcvy_eval\"";

const FDS: &str = "</dev/null 3>&- 4>&-";

fn exec(env: &[(String, String)], ours: &str, program: &str) -> String {
    let (plain, odd): (Vec<_>, Vec<_>) = env.iter().partition(|(name, _)| assignable(name));
    let mut text = String::new();
    for (name, value) in plain {
        let _ = write!(text, "{name}={} ", quote(value));
    }
    let _ = write!(text, "{ours} exec ");
    if !odd.is_empty() {
        text.push_str("env ");
    }
    for (name, value) in odd {
        let _ = write!(text, "{} ", quote(&format!("{name}={value}")));
    }
    text + program
}

fn assignable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !READ_ONLY.contains(&name)
}

fn http(probe: &HttpProbe, request: &Request<'_>, mark: &str) -> String {
    let read = reads_body(&request.check.probe);
    let config = quote(&curl_config(probe, read, seconds(request)));
    let words: Vec<String> = headers(probe).map(|(name, value)| quote(&format!("{name}: {value}"))).collect();
    let values = format!(
        "RCVY_U={} RCVY_M={} RCVY_O={} RCVY_K={} {mark}",
        quote(&probe.endpoint),
        quote(&probe.method),
        if read { "-" } else { "/dev/null" },
        if probe.tls_verify { "''" } else { "1" },
    );
    format!(
        "case $rcvy_tools in\n\
         *curl*) printf '%s' {config} 3>&- 4>&- | ( {mark} exec curl -q -K - ) 3>&- 4>&- ;;\n\
         *) ( {values} exec sh -c \"$rcvy_wget\" sh {} ) {FDS} ;;\n\
         esac",
        words.join(" ")
    )
}

fn seconds(request: &Request<'_>) -> u64 {
    request.check.timeout.as_secs_f64().ceil().max(1.0) as u64
}

/// All settings by standard input: no URL and no secret in any argument list.
fn curl_config(probe: &HttpProbe, read: bool, seconds: u64) -> String {
    let mut text = String::from("silent\nshow-error\ngloboff\nnoproxy = \"*\"\n");
    let _ = writeln!(text, "max-time = {seconds}\nurl = {}", curl_quote(&probe.endpoint));
    match probe.method.as_str() {
        "GET" => {}
        "HEAD" => text.push_str("head\n"),
        method => {
            let _ = writeln!(text, "request = {}", curl_quote(method));
        }
    }
    for (name, value) in headers(probe) {
        // "name:" would remove the header, "name;" sends it empty.
        let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        let _ = writeln!(text, "header = {}", curl_quote(&line));
    }
    if !probe.tls_verify {
        text.push_str("insecure\n");
    }
    if read {
        text.push_str("include\n");
    } else {
        text.push_str("output = \"/dev/null\"\nwrite-out = \"\\n%{http_code}\\n\"\n");
    }
    text
}

fn curl_quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One word for the shell, whatever is in it.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// A template without its comments.
fn bare(template: &str) -> String {
    let lines = template.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Fills a template's `@NAME@` in one go: what is filled in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let template = bare(template);
    let mut text = String::with_capacity(template.len() * 2);
    for (at, part) in template.split('@').enumerate() {
        match values.iter().find(|(name, _)| at % 2 == 1 && *name == part) {
            Some((_, value)) => text.push_str(value),
            None => text.push_str(part),
        }
    }
    text
}
