//! TLS: what is trusted, who we are, and the state of one connection. The protocol is rustls's; the bytes come and go
//! through the socket of [`stream`](crate::stream), without waiting here.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};

use crate::error::TlsError;

/// How to use TLS. The default trusts the authorities of the operating system and checks the server's name.
///
/// ```
/// use djr_client::{Options, Tls};
///
/// let options = Options {
///     tls: Some(Tls { ca_file: Some("ca.crt".into()), ..Tls::default() }),
///     ..Options::default()
/// };
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name that the server's certificate must be for, and that is sent as SNI; the host's by default.
    pub server_name: Option<String>,
    /// A file of certificates (PEM) to trust, instead of those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// A directory of such files. Files in it that hold no certificate are left aside.
    pub ca_dir: Option<PathBuf>,
    /// Our certificate with its chain (PEM), for servers that ask for one.
    pub cert: Option<PathBuf>,
    /// Its private key (PEM), not encrypted.
    pub key: Option<PathBuf>,
    /// How much of the server's certificate is checked; all of it.
    pub verify: Verify,
    /// Cipher suites up to TLS 1.2 that may be used, by OpenSSL's names, separated by colons; all that rustls has.
    pub ciphers: Option<String>,
    /// Cipher suites of TLS 1.3 that may be used, separated by colons; all that rustls has.
    pub ciphersuites: Option<String>,
}

/// How much of the server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Who signed it, and whether it is for the server's name.
    #[default]
    Full,
    /// Who signed it; it may be for any name.
    AnyName,
    /// Nothing: whoever is in between can read along.
    Nothing,
}

/// Cipher suites of TLS 1.2 as OpenSSL calls them, and as the standard does.
const OPENSSL_NAMES: [(&str, &str); 6] = [
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
];

impl Tls {
    /// The state of a new connection to `host`.
    pub(crate) fn session(&self, host: &str) -> Result<Session, TlsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::ServerName(name.to_owned()))?;
        let connection = ClientConnection::new(Arc::new(self.config()?), name)?;
        Ok(Session {
            connection: Box::new(connection),
            has_closed: false,
        })
    }

    fn config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(self.provider()?);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if self.verify == Verify::Full {
            builder.with_root_certificates(self.roots()?)
        } else {
            let inner = match self.verify {
                Verify::Nothing => None,
                _ => Some(
                    WebPkiServerVerifier::builder_with_provider(
                        Arc::new(self.roots()?),
                        Arc::clone(&provider),
                    )
                    .build()
                    .map_err(|error| TlsError::Authorities(error.to_string()))?,
                ),
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient {
                    inner,
                    algorithms: provider.signature_verification_algorithms,
                }))
        };
        Ok(match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let key_der =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
                        path: key.clone(),
                        reason: error.to_string(),
                    })?;
                builder.with_client_auth_cert(certificates(cert)?, key_der)?
            }
            _ => return Err(TlsError::HalfIdentity),
        })
    }

    fn provider(&self) -> Result<CryptoProvider, TlsError> {
        let mut provider = ring::default_provider();
        for (list, is_tls13) in [(&self.ciphers, false), (&self.ciphersuites, true)] {
            let Some(list) = list else { continue };
            let wanted: Vec<&str> = list.split(':').map(standard_name).collect();
            provider.cipher_suites.retain(|suite| {
                // rustls calls those of TLS 1.3 TLS13_…; the standard, TLS_….
                let name = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
                suite.tls13().is_some() != is_tls13 || wanted.contains(&name.as_str())
            });
            let is_left = provider
                .cipher_suites
                .iter()
                .any(|suite| suite.tls13().is_some() == is_tls13);
            if !is_left {
                return Err(TlsError::Ciphers(list.clone()));
            }
        }
        Ok(provider)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            for certificate in certificates(file)? {
                roots.add(certificate)?;
            }
        }
        if let Some(dir) = &self.ca_dir {
            let unreadable = |error: io::Error| TlsError::File {
                path: dir.clone(),
                reason: error.to_string(),
            };
            for entry in fs::read_dir(dir).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                roots.add_parsable_certificates(certificates(&path).unwrap_or_default());
            }
        }
        if self.ca_file.is_none() && self.ca_dir.is_none() {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        if roots.is_empty() {
            return Err(TlsError::Authorities("none found".to_owned()));
        }
        Ok(roots)
    }
}

fn standard_name(name: &str) -> &str {
    OPENSSL_NAMES
        .iter()
        .find(|(openssl, _)| *openssl == name)
        .map_or(name, |(_, standard)| standard)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File {
        path: path.to_owned(),
        reason,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| failed(error.to_string()))?
        .collect();
    let found = found.map_err(|error| failed(error.to_string()))?;
    if found.is_empty() {
        return Err(failed("no certificate in it".to_owned()));
    }
    Ok(found)
}

/// Checks who signed, or nothing at all. That the server has the certificate's key is checked always.
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Lenient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lenient").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The state of TLS on one connection. `socket` is one that does not wait: it says [`io::ErrorKind::WouldBlock`].
#[derive(Debug)]
pub(crate) struct Session {
    connection: Box<ClientConnection>,
    /// Whether the peer has said that nothing more will come.
    has_closed: bool,
}

impl Session {
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Encrypts and sends as much as goes without waiting.
    pub(crate) fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        // First what is there already: the encrypted bytes that are held are so bounded by rustls's limit.
        self.flush(socket)?;
        let len = self.connection.writer().write(bytes)?;
        match self.flush(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(len),
            flushed => flushed.map(|()| len),
        }
    }

    /// Sends what is encrypted already; [`io::ErrorKind::WouldBlock`] if something is left.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(socket)?;
        }
        Ok(())
    }

    /// Takes what has come, decrypted; 0 at the end.
    pub(crate) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        input: &mut BytesMut,
    ) -> io::Result<usize> {
        loop {
            let taken = self.take(input)?;
            if taken > 0 {
                return Ok(taken);
            }
            if !self.receive(socket)? {
                return Ok(0);
            }
        }
    }

    /// What is decrypted already.
    fn take(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let mut taken = 0;
        while let room @ 1.. = chunk.len().min(input.capacity() - input.len()) {
            let Some(part) = chunk.get_mut(..room) else {
                break;
            };
            match self.connection.reader().read(part) {
                Ok(0) => break,
                Ok(len) => {
                    input.put_slice(part.get(..len).unwrap_or_default());
                    taken += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // No close_notify: the socket's end is told by `receive`.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Takes encrypted bytes from the socket; `false` at the end.
    pub(crate) fn receive(&mut self, socket: &mut (impl Read + Write)) -> io::Result<bool> {
        if self.connection.read_tls(socket)? == 0 {
            return Ok(false);
        }
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.has_closed |= state.peer_has_closed();
                let is_over = state.peer_has_closed() && state.plaintext_bytes_to_read() == 0;
                match self.flush(socket) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                    _ => Ok(!is_over),
                }
            }
            Err(error) => {
                // The alert that tells the peer why, if it can be sent.
                let _ = self.flush(socket);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Takes what has come without giving it out; `true` if the peer has closed.
    pub(crate) fn has_ended(&mut self, socket: &mut (impl Read + Write)) -> bool {
        while self.connection.wants_read() {
            match self.receive(socket) {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        self.has_closed
    }
}
