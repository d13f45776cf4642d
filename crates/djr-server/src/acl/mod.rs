//! Users and what they may do: ACL as in Redis 7.2, with Valkey's `db=`.
//!
//! ```text
//! ACL SETUSER, aclfile, `user` lines ─► User (rules applied, commands as bits, patterns made ready)
//!                                         │ replaced as a whole, with a new version
//! session: holds the User of now ◄────────┘ looks for another version before each batch of requests
//!    └─ unlimited? nothing is checked. Else User::check, per command
//! ```
//!
//! - `user`, `selector`: the rules, and the texts that show them. `pattern`, `password`: their parts.
//! - `check`: whether a command may run. `log`: ACL LOG. `file`: files of users.
//!
//! **Invariant:** who reads an account's user after the version was raised sees the change: it is raised last.

mod check;
mod file;
mod log;
mod password;
mod pattern;
mod rule;
mod selector;
mod user;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use djr_engine::command::CATEGORIES;
use djr_engine::registry::Registry;
use parking_lot::{Mutex, RwLock};

pub(crate) use check::Denied;
pub(crate) use log::{LogEntry, Origin, Refusal};
pub(crate) use user::{SelectorView, User};

use log::AclLog;
use password::Digest;
use rule::RuleError;
use user::joined;

/// The user that connections begin as.
pub(crate) const DEFAULT: &[u8] = b"default";

/// An ACL category of this name, in any case.
pub(crate) fn category(name: &[u8]) -> Option<&'static str> {
    CATEGORIES
        .iter()
        .copied()
        .find(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// A user through all changes of their rules.
pub(crate) struct Account {
    user: RwLock<Arc<User>>,
}

impl Account {
    fn new(user: User) -> Arc<Self> {
        Arc::new(Self {
            user: RwLock::new(Arc::new(user)),
        })
    }

    /// The user as they are now.
    pub(crate) fn user(&self) -> Arc<User> {
        self.user.read().clone()
    }
}

/// Who a session is.
pub(crate) struct Identity {
    account: Arc<Account>,
    user: Arc<User>,
    /// Of the rules that `user` was read under.
    version: u64,
    /// Has given a password, or none was needed.
    authenticated: bool,
    /// Authenticated, and may do everything: the usual case, in which nothing is checked.
    free: bool,
}

impl Identity {
    fn new(account: Arc<Account>, version: u64, authenticated: bool) -> Self {
        let user = account.user();
        Self {
            free: authenticated && user.is_unlimited(),
            account,
            user,
            version,
            authenticated,
        }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    #[inline]
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether nothing has to be checked before its commands.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.free
    }

    /// Looks at the user's rules again, if any user's have changed.
    #[inline]
    pub(crate) fn refresh(&mut self, acl: &Acl) {
        if self.version != acl.version.load(Ordering::Acquire) {
            self.renew(acl);
        }
    }

    #[cold]
    fn renew(&mut self, acl: &Acl) {
        let version = acl.version.load(Ordering::Acquire);
        *self = Self::new(self.account.clone(), version, self.authenticated);
    }
}

/// Whether the words of a configuration file's `user` line make a user.
pub(crate) fn check_line(words: &[Vec<u8>]) -> Result<(), String> {
    parse_line(words, crate::commands::registry(), false).map(|_| ())
}

fn parse_line(words: &[Vec<u8>], registry: &Registry, all_channels: bool) -> Result<User, String> {
    let (name, rules) = words.split_first().ok_or("wrong number of arguments")?;
    if !user::is_name(name) {
        return Err(ChangeError::Name.to_string());
    }
    let rules = rules.iter().map(Vec::as_slice);
    file::user(name, rules, registry, all_channels)
}

/// Why a user was not changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(
        "Error in ACL SETUSER modifier '{}': {error}",
        String::from_utf8_lossy(rule)
    )]
    Rule { rule: Vec<u8>, error: RuleError },
    #[error("Usernames can't contain spaces or null characters")]
    Name,
    #[error("Unmatched parenthesis in acl selector starting at '{}'.", String::from_utf8_lossy(.0))]
    Parenthesis(Vec<u8>),
}

/// The users of a server.
pub(crate) struct Acl {
    registry: &'static Registry,
    accounts: RwLock<BTreeMap<Box<[u8]>, Arc<Account>>>,
    default: Arc<Account>,
    /// Raised after every change.
    version: AtomicU64,
    /// Any user is not unlimited.
    has_limits: AtomicBool,
    /// The default user needs no password.
    default_is_open: AtomicBool,
    /// `acl-pubsub-default` is `allchannels`.
    all_channels: AtomicBool,
    /// Held during changes.
    changing: Mutex<()>,
    log: Mutex<AclLog>,
    pub(crate) denied: DeniedCounts,
}

