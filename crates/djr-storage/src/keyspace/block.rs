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

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::hash::UnixMillis;
use crate::arena::{Arena, block_size};
use crate::value::{
    EMBSTR_SIZE_MAX, Encoding, INTEGER_TEXT_SIZE_MAX, Kind, StringRef, StringValue, Value, ValueRef,
};

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

#[inline]
fn varint_size(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5, // up to 32 GiB, which no limit of the protocol lets through
    }
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

/// The shape of a block with this key length, deadline and value.
#[inline]
fn shape_for(key_len: usize, has_deadline: bool, flags: u32, value_len: usize) -> Shape {
    let lengths = varint_size(key_len)
        + if flags & FORM_MASK == FORM_INLINE {
            varint_size(value_len)
        } else {
            0
        };
    let key_at = LENGTHS_AT + lengths + if has_deadline { DEADLINE_SIZE } else { 0 };
    let meta = flags | if has_deadline { DEADLINE } else { 0 };
    Shape {
        meta,
        key_at,
        key_len,
        value_at: key_at + key_len,
        value_len,
    }
}

/// Writes what comes before the key.
///
/// # Safety
/// `base` is writable for the shape's size and aligned to 8. Concurrent readers of `meta` use atomics.
#[inline]
unsafe fn write_head(base: NonNull<u8>, shape: &Shape, clock: u32, expire_at: Option<UnixMillis>) {
    // SAFETY: the head fits as `shape_for` has computed it.
    unsafe {
        base.cast::<AtomicU32>()
            .as_ref()
            .store(shape.meta | clock, Relaxed);
        let mut at = write_varint(base.as_ptr().add(LENGTHS_AT), shape.key_len);
        if shape.meta & FORM_MASK == FORM_INLINE {
            at = write_varint(at, shape.value_len);
        }
        if let Some(deadline) = expire_at {
            at.cast::<UnixMillis>().write_unaligned(deadline);
            at = at.add(DEADLINE_SIZE);
        }
        debug_assert_eq!(
            at,
            base.as_ptr().add(shape.key_at),
            "a head of another size"
        );
    }
}

/// # Safety
/// The value's length in its form is writable at `at`, and does not overlap with it.
#[inline]
unsafe fn write_value(at: *mut u8, value: NewString<'_>) {
    // SAFETY: as promised by the caller.
    unsafe {
        match value {
            NewString::Int(integer) => at.cast::<i64>().write_unaligned(integer),
            NewString::Inline { bytes, .. } => {
                ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len())
            }
            NewString::Heap { bytes, .. } => write_vec(at, bytes),
        }
    }
}

/// # Safety
/// As [`write_value`].
unsafe fn write_vec(at: *mut u8, bytes: Vec<u8>) {
    let mut bytes = ManuallyDrop::new(bytes);
    let parts = VecParts {
        start: bytes.as_mut_ptr(),
        len: bytes.len(),
        capacity: bytes.capacity(),
    };
    // SAFETY: as promised by the caller.
    unsafe { at.cast::<VecParts>().write_unaligned(parts) };
}

/// A new block. Returns it and the bytes it takes.
#[inline]
pub(super) fn create(
    arena: &mut Arena,
    key: &[u8],
    clock: u32,
    expire_at: Option<UnixMillis>,
    value: NewString<'_>,
) -> (NonNull<u8>, usize) {
    let (flags, value_len) = value.form();
    let shape = shape_for(key.len(), expire_at.is_some(), flags, value_len);
    let memory = block_size(shape.size()) + value.heap_bytes();
    let base = arena.alloc(shape.size());
    // SAFETY: the block is new and of the shape's size.
    unsafe {
        write_head(base, &shape, clock, expire_at);
        ptr::copy_nonoverlapping(key.as_ptr(), base.as_ptr().add(shape.key_at), key.len());
        write_value(base.as_ptr().add(shape.value_at), value);
    }
    (base, memory)
}

/// Gives clock, deadline and value anew; the key stays. In place if the block has the right size, else in a new block: the
/// old one is freed then. Returns the block to use.
///
/// # Safety
/// `old` is a live block of this arena, and nobody has a reference into it. `value` is not part of it.
#[inline]
pub(super) unsafe fn rewrite(
    arena: &mut Arena,
    old: NonNull<u8>,
    clock: u32,
    expire_at: Option<UnixMillis>,
    value: NewString<'_>,
) -> Changed {
    // SAFETY: alive; the reference is gone before anything is written.
    let (before, facts_before) = unsafe { Block::new(old) }.shape_and_facts();
    let (flags, value_len) = value.form();
    let after = shape_for(before.key_len, expire_at.is_some(), flags, value_len);
    let size = block_size(after.size());
    let facts_after = Facts {
        expire_at,
        memory: size + value.heap_bytes(),
    };
    // SAFETY: the old value is not used any more. In place: block sizes are equal, so the new contents fit; the key is moved
    // before anything else is written. Otherwise the new block is of the new shape's size, and the old one ours to free.
    unsafe {
        drop_heap(old, &before);
        let base = if block_size(before.size()) == size {
            old
        } else {
            arena.alloc(after.size())
        };
        if base != old || before.key_at != after.key_at {
            ptr::copy(
                old.as_ptr().add(before.key_at),
                base.as_ptr().add(after.key_at),
                before.key_len,
            );
        }
        write_head(base, &after, clock, expire_at);
        write_value(base.as_ptr().add(after.value_at), value);
        if base != old {
            arena.free(old, before.size());
        }
        Changed {
            base,
            before: facts_before,
            after: facts_after,
        }
    }
}

