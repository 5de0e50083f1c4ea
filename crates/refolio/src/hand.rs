//! What is in hand from one page to the next: frames that are taken and given back together, and the
//! slots of a file.
//!
//! Threads that move or evict pages meet at the locks of nodes and files. Who does many pages takes each
//! of them once for all, not once a page. Frames that he has in hand meanwhile are nobody else's, and
//! free to nobody.

use crate::core::{Core, FolioLock, Fresh};
use crate::folio::state::{Flag, Put};
use crate::mapping::Mapping;
use crate::node::Node;
use crate::sync::call;
use crate::units::{FrameNo, pages};
use refolio_xarray::Locked as Slots;

/// Free frames of a node, for single pages that come there. What is not used goes back.
#[derive(Debug)]
pub(crate) struct Room<'c> {
    core: &'c Core,
    node: &'c Node,
    /// Frames to leave free there.
    keep: u32,
    /// In the order in which the node gave them: neighbours, as a rule.
    frames: std::vec::IntoIter<FrameNo>,
}

impl<'c> Room<'c> {
    /// Takes as many frames as that, or as there are.
    pub fn new(core: &'c Core, node: &'c Node, keep: u32, frames: usize) -> Self {
        let frames = if frames > 1 { node.alloc_many(frames, keep) } else { Vec::new() };
        Self { core, node, keep, frames: frames.into_iter() }
    }

    /// A new folio; None when there is no room for it.
    pub fn alloc(&mut self, order: u32, flags: &[Flag]) -> Option<Fresh<'c>> {
        if order > 0 || self.frames.len() == 0 {
            return self.core.alloc_on(self.node, order, self.keep, flags);
        }
        if self.node.is_offline() {
            return None;
        }
        Some(self.core.claim(self.node, self.frames.next()?, 0, flags))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.frames.len() > 0 {
            self.node.free_all(self.frames.by_ref().map(|frame| (frame, 0)));
        }
    }
}

impl Core {
    /// Takes folios off their lists, and counts them: which of them.
    pub fn isolate(&self, frames: &[FrameNo]) -> Vec<bool> {
        call(|| {
            let nodes = frames.chunk_by(|a, b| self.node_of(*a).has(*b));
            nodes.flat_map(|frames| self.isolate_on_one(frames)).collect()
        })
    }

    fn isolate_on_one(&self, frames: &[FrameNo]) -> Vec<bool> {
        let isolated = self.lru_of(frames[0]).isolate(&self.folios, frames);
        let those = frames.iter().zip(&isolated).filter(|(_, isolated)| **isolated);
        let sum = those.map(|(frame, _)| self.folio(*frame).pages()).sum();
        self.node_of(frames[0]).counters.nr_isolated.add(sum);
        isolated
    }
}

/// Folios that their isolator has emptied and gives back: as a rule they are free by that, and their
/// frames go to their nodes together.
#[derive(Debug)]
pub(crate) struct Emptied<'c> {
    core: &'c Core,
    folios: Vec<Released>,
}

#[derive(Debug)]
struct Released {
    frame: FrameNo,
    order: u32,
    is_free: bool,
}

impl<'c> Emptied<'c> {
    /// None yet.
    pub fn new(core: &'c Core) -> Self {
        Self { core, folios: Vec::new() }
    }

    /// Gives the isolator's reference back, and the lock. (A late lookup may hold a reference for a
    /// moment: then it is he who frees the folio.)
    pub fn unlock_and_put(&mut self, lock: FolioLock<'c>) {
        let (core, frame) = (self.core, lock.frame);
        let folio = core.folio(frame);
        let order = folio.order();
        let is_free = call(|| match lock.unlock_and_put() {
            Put::Last => {
                core.retire(frame);
                true
            }
            others => {
                core.after_put(folio, others);
                false
            }
        });
        self.folios.push(Released { frame, order, is_free });
    }

