//! Marks: a bit per entry, and in each node above, whether anything below has it.

use std::ops::Range;

use crate::entry::Mark;
use crate::locked::{Locked, Position};
use crate::node::Node;

impl<'a> Locked<'a> {
    /// Marks the entry that covers `index`. Whether it was marked; false, and nothing is done, if
    /// there is no entry.
    ///
    /// ```
    /// use refolio_xarray::{Entry, Mark, XArray};
    ///
    /// let array = XArray::new();
    /// let mut locked = array.lock();
    /// locked.store(5, 0, Entry::item(1))?;
    /// assert!(!locked.set_mark(5, Mark::Dirty));
    /// assert!(locked.set_mark(5, Mark::Dirty));
    /// assert!(!locked.set_mark(6, Mark::Dirty) && !locked.get_mark(6, Mark::Dirty));
    /// # Ok::<(), refolio_xarray::Overlap>(())
    /// ```
    #[doc(alias = "xas_set_mark")]
    pub fn set_mark(&mut self, index: u64, mark: Mark) -> bool {
        self.position(index).is_some_and(|(position, _)| self.mark_at(position, mark, true))
    }

    /// Takes the mark off the entry that covers `index`. Whether it was marked.
    #[doc(alias = "xas_clear_mark")]
    pub fn clear_mark(&mut self, index: u64, mark: Mark) -> bool {
        self.position(index).is_some_and(|(position, _)| self.mark_at(position, mark, false))
    }

    /// Whether an entry covers `index`, and is marked.
    #[doc(alias = "xas_get_mark")]
    pub fn get_mark(&self, index: u64, mark: Mark) -> bool {
        self.position(index).is_some_and(|(position, _)| self.has_mark(position, mark))
    }

    /// Whether any entry is marked.
    #[doc(alias = "xa_marked")]
    pub fn any_marked(&self, mark: Mark) -> bool {
        self.root().map_or(self.guard.has_head_mark(mark), |root| root.marked(mark) != 0)
    }

    pub(crate) fn has_mark(&self, position: Position<'a>, mark: Mark) -> bool {
        match position.node {
            Some(node) => node.marked(mark) >> position.offset & 1 != 0,
            None => self.guard.has_head_mark(mark),
        }
    }

    pub(crate) fn mark_at(&mut self, position: Position<'a>, mark: Mark, set: bool) -> bool {
        let Some(mut node) = position.node else {
            return std::mem::replace(self.guard.head_mark(mark), set);
        };
        let was = node.mark(position.offset, mark, set);
        if was == set {
            return was;
        }
        // Up as far as that changes what the nodes above have to say.
        while let Some(parent) = node.parent()
            && (set || node.marked(mark) == 0)
        {
            if parent.mark(parent.offset(node.index(0)), mark, set) == set {
                break;
            }
            node = parent;
        }
        was
    }

    /// Takes all marks off what is in these slots or below.
    pub(crate) fn clear_marks(&mut self, node: &'a Node, slots: Range<usize>) {
        for mark in Mark::ALL {
            for offset in slots.clone() {
                self.mark_at(Position { node: Some(node), offset }, mark, false);
            }
        }
    }
}
