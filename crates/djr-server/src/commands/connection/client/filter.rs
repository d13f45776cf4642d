//! The filters of CLIENT LIST and CLIENT KILL.

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::{Args, CommandError};

use super::line::flags;
use crate::acl::Acl;
use crate::clients::ClientInfo;

/// Which clients are meant: those that fit every condition.
#[derive(Default)]
pub(super) struct Filter {
    conditions: Vec<(Condition, bool)>,
    /// `SKIPME`: the asking client itself is not meant.
    pub(super) skip_me: bool,
}

enum Condition {
    Ids(Vec<u64>),
    Type(String),
    User(String),
    Address(String),
    LocalAddress(String),
    Ip(String),
    Name(String),
    LibName(String),
    LibVersion(String),
    Flags(String),
    Db(u32),
    AgeSeconds(i64),
    IdleSeconds(i64),
    /// `CLIENT CAPA REDIRECT`.
    Redirect,
}

impl Filter {
    /// Reads the filters from argument `index` on. Of `CLIENT KILL` (`kill`) `SKIPME` is `yes` unless said.
    pub(super) fn parse(
        (acl, dbs): (&Acl, u32),
        args: &Args<'_>,
        mut index: usize,
        kill: bool,
    ) -> Result<Self, CommandError> {
        let mut filter = Self {
            skip_me: kill,
            ..Self::default()
        };
        while index < args.len() {
            let word = String::from_utf8_lossy(args.get(index)).to_ascii_lowercase();
            if index + 1 >= args.len() {
                return Err(CommandError::Syntax);
            }
            let value = String::from_utf8_lossy(args.get(index + 1)).into_owned();
            index += 2;
            if word == "skipme" {
                filter.skip_me = match value.to_ascii_lowercase().as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(CommandError::Syntax),
                };
                continue;
            }
            let (word, wanted) = match word.strip_prefix("not-") {
                Some(word) => (word, false),
                None => (word.as_str(), true),
            };
            let condition = match word {
                "id" => {
                    let mut ids = vec![client_id(args.get(index - 1), kill)?];
                    // Several may follow one another.
                    while index < args.len()
                        && args.get(index).first().is_some_and(u8::is_ascii_digit)
                    {
                        ids.push(client_id(args.get(index), kill)?);
                        index += 1;
                    }
                    Condition::Ids(ids)
                }
                "type" => Condition::Type(client_type(&value)?),
                "user" => {
                    if acl.user(value.as_bytes()).is_none() {
                        return Err(CommandError::format(format!("ERR No such user '{value}'")));
                    }
                    Condition::User(value)
                }
                "addr" => Condition::Address(value),
                "laddr" => Condition::LocalAddress(value),
                "ip" => Condition::Ip(value),
                "name" => Condition::Name(value),
                "lib-name" => Condition::LibName(value),
                "lib-ver" => Condition::LibVersion(value),
                "flags" => Condition::Flags(value),
                "capa" => match value.chars().find(|capability| *capability != 'r') {
                    None => Condition::Redirect,
                    Some(_) => {
                        return Err(CommandError::format(format!(
                            "ERR Unknown capa found in the provided filter: {value}"
                        )));
                    }
                },
                "db" => Condition::Db(db(&value, dbs)?),
                "maxage" => Condition::AgeSeconds(seconds(&value, "maxage")?),
                "idle" => Condition::IdleSeconds(seconds(&value, "idle")?),
                _ => return Err(CommandError::Syntax),
            };
            filter.conditions.push((condition, wanted));
        }
        Ok(filter)
    }

    /// Adds that the client's address is this (the old form of `CLIENT KILL`).
    pub(super) fn address(address: &[u8]) -> Self {
        let address = String::from_utf8_lossy(address).into_owned();
        Self {
            conditions: vec![(Condition::Address(address), true)],
            skip_me: false,
        }
    }

    /// Whether a client is meant, when `own` asks.
    pub(super) fn matches(&self, client: &ClientInfo, own: &ClientInfo, now_ms: i64) -> bool {
        if self.skip_me && client.id == own.id {
            return false;
        }
        self.conditions
            .iter()
            .all(|(condition, wanted)| condition.fits(client, now_ms) == *wanted)
    }
}

impl Condition {
    fn fits(&self, client: &ClientInfo, now_ms: i64) -> bool {
        let names = client.names.lock();
        let names = names.get();
        match self {
            Condition::Ids(ids) => ids.contains(&client.id),
            Condition::Type(kind) => {
                *kind
                    == if client.is_subscriber() {
                        "pubsub"
                    } else {
                        "normal"
                    }
            }
            Condition::User(user) => names.user == *user,
            Condition::Address(address) => client.peer.remote() == *address,
            Condition::LocalAddress(address) => client.peer.local() == *address,
            Condition::Ip(ip) => {
                let ends = client.peer.tcp_ends();
                ends.is_some_and(|(remote, _)| remote.ip().to_string() == *ip)
            }
            Condition::Name(name) => names.name == *name,
            Condition::LibName(name) => names.lib_name == *name,
            Condition::LibVersion(version) => names.lib_version == *version,
            Condition::Flags(wanted) => {
                let flags = flags(client);
                wanted.chars().all(|flag| flags.contains(flag))
            }
            Condition::Db(db) => client.db.load(Relaxed) == *db,
            Condition::AgeSeconds(age) => (now_ms - client.created_ms) / 1000 >= *age,
            Condition::IdleSeconds(idle) => {
                (now_ms - client.active_ms.load(Relaxed) as i64) / 1000 >= *idle
            }
            Condition::Redirect => client.follows_redirects.load(Relaxed),
        }
    }
}

/// The number of a client. `CLIENT LIST` may ask for one that no client can have.
fn client_id(text: &[u8], kill: bool) -> Result<u64, CommandError> {
    let id = djr_storage::value::parse_integer(text);
    match id.map(u64::try_from) {
        Some(Ok(id)) if id > 0 || !kill => Ok(id),
        Some(_) if !kill => Ok(0),
        None if !kill => Err(CommandError::text("ERR Invalid client ID")),
        _ => Err(CommandError::text("ERR client-id should be greater than 0")),
    }
}

fn client_type(name: &str) -> Result<String, CommandError> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "normal" | "pubsub" | "replica" | "master" => Ok(name),
        "slave" => Ok("replica".into()),
        "primary" => Ok("master".into()),
        _ => Err(CommandError::format(format!(
            "ERR Unknown client type '{name}'"
        ))),
    }
}

fn seconds(text: &str, what: &str) -> Result<i64, CommandError> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        Ok(_) => Err(CommandError::format(format!(
            "ERR {what} should be greater than 0"
        ))),
        Err(_) => Err(CommandError::format(format!(
            "ERR {what} is not an integer or out of range"
        ))),
    }
}

fn db(text: &str, dbs: u32) -> Result<u32, CommandError> {
    let number: i64 = text
        .parse()
        .map_err(|_| CommandError::text("ERR DB is not an integer or out of range"))?;
    let db = u32::try_from(number).ok().filter(|db| *db < dbs);
    db.ok_or_else(|| {
        CommandError::format(format!(
            "ERR DB number should be between 0 and {}",
            dbs.saturating_sub(1)
        ))
    })
}
