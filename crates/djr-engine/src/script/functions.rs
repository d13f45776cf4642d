//! Functions: libraries of them that clients load once, shared by all workers, kept in the log.
//!
//! A library is a text. Each worker's interpreter runs it when it needs one of its functions for the first time, so what a
//! library keeps in variables of its own is kept by each worker for itself. While its text runs it can do nothing but define
//! and register functions, so that each interpreter gets the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

use super::shebang::{self, Flags};
use crate::CommandError;

/// What one library takes beside its text, for `INFO memory`; about right.
const LIBRARY_OVERHEAD_BYTES: usize = 400;

/// A library of functions.
#[derive(Debug)]
pub struct Library {
    /// Its name.
    pub name: Vec<u8>,
    /// Its text, the first line included.
    pub code: Vec<u8>,
    /// Its functions, in the order in which it has registered them.
    pub functions: Vec<Function>,
    /// A number that no other library has or had.
    pub(super) id: u64,
}

/// One function of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: Vec<u8>,
    /// What it says about itself.
    pub description: Option<Vec<u8>>,
    /// What it declares about itself.
    pub flags: Flags,
}

/// A set of libraries in which no two functions have the same name.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    by_name: BTreeMap<Vec<u8>, Arc<Library>>,
    /// By the name in lower case.
    functions: HashMap<Vec<u8>, (Arc<Library>, usize)>,
}

impl Libraries {
    /// The library of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Library>> {
        self.by_name.get(name)
    }

    /// The libraries, by their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.by_name.values()
    }

    /// How many libraries there are, and how many functions.
    pub fn counts(&self) -> (usize, usize) {
        (self.by_name.len(), self.functions.len())
    }

    /// The function of that name in any case: its library and its place there.
    pub fn function(&self, name: &[u8]) -> Option<(Arc<Library>, usize)> {
        self.functions.get(&name.to_ascii_lowercase()).cloned()
    }

    /// Adds a library, in place of one of the same name. Errors where another library has a function of the same name.
    pub fn insert(&mut self, library: Arc<Library>) -> Result<(), CommandError> {
        for function in &library.functions {
            let taken = self.functions.get(&function.name.to_ascii_lowercase());
            if taken.is_some_and(|(other, _)| other.name != library.name) {
                return Err(CommandError::format(format!(
                    "ERR Function {} already exists",
                    String::from_utf8_lossy(&function.name)
                )));
            }
        }
        self.remove(&library.name.clone());
        for (index, function) in library.functions.iter().enumerate() {
            let name = function.name.to_ascii_lowercase();
            self.functions.insert(name, (library.clone(), index));
        }
        self.by_name.insert(library.name.clone(), library);
        Ok(())
    }

    /// Removes a library. Whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.by_name.remove(name) else {
            return false;
        };
        self.functions
            .retain(|_, (other, _)| other.id != library.id);
        true
    }
}

/// All libraries, shared by all workers.
#[derive(Default)]
pub struct Functions {
    current: RwLock<Libraries>,
    /// Grows with each change, so that interpreters forget what is gone.
    changes: AtomicU64,
    next_id: AtomicU64,
}

impl Functions {
    /// The libraries as they are now.
    pub fn libraries(&self) -> Libraries {
        self.current.read().clone()
    }

    /// The function of that name in any case: its library and its place there.
    pub fn find(&self, name: &[u8]) -> Option<(Arc<Library>, usize)> {
        self.current.read().function(name)
    }

    /// How many libraries there are, and how many functions.
    pub fn counts(&self) -> (usize, usize) {
        self.current.read().counts()
    }

    /// About how much memory the libraries take, in bytes.
    pub fn bytes(&self) -> usize {
        let current = self.current.read();
        let bytes = |library: &Arc<Library>| library.code.len() + LIBRARY_OVERHEAD_BYTES;
        current.iter().map(bytes).sum()
    }

    /// Puts other libraries in place. To be called with the whole keyspace open: nobody runs a function meanwhile.
    pub(crate) fn replace(&self, libraries: Libraries) {
        *self.current.write() = libraries;
        self.changes.fetch_add(1, Relaxed);
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    pub(super) fn is_current(&self, id: u64) -> bool {
        self.current.read().iter().any(|library| library.id == id)
    }

    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed) + 1
    }
}

