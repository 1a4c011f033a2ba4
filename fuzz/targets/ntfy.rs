//! The whole answer of a notification server, its head included.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use recovery::alert::text::Story;
use recovery::alert::{Destination, Report};
use recovery::config::model::Token;
use recovery::notify::{Notifier, NotifyError, Ntfy};
use recovery::state::AlertKind;
use time::macros::datetime;

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static SERVER: LazyLock<String> = LazyLock::new(serve);

const TOPIC: &str = "secret-topic";

pub fn run(data: &[u8]) {
    let server = &*SERVER;
    *ANSWER.lock().expect("no thread panics while it holds this") = data.to_owned();
    let story = Story::new(AlertKind::ServiceDown, "svc", "host", datetime!(2026-11-21 12:00 UTC));
    let to = [Destination::Ntfy { topic: TOPIC.into() }].into();
    let alert = Report { story, incidents: Vec::new(), group: None, to }.alerts().remove(0);
    match Ntfy::new(server, Token::None).send(&alert, Duration::from_secs(10)) {
        Ok(()) | Err(NotifyError::Homeless) => {}
        Err(NotifyError::Later(text) | NotifyError::LaterHere(text) | NotifyError::Rejected(text)) => {
            assert!(!text.contains(char::is_control), "{text:?}");
            assert!(!text.contains(TOPIC), "{text:?}");
            assert!(text.len() < 2000, "{text:?}");
        }
    }
}

fn serve() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The other side may be gone in the middle of anything.
            let _ = answer(stream);
        }
    });
    url
}

/// Reads the request, since closing on unread bytes would take the answer back; says its words, and is gone.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while !whole(&request) {
        match stream.read(&mut buffer)? {
            0 => break,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let words = ANSWER.lock().expect("no thread panics while it holds this").clone();
    stream.write_all(&words)
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    request.len() >= head.len() + 4 + length.unwrap_or(0_usize)
}
