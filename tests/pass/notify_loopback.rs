//! Notifiers against a loopback server that answers as servers do, and as they should not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use recovery::alert::text::Story;
use recovery::alert::{Alert, Destination, Report};
use recovery::config::model::{Notifications, Token};
use recovery::notify::{CommandNotifier, Notifier, Notifiers, NotifyError, Ntfy};
use recovery::state::AlertKind;
use time::macros::datetime;

const LONG: Duration = Duration::from_secs(30);
const BRIEF: Duration = Duration::from_millis(300);

fn alert(to: Destination) -> Alert {
    let story = Story {
        services: vec!["minio".into()],
        ..Story::new(AlertKind::ServiceDown, "MinIÖ 🚨", "vps-1", datetime!(2026-11-21 10:05:07 UTC))
    };
    Report { story, incidents: Vec::new(), group: None, to: [to].into() }.alerts().remove(0)
}

fn to_topic() -> Alert {
    alert(Destination::Ntfy { topic: "hush-topic".into() })
}

/// A server that treats every connection so, after it has read the request; and the requests.
fn server(answer: impl Fn(TcpStream) + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, requests) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = told.send(read_request(&mut stream));
            answer(stream);
        }
    });
    (url, requests)
}

fn read_request(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).unwrap_or(0);
        text.extend_from_slice(&buffer[..n]);
        let so_far = String::from_utf8_lossy(&text);
        let complete = so_far.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            length.is_some_and(|l| body.len() >= l.trim().parse().unwrap())
        });
        if n == 0 || complete {
            return so_far.into_owned();
        }
    }
}

fn says(status: &str, headers: &str, body: &str) -> (String, Receiver<String>) {
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    server(move |mut stream| drop(stream.write_all(text.as_bytes())))
}

