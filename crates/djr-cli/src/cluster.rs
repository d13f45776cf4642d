//! `--cluster`: what there is to be known. DJR has no cluster, so this program manages none; the commands are those of
//! `redis-cli` and `valkey-cli`.

/// Each command of the cluster manager, with its arguments.
const COMMANDS: [(&str, &str); 12] = [
    ("create", "host1:port1 ... hostN:portN"),
    ("check", "<host:port> or <host> <port>"),
    ("info", "<host:port> or <host> <port>"),
    ("fix", "<host:port> or <host> <port>"),
    ("reshard", "<host:port> or <host> <port>"),
    ("rebalance", "<host:port> or <host> <port>"),
    ("add-node", "new_host:new_port existing_host:existing_port"),
    ("del-node", "host:port node_id"),
    ("call", "host:port command arg arg .. arg"),
    ("set-timeout", "host:port milliseconds"),
    ("import", "host:port"),
    ("backup", "host:port backup_directory"),
];

/// The answer to `--cluster` and the words after it; an error is one line.
pub(crate) fn answer(words: &[String]) -> Result<String, String> {
    let Some(command) = words.first() else {
        return Err("Unrecognized option or bad number of args for: '--cluster'".to_owned());
    };
    if command == "help" {
        let lines: String = COMMANDS
            .iter()
            .map(|(name, arguments)| format!("  {name:<14} {arguments}\n"))
            .collect();
        return Ok(format!(
            "Cluster Manager Commands:\n{lines}  help\n\n\
             djr-cli follows the redirections of a cluster (-c) but does not manage one:\n\
             use these commands with redis-cli --cluster or valkey-cli --cluster.\n"
        ));
    }
    if COMMANDS.iter().any(|(name, _)| name == command) {
        return Err(format!(
            "djr-cli does not manage clusters: use redis-cli --cluster {command} or valkey-cli --cluster {command}."
        ));
    }
    Err("Unknown --cluster subcommand".to_owned())
}
