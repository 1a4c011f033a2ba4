//! TLS: whom we trust, and what the library's errors say of a service.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    InvalidMessage, SignatureScheme, StreamOwned,
};
use rustls_platform_verifier::Verifier;

use super::Trouble;
use super::stream::Timed;
use crate::check::{Distrust, Failure, Health, Unknown};

/// Shakes hands.
pub(super) fn over(
    mut stream: Timed,
    host: &str,
    verify: bool,
) -> Result<StreamOwned<ClientConnection, Timed>, Trouble> {
    let unable = |error: &dyn std::fmt::Display| {
        Trouble::Unable(Unknown::Other(format!("no TLS connection can be made from this machine: {error}")))
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| unable(&error))?;
    let config = config(verify).map_err(|error| unable(&error))?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| unable(&error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| match inside(&error) {
            Some(tls) => Trouble::Tls(tls.clone()),
            None => Trouble::Io(error),
        })?;
    }
    Ok(StreamOwned::new(connection, stream))
}

fn config(verify: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> =
        if verify { Arc::new(Verifier::new(provider)?) } else { Arc::new(Anybody(provider)) };
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The library's error in one of input and output.
pub(super) fn inside(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What an error of TLS says of a service.
pub(super) fn health(error: &Error, to: &str) -> Health {
    let distrusted = |why| Health::Unhealthy(Failure::Tls { to: to.to_owned(), why });
    match error {
        Error::InvalidCertificate(why) => distrusted(distrust(why)),
        // The first bytes of something else.
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => distrusted(Distrust::PlainText),
        Error::AlertReceived(alert) if !is_about_us(*alert) => {
            distrusted(Distrust::Other(format!("it refuses a TLS connection: {alert:?}")))
        }
        error => {
            let text = format!("this program and {to} cannot agree on a TLS connection: {error}");
            Health::Unknown(Unknown::NoTool(text))
        }
    }
}

/// It has no cipher or version in common with us, or wants a certificate of ours.
fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity
            | AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

fn distrust(error: &CertificateError) -> Distrust {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::OtherName
        }
        CertificateError::UnknownIssuer => Distrust::UnknownIssuer,
        CertificateError::Revoked => Distrust::Revoked,
        other if other.to_string().contains("CaUsedAsEndEntity") => Distrust::SelfSigned,
        other => Distrust::Other(format!("its certificate is rejected: {other}")),
    }
}

/// For `tls_verify: false`: whoever it is, as long as it holds the key of what it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
