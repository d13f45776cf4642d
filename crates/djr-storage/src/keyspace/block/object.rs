//! Structures in blocks: which one is where, by the kind that `meta` names.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::{Block, FORM_HEAP, FORM_MASK, FORM_OBJECT, KIND_MASK, KIND_SHIFT, NewValue, Shape};
use crate::keyspace::hash::UnixMillis;
#[cfg(test)]
use crate::types::Probe;
use crate::types::kept::{Kept, Ticket, keep_above};
use crate::types::{Hash, List, Object, Set, SortedSet, Stream, relocate_vec};
use crate::value::{Encoding, Kind, Value, ValueRef, with_structure};

/// Blocks are aligned to this, and so a structure can be, at an offset that is a multiple of it.
const OBJECT_ALIGN: usize = 8;
/// A structure is moved when its block is, and only so many of its bytes count as "small".
const OBJECT_SIZE_MAX: usize = 64;

/// Runs `$body` with `$structure` standing for the type of a kind that is not a string's.
macro_rules! with_type {
    ($kind:expr, $structure:ident => $body:expr) => {
        match $kind {
            // Callers have looked at the form, which is another one for strings.
            Kind::String => unreachable!("a string is not a structure"),
            Kind::List => {
                type $structure = List;
                $body
            }
            Kind::Set => {
                type $structure = Set;
                $body
            }
            Kind::SortedSet => {
                type $structure = SortedSet;
                $body
            }
            Kind::Hash => {
                type $structure = Hash;
                $body
            }
            Kind::Stream => {
                type $structure = Stream;
                $body
            }
            #[cfg(test)]
            Kind::Probe => {
                type $structure = Probe;
                $body
            }
        }
    };
}

// What is read as a structure of a kind must have been written as one.
const _: () = {
    assert!(matches!(List::KIND, Kind::List));
    assert!(matches!(Set::KIND, Kind::Set));
    assert!(matches!(SortedSet::KIND, Kind::SortedSet));
    assert!(matches!(Hash::KIND, Kind::Hash));
    assert!(matches!(Stream::KIND, Kind::Stream));
};

impl NewValue<'_> {
    /// Lends `value` to be put in a block.
    pub(in crate::keyspace) fn with<R>(value: Value, put: impl FnOnce(NewValue<'_>) -> R) -> R {
        with_structure!(value, Value, object => {
            put(NewValue::Object(NewObject::new(&mut ManuallyDrop::new(object))))
        }, string => {
            let mut string = string;
            put(NewValue::string(&mut string))
        })
    }

    /// The earliest deadline of the value's parts.
    #[inline]
    pub(in crate::keyspace) fn next_expire(&self) -> Option<UnixMillis> {
        if let Self::Object(object) = self {
            object.next_expire
        } else {
            None
        }
    }
}

/// A structure on its way into a block, which moves out of where it is now.
pub(in crate::keyspace) struct NewObject<'a> {
    kind: Kind,
    from: NonNull<u8>,
    memory: usize,
    next_expire: Option<UnixMillis>,
    _lives: PhantomData<&'a mut ()>,
}

impl<'a> NewObject<'a> {
    /// The structure belongs to the block it is written to; if it never is, it is leaked.
    pub(in crate::keyspace) fn new<T: Object>(object: &'a mut ManuallyDrop<T>) -> Self {
        const {
            assert!(align_of::<T>() <= OBJECT_ALIGN);
            assert!(size_of::<T>() <= OBJECT_SIZE_MAX);
        }
        Self {
            kind: T::KIND,
            memory: object.memory_bytes(),
            next_expire: object.next_expire(),
            from: NonNull::from(object).cast(),
            _lives: PhantomData,
        }
    }

    /// Flags, and the structure's size.
    pub(super) fn form(&self) -> (u32, usize) {
        (
            FORM_OBJECT | (self.kind as u32) << KIND_SHIFT,
            size_of_kind(self.kind),
        )
    }

    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// # Safety
    /// The structure's size is writable at `at`, aligned to [`OBJECT_ALIGN`].
    pub(super) unsafe fn write(self, at: *mut u8) {
        // SAFETY: as promised by the caller; `from` is a structure of this kind that nobody uses or drops any more.
        unsafe { ptr::copy_nonoverlapping(self.from.as_ptr(), at, size_of_kind(self.kind)) }
    }
}

fn size_of_kind(kind: Kind) -> usize {
    with_type!(kind, T => size_of::<T>())
}

/// Where a structure is in a block whose key ends at `key_end`, and its size.
#[cold]
pub(super) fn place(meta: u32, key_end: usize) -> (usize, usize) {
    (
        key_end.next_multiple_of(OBJECT_ALIGN),
        size_of_kind(kind_of(meta)),
    )
}

