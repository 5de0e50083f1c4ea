//! Absent → present in a file's mapping: a page gets its bytes from the store.
//!
//! ```text
//! alloc     a folio, locked, not up to date (reclaims when the nodes are full)
//! insert    i_pages lock: slot still vacant, index still in the file? then store   undo: take out
//! read      from the store; zeros beyond what it has
//! show      up to date; on the LRU; unlock, which wakes whoever waited for the bytes
//! ```
//! Others find the folio from `insert` on and wait for its lock (without a reference).
//! Many pages at once: see `batch.rs`; and where they are not read, but written: `write/new.rs`.

use std::io;

use crate::core::{Core, FolioRef, Fresh};
use crate::error::{Error, Result};
use crate::folio::Use;
use crate::folio::state::Flag;
use crate::mapping::Mapping;
use crate::reclaim;
use crate::sync::{Arc, broken, call, rule};
use crate::units::{PAGE_SIZE, PageIndex, folio_bytes, pages};
use refolio_xarray as xarray;

/// Reads a page that is not cached in from the store; None when somebody else was first.
pub(crate) fn fill<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
    uses: Use,
) -> Result<Option<(FolioRef<'c>, PageIndex)>> {
    let Some((fresh, base)) = insert(core, mapping, index)? else { return Ok(None) };
    core.events.pgmajfault.add(fresh.folio.folio().pages());
    if broken("uptodate-before-bytes") {
        fresh.folio.folio().state.mark_uptodate();
    }
    let len = folio_bytes(fresh.folio.folio().order());
    let mut progress = Progress::new(mapping, base, len);
    let read = read(core, mapping, &fresh, &mut progress);
    match read.and_then(|()| complete(core, mapping, &fresh, &progress)) {
        Ok(()) => Ok(Some((show_for(core, fresh, uses), base))),
        Err(error) => {
            take_out(core, mapping, fresh, base);
            Err(error)
        }
    }
}

/// A new folio in the slot of `index`, locked and without bytes yet; None when the slot is taken.
/// Whoever gets it gives it its bytes and [`show`]s it, or [`take_out`]s it.
#[doc(alias = "filemap_add_folio")]
pub(crate) fn insert<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
) -> Result<Option<(Fresh<'c>, PageIndex)>> {
    let order = vacant_order(mapping, index);
    let (fresh, order) = match reclaim::alloc(core, order, &[]) {
        Ok(fresh) => (fresh, order),
        Err(_) if order > 0 => (reclaim::alloc(core, 0, &[])?, 0),
        Err(error) => return Err(error),
    };
    place(core, mapping, fresh, index.align_down(order), index)
}

/// A new folio into the slots from `base` on, which are around `index`; None when they are taken.
pub(crate) fn place<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    fresh: Fresh<'c>,
    base: PageIndex,
    index: PageIndex,
) -> Result<Option<(Fresh<'c>, PageIndex)>> {
    let placed = call(|| try_place(core, mapping, &fresh, base, index))?;
    Ok(placed.then_some((fresh, base)))
}

/// New folios into the slots from `base` on, one behind the other, as far as those are vacant. The
/// others, which nobody has seen, are freed. All lie within the reach of the file, which the caller keeps
/// as it is.
pub(crate) fn place_run(core: &Core, mapping: &Mapping, run: &mut Vec<Fresh<'_>>, base: PageIndex) {
    call(|| {
        let mut slots = mapping.pages.lock();
        let (mut at, mut shadows) = (base, Vec::with_capacity(run.len()));
        for fresh in &*run {
            let Slot::Vacant(shadow) = put_in(mapping, &mut slots, fresh, at, at) else { break };
            shadows.push(shadow);
            at.0 += u64::from(fresh.folio.folio().pages());
        }
        drop(slots);
        run.truncate(shadows.len());
        mapping.nr_pages.add((at.0 - base.0) as u32);
        rule(at.offset() < mapping.reach() + PAGE_SIZE as u64, "new pages lie within the file");
        run.iter().zip(shadows).for_each(|(fresh, shadow)| came(core, fresh, shadow));
    });
}

fn try_place(
    core: &Core,
    mapping: &Arc<Mapping>,
    fresh: &Fresh<'_>,
    base: PageIndex,
    index: PageIndex,
) -> Result<bool> {
    let mut slots = mapping.pages.lock();
    let pages = PageIndex::count(mapping.reach());
    if index.0 >= pages && !broken("fill-beyond-the-end") {
        return Err(Error::OutOfRange { index, pages }.into());
    }
    let Slot::Vacant(shadow) = put_in(mapping, &mut slots, fresh, base, index) else {
        return Ok(false);
    };
    drop(slots);
    mapping.nr_pages.add(fresh.folio.folio().pages());
    came(core, fresh, shadow);
    Ok(true)
}