/// What was refused since the start, for INFO.
#[derive(Default)]
pub(crate) struct DeniedCounts {
    pub(crate) auth: SharedCounter,
    pub(crate) command: SharedCounter,
    pub(crate) key: SharedCounter,
    pub(crate) channel: SharedCounter,
    pub(crate) database: SharedCounter,
    /// Certificates that name no user.
    pub(crate) certificate: SharedCounter,
}

impl DeniedCounts {
    /// `CONFIG RESETSTAT`.
    pub(crate) fn reset(&self) {
        let Self {
            auth,
            command,
            key,
            channel,
            database,
            certificate,
        } = self;
        for counter in [auth, command, key, channel, database, certificate] {
            counter.0.store(0, Ordering::Relaxed);
        }
    }
}

/// A counter that every worker counts on.
#[derive(Default)]
pub(crate) struct SharedCounter(AtomicU64);

impl SharedCounter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Acl {
    /// With the default user only.
    pub(crate) fn new(registry: &'static Registry) -> Self {
        let default = Account::new(User::default_user(registry));
        let accounts = BTreeMap::from([(DEFAULT.into(), default.clone())]);
        Self {
            registry,
            accounts: RwLock::new(accounts),
            default,
            version: AtomicU64::new(0),
            has_limits: AtomicBool::new(false),
            default_is_open: AtomicBool::new(true),
            all_channels: AtomicBool::new(false),
            changing: Mutex::new(()),
            log: Mutex::default(),
            denied: DeniedCounts::default(),
        }
    }

    /// `acl-pubsub-default`.
    pub(crate) fn set_all_channels(&self, all: bool) {
        self.all_channels.store(all, Ordering::Relaxed);
    }

    fn gives_all_channels(&self) -> bool {
        self.all_channels.load(Ordering::Relaxed)
    }

    /// Whether a connection has to give a password before anything else.
    #[inline]
    pub(crate) fn needs_password(&self) -> bool {
        !self.default_is_open.load(Ordering::Relaxed)
    }

    /// Whether the default user has a password, be they switched off or not: what protected mode asks for.
    pub(crate) fn default_has_password(&self) -> bool {
        !self.default.user().nopass
    }

    /// The user that connections begin as.
    pub(crate) fn default_user(&self) -> Arc<User> {
        self.default.user()
    }

    /// Whether there may be anything to check at all.
    #[inline]
    pub(crate) fn has_limits(&self) -> bool {
        self.has_limits.load(Ordering::Acquire)
    }

    /// Who a new connection is.
    pub(crate) fn newcomer(&self) -> Identity {
        let version = self.version.load(Ordering::Acquire);
        Identity::new(self.default.clone(), version, !self.needs_password())
    }

    /// Who this is, if the password is theirs and they may log in. Takes the same time whatever the password is.
    pub(crate) fn log_in(&self, name: &[u8], password: &[u8]) -> Option<Identity> {
        let version = self.version.load(Ordering::Acquire);
        // Before anything else, so that the time does not tell whether there is such a user.
        let digest = Digest::of(password);
        let account = self.account(name)?;
        let user = account.user();
        let right = user.has_password(&digest) | user.nopass;
        (right && user.enabled).then(|| Identity::new(account, version, true))
    }

    /// Someone who has proved by a certificate to be this user; `None` if there is no such user, or they are switched off.
    pub(crate) fn trusted(&self, name: &[u8]) -> Option<Identity> {
        let version = self.version.load(Ordering::Acquire);
        let account = self.account(name)?;
        let enabled = account.user().enabled;
        enabled.then(|| Identity::new(account, version, true))
    }

    fn account(&self, name: &[u8]) -> Option<Arc<Account>> {
        self.accounts.read().get(name).cloned()
    }

    /// A user by name.
    pub(crate) fn user(&self, name: &[u8]) -> Option<Arc<User>> {
        self.account(name).map(|account| account.user())
    }

    /// All users, by name.
    pub(crate) fn users(&self) -> Vec<Arc<User>> {
        let accounts = self.accounts.read();
        accounts.values().map(|account| account.user()).collect()
    }

