//! What commands about groups have in common.

use djr_storage::keyspace::Key;
use djr_storage::types::Stream;
use djr_storage::types::stream::{Entries, Group};

use crate::error::quoted;
use crate::{CommandError, WriteContext};

/// Changes a group; `None` if there is no such key or group.
pub(super) fn update_group<R>(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    name: &[u8],
    change: impl FnOnce(&Entries, &mut Group) -> R,
) -> Result<Option<R>, CommandError> {
    context.change_quietly();
    let result = context.update(key, |stream: &mut Stream| stream.update_group(name, change))?;
    Ok(result.flatten())
}

/// There is no such key, or no such group of it.
#[cold]
pub(super) fn no_key_or_group(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::format(format!(
        "NOGROUP No such key '{}' or consumer group '{}'",
        quoted(key, usize::MAX),
        quoted(group, usize::MAX)
    ))
}

/// There is no such group of a key that is there.
#[cold]
pub(super) fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::format(format!(
        "NOGROUP No such consumer group '{}' for key name '{}'",
        quoted(group, usize::MAX),
        quoted(key, usize::MAX)
    ))
}
