//! Present → gone: pages leave their file because the file gets shorter, or gets a hole.
//!
//! ```text
//! resize    exclusively: no write, and no beginning of a writeback, in the range from here on
//! wait      for the writeback that is under way there
//! store     gets shorter first: if that fails, nothing has happened
//! length    readers and faults stop at the new end
//! each folio behind it: lock; unmap; not dirty any more; version grows; out of its slot; unlock
//! ```
//! Truncation waits for nobody's pin: who has one is left with an orphan, whose bytes stand still,
//! and which is freed with the last reference. So it cannot zero the rest of a page that the new
//! end cuts: bytes behind the end are nobody's, and whoever moves the end up zeroes them first.

use std::io;
use std::ops::Range;

use crate::core::{Core, FolioRef, Found, Obstacle};
use crate::error::{Error, Result};
use crate::folio::state::Flag;
use crate::mapping::Mapping;
use crate::sync::{Arc, Retry, broken, call};
use crate::units::{PAGE_SIZE, PageIndex};
use crate::write::Exclusive;
use crate::writeback;

fn failed(mapping: &Mapping, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    let name = mapping.store().name();
    move |source| Error::Io { doing, name, source }
}

/// Makes the file `len_bytes` long. What is added reads as zeros.
#[doc(alias = "vmtruncate")]
#[doc(alias = "truncate_setsize")]
pub(crate) fn set_len(core: &Core, mapping: &Arc<Mapping>, len_bytes: u64) -> Result<()> {
    let retry = Retry::new();
    loop {
        retry.anew();
        let resize = (!broken("truncate-skips-resize")).then(|| mapping.resize.write());
        if len_bytes < mapping.len() {
            return shorten(core, mapping, len_bytes);
        }
        match try_zero_behind_end(core, mapping)? {
            Ok(()) => {
                mapping.store().set_len(len_bytes).map_err(failed(mapping, "lengthening"))?;
                mapping.set_stored(len_bytes);
                mapping.set_reach(len_bytes);
                mapping.set_len(len_bytes);
                return Ok(());
            }
            Err(obstacle) => {
                drop(resize);
                core.wait(obstacle, None)?;
            }
        }
    }
}

fn shorten(core: &Core, mapping: &Arc<Mapping>, len_bytes: u64) -> Result<()> {
    let first = PageIndex::of_offset(len_bytes);
    if !broken("truncate-skips-wait") {
        writeback::wait_range(core, mapping, first.0..u64::MAX)?;
    }
    // A fill that finds the store shorter than it should be must know why.
    if !broken("reach-left-behind") {
        mapping.set_reach(len_bytes);
    }
    if let Err(error) = mapping.store().set_len(len_bytes) {
        mapping.set_reach(mapping.len());
        return Err(failed(mapping, "shortening")(error).into());
    }
    mapping.set_stored(len_bytes);
    mapping.set_len(len_bytes);
    take_out(core, mapping, PageIndex::count(len_bytes)..u64::MAX, Dirty::Dropped)
}

/// Zeroes what is cached behind the end of the file, where the last folio goes on. Under the resize
/// lock, exclusively: does not wait.
pub(crate) fn try_zero_behind_end(
    core: &Core,
    mapping: &Mapping,
) -> Result<std::result::Result<(), Obstacle>> {
    let len = mapping.len();
    let Some(last) = len.checked_sub(1) else { return Ok(Ok(())) };
    // The store has zeros there already, or ends.
    try_zero(core, mapping, PageIndex::of_offset(last), len..u64::MAX, None)
}

/// Zeroes what a folio has of `bytes`, if it is cached, and makes it dirty in the file `unstored`,
/// whose store does not have the zeros yet.
fn try_zero(
    core: &Core,
    mapping: &Mapping,
    index: PageIndex,
    bytes: Range<u64>,
    unstored: Option<&Mapping>,
) -> Result<std::result::Result<(), Obstacle>> {
    let (folio, base) = match core.lookup(mapping, index) {
        Found::Folio(folio, base) => (folio, base),
        Found::Blocked(obstacle) => return Ok(Err(obstacle)),
        Found::Saturated => return Err(Error::TooManyReferences.into()),
        Found::Miss => return Ok(Ok(())),
    };
    let len = u64::from(folio.folio().pages()) * PAGE_SIZE as u64;
    let start = bytes.start.saturating_sub(base.offset()).min(len);
    let end = bytes.end.saturating_sub(base.offset()).min(len);
    if start >= end {
        return Ok(Ok(()));
    }
    let lock = match folio.try_lock() {
        Ok(lock) => lock,
        Err(obstacle) => return Ok(Err(obstacle)),
    };
    // Nobody takes folios out of their slots but under the resize lock, and evict, after which
    // the store's zeros come in.
    if !folio.folio().is(mapping.identity(base)) {
        return Ok(Ok(()));
    }
    match Exclusive::freeze(lock, folio) {
        Ok(exclusive) => {
            exclusive.zero(start as usize..end as usize);
            exclusive.dirty(unstored);
            Ok(Ok(()))
        }
        Err(obstacle) => Ok(Err(obstacle)),
    }
}

