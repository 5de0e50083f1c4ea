//! Cold → lower, or gone: frames are made free where none are.
//!
//! Victims come from the cold end of the node's LRU. Each is moved to the next lower node that has
//! room, and a page that is merely passing (see `lru.rs`) has none made there. Only where there is none
//! it is evicted: written back if it is dirty, unmapped, frozen, and replaced by a shadow in its slot.
//! Anonymous pages have nowhere else to go and only move.

use crate::core::{Core, Fresh};
use crate::error::{Error, Result};
use crate::evict::{self, Leaving};
use crate::folio::Folio;
use crate::folio::state::Flag;
use crate::lru::Victim;
use crate::node::Node;
use crate::passes;
use crate::place::Place;
use crate::sync::call;
use crate::units::{BLOCK, FrameNo, pages};
use refolio_xarray::Entry;
use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

/// Victims that are taken from a list at a time, at least.
#[doc(alias = "SWAP_CLUSTER_MAX")]
const BATCH: usize = if cfg!(refolio_model) { 2 } else { 32 };

/// And at most, where more frames are missing. (Pages that were read in together lie together on the
/// list, and in memory: they are to go together.)
const MAX_BATCH: usize = if cfg!(refolio_model) { 2 } else { 128 };

/// A new folio on the fastest node that has room; room is made where there is none.
///
/// # Errors
/// [`Error::NoMemory`] when every frame is in use and none could be freed.
#[doc(alias = "folio_alloc")]
pub(crate) fn alloc<'c>(core: &'c Core, order: u32, flags: &[Flag]) -> Result<Fresh<'c>> {
    let mut round = 0;
    loop {
        if let Some(fresh) = try_alloc(core, order, flags) {
            return Ok(fresh);
        }
        round += 1;
        // Who asks for a large folio takes single pages where there is none: no need to wait.
        if order > 0 || round >= rounds(core) {
            break;
        }
        std::thread::sleep(PAUSE * (1 << round.min(8)));
    }
    // The last frames are for whoever cannot go on without them.
    if order == 0
        && let Some(last) = core.nodes.iter().find_map(|node| core.alloc_on(node, 0, 0, flags))
    {
        return Ok(last);
    }
    let stuck = core.nodes.iter().map(|node| node.counters.nr_dirty.get()).sum::<u64>() > 0;
    let why = if stuck {
        "what is in the nodes is pinned, anonymous, or dirty and cannot be written"
    } else {
        "everything in the nodes is pinned or anonymous"
    };
    Err(Error::NoMemory { order, why }.into())
}

/// A new folio, if that takes no waiting.
pub(crate) fn alloc_now<'c>(
    core: &'c Core,
    order: u32,
    spare: &mut Spare<'c>,
) -> Option<Fresh<'c>> {
    if order > 0
        && let Some(fresh) = try_alloc(core, order, &[])
    {
        return Some(fresh);
    }
    spare.take(core)
}

/// Frames that lie together, taken from a node for pages that are read in, or written, together: a
/// device does better with one large piece of memory than with many small ones.
#[derive(Debug)]
#[cfg_attr(refolio_explore, derive(Hash))]
pub(crate) struct Spare<'c> {
    /// Pages that are still to come.
    wanted: usize,
    frames: Range<u32>,
    node: Option<&'c Node>,
}

impl<'c> Spare<'c> {
    /// For so many pages.
    pub fn new(wanted: usize) -> Self {
        Self { wanted, frames: 0..0, node: None }
    }

    /// So many pages are still to come.
    pub fn want(&mut self, wanted: usize) {
        self.wanted = wanted;
    }

    /// A new folio of a single page, if that takes no waiting.
    pub fn take(&mut self, core: &'c Core) -> Option<Fresh<'c>> {
        if self.node.is_some_and(Node::is_offline) {
            self.give_back();
        }
        let (node, frame) = self.next().or_else(|| {
            let wanted = self.wanted.clamp(1, BLOCK as usize) as u32;
            let most = |node: &Node| wanted.min((node.frames / BLOCK_PART).max(1));
            // Room for two of them, so that one is whole.
            let room = |node: &Node| (2 * most(node)).max(BATCH as u32);
            let run = |node: &'c Node| Some((node, node.alloc_run(most(node), node.marks.min)?));
            let (node, frames) = call(|| find(core, 0, room, run))?;
            (self.node, self.frames) = (Some(node), frames);
            self.next()
        })?;
        self.wanted = self.wanted.saturating_sub(1);
        Some(core.claim(node, frame, 0, &[]))
    }

    fn next(&mut self) -> Option<(&'c Node, FrameNo)> {
        Some((self.node?, FrameNo(self.frames.next()?)))
    }

    /// Gives back what was not used: before anything is waited for.
    pub fn give_back(&mut self) {
        let frames = std::mem::take(&mut self.frames);
        if let Some(node) = self.node.take().filter(|_| !frames.is_empty()) {
            node.free_all(frames.map(|frame| (FrameNo(frame), 0)));
        }
    }
}

impl Drop for Spare<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The part of a node that may be taken together.
const BLOCK_PART: u32 = 128;

/// Goes through the nodes once, and makes room on each that has none.
fn try_alloc<'c>(core: &'c Core, order: u32, flags: &[Flag]) -> Option<Fresh<'c>> {
    let wanted = |_: &Node| pages(order).max(BATCH as u32);
    find(core, order, wanted, |node| core.alloc_on(node, order, node.marks.min, flags))
}

