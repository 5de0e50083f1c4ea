//! Dirty → clean: what was written goes to the store.
//!
//! ```text
//! gather    dirty pages by mark, in index order, as long as they follow each other
//! begin     for each: folio lock; DIRTY → WRITEBACK, flag and mark; unlock. Never two locks at once
//! write     the run, in one vectored write: the bytes stand still, because each page is referenced,
//!           and writers wait for WRITEBACK
//! end       WRITEBACK goes, the marks of the run together; a failed write makes the pages dirty
//!           again and is recorded once
//! ```
//! A page is written as far as the file reaches. How far that is, is read under the resize lock
//! together with the change to WRITEBACK; a truncation holds that lock and waits for the writeback
//! of what it cuts, so no write brings bytes back that were cut off.

use std::io::{self, IoSlice};
use std::ops::Range;

use crate::core::{Core, FolioRef, Found, Obstacle, Why};
use crate::error::{Error, Result};
use crate::errseq::Seen;
use crate::folio::state::Flag;
use crate::mapping::Mapping;
use crate::sync::{Arc, Retry, broken, call};
use crate::units::{FrameNo, PAGE_SIZE, PageIndex};
use refolio_xarray::Mark;

/// Pages in one write at most: 1 MiB.
const RUN_PAGES: u64 = if cfg!(refolio_model) { 2 } else { 256 };

/// The kernel takes no more pieces than this in one vectored write.
const RUN_FOLIOS: usize = 256;

/// Whether to wait for what is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Pass over pages that somebody has locked, and do not wait for a resize (reclaim, and whoever
    /// holds something).
    Skip,
    /// Wait for each page.
    Wait,
}

/// Makes a locked folio dirty: flag, mark, counter.
#[doc(alias = "folio_mark_dirty")]
pub(crate) fn mark_dirty(core: &Core, mapping: &Mapping, frame: FrameNo) {
    mark_all_dirty(core, mapping, [frame]);
}

/// The same of many, whose marks are set together.
pub(crate) fn mark_all_dirty(
    core: &Core,
    mapping: &Mapping,
    frames: impl IntoIterator<Item = FrameNo>,
) {
    let mut slots = None;
    for frame in frames {
        let folio = core.folio(frame);
        if folio.state.set(Flag::DIRTY) {
            continue;
        }
        core.node_of(frame).counters.nr_dirty.add(folio.pages());
        if let Some(identity) = folio.identity().filter(|_| !broken("dirty-without-mark")) {
            let slots = slots.get_or_insert_with(|| mapping.pages.lock());
            call(|| _ = slots.set_mark(identity.index().0, Mark::Dirty));
        }
    }
}

/// Makes a locked folio clean whose bytes need not be written any more; whether it was dirty.
#[doc(alias = "folio_cancel_dirty")]
pub(crate) fn cancel_dirty(core: &Core, frame: FrameNo) -> bool {
    let folio = core.folio(frame);
    let was = folio.state.test_and_clear(Flag::DIRTY);
    if was {
        core.node_of(frame).counters.nr_dirty.sub(folio.pages());
    }
    was
}

/// A folio on its way to the store.
struct Page<'c> {
    folio: FolioRef<'c>,
    base: PageIndex,
    /// How much of it belongs to the file.
    len_bytes: usize,
}

