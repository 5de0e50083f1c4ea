//! New → dirty: pages that are not cached are overwritten whole, and so need not be read in.
//!
//! ```text
//! alloc     folios, locked, not up to date: a large one, or single pages
//! insert    i_pages lock: into their slots, as far as those are vacant      undo: free
//! bytes     all of them
//! dirty     flags and counter; the marks together
//! show      up to date; on the LRU together; unlock each, which wakes whoever waited for the bytes
//! ```
//! Others find the pages from `insert` on and wait for their locks (without a reference). Nothing is
//! waited for from there on, and nothing fails.
//!
//! **Many at a time**, since each lock is taken once for all then, and since nothing stands between the
//! bytes of one page and those of the next. A locked instruction does: it waits for the stores before it,
//! and those for memory that no cache holds, as that of new pages mostly is.

use super::{Core, Mapping};
use crate::core::Fresh;
use crate::error::Result;
use crate::fill;
use crate::folio::Use;
use crate::reclaim::{self, Spare};
use crate::sync::{Arc, broken};
use crate::units::{PAGE_SIZE, PageIndex, folio_bytes};
use crate::writeback;

/// Single pages that are written together at most: 16.
pub(super) const RUN_BYTES: usize = PAGE_SIZE * if cfg!(refolio_model) { 2 } else { 16 };

/// Where new folios of a write come from, and whether they are merely passing.
pub(super) struct Supply<'c> {
    pub spare: Spare<'c>,
    pub uses: Use,
}

/// Writes a whole new folio, of `order` or, where there is no room for that, of one page; and more single
/// pages behind that one, where the file is made of such. How many bytes; None when somebody else has
/// put page `index` there meanwhile. All of it lies within the reach of the file, whose resize lock the
/// caller has.
///
/// # Errors
/// As [`reclaim::alloc`].
pub(super) fn write<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
    order: u32,
    from: &[u8],
    supply: &mut Supply<'c>,
) -> Result<Option<usize>> {
    let mut run = alloc(core, mapping, index, order, from.len() / PAGE_SIZE, supply)?;
    fill::place_run(core, mapping, &mut run, index);
    if broken("uptodate-before-bytes") {
        run.iter().for_each(|fresh| fresh.folio.folio().state.mark_uptodate());
    }
    let mut done = 0;
    for Fresh { folio } in &run {
        let bytes = &from[done..][..folio_bytes(folio.folio().order())];
        core.frames.write(folio.frame, 0, bytes);
        done += bytes.len();
    }
    writeback::mark_all_dirty(core, mapping, run.iter().map(|fresh| fresh.folio.frame));
    fill::show_run(core, run, supply.uses);
    Ok((done > 0).then_some(done))
}

