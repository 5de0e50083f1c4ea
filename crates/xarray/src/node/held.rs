//! What the holder of the lock reads and writes in a node.
//!
//! Loads without the lock meet the stores to `generation` and `slots`; the rest is the holder's
//! own.

use std::ops::Range;

use super::{BITS, Node, SLOTS, Word, own, place};
use crate::entry::{Entry, Mark};
use crate::sync::{Relaxed, Release, broken};

impl Node {
    pub fn is_in_use(&self) -> bool {
        own(&self.generation) % 2 == 1
    }

    /// From here on the slots say what the place is said to have.
    pub fn come_into_use(&self) {
        self.move_on(1);
    }

    /// From here on nobody believes what is in its slots.
    pub(super) fn go_out_of_use(&self) {
        self.move_on(1);
    }

    /// Before the first store that makes siblings, or of siblings something else, in a change of
    /// `span` slots. Not for a single slot: it has none.
    pub fn begin_reshape(&self, span: usize) {
        if span > 1 && !broken("reshape-generation") {
            self.move_on(2);
        }
    }

    /// After the last such store.
    pub fn end_reshape(&self, span: usize) {
        self.begin_reshape(span);
    }

    /// Sends readers back that have looked at the generation and not yet again.
    fn move_on(&self, by: u64) {
        let generation = own(&self.generation) + by;
        // Release: who sees the new generation sees what was written before it. And each store
        // that follows is a Release too, so who sees one of those sees the new generation.
        let order = if broken("generation-release") { Relaxed } else { Release };
        self.generation.store(generation, order);
    }

    /// Which indices it serves ([`place`](fn@place)).
    pub fn place(&self) -> u64 {
        own(&self.place)
    }

    pub fn shift(&self) -> u32 {
        self.place().trailing_zeros()
    }

    /// Whether `index` is among those it serves.
    pub fn covers(&self, index: u64) -> bool {
        place(index, self.shift()) == self.place()
    }

    /// The slot on the way to `index`.
    pub fn offset(&self, index: u64) -> usize {
        (index >> self.shift()) as usize & (SLOTS - 1)
    }

    /// The slots that the entry has in the node it is in; 1 if it is only below one.
    pub fn span(&self, entry: Entry) -> usize {
        1 << entry.order().saturating_sub(self.shift())
    }

    /// The first index that a slot serves.
    pub fn index(&self, offset: usize) -> u64 {
        let place = self.place();
        place & (place - 1) | (offset as u64) << self.shift()
    }

    /// The last index that the node serves.
    pub fn last(&self) -> u64 {
        self.place() | !(u64::MAX << self.shift() << BITS)
    }

    /// A bit for each slot that holds a node or an entry.
    pub fn present(&self) -> u64 {
        self.present.load(Relaxed)
    }

    pub fn set_present(&self, offset: usize) {
        self.present.store(self.present() | 1 << offset, Relaxed);
    }

    /// A bit for each slot with a marked entry in it or below.
    pub fn marked(&self, mark: Mark) -> u64 {
        self.marks[mark as usize].load(Relaxed)
    }

    /// Sets or clears the bit of one slot. Whether it was set.
    pub fn mark(&self, offset: usize, mark: Mark, set: bool) -> bool {
        let (old, bit) = (self.marked(mark), 1 << offset);
        self.marks[mark as usize].store(if set { old | bit } else { old & !bit }, Relaxed);
        old & bit != 0
    }

    /// Lets a slot lead to `child`, which holds the truth.
    pub fn link(&self, offset: usize, child: &Node) {
        self.slot(offset).store(Word::node(child));
        self.set_present(offset);
    }

    /// Forgets that slots hold something, and their marks.
    pub fn forget(&self, slots: Range<usize>) {
        let keep = !slots.fold(0, |bits, offset| bits | 1 << offset);
        for bits in std::iter::once(&self.present).chain(&self.marks) {
            bits.store(bits.load(Relaxed) & keep, Relaxed);
        }
    }
}