    /// A folio that was isolated, and is frozen: nobody has a reference. How many frames it has.
    pub fn push_frozen(&mut self, frame: FrameNo) -> u32 {
        let order = call(|| self.core.retire(frame));
        self.folios.push(Released { frame, order, is_free: true });
        pages(order)
    }
}

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        let core = self.core;
        for folios in self.folios.chunk_by(|a, b| core.node_of(a.frame).has(b.frame)) {
            let node = core.node_of(folios[0].frame);
            node.counters.nr_isolated.sub(folios.iter().map(|folio| pages(folio.order)).sum());
            let free = folios.iter().filter(|folio| folio.is_free);
            node.free_all(free.map(|folio| (folio.frame, folio.order)));
        }
    }
}

/// The slots of the file that was changed last: locked from one page to the next.
#[derive(Debug, Default)]
pub(crate) struct Open<'c>(Option<(&'c Mapping, Slots<'c>)>);

impl<'c> Open<'c> {
    /// Those of this file, and of no other any more.
    pub fn slots(&mut self, mapping: &'c Mapping) -> &mut Slots<'c> {
        let open = self.0.take().filter(|(open, _)| std::ptr::eq(*open, mapping));
        &mut self.0.insert(open.unwrap_or_else(|| (mapping, mapping.pages.lock()))).1
    }

    /// Before anything else is done than to change the next page's slot.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::folio::Use;

    #[test]
    fn what_was_taken_for_many_and_not_used_goes_back() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let node = &core.nodes[0];
        let all = node.nr_free_pages();
        let mut room = Room::new(&core, node, all - 10, 64);
        assert_eq!(node.nr_free_pages(), all - 10);
        let taken: Vec<_> = (0..10).map(|_| room.alloc(0, &[]).unwrap()).collect();
        // Neighbours, in their order: copies run from one into the next.
        let first = taken[0].folio.frame;
        assert!((0..).zip(&taken).all(|(at, fresh)| fresh.folio.frame == first.add(at)));
        assert!(room.alloc(0, &[]).is_none(), "as many are to stay free");
        drop(taken);
        drop(room);
        drop(Room::new(&core, node, 0, 64));
        assert_eq!(node.nr_free_pages(), all);
    }

    #[test]
    fn room_on_a_node_that_has_gone_out_of_use_is_none() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let node = &core.nodes[0];
        let mut room = Room::new(&core, node, 0, 2);
        node.set_offline(true);
        assert!(room.alloc(0, &[]).is_none());
        drop(room);
        assert_eq!(node.nr_free_pages(), node.frames);
    }

    #[test]
    fn emptied_folios_are_free_at_the_end_and_one_that_is_held_when_its_holder_lets_go() {
        let nodes = [NodeOptions::new(64 << 20), NodeOptions::new(64 << 20)];
        let core = assemble(&nodes, false).unwrap();
        let free = || [0, 1].map(|node| core.nodes[node].nr_free_pages());
        let isolated = || [0, 1].map(|node| core.nodes[node].counters.nr_isolated.get());
        let all = free();
        // Single pages of both nodes, and a large folio; all of them isolated.
        let fresh: Vec<_> = [(0, 0), (0, 0), (1, 0), (1, 2)]
            .map(|(node, order)| core.alloc_on(&core.nodes[node], order, 0, &[]).unwrap())
            .into_iter()
            .collect();
        let frames: Vec<_> = fresh.iter().map(|fresh| fresh.folio.frame).collect();
        let (first, second) = frames.split_at(2);
        for frames in [first, second] {
            let lru = core.lru_of(frames[0]);
            lru.add_all(Use::Counts, &core.folios, frames.iter().copied());
            assert_eq!(core.isolate(frames), [true, true]);
            assert_eq!(core.isolate(frames), [false, false], "they are isolated already");
        }
        assert_eq!(isolated(), [2, 5]);
        let mut emptied = Emptied::new(&core);
        let mut holder = None;
        for fresh in fresh {
            let (lock, folio) = fresh.open();
            if folio.frame == frames[1] {
                holder = Some(folio);
            } else {
                drop(folio); // The isolator's reference is left.
            }
            emptied.unlock_and_put(lock);
        }
        assert_eq!(free(), [all[0] - 2, all[1] - 5]);
        drop(emptied);
        assert_eq!((free(), isolated()), ([all[0] - 1, all[1]], [0, 0]));
        drop(holder);
        assert_eq!(free(), all);
    }
}