/// What becomes of dirty pages that are met when pages are taken out of their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dirty {
    /// They are cut off: nobody wants their bytes.
    Dropped,
    /// Somebody has just written them: they stay.
    Kept,
}

/// Takes every folio out of the file that lies in `range`. One that begins before it stays, but for
/// its table entries. Under the resize lock, exclusively.
#[doc(alias = "truncate_inode_pages_range")]
pub(crate) fn take_out(
    core: &Core,
    mapping: &Mapping,
    range: Range<u64>,
    dirty: Dirty,
) -> Result<()> {
    let mut next = range.start;
    let retry = Retry::new();
    loop {
        retry.keep(&next);
        let found = call(|| mapping.pages.lock().next(next));
        let Some((index, entry)) = found.filter(|(index, _)| *index < range.end) else {
            return Ok(());
        };
        let after = index.saturating_add(1 << entry.order());
        if entry.is_value() {
            erase_shadow(mapping, PageIndex(index));
        } else {
            let inside = index >= range.start && after <= range.end;
            let index = PageIndex(index);
            if let Err(obstacle) = call(|| try_take_out(core, mapping, index, inside, dirty)) {
                core.wait(obstacle, None)?;
                continue;
            }
        }
        if after == u64::MAX || after <= next {
            return Ok(());
        }
        next = after;
    }
}

fn erase_shadow(mapping: &Mapping, index: PageIndex) {
    call(|| {
        let mut slots = mapping.pages.lock();
        if slots.load(index.0).is_some_and(|entry| entry.is_value()) {
            slots.erase(index.0);
        }
    });
}

/// One folio: unmapped, and out of its slot when `whole`.
#[doc(alias = "truncate_inode_folio")]
fn try_take_out(
    core: &Core,
    mapping: &Mapping,
    index: PageIndex,
    whole: bool,
    dirty: Dirty,
) -> std::result::Result<(), Obstacle> {
    let (folio, base) = match core.lookup(mapping, index) {
        Found::Folio(folio, base) => (folio, base),
        Found::Blocked(obstacle) => return Err(obstacle),
        Found::Miss => {
            // Evicted meanwhile: what that has left goes, too.
            erase_shadow(mapping, index);
            return Ok(());
        }
        // Rare enough to spin: somebody has a million pins.
        Found::Saturated => return Err(core.obstacle_at(mapping, index)),
    };
    let lock = match folio.try_lock() {
        Ok(lock) => Some(lock),
        Err(_) if broken("truncate-skips-lock") => None,
        Err(obstacle) => return Err(obstacle),
    };
    // Whoever got the lock looks first whether the folio still is the page (rule 4).
    if !folio.folio().is(mapping.identity(base)) && !broken("truncate-skips-recheck") {
        return Ok(());
    }
    if folio.folio().state.has(Flag::WRITEBACK) && !broken("truncate-ignores-writeback") {
        return Err(core.obstacle(folio.frame, crate::core::Why::Writeback));
    }
    if dirty == Dirty::Kept && folio.folio().state.has(Flag::DIRTY) {
        return Ok(());
    }
    if !broken("truncate-skips-unmap") {
        core.tables.unmap(&core.folios, folio.frame);
    }
    if whole {
        remove(core, mapping, &folio, base);
    }
    drop(lock);
    Ok(())
}

