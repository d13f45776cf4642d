//! One line of CLIENT LIST.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use djr_engine::registry::Registry;

use crate::clients::ClientInfo;
use crate::worker::Peer;

/// Appends what is known of a client, as Redis shows it.
pub(super) fn write_line(out: &mut String, client: &ClientInfo, registry: &Registry, now_ms: i64) {
    let names = client.names.lock().get().clone();
    let tracker = client.tracker.lock().clone();
    let active_ms = client.active_ms.load(Relaxed) as i64;
    let command = registry.by_id(client.last_command.load(Relaxed) as usize);
    let output = client.output_bytes.load(Relaxed);
    let input = client.input_bytes.load(Relaxed);
    let result = write!(
        out,
        "id={id} addr={addr} laddr={laddr} fd={fd} name={name} age={age} idle={idle} flags={flags} capa={capa} db={db} sub={sub} psub={psub} \
         ssub={ssub} multi={multi} watch={watch} qbuf={input} qbuf-free={input_free} argv-mem=0 multi-mem={multi_bytes} \
         rbs={reply_buffer} rbp={reply_buffer} obl={output} oll={waiting} omem={omem} tot-mem={memory} events={events} cmd={command} user={user} redir={redir} resp={resp} lib-name={lib_name} \
         lib-ver={lib_version} io-thread={worker} tot-net-in={bytes_in} tot-net-out={bytes_out} tot-cmds={commands}",
        id = client.id,
        addr = client.peer.remote(),
        laddr = client.peer.local(),
        fd = client.fd,
        name = names.name,
        age = (now_ms - client.created_ms).max(0) / 1000,
        idle = (now_ms - active_ms).max(0) / 1000,
        flags = flags(client),
        capa = match client.follows_redirects.load(Relaxed) {
            true => "r",
            false => "",
        },
        db = client.db.load(Relaxed),
        sub = client.subscriptions[0].load(Relaxed),
        psub = client.subscriptions[1].load(Relaxed),
        ssub = client.subscriptions[2].load(Relaxed),
        multi = client.multi.load(Relaxed),
        watch = client.watching.load(Relaxed),
        input_free = client.input_capacity.load(Relaxed).saturating_sub(input),
        multi_bytes = client.multi_bytes.load(Relaxed),
        reply_buffer = client.output_capacity.load(Relaxed),
        // One buffer has them all.
        waiting = usize::from(output > 0),
        omem = if output > 0 {
            client.output_capacity.load(Relaxed).max(output)
        } else {
            0
        },
        memory = client
            .memory
            .load(Relaxed)
            .max(size_of::<ClientInfo>() + input + output),
        events = if output > 0 { "rw" } else { "r" },
        command = command.map_or("NULL", |command| command.full_name.as_str()),
        user = names.user,
        redir = tracker
            .as_ref()
            .map_or(-1, |tracker| tracker.redirect as i64),
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

/// All that is known of a client, in one line.
pub(crate) fn client_line(client: &ClientInfo, registry: &Registry, now_ms: i64) -> String {
    let mut line = String::new();
    write_line(&mut line, client, registry, now_ms);
    line
}

/// The flags of a client: `N` if there is nothing to say.
pub(super) fn flags(client: &ClientInfo) -> String {
    let mut flags = String::new();
    if client.is_monitor.load(Relaxed) {
        flags.push('O');
    }
    if client.is_subscriber() {
        flags.push('P');
    }
    if client.multi.load(Relaxed) >= 0 {
        flags.push('x');
    }
    if client.waiter.lock().is_some() {
        flags.push('b');
    }
    if let Some(tracker) = &*client.tracker.lock() {
        flags.push('t');
        if tracker.is_broken.load(Relaxed) {
            flags.push('R');
        }
        if tracker.prefixes().is_some() {
            flags.push('B');
        }
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
