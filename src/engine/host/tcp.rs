//! TCP checks from the machine: does somebody accept a connection in time?

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::bounded::{self, Stopped};
use crate::check::{Failure, Health, Unknown};
use crate::config::model::ClosedAtOnce;
use crate::process::Interrupt;

/// An engine's proxy that finds nobody in the container closes within that time.
const AT_ONCE: Duration = Duration::from_millis(250);
/// Left to the end of a look, so that waiting at a connection never looks like a time-out.
const RESERVE: Duration = Duration::from_millis(50);

/// Tries all addresses of `host` within one time-out. Where an end without a word counts as refused, it waits for
/// one; what closes twice is asked no more.
pub fn look(
    host: &str,
    port: u16,
    closed_at_once: ClosedAtOnce,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Health {
    let to = address(host, port);
    let name = host.trim_matches(['[', ']']).to_owned();
    let resolved = Resolved::default();
    let seen = resolved.clone();
    let outcome = bounded::run(timeout, interrupt, move || {
        let end = Instant::now() + timeout;
        let connect = || connect(&name, port, end, &seen);
        let closes = || Ok::<_, std::io::Error>(closes_at_once(&connect()?, end));
        match closed_at_once {
            ClosedAtOnce::Healthy => connect().map(|_| false),
            ClosedAtOnce::Refused => Ok(closes()? && closes()?),
        }
    });
    match outcome {
        Ok(Ok(false)) => Health::Healthy,
        Ok(Ok(true)) => {
            let detail = "accepted and closed at once, so nothing listens in the container \
                          (\"closed_at_once\": \"healthy\" where the service does that)";
            Health::Unhealthy(Failure::Connection { to, detail: detail.to_owned() })
        }
        Ok(Err(error)) => health(&error, to, timeout),
        Err(Stopped::TimedOut) if !resolved.is_set() => Health::Unknown(Unknown::Unresolved { to }),
        Err(stopped) => stopped.health(timeout),
    }
}

/// Whether the other side ends the connection soon, without a word.
fn closes_at_once(mut stream: &TcpStream, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now()).saturating_sub(RESERVE);
    let limit = AT_ONCE.min(left);
    if limit.is_zero() || stream.set_read_timeout(Some(limit)).is_err() {
        return false;
    }
    match stream.read(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// `host:port` for people.
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Whether the name has been resolved: a resolver that hangs is no service that does.
#[derive(Debug, Clone, Default)]
pub struct Resolved(Arc<AtomicBool>);

impl Resolved {
    /// It has.
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Connects to the first address that accepts. What it tells where none does is the most telling of their errors.
pub fn connect(host: &str, port: u16, end: Instant, resolved: &Resolved) -> std::io::Result<TcpStream> {
    let addresses = addresses(host, port)?;
    resolved.set();
    let mut worst = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        // A silent first address must leave time for the others.
        let share = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let left = end.saturating_duration_since(Instant::now()) / share;
        match TcpStream::connect_timeout(address, left.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) if tried == 0 || telling(&error) > telling(&worst) => worst = error,
            Err(_) => {}
        }
    }
    Err(worst)
}

/// All addresses of a name; those of `localhost` are both, whatever the machine calls so.
fn addresses(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let resolved = (host, port).to_socket_addrs();
    let mut addresses: Vec<SocketAddr> =
        resolved.map_err(|error| std::io::Error::new(ErrorKind::NotFound, error))?.collect();
    if host.eq_ignore_ascii_case("localhost") {
        for loopback in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            if !addresses.iter().any(|address| address.ip() == loopback) {
                addresses.push(SocketAddr::new(loopback, port));
            }
        }
    }
    Ok(addresses)
}

/// A time-out may hide a service that lives, a refusal only says that nobody is there; the least says an address
/// that this machine cannot use.
fn telling(error: &std::io::Error) -> u8 {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => 3,
        ErrorKind::HostUnreachable | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => 2,
        ErrorKind::ConnectionRefused => 1,
        _ => 0,
    }
}

