//! What the holder of the lock can do: find, store, erase, split.
//!
//! Everything that stores keeps the four rules at the head of `walk.rs`: the order of the stores in
//! each function is what readers without the lock rely on.

use std::ops::Range;

use crate::entry::{Entry, MAX_ORDER, Mark, Overlap};
use crate::node::{Content, Guard, Node, SLOTS, Word};
use crate::sync::broken;

/// An array under its lock (Linux: the i_pages lock). Everything that changes it is here.
///
/// Loads without the lock go on meanwhile. To them each index changes at one moment:
///
/// - an entry stored where nothing was, replaced by one of the same order, or erased, comes,
///   changes or goes for all of its indices at once, by one store;
/// - where an entry is stored over smaller ones, or split, each index goes over from what it had to
///   the new entry at some moment during the call, and at no moment has nothing in between.
///
/// Memory for nodes comes from the global allocator, which ends the process when there is none.
///
/// A lock is not reentrant: a thread that holds one and asks for it again waits for ever.
#[doc(alias = "xas_lock")]
pub struct Locked<'a> {
    pub(crate) guard: Guard<'a>,
}

/// The slot of an entry: of a node, or (None) the head.
#[derive(Clone, Copy)]
pub(crate) struct Position<'a> {
    pub node: Option<&'a Node>,
    pub offset: usize,
}

impl<'a> Locked<'a> {
    /// The entry that covers `index`.
    #[doc(alias = "xas_load")]
    pub fn load(&self, index: u64) -> Option<Entry> {
        self.position(index).map(|(_, entry)| entry)
    }

    /// The entry that covers `index`, and the first index it covers.
    ///
    /// ```
    /// use refolio_xarray::{Entry, XArray};
    ///
    /// let array = XArray::new();
    /// array.lock().store(64, 6, Entry::item(1))?;
    /// let (base, entry) = array.lock().find(99).unwrap();
    /// assert_eq!((base, entry.order()), (64, 6));
    /// # Ok::<(), refolio_xarray::Overlap>(())
    /// ```
    pub fn find(&self, index: u64) -> Option<(u64, Entry)> {
        self.load(index).map(|entry| (entry.base(index), entry))
    }

    /// Stores `entry` at the 2^`order` indices from `index` on, and returns the entry it replaces:
    /// the first, if it replaces several.
    ///
    /// When it replaces an entry of the same order it has that one's marks. Otherwise it begins
    /// without marks, and those of the entries it replaces are gone.
    ///
    /// # Errors
    ///
    /// [`Overlap::Misaligned`] if `order` is above [`MAX_ORDER`] or `index` not a multiple of
    /// 2^`order`; [`Overlap::Covered`] if the place is inside an entry of a greater order. The
    /// array is as it was.
    ///
    /// ```
    /// use refolio_xarray::{Entry, Overlap, XArray};
    ///
    /// let array = XArray::new();
    /// let mut locked = array.lock();
    /// locked.store(16, 3, Entry::item(1))?; // indices 16 to 23
    /// let Err(Overlap::Covered { base: 16, .. }) = locked.store(17, 0, Entry::item(2)) else {
    ///     panic!("17 is taken");
    /// };
    /// let replaced = locked.store(16, 3, Entry::item(2))?;
    /// assert_eq!(replaced.map(Entry::payload), Some(1));
    /// # Ok::<(), Overlap>(())
    /// ```
    #[doc(alias = "xas_store")]
    #[doc(alias = "xa_store_range")]
    pub fn store(
        &mut self,
        index: u64,
        order: u32,
        entry: Entry,
    ) -> Result<Option<Entry>, Overlap> {
        if order > MAX_ORDER || index & ((1 << order) - 1) != 0 {
            return Err(Overlap::Misaligned { index, order });
        }
        let entry = entry.with_order(order);
        if let Some((position, found)) = self.position(index)
            && found.order() >= order
        {
            if found.order() > order {
                return Err(Overlap::Covered { base: found.base(index), entry: found });
            }
            self.slot(position).store(Word::entry(entry));
            return Ok(Some(found));
        }
        if index == 0 && order == 0 && self.guard.head().get().is_empty() {
            self.guard.head().store(Word::entry(entry));
            return Ok(None);
        }
        let replaced = self.next(index).filter(|(base, _)| entry.base(*base) == index);

        let node = self.make_way(index, order);
        let first = node.offset(index);
        let slots = first..first + node.span(entry);
        self.clear_marks(node, slots.clone());
        node.begin_reshape(slots.len());
        self.put(node, slots.clone(), entry);
        node.end_reshape(slots.len());
        Ok(replaced.map(|(_, entry)| entry))
    }

