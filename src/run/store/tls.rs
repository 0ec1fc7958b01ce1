//! TLS to PostgreSQL, by rustls: Orthanc brings an OpenSSL of its own, and two in one process get in each other's way.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Trusts servers whose certificate is of one of the authorities in the file, and for their name. Without a file any server, as libpq does
/// with `sslmode=require`: nobody can listen, and nobody has said who may answer.
///
/// # Errors
/// Why the file is of no use, without its path.
pub(super) fn connector(authorities: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let config = match authorities {
        Some(file) => builder.with_root_certificates(read(file)?),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider))),
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn read(file: &Path) -> Result<RootCertStore, String> {
    let refused = |reason: String| format!("the file of Ai.Runs.PostgreSqlCaCertificates {reason}");
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|e| match e {
        rustls::pki_types::pem::Error::Io(e) => refused(format!("cannot be read: {}", e.kind())),
        e => refused(format!("is not PEM: {e}")),
    })?;
    let mut roots = RootCertStore::empty();
    if let (0, _) = roots.add_parsable_certificates(certificates) {
        return Err(refused("has no certificate".into()));
    }
    Ok(roots)
}

/// In words of our own where rustls names hosts; None where something else than TLS went wrong.
pub(super) fn reason(error: &dyn Error) -> Option<String> {
    let error = error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "TLS: the server's certificate is for another name".into(),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "TLS: the server's certificate is of none of the trusted authorities".into()
        }
        error => format!("TLS: {error}"),
    })
}

/// Whoever answers has the key of the certificate that he shows, whatever stands in it.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
