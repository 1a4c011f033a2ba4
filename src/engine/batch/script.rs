//! The scripts for the agent, with everything from outside quoted as data.
//!
//! Text in, text out; who sends them and reads the answers is in `dialogue` and `driver`.

use std::fmt::Write as _;

use crate::check::Unknown;
use crate::check::endpoint::{self, Endpoint};
use crate::check::judge::{self, LONG_CAP, SHORT_CAP};
use crate::config::model::{CustomCommand, HttpProbe, Probe, ServiceName};
use crate::engine::{Request, RestartCommand};

const COMMON: &str = include_str!("common.sh");
const LOOK: &str = include_str!("look.sh");
const RUN: &str = include_str!("run.sh");
const REMOVE: &str = include_str!("remove.sh");
const ADDRESSES: &str = include_str!("addresses.sh");
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
            ("NC", &escape(&bare(&[ADDRESSES, NC].concat()))),
            ("WGET", &escape(&bare(&[ADDRESSES, WGET].concat()))),
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
    // Not shown: it may hold a password.
    let Some(endpoint) = Endpoint::parse(&probe.endpoint) else {
        return Some(Unknown::Other("its endpoint is no http or https URL".to_owned()));
    };
    endpoint::headers(probe, &endpoint).err()
}

/// Whether an expectation reads the body or the output.
pub(super) fn reads_body(probe: &Probe) -> bool {
    match probe {
        Probe::Http(http) => judge::reads_body(http),
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
            let values =
                format!("LC_ALL=C RCVY_H={} RCVY_P={port} RCVY_W={} {mark}", quote(host), seconds(request));
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
    // One that cannot be made is not asked for: see `obstacle`.
    let Some(endpoint) = Endpoint::parse(&probe.endpoint) else { return ":".to_owned() };
    let headers = endpoint::headers(probe, &endpoint).unwrap_or_default();
    let read = reads_body(&request.check.probe);
    let names_host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let config = curl_config(probe, &endpoint, &headers, request);
    let curl = |more: &str| {
        let config = quote(&format!("{config}{more}"));
        format!("printf '%s' {config} 3>&- 4>&- | ( LC_ALL=C {mark} exec curl -q -K - ) 3>&- 4>&-")
    };
    let curl = if read {
        // One that was built without any of them refuses to decode.
        format!(
            "{}\ncase $? in 0) ;; 2) {} ;; *) return $? ;; esac",
            curl(CURL_READS),
            curl("include\nno-buffer\n")
        )
    } else {
        curl(CURL_STATUS)
    };
    let words: Vec<String> = headers.iter().map(|(name, value)| quote(&format!("{name}: {value}"))).collect();
    let values = format!(
        "LC_ALL=C RCVY_U={} RCVY_N={} RCVY_R={} RCVY_D={} RCVY_M={} RCVY_O={} RCVY_K={} RCVY_L={:.1} {mark}",
        quote(&endpoint.url()),
        quote(&endpoint.host),
        quote(&if names_host { String::new() } else { endpoint.authority() }),
        quote(&format!(":{}{}", endpoint.port(), endpoint.target)),
        quote(&probe.method),
        if read { "-" } else { "/dev/null" },
        if probe.tls_verify { "''" } else { "1" },
        to_connect(request),
    );
    format!(
        "case $rcvy_tools in\n\
         *curl*) {curl} ;;\n\
         *) ( {values} exec sh -c \"$rcvy_wget\" sh {} ) {FDS} ;;\n\
         esac",
        words.join(" ")
    )
}

/// Until curl gives an answer up, in seconds: a little before its time-out, since a status that came is then still
/// told, though its head has not ended.
fn to_answer(request: &Request<'_>) -> f64 {
    let limit = request.check.timeout.as_secs_f64();
    (limit - (limit * 0.1).min(0.2)).max(0.1)
}

/// Until a tool gives a connection up, in seconds: soon enough to say whether it waited for a name.
fn to_connect(request: &Request<'_>) -> f64 {
    (request.check.timeout.as_secs_f64() * 0.9).max(0.1)
}

/// Where the body is read: after its head and as it comes, decoded if it is compressed all the same.
const CURL_READS: &str = "include\nno-buffer\ncompressed\n";
/// Where only a status is asked for, any method is sent like HEAD: nothing after the head is waited for.
const CURL_STATUS: &str = "head\noutput = \"/dev/null\"\nwrite-out = \"\\n%{http_code}\\n\"\n";

fn seconds(request: &Request<'_>) -> u64 {
    request.check.timeout.as_secs_f64().ceil().max(1.0) as u64
}

/// All settings by standard input: no URL and no secret in any argument list.
fn curl_config(
    probe: &HttpProbe,
    endpoint: &Endpoint,
    headers: &[(String, String)],
    request: &Request<'_>,
) -> String {
    let mut text = String::from("silent\nshow-error\ngloboff\nnoproxy = \"*\"\n");
    let _ =
        writeln!(text, "max-time = {:.2}\nconnect-timeout = {:.1}", to_answer(request), to_connect(request));
    let _ = writeln!(text, "url = {}", curl_quote(&endpoint.url()));
    if probe.method != "HEAD" {
        let _ = writeln!(text, "request = {}", curl_quote(&probe.method));
    }
    for (name, value) in headers {
        // "name:" would remove the header, "name;" sends it empty.
        let line = if value.trim().is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        let _ = writeln!(text, "header = {}", curl_quote(&line));
    }
    // What curl sends with a method of its own it sends without a length, which some servers want.
    let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if matches!(probe.method.as_str(), "POST" | "PUT" | "PATCH") && !has_length {
        text.push_str("header = \"Content-Length: 0\"\n");
    }
    if !probe.tls_verify {
        text.push_str("insecure\n");
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
