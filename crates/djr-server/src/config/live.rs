//! Changes while the server runs: `CONFIG SET`, and what must be told when a value changes.

use djr_engine::notify::Notify;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Config;
use super::table::{Change, Id, Meaning, Number};
use super::value::Refusal;
use crate::shared::Shared;

/// Why `CONFIG SET` changed nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangeError {
    /// No parameter has this name.
    Unknown(String),
    /// This one can't be set to that.
    Refused { name: String, reason: Refusal },
}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(
                    f,
                    "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
                )
            }
            Self::Refused { name, reason } => {
                write!(
                    f,
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
                )
            }
        }
    }
}

/// Changes all of these parameters, or none.
pub(crate) fn change(shared: &Shared, pairs: &[(&[u8], &[u8])]) -> Result<(), ChangeError> {
    let config = &shared.config;
    let _changing = config.changing.lock();
    let mut ids: Vec<(Id, &[u8])> = Vec::with_capacity(pairs.len());
    let mut refused = None;
    for (name, _) in pairs {
        let Some(id) = Id::find(name) else {
            return Err(ChangeError::Unknown(
                String::from_utf8_lossy(name).into_owned(),
            ));
        };
        let known = |other: &(Id, &[u8])| other.1.eq_ignore_ascii_case(name);
        let reason = match id.parameter().change {
            Change::Start => Some("can't set immutable config"),
            Change::Protected => Some("can't set protected config"),
            Change::Live if ids.iter().any(known) => Some("duplicate parameter"),
            Change::Live => None,
        };
        refused = refused.or(reason.map(|reason| refusal(name, reason.into())));
        ids.push((id, name));
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    let before: Vec<_> = ids.iter().map(|(id, _)| (*id, config.value(*id))).collect();
    let restore = || {
        before
            .iter()
            .rev()
            .for_each(|(id, value)| config.store(*id, value.clone()))
    };
    for ((id, name), (_, value)) in ids.iter().zip(pairs) {
        if let Err(reason) = config.set_words(*id, &[value], true) {
            restore();
            return Err(refusal(name, reason));
        }
    }
    for (id, name) in &ids {
        let Some(apply) = id.parameter().apply else {
            continue;
        };
        if let Err(reason) = apply(shared) {
            restore();
            for (id, _) in &before {
                if let Some(apply) = id.parameter().apply
                    && let Err(error) = apply(shared)
                {
                    tracing::warn!(
                        "CONFIG SET: could not restore '{}': {error}",
                        id.parameter().name
                    );
                }
            }
            return Err(refusal(name, reason));
        }
    }
    for (id, value) in &before {
        let parameter = id.parameter();
        if config.value(*id) == *value {
            continue;
        }
        let shown = if parameter.secret {
            "(secret)".into()
        } else {
            config.print(*id)
        };
        tracing::info!(
            "CONFIG SET {} {}",
            parameter.name,
            String::from_utf8_lossy(&shown)
        );
        match parameter.meaning {
            Meaning::Later(what) => {
                tracing::warn!("'{}' does nothing yet: it needs {what}", parameter.name)
            }
            Meaning::NoEffect(why) => tracing::info!("'{}' has no effect: {why}", parameter.name),
            Meaning::Used | Meaning::DefaultOnly(_) => {}
        }
    }
    Ok(())
}

fn refusal(name: &[u8], reason: Refusal) -> ChangeError {
    ChangeError::Refused {
        name: String::from_utf8_lossy(name).into_owned(),
        reason,
    }
}

/// At the start: tells everyone the values that they have to know.
pub(crate) fn apply_all(shared: &Shared) {
    if let Err(allowed) = allow_clients(&shared.config) {
        tracing::warn!(
            "maxclients is reduced from {} to {allowed}: the system allows no more open files (see 'ulimit -n')",
            shared.config.maxclients()
        );
        shared.config.reduce_maxclients(allowed);
    }
    for id in Id::all() {
        if let Some(apply) = id.parameter().apply
            && let Err(error) = apply(shared)
        {
            tracing::warn!("'{}': {error}", id.parameter().name);
        }
    }
}

const MAXMEMORY_SAMPLES: Number = Number::of("maxmemory-samples");
const LFU_LOG_FACTOR: Number = Number::of("lfu-log-factor");
const LFU_DECAY_TIME: Number = Number::of("lfu-decay-time");
const BULK_LEN_MAX: Number = Number::of("proto-max-bulk-len");
const BUSY_REPLY_THRESHOLD: Number = Number::of("busy-reply-threshold");
const NOTIFY_KEYSPACE_EVENTS: Number = Number::of("notify-keyspace-events");
const LIST_MAX_LISTPACK_SIZE: Number = Number::of("list-max-listpack-size");
const LIST_COMPRESS_DEPTH: Number = Number::of("list-compress-depth");
const HASH_MAX_LISTPACK_ENTRIES: Number = Number::of("hash-max-listpack-entries");
const HASH_MAX_LISTPACK_VALUE: Number = Number::of("hash-max-listpack-value");
const SET_MAX_INTSET_ENTRIES: Number = Number::of("set-max-intset-entries");
const SET_MAX_LISTPACK_ENTRIES: Number = Number::of("set-max-listpack-entries");
const SET_MAX_LISTPACK_VALUE: Number = Number::of("set-max-listpack-value");
const ZSET_MAX_LISTPACK_ENTRIES: Number = Number::of("zset-max-listpack-entries");
const ZSET_MAX_LISTPACK_VALUE: Number = Number::of("zset-max-listpack-value");
const STREAM_NODE_MAX_BYTES: Number = Number::of("stream-node-max-bytes");
const STREAM_NODE_MAX_ENTRIES: Number = Number::of("stream-node-max-entries");
const RDB_COMPRESSION: Number = Number::of("rdbcompression");
const HLL_SPARSE_MAX_BYTES: Number = Number::of("hll-sparse-max-bytes");

/// Descriptors that are not clients: files, listeners, epoll.
const RESERVED_FILES: u64 = 32;

pub(super) fn maxclients(shared: &Shared) -> Result<(), Refusal> {
    allow_clients(&shared.config).map_err(|allowed| {
        format!("The operating system is not able to handle the specified number of clients, try with {allowed}").into()
    })
}

/// Raises the limit of open files so that all clients fit. An error says how many do.
fn allow_clients(config: &Config) -> Result<(), u64> {
    let wanted = config.maxclients() as u64 + RESERVED_FILES;
    let limit = getrlimit(Resource::Nofile);
    let (Some(current), maximum) = (limit.current, limit.maximum) else {
        return Ok(());
    };
    if current >= wanted {
        return Ok(());
    }
    // Beyond the maximum only the superuser comes.
    let raised = Rlimit {
        current: Some(wanted),
        maximum: maximum.map(|maximum| maximum.max(wanted)),
    };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let reached = match setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(most),
            maximum,
        },
    ) {
        Ok(()) => most,
        Err(_) => current,
    };
    if reached >= wanted {
        Ok(())
    } else {
        Err(reached.saturating_sub(RESERVED_FILES).max(1))
    }
}

