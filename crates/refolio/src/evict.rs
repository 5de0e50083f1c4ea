//! Cached → gone: pages of files leave the cache, clean, and come back from their store.
//!
//! ```text
//! isolate   off the LRU, +1 reference                        undo: put back
//! lock      is it still the page, clean, not under writeback? undo: unlock
//! unmap     every table entry becomes empty                  (they fault it in again)
//! freeze    from isolation + pages + private: nobody else holds it
//! store     the shadow; the folio leaves its file, for good
//! free
//! ```
//! Many at a time: the locks that others need, too (the lists, the file, the free frames), are taken once
//! for all.

use crate::core::{Core, FolioLock};
use crate::folio::state::{Flag, Freeze};
use crate::hand::{Emptied, Open};
use crate::mapping::Mapping;
use crate::place::Place;
use crate::shadow::Shadow;
use crate::sync::{Arc, broken, call};
use crate::units::{FrameNo, PageIndex};
use crate::writeback::{self, Patience};

/// A folio of a file that is to be evicted, if it is `frame` still.
pub(crate) struct Leaving {
    pub mapping: Arc<Mapping>,
    pub index: PageIndex,
    pub frame: FrameNo,
}

/// Which page it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Leaving {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.mapping.id, self.index, self.frame).hash(state);
    }
}

/// Dirty pages around a dirty victim that are written with it.
const WRITE_AROUND: u64 = if cfg!(refolio_model) { 2 } else { 256 };

/// Folios that are evicted together.
const TOGETHER: usize = 128;

