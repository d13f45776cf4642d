//! Listening, connections, passwords.

use super::kinds::*;
use super::{Section, live, rows, special as specials};

pub(super) const SECTION: Section = Section {
    title: "Network and access",
    parameters: rows! {
        "bind" = "127.0.0.1 -::1", special(&specials::ADDRESSES), Start,
            "The addresses to listen on.";
        "port" = "6379", integer(0, 65535), Start,
            "The TCP port to listen on; 0 for none.";
        "unixsocket" = "", Text, Start,
            "The path of a Unix socket to listen on; empty for none.";
        "unixsocketperm" = "0", octal(0o777), Start,
            "The mode of the Unix socket's file; 0 leaves it as the umask makes it.";
        "unixsocketgroup" = "", Text, Start,
            "The group that owns the Unix socket's file.", .default_only("not supported: set the group of its directory");
        "tcp-backlog" = "511", integer(0, INT), Start,
            "How many new connections the system keeps waiting until they are accepted.";
        "timeout" = "0", integer(0, INT), Live,
            "Seconds after which a client that sends nothing is disconnected; 0 for never.";
        "tcp-keepalive" = "300", integer(0, INT), Live,
            "Seconds after which a silent connection is probed, so that dead peers are noticed; 0 for never.";
        "maxclients" = "10000", integer(1, UINT), Live,
            "How many clients may be connected at once.", .apply(live::maxclients);
        "protected-mode" = "yes", YesNo, Live,
            "Without a password, only clients on this machine are served.";
        "requirepass" = "", Text, Live,
            "The password of the default user; empty for none.", .secret(), .apply(live::requirepass);
        "aclfile" = "", Text, Start,
            "A file of ACL users, which ACL SAVE writes and ACL LOAD reads.";
        "acllog-max-len" = "128", integer(0, LONG), Live,
            "How many refused accesses ACL LOG keeps.";
        "acl-pubsub-default" = "resetchannels", Choice(&["allchannels", "resetchannels"]), Live,
            "The channels that new ACL users may use.", .apply(live::acl_pubsub_default);
        "bind-source-addr" = "", Text, Live,
            "The address from which outgoing connections are made.", .later("replication");
        "max-new-connections-per-cycle" = "10", integer(1, 1000), Live,
            "New connections taken in one round, before other clients are served again.";
        "mptcp" = "no", YesNo, Start,
            "Listens with Multipath TCP.", .default_only("Multipath TCP is not supported");
        "socket-mark-id" = "0", integer(0, UINT), Start,
            "The mark of listening sockets, on FreeBSD and the like.", .default_only("this system has no such marks");
        "rdma-bind" = "", special(&specials::ANY_WORDS), Live,
            "RDMA: addresses.", .default_only("RDMA is not supported");
        "rdma-port" = "0", integer(0, 65535), Live,
            "RDMA: port.", .default_only("RDMA is not supported");
        "rdma-rx-size" = "1048576", memory(65536, 16 << 20), Start,
            "RDMA: size of the receive buffer.", .no_effect("RDMA is not supported");
        "rdma-completion-vector" = "-1", integer(-1, 1024), Start,
            "RDMA: completion vector.", .no_effect("RDMA is not supported");
    },
};
