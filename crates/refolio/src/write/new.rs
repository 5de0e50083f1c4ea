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
/// put page `index` there meanwhile.
///
/// # Errors
/// As [`reclaim::alloc`]; [`Error::OutOfRange`](crate::Error::OutOfRange) behind the reach of the file.
pub(super) fn write<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
    order: u32,
    from: &[u8],
    supply: &mut Supply<'c>,
) -> Result<Option<usize>> {
    let mut run = alloc(core, mapping, index, order, from.len() / PAGE_SIZE, supply)?;
    fill::place_run(core, mapping, &mut run, index)?;
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
