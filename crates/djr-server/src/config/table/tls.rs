//! TLS.

use super::kinds::*;
use super::{Section, live, rows};

const NO_CLUSTER: &str = "there is no cluster yet";
const NO_DH: &str = "the key exchange needs none";

pub(super) const SECTION: Section = Section {
    title: "TLS",
    parameters: rows! {
        "tls-port" = "0", integer(0, 65535), Start, "The TCP port for TLS; 0 for none.";
        "tls-cert-file" = "", Text, Live, "The server's certificate.", .apply(live::tls);
        "tls-key-file" = "", Text, Live, "The key of the certificate.", .apply(live::tls);
        "tls-key-file-pass" = "", Text, Live, "The password of the key's file.", .apply(live::tls), .secret();
        "tls-client-cert-file" = "", Text, Live, "The certificate for outgoing connections.", .later("replication");
        "tls-client-key-file" = "", Text, Live, "Its key.", .later("replication");
        "tls-client-key-file-pass" = "", Text, Live, "The password of that key's file.", .later("replication"), .secret();
        "tls-dh-params-file" = "", Text, Live, "Parameters for old Diffie-Hellman ciphers.", .no_effect(NO_DH);
        "tls-ca-cert-file" = "", Text, Live, "The authorities whose certificates are trusted.", .apply(live::tls);
        "tls-ca-cert-dir" = "", Text, Live, "A directory of such authorities.", .apply(live::tls);
        "tls-auth-clients" = "yes", Choice(&["no", "yes", "optional"]), Live,
            "Whether clients must have a certificate.", .apply(live::tls);
        "tls-auth-clients-user" = "off", Choice(&["CN", "URI", "off"]), Live,
            "Whether a client's certificate names its user.";
        "tls-auto-reload-interval" = "0", integer(0, INT), Live,
            "Seconds between looks at the certificates' files, which are read again when they have changed; 0 for none.";
        "tls-replication" = "no", YesNo, Live, "TLS to the primary.", .later("replication");
        "tls-cluster" = "no", YesNo, Live, "TLS between the nodes of a cluster.", .default_only(NO_CLUSTER);
        "tls-protocols" = "", Text, Live, "The versions of TLS that are allowed.", .apply(live::tls);
        "tls-ciphers" = "", Text, Live, "The ciphers of TLS 1.2.", .apply(live::tls);
        "tls-ciphersuites" = "", Text, Live, "The ciphers of TLS 1.3.", .apply(live::tls);
        "tls-prefer-server-ciphers" = "no", YesNo, Live, "The server's order of ciphers counts.", .apply(live::tls);
        "tls-session-caching" = "yes", YesNo, Live, "Sessions can be taken up again.", .apply(live::tls);
        "tls-session-cache-size" = "20480", integer(0, INT), Live, "How many sessions are kept.", .apply(live::tls);
        "tls-session-cache-timeout" = "300", integer(0, INT), Live, "For how many seconds.", .no_effect("sessions are kept as long as there is room");
        "max-new-tls-connections-per-cycle" = "1", integer(1, 1000), Live,
            "New TLS connections taken in one round.";
    },
};