/// Sets or clears the deadline; everything else stays. Returns the block to use, as [`rewrite`].
///
/// # Safety
/// As [`rewrite`].
pub(super) unsafe fn set_expire_at(
    arena: &mut Arena,
    old: NonNull<u8>,
    expire_at: Option<UnixMillis>,
) -> Changed {
    // SAFETY: alive; the reference is gone before anything is written.
    let (before, facts_before) = unsafe { Block::new(old) }.shape_and_facts();
    let clock = before.meta & CLOCK_MASK;
    let flags = before.meta & !DEADLINE & !CLOCK_MASK;
    let after = shape_for(before.key_len, expire_at.is_some(), flags, before.value_len);
    let (size_before, size) = (block_size(before.size()), block_size(after.size()));
    let facts_after = Facts {
        expire_at,
        memory: facts_before.memory - size_before + size,
    };
    // SAFETY: as in `rewrite`; key and value, which follow each other, are moved together before the head is written.
    unsafe {
        let base = if size_before == size {
            old
        } else {
            arena.alloc(after.size())
        };
        if base != old || before.key_at != after.key_at {
            let len = before.key_len + before.value_len;
            ptr::copy(
                old.as_ptr().add(before.key_at),
                base.as_ptr().add(after.key_at),
                len,
            );
        }
        write_head(base, &after, clock, expire_at);
        if base != old {
            arena.free(old, before.size());
        }
        Changed {
            base,
            before: facts_before,
            after: facts_after,
        }
    }
}

/// Changes the vector of a value in heap form in place. `None`, and nothing happens, if it has another form.
///
/// # Safety
/// As [`rewrite`].
pub(super) unsafe fn modify_heap<R>(
    block: NonNull<u8>,
    change: impl FnOnce(&mut Vec<u8>) -> R,
) -> Option<R> {
    // SAFETY: alive; the reference is gone before anything is written.
    let view: Block<'_> = unsafe { Block::new(block) };
    let shape = view.shape();
    if shape.meta & FORM_MASK != FORM_HEAP {
        return None;
    }
    let parts = view.vec_parts(&shape);
    // SAFETY: made from a vector by `write_vec`. If `change` panics the block and the vector both think they own the bytes,
    // so the process is stopped.
    unsafe {
        let bomb = AbortOnDrop;
        let mut bytes = Vec::from_raw_parts(parts.start, parts.len, parts.capacity);
        let result = change(&mut bytes);
        std::mem::forget(bomb);
        write_vec(block.as_ptr().add(shape.value_at), bytes);
        let meta = view.meta();
        meta.store(meta.load(Relaxed) | RAW, Relaxed);
        Some(result)
    }
}

struct AbortOnDrop;

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// Frees a block and its value. Returns what is to be discounted.
///
/// # Safety
/// As [`rewrite`]; the block is not used any more.
#[inline]
pub(super) unsafe fn free(arena: &mut Arena, block: NonNull<u8>) -> Facts {
    // SAFETY: as promised by the caller.
    unsafe {
        let view: Block<'_> = Block::new(block);
        let shape = view.shape();
        let facts = view.facts(&shape);
        drop_heap(block, &shape);
        arena.free(block, shape.size());
        facts
    }
}

/// Frees a block and returns its value, and what is to be discounted.
///
/// # Safety
/// As [`free`].
pub(super) unsafe fn take(arena: &mut Arena, block: NonNull<u8>) -> (Value, Facts) {
    // SAFETY: as promised by the caller; a vector in heap form changes hands.
    unsafe {
        let view: Block<'_> = Block::new(block);
        let (shape, facts) = view.shape_and_facts();
        let value = match shape.meta & FORM_MASK {
            FORM_HEAP => {
                let parts = view.vec_parts(&shape);
                let bytes = Vec::from_raw_parts(parts.start, parts.len, parts.capacity);
                Value::String(StringValue::Bytes {
                    bytes,
                    raw: shape.meta & RAW != 0,
                })
            }
            _ => view.to_value(),
        };
        arena.free(block, shape.size());
        (value, facts)
    }
}

/// # Safety
/// A live block of this shape whose value is not used any more.
#[inline]
unsafe fn drop_heap(block: NonNull<u8>, shape: &Shape) {
    if shape.meta & FORM_MASK == FORM_HEAP {
        // SAFETY: made from a vector by `write_vec`, dropped once.
        unsafe {
            let parts = Block::new(block).vec_parts(shape);
            drop(Vec::from_raw_parts(parts.start, parts.len, parts.capacity));
        }
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
