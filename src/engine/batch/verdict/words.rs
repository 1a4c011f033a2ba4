//! What the words of curl, wget, nc and shells say, where their exit codes do not: tools and versions differ, the
//! fragments here are what they share. All of them are asked to speak English.

use crate::check::Distrust;

/// What a tool says of a TLS connection that did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// The certificate was rejected, or there is no TLS.
    Rejected(Distrust),
    /// The other side ended it, or the network did.
    Ended,
    /// Both sides have nothing in common, or a certificate of ours is wanted: the tool's lack.
    NotAgreed,
    /// The tool does not say.
    Unsaid,
}

/// Whether any of these stands in the text.
pub(super) fn says(low: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| low.contains(phrase))
}

/// Whether a name has no address: glibc's, musl's, and the tools' own words.
pub(super) fn is_unresolved(low: &str) -> bool {
    says(
        low,
        &[
            "bad address",
            "could not resolve",
            "couldn't resolve",
            "unable to resolve",
            "name or service not known",
            "name does not resolve",
            "name resolution",
            "no address associated",
            "nodename nor servname",
            "host lookup failed",
            "unknown host",
            "cannot resolve",
        ],
    )
}

/// What was said about TLS, of curl with any library, GNU wget with either, and busybox' own.
pub(super) fn tls(low: &str) -> Tls {
    const PLAIN: [&str; 7] = [
        "wrong version number",
        "unexpected tls packet",
        "packet length too long",
        "record layer failure",
        "unknown protocol",
        "record overflow",
        "bad tls record",
    ];
    const NOT_AGREED: [&str; 14] = [
        "handshake failure",
        "protocol version",
        "unsupported protocol",
        "no protocols available",
        "insufficient security",
        "no shared cipher",
        "no ciphers available",
        "no supported cipher",
        "certificate required",
        "alert bad certificate",
        "alert unknown ca",
        "fatal alert",
        "not compiled in",
        "could not save ssl session data",
    ];
    const ENDED: [&str; 10] = [
        "reset by peer",
        "ssl_error_syscall",
        "unexpected eof",
        "non-properly terminated",
        "pull function",
        "broken pipe",
        "recv failure",
        "send failure",
        "short read",
        "bad tls record (len:0)",
    ];
    // Of busybox, where nothing came at all.
    if says(low, &PLAIN) && !low.contains("(len:0)") {
        Tls::Rejected(Distrust::PlainText)
    } else if says(low, &NOT_AGREED) {
        Tls::NotAgreed
    } else if let Some(why) = certificate(low) {
        Tls::Rejected(why)
    } else if says(low, &ENDED) {
        Tls::Ended
    } else {
        Tls::Unsaid
    }
}

/// Why a certificate was rejected. What is most particular comes first: GNU wget says two things at once.
fn certificate(low: &str) -> Option<Distrust> {
    if !says(low, &["certificate", "certs", "alternative"]) {
        return None;
    }
    let table: [(&[&str], Distrust); 6] = [
        (&["expired"], Distrust::Expired),
        (&["not yet valid", "not yet been activated", "not yet activated"], Distrust::NotYetValid),
        (&["self-signed", "self signed"], Distrust::SelfSigned),
        (&["does not match", "no alternative certificate", "alternative name matches"], Distrust::OtherName),
        (&["revoked"], Distrust::Revoked),
        (&["issuer", "not trusted", "unable to get", "unable to verify"], Distrust::UnknownIssuer),
    ];
    table.into_iter().find(|(phrases, _)| says(low, phrases)).map(|(_, why)| why)
}

/// The last line that says something, or the exit code.
pub(super) fn detail(text: &str, code: i32) -> String {
    let ours = |line: &&str| line.starts_with("rcvy:");
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !ours(line));
    line.map_or_else(|| format!("no connection (exit {code})"), ToOwned::to_owned)
}

