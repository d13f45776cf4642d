//! The entry in memory: one block that holds access clock, deadline, key and value.
//!
//! ```text
//!   0        4          5          6
//!   ┌────────┬──────────┬──────────┬──────────┬─────┬───────┐
//!   │ meta   │ key len  │ value len│ deadline │ key │ value │   aligned to 8 bytes, from the shard's arena
//!   └────────┴──────────┴──────────┴──────────┴─────┴───────┘
//!     u32      varint     varint     i64
//!              1 to 5     inline     only with
//!              bytes      form only  DEADLINE
//!
//!   meta: bits 0..24 access clock; 24 DEADLINE; 25..27 form; 27 RAW; 28..31 kind; 31 LEFT
//! ```
//!
//! | form | value |
//! |---|---|
//! | inline | the bytes of a string of at most [`INLINE_SIZE_MAX`] bytes |
//! | int | an `i64` |
//! | heap | pointer, length and capacity of a `Vec<u8>`: longer strings, so that `APPEND` is amortized |
//! | object | a structure (list, set, …: see [`crate::types`]) of the kind that `meta` names, in place |
//!
//! Nothing after `meta` is aligned but an object: it is at the next multiple of 8 after the key. The block's size follows from its contents; see [`block_size`] for what is really taken.
//! Varints: seven bits per byte, low ones first, the top bit says that more follow.
#![allow(unsafe_code)]

mod change;
mod object;

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::hash::UnixMillis;
use crate::arena::block_size;
use crate::value::{EMBSTR_SIZE_MAX, Encoding, Kind, StringRef, StringValue, Value, ValueRef};

pub(super) use change::{
    create, free, modify_bytes, modify_heap, overwrite, relocate, rewrite, set_expire_at, take,
};
pub(super) use object::{
    NewObject, drop_content, expire_parts, keep, kept, object_mut, relocate_value,
};

/// The longest string kept inside the block, in bytes.
pub(super) const INLINE_SIZE_MAX: usize = 960;

const CLOCK_MASK: u32 = (1 << 24) - 1;
const DEADLINE: u32 = 1 << 24;
const FORM_MASK: u32 = 3 << 25;
const FORM_INLINE: u32 = 0 << 25;
const FORM_INT: u32 = 1 << 25;
const FORM_HEAP: u32 = 2 << 25;
const FORM_OBJECT: u32 = 3 << 25;
/// The bit of the forms with something behind the block that must be dropped and counted.
const BEHIND: u32 = FORM_HEAP & FORM_OBJECT;
/// Modified in place: `OBJECT ENCODING` says `raw` however short it is.
const RAW: u32 = 1 << 27;
const KIND_SHIFT: u32 = 28;
const KIND_MASK: u32 = 7 << KIND_SHIFT;
/// A snapshot that has not come here yet has the old value, or is not to have this entry: it was changed or added since the cut.
const LEFT: u32 = 1 << 31;
const LENGTHS_AT: usize = size_of::<u32>();
const DEADLINE_SIZE: usize = size_of::<UnixMillis>();

/// A live block, which stays alive and unchanged (but for its clock) for `'a`.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    base: NonNull<u8>,
    _lives: PhantomData<&'a [u8]>,
}

/// Where the key is in a block: offsets and lengths in bytes.
#[derive(Clone, Copy)]
struct Head {
    meta: u32,
    key_at: usize,
    key_len: usize,
    /// Of the value in inline form.
    inline_len: usize,
}

/// Where things are in a block: offsets and lengths in bytes.
#[derive(Clone, Copy)]
struct Shape {
    meta: u32,
    key_at: usize,
    key_len: usize,
    value_at: usize,
    value_len: usize,
}

impl Shape {
    fn size(&self) -> usize {
        self.value_at + self.value_len
    }
}

/// A value on its way into a block.
pub(super) enum NewValue<'a> {
    Int(i64),
    /// At most [`INLINE_SIZE_MAX`] bytes.
    Inline {
        bytes: &'a [u8],
        raw: bool,
    },
    Heap {
        bytes: Vec<u8>,
        raw: bool,
    },
    Object(NewObject<'a>),
}

impl<'a> NewValue<'a> {
    #[inline]
    pub(super) fn bytes(bytes: &'a [u8], raw: bool) -> Self {
        if bytes.len() <= INLINE_SIZE_MAX {
            Self::Inline { bytes, raw }
        } else {
            Self::Heap {
                bytes: bytes.to_vec(),
                raw,
            }
        }
    }

    pub(super) fn string(string: &'a mut StringValue) -> Self {
        match string {
            StringValue::Int(integer) => Self::Int(*integer),
            StringValue::Bytes { bytes, raw } if bytes.len() > INLINE_SIZE_MAX => Self::Heap {
                bytes: std::mem::take(bytes),
                raw: *raw,
            },
            StringValue::Bytes { bytes, raw } => Self::Inline { bytes, raw: *raw },
        }
    }

