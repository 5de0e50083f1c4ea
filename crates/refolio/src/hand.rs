//! Frames in hand: taken from a node, and given back to it, many under one lock.
//!
//! Threads that move or evict pages meet at the locks of a node. Who does many pages takes each of them
//! once for all, not once a page; what he has in hand meanwhile is nobody else's, and free to nobody.

use crate::core::{Core, FolioLock, Fresh};
use crate::folio::state::{Flag, Put};
use crate::node::Node;
use crate::sync::call;
use crate::units::FrameNo;

/// Free frames of a node, for single pages that come there. What is not used goes back.
#[derive(Debug)]
pub(crate) struct Room<'c> {
    core: &'c Core,
    node: &'c Node,
    /// Frames to leave free there.
    keep: u32,
    frames: Vec<FrameNo>,
}

impl<'c> Room<'c> {
    /// Takes as many frames as that, or as there are.
    pub fn new(core: &'c Core, node: &'c Node, keep: u32, frames: usize) -> Self {
        let frames = if frames > 1 { node.alloc_many(frames, keep) } else { Vec::new() };
        Self { core, node, keep, frames }
    }

    /// A new folio; None when there is no room for it.
    pub fn alloc(&mut self, order: u32, flags: &[Flag]) -> Option<Fresh<'c>> {
        if order > 0 || self.frames.is_empty() {
            return self.core.alloc_on(self.node, order, self.keep, flags);
        }
        if self.node.is_offline() {
            return None;
        }
        Some(self.core.claim(self.node, self.frames.pop()?, 0, flags))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if !self.frames.is_empty() {
            self.node.free_all(self.frames.drain(..).map(|frame| (frame, 0)));
        }
    }
}

/// Folios without a reference, whose frames go back to their nodes together.
#[derive(Debug)]
pub(crate) struct Freed<'c> {
    core: &'c Core,
    folios: Vec<(FrameNo, u32)>,
}

impl<'c> Freed<'c> {
    /// None yet.
    pub fn new(core: &'c Core) -> Self {
        Self { core, folios: Vec::new() }
    }

    /// A folio that nobody has a reference to.
    pub fn push(&mut self, frame: FrameNo) {
        let order = call(|| self.core.retire(frame));
        self.folios.push((frame, order));
    }

    /// Gives a lock back, and with it a reference: as a rule the last one.
    pub fn unlock_and_put(&mut self, lock: FolioLock<'c>) {
        let frame = lock.frame;
        let was_last = call(|| match lock.unlock_and_put() {
            Put::Last => true,
            others => {
                self.core.after_put(self.core.folio(frame), others);
                false
            }
        });
        if was_last {
            self.push(frame);
        }
    }
}

impl Drop for Freed<'_> {
    fn drop(&mut self) {
        let core = self.core;
        let same_node = |a: &(FrameNo, u32), b: &(FrameNo, u32)| core.node_of(a.0).has(b.0);
        for folios in self.folios.chunk_by(same_node) {
            core.node_of(folios[0].0).free_all(folios.iter().copied());
        }
    }
}
