//! The block of a member: lengths, member, payload. Nothing in it is aligned.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::Payload;
use crate::table::Raw;

/// A member's place in memory. Two handles are equal if they are of the same member of the same dictionary, as long as it is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Handle(pub(super) Raw);

/// A member with its payload, borrowed from the dictionary.
pub struct Entry<'a, P: Payload> {
    base: NonNull<u8>,
    _lives: PhantomData<&'a P>,
}

impl<P: Payload> Clone for Entry<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Payload> Copy for Entry<'_, P> {}

impl<P: Payload> fmt::Debug for Entry<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.member().escape_ascii())
    }
}

/// Where things are in a block.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    member_at: usize,
    member_len: usize,
    payload_len: usize,
    flag: bool,
}

impl Shape {
    #[inline]
    pub(super) fn of<P: Payload>(member: &[u8], payload: P::Value<'_>) -> Self {
        let (payload_len, flag) = match P::SIZE {
            Some(size) => (size, false),
            None => P::shape(payload),
        };
        let lengths = varint_size(member.len())
            + match P::SIZE {
                Some(_) => 0,
                None => varint_size(payload_len << 1),
            };
        Self {
            member_at: lengths,
            member_len: member.len(),
            payload_len,
            flag,
        }
    }

    #[inline]
    pub(super) fn size(&self) -> usize {
        self.member_at + self.member_len + self.payload_len
    }
}

impl<'a, P: Payload> Entry<'a, P> {
    /// # Safety
    /// A block of a dictionary with payload `P`, alive and unchanged during `'a`.
    #[inline(always)]
    pub(super) unsafe fn new(base: NonNull<u8>) -> Self {
        Self {
            base,
            _lives: PhantomData,
        }
    }

    /// The member's place in memory: the same as long as the member and its payload's size stay as they are, unless
    /// [`tidy_step`](super::Dictionary::tidy_step) moves it.
    #[inline]
    pub fn handle(self) -> Handle {
        Handle(Raw::new(self.base))
    }

    /// The member itself.
    #[inline]
    pub fn member(self) -> &'a [u8] {
        let shape = self.shape();
        self.bytes(shape.member_at, shape.member_len)
    }

    /// Its payload.
    #[inline]
    pub fn payload(self) -> P::Value<'a> {
        let shape = self.shape();
        P::read(
            self.bytes(shape.member_at + shape.member_len, shape.payload_len),
            shape.flag,
        )
    }

    #[inline(always)]
    pub(super) fn member_is(self, member: &[u8]) -> bool {
        let shape = self.shape();
        shape.member_len == member.len() && self.bytes(shape.member_at, shape.member_len) == member
    }

    #[inline(always)]
    fn shape(self) -> Shape {
        let mut at = 0;
        let member_len = self.varint(&mut at);
        let (payload_len, flag) = match P::SIZE {
            Some(size) => (size, false),
            None => {
                let length = self.varint(&mut at);
                (length >> 1, length & 1 != 0)
            }
        };
        Shape {
            member_at: at,
            member_len,
            payload_len,
            flag,
        }
    }

    #[inline(always)]
    fn bytes(self, at: usize, len: usize) -> &'a [u8] {
        // SAFETY: callers keep within the block, which is alive and unchanged for 'a.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), len) }
    }

    #[inline(always)]
    fn varint(self, at: &mut usize) -> usize {
        let first = self.byte(*at);
        *at += 1;
        if first < 0x80 {
            usize::from(first)
        } else {
            self.varint_rest(at, first)
        }
    }

    #[cold]
    fn varint_rest(self, at: &mut usize, first: u8) -> usize {
        let (mut value, mut shift, mut byte) = (usize::from(first & 0x7f), 7, first);
        while byte >= 0x80 {
            byte = self.byte(*at);
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
        }
        value
    }

    #[inline(always)]
    fn byte(self, at: usize) -> u8 {
        // SAFETY: callers keep within the block's lengths.
        unsafe { self.base.add(at).read() }
    }
}

#[inline(always)]
pub(super) fn base_of(raw: Raw) -> NonNull<u8> {
    // SAFETY: an address that is not null.
    unsafe { NonNull::new_unchecked(raw.as_ptr()) }
}

/// # Safety
/// A live block of a dictionary with payload `P`.
#[inline]
pub(super) unsafe fn base_and_size<P: Payload>(raw: Raw) -> (NonNull<u8>, usize) {
    let base = base_of(raw);
    // SAFETY: as promised by the caller.
    let shape = unsafe { Entry::<P>::new(base) }.shape();
    (base, shape.size())
}

/// # Safety
/// `base` is a block of at least the shape's size, and nobody else refers to its bytes. The shape is that of member and payload.
#[inline]
pub(super) unsafe fn write<P: Payload>(
    base: NonNull<u8>,
    shape: Shape,
    member: &[u8],
    payload: P::Value<'_>,
) {
    // SAFETY: all of it is inside the block, as promised by the caller.
    unsafe {
        let mut at = write_varint(base.as_ptr(), shape.member_len);
        if P::SIZE.is_none() {
            at = write_varint(at, shape.payload_len << 1 | usize::from(shape.flag));
        }
        at.copy_from_nonoverlapping(member.as_ptr(), shape.member_len);
        let mut out = PayloadWriter {
            at: at.add(shape.member_len),
            left: shape.payload_len,
            _writes: PhantomData,
        };
        P::write(payload, &mut out);
        // Nothing is left, unless an implementation errs; then no memory is read that was never written.
        out.at.write_bytes(0, out.left);
    }
}

/// The room for one payload.
pub struct PayloadWriter<'a> {
    at: *mut u8,
    left: usize,
    _writes: PhantomData<&'a mut [u8]>,
}

impl PayloadWriter<'_> {
    /// Appends bytes.
    ///
    /// # Panics
    /// If they are more than the payload's shape said.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() <= self.left,
            "a payload is longer than its shape"
        );
        // SAFETY: the room is in the block, and what is left of it is enough; the bytes are borrowed from elsewhere.
        unsafe {
            self.at
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            self.at = self.at.add(bytes.len());
        }
        self.left -= bytes.len();
    }
}

#[inline]
fn varint_size(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// # Safety
/// The varint's size in bytes is writable at `at`. Returns what follows it.
#[inline]
unsafe fn write_varint(mut at: *mut u8, mut value: usize) -> *mut u8 {
    // SAFETY: as promised by the caller.
    unsafe {
        while value >= 0x80 {
            at.write(value as u8 | 0x80);
            at = at.add(1);
            value >>= 7;
        }
        at.write(value as u8);
        at.add(1)
    }
}