/// What was in the slots of a new folio.
enum Slot {
    Taken,
    /// It has them now.
    Vacant(Option<xarray::Entry>),
}

/// A new folio into the slots from `base` on, which are around `index`, if they are vacant.
fn put_in(
    mapping: &Mapping,
    slots: &mut xarray::Locked<'_>,
    fresh: &Fresh<'_>,
    base: PageIndex,
    index: PageIndex,
) -> Slot {
    let folio = fresh.folio.folio();
    let order = folio.order();
    let shadow = slots.load(index.0);
    let taken = if order == 0 {
        shadow.is_some_and(xarray::Entry::is_item)
    } else {
        items_in(slots, base, order)
    };
    if taken && !broken("insert-skips-look") {
        return Slot::Taken;
    }
    folio.set_identity(mapping.identity(base));
    folio.state.get_more(folio.pages());
    let item = xarray::Entry::item(u64::from(fresh.folio.frame.0));
    if slots.store(base.0, order, item).is_err() {
        // A shadow of a larger folio lies over the slot: it has to go first.
        slots.erase(base.0);
        if slots.store(base.0, order, item).is_err() {
            unreachable!("a vacant slot takes an entry");
        }
    }
    Slot::Vacant(shadow)
}

/// A new folio has come to where that was: it is counted, and where it was evicted a short while ago,
/// it is in use.
fn came(core: &Core, fresh: &Fresh<'_>, shadow: Option<xarray::Entry>) {
    let folio = fresh.folio.folio();
    core.node_of(fresh.folio.frame).counters.nr_file_pages.add(folio.pages());
    if shadow.is_some_and(|shadow| reclaim::is_refault(core, shadow)) {
        core.events.workingset_refault.add(folio.pages());
        folio.state.set(Flag::ACTIVE);
    }
}

/// The order of the largest folio, up to the file's, that fits around `index` beside what is
/// cached.
pub(crate) fn vacant_order(mapping: &Mapping, index: PageIndex) -> u32 {
    if mapping.order == 0 {
        return 0;
    }
    let slots = mapping.pages.lock();
    let fits = |order: &u32| !items_in(&slots, index.align_down(*order), *order);
    (0..=mapping.order).rev().find(fits).unwrap_or(0)
}

fn items_in(slots: &xarray::Locked<'_>, base: PageIndex, order: u32) -> bool {
    let last = base.0 + u64::from(pages(order)) - 1;
    let mut from = base.0;
    while let Some((at, entry)) = slots.next(from) {
        if at > last {
            break;
        }
        if entry.is_item() {
            return true;
        }
        match at.checked_add(1 << entry.order()) {
            Some(next) => from = next,
            None => break,
        }
    }
    false
}

/// How far the bytes of a new folio are there.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Progress {
    pub base: PageIndex,
    /// Bytes the store has been expected to have, when the read began.
    stored: u64,
    /// Bytes that the store has for the folio.
    pub wanted: usize,
    /// Bytes of them that are there.
    pub done: usize,
}

impl Progress {
    /// Nothing is there yet of a folio of `len` bytes.
    pub fn new(mapping: &Mapping, base: PageIndex, len: usize) -> Self {
        let stored = mapping.stored();
        let wanted = stored.saturating_sub(base.offset()).min(len as u64) as usize;
        Self { base, stored, wanted, done: 0 }
    }

    /// Where the store is to be read next.
    pub fn offset(&self) -> u64 {
        self.base.offset() + self.done as u64
    }

    /// What the store has answered to a read of everything that is missing.
    pub fn heard(&mut self, mapping: &Mapping, answer: io::Result<usize>) -> Result<()> {
        match answer {
            // Being truncated through the cache: see `complete`.
            Ok(0) if self.offset() >= mapping.reach() => self.wanted = self.done,
            Ok(0) => {
                let (name, offset) = (mapping.store().name(), self.offset());
                return Err(Error::Shrunk { name, offset, len_bytes: self.stored }.into());
            }
            Ok(n) => self.done = self.wanted.min(self.done + n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(
                    Error::Io { doing: "reading", name: mapping.store().name(), source }.into()
                );
            }
        }
        Ok(())
    }
}

/// Reads what is missing of a new folio.
pub(crate) fn read(
    core: &Core,
    mapping: &Mapping,
    fresh: &Fresh<'_>,
    progress: &mut Progress,
) -> Result<()> {
    let mut bytes = core.frames.fill_buf(fresh.folio.frame, progress.wanted);
    while progress.done < progress.wanted {
        let part = &mut bytes.part(progress.done..progress.wanted);
        progress.heard(mapping, mapping.store().read(progress.offset(), part))?;
    }
    Ok(())
}