    /// Adds a user, or changes one, by these rules: by all of them, or none.
    pub(crate) fn set<'a>(
        &self,
        name: &[u8],
        rules: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), ChangeError> {
        if !user::is_name(name) {
            return Err(ChangeError::Name);
        }
        let _changing = self.changing.lock();
        let rules = joined(rules).map_err(ChangeError::Parenthesis)?;
        let known = self.user(name);
        let mut user = match known {
            Some(user) => User::clone(&user),
            None => User::new(name, self.registry, self.gives_all_channels()),
        };
        for rule in rules {
            if let Err(error) = user.apply(&rule, self.registry, self.gives_all_channels()) {
                return Err(ChangeError::Rule { rule, error });
            }
        }
        self.put(user);
        self.changed();
        Ok(())
    }

    /// `requirepass`: the default user's only password; empty for none.
    pub(crate) fn set_default_password(&self, password: &[u8]) {
        let _changing = self.changing.lock();
        let mut user = User::clone(&self.default.user());
        user.set_only_password(password);
        self.put(user);
        self.changed();
    }

    /// Removes a user. Whether there was one. The default user stays.
    pub(crate) fn remove(&self, name: &[u8]) -> bool {
        let _changing = self.changing.lock();
        let removed = name != DEFAULT && self.accounts.write().remove(name).is_some();
        if removed {
            self.changed();
        }
        removed
    }

    fn put(&self, user: User) {
        let mut accounts = self.accounts.write();
        match accounts.get(&user.name) {
            Some(account) => *account.user.write() = Arc::new(user),
            None => {
                accounts.insert(user.name.clone(), Account::new(user));
            }
        }
    }

    /// After a change.
    fn changed(&self) {
        let limited = self.users().iter().any(|user| !user.is_unlimited());
        self.has_limits.store(limited, Ordering::Release);
        self.default_is_open
            .store(self.default.user().is_open(), Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Replaces all users by those of a file. Returns the names of those that are no more. On an error nothing is changed.
    pub(crate) fn load(&self, path: &Path) -> Result<Vec<Box<[u8]>>, String> {
        let text = std::fs::read(path).map_err(|error| {
            let reason = crate::config::plain(&error);
            format!(
                "Error loading ACLs, opening file '{}': {reason}",
                path.display()
            )
        })?;
        let users = file::parse(&text, path, self.registry, self.gives_all_channels())?;
        Ok(self.replace(users))
    }

    /// Replaces all users: the default one, if it is not among these, by what it is at first.
    fn replace(&self, users: Vec<User>) -> Vec<Box<[u8]>> {
        let _changing = self.changing.lock();
        let mut gone: Vec<Box<[u8]>> = self.accounts.read().keys().cloned().collect();
        gone.retain(|name| **name != *DEFAULT && !users.iter().any(|user| user.name == *name));
        self.accounts.write().retain(|name, _| !gone.contains(name));
        if !users.iter().any(|user| *user.name == *DEFAULT) {
            self.put(User::default_user(self.registry));
        }
        users.into_iter().for_each(|user| self.put(user));
        self.changed();
        gone
    }

    /// Adds the users of a configuration file's `user` lines: names and rules.
    pub(crate) fn define(&self, lines: &[Vec<Vec<u8>>]) -> Result<(), String> {
        let _changing = self.changing.lock();
        for line in lines {
            let user = parse_line(line, self.registry, self.gives_all_channels())?;
            self.put(user);
        }
        self.changed();
        Ok(())
    }

    /// Whether there is only the default user, as it is at first but for this password.
    pub(crate) fn is_plain(&self, password: &[u8]) -> bool {
        let mut plain = User::default_user(self.registry);
        plain.set_only_password(password);
        self.accounts.read().len() == 1 && *self.default.user() == plain
    }

    /// The lines `user NAME RULE …` that make the users of now.
    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let users = self.users();
        let line = |user: &Arc<User>| [b"user ", user.name(), b" ", &user.describe()].concat();
        users.iter().map(line).collect()
    }

    /// Writes all users into a file.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut text = self.lines().join(&b'\n');
        text.push(b'\n');
        file::write(path, &text)
    }

    /// Notes a refusal.
    pub(crate) fn note(&self, refusal: Refusal, client: String, now_ms: i64, len_max: usize) {
        match refusal.reason {
            "auth" => &self.denied.auth,
            "command" => &self.denied.command,
            "key" => &self.denied.key,
            "channel" => &self.denied.channel,
            _ => &self.denied.database,
        }
        .add();
        self.log.lock().add(refusal, client, now_ms, len_max);
    }

    /// The latest refusals.
    pub(crate) fn latest(&self, count: usize) -> Vec<LogEntry> {
        self.log.lock().latest(count)
    }

    /// `ACL LOG RESET`.
    pub(crate) fn forget_refusals(&self) {
        self.log.lock().clear();
    }
}