    /// Flags, and the value's length in the block.
    #[inline]
    fn form(&self) -> (u32, usize) {
        let flag = |raw: bool| if raw { RAW } else { 0 };
        match self {
            Self::Int(_) => (FORM_INT, size_of::<i64>()),
            Self::Inline { bytes, raw } => (FORM_INLINE | flag(*raw), bytes.len()),
            Self::Heap { raw, .. } => (FORM_HEAP | flag(*raw), size_of::<VecParts>()),
            Self::Object(object) => object.form(),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Int(_) | Self::Inline { .. } => 0,
            Self::Heap { bytes, .. } => bytes.capacity(),
            Self::Object(object) => object.memory(),
        }
    }
}

/// What the keyspace keeps count of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) expire_at: Option<UnixMillis>,
    /// Parts of the value have deadlines of their own.
    pub(super) parts_expire: bool,
    /// Bytes taken, rounding and heap included.
    pub(super) memory: usize,
}

/// A block after a change: perhaps another one.
pub(super) struct Changed {
    pub(super) base: NonNull<u8>,
    pub(super) before: Facts,
    pub(super) after: Facts,
}

/// A `Vec<u8>` taken apart.
#[derive(Clone, Copy)]
#[repr(C)]
struct VecParts {
    start: *mut u8,
    len: usize,
    capacity: usize,
}

impl<'a> Block<'a> {
    /// # Safety
    /// A block made by [`create`], not freed, that nobody changes (but for its clock) during `'a`.
    #[inline]
    pub(super) unsafe fn new(base: NonNull<u8>) -> Self {
        Self {
            base,
            _lives: PhantomData,
        }
    }

