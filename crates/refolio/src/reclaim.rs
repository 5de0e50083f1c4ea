//! Cold → lower, or gone: frames are made free where none are.
//!
//! Victims come from the cold end of the node's LRU. Each is moved to the next lower node that has
//! room; only where there is none it is evicted: written back if it is dirty, unmapped, frozen,
//! and replaced by a shadow in its slot. Anonymous pages have nowhere else to go and only move.
//!
//! One eviction:
//! ```text
//! isolate   off the LRU, +1 reference                        undo: put back
//! lock      is it still the page, clean, not under writeback? undo: unlock
//! unmap     every table entry becomes empty                  (they fault it in again)
//! freeze    from isolation + pages + private: nobody else holds it
//! store     the shadow; the folio leaves its file, for good
//! free
//! ```

use crate::core::{Core, FolioLock, Fresh};
use crate::error::{Error, Result};
use crate::folio::Folio;
use crate::folio::state::{Flag, Freeze};
use crate::mapping::Mapping;
use crate::node::Node;
use crate::passes;
use crate::place::Place;
use crate::sync::{Arc, broken};
use crate::units::{FrameNo, PageIndex, pages};
use crate::writeback::{self, Patience};
use refolio_xarray::Entry;
use std::cell::Cell;
use std::time::Duration;

/// Victims that are taken from a list at a time.
#[doc(alias = "SWAP_CLUSTER_MAX")]
const BATCH: usize = if cfg!(refolio_model) { 2 } else { 32 };

/// Dirty pages around a dirty victim that are written with it.
const WRITE_AROUND: u64 = if cfg!(refolio_model) { 2 } else { 256 };

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
    Err(Error::NoMemory { order, why })
}

/// A new folio, if that takes no waiting.
pub(crate) fn alloc_now(core: &Core, order: u32) -> Option<Fresh<'_>> {
    let fresh = try_alloc(core, order, &[]);
    if order > 0 { fresh.or_else(|| try_alloc(core, 0, &[])) } else { fresh }
}

/// Goes through the nodes once, and makes room on each that has none.
fn try_alloc<'c>(core: &'c Core, order: u32, flags: &[Flag]) -> Option<Fresh<'c>> {
    core.nodes.iter().find_map(|node| {
        if let Some(fresh) = core.alloc_on(node, order, node.marks.min, flags) {
            if node.nr_free_pages() < node.marks.low {
                core.bell.ask_for_reclaim();
            }
            return Some(fresh);
        }
        let made =
            !node.is_offline() && make_room(core, node, order, pages(order).max(BATCH as u32));
        made.then(|| core.alloc_on(node, order, node.marks.min, flags)).flatten()
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
        let (cold, scanned) = lru.coldest(&core.folios, BATCH, limit, fruitless > 0, can_go);
        core.events.pgscan.add(scanned as u32);
        let before = freed;
        for frame in cold {
            let went = discard(core, node, frame);
            if went == 0 && core.folio(frame).state.has(Flag::ANON) {
                anonymous.set(false);
            }
            freed += u64::from(went);
        }
        fruitless = if freed == before { fruitless + 1 } else { 0 };
    }
    core.events.pgsteal.add(freed as u32);
    freed
}

/// Moves one folio down, or evicts it; how many frames of its node that freed.
fn discard(core: &Core, node: &Node, frame: FrameNo) -> u32 {
    let size = core.folio(frame).pages();
    let Some(place) = place_of(core, frame) else { return 0 };
    let lower = core.nodes.iter().filter(|other| other.id > node.id && !other.is_offline());
    for other in lower {
        if other.nr_free_pages() < other.marks.low + size {
            // One step further down first: this node's cold pages are warmer than that one's.
            let room = (other.marks.low + size + BATCH as u32).min(other.frames);
            shrink(core, other, room);
        }
        if passes::demote(core, &place, other) {
            core.events.pgdemote.add(size);
            return size;
        }
    }
    match place {
        Place::File(mapping, index) => evict(core, &mapping, index, frame),
        Place::Table(..) => 0,
    }
}