fn later(result: Result<(), NotifyError>) -> String {
    match result {
        Err(NotifyError::Later(text) | NotifyError::LaterHere(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_message_is_json_to_the_root_with_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "tk_secret\n").unwrap();
    let (url, requests) = says("200 OK", "", "{}");
    for token in [Token::File(file), Token::Env { variable: "T".into(), value: Some("tk_secret".into()) }] {
        Ntfy::new(&url, token).send(&to_topic(), LONG).unwrap();
        let request = requests.recv().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("post / http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nauthorization: bearer tk_secret"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/json"), "{head}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let expected = to_topic();
        assert_eq!(
            json,
            serde_json::json!({
                "topic": "hush-topic", "title": "MinIÖ 🚨 Down", "message": expected.body, "priority": 5,
                "tags": ["rotating_light", "alert", "auto-recovery"],
            })
        );
    }
    Ntfy::new(&url, Token::None).send(&to_topic(), LONG).unwrap();
    assert!(!requests.recv().unwrap().to_lowercase().contains("authorization"));
}

#[test]
fn refusals_are_told_without_topic_or_token() {
    let token = || Token::Env { variable: "T".into(), value: Some("tk_hush".into()) };
    let (url, _requests) =
        says("403 Forbidden", "", r#"{"code":40301,"http":403,"error":"hush-topic is not for tk_hush"}"#);
    let text = later(Ntfy::new(&url, token()).send(&to_topic(), LONG));
    assert_eq!(text, format!("ntfy server {url}: HTTP 403: *** is not for *** (code 40301)"));
    let (url, _requests) = says("413 Too Large", "", "");
    let result = Ntfy::new(&url, token()).send(&to_topic(), LONG);
    assert_eq!(result, Err(NotifyError::Rejected(format!("ntfy server {url}: HTTP 413"))));
}

#[test]
fn a_redirect_is_not_followed_and_no_success() {
    let (elsewhere, hits) = says("200 OK", "", "");
    let (url, _requests) = says("301 Moved", &format!("Location: {elsewhere}/\r\n"), "");
    let text = later(Ntfy::new(&url, Token::None).send(&to_topic(), LONG));
    assert!(text.contains("HTTP 301; it redirects"), "{text}");
    assert!(hits.try_recv().is_err());
}

#[test]
fn nobody_listening_is_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let text = later(Ntfy::new(&url, Token::None).send(&to_topic(), LONG));
    assert!(text.to_lowercase().contains("refused"), "{text}");
}

#[test]
fn a_server_that_hangs_or_drips_costs_the_time_that_is_left() {
    let (hangs, _requests) = server(|stream| {
        std::thread::spawn(move || {
            // Held until the other side gives up.
            let _ = { stream }.read(&mut [0; 1]);
        });
    });
    later(Ntfy::new(&hangs, Token::None).send(&to_topic(), BRIEF));
    let (drips, _requests) = server(|mut stream| {
        std::thread::spawn(move || {
            let _ = stream.write_all(b"HTTP/1.1 500 No\r\nX-Drip: ");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    });
    later(Ntfy::new(&drips, Token::None).send(&to_topic(), BRIEF));
}

#[test]
fn a_yes_counts_however_its_body_ends() {
    let (url, _requests) = server(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
    });
    Ntfy::new(&url, Token::None).send(&to_topic(), LONG).unwrap();
}

#[test]
fn garbage_is_no_yes() {
    for garbage in ["SSH-2.0-OpenSSH_9\r\n", "", "HTTP/1.1 banana\r\n\r\n", "\u{0}\u{0}\u{0}"] {
        let (url, _requests) = server(move |mut stream| drop(stream.write_all(garbage.as_bytes())));
        later(Ntfy::new(&url, Token::None).send(&to_topic(), LONG));
    }
}

#[test]
fn a_token_that_cannot_be_read_keeps_the_alert() {
    let token = Token::File("/not/there/token".into());
    let text = later(Ntfy::new("http://127.0.0.1:9", token).send(&to_topic(), LONG));
    assert!(text.contains("cannot read the token file /not/there/token"), "{text}");
}

#[test]
fn the_command_gets_facts_and_body() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = format!(
        "{{ echo \"$RECOVERY_TITLE|$RECOVERY_PRIORITY|$RECOVERY_TAGS|$RECOVERY_KIND\"; cat; }} > '{}'",
        out.display()
    );
    let alert = alert(Destination::Command);
    CommandNotifier::new(&text).send(&alert, LONG).unwrap();
    assert_eq!(
        std::fs::read_to_string(out).unwrap(),
        format!("MinIÖ 🚨 Down|5|rotating_light,alert,auto-recovery|SERVICE-DOWN\n{}", alert.body)
    );
}

#[test]
fn a_command_that_fails_or_hangs_keeps_the_alert() {
    let run = |text: &str, left| later(CommandNotifier::new(text).send(&alert(Destination::Command), left));
    assert_eq!(
        run("echo one >&2; echo token=abc two >&2; exit 3", LONG),
        "notification command: exit 3: token=*** two"
    );
    assert_eq!(run("exec 0<&-; kill -9 $$", LONG), "notification command: exit 137");
    assert!(run("sleep 600; true", BRIEF).contains("was ended after"));
    CommandNotifier::new("sleep 600 & exit 0")
        .send(&alert(Destination::Command), Duration::from_secs(20))
        .unwrap();
}

#[test]
fn each_destination_goes_its_way() {
    let (url, requests) = says("200 OK", "", "");
    let notifications = Notifications {
        server: Some(url),
        default_topic: None,
        token: Token::None,
        cooldown: Duration::from_secs(3600),
        command: Some("exit 7".into()),
        webhook: None,
        host_label: None,
    };
    let both = Notifiers::new(&notifications);
    both.send(&to_topic(), LONG).unwrap();
    assert!(requests.recv().unwrap().contains("hush-topic"));
    assert!(later(both.send(&alert(Destination::Command), LONG)).contains("exit 7"));
    let none = Notifiers::new(&Notifications { server: None, command: None, ..notifications });
    assert!(later(none.send(&to_topic(), LONG)).contains("no ntfy server is configured"));
}

#[test]
fn a_server_that_speaks_no_tls_is_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let text = later(Ntfy::new(&url, Token::None).send(&to_topic(), LONG));
    assert!(!text.contains("timeout"), "{text}");
}
