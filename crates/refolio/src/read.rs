//! Reads: without a reference where that works, with one where it does not.
//!
//! An optimistic read writes nothing that others read (but for the REFERENCED bit, when it is not
//! set): slot, word, identity, copy out, word again. It is never held up by the copy of a
//! migration, only by the few dozen nanoseconds of the switch. Whatever disturbs it, the read is
//! tried again, and at last done under a reference.

use crate::ahead::Pattern;
use crate::core::{AtHand, Core};
use crate::error::Result;
use crate::fault;
use crate::folio::{Folio, Use};
use crate::many::{self, ReadAt};
use crate::mapping::Mapping;
use crate::sync::{Arc, broken, reached};
use crate::table::Table;
use crate::table::entry::Entry;
use crate::units::{FrameNo, PAGE_SIZE, PageIndex, Vpn, pieces};

/// Optimistic attempts before a read takes a reference.
const ATTEMPTS: u32 = if cfg!(refolio_model) { 1 } else { 8 };

/// Most reads: of a part of one page, which is all in the file, has a folio of its own, stands still,
/// and is where its hint says. Whether this was one; [`from_file`] is for everything else.
///
/// What it costs is its loads: the fewer there are, the more of such reads the processor has in flight.
/// So each of them is looked at here, and nothing is called that is not inlined.
#[inline(always)]
pub(crate) fn hinted(core: &AtHand, mapping: &Mapping, into: &mut [u8], offset: u64) -> bool {
    let within = (offset % PAGE_SIZE as u64) as usize;
    let index = PageIndex::of_offset(offset);
    if into.len() > PAGE_SIZE - within || !mapping.has_whole(index) {
        return false;
    }
    let page = mapping.identity(index);
    let Some(hinted) = core.hinted(page) else { return false };
    let folio = hinted.folio();
    let before = folio.state.load();
    if !before.is_readable() || !folio.is(page) {
        return false;
    }
    hinted.read(within, into);
    if !folio.state.is_unchanged(before) {
        return false;
    }
    // A page that is merely passing has no hint. (To ask the pattern here would cost each of these
    // reads a tenth more.)
    folio.state.mark_referenced(before);
    true
}