/// Where a folio is known, if it still is.
pub(crate) fn place_of(core: &Core, frame: FrameNo) -> Option<Place> {
    match core.folio(frame).identity() {
        Some(identity) => {
            Some(Place::File(core.mappings.get(identity.mapping())?, identity.index()))
        }
        None => {
            let site = core.tables.rmap.first(frame)?;
            let mut at = (0..core.folio(frame).pages()).map(|page| site.at(page));
            let at =
                at.find(|at| site.table.load(*at).mapped().is_some_and(|m| m.folio == frame))?;
            Some(Place::Table(site.table, at))
        }
    }
}

/// Evicts one folio of a file, if it is `frame`; how many frames that freed. A dirty one is written
/// back first, with those around it.
pub(crate) fn evict(core: &Core, mapping: &Arc<Mapping>, index: PageIndex, frame: FrameNo) -> u32 {
    if core.folio(frame).state.has(Flag::DIRTY) {
        let around = index.0..index.0.saturating_add(WRITE_AROUND);
        // A failure is recorded for `sync`; the page stays dirty, and here.
        if let Err(error) = writeback::write_range(core, mapping, around, Patience::Skip) {
            tracing::warn!(%error, "writeback of a page that was to be evicted");
            return 0;
        }
    }
    if !core.lru_of(frame).isolate(&core.folios, frame) {
        return 0;
    }
    let node = core.node_of(frame);
    let size = core.folio(frame).pages();
    node.counters.nr_isolated.add(size);
    let evicted = try_evict(core, mapping, frame);
    node.counters.nr_isolated.sub(size);
    if evicted {
        core.free(frame);
        return size;
    }
    if !broken("evict-forgets-list") {
        core.lru_of(frame).add(&core.folios, frame);
    }
    core.put(frame);
    0
}

/// From lock to store; afterwards the folio is frozen, and of no file.
#[doc(alias = "__remove_mapping")]
fn try_evict(core: &Core, mapping: &Arc<Mapping>, frame: FrameNo) -> bool {
    let folio = core.folio(frame);
    if !folio.state.try_lock() && !broken("evict-skips-lock") {
        return false;
    }
    let _lock = FolioLock { core, frame };
    let Some(identity) = folio.identity().filter(|id| id.mapping() == mapping.id) else {
        return false;
    };
    // Numbers are used again: it may be of another file that has this one's now.
    if mapping.peek(identity.index()).is_none_or(|(there, _)| there != frame) {
        return false;
    }
    let state = folio.state.flags();
    let busy = state.has(Flag::WRITEBACK) && !broken("writeback-unprotected")
        || state.has(Flag::DIRTY) && !broken("evict-drops-dirty");
    // A page that was marked as not to be trusted must not come back from the store, trusted.
    if busy || !state.has(Flag::UPTODATE) || state.has(Flag::POISONED) {
        return false;
    }
    if !broken("evict-skips-unmap") {
        core.tables.unmap(&core.folios, frame);
    }
    let mut slots = mapping.pages.lock();
    let expected = 1 + folio.expected_references();
    if folio.state.freeze(expected) != Freeze::Frozen {
        return false;
    }
    let shadow = core.shadows.leave(folio.pages());
    let stored = slots.store(identity.index().0, folio.order(), shadow);
    debug_assert!(stored.is_ok(), "an entry is exchanged for one of its own order");
    folio.clear_identity();
    folio.state.test_and_clear(Flag::PRIVATE);
    drop(slots);
    let node = core.node_of(frame);
    mapping.nr_pages.sub(folio.pages());
    node.counters.nr_file_pages.sub(folio.pages());
    core.shadows.keep(mapping, identity.index(), shadow);
    true
}

/// Whether a page whose shadow was found belongs to the working set.
pub(crate) fn is_refault(core: &Core, shadow: Entry) -> bool {
    let frames = core.nodes.iter().map(|node| u64::from(node.frames)).sum::<u64>();
    shadow.is_value() && core.shadows.distance(shadow) <= frames
}