    /// Takes out the whole entry that covers `index`, with its marks; returns it with the first
    /// index it covered. Nodes that became empty are given back.
    #[doc(alias = "xa_erase")]
    pub fn erase(&mut self, index: u64) -> Option<(u64, Entry)> {
        let (position, entry) = self.position(index)?;
        self.erase_at(position, entry);
        Some((entry.base(index), entry))
    }

    pub(crate) fn erase_at(&mut self, position: Position<'a>, entry: Entry) {
        for mark in Mark::ALL {
            self.mark_at(position, mark, false);
        }
        let Some(node) = position.node else {
            return self.guard.head().store(Word::EMPTY);
        };
        let slots = position.offset..position.offset + node.span(entry);
        node.begin_reshape(slots.len());
        for offset in slots.clone() {
            node.slot(offset).store(Word::EMPTY);
        }
        node.end_reshape(slots.len());
        node.forget(slots);
        self.prune(node);
    }

    /// Exchanges the entry that covers `index` for several of order `new_order` over the same
    /// indices, with the same marks. `with` names the one that begins at the index it is given; it
    /// is called for all of them, in ascending order, before anything is changed.
    ///
    /// False, and nothing is done, if no entry covers the index, or its order is not above
    /// `new_order`.
    ///
    /// ```
    /// use refolio_xarray::{Entry, XArray};
    ///
    /// let array = XArray::new();
    /// let mut locked = array.lock();
    /// locked.store(512, 9, Entry::item(0))?;
    /// assert!(locked.split(700, 3, |index| Entry::item(index - 512)));
    /// assert_eq!(locked.load(700).map(|piece| (piece.payload(), piece.order())), Some((184, 3)));
    /// # Ok::<(), refolio_xarray::Overlap>(())
    /// ```
    #[doc(alias = "xas_split")]
    pub fn split(&mut self, index: u64, new_order: u32, with: impl FnMut(u64) -> Entry) -> bool {
        let Some((position, old)) = self.position(index) else { return false };
        let Some(node) = position.node else { return false };
        if old.order() <= new_order {
            return false;
        }
        let base = old.base(index);
        let last = base + ((1 << old.order()) - 1);
        let bases = (base..=last).step_by(1 << new_order);
        let mut pieces: Vec<Entry> =
            bases.map(with).map(|piece| piece.with_order(new_order)).collect();
        let marks = Mark::ALL.map(|mark| self.has_mark(position, mark));

        let slots = position.offset..position.offset + node.span(old);
        self.split_slots(node, slots, old, marks, &mut pieces);
        self.shrink();
        true
    }

    /// Puts pieces in the slots that `old` has in a node, the last piece in the last slots first.
    fn split_slots(
        &mut self,
        node: &'a Node,
        slots: Range<usize>,
        old: Entry,
        marks: [bool; Mark::ALL.len()],
        pieces: &mut Vec<Entry>,
    ) {
        node.begin_reshape(SLOTS);
        let mut end = slots.end;
        while end > slots.start
            && let Some(&piece) = pieces.last()
        {
            let first = end - node.span(piece);
            if piece.order() >= node.shift() {
                pieces.pop();
                self.put(node, first..end, piece);
            } else {
                // Linked with the truth in it, which is still `old`, and split after that.
                let child = self.new_node(node, first, Some(old));
                let late = broken("linked-with-the-truth");
                if !late {
                    node.link(first, child);
                }
                self.split_slots(child, 0..SLOTS, old, marks, pieces);
                if late {
                    node.link(first, child);
                }
            }
            for (mark, set) in Mark::ALL.into_iter().zip(marks) {
                node.mark(first, mark, set);
            }
            end = first;
        }
        node.end_reshape(SLOTS);
    }

    /// The slot of the entry that covers `index`, and that entry.
    pub(crate) fn position(&self, index: u64) -> Option<(Position<'a>, Entry)> {
        let mut node = match self.guard.head().get().content() {
            Content::Node(node) if node.covers(index) => node,
            Content::Entry(entry) if index == 0 => {
                return Some((Position { node: None, offset: 0 }, entry));
            }
            _ => return None,
        };
        let mut offset = node.offset(index);
        loop {
            match node.slot(offset).get().content() {
                Content::Empty => return None,
                Content::Sibling(canonical) => offset = canonical,
                Content::Node(child) => {
                    node = child;
                    offset = node.offset(index);
                }
                Content::Entry(entry) => {
                    return Some((Position { node: Some(node), offset }, entry));
                }
            }
        }
    }
}
