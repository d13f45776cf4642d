//! What a peer may ask for. Every length that arrives is compared with these before it is used.

/// Arguments that a request may have before its client has authenticated.
pub const UNAUTHENTICATED_ARGS_MAX: usize = 10;

/// Bytes that one argument may have before its client has authenticated.
pub const UNAUTHENTICATED_BULK_LEN_MAX: usize = 16 * 1024;

/// Bounds on what a decoder accepts. The defaults are those of Redis.
///
/// A `Limits` is a plain value that is passed to each call, so that a change (of `proto-max-bulk-len`,
/// or by a successful `AUTH`) takes effect from the next request on.
///
/// ```
/// use djr_protocol::Limits;
///
/// let limits = Limits { bulk_len_max: 1024 * 1024, ..Limits::default() };
/// assert_eq!(limits.inline_len_max, 64 * 1024);
/// assert!(!Limits::unauthenticated().authenticated);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one bulk string (argument or reply). Redis: `proto-max-bulk-len`, 512 MiB.
    pub bulk_len_max: usize,
    /// Bytes in an inline request, and in the line that holds a count or a length; 64 KiB.
    pub inline_len_max: usize,
    /// Arguments of a request, elements of an aggregate reply; 2^31 - 1.
    pub args_max: usize,
    /// How deep aggregates of a reply may nest; 128. (Requests do not nest.)
    pub depth_max: usize,
    /// Whether the client has authenticated. If not, requests are held to
    /// [`UNAUTHENTICATED_ARGS_MAX`] and [`UNAUTHENTICATED_BULK_LEN_MAX`] as well, and refusals by
    /// these have texts of their own.
    pub authenticated: bool,
}

impl Limits {
    /// The limits for a client that must authenticate first: 10 arguments of 16 KiB.
    #[must_use]
    pub fn unauthenticated() -> Limits {
        Limits {
            authenticated: false,
            ..Limits::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bulk_len_max: 512 * 1024 * 1024,
            inline_len_max: 64 * 1024,
            args_max: i32::MAX as usize,
            depth_max: 128,
            authenticated: true,
        }
    }
}