/// Evicts pages of files from where they are known; how many went.
pub(crate) fn places(core: &Core, places: &[Place<'_>]) -> u64 {
    let evict = |places: &[Place<'_>]| {
        let leaving = places.iter().filter_map(|place| match (place, place.folio()) {
            (Place::File(mapping, index), Some(frame)) => {
                Some(Leaving { mapping: Arc::clone(mapping), index: *index, frame })
            }
            _ => None,
        });
        u64::from(all(core, &leaving.collect::<Vec<_>>()))
    };
    places.chunks(TOGETHER).map(evict).sum()
}

/// Evicts folios; how many frames that freed. Dirty ones are written back first, with those
/// around them.
pub(crate) fn all(core: &Core, leaving: &[Leaving]) -> u32 {
    let clean: Vec<_> = leaving.iter().filter(|page| call(|| is_clean(core, page))).collect();
    let frames: Vec<_> = clean.iter().map(|page| page.frame).collect();
    let isolated = core.isolate(&frames);
    let mut emptied = Emptied::new(core);
    let mut open = Open::default();
    let (mut left, mut stay, mut freed) = (Vec::new(), Vec::new(), 0);
    for page in clean.into_iter().zip(isolated).filter_map(|(page, is)| is.then_some(page)) {
        if let Some(shadow) = call(|| try_evict(core, page, &mut open)) {
            left.push(shadow);
            freed += emptied.push_frozen(page.frame);
        } else {
            stay.push(page.frame);
        }
    }
    drop(open);
    stay.into_iter().for_each(|frame| call(|| put_back(core, frame)));
    core.shadows.keep(left);
    freed
}

/// Whether a folio is with its store already, or is now.
fn is_clean(core: &Core, page: &Leaving) -> bool {
    if core.folio(page.frame).state.has(Flag::DIRTY) {
        let around = page.index.0..page.index.0.saturating_add(WRITE_AROUND);
        // A failure is recorded for `sync`; the page stays dirty, and here.
        if let Err(error) = writeback::write_range(core, &page.mapping, around, Patience::Skip) {
            tracing::warn!(%error, "writeback of a page that was to be evicted");
            return false;
        }
    }
    true
}

/// What was isolated and could not go, on its list again.
fn put_back(core: &Core, frame: FrameNo) {
    let size = core.folio(frame).pages();
    if !broken("evict-forgets-list") {
        core.lru_of(frame).add(&core.folios, frame);
    }
    core.node_of(frame).counters.nr_isolated.sub(size);
    core.put(frame);
}

/// From lock to store; afterwards the folio is frozen, and of no file.
#[doc(alias = "__remove_mapping")]
fn try_evict<'p>(core: &Core, page: &'p Leaving, open: &mut Open<'p>) -> Option<Shadow> {
    let Leaving { mapping, frame, .. } = page;
    let folio = core.folio(*frame);
    if !folio.state.try_lock() && !broken("evict-skips-lock") {
        return None;
    }
    let _lock = FolioLock { core, frame: *frame };
    let identity = folio.identity().filter(|id| id.mapping() == mapping.id)?;
    // Numbers are used again: it may be of another file that has this one's now.
    if mapping.peek(identity.index()).is_none_or(|(there, _)| there != *frame) {
        return None;
    }
    let state = folio.state.flags();
    let busy = state.has(Flag::WRITEBACK) && !broken("writeback-unprotected")
        || state.has(Flag::DIRTY) && !broken("evict-drops-dirty");
    // A page that was marked as not to be trusted must not come back from the store, trusted.
    if busy || !state.has(Flag::UPTODATE) {
        return None;
    }
    if folio.mapped() > 0 && !broken("evict-skips-unmap") {
        open.close(); // Tables are looked into first, then files are locked.
        core.tables.unmap(&core.folios, *frame);
    }
    let slots = open.slots(mapping);
    let expected = 1 + folio.expected_references();
    if folio.state.freeze(expected) != Freeze::Frozen {
        return None;
    }
    let shadow = core.shadows.leave(mapping, identity.index(), folio.pages());
    let stored = slots.store(identity.index().0, folio.order(), shadow.entry);
    debug_assert!(stored.is_ok(), "an entry is exchanged for one of its own order");
    folio.clear_identity();
    folio.state.test_and_clear(Flag::PRIVATE);
    mapping.nr_pages.sub(folio.pages());
    core.node_of(*frame).counters.nr_file_pages.sub(folio.pages());
    Some(shadow)
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::error::Error;
    use crate::folio::Use;
    use crate::store::MemStore;
    use crate::units::PAGE_SIZE;
    use crate::{fault, write};

    /// A file of as many pages, on the first of two nodes.
    fn cached(core: &Core, store: &Arc<MemStore>, pages: u64) -> (Arc<Mapping>, Vec<Leaving>) {
        let store = store.clone();
        let new =
            |id| Ok::<_, Box<Error>>(Mapping::new(id, store, pages * PAGE_SIZE as u64, 0, None));
        let mapping = core.mappings.open(None, new).unwrap();
        let leaving = (0..pages).map(PageIndex).map(|index| {
            let frame = fault::page(core, &mapping, index).unwrap().0.frame;
            Leaving { mapping: mapping.clone(), index, frame }
        });
        let leaving = leaving.collect();
        (mapping, leaving)
    }

    #[test]
    fn a_dirty_page_goes_when_it_is_with_its_store_and_so_are_those_around_it() {
        let nodes = [NodeOptions::new(1 << 20), NodeOptions::new(1 << 20)];
        let core = assemble(&nodes, false).unwrap();
        let store = Arc::new(MemStore::with_bytes(vec![1; 3 * PAGE_SIZE]));
        let (mapping, leaving) = cached(&core, &store, 3);
        for index in 1..3 {
            let offset = index * PAGE_SIZE as u64;
            write::to_file(&core, &mapping, Use::Counts, &[9], offset).unwrap();
        }
        assert_eq!(all(&core, &leaving[1..2]), 1);
        let bytes = store.bytes();
        assert_eq!((bytes[PAGE_SIZE], bytes[2 * PAGE_SIZE]), (9, 9));
        assert!(!core.folio(leaving[2].frame).state.has(Flag::DIRTY));
    }

    #[test]
    fn one_that_is_held_stays_on_its_list_and_the_others_go() {
        let nodes = [NodeOptions::new(1 << 20), NodeOptions::new(1 << 20)];
        let core = assemble(&nodes, false).unwrap();
        let store = Arc::new(MemStore::with_bytes(vec![1; 4 * PAGE_SIZE]));
        let (mapping, leaving) = cached(&core, &store, 4);
        let free = core.nodes[0].nr_free_pages();
        let held = fault::page(&core, &mapping, PageIndex(2)).unwrap().0;
        assert_eq!(all(&core, &leaving), 3);
        assert_eq!(core.nodes[0].nr_free_pages(), free + 3);
        assert_eq!(core.nodes[0].counters.nr_isolated.get(), 0);
        assert!(held.folio().state.has(Flag::ON_LRU));
        assert_eq!(mapping.nr_pages.get(), 1);
        drop(held);
        assert_eq!(all(&core, &leaving), 1, "those that went are not taken for others");
    }
}
