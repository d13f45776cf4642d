//! The libraries that scripts have beside Lua's own.

pub(super) mod bit;
pub(super) mod cjson;
pub(super) mod cmsgpack;
pub(super) mod math;
pub(super) mod pack;
