//! From directives to what a TLS connection needs: certificates, authorities, versions, ciphers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{
    CipherSuite, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};

/// What the directives say.
pub(crate) struct Settings {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) has_key_password: bool,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) authorities_dir: Option<PathBuf>,
    pub(crate) clients: ClientCertificates,
    pub(crate) protocols: String,
    /// Of TLS 1.2, in the words of OpenSSL.
    pub(crate) ciphers: String,
    /// Of TLS 1.3.
    pub(crate) cipher_suites: String,
    pub(crate) prefers_own_order: bool,
    /// How many sessions can be taken up again; 0: none.
    pub(crate) cached_sessions: usize,
}

/// `tls-auth-clients`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    Ignored,
    Required,
    Optional,
}

impl Settings {
    /// What every TLS connection of the server shares. An error is a sentence for people.
    pub(super) fn build(&self) -> Result<Arc<ServerConfig>, String> {
        let provider = Arc::new(self.provider()?);
        let versions = self.versions()?;
        let certificates = self.certificates()?;
        let key = self.key()?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| {
                format!(
                    "tls-protocols, tls-ciphers and tls-ciphersuites do not go together: {error}"
                )
            })?;
        let builder = match self.clients {
            ClientCertificates::Ignored => builder.with_no_client_auth(),
            wanted => {
                let roots = Arc::new(self.roots()?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match wanted {
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let verifier = verifier
                    .build()
                    .map_err(|error| format!("the authorities can't be used: {error}"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| format!("certificate and key can't be used: {error}"))?;
        config.ignore_client_order = self.prefers_own_order;
        config.session_storage = match self.cached_sessions {
            0 => Arc::new(NoServerSessionStorage {}),
            count => ServerSessionMemoryCache::new(count),
        };
        Ok(Arc::new(config))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let path = self
            .certificate
            .as_ref()
            .ok_or("No tls-cert-file configured!")?;
        read_certificates(path)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        if self.has_key_password {
            return Err(
                "tls-key-file-pass: keys with a password are not supported. Remove it from the file: openssl pkey -in KEY -out NEW"
                    .into(),
            );
        }
        // As with OpenSSL it may stand in the certificate's file.
        let path = self.key.as_ref().or(self.certificate.as_ref());
        let path = path.ok_or("No tls-key-file configured!")?;
        PrivateKeyDer::from_pem_file(path)
            .map_err(|error| format!("Failed to load private key: {}: {error}", path.display()))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let mut add = |path: &Path| -> Result<(), String> {
            for certificate in read_certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
            }
            Ok(())
        };
        if let Some(path) = &self.authorities {
            add(path)?;
        }
        if let Some(dir) = &self.authorities_dir {
            let entries = std::fs::read_dir(dir)
                .map_err(|error| format!("tls-ca-cert-dir {}: {error}", dir.display()))?;
            let mut paths: Vec<_> = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.is_file())
                .collect();
            paths.sort();
            for path in paths {
                // A directory may hold other things, too.
                if let Err(error) = add(&path) {
                    tracing::warn!("tls-ca-cert-dir: {error}");
                }
            }
        }
        if roots.is_empty() {
            return Err(
                "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is enabled!"
                    .into(),
            );
        }
        Ok(roots)
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
        use rustls::version::{TLS12, TLS13};
        if self.protocols.trim().is_empty() {
            return Ok(vec![&TLS13, &TLS12]);
        }
        let mut versions = Vec::new();
        for word in self.protocols.split_ascii_whitespace() {
            match word.to_ascii_lowercase().as_str() {
                "tlsv1.3" => versions.push(&TLS13),
                "tlsv1.2" => versions.push(&TLS12),
                // Broken: asked for beside a good one, it is left out.
                "tlsv1" | "tlsv1.1" => {
                    tracing::warn!("tls-protocols: {word} is not supported: it is not safe");
                }
                _ => return Err("Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3'.".into()),
            }
        }
        if versions.is_empty() {
            return Err("tls-protocols: only TLSv1.2 and TLSv1.3 are supported".into());
        }
        Ok(versions)
    }

    fn provider(&self) -> Result<CryptoProvider, String> {
        let mut provider = ring::default_provider();
        let ciphers = chosen("tls-ciphers", &self.ciphers, &provider.cipher_suites, false)?;
        let suites = chosen(
            "tls-ciphersuites",
            &self.cipher_suites,
            &provider.cipher_suites,
            true,
        )?;
        provider.cipher_suites = suites.into_iter().chain(ciphers).collect();
        Ok(provider)
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error| format!("Failed to load certificate: {}: {error}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if certificates.is_empty() {
        return Err(format!(
            "Failed to load certificate: {}: there is none in it",
            path.display()
        ));
    }
    Ok(certificates)
}

/// Those of the known ciphers of a version that a list names, in its order. An empty list, and the general words of OpenSSL, mean all.
fn chosen(
    directive: &str,
    list: &str,
    known: &[SupportedCipherSuite],
    tls13: bool,
) -> Result<Vec<SupportedCipherSuite>, String> {
    let known: Vec<_> = known
        .iter()
        .copied()
        .filter(|suite| suite.tls13().is_some() == tls13)
        .collect();
    let names = || {
        list.split(':')
            .map(str::trim)
            .filter(|name| !name.is_empty())
    };
    // All that are known are strong: what others only take out is not there.
    let is_general = |name: &str| {
        matches!(name, "DEFAULT" | "HIGH" | "ALL" | "SECURE" | "FIPS") || name.starts_with('!')
    };
    if names().all(is_general) {
        return Ok(known);
    }
    let mut found = Vec::new();
    for name in names().filter(|name| !is_general(name)) {
        let suite = known
            .iter()
            .find(|suite| open_ssl_name(suite.suite()) == Some(name));
        let suite = suite.ok_or_else(|| {
            let names: Vec<_> = known
                .iter()
                .filter_map(|suite| open_ssl_name(suite.suite()))
                .collect();
            format!(
                "{directive}: '{name}' is not supported; these are: {}",
                names.join(":")
            )
        })?;
        found.push(*suite);
    }
    Ok(found)
}

/// What OpenSSL calls a cipher.
fn open_ssl_name(suite: CipherSuite) -> Option<&'static str> {
    Some(match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cipher_has_a_name_and_can_be_chosen() {
        let known = ring::default_provider().cipher_suites;
        for suite in &known {
            let name = open_ssl_name(suite.suite()).expect("a name");
            let tls13 = suite.tls13().is_some();
            let found = chosen("x", name, &known, tls13).expect("a good list");
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].suite(), suite.suite());
        }
    }

    #[test]
    fn lists_of_ciphers() {
        let known = ring::default_provider().cipher_suites;
        assert_eq!(chosen("x", "", &known, false).expect("all").len(), 6);
        assert_eq!(
            chosen("x", "DEFAULT:!MEDIUM", &known, false)
                .expect("all")
                .len(),
            6
        );
        let two = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
        let found = chosen("x", two, &known, false).expect("two");
        assert_eq!(
            found[0].suite(),
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        );
        assert_eq!(found.len(), 2);
        let error = chosen("tls-ciphers", "RC4-MD5", &known, false).expect_err("unknown");
        assert!(
            error.starts_with("tls-ciphers: 'RC4-MD5' is not supported"),
            "{error}"
        );
    }
}
