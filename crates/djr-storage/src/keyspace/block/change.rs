//! Making, changing and freeing blocks. Whoever calls owns the block through the shard's table.

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{
    BEHIND, Block, CLOCK_MASK, Changed, DEADLINE, DEADLINE_SIZE, FORM_HEAP, FORM_INLINE, FORM_MASK,
    FORM_OBJECT, Facts, LEFT, LENGTHS_AT, NewValue, RAW, Shape, VecParts, object,
};
use crate::arena::{Arena, block_size};
use crate::keyspace::disposal::disposer;
use crate::keyspace::hash::UnixMillis;
use crate::value::{StringValue, Value};

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
    let key_end = key_at + key_len;
    let value_at = if flags & FORM_MASK == FORM_OBJECT {
        object::place(flags, key_end).0
    } else {
        key_end
    };
    Shape {
        meta,
        key_at,
        key_len,
        value_at,
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
/// The value's length in its form is writable at `at`, which is aligned for it, and does not overlap with it.
#[inline]
unsafe fn write_value(at: *mut u8, value: NewValue<'_>) {
    // SAFETY: as promised by the caller.
    unsafe {
        match value {
            NewValue::Int(integer) => at.cast::<i64>().write_unaligned(integer),
            NewValue::Inline { bytes, .. } => {
                ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len())
            }
            NewValue::Heap { bytes, .. } => write_vec(at, bytes),
            NewValue::Object(object) => object.write(at),
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
pub(in crate::keyspace) fn create(
    arena: &mut Arena,
    key: &[u8],
    clock: u32,
    expire_at: Option<UnixMillis>,
    value: NewValue<'_>,
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

/// Moves a block out of a slab that is to be emptied. Returns the block to use instead, if it was in one.
///
/// # Safety
/// `old` is a live block of this arena, and nobody has a reference into it.
pub(in crate::keyspace) unsafe fn relocate(
    arena: &mut Arena,
    old: NonNull<u8>,
) -> Option<NonNull<u8>> {
    // SAFETY: as promised by the caller; what is in a block may be moved, and the old one is forgotten without being dropped.
    unsafe {
        let size = Block::new(old).shape().size();
        if !arena.is_leaving(old, size) {
            return None;
        }
        let new = arena.alloc(size);
        ptr::copy_nonoverlapping(old.as_ptr(), new.as_ptr(), size);
        arena.free(old, size);
        Some(new)
    }
}

/// Overwrites a short string without a deadline by one of the same length, the usual case of a cache that is written again.
/// Nothing but clock and value changes then. `false`: it is not such a one, and nothing was done.
///
/// # Safety
/// As [`rewrite`].
#[inline]
pub(in crate::keyspace) unsafe fn overwrite(
    base: NonNull<u8>,
    clock: u32,
    bytes: &[u8],
    raw: bool,
) -> bool {
    // SAFETY: alive; the reference is gone before anything is written.
    let shape = unsafe { Block::new(base) }.shape();
    if shape.meta & (DEADLINE | FORM_MASK | RAW) != FORM_INLINE
        || raw
        || shape.value_len != bytes.len()
    {
        return false;
    }
    // SAFETY: the value's place is as long as the bytes, which come from outside.
    unsafe {
        base.cast::<AtomicU32>()
            .as_ref()
            .store(shape.meta & !CLOCK_MASK | clock, Relaxed);
        ptr::copy_nonoverlapping(
            bytes.as_ptr(),
            base.as_ptr().add(shape.value_at),
            bytes.len(),
        );
    }
    true
}

/// Gives clock, deadline and value anew; the key stays. In place if the block has the right size, else in a new block: the
/// old one is freed then. Returns the block to use.
///
/// # Safety
/// `old` is a live block of this arena, and nobody has a reference into it. `value` is not part of it.
#[inline]
pub(in crate::keyspace) unsafe fn rewrite(
    arena: &mut Arena,
    old: NonNull<u8>,
    clock: u32,
    expire_at: Option<UnixMillis>,
    value: NewValue<'_>,
) -> Changed {
    // SAFETY: alive; the reference is gone before anything is written.
    let (before, facts_before) = unsafe { Block::new(old) }.shape_and_facts();
    let (flags, value_len) = value.form();
    let left = before.meta & LEFT;
    let after = shape_for(before.key_len, expire_at.is_some(), flags | left, value_len);
    let size = block_size(after.size());
    let facts_after = Facts {
        expire_at,
        parts_expire: value.next_expire().is_some(),
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
pub(in crate::keyspace) unsafe fn set_expire_at(
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
        ..facts_before
    };
    // SAFETY: as in `rewrite`; key and value, which follow each other, are moved together before the head is written. A
    // deadline is as long as a structure is aligned, so that the gap before one stays the same.
    unsafe {
        let base = if size_before == size {
            old
        } else {
            arena.alloc(after.size())
        };
        if base != old || before.key_at != after.key_at {
            let len = before.size() - before.key_at;
            debug_assert_eq!(len, after.size() - after.key_at);
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
pub(in crate::keyspace) unsafe fn modify_heap<R>(
    block: NonNull<u8>,
    change: impl FnOnce(&mut Vec<u8>) -> R,
) -> Option<R> {
    // SAFETY: alive; the reference is gone before anything is written.
    let view: Block<'_> = unsafe { Block::new(block) };
    let shape = view.shape();
    if shape.meta & FORM_MASK != FORM_HEAP {
        return None;
    }
    let parts = view.vec_parts(shape.value_at);
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

/// Changes the bytes of a string in place; its length stays. `None`, and nothing happens, if the value is kept as an integer.
///
/// # Safety
/// As [`rewrite`].
pub(in crate::keyspace) unsafe fn modify_bytes<R>(
    block: NonNull<u8>,
    change: impl FnOnce(&mut [u8]) -> R,
) -> Option<R> {
    // SAFETY: alive; the reference is gone before anything is written.
    let view: Block<'_> = unsafe { Block::new(block) };
    let shape = view.shape();
    let (start, len) = match shape.meta & FORM_MASK {
        // SAFETY: the value lies inside the block.
        FORM_INLINE => (
            unsafe { block.add(shape.value_at).as_ptr() },
            shape.value_len,
        ),
        FORM_HEAP => {
            let parts = view.vec_parts(shape.value_at);
            (parts.start, parts.len)
        }
        _ => return None,
    };
    let meta = view.meta();
    meta.store(meta.load(Relaxed) | RAW, Relaxed);
    // SAFETY: initialized bytes that belong to the block, which nobody else looks at as promised by the caller.
    Some(change(unsafe {
        std::slice::from_raw_parts_mut(start, len)
    }))
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
pub(in crate::keyspace) unsafe fn free(arena: &mut Arena, block: NonNull<u8>) -> Facts {
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
pub(in crate::keyspace) unsafe fn take(arena: &mut Arena, block: NonNull<u8>) -> (Value, Facts) {
    // SAFETY: as promised by the caller; a vector in heap form changes hands.
    unsafe {
        let view: Block<'_> = Block::new(block);
        let (shape, facts) = view.shape_and_facts();
        let value = match shape.meta & FORM_MASK {
            FORM_HEAP => {
                let parts = view.vec_parts(shape.value_at);
                let bytes = Vec::from_raw_parts(parts.start, parts.len, parts.capacity);
                Value::String(StringValue::Bytes {
                    bytes,
                    raw: shape.meta & RAW != 0,
                })
            }
            FORM_OBJECT => object::take_structure(block, &shape),
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
    if shape.meta & BEHIND == 0 {
        return;
    }
    // SAFETY: made from a vector by `write_vec` or from a structure by `NewObject::write`, dropped once.
    unsafe {
        if shape.meta & FORM_MASK == FORM_HEAP {
            let parts = Block::new(block).vec_parts(shape.value_at);
            let bytes = Vec::from_raw_parts(parts.start, parts.len, parts.capacity);
            if let Some(dispose) = disposer(parts.capacity) {
                dispose(Value::String(StringValue::Bytes { bytes, raw: true }));
            }
        } else if let Some(dispose) = disposer(Block::new(block).structure_memory(shape)) {
            dispose(object::take_structure(block, shape));
        } else {
            object::drop_structure(block, shape);
        }
    }
}