/// The kind that `meta` names.
pub(super) fn kind_of(meta: u32) -> Kind {
    match (meta & KIND_MASK) >> KIND_SHIFT {
        1 => Kind::List,
        2 => Kind::Set,
        3 => Kind::SortedSet,
        4 => Kind::Hash,
        5 => Kind::Stream,
        #[cfg(test)]
        7 => Kind::Probe,
        _ => Kind::String,
    }
}

impl<'a> Block<'a> {
    /// The structure of this type, if the value is one.
    #[inline]
    pub(in crate::keyspace) fn object<T: Object>(self) -> Option<&'a T> {
        let at = self.object_at::<T>()?;
        // SAFETY: such a structure is there, aligned; the block is alive and unchanged for 'a.
        Some(unsafe { self.base.add(at).cast::<T>().as_ref() })
    }

    /// Starts loading what hangs from the structure, if the value is one.
    pub(in crate::keyspace) fn prefetch_structure(self, member: Option<&[u8]>) -> Option<u64> {
        let head = self.head();
        if head.meta & FORM_MASK != FORM_OBJECT {
            return None;
        }
        let at = (head.key_at + head.key_len).next_multiple_of(OBJECT_ALIGN);
        with_type!(kind_of(head.meta), T => {
            // SAFETY: as in `object`.
            unsafe { self.base.add(at).cast::<T>().as_ref() }.prefetch(member)
        })
    }

    /// The next step: starts loading a member of the structure, if the value is one.
    pub(in crate::keyspace) fn prefetch_member(self, hash: u64) {
        let head = self.head();
        if head.meta & FORM_MASK == FORM_OBJECT {
            let at = (head.key_at + head.key_len).next_multiple_of(OBJECT_ALIGN);
            with_type!(kind_of(head.meta), T => {
                // SAFETY: as in `object`.
                unsafe { self.base.add(at).cast::<T>().as_ref() }.prefetch_member(hash);
            });
        }
    }

    /// Where the structure of this type is, if the value is one.
    #[inline]
    fn object_at<T: Object>(self) -> Option<usize> {
        let head = self.head();
        let is_one =
            head.meta & (FORM_MASK | KIND_MASK) == FORM_OBJECT | (T::KIND as u32) << KIND_SHIFT;
        is_one.then(|| (head.key_at + head.key_len).next_multiple_of(OBJECT_ALIGN))
    }

    /// The structure in a block of this shape, whose form is that of one.
    #[cold]
    pub(super) fn structure(self, shape: &Shape) -> ValueRef<'a> {
        debug_assert_eq!(shape.meta & FORM_MASK, FORM_OBJECT);
        macro_rules! value {
            ($($kind:ident)*) => {
                match kind_of(shape.meta) {
                    // The form of a block with a string is another one.
                    Kind::String => unreachable!("a string is not a structure"),
                    // SAFETY: as in `object`.
                    $(Kind::$kind => ValueRef::$kind(unsafe {
                        self.base.add(shape.value_at).cast::<$kind>().as_ref()
                    }),)*
                    #[cfg(test)]
                    // SAFETY: as in `object`.
                    Kind::Probe => ValueRef::Probe(unsafe {
                        self.base.add(shape.value_at).cast::<Probe>().as_ref()
                    }),
                }
            };
        }
        value!(List Set SortedSet Hash Stream)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn structure_memory(self, shape: &Shape) -> usize {
        with_structure!(self.structure(shape), ValueRef, object => object.memory_bytes(), _string => 0)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn structure_encoding(self, shape: &Shape) -> Encoding {
        with_structure!(self.structure(shape), ValueRef, object => object.encoding(), _string => Encoding::Raw)
    }

    /// The earliest deadline of the parts of a structure in a block of this shape.
    #[cold]
    #[inline(never)]
    pub(super) fn structure_next_expire(self, shape: &Shape) -> Option<UnixMillis> {
        with_structure!(self.structure(shape), ValueRef, object => object.next_expire(), _string => None)
    }

    /// When the active expiry has something to do: the deadline, or an earlier one of the value's parts.
    pub(in crate::keyspace) fn due(self) -> Option<UnixMillis> {
        [self.expire_at(), self.next_expire()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The earliest deadline of the value's parts.
    pub(in crate::keyspace) fn next_expire(self) -> Option<UnixMillis> {
        if self.flags() & FORM_MASK != FORM_OBJECT {
            return None;
        }
        self.structure_next_expire(&self.shape())
    }

    /// Whether the value is a structure that takes too long to be copied at once.
    pub(in crate::keyspace) fn is_large(self) -> bool {
        self.flags() & FORM_MASK == FORM_OBJECT
            && self.structure_memory(&self.shape()) > keep_above()
    }

    /// Whether the value is a structure with nothing left in it.
    pub(in crate::keyspace) fn is_vacant(self) -> bool {
        if self.flags() & FORM_MASK != FORM_OBJECT {
            return false;
        }
        with_structure!(self.structure(&self.shape()), ValueRef, object => object.is_vacant(), _string => false)
    }
}

/// The structure in a block, for changing it; `None` if its value is of another type.
///
/// # Safety
/// A live block, to which there is no other reference during `'a`.
#[inline]
pub(in crate::keyspace) unsafe fn object_mut<'a, T: Object>(
    block: NonNull<u8>,
) -> Option<&'a mut T> {
    // SAFETY: as promised by the caller; such a structure is there, aligned.
    unsafe {
        let at = Block::new(block).object_at::<T>()?;
        Some(block.add(at).cast::<T>().as_mut())
    }
}

