//! The arguments of a request, and how commands read them.

use djr_protocol::{Request, RequestBuf};
use djr_storage::keyspace::{Key, KeyHash};
use djr_storage::value::parse_integer;

use crate::CommandError;

/// The arguments of one request. Argument 0 is the name (and 1 the subcommand, of a container).
#[derive(Clone, Copy)]
pub struct Args<'a> {
    request: Request<'a>,
    /// The hash of the key at this index, where it is known already: else `NO_KEY`.
    hashed_at: u32,
    hash: KeyHash,
}

/// An index that no argument has.
const NO_KEY: u32 = u32::MAX;

impl<'a> Args<'a> {
    /// The arguments of `request`.
    #[inline]
    pub fn new(request: Request<'a>) -> Self {
        Self {
            request,
            hashed_at: NO_KEY,
            hash: KeyHash::default(),
        }
    }

    /// The same, with the hash of the key at `index`, so that it is computed once.
    #[inline]
    #[must_use]
    pub fn with_hash(self, index: u32, hash: KeyHash) -> Self {
        Self {
            hashed_at: index,
            hash,
            ..self
        }
    }

    /// How many arguments there are, the name included.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "there is always a name")]
    pub fn len(&self) -> usize {
        self.request.len()
    }

    /// Argument `index`. The arity has been checked; one that is not there is empty.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.request.get(index).unwrap_or_default()
    }

    /// The hash of the first key, if it has been computed.
    #[inline]
    pub fn hashed_key(&self) -> Option<KeyHash> {
        (self.hashed_at != NO_KEY).then_some(self.hash)
    }

    /// The arguments from `index` on.
    pub fn from(&self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let args = *self;
        (index.min(self.len())..self.len()).map(move |index| args.get(index))
    }

    /// Argument `index` as a key of the keyspace that `hash` belongs to.
    #[inline]
    pub fn key(&self, index: usize, hash: impl FnOnce(&'a [u8]) -> Key<'a>) -> Key<'a> {
        let bytes = self.get(index);
        if self.hashed_at as usize == index {
            let hash = self.hash;
            return Key { bytes, hash };
        }
        hash(bytes)
    }

    /// Argument `index` as a signed 64-bit integer.
    #[inline]
    pub fn integer(&self, index: usize) -> Result<i64, CommandError> {
        parse_integer(self.get(index)).ok_or(CommandError::NotAnInteger)
    }

    /// Argument `index` as a signed 32-bit integer: the number of a db.
    pub fn integer32(&self, index: usize) -> Result<i32, CommandError> {
        i32::try_from(self.integer(index)?).map_err(|_| {
            CommandError::text(
                "ERR value is out of range, value must between -2147483648 and 2147483647",
            )
        })
    }

    /// Whether argument `index` is this word, in any case.
    #[inline]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The request's own bytes in RESP, to be logged as they are; `None` if it came in another form.
    #[inline]
    pub fn raw(&self) -> Option<&'a [u8]> {
        self.request.raw()
    }
}

impl std::fmt::Debug for Args<'_> {
    /// Only the name: arguments may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} +{}",
            String::from_utf8_lossy(self.get(0)),
            self.len() - 1
        )
    }
}

/// A request kept past the buffer that it came in: queued by MULTI, or made by a script.
#[derive(Clone, Debug)]
pub struct OwnedRequest(RequestBuf);

impl OwnedRequest {
    /// A copy of a request.
    pub fn new(args: &Args<'_>) -> Self {
        Self(args.request.to_buf())
    }

    /// The request of these arguments, of which there must be at least one.
    pub fn from_args<I>(args: I) -> Self
    where
        I: IntoIterator<Item: AsRef<[u8]>, IntoIter: ExactSizeIterator>,
    {
        Self(RequestBuf::from_args(args))
    }

    /// Its arguments.
    pub fn args(&self) -> Args<'_> {
        Args::new(self.0.as_request())
    }

    /// Its size in RESP, in bytes.
    pub fn bytes_len(&self) -> usize {
        self.0.as_request().raw().map_or(0, <[u8]>::len)
    }
}