pub(super) fn save_points(shared: &Shared) -> Result<(), Refusal> {
    shared.snapshots.judge_writes(shared);
    Ok(())
}

pub(super) fn loglevel(shared: &Shared) -> Result<(), Refusal> {
    crate::logging::set_level(shared.config.loglevel());
    Ok(())
}

pub(super) fn log_format(shared: &Shared) -> Result<(), Refusal> {
    crate::logging::set_format(shared.config.log_format());
    crate::logging::set_timestamp_format(shared.config.log_timestamp_format());
    Ok(())
}

pub(super) fn string_len_max(shared: &Shared) -> Result<(), Refusal> {
    shared
        .engine
        .settings
        .string_len_max
        .set(shared.config.number(BULK_LEN_MAX) as u64);
    Ok(())
}

pub(super) fn busy_reply_threshold(shared: &Shared) -> Result<(), Refusal> {
    let milliseconds = shared.config.number(BUSY_REPLY_THRESHOLD) as u64;
    shared
        .engine
        .settings
        .busy_reply_threshold_ms
        .set(milliseconds);
    Ok(())
}

pub(super) fn notify_keyspace_events(shared: &Shared) -> Result<(), Refusal> {
    let classes = shared.config.print(NOTIFY_KEYSPACE_EVENTS.0);
    let classes = Notify::parse(&classes).unwrap_or(Notify::NONE);
    let setting = &shared.engine.settings.notify_keyspace_events;
    setting.set(classes.bits());
    Ok(())
}

