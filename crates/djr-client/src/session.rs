//! What a connection knows beside its options: the database, a transaction. A new connection begins with the first, and must
//! not go on with the second.

use djr_protocol::Value;

/// What a command does to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// `SELECT`, once it is answered by OK.
    Select(u32),
    /// `MULTI`
    Multi,
    /// `WATCH`
    Watch,
    /// `UNWATCH`
    Unwatch,
    /// `EXEC`
    Exec,
    /// `DISCARD`
    Discard,
    /// `RESET`
    Reset,
}

impl Effect {
    /// Of the command `args`, if it has any.
    pub(crate) fn of<A: AsRef<[u8]>>(args: &[A]) -> Option<Effect> {
        const NAMES: [(&str, Effect); 6] = [
            ("MULTI", Effect::Multi),
            ("WATCH", Effect::Watch),
            ("UNWATCH", Effect::Unwatch),
            ("EXEC", Effect::Exec),
            ("DISCARD", Effect::Discard),
            ("RESET", Effect::Reset),
        ];
        let name = args.first()?.as_ref();
        if name.eq_ignore_ascii_case(b"SELECT") {
            let db = std::str::from_utf8(args.get(1)?.as_ref()).ok()?;
            return db.parse().ok().map(Effect::Select);
        }
        NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map(|(_, effect)| *effect)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The database that was selected after connecting.
    db: Option<u32>,
    /// What `EXEC` will select.
    queued_db: Option<u32>,
    in_multi: bool,
    is_watching: bool,
}

impl Session {
    /// The database to begin with on the next connection, if it is not that of the options.
    pub(crate) fn db(&self) -> Option<u32> {
        self.db
    }

    /// Whether a transaction is under way, which no other connection can go on with.
    pub(crate) fn in_transaction(&self) -> bool {
        self.in_multi || self.is_watching
    }

    /// The connection is lost: nothing is left of a transaction.
    pub(crate) fn forget_transaction(&mut self) {
        (self.in_multi, self.is_watching, self.queued_db) = (false, false, None);
    }

    /// A command is being sent. What might begin a transaction counts before it is answered.
    pub(crate) fn sent(&mut self, effect: Effect) {
        match effect {
            Effect::Multi => self.in_multi = true,
            Effect::Watch => self.is_watching = true,
            _ => {}
        }
    }

    /// A command is being sent whose reply will not be seen here.
    pub(crate) fn streamed(&mut self, effect: Effect) {
        match effect {
            Effect::Exec | Effect::Discard | Effect::Reset => self.forget_transaction(),
            _ => self.sent(effect),
        }
    }

    /// A command was answered, by an error if there is no reply. What ends a transaction counts only now.
    pub(crate) fn answered(&mut self, effect: Effect, reply: Option<&Value>) {
        let is = |text: &str| reply.and_then(Value::as_bytes) == Some(text.as_bytes());
        match effect {
            Effect::Select(db) if is("OK") => self.db = Some(db),
            Effect::Select(db) if is("QUEUED") => self.queued_db = Some(db),
            Effect::Unwatch if is("OK") && !self.in_multi => self.is_watching = false,
            Effect::Exec => {
                // Not executed if a watched key has changed, or if a command could not be queued.
                if reply.is_some_and(|reply| !reply.is_null()) {
                    self.db = self.queued_db.or(self.db);
                }
                self.forget_transaction();
            }
            Effect::Discard if is("OK") => self.forget_transaction(),
            Effect::Reset if is("RESET") => {
                self.forget_transaction();
                self.db = Some(0);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok() -> Value {
        Value::Simple("OK".into())
    }

    fn reset() -> Value {
        Value::Simple("RESET".into())
    }

    fn after(commands: &[(&[&str], Value)]) -> Session {
        let mut session = Session::default();
        for (command, reply) in commands {
            let effect = Effect::of(command).unwrap();
            session.sent(effect);
            session.answered(effect, Some(reply));
        }
        session
    }

    #[test]
    fn the_database_is_what_was_selected_last() {
        assert_eq!(after(&[(&["select", "3"], ok())]).db(), Some(3));
        assert_eq!(after(&[(&["RESET"], reset())]).db(), Some(0));
        assert_eq!(Effect::of(&["SELECT", "x"]), None);
        let queued = Value::Simple("QUEUED".into());
        let begun: [(&[&str], Value); 2] = [(&["MULTI"], ok()), (&["SELECT", "4"], queued)];
        assert_eq!(after(&begun).db(), None);
        let ended = |reply| after(&[&begun[..], &[(&["EXEC"], reply)]].concat()).db();
        assert_eq!(ended(Value::Array(vec![ok()])), Some(4));
        assert_eq!(ended(Value::Null), None);
        let discarded = [&begun[..], &[(&["DISCARD"], ok())]].concat();
        assert_eq!(after(&discarded).db(), None);
    }

    #[test]
    fn a_transaction_is_from_its_first_command_to_its_last() {
        assert!(after(&[(&["MULTI"], ok())]).in_transaction());
        assert!(after(&[(&["WATCH", "k"], ok())]).in_transaction());
        for (last, reply) in [("EXEC", ok()), ("DISCARD", ok()), ("RESET", reset())] {
            assert!(!after(&[(&["MULTI"], ok()), (&[last], reply)]).in_transaction());
        }
        assert!(!after(&[(&["WATCH", "k"], ok()), (&["unwatch"], ok())]).in_transaction());
        assert_eq!(Effect::of(&["GET", "MULTI"]), None);
    }
}
