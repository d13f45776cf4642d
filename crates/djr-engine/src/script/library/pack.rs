use mlua::{Lua, Table};
pub(in super::super) fn table(lua: &Lua) -> mlua::Result<Table> {
    lua.create_table()
}
