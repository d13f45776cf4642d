//! What every command file needs.

pub(super) use crate::context::{ReadContext, WriteContext, string_of};
pub(super) use crate::spec::{Access, Arg, CommandSpec, Flags, Group, Run};
pub(super) use crate::{Args, CommandError, Effect, Reply};
pub(super) use djr_storage::keyspace::Expire;
pub(super) use djr_storage::value::StringRef;