/// What an input or output error says of a service; a name that has no address says nothing.
pub fn health(error: &std::io::Error, to: String, timeout: Duration) -> Health {
    if error.kind() == ErrorKind::NotFound {
        return Health::Unknown(Unknown::Unresolved { to });
    }
    Health::Unhealthy(failure(error, to, timeout))
}

/// What an input or output error says.
fn failure(error: &std::io::Error, to: String, timeout: Duration) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::TimedOut { after: timeout },
        ErrorKind::ConnectionRefused => Failure::Refused { to },
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Failure::Reset { to },
        _ => Failure::Connection { to, detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn ask_for(host: &str, port: u16, closed_at_once: ClosedAtOnce, timeout: Duration) -> Health {
        look(host, port, closed_at_once, timeout, &Interrupt::default())
    }

    fn ask(host: &str, port: u16) -> Health {
        ask_for(host, port, ClosedAtOnce::Healthy, Duration::from_secs(5))
    }

    /// Does that with every connection, until the test ends.
    fn server(with: impl Fn(TcpStream) + Send + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.incoming().flatten().for_each(with));
        port
    }

    #[test]
    fn a_listener_is_found_whatever_localhost_is_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(ask("localhost", port), Health::Healthy);
        assert_eq!(ask("127.0.0.1", port), Health::Healthy);
        drop(listener);
        let to = format!("localhost:{port}");
        assert_eq!(ask("localhost", port), Health::Unhealthy(Failure::Refused { to }));
    }

    #[test]
    fn only_who_closes_at_once_twice_without_a_word_is_nobody() {
        let limit = Duration::from_secs(60);
        let refused = |port| match ask_for("127.0.0.1", port, ClosedAtOnce::Refused, limit) {
            Health::Healthy => false,
            Health::Unhealthy(Failure::Connection { detail, .. }) => detail.contains("closed at once"),
            other => panic!("{other:?}"),
        };
        let nobody = server(drop);
        assert!(refused(nobody));
        assert_eq!(ask("127.0.0.1", nobody), Health::Healthy);
        let speaks = server(|mut stream| std::io::Write::write_all(&mut stream, b"220 hello").unwrap());
        assert!(!refused(speaks));
        let (keep, kept) = std::sync::mpsc::channel();
        assert!(!refused(server(move |stream| keep.send(stream).unwrap())), "it waits for the other side");
        assert_eq!(kept.try_iter().count(), 1);
        // One that is only just starting.
        let first = std::sync::atomic::AtomicBool::new(true);
        let (keep, _kept) = std::sync::mpsc::channel();
        let starting = server(move |stream| {
            if !first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                keep.send(stream).unwrap();
            }
        });
        assert!(!refused(starting));
    }

    #[test]
    fn waiting_at_a_connection_is_no_time_out() {
        let (keep, _kept) = std::sync::mpsc::channel();
        let port = server(move |stream| keep.send(stream).unwrap());
        let short = Duration::from_millis(100);
        assert_eq!(ask_for("127.0.0.1", port, ClosedAtOnce::Refused, short), Health::Healthy);
    }

    #[test]
    fn a_name_without_address_says_nothing_of_the_service() {
        let to = "no-such-host.invalid:80".to_owned();
        assert_eq!(ask("no-such-host.invalid", 80), Health::Unknown(Unknown::Unresolved { to }));
    }

    #[test]
    fn localhost_is_both_loopbacks_whatever_the_machine_calls_so() {
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            eprintln!("skipped: this machine has no ::1");
            return;
        };
        assert_eq!(ask("localhost", listener.local_addr().unwrap().port()), Health::Healthy);
    }

    #[test]
    fn addresses_of_version_six_are_bracketed() {
        assert_eq!(address("::1", 80), "[::1]:80");
        assert_eq!(address("web", 80), "web:80");
    }
}
