//! Loads without a lock, while entries are stored, split and erased, and nodes come and go.
//!
//! # The protocol
//!
//! A reader goes down from the head, one Acquire load per level, and looks at nothing else, up to
//! the slot that leads to no further node (`Arena::walk`). That node may have been given back since
//! its address was read, and may serve other indices by now. So the reader looks there again
//! (`Node::read`): **generation, place, slot, for a sibling the slot of its entry, generation**. An
//! even generation, another place, or a generation that moved on sends it back to the head.
//!
//! Who holds the lock keeps four rules:
//!
//! 1. *A node is linked with the truth in it.* Before a slot gets to lead to a new node, every slot
//!    of the node says what that slot said: nothing, or the entry that is about to be split, or, in
//!    a new root, the former head. So a link changes no index; only a store in a slot does.
//! 2. *A node is unlinked by a word that says the same, or is the change itself* (a large entry
//!    over all the node serves). After that the generation becomes even, and only then are slots
//!    emptied, and only after that is the node used again.
//! 3. *The generation moves on before the first and after the last store whenever siblings come or
//!    go* in a node, staying odd.
//! 4. *At each moment in between a sibling finds its old entry, its new one, or, where the range is
//!    filled from empty or emptied, nothing.* Fresh: siblings first, then their entry. Erased:
//!    entry first. Over smaller entries, and for each piece of a split: entry first, then its
//!    siblings, the last one first; and of the pieces the last one first.
//!
//! # Why a load is linearizable
//!
//! *A node that passes was the right one when its slot was read.* Its generation g was odd, and its
//! place, read after g, was right. Everything that is written to a node is written with Release
//! after the generation it belongs to, and everything the reader reads between its two looks it
//! reads with Acquire: had it seen a place or a slot of a later use, or of a later change of
//! siblings, the second look would have seen the later generation. And seeing g it saw what the
//! node was given before g. (That is the argument of a sequence lock.) So which nodes were passed
//! on the way down does not matter: they only proposed this one.
//!
//! *Its slot said the truth then.* While g stands, the node is linked; or not yet linked and holds
//! the truth (rule 1); or not linked any more and holds what was the truth when it was unlinked
//! (rule 2). In this last case the load takes place just before that. It had begun by then: it has
//! the address from a slot of a node in use, or of one that was unlinked before this one or
//! together with it, and so from the time before. An empty slot is therefore as good an answer as
//! an entry. So is what the head says, whose word is always the truth: also that an index is beyond
//! what the first node serves.
//!
//! *A sibling's entry covers the index.* Both looks at the generation fall between two changes of
//! siblings, or within a single one (rule 3). Between two, a sibling's slot stands, and its entry's
//! too, but for the exchange of the entry by one of the same order, which is one store. Within one
//! (rule 4), the index has the sibling's old entry until its own slot is overwritten, or the old
//! entry's slot by an entry that covers the index as well. The reader may find the first piece of a
//! split, which does not: then it begins again, and finds its own slot overwritten, because that
//! piece was stored last. Nothing where the entry was means that the index has none at that moment.
//!
//! A load begins again only when a node that it met was changed in the meantime. So some store has
//! got on, and nobody ever waits for the holder of the lock.
//!
//! A generation has 63 bits to count with: it does not come around.

use crate::entry::Entry;
use crate::node::{Arena, BITS, Content, Node, SLOTS, place};
use crate::sync::{Retry, broken};

/// Where the way down from the head ends.
enum End<'a> {
    /// In the head itself.
    Head(Option<Entry>),
    /// At a slot of a node on the level at this shift.
    Node(&'a Node, u32),
}

/// The node is not, or not any more, what it was taken for.
struct Changed;

impl Arena {
    /// The entry that covers `index`, None if there is none.
    #[inline]
    pub fn load(&self, index: u64) -> Option<Entry> {
        let retry = Retry::new();
        loop {
            match self.walk(index) {
                End::Head(found) => return found,
                End::Node(node, shift) => {
                    if let Ok(found) = node.read(index, shift) {
                        return found;
                    }
                }
            }
            raced(&retry);
        }
    }

    /// What the way down leads to, believed at sight.
    #[inline]
    pub fn peek(&self, index: u64) -> Option<Entry> {
        match self.walk(index) {
            End::Head(found) => found,
            End::Node(node, shift) => node.resolve(index, shift).unwrap_or(None),
        }
    }

    #[inline]
    fn walk(&self, index: u64) -> End<'_> {
        let head = self.head().load();
        let Some(mut node) = head.as_node() else {
            return End::Head(if index == 0 { head.as_entry() } else { None });
        };
        let mut shift = head.node_shift();
        if index >> shift >> BITS != 0 {
            return End::Head(None);
        }
        // The levels are counted here and not read from the slots: so the way has an end even when
        // it leads through nodes that change beneath it.
        while let Some(child) = node.slot((index >> shift) as usize).load().as_node()
            && shift > 0
        {
            node = child;
            shift -= BITS;
        }
        End::Node(node, shift)
    }
}

impl Node {
    /// The entry at `index`, if this is the node that says, and it stood still meanwhile.
    #[inline]
    fn read(&self, index: u64, shift: u32) -> Result<Option<Entry>, Changed> {
        let generation = self.generation();
        let is_place = self.serves() == place(index, shift) || broken("place-check");
        let found = self.resolve(index, shift)?;
        let is_still = self.is_still(generation) || broken("generation-recheck");
        if generation % 2 == 1 && is_place && is_still { Ok(found) } else { Err(Changed) }
    }

    /// What the slot of `index` says, through the slot of its entry if it is a sibling.
    #[inline]
    fn resolve(&self, index: u64, shift: u32) -> Result<Option<Entry>, Changed> {
        let offset = (index >> shift) as usize & (SLOTS - 1);
        match self.slot(offset).load().content() {
            Content::Empty => Ok(None),
            Content::Entry(entry) => Ok(Some(entry)),
            Content::Node(_) => Err(Changed),
            Content::Sibling(canonical) => match self.slot(canonical).load().content() {
                Content::Empty => Ok(None),
                Content::Entry(entry) if entry.spans(offset, canonical, shift) => Ok(Some(entry)),
                _ => Err(Changed),
            },
        }
    }
}

impl Entry {
    /// Whether it reaches from its slot, `canonical`, to `offset`.
    #[inline]
    fn spans(self, offset: usize, canonical: usize, shift: u32) -> bool {
        (offset ^ canonical) >> self.order().saturating_sub(shift) == 0 || broken("sibling-covers")
    }
}

/// Tells the checker, or the processor, that the load begins again.
#[cold]
fn raced(retry: &Retry) {
    retry.again();
    #[cfg(test)]
    crate::sync::reached("retry");
}
