//! What a slot can hold: entries, their marks, and why a store can be refused.
//!
//! An [`Entry`] is the very word that stands in its slot:
//!
//! | bits | content |
//! |---|---|
//! | 0..2 | kind: 0 empty, or a node below; 1 item; 2 value; 3 sibling of an entry in this node |
//! | 2..6 | entry: its order; node: its level; sibling: 0 |
//! | 6..64 | entry: its payload; node: its address; sibling: the slot of its entry |
//!
//! (The checker's small nodes need one more bit for the level.)

use std::fmt;
use std::num::NonZeroU64;

use crate::node::BITS;

/// The largest order of an entry: it covers 2^9 = 512 indices.
pub const MAX_ORDER: u32 = BITS + BITS / 2;

/// In the low bits of a slot's word.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Kind {
    /// Nothing, or a node.
    Node = 0,
    Item = 1,
    Value = 2,
    Sibling = 3,
}

pub(crate) const KIND_MASK: u64 = 3;
pub(crate) const INFO_SHIFT: u32 = 2;
pub(crate) const INFO_MASK: u64 = if BITS == 6 { 15 } else { 31 };
pub(crate) const PAYLOAD_SHIFT: u32 = INFO_SHIFT + INFO_MASK.count_ones();

/// What an index of the array leads to: a payload of 58 bits, and of which of two kinds it is.
///
/// The array gives no meaning to either kind. Linux keeps folios as *items* (its pointers), and
/// what evicted pages leave behind as *values* (its tagged integers).
///
/// An entry that comes out of an array also knows the order it was stored with, and is equal only
/// to entries of that order.
///
/// ```
/// use refolio_xarray::{Entry, XArray};
///
/// let entry = Entry::item(7);
/// assert!(entry.is_item() && !entry.is_value());
/// assert_eq!((entry.payload(), entry.order()), (7, 0));
///
/// let array = XArray::new();
/// array.lock().store(8, 2, entry)?;
/// let loaded = array.load(11).unwrap();
/// assert_eq!((loaded.payload(), loaded.order()), (7, 2));
/// assert_ne!(loaded, entry);
/// # Ok::<(), refolio_xarray::Overlap>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry(NonZeroU64);

impl Entry {
    /// The largest payload: 2^58 - 1.
    pub const MAX_PAYLOAD: u64 = u64::MAX >> PAYLOAD_SHIFT;

    /// An item. A payload above [`MAX_PAYLOAD`](Self::MAX_PAYLOAD) is the caller's mistake: a debug
    /// build panics, any other drops the bits above it.
    #[inline]
    pub const fn item(payload: u64) -> Self {
        Self::new(Kind::Item, payload)
    }

    /// A value. Its payload is limited as that of an [`item`](Self::item).
    #[doc(alias = "xa_mk_value")]
    #[inline]
    pub const fn value(payload: u64) -> Self {
        Self::new(Kind::Value, payload)
    }

    const fn new(kind: Kind, payload: u64) -> Self {
        debug_assert!(payload <= Self::MAX_PAYLOAD, "the payload has 58 bits");
        match NonZeroU64::new(payload << PAYLOAD_SHIFT | kind as u64) {
            Some(word) => Self(word),
            None => unreachable!(),
        }
    }

    /// Whether this is an item.
    #[inline]
    pub const fn is_item(self) -> bool {
        self.0.get() & KIND_MASK == Kind::Item as u64
    }

    /// Whether this is a value.
    #[doc(alias = "xa_is_value")]
    #[inline]
    pub const fn is_value(self) -> bool {
        !self.is_item()
    }

    /// The number that it was made from.
    #[inline]
    pub const fn payload(self) -> u64 {
        self.0.get() >> PAYLOAD_SHIFT
    }

    /// The order it was stored with: it covers 2^order indices, and the first is a multiple of
    /// 2^order. Zero for an entry that does not come out of an array.
    #[doc(alias = "xa_get_order")]
    #[inline]
    pub const fn order(self) -> u32 {
        (self.0.get() >> INFO_SHIFT & INFO_MASK) as u32
    }

    /// What is in a word, in the trace of a model; `tell` tells of an entry.
    #[cfg(refolio_explore)]
    #[doc(hidden)]
    pub fn told(word: u64, tell: impl Fn(Self) -> String) -> String {
        let kind = word & KIND_MASK;
        if kind == Kind::Sibling as u64 {
            return format!("as in slot {} of its node", word >> PAYLOAD_SHIFT);
        } else if kind == Kind::Node as u64 && word != 0 {
            return "a node".into();
        }
        Self::from_word(word).map_or("empty".into(), tell)
    }

    /// The first index it covers, if it covers `index`.
    #[inline]
    pub(crate) const fn base(self, index: u64) -> u64 {
        index >> self.order() << self.order()
    }

    pub(crate) fn with_order(self, order: u32) -> Self {
        let word = self.0.get() & !(INFO_MASK << INFO_SHIFT) | u64::from(order) << INFO_SHIFT;
        NonZeroU64::new(word).map_or(self, Self)
    }

    /// The entry in a word of kind `Item` or `Value`; None for an empty one.
    #[inline]
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        NonZeroU64::new(word).map(Self)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_item() { "Item" } else { "Value" };
        f.debug_struct(kind)
            .field("payload", &self.payload())
            .field("order", &self.order())
            .finish()
    }
}

/// A bit beside an entry. [`next_marked`](crate::Locked::next_marked) finds the entries that have
/// it without a look at the others: a node knows whether anything below it is marked.
#[doc(alias = "xa_mark_t")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mark {
    /// Has to be written back.
    #[doc(alias = "PAGECACHE_TAG_DIRTY")]
    Dirty,
    /// Is being written back.
    #[doc(alias = "PAGECACHE_TAG_WRITEBACK")]
    Writeback,
    /// Free for any use.
    #[doc(alias = "PAGECACHE_TAG_TOWRITE")]
    Spare,
}

impl Mark {
    pub(crate) const ALL: [Mark; 3] = [Mark::Dirty, Mark::Writeback, Mark::Spare];
}

/// Why a store was refused: its 2^order indices are no place for an entry. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Overlap {
    /// The order is above [`MAX_ORDER`], or the index is not a multiple of 2^order.
    Misaligned {
        /// The index that was asked for.
        index: u64,
        /// The order that was asked for.
        order: u32,
    },
    /// An entry of a greater order covers the place: [`split`](crate::Locked::split) or
    /// [`erase`](crate::Locked::erase) it first.
    Covered {
        /// The first index of that entry.
        base: u64,
        /// The entry.
        entry: Entry,
    },
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { index, order } => {
                write!(f, "no entry of order {order} can begin at index {index}")
            }
            Self::Covered { base, entry } => {
                write!(f, "covered by an entry of order {} at index {base}", entry.order())
            }
        }
    }
}

impl std::error::Error for Overlap {}