/// The first line of a library, `#!lua name=…`: the library's name.
pub(super) fn library_name(code: &[u8]) -> Result<Vec<u8>, CommandError> {
    const INVALID: CommandError = CommandError::text("ERR Invalid library metadata");
    if !code.starts_with(b"#!") {
        return Err(CommandError::text("ERR Missing library metadata"));
    }
    let end = code.iter().position(|byte| *byte == b'\n').ok_or(INVALID)?;
    let words = shebang::split(&code[..end]).ok_or(INVALID)?;
    let (engine, options) = words.split_first().ok_or(INVALID)?;
    let mut name = None;
    for option in options {
        let (key, value) = option.split_at(option.len().min(b"name=".len()));
        if !key.eq_ignore_ascii_case(b"name=") {
            return Err(CommandError::format(format!(
                "ERR Invalid metadata value given: {}",
                String::from_utf8_lossy(option)
            )));
        }
        if name.replace(value).is_some() {
            return Err(CommandError::text(
                "ERR Invalid metadata value, name argument was given multiple times",
            ));
        }
    }
    let name = name.ok_or(CommandError::text("ERR Library name was not given"))?;
    if !is_name(name) {
        return Err(CommandError::format(format!("ERR {INVALID_NAME}")));
    }
    let engine = engine.strip_prefix(b"#!").unwrap_or(engine);
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(CommandError::format(format!(
            "ERR Engine '{}' not found",
            String::from_utf8_lossy(engine)
        )));
    }
    Ok(name.to_vec())
}

/// Of functions, too, in these words.
pub(super) const INVALID_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

pub(super) fn is_name(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(id: u64, name: &str, functions: &[&str]) -> Arc<Library> {
        let function = |name: &&str| Function {
            name: name.as_bytes().to_vec(),
            description: None,
            flags: Flags::default(),
        };
        Arc::new(Library {
            name: name.into(),
            code: Vec::new(),
            functions: functions.iter().map(function).collect(),
            id,
        })
    }

    #[test]
    fn no_two_functions_have_the_same_name() {
        let mut libraries = Libraries::default();
        libraries
            .insert(library(1, "one", &["a", "b"]))
            .expect("free names");
        libraries
            .insert(library(2, "two", &["c"]))
            .expect("free names");
        let refused = libraries.insert(library(3, "three", &["d", "B"]));
        assert_eq!(
            refused.map_err(|error| error.to_string()),
            Err("ERR Function B already exists".into())
        );
        assert_eq!(libraries.counts(), (2, 3));
        assert!(libraries.function(b"d").is_none());
        // In place of its former self a library may keep its names, and give some up.
        libraries
            .insert(library(4, "one", &["A", "d"]))
            .expect("its own names");
        assert!(libraries.function(b"b").is_none());
        assert_eq!(
            libraries
                .function(b"a")
                .map(|(library, index)| (library.id, index)),
            Some((4, 0))
        );
        assert!(libraries.remove(b"one"));
        assert!(!libraries.remove(b"one"));
        assert_eq!(libraries.counts(), (1, 1));
    }

    #[rstest::rstest]
    #[case("#!lua name=x\n", Ok("x"))]
    #[case("#!LUA NAME=my_lib2 \r\n", Ok("my_lib2"))]
    #[case("return 1", Err("ERR Missing library metadata"))]
    #[case("#!lua name=x", Err("ERR Invalid library metadata"))]
    #[case("#!lua \"name=x\n", Err("ERR Invalid library metadata"))]
    #[case("#!lua\n", Err("ERR Library name was not given"))]
    #[case("#!lua n\n", Err("ERR Invalid metadata value given: n"))]
    #[case("#!js name=x\n", Err("ERR Engine 'js' not found"))]
    #[case("#! name=x\n", Err("ERR Engine '' not found"))]
    fn first_lines(#[case] code: &str, #[case] expected: Result<&str, &str>) {
        let name = library_name(code.as_bytes());
        let name = name.map(|name| String::from_utf8_lossy(&name).into_owned());
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(name.map_err(|error| error.to_string()), expected);
    }
}
