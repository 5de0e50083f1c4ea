//! A sparse array from `u64` to [`Entry`], after Linux's XArray: the index of a page cache.
//!
//! - **Loads take no lock** and wait for nobody, while another thread stores, splits and erases.
//!   They need no epoch, no reference count and no hazard pointer either: the nodes of an array
//!   stay nodes of that array, and a load that met one which changed looks again.
//! - **Multi-index entries.** An entry of order *n* (0 to [`MAX_ORDER`]) covers 2^*n* indices, and
//!   is replaced by one store.
//! - **Three [`Mark`]s** per entry, by which marked entries are found without a look at the others.
//! - **It takes the memory it needs**: a single entry at index 0 needs no node; nodes that become
//!   empty are given back to the array, for its next ones.
//!
//! Stores are made by the holder of the array's lock.
//!
//! ```
//! use refolio_xarray::{Entry, Mark, XArray};
//!
//! let array = XArray::new();
//! {
//!     let mut locked = array.lock();
//!     locked.store(u64::MAX, 0, Entry::item(1))?;
//!     locked.store(1024, 9, Entry::item(2))?; // indices 1024 to 1535
//!     locked.set_mark(1500, Mark::Dirty);
//! }
//! assert_eq!(array.load(u64::MAX), Some(Entry::item(1)));
//! assert_eq!(array.load(1535).map(Entry::payload), Some(2));
//! assert_eq!(array.load(1536), None);
//! assert_eq!(array.lock().erase(1100).map(|(base, _)| base), Some(1024));
//! # Ok::<(), refolio_xarray::Overlap>(())
//! ```
//!
//! # What costs what
//!
//! Nodes have 64 slots, so a load is one dependent read for each 6 bits of the largest index in
//! use, and one of the last node's header. All nodes of an array stay allocated until it is dropped
//! ([`XArray::node_bytes`]).

#[cfg(any(test, feature = "testing"))]
mod check;
mod cursor;
mod entry;
mod locked;
mod marks;
#[cfg(all(test, refolio_loom))]
mod model;
mod node;
mod structure;
#[doc(hidden)]
pub mod sync;
#[cfg(test)]
mod tests;
mod walk;

// The oracle is written for whoever has the crate: the fuzzer includes it, too.
#[cfg(test)]
extern crate self as refolio_xarray;

use std::fmt;

pub use cursor::Cursor;
pub use entry::{Entry, MAX_ORDER, Mark, Overlap};
pub use locked::Locked;
use node::Arena;

/// The array. Every index from 0 to `u64::MAX` can have an entry.
#[doc(alias = "xarray")]
#[doc(alias = "address_space.i_pages")]
pub struct XArray {
    arena: Arena,
}

impl XArray {
    /// An empty array. It allocates nothing.
    pub fn new() -> Self {
        Self { arena: Arena::new() }
    }

    /// The entry that covers `index`. Takes no lock and waits for nobody.
    ///
    /// Linearizable: it is the entry that the index has at some moment during the call. What the
    /// storing thread wrote before it stored the entry can be seen by who loads it.
    #[doc(alias = "xa_load")]
    #[inline]
    pub fn load(&self, index: u64) -> Option<Entry> {
        self.arena.load(index)
    }

    /// As [`load`](Self::load), but at the price of a plain walk: when nodes are being exchanged at
    /// the same time, it may miss an entry that is there, or find one that another index has, or
    /// had. It is for callers that check the identity of what they find anyway.
    #[inline]
    pub fn peek(&self, index: u64) -> Option<Entry> {
        self.arena.peek(index)
    }

    /// Waits for the array's lock (Linux: the i_pages lock).
    #[doc(alias = "xa_lock")]
    pub fn lock(&self) -> Locked<'_> {
        Locked { guard: self.arena.lock() }
    }

    /// Names the lock, and the words, in the trace of a model.
    #[cfg(refolio_explore)]
    #[doc(hidden)]
    pub fn christen(&self, lock: &str, show: sync::Show) {
        self.arena.christen(lock, show);
    }

    /// Nodes in use: 0 when nothing but an entry at index 0 alone is present.
    pub fn node_count(&self) -> usize {
        self.arena.used()
    }

    /// Bytes of memory for nodes, in use or kept for reuse.
    pub fn node_bytes(&self) -> usize {
        self.arena.bytes()
    }
}

impl Default for XArray {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for XArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XArray").field("node_count", &self.node_count()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Locked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