/// The first line that says something.
pub(super) fn first(text: &str) -> &str {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("rcvy:"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What real tools said to real servers: curl 7.88 with OpenSSL, GNU wget 1.21 with GnuTLS, busybox 1.35; and
    /// of others as they are documented.
    #[test]
    fn tls_trouble_is_told_apart() {
        use Distrust::{Expired, NotYetValid, OtherName, PlainText, SelfSigned, UnknownIssuer};
        for (said, meant) in [
            ("SSL certificate problem: certificate has expired", Tls::Rejected(Expired)),
            ("SSL certificate problem: certificate is not yet valid", Tls::Rejected(NotYetValid)),
            ("SSL certificate problem: self-signed certificate", Tls::Rejected(SelfSigned)),
            (
                "SSL certificate problem: self signed certificate in certificate chain",
                Tls::Rejected(SelfSigned),
            ),
            ("SSL certificate problem: unable to get local issuer certificate", Tls::Rejected(UnknownIssuer)),
            (
                "SSL: no alternative certificate subject name matches target host name 'localhost'",
                Tls::Rejected(OtherName),
            ),
            (
                "ERROR: The certificate of 'localhost' is not trusted.\nERROR: The certificate of 'localhost' has expired.",
                Tls::Rejected(Expired),
            ),
            ("ERROR: The certificate of 'x' doesn't have a known issuer.", Tls::Rejected(UnknownIssuer)),
            ("The certificate's owner does not match hostname 'localhost'", Tls::Rejected(OtherName)),
            ("The certificate has not yet been activated", Tls::Rejected(NotYetValid)),
            ("error:0A00010B:SSL routines::wrong version number", Tls::Rejected(PlainText)),
            ("GnuTLS: An unexpected TLS packet was received.", Tls::Rejected(PlainText)),
            (
                "TLS connect error: error:0A0000C6:SSL routines::packet length too long",
                Tls::Rejected(PlainText),
            ),
            ("Recv failure: Connection reset by peer", Tls::Ended),
            ("OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to localhost:8823", Tls::Ended),
            ("TLS connect error: error:0A000126:SSL routines::unexpected eof while reading", Tls::Ended),
            ("GnuTLS: Error in the pull function.", Tls::Ended),
            ("GnuTLS: The TLS connection was non-properly terminated.", Tls::Ended),
            ("wget: short read, have only 0: Connection reset by peer", Tls::Ended),
            ("error:0A000410:SSL routines::sslv3 alert handshake failure", Tls::NotAgreed),
            ("error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0", Tls::NotAgreed),
            ("error:0A000102:SSL routines::unsupported protocol", Tls::NotAgreed),
            ("GnuTLS: A TLS fatal alert has been received.", Tls::NotAgreed),
            (
                "wget: TLS error from peer (alert code 40): handshake failure\nwget: error getting response: Connection reset by peer",
                Tls::NotAgreed,
            ),
            ("wget: got bad TLS record (len:47) while expecting handshake record", Tls::Rejected(PlainText)),
            ("wget: got bad TLS record (len:0) while expecting handshake record", Tls::Ended),
            ("Unable to establish SSL connection.", Tls::Unsaid),
        ] {
            assert_eq!(tls(&said.to_ascii_lowercase()), meant, "{said}");
        }
    }

    #[test]
    fn a_name_without_address_is_seen_whoever_says_so() {
        for said in [
            "curl: (6) Could not resolve host: db.local",
            "wget: unable to resolve host address 'db.local'",
            "wget: bad address 'db.local:80'",
            "nc: bad address 'db.local'",
            "nc: getaddrinfo for host \"db.local\" port 80: Name or service not known",
            "sh: db.local: Temporary failure in name resolution",
            "bash: db.local: Name does not resolve",
            "Ncat: Could not resolve hostname \"db.local\": Name or service not known. QUITTING.",
            "db.local: forward host lookup failed: Unknown host",
        ] {
            assert!(is_unresolved(&said.to_ascii_lowercase()), "{said}");
        }
        assert!(!is_unresolved("connection refused"));
    }
}
