//! Redis Cluster.

use super::kinds::*;
use super::{Section, rows, special as specials};

const LATER: &str = "cluster mode";

pub(super) const SECTION: Section = Section {
    title: "Cluster",
    parameters: rows! {
        "cluster-enabled" = "no", YesNo, Start, "Is a node of a cluster.", .default_only("cluster mode is not supported yet");
        "cluster-config-file" = "nodes.conf", Text, Start, "The file of what a node knows.", .later(LATER);
        "cluster-node-timeout" = "15000", integer(0, LONG), Live, "Milliseconds until a node counts as failed.", .later(LATER);
        "cluster-port" = "0", integer(0, 65535), Start, "The port of the cluster's bus.", .later(LATER);
        "cluster-databases" = "1", integer(1, INT), Start, "The number of dbs of a node.", .later(LATER);
        "cluster-announce-ip" = "", Text, Live, "The address told to others.", .later(LATER);
        "cluster-announce-port" = "0", integer(0, 65535), Live, "The port told to others.", .later(LATER);
        "cluster-announce-tls-port" = "0", integer(0, 65535), Live, "The TLS port told to others.", .later(LATER);
        "cluster-announce-bus-port" = "0", integer(0, 65535), Live, "The bus's port told to others.", .later(LATER);
        "cluster-announce-client-ipv4" = "", special(&specials::IPV4), Live, "The IPv4 address told to clients.", .later(LATER);
        "cluster-announce-client-ipv6" = "", special(&specials::IPV6), Live, "The IPv6 address told to clients.", .later(LATER);
        "cluster-announce-client-port" = "0", integer(0, 65535), Live, "The port told to clients.", .later(LATER);
        "cluster-announce-client-tls-port" = "0", integer(0, 65535), Live, "The TLS port told to clients.", .later(LATER);
        "cluster-announce-hostname" = "", special(&specials::HOST_NAME), Live, "The name told to others.", .later(LATER);
        "cluster-announce-human-nodename" = "", Text, Live, "The name for logs.", .later(LATER);
        "cluster-preferred-endpoint-type" = "ip", Choice(&["ip", "hostname", "unknown-endpoint"]), Live,
            "What clients are told of a node.", .later(LATER);
        "cluster-migration-barrier" = "1", integer(0, INT), Live, "Replicas that a primary keeps.", .later(LATER);
        "cluster-allow-replica-migration" = "yes", YesNo, Live, "Replicas move to primaries without any.", .later(LATER);
        "cluster-replica-validity-factor" | "cluster-slave-validity-factor" = "10", integer(0, INT), Live,
            "How old a replica's data may be for a failover.", .later(LATER);
        "cluster-replica-no-failover" | "cluster-slave-no-failover" = "no", YesNo, Live,
            "This replica never takes over.", .later(LATER);
        "cluster-manual-failover-timeout" = "5000", integer(1, INT), Live,
            "Milliseconds that a failover by hand may take.", .later(LATER);
        "cluster-require-full-coverage" = "yes", YesNo, Live, "Serves only while all slots are served.", .later(LATER);
        "cluster-allow-reads-when-down" = "no", YesNo, Live, "Serves reads although slots are missing.", .later(LATER);
        "cluster-allow-pubsubshard-when-down" = "yes", YesNo, Live, "Serves sharded pub/sub then.", .later(LATER);
        "cluster-link-sendbuf-limit" = "0", LONG_MEMORY, Live, "Bytes that may wait for a node.", .later(LATER);
        "cluster-blacklist-ttl" = "60", integer(-LONG, LONG), Live, "Seconds for which a forgotten node stays so.", .later(LATER);
        "cluster-config-save-behavior" = "sync", Choice(&["sync", "best-effort"]), Live,
            "Whether what a node knows must be durable.", .later(LATER);
        "cluster-slot-stats-enabled" = "no", YesNo, Live, "Keeps statistics of slots.", .later(LATER);
        "cluster-slot-migration-log-max-len" = "1000", integer(0, LONG), Live,
            "How many migrations of slots are remembered.", .later(LATER);
        "slot-migration-max-failover-repl-bytes" = "0", special(&specials::MEMORY_OR_NONE), Live,
            "What may be left to send when a slot changes hands.", .later(LATER);
        "cluster-compatibility-sample-ratio" = "0", integer(0, 100), Live,
            "How many commands are checked for use in a cluster, in percent.", .later(LATER);
    },
};
