//! How the tree of nodes follows its entries: it grows at the root, gets nodes on the way to an
//! entry, loses those that are empty, and shrinks at the root.

use std::ops::Range;

use crate::entry::{Entry, Mark};
use crate::locked::{Locked, Position};
use crate::node::{BITS, Content, Node, SLOTS, Slot, Word, place};
use crate::sync::broken;

impl<'a> Locked<'a> {
    /// The first node, if there is one.
    pub(crate) fn root(&self) -> Option<&'a Node> {
        self.guard.head().get().as_node()
    }

    pub(crate) fn slot(&self, position: Position<'a>) -> &'a Slot {
        position.node.map_or(self.guard.head(), |node| node.slot(position.offset))
    }

    /// The node in which an entry of this order at `index` has its slots. No greater one covers it.
    pub(crate) fn make_way(&mut self, index: u64, order: u32) -> &'a Node {
        let shift = order / BITS * BITS;
        let mut node = self.grow(index, shift);
        while node.shift() > shift {
            let offset = node.offset(index);
            node = match node.slot(offset).get().content() {
                Content::Node(child) => child,
                _ => {
                    let child = self.new_node(node, offset, None);
                    node.link(offset, child);
                    child
                }
            };
        }
        node
    }

    /// A root that serves `index`, on the level at `shift` or above.
    #[doc(alias = "xas_expand")]
    fn grow(&mut self, index: u64, shift: u32) -> &'a Node {
        loop {
            let head = self.guard.head().get();
            let root_shift = match head.content() {
                Content::Node(root) if root.covers(index) && root.shift() >= shift => return root,
                Content::Node(root) => root.shift() + BITS,
                Content::Empty => {
                    let levels = (shift..).step_by(BITS as usize);
                    levels.into_iter().find(|at| index >> at >> BITS == 0).unwrap_or(shift)
                }
                _ => 0,
            };
            let root = self.guard.take(place(0, root_shift), None);
            if !head.is_empty() {
                for mark in Mark::ALL {
                    let set = match head.as_node() {
                        Some(child) => child.marked(mark) != 0,
                        None => std::mem::take(self.guard.head_mark(mark)),
                    };
                    root.mark(0, mark, set);
                }
                if let Some(child) = head.as_node() {
                    child.set_parent(Some(root));
                }
                root.slot(0).store(head);
                root.set_present(0);
            }
            root.come_into_use();
            self.guard.head().store(Word::node(root));
        }
    }

    /// A node for below a slot that is empty, or whose entry is about to be split: in use, and not
    /// yet linked.
    pub(crate) fn new_node(
        &mut self,
        parent: &'a Node,
        offset: usize,
        truth: Option<Entry>,
    ) -> &'a Node {
        let place = place(parent.index(offset), parent.shift() - BITS);
        let node = self.guard.take(place, Some(parent));
        if let Some(entry) = truth {
            (0..SLOTS).for_each(|offset| node.slot(offset).store(Word::entry(entry)));
        }
        node.come_into_use();
        node
    }

    /// Fills slots with an entry and its siblings, and gives back the nodes that were below.
    pub(crate) fn put(&mut self, node: &'a Node, slots: Range<usize>, entry: Entry) {
        let first = slots.start;
        let fresh = slots.clone().all(|offset| node.slot(offset).get().is_empty())
            && !broken("fresh-siblings-first");
        if !fresh {
            self.overwrite(node, first, Word::entry(entry));
        }
        for sibling in slots.clone().skip(1).rev() {
            self.overwrite(node, sibling, Word::sibling(first));
        }
        if fresh {
            self.overwrite(node, first, Word::entry(entry));
        }
        node.forget(slots);
        node.set_present(first);
    }

    fn overwrite(&mut self, node: &'a Node, offset: usize, word: Word<'a>) {
        let old = node.slot(offset).get();
        node.slot(offset).store(word);
        if let Some(child) = old.as_node() {
            self.guard.give_back(child);
        }
    }

    /// Gives back a node, and those above it, if they are empty.
    #[doc(alias = "xas_delete_node")]
    pub(crate) fn prune(&mut self, mut node: &'a Node) {
        while node.present() == 0 {
            let parent = node.parent();
            if let Some(parent) = parent {
                let offset = parent.offset(node.index(0));
                parent.slot(offset).store(Word::EMPTY);
                parent.forget(offset..offset + 1);
            } else {
                self.guard.head().store(Word::EMPTY);
            }
            self.guard.give_back(node);
            match parent {
                Some(parent) => node = parent,
                None => return,
            }
        }
        self.shrink();
    }

    /// Takes roots away that have nothing but their first slot.
    #[doc(alias = "xas_shrink")]
    pub(crate) fn shrink(&mut self) {
        while let Some(root) = self.root()
            && root.present() == 1
        {
            let word = root.slot(0).get();
            match word.content() {
                Content::Node(child) => child.set_parent(None),
                Content::Entry(entry) if entry.order() == 0 => {
                    for mark in Mark::ALL {
                        *self.guard.head_mark(mark) = root.marked(mark) != 0;
                    }
                }
                _ => return,
            }
            self.guard.head().store(word);
            self.guard.give_back(root);
        }
    }
}