/// Asks one node after the other, and makes room for so many pages on each that has none.
fn find<'c, T>(
    core: &'c Core,
    order: u32,
    wanted: impl Fn(&Node) -> u32,
    alloc: impl Fn(&'c Node) -> Option<T>,
) -> Option<T> {
    core.nodes.iter().find_map(|node| {
        if let Some(found) = alloc(node) {
            if node.nr_free_pages() < node.marks.low {
                core.bell.ask_for_reclaim();
            }
            return Some(found);
        }
        let made = !node.is_offline() && make_room(core, node, order, wanted(node));
        made.then(|| alloc(node)).flatten()
    })
}

/// Makes room if there is none, for whoever is about to take a lock under which reclaim could not
/// write his file back.
pub(crate) fn have_room(core: &Core) {
    // The node that `alloc` asks first: found full, it would be reclaimed in vain.
    if let Some(node) = core.nodes.iter().find(|node| !node.is_offline())
        && node.nr_free_pages() <= node.marks.min + 1
    {
        make_room(core, node, 0, BATCH as u32);
    }
}

/// How often allocation goes through the nodes: pages that are in use for a moment (filled, moved,
/// of a file whose length is being changed) are not any more the next time. 13 ms in all; but those
/// that are on their way to a store, or to another node, are given 0.4 s.
fn rounds(core: &Core) -> u32 {
    let counters = || core.nodes.iter().map(|node| &node.counters);
    let in_flight = counters().any(|of| of.nr_writeback.get() > 0 || of.nr_isolated.get() > 0);
    if cfg!(refolio_model) {
        1
    } else if in_flight {
        64
    } else {
        9
    }
}

/// Half of the time before the second round; before the others it is twice as long each, up to 6
/// ms.
#[doc(alias = "reclaim_throttle")]
const PAUSE: Duration = Duration::from_micros(25);

/// Frees frames of a node until a folio of `order` fits and `wanted` frames above the minimum are
/// free; whether it fits now.
#[doc(alias = "try_to_free_pages")]
pub(crate) fn make_room(core: &Core, node: &Node, order: u32, wanted: u32) -> bool {
    let target = (node.marks.min + wanted).min(node.frames);
    shrink(core, node, target);
    // Free frames of a large folio must lie together, too. Evicting until they do would empty the
    // node: the caller falls back to single pages.
    node.fits(order, 0)
}

/// Frees frames of a node until `target` are free, or nothing more can be done; how many were.
#[doc(alias = "shrink_node")]
pub(crate) fn shrink(core: &Core, node: &Node, target: u32) -> u64 {
    let lru = &core.lrus[node.id.0 as usize];
    let mut freed = 0;
    let mut fruitless = 0;
    // What cannot go must not hide what can: pinned pages, and anonymous ones when no node below
    // has room for them.
    let anonymous = Cell::new(true);
    let can_go = |folio: &Folio| {
        let state = folio.state.load();
        state.references() <= folio.expected_references()
            && (anonymous.get() || !state.has(Flag::ANON))
    };
    while node.nr_free_pages() < target && fruitless < 4 {
        let limit = (node.frames as usize / 4).max(BATCH * 8);
        let missing = target.saturating_sub(node.nr_free_pages()) as usize;
        let count = missing.clamp(BATCH, MAX_BATCH);
        let (cold, scanned) =
            call(|| lru.coldest(&core.folios, count, limit, fruitless > 0, can_go));
        core.events.pgscan.add(scanned as u32);
        let before = freed;
        let mut leaving = Vec::new();
        for victim in cold {
            match call(|| demote(core, node, victim)) {
                Demoted::Went(pages) => freed += u64::from(pages),
                Demoted::Leaves(page) => leaving.push(page),
                Demoted::Homeless => anonymous.set(false),
                Demoted::Gone => {}
            }
        }
        freed += u64::from(call(|| evict::all(core, &leaving)));
        fruitless = if freed == before { fruitless + 1 } else { 0 };
    }
    core.events.pgsteal.add(freed as u32);
    freed
}

