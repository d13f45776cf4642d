//! TLS, by rustls: no I/O of its own, so a connection is a socket and a state that the worker feeds.
//!
//! - `config`: from directives to certificates, authorities and ciphers. `stream`: a connection.
//! - `subject`: the name in a client's certificate, which may be that of its user.
//!
//! Certificates are read again when one of their directives is set, on SIGHUP, and every `tls-auto-reload-interval` seconds where their
//! files have changed. Connections that are open stay as they are.

mod config;
mod stream;
mod subject;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;

pub(crate) use config::{ClientCertificates, Settings};
pub(crate) use stream::TlsStream;

/// What all TLS connections of a server share.
#[derive(Default)]
pub(crate) struct Tls {
    config: RwLock<Option<Arc<ServerConfig>>>,
    /// The server listens for TLS: wrong settings are refused from then on.
    is_on: AtomicBool,
    /// When the files were changed last that were read.
    read: Mutex<Vec<Option<SystemTime>>>,
}

impl Tls {
    /// What a new connection needs; `None` if TLS is off.
    pub(crate) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.config.read().clone()
    }

    /// Whether the server listens for TLS.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Switches TLS on.
    pub(crate) fn start(&self, settings: &Settings) -> Result<(), String> {
        self.is_on.store(true, Ordering::Relaxed);
        self.reload(settings)
    }

    /// Reads certificates and keys again. On an error nothing is changed. Does nothing where TLS is off.
    pub(crate) fn reload(&self, settings: &Settings) -> Result<(), String> {
        if self.is_on.load(Ordering::Relaxed) {
            let changed = settings.changed();
            let config = settings.build()?;
            *self.config.write() = Some(config);
            *self.read.lock() = changed;
        }
        Ok(())
    }

    /// The same if one of the files has changed since. Whether one had.
    pub(crate) fn reload_if_changed(&self, settings: &Settings) -> Result<bool, String> {
        let is_on = self.is_on.load(Ordering::Relaxed);
        if !is_on || *self.read.lock() == settings.changed() {
            return Ok(false);
        }
        self.reload(settings).map(|()| true)
    }
}

impl Settings {
    /// When the files were changed last.
    fn changed(&self) -> Vec<Option<SystemTime>> {
        let files = [
            &self.certificate,
            &self.key,
            &self.authorities,
            &self.authorities_dir,
        ];
        let changed = |path: &std::path::PathBuf| std::fs::metadata(path).ok()?.modified().ok();
        files.map(|path| path.as_ref().and_then(changed)).to_vec()
    }
}

/// The names in a client's certificate that may be that of its user, the more telling first.
pub(crate) fn names_in(certificate: &[u8], by: NameFrom) -> Vec<Vec<u8>> {
    let der = rustls::pki_types::CertificateDer::from(certificate);
    let Ok(certificate) = webpki::EndEntityCert::try_from(&der) else {
        return Vec::new();
    };
    match by {
        NameFrom::Nothing => Vec::new(),
        NameFrom::CommonName => subject::common_name(certificate.subject())
            .map(<[u8]>::to_vec)
            .into_iter()
            .collect(),
        NameFrom::Uri => certificate
            .valid_uri_names()
            .map(|name| name.as_bytes().to_vec())
            .collect(),
    }
}

/// `tls-auth-clients-user`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameFrom {
    Nothing,
    CommonName,
    Uri,
}
