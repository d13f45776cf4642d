//! Keys, whatever they hold.

use djr_storage::keyspace::{Footprint, Keyspace};

use crate::Args;
use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[];

/// The shard that the cursor of a SCAN points into; none if it is no cursor.
pub(crate) fn scan_footprint(keyspace: &Keyspace, args: &Args<'_>) -> Footprint {
    let cursor = std::str::from_utf8(args.get(1))
        .ok()
        .and_then(|text| text.parse().ok());
    cursor.map_or(Footprint::NONE, |cursor| keyspace.scan_footprint(cursor))
}