/// What became of a victim.
#[cfg_attr(refolio_explore, derive(Hash))]
enum Demoted {
    /// Down, with so many pages.
    Went(u32),
    /// No node below has room for it: it is to be evicted.
    Leaves(Leaving),
    /// The same, but it has no store to come back from.
    Homeless,
    Gone,
}

/// Moves one folio down, if a node below has room for it.
fn demote(core: &Core, node: &Node, victim: Victim) -> Demoted {
    let Victim { frame, passing } = victim;
    let size = core.folio(frame).pages();
    let Some(place) = place_of(core, frame) else { return Demoted::Gone };
    let lower = core.nodes.iter().filter(|other| other.id > node.id && !other.is_offline());
    for other in lower {
        if other.nr_free_pages() < other.marks.low + size {
            if passing {
                continue;
            }
            // One step further down first: this node's cold pages are warmer than that one's.
            let room = (other.marks.low + size + BATCH as u32).min(other.frames);
            shrink(core, other, room);
        }
        if passes::demote(core, &place, other) {
            core.events.pgdemote.add(size);
            return Demoted::Went(size);
        }
    }
    match place {
        Place::File(mapping, index) => {
            Demoted::Leaves(Leaving { mapping: mapping.into_owned(), index, frame })
        }
        Place::Table(..) if core.folio(frame).state.has(Flag::ANON) => Demoted::Homeless,
        Place::Table(..) => Demoted::Gone,
    }
}

/// Where a folio is known, if it still is.
pub(crate) fn place_of(core: &Core, frame: FrameNo) -> Option<Place<'static>> {
    match core.folio(frame).identity() {
        Some(identity) => {
            let mapping = core.mappings.get(identity.mapping())?;
            Some(Place::File(Cow::Owned(mapping), identity.index()))
        }
        None => {
            let site = core.tables.rmap.first(frame)?;
            let mut at = (0..core.folio(frame).pages()).map(|page| site.at(page));
            let at =
                at.find(|at| site.table.load(*at).mapped().is_some_and(|m| m.folio == frame))?;
            Some(Place::Table(Cow::Owned(site.table), at))
        }
    }
}

/// Whether a page whose shadow was found belongs to the working set.
pub(crate) fn is_refault(core: &Core, shadow: Entry) -> bool {
    let frames = core.nodes.iter().map(|node| u64::from(node.frames)).sum::<u64>();
    shadow.is_value() && core.shadows.distance(shadow) <= frames
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};

    #[test]
    fn what_is_taken_together_lies_together_and_goes_back_when_it_is_not_used() {
        let nodes = [NodeOptions::new(64 << 20), NodeOptions::new(64 << 20)];
        let core = assemble(&nodes, false).unwrap();
        let free = || core.nodes.iter().map(Node::nr_free_pages).collect::<Vec<_>>();
        // Every other one of these is free again: there are single frames, too.
        let others: Vec<_> = (0..100).map(|_| alloc(&core, 0, &[]).unwrap()).collect();
        let _kept: Vec<_> = others.into_iter().step_by(2).collect();
        let all = free();
        let mut spare = Spare::new(100);
        let taken: Vec<_> = (0..70).map(|_| spare.take(&core).unwrap()).collect();
        let frames: Vec<_> = taken.iter().map(|fresh| fresh.folio.frame.0).collect();
        assert_eq!(frames[..64], (frames[0]..frames[0] + 64).collect::<Vec<_>>());
        // 36 more were wanted: as many as a block has are in hand.
        assert_eq!(all[0] - free()[0], 64 + 32);
        spare.give_back();
        assert_eq!(all[0] - free()[0], 70);
        drop((taken, spare));
        assert_eq!(free(), all);
    }

    #[test]
    fn a_node_that_goes_out_of_use_gets_its_spare_frames_back() {
        let nodes = [NodeOptions::new(64 << 20), NodeOptions::new(64 << 20)];
        let core = assemble(&nodes, false).unwrap();
        let mut spare = Spare::new(64);
        let first = spare.take(&core).unwrap().folio.frame;
        assert!(core.nodes[0].has(first));
        core.nodes[0].set_offline(true);
        let second = spare.take(&core).unwrap();
        assert!(core.nodes[1].has(second.folio.frame));
        assert_eq!(core.nodes[0].nr_free_pages(), core.nodes[0].frames);
    }
}
