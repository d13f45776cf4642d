//! TLS.

use super::kinds::*;
use super::{Section, rows};

const NOT_YET: &str = "TLS is not supported yet: put stunnel or a proxy in front";

pub(super) const SECTION: Section = Section {
    title: "TLS",
    parameters: rows! {
        "tls-port" = "0", integer(0, 65535), Live, "The TCP port for TLS; 0 for none.", .default_only(NOT_YET);
        "tls-cert-file" = "", Text, Live, "The server's certificate.", .later("TLS");
        "tls-key-file" = "", Text, Live, "The key of the certificate.", .later("TLS");
        "tls-key-file-pass" = "", Text, Live, "The password of the key's file.", .later("TLS"), .secret();
        "tls-client-cert-file" = "", Text, Live, "The certificate for outgoing connections.", .later("TLS");
        "tls-client-key-file" = "", Text, Live, "Its key.", .later("TLS");
        "tls-client-key-file-pass" = "", Text, Live, "The password of that key's file.", .later("TLS"), .secret();
        "tls-dh-params-file" = "", Text, Live, "Parameters for old Diffie-Hellman ciphers.", .later("TLS");
        "tls-ca-cert-file" = "", Text, Live, "The authorities whose certificates are trusted.", .later("TLS");
        "tls-ca-cert-dir" = "", Text, Live, "A directory of such authorities.", .later("TLS");
        "tls-auth-clients" = "yes", Choice(&["no", "yes", "optional"]), Live,
            "Whether clients must have a certificate.", .later("TLS");
        "tls-auth-clients-user" = "off", Choice(&["off", "cn", "uri"]), Live,
            "Whether a client's certificate names its user.", .later("TLS");
        "tls-auto-reload-interval" = "0", integer(0, INT), Live,
            "Seconds between looks at the certificates' files.", .later("TLS");
        "tls-replication" = "no", YesNo, Live, "TLS to the primary.", .default_only(NOT_YET);
        "tls-cluster" = "no", YesNo, Live, "TLS between the nodes of a cluster.", .default_only(NOT_YET);
        "tls-protocols" = "", Text, Live, "The versions of TLS that are allowed.", .later("TLS");
        "tls-ciphers" = "", Text, Live, "The ciphers of TLS 1.2.", .later("TLS");
        "tls-ciphersuites" = "", Text, Live, "The ciphers of TLS 1.3.", .later("TLS");
        "tls-prefer-server-ciphers" = "no", YesNo, Live, "The server's order of ciphers counts.", .later("TLS");
        "tls-session-caching" = "yes", YesNo, Live, "Sessions can be taken up again.", .later("TLS");
        "tls-session-cache-size" = "20480", integer(0, INT), Live, "How many sessions are kept.", .later("TLS");
        "tls-session-cache-timeout" = "300", integer(0, INT), Live, "For how many seconds.", .later("TLS");
        "max-new-tls-connections-per-cycle" = "1", integer(1, 1000), Live,
            "New TLS connections taken in one round.", .no_effect("all that wait are taken");
    },
};
