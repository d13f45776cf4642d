use super::super::interpreter::Shared;
use mlua::{Lua, Table};
use std::rc::Rc;
#[derive(Default)]
pub(in super::super) struct Settings {}
impl Settings {
    pub(in super::super) fn reset(&self) {}
}
pub(in super::super) fn table(lua: &Lua, _: &Rc<Shared>) -> mlua::Result<Table> {
    lua.create_table()
}
