//! `recovery demo-service`: a small HTTP service to practise on.
//!
//! It is meant to be broken: `/crash` ends it hard, `/hang` never answers. It has nothing to do with how
//! services are looked at.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Connections served at once; further ones are closed at once, so that hung ones cannot exhaust us.
const MAX_CONNECTIONS: usize = 64;
/// A client must have sent its request by then.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long `/hang` holds a connection at most.
const HANG: Duration = Duration::from_secs(3600);
/// Longer requests are not read.
const REQUEST_CAP: usize = 8 * 1024;
/// What `/crash` ends with.
const CRASH_CODE: i32 = 70;

/// Serves until it is ended, crashed over HTTP, or `for_` has passed.
///
/// # Errors
/// Where it cannot listen.
pub fn run(listen: &str, for_: Option<Duration>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().with_context(|| format!("cannot listen on {listen}"))?;
    // The line is for people and scripts that wait for it; if nobody reads it, there is nothing to do.
    let _ = writeln!(std::io::stdout(), "demo-service listens on http://{address}");
    let started = Instant::now();
    std::thread::Builder::new().spawn(move || serve(&listener, started)).context("cannot start a thread")?;
    match for_ {
        Some(time) => std::thread::sleep(time),
        None => loop {
            std::thread::park();
        },
    }
    Ok(())
}

fn serve(listener: &TcpListener, started: Instant) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, or a client that was gone at once: neither may end the service.
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let place = Place::take(&open);
        if let Some(place) = place {
            // Without a thread the connection is closed, which is an answer, too.
            let _ = std::thread::Builder::new().spawn(move || {
                // A client that is gone needs no answer.
                let _ = answer(stream, started);
                drop(place);
            });
        }
    }
}

/// One of the connections that may be open at once.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(open));
        (open.fetch_add(1, Ordering::AcqRel) < MAX_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn answer(mut stream: TcpStream, started: Instant) -> std::io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some((method, path)) = request(&mut stream)? else {
        return respond(&mut stream, "400 Bad Request", true, "{\"error\":\"not an HTTP request\"}");
    };
    let with_body = method != "HEAD";
    match path.as_str() {
        "/health" => {
            let body = format!(
                "{{\"status\":\"ok\",\"pid\":{},\"uptime_seconds\":{}}}",
                std::process::id(),
                started.elapsed().as_secs()
            );
            respond(&mut stream, "200 OK", with_body, &body)
        }
        "/crash" => std::process::exit(CRASH_CODE),
        "/hang" => {
            hang(&mut stream);
            Ok(())
        }
        _ => {
            let known = "{\"error\":\"not found\",\"paths\":[\"/health\",\"/crash\",\"/hang\"]}";
            respond(&mut stream, "404 Not Found", with_body, known)
        }
    }
}

/// Method and path of a request, read to the end of its head; `None` where it is no HTTP.
fn request(stream: &mut TcpStream) -> std::io::Result<Option<(String, String)>> {
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while memchr::memmem::find(&head, b"\r\n\r\n").is_none() && memchr::memmem::find(&head, b"\n\n").is_none()
    {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > REQUEST_CAP {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            n => head.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(parse(&head))
}

fn parse(head: &[u8]) -> Option<(String, String)> {
    let head = String::from_utf8_lossy(head);
    let words: Vec<&str> = head.lines().next()?.split(' ').collect();
    let [method, target, version] = words.as_slice() else { return None };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return None;
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    Some(((*method).to_owned(), path.to_owned()))
}

fn respond(stream: &mut TcpStream, status: &str, with_body: bool, body: &str) -> std::io::Result<()> {
    let length = body.len() + 1;
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if with_body {
        text.push_str(body);
        text.push('\n');
    }
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Holds the connection without a word until the client gives up.
fn hang(stream: &mut TcpStream) {
    let end = Instant::now() + HANG;
    let mut buffer = [0; 1024];
    while Instant::now() < end {
        if stream.set_read_timeout(Some(PATIENCE)).is_err() {
            return;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            // The client still waits.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_read_and_garbage_is_none() {
        let get = |text: &str| parse(text.as_bytes());
        assert_eq!(
            get("GET /health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
            Some(("GET".into(), "/health".into()))
        );
        for garbage in
            ["", "\r\n\r\n", "GET /health\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "\u{0}\u{1}", "a b c d"]
        {
            assert_eq!(get(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn places_are_given_back() {
        let open = Arc::new(AtomicUsize::new(MAX_CONNECTIONS - 1));
        let last = Place::take(&open);
        assert!(last.is_some());
        assert!(Place::take(&open).is_none());
        drop(last);
        assert!(Place::take(&open).is_some());
    }
}