/// Up to which size values are kept packed.
pub(super) fn encodings(shared: &Shared) -> Result<(), Refusal> {
    let settings = &shared.engine.settings;
    for (setting, number) in [
        (&settings.list_max_listpack_size, LIST_MAX_LISTPACK_SIZE),
        (&settings.list_compress_depth, LIST_COMPRESS_DEPTH),
        (
            &settings.hash_max_listpack_entries,
            HASH_MAX_LISTPACK_ENTRIES,
        ),
        (&settings.hash_max_listpack_value, HASH_MAX_LISTPACK_VALUE),
        (&settings.set_max_intset_entries, SET_MAX_INTSET_ENTRIES),
        (&settings.set_max_listpack_entries, SET_MAX_LISTPACK_ENTRIES),
        (&settings.set_max_listpack_value, SET_MAX_LISTPACK_VALUE),
        (
            &settings.zset_max_listpack_entries,
            ZSET_MAX_LISTPACK_ENTRIES,
        ),
        (&settings.zset_max_listpack_value, ZSET_MAX_LISTPACK_VALUE),
        (&settings.stream_node_max_bytes, STREAM_NODE_MAX_BYTES),
        (&settings.stream_node_max_entries, STREAM_NODE_MAX_ENTRIES),
        (&settings.hll_sparse_max_bytes, HLL_SPARSE_MAX_BYTES),
        (&settings.rdb_compression, RDB_COMPRESSION),
    ] {
        setting.set(shared.config.number(number) as u64);
    }
    Ok(())
}

pub(super) fn requirepass(shared: &Shared) -> Result<(), Refusal> {
    shared.acl.set_default_password(&shared.config.password());
    Ok(())
}

/// Certificates, authorities and the like.
pub(super) fn tls(shared: &Shared) -> Result<(), Refusal> {
    shared.tls.reload(&shared.config.tls()).map_err(|error| {
        tracing::warn!("TLS: {error}");
        "Unable to update TLS configuration. Check server logs.".into()
    })
}

pub(super) fn acl_pubsub_default(shared: &Shared) -> Result<(), Refusal> {
    shared
        .acl
        .set_all_channels(shared.config.gives_all_channels());
    Ok(())
}

pub(super) fn access_clock(shared: &Shared) -> Result<(), Refusal> {
    let (config, clock) = (&shared.config, shared.engine.keyspace.clock());
    let samples = config.number(MAXMEMORY_SAMPLES) as u64;
    shared.engine.settings.maxmemory_samples.set(samples);
    clock.set_lfu_log_factor(config.number(LFU_LOG_FACTOR) as u32);
    clock.set_lfu_decay_time(config.number(LFU_DECAY_TIME) as u32);
    Ok(())
}

/// Limits, policies, memory classes.
pub(super) fn memory(shared: &Shared) -> Result<(), Refusal> {
    crate::memory::apply(shared)
}

pub(super) fn aof_timestamps(shared: &Shared) -> Result<(), Refusal> {
    if let Some(log) = shared.log() {
        log.set_timestamps(shared.config.aof_timestamps());
    }
    Ok(())
}

pub(super) fn appendfsync(shared: &Shared) -> Result<(), Refusal> {
    if let Some(log) = shared.log() {
        log.set_policy(shared.config.append_fsync());
        // Replies that wait for the disk may not have to any more.
        shared.wake_workers();
    }
    Ok(())
}
