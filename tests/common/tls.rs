//! Loopback servers that speak TLS, or fail to: with certificates that `openssl` makes, all of them by one
//! authority that nobody trusts unless told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::docker::{required, skipped};
use super::shells::find;

const CONFIG: &str = "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\n\
    default_md = sha256\npolicy = p\nunique_subject = no\ncopy_extensions = copy\n[p]\ncommonName = supplied\n";

/// A folder of certificates `NAME.crt` with keys `NAME.key`.
pub struct Certificates(tempfile::TempDir);

/// How a server behaves.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Answers with that certificate.
    With(&'static str),
    /// The same, but only to who shows a certificate, too.
    Mutual(&'static str),
    /// Answers in plain text.
    Plain,
    /// Resets the connection in the handshake.
    Reset,
    /// Ends it there.
    End,
    /// Says nothing at all.
    Hang,
}

impl Certificates {
    /// `None`, visibly, without openssl.
    pub fn make() -> Option<Self> {
        if find("openssl").is_none() {
            assert!(!required(), "openssl is not installed, and RECOVERY_REQUIRE_DOCKER=1 is set");
            skipped("openssl is not installed");
            return None;
        }
        let made = Self(tempfile::tempdir().expect("a temporary folder"));
        std::fs::write(made.path("ca.cnf"), CONFIG).expect("written");
        std::fs::write(made.path("index"), "").expect("written");
        std::fs::write(made.path("serial"), "01\n").expect("written");
        let own = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"];
        made.openssl(
            &[&own[..], &["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=An Authority"]].concat(),
        );
        let local = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        made.openssl(
            &[
                &own[..],
                &["-keyout", "self.key", "-out", "self.crt", "-subj", "/CN=localhost", "-addext", local],
            ]
            .concat(),
        );
        made.issue("good", local, "20240101000000Z", "20490101000000Z");
        made.issue("expired", local, "20200101000000Z", "20200201000000Z");
        made.issue("future", local, "20480101000000Z", "20490101000000Z");
        made.issue("other", "subjectAltName=DNS:other.example", "20240101000000Z", "20490101000000Z");
        Some(made)
    }

    /// The file of the authority's own certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn issue(&self, name: &str, names: &str, from: &str, until: &str) {
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        let new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext", names];
        self.openssl(&[&new[..], &["-keyout", &key, "-out", &request]].concat());
        let sign = ["ca", "-config", "ca.cnf", "-batch", "-notext", "-cert", "ca.crt", "-keyfile", "ca.key"];
        let what = ["-in", &request, "-out", &certificate, "-startdate", from, "-enddate", until];
        self.openssl(&[&sign[..], &what].concat());
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output();
        let output = output.expect("openssl runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn config(
        &self,
        name: &str,
        verifier: Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>,
    ) -> ServerConfig {
        let certificate =
            CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions");
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        builder.with_single_cert(vec![certificate], key).expect("a certificate and its key")
    }

    /// Starts a server on a free port of 127.0.0.1, until the end of the test's process.
    pub fn serve(&self, manner: Manner) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let config = match manner {
            Manner::With(name) => Some(Arc::new(self.config(name, None))),
            Manner::Mutual(name) => {
                let mut roots = RootCertStore::empty();
                let authority = CertificateDer::from_pem_file(self.authority()).expect("a certificate");
                roots.add(authority).expect("an authority");
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                Some(Arc::new(self.config(name, Some(verifier.expect("a verifier")))))
            }
            _ => None,
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                std::thread::spawn(move || speak(stream, manner, config));
            }
        });
        address
    }
}

fn speak(mut stream: TcpStream, manner: Manner, config: Option<Arc<ServerConfig>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}";
    if let Some(config) = config {
        let connection = ServerConnection::new(config).expect("a configuration that holds");
        let mut stream = StreamOwned::new(connection, stream);
        if stream.read(&mut [0; 4096]).is_ok() {
            let _ = stream.write_all(answer);
            stream.conn.send_close_notify();
        }
        let _ = stream.flush();
        return;
    }
    let _ = stream.read(&mut [0; 4096]);
    match manner {
        Manner::Plain => {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
        Manner::Reset => {
            let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
        Manner::Hang => {
            let _ = stream.read(&mut [0; 4096]);
        }
        Manner::End | Manner::With(_) | Manner::Mutual(_) => {}
    }
}