/// Writes the dirty pages of `range` to the store; how many pages went.
///
/// # Errors
/// The first failure of the store. It is recorded for `sync`, and the pages are still dirty; the
/// others of the range were tried all the same.
#[doc(alias = "filemap_fdatawrite_range")]
pub(crate) fn write_range(
    core: &Core,
    mapping: &Arc<Mapping>,
    range: Range<u64>,
    patience: Patience,
) -> Result<u64> {
    let (mut next, mut written, mut failed) = (range.start, 0, None);
    let mut run: Vec<Page<'_>> = Vec::new();
    let mut run_begin = 0;
    loop {
        // (With a run, an attempt leaves more behind than it found.)
        let retry = run.is_empty().then(Retry::new);
        let dirty = call(|| mapping.pages.lock().next_marked(next, Mark::Dirty));
        let dirty = dirty.filter(|(at, _)| *at < range.end);
        let behind = dirty.map(|(at, entry)| at.saturating_add(1 << entry.order()));
        let dirty = dirty.map(|(at, _)| PageIndex(at));
        let full = next - run_begin >= RUN_PAGES || run.len() == RUN_FOLIOS;
        let follows = dirty.is_some() && dirty == run.last().map(after);
        if !run.is_empty() && (full || !follows) {
            match submit(core, mapping, std::mem::take(&mut run)) {
                Ok(pages) => written += pages,
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        let (Some(index), Some(behind)) = (dirty, behind) else { break };
        let for_resize = if run.is_empty() { patience } else { Patience::Skip };
        match begin(core, mapping, index, for_resize) {
            Begun::Page(page) => {
                next = after(&page).0;
                if run.is_empty() {
                    run_begin = page.base.0;
                }
                run.push(page);
            }
            Begun::Clean => next = behind,
            Begun::Poisoned => {
                failed.get_or_insert(Error::Poisoned { index }.into());
                next = behind;
            }
            // What is marked goes first: nobody may wait for it while we wait (a truncation does,
            // with the resize lock).
            Begun::Resizing | Begun::Blocked(_) if !run.is_empty() => {
                match submit(core, mapping, std::mem::take(&mut run)) {
                    Ok(pages) => written += pages,
                    Err(error) => drop(failed.get_or_insert(error)),
                }
            }
            Begun::Resizing => break,
            Begun::Blocked(obstacle) => match patience {
                Patience::Wait => {
                    core.wait(obstacle, None)?;
                    retry.iter().for_each(Retry::anew);
                }
                Patience::Skip => next = behind,
            },
        }
    }
    failed.map_or(Ok(written), Err)
}

/// Whether so much is dirty that what will not be written again soon may go: more than a 16th part
/// of the frames.
#[doc(alias = "dirty_background_ratio")]
pub(crate) fn is_due(core: &Core) -> bool {
    let frames: u64 = core.nodes.iter().map(|node| u64::from(node.frames)).sum();
    let dirty: u64 = core.nodes.iter().map(|node| node.counters.nr_dirty.get()).sum();
    dirty > frames / 16
}

/// The index that follows a page's folio.
fn after(page: &Page<'_>) -> PageIndex {
    PageIndex(page.base.0.saturating_add(u64::from(page.folio.folio().pages())))
}

enum Begun<'c> {
    Page(Page<'c>),
    /// Nothing to do any more.
    Clean,
    /// The length of the file is being changed, and we do not wait for that: nothing can be begun.
    Resizing,
    /// Its bytes are not to be trusted: they are not written, and it stays dirty.
    Poisoned,
    Blocked(Obstacle),
}

/// From dirty to under writeback.
#[doc(alias = "folio_clear_dirty_for_io")]
#[doc(alias = "folio_start_writeback")]
fn begin<'c>(core: &'c Core, mapping: &Mapping, index: PageIndex, patience: Patience) -> Begun<'c> {
    let resize = match patience {
        Patience::Wait => Some(mapping.resize.read()),
        Patience::Skip => mapping.resize.try_read(),
    };
    let Some(resize) = resize else { return Begun::Resizing };
    let _resize = (!broken("writeback-skips-resize")).then_some(resize);
    let (folio, base) = match core.lookup(mapping, index) {
        Found::Folio(folio, base) => (folio, base),
        Found::Blocked(obstacle) => return Begun::Blocked(obstacle),
        Found::Miss | Found::Saturated => return Begun::Clean,
    };
    let lock = match folio.try_lock() {
        Ok(lock) => lock,
        Err(obstacle) => {
            drop(folio);
            return Begun::Blocked(obstacle);
        }
    };
    let descriptor = folio.folio();
    let state = descriptor.state.flags();
    let is_dirty = state.has(Flag::DIRTY) || broken("writeback-skips-look");
    if !descriptor.is(mapping.identity(base)) || !is_dirty {
        return Begun::Clean;
    }
    if state.has(Flag::POISONED) {
        return Begun::Poisoned;
    }
    if state.has(Flag::WRITEBACK) && !broken("writeback-twice") {
        let obstacle = core.obstacle(folio.frame, Why::Writeback);
        drop(lock);
        drop(folio);
        return Begun::Blocked(obstacle);
    }
    let in_file = mapping.len().saturating_sub(base.offset());
    let len_bytes = in_file.min(u64::from(descriptor.pages()) * PAGE_SIZE as u64) as usize;
    // The flag first: whoever finds the mark waits for the flag to go.
    descriptor.state.set(Flag::WRITEBACK);
    call(|| {
        let mut slots = mapping.pages.lock();
        slots.clear_mark(base.0, Mark::Dirty);
        slots.set_mark(base.0, Mark::Writeback);
    });
    core.node_of(folio.frame).counters.nr_writeback.add(descriptor.pages());
    cancel_dirty(core, folio.frame);
    drop(lock);
    if broken("writeback-unprotected") {
        core.put(folio.frame);
    }
    Begun::Page(Page { folio, base, len_bytes })
}