/// Has a structure drop the parts that are past their deadline. Returns how many went. See [`Object::expire_parts`].
///
/// # Safety
/// As [`object_mut`].
pub(in crate::keyspace) unsafe fn expire_parts(
    block: NonNull<u8>,
    now: UnixMillis,
    limit: usize,
    on_expired: &mut dyn FnMut(&[u8]),
) -> usize {
    // SAFETY: as promised by the caller; the form and kind say that such a structure is there.
    unsafe {
        let shape = Block::new(block).shape();
        if shape.meta & FORM_MASK != FORM_OBJECT {
            return 0;
        }
        let at = block.add(shape.value_at);
        with_type!(kind_of(shape.meta), T => at.cast::<T>().as_mut().expire_parts(now, limit, on_expired))
    }
}

/// Has a large structure keep what there is at this moment: see [`Object::keep`].
///
/// # Safety
/// As [`object_mut`].
pub(in crate::keyspace) unsafe fn keep(
    block: NonNull<u8>,
    ticket: &Arc<Ticket>,
    out: &mut Vec<u8>,
) -> bool {
    // SAFETY: as promised by the caller; the form and kind say that such a structure is there.
    unsafe {
        let shape = Block::new(block).shape();
        if shape.meta & FORM_MASK != FORM_OBJECT {
            return false;
        }
        let at = block.add(shape.value_at);
        with_type!(kind_of(shape.meta), T => at.cast::<T>().as_mut().keep(ticket, out))
    }
}

/// What the structure in a block keeps, if it is one that does.
///
/// # Safety
/// As [`object_mut`].
pub(in crate::keyspace) unsafe fn kept<'a>(block: NonNull<u8>) -> Option<&'a mut dyn Kept> {
    // SAFETY: as promised by the caller; the form and kind say that such a structure is there.
    unsafe {
        let shape = Block::new(block).shape();
        if shape.meta & FORM_MASK != FORM_OBJECT {
            return None;
        }
        let at = block.add(shape.value_at);
        with_type!(kind_of(shape.meta), T => at.cast::<T>().as_mut().kept())
    }
}

/// Drops the structure in a block and leaves an empty one.
///
/// # Safety
/// As [`object_mut`].
pub(in crate::keyspace) unsafe fn drop_content(block: NonNull<u8>) {
    // SAFETY: as promised by the caller; the form and kind say that such a structure is there.
    unsafe {
        let shape = Block::new(block).shape();
        if shape.meta & FORM_MASK == FORM_OBJECT {
            let at = block.add(shape.value_at);
            with_type!(kind_of(shape.meta), T => drop(std::mem::take(at.cast::<T>().as_mut())));
        }
    }
}

/// Puts some of what hangs from a block into new memory: see [`Object::relocate`]. Returns the part to go on with; 0: done.
///
/// # Safety
/// As [`object_mut`].
pub(in crate::keyspace) unsafe fn relocate_value(
    block: NonNull<u8>,
    from: u128,
    budget: usize,
) -> u128 {
    // SAFETY: as promised by the caller; the form and kind say what is there.
    unsafe {
        let shape = Block::new(block).shape();
        match shape.meta & FORM_MASK {
            FORM_HEAP => {
                super::modify_heap(block, relocate_vec);
                0
            }
            FORM_OBJECT => {
                let at = block.add(shape.value_at);
                with_type!(kind_of(shape.meta), T => at.cast::<T>().as_mut().relocate(from, budget))
            }
            _ => 0,
        }
    }
}

/// Moves the structure out of a block of this shape.
///
/// # Safety
/// A live block of this shape, whose form is that of a structure, which is not used any more.
pub(super) unsafe fn take_structure(block: NonNull<u8>, shape: &Shape) -> Value {
    // SAFETY: as promised by the caller.
    unsafe {
        let at = block.add(shape.value_at);
        with_type!(kind_of(shape.meta), T => Value::from(at.cast::<T>().read()))
    }
}

/// Drops the structure in a block of this shape.
///
/// # Safety
/// As [`take_structure`].
#[cold]
pub(super) unsafe fn drop_structure(block: NonNull<u8>, shape: &Shape) {
    // SAFETY: as promised by the caller.
    unsafe {
        let at = block.add(shape.value_at);
        with_type!(kind_of(shape.meta), T => at.cast::<T>().drop_in_place())
    }
}