/// A folio of `order`, or single pages: one at least, and up to `most`, as far as there are frames at
/// once and the pages are not cached.
fn alloc<'c>(
    core: &'c Core,
    mapping: &Mapping,
    index: PageIndex,
    order: u32,
    most: usize,
    supply: &mut Supply<'c>,
) -> Result<Vec<Fresh<'c>>> {
    let first = match reclaim::alloc_now(core, order, &mut supply.spare) {
        Some(fresh) => fresh,
        None => reclaim::alloc(core, 0, &[])?,
    };
    let most = if mapping.order == 0 { most as u64 } else { 1 };
    let behind = (1..most).map(|at| PageIndex(index.0 + at));
    let vacant = behind.take_while(|at| mapping.peek(*at).is_none());
    let mut run = Vec::with_capacity(most as usize);
    run.push(first);
    run.extend(vacant.map_while(|_| supply.spare.take(core)));
    Ok(run)
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::fault;
    use crate::folio::state::Flag;
    use crate::store::MemStore;
    use crate::write::to_file;
    use refolio_xarray::Mark;

    fn file(core: &Core, pages: usize) -> Arc<Mapping> {
        let store = Arc::new(MemStore::with_bytes(vec![7; pages * PAGE_SIZE]));
        let len = (pages * PAGE_SIZE) as u64;
        let new = |id| Ok::<_, std::convert::Infallible>(Mapping::new(id, store, len, 0, None));
        let Ok(mapping) = core.mappings.open(None, new);
        mapping
    }

    #[test]
    fn pages_that_are_not_cached_lie_together_and_one_that_is_stays_where_it_is() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let mapping = file(&core, 30);
        let cached = fault::page(&core, &mapping, PageIndex(21)).unwrap().0.frame;
        // Beyond the end by ten pages and a bit.
        let bytes: Vec<u8> = (0..40 * PAGE_SIZE + 100).map(|at| (at / 8) as u8).collect();
        to_file(&core, &mapping, Use::Counts, &bytes, 0).unwrap();
        assert_eq!(mapping.len(), bytes.len() as u64);
        let frame = |index| mapping.peek(PageIndex(index)).unwrap().0;
        assert_eq!(frame(21), cached);
        assert!((0..20).all(|index| frame(index + 1) == frame(index).add(1)));
        for (index, page) in bytes.chunks(PAGE_SIZE).enumerate() {
            let index = index as u64;
            let mut seen = vec![0; page.len()];
            core.frames.read(frame(index), 0, &mut seen);
            assert!(seen == page, "page {index}");
            let (state, slots) = (core.folio(frame(index)).state.load(), mapping.pages.lock());
            let flags = [Flag::UPTODATE, Flag::DIRTY, Flag::ON_LRU, Flag::LOCKED];
            assert_eq!(
                flags.map(|flag| state.has(flag)),
                [true, true, true, false],
                "page {index}"
            );
            assert_eq!(state.references(), 1, "page {index}");
            assert!(slots.get_mark(index, Mark::Dirty), "page {index}");
            assert_eq!(core.hints.get(mapping.identity(PageIndex(index))), Some(frame(index)));
        }
        let counters = &core.nodes[0].counters;
        let counted =
            [counters.nr_file_pages.get(), counters.nr_dirty.get(), mapping.nr_pages.get()];
        assert_eq!((counted, core.lrus[0].sizes()), ([41; 3], (0, 41)));
    }

    #[test]
    fn with_fewer_frames_than_pages_all_is_written_and_what_was_first_is_in_the_store() {
        let core = assemble(&[NodeOptions::new(1 << 20)], false).unwrap();
        let frames = u64::from(core.nodes[0].frames);
        let mapping = file(&core, 3 * frames as usize);
        let bytes = vec![9; 3 * frames as usize * PAGE_SIZE];
        to_file(&core, &mapping, Use::Passing, &bytes, 0).unwrap();
        assert!(mapping.nr_pages.get() <= frames);
        for index in (0..3 * frames).map(PageIndex) {
            let folio = fault::page(&core, &mapping, index).unwrap().0;
            assert!(folio.bytes() == &bytes[..PAGE_SIZE], "page {}", index.0);
        }
    }

    #[test]
    fn pages_of_which_somebody_has_taken_the_slot_meanwhile_are_left_to_the_next_look() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let mapping = file(&core, 4);
        let free = core.nodes[0].nr_free_pages();
        let mut supply = Supply { spare: Spare::new(4), uses: Use::Counts };
        let mut run = alloc(&core, &mapping, PageIndex(0), 0, 4, &mut supply).unwrap();
        assert_eq!(run.len(), 4);
        drop(fault::page(&core, &mapping, PageIndex(2)).unwrap());
        fill::place_run(&core, &mapping, &mut run, PageIndex(0));
        assert_eq!((run.len(), mapping.nr_pages.get()), (2, 3));
        fill::show_run(&core, run, Use::Counts);
        let written = write(&core, &mapping, PageIndex(2), 0, &[9; 2 * PAGE_SIZE], &mut supply);
        assert_eq!(written.unwrap(), None);
        drop(supply);
        assert_eq!(core.nodes[0].nr_free_pages(), free - 3);
    }
}
