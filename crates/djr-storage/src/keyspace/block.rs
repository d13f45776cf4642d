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
//!   meta: bits 0..24 access clock; 24 DEADLINE; 25..27 form; 27 RAW; 28..32 kind
//! ```
//!
//! | form | value |
//! |---|---|
//! | inline | the bytes of a string of at most [`INLINE_SIZE_MAX`] bytes |
//! | int | an `i64` |
//! | heap | pointer, length and capacity of a `Vec<u8>`: longer strings, so that `APPEND` is amortized |
//!
//! Nothing after `meta` is aligned. The block's size follows from its contents; see [`block_size`] for what is really taken.
//! Varints: seven bits per byte, low ones first, the top bit says that more follow.
#![allow(unsafe_code)]

mod change;

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::hash::UnixMillis;
use crate::arena::block_size;
use crate::value::{
    EMBSTR_SIZE_MAX, Encoding, INTEGER_TEXT_SIZE_MAX, Kind, StringRef, StringValue, Value, ValueRef,
};

pub(super) use change::{create, free, modify_bytes, modify_heap, rewrite, set_expire_at, take};

/// The longest string kept inside the block, in bytes.
pub(super) const INLINE_SIZE_MAX: usize = 960;

const CLOCK_MASK: u32 = (1 << 24) - 1;
const DEADLINE: u32 = 1 << 24;
const FORM_MASK: u32 = 3 << 25;
const FORM_INLINE: u32 = 0 << 25;
const FORM_INT: u32 = 1 << 25;
const FORM_HEAP: u32 = 2 << 25;
/// Modified in place: `OBJECT ENCODING` says `raw` however short it is.
const RAW: u32 = 1 << 27;
const LENGTHS_AT: usize = size_of::<u32>();
const DEADLINE_SIZE: usize = size_of::<UnixMillis>();

/// A live block, which stays alive and unchanged (but for its clock) for `'a`.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    base: NonNull<u8>,
    _lives: PhantomData<&'a [u8]>,
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

/// A string on its way into a block.
pub(super) enum NewString<'a> {
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
}

impl<'a> NewString<'a> {
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

    pub(super) fn of(value: &'a mut Value) -> Self {
        let Value::String(string) = value;
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
        }
    }

    fn heap_bytes(&self) -> usize {
        if let Self::Heap { bytes, .. } = self {
            bytes.capacity()
        } else {
            0
        }
    }
}

/// What the keyspace keeps count of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) expire_at: Option<UnixMillis>,
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

    #[inline]
    fn shape(self) -> Shape {
        let meta = self.meta().load(Relaxed);
        let mut at = LENGTHS_AT;
        let key_len = self.varint(&mut at);
        let value_len = match meta & FORM_MASK {
            FORM_INLINE => self.varint(&mut at),
            FORM_INT => size_of::<i64>(),
            _ => size_of::<VecParts>(),
        };
        if meta & DEADLINE != 0 {
            at += DEADLINE_SIZE;
        }
        Shape {
            meta,
            key_at: at,
            key_len,
            value_at: at + key_len,
            value_len,
        }
    }

    #[inline]
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
        let shape = self.shape();
        self.bytes(shape.key_at, shape.key_len)
    }

    #[inline]
    pub(super) fn key_is(self, bytes: &[u8]) -> bool {
        let shape = self.shape();
        shape.key_len == bytes.len() && self.bytes(shape.key_at, shape.key_len) == bytes
    }

    #[inline]
    pub(super) fn value(self) -> ValueRef<'a> {
        let shape = self.shape();
        ValueRef::String(match shape.meta & FORM_MASK {
            FORM_INLINE => StringRef::Bytes(self.bytes(shape.value_at, shape.value_len)),
            FORM_INT => {
                // SAFETY: the form says that an integer is there, unaligned.
                StringRef::Int(unsafe {
                    self.base.add(shape.value_at).cast::<i64>().read_unaligned()
                })
            }
            _ => {
                let parts = self.vec_parts(&shape);
                // SAFETY: the vector belongs to the block and is alive and unchanged with it.
                StringRef::Bytes(unsafe { std::slice::from_raw_parts(parts.start, parts.len) })
            }
        })
    }

    #[inline]
    pub(super) fn expire_at(self) -> Option<UnixMillis> {
        if self.meta().load(Relaxed) & DEADLINE == 0 {
            return None;
        }
        Some(self.deadline(&self.shape()))
    }

    #[inline]
    fn deadline(self, shape: &Shape) -> UnixMillis {
        // SAFETY: the deadline is right before the key, unaligned.
        unsafe {
            self.base
                .add(shape.key_at - DEADLINE_SIZE)
                .cast::<UnixMillis>()
                .read_unaligned()
        }
    }

    pub(super) fn kind(self) -> Kind {
        Kind::String
    }

    /// Whether the value is a string in an allocation of its own.
    pub(super) fn is_heap(self) -> bool {
        self.meta().load(Relaxed) & FORM_MASK == FORM_HEAP
    }

    pub(super) fn is_raw(self) -> bool {
        self.meta().load(Relaxed) & RAW != 0
    }

    pub(super) fn encoding(self) -> Encoding {
        let shape = self.shape();
        match shape.meta & FORM_MASK {
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

    #[inline]
    fn facts(self, shape: &Shape) -> Facts {
        Facts {
            expire_at: if shape.meta & DEADLINE != 0 {
                Some(self.deadline(shape))
            } else {
                None
            },
            memory: block_size(shape.size()) + self.heap_bytes(shape),
        }
    }

    fn heap_bytes(self, shape: &Shape) -> usize {
        if shape.meta & FORM_MASK == FORM_HEAP {
            self.vec_parts(shape).capacity
        } else {
            0
        }
    }

    fn vec_parts(self, shape: &Shape) -> VecParts {
        debug_assert_eq!(shape.meta & FORM_MASK, FORM_HEAP);
        // SAFETY: callers know that the form is heap.
        unsafe {
            self.base
                .add(shape.value_at)
                .cast::<VecParts>()
                .read_unaligned()
        }
    }

    /// A copy of the value.
    pub(super) fn to_value(self) -> Value {
        Value::String(match self.value() {
            ValueRef::String(StringRef::Int(integer)) => StringValue::Int(integer),
            ValueRef::String(StringRef::Bytes(bytes)) => StringValue::Bytes {
                bytes: bytes.to_vec(),
                raw: self.is_raw(),
            },
        })
    }
}

/// The text of a value that is about to be modified, as bytes.
pub(super) fn text_of<'b>(
    value: ValueRef<'b>,
    buffer: &'b mut [u8; INTEGER_TEXT_SIZE_MAX],
) -> &'b [u8] {
    let ValueRef::String(string) = value;
    string.to_bytes(buffer)
}
