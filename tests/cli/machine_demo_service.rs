//! The service to practise on, with odd clients.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use recovery::commands::demo_service;

const ADDRESS: &str = "DEMO_SERVICE_TEST_ADDRESS";

/// Not a test of its own: the process that the tests below start, since `/crash` ends a whole process.
#[test]
fn serve_where_told() {
    if let Ok(address) = std::env::var(ADDRESS) {
        demo_service::run(&address, Some(Duration::from_secs(120))).unwrap();
    }
}

struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start() -> Self {
        // It takes a free port itself and says which: a port that was free a moment ago may be another test's.
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "machine_demo_service::serve_where_told", "--nocapture"])
            .env(ADDRESS, "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines
            .filter_map(|line| Some(line.split_once("listens on http://")?.1.to_owned()))
            .next()
            .expect("it says where it listens");
        Self { child, address }
    }

    fn send(&self, request: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        let mut stream = self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn health_is_json_and_other_paths_are_not_found() {
    let service = Service::start();
    let answer = service.get("/health");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"], "ok");
    assert!(service.get("/").starts_with("HTTP/1.1 404 "));
}

#[test]
fn odd_and_hanging_clients_leave_others_served() {
    let service = Service::start();
    let hanging: Vec<TcpStream> = (0..5).map(|_| service.send(b"GET /hang HTTP/1.1\r\n\r\n")).collect();
    let slow = service.send(b"GET /hea");
    drop(service.send(b""));
    drop(service.send(b"\0\xff\xfe\r\n\r\n"));
    drop(service.send(b"GET /health HTTP/1.1\r\n\r\n"));
    let mut garbage = String::new();
    service.send(b"hello\r\n\r\n").read_to_string(&mut garbage).unwrap();
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
    assert!(service.get("/health").starts_with("HTTP/1.1 200 "));
    let mut hung = &hanging[0];
    hung.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(hung.read(&mut [0]).is_err(), "/hang answered");
    drop(slow);
}

#[test]
fn a_crash_ends_the_process_with_an_error() {
    let mut service = Service::start();
    let mut stream = service.send(b"GET /crash HTTP/1.1\r\n\r\n");
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(service.child.wait().unwrap().code(), Some(70));
    assert!(TcpStream::connect(&service.address).is_err());
}

#[test]
fn it_ends_by_itself_and_names_an_address_in_use() {
    demo_service::run("127.0.0.1:0", Some(Duration::from_millis(10))).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = demo_service::run(&address, None).unwrap_err();
    assert!(format!("{error:#}").starts_with(&format!("cannot listen on {address}: ")), "{error:#}");
}