/// Reads bytes of a file, as many as it has there.
#[doc(alias = "filemap_read")]
#[inline(never)] // Not a part of the rare thing that calls it.
pub(crate) fn from_file(
    core: &Core,
    mapping: &Arc<Mapping>,
    pattern: &Pattern,
    into: &mut [u8],
    offset: u64,
) -> Result<usize> {
    let there = usize::try_from(mapping.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let len = into.len().min(there);
    let end = PageIndex::count(offset + len as u64);
    let all = PageIndex::of_offset(offset).0..end;
    let mut looked = pattern.is_due(&all);
    if looked {
        look_ahead(core, mapping, pattern, all.clone());
    }
    // Who reads a page in parts is to find the rest of it by its hint, which says that it is in use.
    let whole = len >= PAGE_SIZE;
    let mut uses = if whole { pattern.uses(&all) } else { Use::Counts };
    for (index, within, part) in pieces(offset, len) {
        let bytes = &mut into[part.clone()];
        if optimistic(core, mapping, uses, index, within, bytes) {
            continue;
        }
        if !looked {
            look_ahead(core, mapping, pattern, index.0..end);
            looked = true;
            if uses == Use::Counts && whole {
                uses = pattern.uses(&(index.0..end));
            }
        }
        if index.0 + 1 < end {
            // The rest together.
            let mut rest = [ReadAt::new(offset + part.start as u64, &mut into[part.start..len])];
            many::from_file(core, mapping, uses, &mut rest)?;
            return Ok(part.start + rest[0].done());
        }
        match referenced(core, mapping, uses, index, within, bytes) {
            Ok(()) => {}
            // Truncated meanwhile.
            Err(error) if error.is_out_of_range() => return Ok(part.start),
            Err(error) => return Err(error),
        }
    }
    // Truncated meanwhile: what was read in after the store was cut has zeros behind the new end.
    // (Whoever sees those sees the new reach, which was set before.)
    let reach = if broken("read-beyond-the-reach") { u64::MAX } else { mapping.reach() };
    Ok(len.min(usize::try_from(reach.saturating_sub(offset)).unwrap_or(usize::MAX)))
}

/// The part of a node that one window of a handle may take.
const WINDOW_PART: u32 = 4;

/// These pages are missed, or are where the next window is asked for.
pub(crate) fn look_ahead(
    core: &Core,
    mapping: &Arc<Mapping>,
    pattern: &Pattern,
    pages: std::ops::Range<u64>,
) {
    if mapping.read_ahead_pages == 0 {
        return;
    }
    let room = core.nodes.iter().map(|node| node.frames / WINDOW_PART).min().unwrap_or(0);
    let at_most = mapping.read_ahead_pages.min(u64::from(room.max(1)));
    if let Some(wanted) = pattern.came_to(mapping, pages, at_most) {
        core.ahead.ask(wanted);
    }
}

/// A read without a reference; whether it worked.
#[inline(never)]
pub(crate) fn optimistic(
    core: &Core,
    mapping: &Mapping,
    uses: Use,
    index: PageIndex,
    within: usize,
    into: &mut [u8],
) -> bool {
    let identity = mapping.identity(index);
    if let Some(frame) = core.hints.get(identity) {
        let which = |folio: &Folio| folio.page_of(identity);
        if unchanged(core, uses, frame, within, into, which) == Some(true) {
            return true;
        }
    }
    for _ in 0..ATTEMPTS {
        let Some((frame, base)) = mapping.peek(index) else { return false };
        match unchanged(core, uses, frame, within, into, |folio| {
            let is_it = folio.is(mapping.identity(base)) || broken("read-skips-identity");
            is_it.then_some((index.0 - base.0) as u32)
        }) {
            Some(true) => {
                if uses == Use::Counts {
                    core.hints.set(identity, 1, frame);
                }
                return true;
            }
            Some(false) => reached("read again"),
            None => return false,
        }
    }
    false
}

/// Copies out of the page of the folio that `which` says, between two looks at the word: None when
/// the folio cannot be read now, otherwise whether there was such a page, and it stood still.
#[inline]
fn unchanged(
    core: &Core,
    uses: Use,
    frame: FrameNo,
    within: usize,
    into: &mut [u8],
    which: impl Fn(&Folio) -> Option<u32>,
) -> Option<bool> {
    let folio = core.folios.find(frame)?;
    let before = folio.state.load();
    if !before.is_readable() {
        return None;
    }
    let Some(page) = which(folio) else { return Some(false) };
    core.frames.read(frame.add(page), within, into);
    if !folio.state.is_unchanged(before) {
        return Some(false);
    }
    if uses == Use::Counts {
        folio.state.mark_referenced(before);
    }
    Some(true)
}

/// A read under a reference, of a page that is read in first when it is not cached.
#[cold]
pub(crate) fn referenced(
    core: &Core,
    mapping: &Arc<Mapping>,
    uses: Use,
    index: PageIndex,
    within: usize,
    into: &mut [u8],
) -> Result<()> {
    reached("read with a reference");
    let (folio, base) = match uses {
        Use::Counts => fault::page(core, mapping, index)?,
        Use::Passing => fault::passing_page(core, mapping, index)?,
    };
    let start = (index.0 - base.0) as usize * PAGE_SIZE + within;
    core.frames.read(folio.frame, start, into);
    Ok(())
}

/// Reads bytes of a view, all of which lie within it.
pub(crate) fn from_view(
    core: &Core,
    table: &Arc<Table>,
    into: &mut [u8],
    offset: u64,
) -> Result<()> {
    for (index, within, part) in pieces(offset, into.len()) {
        let (at, bytes) = (Vpn(index.0), &mut into[part]);
        if !optimistic_in_view(core, table, at, within, bytes) {
            let (folio, mapped) = fault::entry(core, table, at, false)?;
            core.frames.read(folio.frame.add(mapped.page), within, bytes);
        }
    }
    Ok(())
}

/// Entry, word, entry again, copy out, word again.
pub(crate) fn optimistic_in_view(
    core: &Core,
    table: &Table,
    at: Vpn,
    within: usize,
    into: &mut [u8],
) -> bool {
    for _ in 0..ATTEMPTS {
        let Entry::Present(mapped) = table.load(at) else { return false };
        match unchanged(core, Use::Counts, mapped.folio, within, into, |_| {
            table.load(at).is_present(mapped.folio, mapped.page).then_some(mapped.page)
        }) {
            Some(true) => return true,
            Some(false) => reached("read again"),
            None => return false,
        }
    }
    false
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::batch::{self, Need, Purpose};
    use crate::builder::{NodeOptions, assemble};
    use crate::folio::state::Flag;
    use crate::store::MemStore;

    #[test]
    fn a_page_that_is_passing_has_no_hint_until_a_read_of_it_counts() {
        let core = assemble(&[NodeOptions::new(64 << 20)], false).unwrap();
        let store = MemStore::with_bytes(vec![7; 8 * PAGE_SIZE]);
        let mapping = Arc::new(Mapping::new(1, Arc::new(store), 8 * PAGE_SIZE as u64, 0, None));
        let purpose = Purpose { need: Need::Ahead, uses: Use::Passing };
        let mut pages = (0..8).map(PageIndex);
        assert!(batch::fill(&core, &mapping, purpose, &mut pages, &mut |_, _| {}).is_empty());
        let index = PageIndex(3);
        let (frame, _) = mapping.peek(index).unwrap();
        let mut bytes = [0; 64];
        let mut read = |uses| {
            assert!(optimistic(&core, &mapping, uses, index, 0, &mut bytes));
            assert_eq!(bytes, [7; 64]);
        };
        let hinted = || core.hints.get(mapping.identity(index)) == Some(frame);
        let used = || core.folio(frame).state.has(Flag::REFERENCED);
        read(Use::Passing);
        assert!(!hinted() && !used());
        read(Use::Counts);
        assert!(hinted() && used());
        // So is one that is pinned.
        let other = mapping.identity(PageIndex(4));
        let pinned = fault::page(&core, &mapping, PageIndex(4)).unwrap().0;
        assert_eq!(core.hints.get(other), Some(pinned.frame));
    }
}
