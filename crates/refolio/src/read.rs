//! Reads: without a reference where that works, with one where it does not.
//!
//! An optimistic read writes nothing that others read (but for the REFERENCED bit, when it is not
//! set): slot, word, identity, copy out, word again. It is never held up by the copy of a
//! migration, only by the few dozen nanoseconds of the switch. Whatever disturbs it, the read is
//! tried again, and at last done under a reference.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::fault;
use crate::folio::Folio;
use crate::mapping::Mapping;
use crate::sync::{Arc, broken, reached};
use crate::table::Table;
use crate::table::entry::Entry;
use crate::units::{FrameNo, PAGE_SIZE, PageIndex, Vpn, pieces};

/// Optimistic attempts before a read takes a reference.
const ATTEMPTS: u32 = if cfg!(refolio_loom) { 1 } else { 8 };

/// Reads bytes of a file, as many as it has there.
#[doc(alias = "filemap_read")]
#[inline]
pub(crate) fn from_file(
    core: &Core,
    mapping: &Arc<Mapping>,
    into: &mut [u8],
    offset: u64,
) -> Result<usize> {
    let there = usize::try_from(mapping.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let len = into.len().min(there);
    for (index, within, part) in pieces(offset, len) {
        let bytes = &mut into[part.clone()];
        if !optimistic(core, mapping, index, within, bytes) {
            match referenced(core, mapping, index, within, bytes) {
                Ok(()) => {}
                // Truncated meanwhile.
                Err(Error::OutOfRange { .. }) => return Ok(part.start),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(len)
}

/// A read without a reference; whether it worked.
#[inline]
pub(crate) fn optimistic(
    core: &Core,
    mapping: &Mapping,
    index: PageIndex,
    within: usize,
    into: &mut [u8],
) -> bool {
    for _ in 0..ATTEMPTS {
        let Some((frame, base)) = mapping.peek(index) else { return false };
        let folio = core.folio(frame);
        let page = (index.0 - base.0) as u32;
        match unchanged(core, folio, frame.add(page), within, into, || {
            folio.is(mapping.id, base) || broken("read-skips-identity")
        }) {
            Some(true) => return true,
            Some(false) => reached("read again"),
            None => return false,
        }
    }
    false
}

/// Copies out between two looks at the word: None when the folio cannot be read now, otherwise
/// whether bytes and identity stood still and `is_it` said so.
#[inline]
fn unchanged(
    core: &Core,
    folio: &Folio,
    page: FrameNo,
    within: usize,
    into: &mut [u8],
    is_it: impl Fn() -> bool,
) -> Option<bool> {
    let before = folio.state.load();
    if !before.is_readable() {
        return None;
    }
    if !is_it() {
        return Some(false);
    }
    core.frames.read(page, within, into);
    if !folio.state.is_unchanged(before) {
        return Some(false);
    }
    folio.state.mark_referenced(before);
    Some(true)
}

/// A read under a reference, of a page that is read in first when it is not cached.
#[cold]
fn referenced(
    core: &Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
    within: usize,
    into: &mut [u8],
) -> Result<()> {
    reached("read with a reference");
    let (folio, base) = fault::page(core, mapping, index)?;
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
fn optimistic_in_view(
    core: &Core,
    table: &Table,
    at: Vpn,
    within: usize,
    into: &mut [u8],
) -> bool {
    for _ in 0..ATTEMPTS {
        let Entry::Present(mapped) = table.load(at) else { return false };
        let folio = core.folio(mapped.folio);
        let page = mapped.folio.add(mapped.page);
        match unchanged(core, folio, page, within, into, || {
            table.load(at).is_present(mapped.folio, mapped.page)
        }) {
            Some(true) => return true,
            Some(false) => reached("read again"),
            None => return false,
        }
    }
    false
}