/// Out of the slot, and of no file any more. Under the folio lock.
#[doc(alias = "filemap_remove_folio")]
fn remove(core: &Core, mapping: &Mapping, folio: &FolioRef<'_>, base: PageIndex) {
    let descriptor = folio.folio();
    if !broken("truncate-stays-dirty") {
        writeback::cancel_dirty(core, folio.frame);
    }
    let mut slots = mapping.pages.lock();
    if !broken("truncate-keeps-version") {
        descriptor.state.bump_version();
    }
    slots.erase(base.0);
    descriptor.clear_identity();
    drop(slots);
    mapping.nr_pages.sub(descriptor.pages());
    core.node_of(folio.frame).counters.nr_file_pages.sub(descriptor.pages());
    let private = u32::from(descriptor.state.test_and_clear(Flag::PRIVATE));
    let private = if broken("truncate-forgets-private") { 0 } else { private };
    let stolen = u32::from(broken("truncate-takes-the-pins-reference"));
    core.put_many(folio.frame, descriptor.pages() + private + stolen);
}

/// Makes the whole pages of `range` a hole: they are dropped, here and in the store.
#[doc(alias = "truncate_pagecache_range")]
pub(crate) fn punch(core: &Core, mapping: &Arc<Mapping>, range: Range<u64>) -> Result<()> {
    let retry = Retry::new();
    loop {
        retry.anew();
        let resize = mapping.resize.write();
        writeback::wait_range(core, mapping, range.clone())?;
        // What may be refused comes first, and is dirty: cached bytes and stored ones never differ
        // unnoticed. Again afterwards, for folios that were read in meanwhile.
        let mut obstacle = zero_rest(core, mapping, &range, Some(mapping))?;
        if obstacle.is_none() {
            let (start, end) = (PageIndex(range.start).offset(), PageIndex(range.end).offset());
            let end = end.min(mapping.stored());
            if start < end {
                let punched = mapping.store().punch(start, end - start);
                punched.map_err(failed(mapping, "punching a hole into"))?;
            }
            take_out(core, mapping, range.clone(), Dirty::Dropped)?;
            obstacle = zero_rest(core, mapping, &range, None)?;
        }
        let Some(obstacle) = obstacle else { return Ok(()) };
        drop(resize);
        core.wait(obstacle, None)?;
    }
}

/// Zeroes parts of large folios that reach beyond the range.
fn zero_rest(
    core: &Core,
    mapping: &Mapping,
    range: &Range<u64>,
    unstored: Option<&Mapping>,
) -> Result<Option<Obstacle>> {
    let bytes = PageIndex(range.start).offset()..PageIndex(range.end).offset();
    let mut next = range.start;
    loop {
        let found = call(|| mapping.pages.lock().next(next));
        let Some((index, entry)) = found.filter(|(index, _)| *index < range.end) else {
            return Ok(None);
        };
        let after = index.saturating_add(1 << entry.order());
        let beyond = index < range.start || after > range.end;
        if entry.is_item()
            && beyond
            && let Err(obstacle) =
                try_zero(core, mapping, PageIndex(index), bytes.clone(), unstored)?
        {
            return Ok(Some(obstacle));
        }
        if after <= next {
            return Ok(None);
        }
        next = after;
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::evict::{self, Leaving};
    use crate::fault;
    use crate::store::MemStore;

    #[test]
    fn the_shadows_of_evicted_pages_go_with_the_part_of_the_file_that_is_cut_off() {
        let core =
            assemble(&[NodeOptions::new(1 << 20), NodeOptions::new(1 << 20)], false).unwrap();
        let (pages, len) = (70, 70 * PAGE_SIZE as u64);
        let store = Arc::new(MemStore::with_bytes(vec![1; len as usize]));
        let new = |id| Ok::<_, Box<Error>>(Mapping::new(id, store, len, 0, None));
        let mapping = core.mappings.open(None, new).unwrap();
        for index in (0..pages).map(PageIndex) {
            let frame = fault::page(&core, &mapping, index).unwrap().0.frame;
            let leaving = Leaving { mapping: mapping.clone(), index, frame };
            assert_eq!(evict::all(&core, &[leaving]), 1);
        }
        assert!(mapping.pages.node_count() > 1, "each page has left a shadow");
        set_len(&core, &mapping, PAGE_SIZE as u64).unwrap();
        assert_eq!(mapping.pages.node_count(), 0, "one shadow needs no node");
        assert!(mapping.pages.load(0).is_some());
        set_len(&core, &mapping, 0).unwrap();
        assert!(mapping.pages.load(0).is_none());
    }
}
