//! One line of CLIENT LIST.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use djr_engine::registry::Registry;

use crate::clients::ClientInfo;
use crate::worker::Peer;

/// Appends what is known of a client, as Redis shows it.
pub(super) fn write_line(out: &mut String, client: &ClientInfo, registry: &Registry, now_ms: i64) {
    let names = client.names.lock().clone();
    let active_ms = client.active_ms.load(Relaxed) as i64;
    let command = registry.by_id(client.last_command.load(Relaxed));
    let output = client.output_bytes.load(Relaxed);
    let input = client.input_bytes.load(Relaxed);
    let result = write!(
        out,
        "id={id} addr={addr} laddr={laddr} fd={fd} name={name} age={age} idle={idle} flags={flags} db={db} sub=0 psub=0 \
         ssub=0 multi={multi} watch={watch} qbuf={input} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={output} \
         oll=0 omem=0 tot-mem={memory} events=r cmd={command} user={user} redir=-1 resp={resp} lib-name={lib_name} \
         lib-ver={lib_version} io-thread={worker} tot-net-in={bytes_in} tot-net-out={bytes_out} tot-cmds={commands}",
        id = client.id,
        addr = client.peer.remote(),
        laddr = client.peer.local(),
        fd = client.fd,
        name = names.name,
        age = (now_ms - client.created_ms).max(0) / 1000,
        idle = (now_ms - active_ms).max(0) / 1000,
        flags = flags(client),
        db = client.db.load(Relaxed),
        multi = client.multi.load(Relaxed),
        watch = client.watching.load(Relaxed),
        memory = size_of::<ClientInfo>() + input + output,
        command = command.map_or("NULL", |command| command.full_name.as_str()),
        user = names.user,
        resp = if client.resp3.load(Relaxed) { 3 } else { 2 },
        lib_name = names.lib_name,
        lib_version = names.lib_version,
        worker = client.worker,
        bytes_in = client.bytes_in.load(Relaxed),
        bytes_out = client.bytes_out.load(Relaxed),
        commands = client.commands.load(Relaxed),
    );
    debug_assert!(result.is_ok(), "writing to a string does not fail");
}

/// The flags of a client: `N` if there is nothing to say.
pub(super) fn flags(client: &ClientInfo) -> String {
    let mut flags = String::new();
    if client.multi.load(Relaxed) >= 0 {
        flags.push('x');
    }
    if client.waiter.lock().is_some() {
        flags.push('b');
    }
    if matches!(client.peer, Peer::Unix { .. }) {
        flags.push('U');
    }
    if client.no_evict.load(Relaxed) {
        flags.push('e');
    }
    if client.no_touch.load(Relaxed) {
        flags.push('T');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    flags
}
