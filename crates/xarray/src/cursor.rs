//! Walks in the order of the indices, from leaf to leaf without a way back to the root.

use crate::entry::{Entry, Mark};
use crate::locked::{Locked, Position};
use crate::node::{Content, Node, Word};

/// An entry, with its first index and its slot.
struct Found<'a> {
    base: u64,
    entry: Entry,
    position: Position<'a>,
}

impl<'a> Locked<'a> {
    /// The first entry that covers `from` or follows it, with the first index it covers.
    #[doc(alias = "xas_find")]
    pub fn next(&self, from: u64) -> Option<(u64, Entry)> {
        self.seek(from, None, None).map(|found| (found.base, found.entry))
    }

    /// The first marked entry that covers `from` or follows it, with the first index it covers.
    /// Nodes without a marked entry are not entered.
    ///
    /// ```
    /// use refolio_xarray::{Entry, Mark, XArray};
    ///
    /// let array = XArray::new();
    /// let mut locked = array.lock();
    /// for index in 0..100 {
    ///     locked.store(index, 0, Entry::item(index))?;
    /// }
    /// locked.set_mark(77, Mark::Writeback);
    /// assert_eq!(locked.next_marked(0, Mark::Writeback), Some((77, Entry::item(77))));
    /// assert_eq!(locked.next_marked(78, Mark::Writeback), None);
    /// # Ok::<(), refolio_xarray::Overlap>(())
    /// ```
    #[doc(alias = "xas_find_marked")]
    pub fn next_marked(&self, from: u64, mark: Mark) -> Option<(u64, Entry)> {
        self.seek(from, None, Some(mark)).map(|found| (found.base, found.entry))
    }

    /// A walk over the entries from the one that covers `from`, or the first that follows it.
    #[doc(alias = "xas_for_each")]
    pub fn cursor(&mut self, from: u64) -> Cursor<'_, 'a> {
        Cursor { locked: self, from: Some(from), leaf: None, at: None }
    }

    /// `near`: a node from where the way is shorter than from the root.
    fn seek(&self, from: u64, near: Option<&'a Node>, mark: Option<Mark>) -> Option<Found<'a>> {
        let Some(mut node) = near.or(self.root()) else {
            let wanted = mark.is_none_or(|mark| self.guard.has_head_mark(mark));
            let entry = self.load(0).filter(|_| from == 0 && wanted)?;
            return Some(Found { base: 0, entry, position: Position { node: None, offset: 0 } });
        };
        let mut from = from;
        loop {
            while !node.covers(from) {
                node = node.parent()?;
            }
            let mut offset = node.offset(from);
            if let Some(canonical) = node.slot(offset).get().as_sibling() {
                offset = canonical;
            }
            let wanted = mark.map_or(node.present(), |mark| node.marked(mark)) >> offset;
            if wanted == 0 {
                from = node.last().checked_add(1)?;
                continue;
            }
            offset += wanted.trailing_zeros() as usize;
            match node.slot(offset).get().content() {
                Content::Entry(entry) => {
                    let position = Position { node: Some(node), offset };
                    return Some(Found { base: node.index(offset), entry, position });
                }
                Content::Node(child) => {
                    node = child;
                    from = from.max(node.index(0));
                }
                Content::Empty | Content::Sibling(_) => unreachable!("not present"),
            }
        }
    }
}

/// A walk in ascending order, that can change the entry where it is without looking for it again.
///
/// It stands on the entry that it returned last; before the first and after the last it stands on
/// none, and its other verbs do nothing.
///
/// ```
/// use refolio_xarray::{Entry, Mark, XArray};
///
/// let array = XArray::new();
/// let mut locked = array.lock();
/// for index in 0..100 {
///     locked.store(index, 0, Entry::item(index))?;
/// }
/// let mut cursor = locked.cursor(50);
/// while let Some((index, _)) = cursor.next() {
///     if index % 2 == 0 {
///         cursor.erase();
///     } else {
///         cursor.set_mark(Mark::Dirty);
///     }
/// }
/// assert_eq!(locked.next(50), Some((51, Entry::item(51))));
/// # Ok::<(), refolio_xarray::Overlap>(())
/// ```
#[doc(alias = "xa_state")]
pub struct Cursor<'l, 'a> {
    locked: &'l mut Locked<'a>,
    /// None: at the end.
    from: Option<u64>,
    /// Where the last entry was found.
    leaf: Option<&'a Node>,
    at: Option<Found<'a>>,
}

impl Cursor<'_, '_> {
    /// Goes on to the next entry; returns it with the first index it covers.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not lend its position")]
    pub fn next(&mut self) -> Option<(u64, Entry)> {
        self.advance(None)
    }

    /// Goes on to the next entry that is marked; returns it with the first index it covers.
    pub fn next_marked(&mut self, mark: Mark) -> Option<(u64, Entry)> {
        self.advance(Some(mark))
    }

    fn advance(&mut self, mark: Option<Mark>) -> Option<(u64, Entry)> {
        self.at = self.from.and_then(|from| self.locked.seek(from, self.leaf, mark));
        let Some(found) = &self.at else {
            self.from = None;
            return None;
        };
        self.from = found.base.checked_add(1 << found.entry.order());
        self.leaf = found.position.node;
        Some((found.base, found.entry))
    }

    /// Exchanges the entry for another one of the same order, which has its marks. Returns the
    /// former entry. To a concurrent load this is one store.
    pub fn replace(&mut self, entry: Entry) -> Option<Entry> {
        let found = self.at.as_mut()?;
        let entry = entry.with_order(found.entry.order());
        self.locked.slot(found.position).store(Word::entry(entry));
        Some(std::mem::replace(&mut found.entry, entry))
    }

    /// Takes the entry out, as [`Locked::erase`]. The cursor stands on none until it goes on.
    pub fn erase(&mut self) -> Option<Entry> {
        let found = self.at.take()?;
        self.locked.erase_at(found.position, found.entry);
        self.leaf = self.leaf.filter(|leaf| leaf.is_in_use());
        Some(found.entry)
    }

    /// Marks the entry. Whether it was marked.
    pub fn set_mark(&mut self, mark: Mark) -> bool {
        self.at.as_ref().is_some_and(|found| self.locked.mark_at(found.position, mark, true))
    }

    /// Takes the mark off the entry. Whether it was marked.
    pub fn clear_mark(&mut self, mark: Mark) -> bool {
        self.at.as_ref().is_some_and(|found| self.locked.mark_at(found.position, mark, false))
    }

    /// Whether the entry is marked.
    pub fn get_mark(&self, mark: Mark) -> bool {
        self.at.as_ref().is_some_and(|found| self.locked.has_mark(found.position, mark))
    }
}