/// Writes a run of pages that follow each other, and ends their writeback.
fn submit(core: &Core, mapping: &Mapping, run: Vec<Page<'_>>) -> Result<u64> {
    let result = match run.first() {
        Some(first) => write_all(mapping, first.base.offset(), &run),
        None => Ok(()),
    };
    if let Err(source) = &result {
        mapping.errors.record(source);
    }
    end(core, mapping, &run, result.is_err());
    let pages: u64 = run.iter().map(|page| u64::from(page.folio.folio().pages())).sum();
    if broken("writeback-unprotected") {
        std::mem::forget(run);
    }
    result.map_err(|source| Error::Io {
        doing: "writing",
        name: mapping.store().name(),
        source,
    })?;
    core.events.pgwriteback.add(pages as u32);
    Ok(pages)
}

fn write_all(mapping: &Mapping, offset: u64, run: &[Page<'_>]) -> io::Result<()> {
    let mut bufs: Vec<_> =
        run.iter().map(|page| IoSlice::new(&page.folio.bytes()[..page.len_bytes])).collect();
    let mut left = &mut bufs[..];
    let mut at = offset;
    // The last page may end with the file, or lie behind its end altogether.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match mapping.store().write(at, left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                let n = n.min(left.iter().map(|buf| buf.len()).sum());
                IoSlice::advance_slices(&mut left, n);
                at += n as u64;
                mapping.grow_stored(at);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// From under writeback to clean, or to dirty again.
#[doc(alias = "folio_end_writeback")]
fn end(core: &Core, mapping: &Mapping, run: &[Page<'_>], failed: bool) {
    // WRITEBACK keeps a folio in its slot: nobody moves, evicts or truncates it now.
    if failed && !broken("failed-writeback-cleans") {
        mark_all_dirty(core, mapping, run.iter().map(|page| page.folio.frame));
    }
    // The counters before the marks: who waited for the marks (`sync`) finds nothing counted.
    for Page { folio, .. } in run {
        core.node_of(folio.frame).counters.nr_writeback.sub(folio.folio().pages());
    }
    call(|| {
        let mut slots = mapping.pages.lock();
        run.iter().for_each(|page| _ = slots.clear_mark(page.base.0, Mark::Writeback));
    });
    for Page { folio, .. } in run {
        let wake = folio.folio().state.end_writeback();
        if !broken("writeback-forgets-to-wake") {
            core.folios.wake(folio.frame, wake);
        }
    }
}

/// Waits until nothing of `range` is on its way to the store.
#[doc(alias = "filemap_fdatawait_range")]
pub(crate) fn wait_range(core: &Core, mapping: &Mapping, range: Range<u64>) -> Result<()> {
    let mut next = range.start;
    let retry = Retry::new();
    loop {
        retry.keep(&next);
        let found = call(|| mapping.pages.lock().next_marked(next, Mark::Writeback));
        let Some((index, entry)) = found.filter(|(at, _)| *at < range.end) else { return Ok(()) };
        if let Some((frame, _)) = Mapping::folio_in(entry, PageIndex(index)) {
            let obstacle = core.obstacle(frame, Why::Writeback);
            let still = call(|| mapping.pages.lock().get_mark(index, Mark::Writeback));
            if still {
                core.wait(obstacle, None)?;
                continue;
            }
        }
        next = index.saturating_add(1);
    }
}

/// Everything that was written before the call is on the device after it.
///
/// # Errors
/// [`Error::Io`] for each failure of the store since this handle last reported one, by whoever's
/// writeback it was found: once per handle.
#[doc(alias = "vfs_fsync")]
pub(crate) fn sync(core: &Core, mapping: &Arc<Mapping>, handle: &Seen) -> Result<()> {
    let written = write_range(core, mapping, 0..u64::MAX, Patience::Wait);
    let waited = wait_range(core, mapping, 0..u64::MAX);
    let stored = written.and(waited).and_then(|()| {
        // A file that was made longer without a write has a hole at its end.
        let _resize = mapping.resize.read();
        let failed = |source: io::Error| {
            mapping.errors.record(&source);
            Error::Io { doing: "syncing", name: mapping.store().name(), source }
        };
        if mapping.stored() < mapping.len() {
            mapping.store().set_len(mapping.len()).map_err(failed)?;
            mapping.grow_stored(mapping.len());
        }
        Ok(mapping.store().sync().map_err(failed)?)
    });
    match mapping.errors.check(handle) {
        Some(source) => {
            Err(Error::Io { doing: "writing", name: mapping.store().name(), source }.into())
        }
        // A failure that another thread with this handle has just reported is ours, too.
        None => stored,
    }
}
