//! TCP checks from the machine: does somebody accept a connection in time?

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::bounded;
use crate::check::{Failure, Health};
use crate::process::Interrupt;

/// Tries all addresses of `host` within one time-out.
pub fn look(host: &str, port: u16, timeout: Duration, interrupt: &Interrupt) -> Health {
    let to = address(host, port);
    let name = host.trim_matches(['[', ']']).to_owned();
    let outcome = bounded::run(timeout, interrupt, move || connect(&name, port, timeout));
    match outcome {
        Ok(Ok(())) => Health::Healthy,
        Ok(Err(error)) => Health::Unhealthy(failure(&error, to, timeout)),
        Err(stopped) => stopped.health(timeout),
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

fn connect(host: &str, port: u16, timeout: Duration) -> std::io::Result<()> {
    let end = Instant::now() + timeout;
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        // A silent first address must leave time for the others.
        let share = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let left = end.saturating_duration_since(Instant::now()) / share;
        match TcpStream::connect_timeout(address, left.max(Duration::from_millis(1))) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What an input or output error says.
pub fn failure(error: &std::io::Error, to: String, timeout: Duration) -> Failure {
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

    fn ask(host: &str, port: u16) -> Health {
        look(host, port, Duration::from_secs(5), &Interrupt::default())
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
    fn a_name_without_address_is_a_failed_connection() {
        let answer = ask("no-such-host.invalid", 80);
        assert!(matches!(answer, Health::Unhealthy(Failure::Connection { .. })), "{answer:?}");
    }

    #[test]
    fn addresses_of_version_six_are_bracketed() {
        assert_eq!(address("::1", 80), "[::1]:80");
        assert_eq!(address("web", 80), "web:80");
    }
}
