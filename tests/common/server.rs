//! A loopback HTTP server of threads, whose every answer a closure decides; the base of the ntfy and service
//! doubles. It knows just enough HTTP for them: one request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request as it came in.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Upper-case method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A proper answer.
    Http(u16, Vec<(String, String)>, String),
    /// Nothing, while the connection stays open.
    Hang,
    /// The connection is closed without a word.
    Close,
    /// The connection is reset.
    Reset,
    /// Something that is not HTTP.
    Garbage,
    /// These bytes as they are, and then that.
    Raw(Vec<u8>, Then),
}

/// What follows the bytes of a [`Reply::Raw`].
#[derive(Debug, Clone)]
pub enum Then {
    /// The end of the connection.
    Close,
    /// Nothing, while the connection stays open.
    Hold,
    /// These bytes over and over, until the other side leaves.
    Repeat(Vec<u8>),
}

impl Reply {
    /// An answer with a body and no further headers.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Http(status, Vec::new(), body.to_owned())
    }
}

/// The running server; it stops at Drop.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and answers as `answer` says.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::over(TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1"), answer)
    }

    /// Answers there as `answer` says.
    pub fn over(listener: TcpListener, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, answer) = (Arc::clone(&stop), Arc::new(answer));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (answer, stopped) = (Arc::clone(&answer), Arc::clone(&stopped));
                std::thread::spawn(move || serve(stream, &*answer, &stopped));
            }
        });
        Self { address, stop, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, so that the port is free when this returns.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Reply, stop: &AtomicBool) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let Some(request) = read(&stream) else { return };
    match answer(&request) {
        Reply::Http(status, headers, body) => {
            let mut head =
                format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            let body = if request.method == "HEAD" { "" } else { &body };
            let _ = write!(stream, "{head}\r\n{body}");
        }
        Reply::Hang => hold(&stream, stop),
        Reply::Close => {}
        Reply::Reset => reset(stream),
        Reply::Garbage => {
            let _ = stream.write_all(b"\x00\x01garbage, no protocol\xff\r\n\r\n");
        }
        Reply::Raw(bytes, then) => {
            if stream.write_all(&bytes).is_err() {
                return;
            }
            match then {
                Then::Close => {}
                Then::Hold => hold(&stream, stop),
                Then::Repeat(bytes) => {
                    while !stop.load(Ordering::SeqCst) && stream.write_all(&bytes).is_ok() {}
                }
            }
        }
    }
}

/// Holds the connection until the other side leaves or the server stops.
fn hold(mut stream: &TcpStream, stop: &AtomicBool) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    while !stop.load(Ordering::SeqCst) {
        if matches!(stream.read(&mut [0; 64]), Ok(0)) {
            return;
        }
    }
}

/// Closing without lingering sends a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    drop(stream);
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut request = Request::default();
    let first = line(&mut reader)?;
    let mut words = first.split(' ');
    request.method = words.next()?.to_owned();
    request.path = words.next()?.to_owned();
    loop {
        let header = line(&mut reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        request.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let size = usize::from_str_radix(&line(&mut reader)?, 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                return Some(request);
            }
            request.body.extend_from_slice(&chunk[..size]);
        }
    }
    let length = request.header("content-length").map_or(Some(0), |value| value.parse().ok())?;
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    reader.read_line(&mut text).ok().filter(|&n| n > 0)?;
    Some(text.trim_end().to_owned())
}