    #[inline]
    fn meta(self) -> &'a AtomicU32 {
        // SAFETY: the block begins with it, is aligned to 8, and alive for 'a. Others see it as an atomic too.
        unsafe { self.base.cast::<AtomicU32>().as_ref() }
    }

    #[inline]
    pub(super) fn clock(self) -> u32 {
        self.meta().load(Relaxed) & CLOCK_MASK
    }

    /// Only for whoever has opened the shard, so that nothing else of `meta` changes meanwhile.
    #[inline]
    pub(super) fn set_clock(self, clock: u32) {
        let meta = self.meta().load(Relaxed);
        if meta & CLOCK_MASK != clock {
            self.meta().store(meta & !CLOCK_MASK | clock, Relaxed);
        }
    }

    /// Whether the snapshot under way is to pass this entry by.
    #[inline]
    pub(super) fn is_left(self) -> bool {
        self.meta().load(Relaxed) & LEFT != 0
    }

    /// As for [`set_clock`](Self::set_clock).
    #[inline]
    pub(super) fn set_left(self, left: bool) {
        let meta = self.meta().load(Relaxed) & !LEFT;
        self.meta()
            .store(if left { meta | LEFT } else { meta }, Relaxed);
    }

    #[inline]
    fn byte(self, at: usize) -> u8 {
        // SAFETY: callers keep within the block.
        unsafe { self.base.add(at).read() }
    }

    #[inline]
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

    /// All of `meta` but the clock.
    #[inline]
    fn flags(self) -> u32 {
        self.meta().load(Relaxed) & !CLOCK_MASK
    }

    /// As much of the shape as it takes to find the key, and a value in inline form.
    #[inline]
    fn head(self) -> Head {
        let meta = self.meta().load(Relaxed);
        let mut at = LENGTHS_AT;
        let key_len = self.varint(&mut at);
        let inline_len = if meta & FORM_MASK == FORM_INLINE {
            self.varint(&mut at)
        } else {
            0
        };
        if meta & DEADLINE != 0 {
            at += DEADLINE_SIZE;
        }
        Head {
            meta,
            key_at: at,
            key_len,
            inline_len,
        }
    }

    #[inline]
    fn shape(self) -> Shape {
        self.shape_of(self.head())
    }

    #[inline]
    fn shape_of(self, head: Head) -> Shape {
        let Head {
            meta,
            key_at,
            key_len,
            inline_len,
        } = head;
        let key_end = key_at + key_len;
        let (value_at, value_len) = match meta & FORM_MASK {
            FORM_INLINE => (key_end, inline_len),
            FORM_INT => (key_end, size_of::<i64>()),
            FORM_HEAP => (key_end, size_of::<VecParts>()),
            _ => object::place(meta, key_end),
        };
        Shape {
            meta,
            key_at,
            key_len,
            value_at,
            value_len,
        }
    }

    #[inline(always)]
    fn shape_and_facts(self) -> (Shape, Facts) {
        let shape = self.shape();
        (shape, self.facts(&shape))
    }

    #[inline]
    fn bytes(self, at: usize, len: usize) -> &'a [u8] {
        // SAFETY: callers keep within the block, which is alive and unchanged for 'a.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), len) }
    }

    #[inline]
    pub(super) fn key(self) -> &'a [u8] {
        let head = self.head();
        self.bytes(head.key_at, head.key_len)
    }

    #[inline]
    pub(super) fn key_is(self, bytes: &[u8]) -> bool {
        let head = self.head();
        head.key_len == bytes.len() && same(self.bytes(head.key_at, head.key_len), bytes)
    }

    #[inline]
    pub(super) fn value(self) -> ValueRef<'a> {
        match self.string() {
            Some(string) => ValueRef::String(string),
            None => self.structure(&self.shape()),
        }
    }

    /// The value if it is a string.
    #[inline]
    pub(super) fn string(self) -> Option<StringRef<'a>> {
        let head = self.head();
        let value_at = head.key_at + head.key_len;
        match head.meta & FORM_MASK {
            FORM_INLINE => Some(StringRef::Bytes(self.bytes(value_at, head.inline_len))),
            FORM_INT => {
                // SAFETY: the form says that an integer is there, unaligned.
                Some(StringRef::Int(unsafe {
                    self.base.add(value_at).cast::<i64>().read_unaligned()
                }))
            }
            _ => self.long_string(head.meta, value_at),
        }
    }

    /// The value if it is a string in heap form. A function of its own, so that the others are short where they are inlined.
    #[inline(never)]
    fn long_string(self, meta: u32, value_at: usize) -> Option<StringRef<'a>> {
        if meta & FORM_MASK != FORM_HEAP {
            return None;
        }
        let parts = self.vec_parts(value_at);
        // SAFETY: the vector belongs to the block and is alive and unchanged with it.
        Some(StringRef::Bytes(unsafe {
            std::slice::from_raw_parts(parts.start, parts.len)
        }))
    }

    #[inline]
    pub(super) fn expire_at(self) -> Option<UnixMillis> {
        if self.meta().load(Relaxed) & DEADLINE == 0 {
            return None;
        }
        Some(self.deadline(self.head().key_at))
    }

    #[inline]
    fn deadline(self, key_at: usize) -> UnixMillis {
        // SAFETY: the deadline is right before the key, unaligned.
        unsafe {
            self.base
                .add(key_at - DEADLINE_SIZE)
                .cast::<UnixMillis>()
                .read_unaligned()
        }
    }

    pub(super) fn kind(self) -> Kind {
        object::kind_of(self.flags())
    }

    /// Whether the value is a string in an allocation of its own.
    pub(super) fn is_heap(self) -> bool {
        self.meta().load(Relaxed) & FORM_MASK == FORM_HEAP
    }

    /// Whether something hangs from the block.
    pub(super) fn has_behind(self) -> bool {
        self.meta().load(Relaxed) & BEHIND != 0
    }

    pub(super) fn is_raw(self) -> bool {
        self.meta().load(Relaxed) & RAW != 0
    }

    pub(super) fn encoding(self) -> Encoding {
        let shape = self.shape();
        match shape.meta & FORM_MASK {
            FORM_OBJECT => self.structure_encoding(&shape),
            FORM_INT => Encoding::Int,
            FORM_INLINE if shape.meta & RAW == 0 && shape.value_len <= EMBSTR_SIZE_MAX => {
                Encoding::Embstr
            }
            _ => Encoding::Raw,
        }
    }

    /// Bytes taken, rounding and heap included.
    pub(super) fn memory(self) -> usize {
        self.facts(&self.shape()).memory
    }

    // Always inlined: a result of four words that goes through memory costs more than its making.
    #[inline(always)]
    fn facts(self, shape: &Shape) -> Facts {
        let expire_at = if shape.meta & DEADLINE != 0 {
            Some(self.deadline(shape.key_at))
        } else {
            None
        };
        let mut facts = Facts {
            expire_at,
            parts_expire: false,
            memory: block_size(shape.size()),
        };
        if shape.meta & BEHIND != 0 {
            facts.memory += self.memory_behind(shape);
            facts.parts_expire = self.parts_expire(shape);
        }
        facts
    }

    /// Bytes of what is behind the block.
    #[inline(never)]
    fn memory_behind(self, shape: &Shape) -> usize {
        match shape.meta & FORM_MASK {
            FORM_HEAP => self.vec_parts(shape.value_at).capacity,
            FORM_OBJECT => self.structure_memory(shape),
            _ => 0,
        }
    }

    #[inline(never)]
    fn parts_expire(self, shape: &Shape) -> bool {
        shape.meta & FORM_MASK == FORM_OBJECT && self.structure_next_expire(shape).is_some()
    }

    fn vec_parts(self, value_at: usize) -> VecParts {
        debug_assert_eq!(self.flags() & FORM_MASK, FORM_HEAP);
        // SAFETY: callers know that the form is heap.
        unsafe { self.base.add(value_at).cast::<VecParts>().read_unaligned() }
    }

    /// A copy of the value.
    pub(super) fn to_value(self) -> Value {
        self.value().to_value(self.is_raw())
    }
}

/// Whether two strings of the same length are equal: for keys, which are short, a word at a time without a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return std::iter::zip(a, b).all(|(a, b)| a == b);
    };
    // The last words may overlap with those before them.
    let mut different = u64::from_ne_bytes(*last_a) ^ u64::from_ne_bytes(*last_b);
    for (a, b) in std::iter::zip(a.as_chunks::<8>().0, b.as_chunks::<8>().0) {
        different |= u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
    }
    different == 0
}
