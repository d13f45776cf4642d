//! A user: whether they may log in, their passwords, and what they may do.

use djr_engine::registry::Registry;

use super::password::Digest;
use super::rule::RuleError;
use super::selector::{Selector, has_spaces};

/// A user, as they are between two changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(super) name: Box<[u8]>,
    pub(super) enabled: bool,
    /// Any password will do.
    pub(super) nopass: bool,
    /// RESTORE checks a user's payloads in depth. Here it always does; the flag is kept and shown.
    skip_sanitize: bool,
    passwords: Vec<Digest>,
    /// The first is that of the rules outside of parentheses.
    pub(super) selectors: Vec<Selector>,
}

impl User {
    /// Without any right, and not able to log in.
    pub(super) fn new(name: &[u8], registry: &Registry, all_channels: bool) -> Self {
        Self {
            name: name.into(),
            enabled: false,
            nopass: false,
            skip_sanitize: false,
            passwords: Vec::new(),
            selectors: vec![Selector::new(registry, all_channels)],
        }
    }

    /// The user that every connection begins as: with all rights and without a password, until told otherwise.
    pub(super) fn default_user(registry: &Registry) -> Self {
        let mut user = Self::new(b"default", registry, true);
        user.enabled = true;
        user.nopass = true;
        for rule in [&b"allkeys"[..], b"allcommands"] {
            let result = user.root().apply(rule, registry);
            debug_assert!(result.is_ok(), "these rules are always right");
        }
        user
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    fn root(&mut self) -> &mut Selector {
        &mut self.selectors[0]
    }

    /// Whether whoever says so may be this user without a password.
    pub(super) fn is_open(&self) -> bool {
        self.enabled && self.nopass
    }

    pub(super) fn has_password(&self, digest: &Digest) -> bool {
        digest.is_among(&self.passwords)
    }

    /// `requirepass`: one password, or none needed.
    pub(super) fn set_only_password(&mut self, password: &[u8]) {
        self.passwords.clear();
        self.nopass = password.is_empty();
        if !password.is_empty() {
            self.passwords.push(Digest::of(password));
        }
    }

    /// Applies one rule. On an error nothing is changed.
    pub(super) fn apply(
        &mut self,
        rule: &[u8],
        registry: &Registry,
        all_channels: bool,
    ) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if rule.is_empty() {
        } else if is("on") {
            self.enabled = true;
        } else if is("off") {
            self.enabled = false;
        } else if is("nopass") {
            self.nopass = true;
            self.passwords.clear();
        } else if is("resetpass") {
            self.nopass = false;
            self.passwords.clear();
        } else if is("sanitize-payload") {
            self.skip_sanitize = false;
        } else if is("skip-sanitize-payload") {
            self.skip_sanitize = true;
        } else if is("clearselectors") {
            self.selectors.truncate(1);
        } else if is("reset") {
            let name = std::mem::take(&mut self.name);
            *self = Self::new(&name, registry, all_channels);
        } else {
            match rule {
                [b'>', password @ ..] => self.add_password(Digest::of(password)),
                [b'#', hash @ ..] => {
                    self.add_password(Digest::parse(hash).ok_or(RuleError::BadHash)?);
                }
                [b'<', password @ ..] => self.remove_password(Digest::of(password))?,
                [b'!', hash @ ..] => {
                    self.remove_password(Digest::parse(hash).ok_or(RuleError::BadHash)?)?;
                }
                [b'(', ..] => self.add_selector(rule, registry, all_channels)?,
                _ => self.root().apply(rule, registry)?,
            }
        }
        Ok(())
    }

    fn add_password(&mut self, digest: Digest) {
        self.nopass = false;
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
    }

    fn remove_password(&mut self, digest: Digest) -> Result<(), RuleError> {
        let place = self.passwords.iter().position(|known| *known == digest);
        self.passwords
            .remove(place.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// `(rules of a selector)`.
    fn add_selector(
        &mut self,
        rule: &[u8],
        registry: &Registry,
        all_channels: bool,
    ) -> Result<(), RuleError> {
        let [b'(', rules @ .., b')'] = rule else {
            return Err(RuleError::Syntax);
        };
        let mut selector = Selector::new(registry, all_channels);
        for rule in rules.split(|byte| *byte == b' ') {
            if !rule.is_empty() {
                selector.apply(rule, registry)?;
            }
        }
        self.selectors.push(selector);
        Ok(())
    }

    /// The words of `ACL GETUSER`'s flags.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.nopass {
            flags.push("nopass");
        }
        flags.push(if self.skip_sanitize {
            "skip-sanitize-payload"
        } else {
            "sanitize-payload"
        });
        flags
    }

    /// The digests of the passwords, in hexadecimal.
    pub(crate) fn passwords(&self) -> Vec<String> {
        self.passwords.iter().map(ToString::to_string).collect()
    }

    /// For `ACL GETUSER`: commands, keys, channels and dbs of each selector.
    pub(crate) fn selectors(&self) -> impl ExactSizeIterator<Item = SelectorView> {
        // Only Valkey knows dbs: who limits none sees what Redis shows.
        let with_dbs = self.selectors.iter().any(|selector| selector.dbs.is_some());
        self.selectors.iter().map(move |selector| SelectorView {
            commands: selector.describe_commands(),
            keys: selector.describe_keys(),
            channels: selector.describe_channels(),
            dbs: with_dbs.then(|| selector.describe_dbs()),
        })
    }

    /// The rules that make this user, as `ACL LIST` and files have them.
    pub(crate) fn describe(&self) -> Vec<u8> {
        let mut text = self.flags().join(" ").into_bytes();
        for password in &self.passwords {
            text.extend_from_slice(format!(" #{password}").as_bytes());
        }
        for (index, selector) in self.selectors.iter().enumerate() {
            text.extend_from_slice(if index == 0 { b" " } else { b" (" });
            text.extend_from_slice(&selector.describe());
            if index > 0 {
                text.push(b')');
            }
        }
        text
    }
}

/// A selector in words.
pub(crate) struct SelectorView {
    pub(crate) commands: String,
    pub(crate) keys: Vec<u8>,
    pub(crate) channels: Vec<u8>,
    pub(crate) dbs: Option<String>,
}

/// Whether a user may be called so.
pub(super) fn is_name(name: &[u8]) -> bool {
    !has_spaces(name)
}

/// Joins the words of selectors that were split at spaces: `(+get`, `~k)` becomes `(+get ~k)`. An error is the word of the
/// parenthesis that has no end.
pub(super) fn joined<'a>(
    words: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    // The word that opened the parenthesis, and all of it so far.
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        let (first, rule) = match open.take() {
            Some((first, begun)) => (first, [&begun[..], b" ", word].concat()),
            None => (word, word.to_vec()),
        };
        if rule.first() == Some(&b'(') && rule.last() != Some(&b')') {
            open = Some((first, rule));
        } else {
            rules.push(rule);
        }
    }
    match open {
        Some((first, _)) => Err(first.to_vec()),
        None => Ok(rules),
    }
}