/// Everything that the store has of a new folio is there: the rest is zeros. Is it still wanted?
pub(crate) fn complete(
    core: &Core,
    mapping: &Mapping,
    fresh: &Fresh<'_>,
    progress: &Progress,
) -> Result<()> {
    let len = folio_bytes(fresh.folio.folio().order());
    if progress.done < len {
        core.frames.fill_buf(fresh.folio.frame, len).zero(progress.done..len);
    }
    // Cut off meanwhile: nobody shall take these zeros for its bytes. (Where the file was cut
    // within the folio, `read::from_file` stops at the new end.)
    let base = progress.base;
    let reach = call(|| mapping.reach());
    if base.offset() >= reach && !broken("fill-beyond-the-end") {
        return Err(Error::OutOfRange { index: base, pages: PageIndex::count(reach) }.into());
    }
    Ok(())
}

/// Shows a new folio, whose bytes are there, to everybody.
pub(crate) fn show<'c>(core: &'c Core, fresh: Fresh<'c>) -> FolioRef<'c> {
    show_for(core, fresh, Use::Counts)
}

/// The same, of a page that came for this use. One that is passing gets no hint: who reads it comes by
/// the long way, on which it is looked whether his read counts.
pub(crate) fn show_for<'c>(core: &'c Core, fresh: Fresh<'c>, uses: Use) -> FolioRef<'c> {
    let (lock, folio) = fresh.open();
    call(|| {
        folio.folio().state.mark_uptodate();
        set_hint(core, &folio, uses);
        core.lru_of(folio.frame).add_for(uses, &core.folios, folio.frame);
        drop(lock);
    });
    folio
}

/// Shows new folios whose bytes are there, those of one node together.
pub(crate) fn show_run(core: &Core, run: Vec<Fresh<'_>>, uses: Use) {
    call(|| {
        for Fresh { folio } in &run {
            folio.folio().state.mark_uptodate();
            set_hint(core, folio, uses);
        }
        for run in run.chunk_by(|a, b| core.node_of(a.folio.frame).has(b.folio.frame)) {
            let frames = run.iter().map(|fresh| fresh.folio.frame);
            core.lru_of(run[0].folio.frame).add_all(uses, &core.folios, frames);
        }
        run.into_iter().for_each(Fresh::release);
    });
}

fn set_hint(core: &Core, folio: &FolioRef<'_>, uses: Use) {
    if let Some(identity) = folio.folio().identity().filter(|_| uses == Use::Counts) {
        core.hints.set(identity, folio.folio().pages(), folio.frame);
    }
}

/// Takes a new folio, which got no bytes, out of its slot again.
pub(crate) fn take_out(core: &Core, mapping: &Mapping, fresh: Fresh<'_>, base: PageIndex) {
    call(|| {
        let folio = fresh.folio.folio();
        let mut slots = mapping.pages.lock();
        folio.state.bump_version();
        slots.erase(base.0);
        folio.clear_identity();
        drop(slots);
        mapping.nr_pages.sub(folio.pages());
        core.node_of(fresh.folio.frame).counters.nr_file_pages.sub(folio.pages());
        core.put_many(fresh.folio.frame, folio.pages());
        drop(fresh);
    });
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::store::MemStore;

    #[test]
    fn where_frames_do_not_lie_together_a_single_page_comes_and_larger_ones_come_beside_it() {
        let nodes = [NodeOptions::new(1 << 20), NodeOptions::new(1 << 20)];
        let core = assemble(&nodes, false).unwrap();
        // Every other frame is in use.
        let mut used = Vec::new();
        for node in &core.nodes {
            used.extend(std::iter::from_fn(|| core.alloc_on(node, 0, 0, &[])));
        }
        used.retain(|fresh| fresh.folio.frame.0.is_multiple_of(2));
        let len = 4 * PAGE_SIZE as u64;
        let store = Arc::new(MemStore::with_bytes(vec![7; len as usize]));
        let new = |id| Ok::<_, Box<Error>>(Mapping::new(id, store, len, 2, None));
        let mapping = core.mappings.open(None, new).unwrap();
        let page = |index| {
            let (folio, base) = crate::fault::page(&core, &mapping, PageIndex(index)).unwrap();
            (folio.frame, base.0, folio.folio().order())
        };
        let (frame, base, order) = page(3);
        assert_eq!((base, order), (3, 0));
        drop(used);
        assert_eq!((page(1).1, page(1).2), (0, 1), "as large as fits beside it");
        assert_eq!((page(2).1, page(2).2), (2, 0));
        assert_eq!(page(3), (frame, 3, 0), "it has stayed");
    }
}
