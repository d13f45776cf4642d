//! TLS against a server with certificates made for the test.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use djr_client::{
    Address, Client, ClientError, Options, Pipeline, Protocol, Reconnect, Tls, Verify,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rstest::rstest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// An authority, a server's certificate for `localhost`, and a client's, all as files.
struct Identities {
    dir: tempfile::TempDir,
}

impl Identities {
    fn new() -> Identities {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        write("ca.crt", issuer.pem());
        for (file, name) in [("server", "localhost"), ("client", "somebody")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            write(
                &format!("{file}.crt"),
                params.signed_by(&key, &issuer).unwrap().pem(),
            );
            write(&format!("{file}.key"), key.serialize_pem());
        }
        Identities { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A server that answers `PING` with `+PONG`, and ends a connection after `replies` of them.
    fn serve(&self, asks_client: bool, replies: usize) -> u16 {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.path("ca.crt")).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_client {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.path("server.crt")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(session, socket.unwrap());
                thread::spawn(move || {
                    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
                    let mut request = vec![0; PING.len()];
                    for _ in 0..replies {
                        if stream.read_exact(&mut request).is_err() {
                            return;
                        }
                        assert_eq!(request, PING);
                        stream.write_all(b"+PONG\r\n").unwrap();
                    }
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                });
            }
        });
        port
    }
}

fn options(port: u16, tls: Tls) -> Options {
    Options {
        address: Address::Tcp("127.0.0.1".to_owned(), port),
        protocol: Protocol::Resp2,
        tls: Some(tls),
        ..Options::default()
    }
}

fn trusting(ca: &Path) -> Tls {
    Tls {
        ca_file: Some(ca.to_owned()),
        server_name: Some("localhost".to_owned()),
        ..Tls::default()
    }
}

#[tokio::test]
async fn talks_to_whom_it_trusts() {
    let made = Identities::new();
    let port = made.serve(false, usize::MAX);
    let mut client = Client::connect(options(port, trusting(&made.path("ca.crt"))))
        .await
        .unwrap();
    client.command(&["PING"]).await.unwrap();
    // More than fits into any buffer on the way.
    let mut pipeline = Pipeline::new();
    for _ in 0..100_000 {
        pipeline.add(&["PING"]);
    }
    let replies = client.run(&pipeline).await.unwrap();
    assert!(
        replies
            .iter()
            .all(|reply| reply.as_ref().unwrap().as_bytes() == Some(b"PONG"))
    );
}

#[rstest]
#[case::stranger(|tls| Tls { ca_file: None, ..tls }, "invalid peer certificate")]
#[case::other_name(|tls| Tls { server_name: Some("elsewhere".into()), ..tls }, "not valid for")]
#[case::host_is_the_name(|tls| Tls { server_name: None, ..tls }, "not valid for")]
#[tokio::test]
async fn refuses_others(#[case] change: fn(Tls) -> Tls, #[case] reason: &str) {
    let made = Identities::new();
    let other = Identities::new();
    let port = made.serve(false, usize::MAX);
    let mut tls = change(trusting(&made.path("ca.crt")));
    tls.ca_file.get_or_insert(other.path("ca.crt"));
    let error = Client::connect(options(port, tls)).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains(reason), "{error}");
}

#[rstest]
#[case(Verify::AnyName, true)]
#[case(Verify::Nothing, false)]
#[tokio::test]
async fn checks_less_if_told_so(#[case] verify: Verify, #[case] checks_issuer: bool) {
    let made = Identities::new();
    let other = Identities::new();
    let port = made.serve(false, usize::MAX);
    for (ca, is_theirs) in [(made.path("ca.crt"), true), (other.path("ca.crt"), false)] {
        let tls = Tls {
            verify,
            server_name: Some("elsewhere".into()),
            ..trusting(&ca)
        };
        let connected = Client::connect(options(port, tls)).await;
        assert_eq!(
            connected.is_ok(),
            is_theirs || !checks_issuer,
            "{connected:?}"
        );
    }
}

#[tokio::test]
async fn shows_its_certificate() {
    let made = Identities::new();
    let port = made.serve(true, usize::MAX);
    let tls = trusting(&made.path("ca.crt"));
    // With TLS 1.3 the refusal comes after the handshake.
    let refused = match Client::connect(options(port, tls.clone())).await {
        Ok(mut client) => client.command(&["PING"]).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(refused.is_disconnect(), "{refused:?}");
    let tls = Tls {
        cert: Some(made.path("client.crt")),
        key: Some(made.path("client.key")),
        ..tls
    };
    let mut client = Client::connect(options(port, tls.clone())).await.unwrap();
    client.command(&["PING"]).await.unwrap();
    let half = Tls { key: None, ..tls };
    let error = Client::connect(options(port, half)).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls(_)), "{error:?}");
}

#[rstest]
#[case(Some("ECDHE-ECDSA-AES128-GCM-SHA256"), None, true)]
#[case(None, Some("TLS_AES_128_GCM_SHA256:TLS_NONE"), true)]
#[case(Some("RC4-MD5"), None, false)]
#[tokio::test]
async fn uses_the_ciphers_asked_for(
    #[case] ciphers: Option<&str>,
    #[case] ciphersuites: Option<&str>,
    #[case] works: bool,
) {
    let made = Identities::new();
    let port = made.serve(false, usize::MAX);
    let tls = Tls {
        ciphers: ciphers.map(str::to_owned),
        ciphersuites: ciphersuites.map(str::to_owned),
        ..trusting(&made.path("ca.crt"))
    };
    let connected = Client::connect(options(port, tls)).await;
    assert_eq!(connected.is_ok(), works, "{connected:?}");
}

#[tokio::test]
async fn notices_an_end_and_reconnects() {
    let made = Identities::new();
    let port = made.serve(false, 1);
    let reconnecting = Options {
        reconnect: Reconnect::Attempts {
            attempts: 3,
            delay: Duration::from_millis(1),
        },
        ..options(port, trusting(&made.path("ca.crt")))
    };
    let mut client = Client::connect(reconnecting).await.unwrap();
    for _ in 0..3 {
        client.command(&["PING"]).await.unwrap();
        // The end is under way.
        while client.is_connected() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn a_file_that_is_none_is_named() {
    let made = Identities::new();
    let tls = Tls {
        ca_file: Some(made.path("server.key")),
        ..Tls::default()
    };
    let error = Client::connect(options(1, tls)).await.unwrap_err();
    assert!(error.to_string().contains("server.key"), "{error}");
}
