//! Bytes change: in place, by the one who locked and froze the folio.
//!
//! ```text
//! find      the folio, with a reference
//! lock      the folio lock; is it still the page? no writeback (stable bytes)    undo: unlock
//! freeze    from exactly: own reference + pages in the file + private data + table entries
//! bytes     optimistic readers notice by the version, everybody else waits for the thaw
//! unfreeze
//! dirty     the flag, the mark, the counter; still under the lock
//! unlock
//! ```
//! Whatever stands in the way (a pin above all), the attempt gives everything back and waits
//! holding nothing. So a write waits for pins, but is never the reason that a pin's owner waits.

mod new;

use std::ops::Range;

use crate::core::{Core, FolioLock, FolioRef, Found, Obstacle, Why};
use crate::error::{Error, Result};
use crate::fault;
use crate::fill;
use crate::folio::state::{Flag, Freeze};
use crate::folio::{Folio, Use};
use crate::mapping::Mapping;
use crate::reclaim::{self, Spare};
use crate::sync::{Arc, Retry, broken, call};
use crate::table::entry::{Entry, Mapped};
use crate::table::{Backing, Table};
use crate::truncate;
use crate::units::{FrameNo, PAGE_SIZE, PageIndex, Vpn, folio_bytes};
use crate::writeback::{self, Patience};
use new::Supply;

/// A folio that is this thread's alone: locked and frozen. Dropping it lets the others in again.
#[derive(Debug)]
pub(crate) struct Exclusive<'c> {
    lock: FolioLock<'c>,
    folio: FolioRef<'c>,
    /// References to come back with.
    references: u32,
}

impl<'c> Exclusive<'c> {
    /// Freezes a folio whose lock the caller has, if nobody else uses it.
    pub fn freeze(lock: FolioLock<'c>, folio: FolioRef<'c>) -> std::result::Result<Self, Obstacle> {
        let descriptor = folio.folio();
        if descriptor.state.has(Flag::WRITEBACK) && !broken("writeback-unprotected") {
            return Err(folio.core.obstacle(folio.frame, Why::Writeback));
        }
        let references = 1 + descriptor.expected_references();
        match descriptor.state.freeze(references) {
            Freeze::Frozen => Ok(Self { lock, folio, references }),
            Freeze::Refused { .. } => Err(folio.core.obstacle(folio.frame, Why::References)),
        }
    }

    pub fn core(&self) -> &'c Core {
        self.folio.core
    }

    pub fn frame(&self) -> FrameNo {
        self.folio.frame
    }

    pub fn folio(&self) -> &'c Folio {
        self.folio.folio()
    }

    /// Writes into the folio.
    pub fn write(&self, offset: usize, from: &[u8]) {
        self.core().frames.write(self.frame(), offset, from);
    }

    /// Reads from the folio, where nothing moves.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        self.core().frames.read(self.frame(), offset, into);
    }

    /// Zeroes a part of the folio.
    pub fn zero(&self, range: Range<usize>) {
        self.core().frames.zero(self.frame(), range.start, range.len());
    }

    /// Sets or takes away the embedder's word, whose reference is counted in when others are let
    /// in again.
    pub fn set_private(&mut self, word: Option<u64>) {
        let folio = self.folio();
        folio.store_private(word.unwrap_or(0));
        let had = match word {
            Some(_) => folio.state.set(Flag::PRIVATE),
            None => folio.state.test_and_clear(Flag::PRIVATE),
        };
        self.references += u32::from(word.is_some() && !had);
        self.references -= u32::from(word.is_none() && had);
    }

    /// Lets the others in, and makes a folio of `mapping` dirty.
    pub fn dirty(self, mapping: Option<&Mapping>) {
        let lock = self.thaw();
        if let Some(mapping) = mapping {
            writeback::mark_dirty(lock.core, mapping, lock.frame);
        }
    }

    /// Lets the others in, but for the lock.
    fn thaw(self) -> Locked<'c> {
        let Self { lock, folio, references } = self;
        call(|| folio.core.folios.wake(folio.frame, folio.folio().state.unfreeze(references)));
        Locked { core: folio.core, frame: folio.frame, _lock: lock, _folio: folio }
    }

    /// Ends the write without making anything dirty.
    pub fn release(self) {
        drop(self.thaw());
    }
}

/// What is left of an [`Exclusive`] after the thaw; unlocks, then gives the reference back.
struct Locked<'c> {
    core: &'c Core,
    frame: FrameNo,
    _lock: FolioLock<'c>,
    _folio: FolioRef<'c>,
}

/// Page `index` of a file for writing, with the index of the folio's first page.
///
/// # Errors
/// As [`fault::page`]; [`Error::Held`] and [`Error::GuardHeld`] where this thread may not wait.
#[doc(alias = "write_begin")]
pub(crate) fn file_page<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
) -> Result<(Exclusive<'c>, PageIndex)> {
    let retry = Retry::new();
    loop {
        retry.anew();
        let (folio, base) = fault::page(core, mapping, index)?;
        let obstacle = match folio.try_lock() {
            Err(obstacle) => {
                drop(folio);
                obstacle
            }
            // Whoever got the lock looks first whether the folio still is the page (rule 4).
            Ok(_lock) if !is_page(&folio, mapping, base) => continue,
            Ok(lock) => match Exclusive::freeze(lock, folio) {
                Ok(exclusive) => return Ok((exclusive, base)),
                Err(obstacle) => obstacle,
            },
        };
        core.wait(obstacle, None)?;
    }
}

fn is_page(folio: &FolioRef<'_>, mapping: &Mapping, base: PageIndex) -> bool {
    folio.folio().is(mapping.identity(base)) || broken("write-skips-recheck")
}

fn is_entry(table: &Table, at: Vpn, mapped: Mapped) -> bool {
    table.load(at).is_present(mapped.folio, mapped.page) || broken("write-skips-entry-recheck")
}

/// Writes a [`piece`] that lies within the file, or the first pages of it: how many bytes. What is not
/// cached and is overwritten whole is not read in first (`write/new.rs`); in a folio that others may see
/// one page is written at a time, so that they are not kept out for long. Under the file's resize lock,
/// which is why it does not wait: the caller does, after giving that lock back.
fn try_in_folio<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    start: u64,
    from: &[u8],
    supply: &mut Supply<'c>,
) -> Result<std::result::Result<usize, Obstacle>> {
    let index = PageIndex::of_offset(start);
    let offset = (start - index.offset()) as usize;
    loop {
        let folio = match core.lookup(mapping, index) {
            Found::Folio(folio, base) => (folio, base),
            Found::Blocked(obstacle) => return Ok(Err(obstacle)),
            Found::Saturated => return Err(Error::TooManyReferences.into()),
            Found::Miss => {
                let order = fill::vacant_order(mapping, index);
                let whole = index.align_down(order) == index && from.len() >= folio_bytes(order);
                if offset > 0 || !whole {
                    drop(fault::page(core, mapping, index)?);
                } else if let Some(len) = new::write(core, mapping, index, order, from, supply)? {
                    return Ok(Ok(len));
                }
                continue;
            }
        };
        let (folio, base) = folio;
        let lock = match folio.try_lock() {
            Ok(lock) => lock,
            Err(_) if broken("write-skips-lock") => FolioLock { core, frame: folio.frame },
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        if !is_page(&folio, mapping, base) {
            continue;
        }
        let from = &from[..from.len().min(PAGE_SIZE - offset)];
        let whole = from.len() == PAGE_SIZE && folio.folio().order() == 0;
        if folio.folio().state.has(Flag::POISONED) && !whole {
            return Err(Error::Poisoned { index }.into());
        }
        let exclusive = match Exclusive::freeze(lock, folio) {
            Ok(exclusive) => exclusive,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        exclusive.write((index.0 - base.0) as usize * PAGE_SIZE + offset, from);
        exclusive.folio().state.heal();
        exclusive.dirty(Some(mapping));
        return Ok(Ok(from.len()));
    }
}

/// Writes bytes to a file, which gets longer when they reach beyond its end. The length is shown
/// after the bytes.
///
/// # Errors
/// As [`fault::page`]; what was written before the failure stays written.
#[doc(alias = "generic_perform_write")]
pub(crate) fn to_file(
    core: &Core,
    mapping: &Arc<Mapping>,
    uses: Use,
    from: &[u8],
    offset: u64,
) -> Result<()> {
    core.prefetch_page(mapping, offset);
    let mut starved = 0;
    let mut supply = Supply { spare: Spare::new(from.len() / PAGE_SIZE), uses };
    let mut done = 0;
    let retry = Retry::new();
    while done < from.len() {
        retry.keep(&(done, starved, &supply.spare));
        let at = offset + done as u64;
        let bytes = piece(mapping, at, &from[done..]);
        // The lock is given back before anything is waited for.
        let inside = {
            let _resize = mapping.resize.read();
            (at + bytes.len() as u64 <= mapping.len())
                .then(|| try_in_folio(core, mapping, at, bytes, &mut supply))
        };
        let attempt = inside.unwrap_or_else(|| {
            reclaim::have_room(core);
            try_extend(core, mapping, at, bytes, &mut supply)
        });
        match attempt {
            Ok(Ok(len)) => done += len,
            Ok(Err(obstacle)) => {
                supply.spare.give_back();
                core.wait(obstacle, None)?;
            }
            // Reclaim does not write back a file whose length is being changed: we do.
            Err(error) if starved < STARVED && matches!(*error, Error::NoMemory { .. }) => {
                starved += 1;
                supply.spare.give_back();
                writeback::write_range(core, mapping, 0..u64::MAX, Patience::Wait)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is written next: all of a folio of the file's order; of single pages several, which lie within
/// the file if the first one does; or what lies in one page.
fn piece<'a>(mapping: &Mapping, at: u64, from: &'a [u8]) -> &'a [u8] {
    let folio = folio_bytes(mapping.order);
    let len = if !at.is_multiple_of(folio as u64) || from.len() < folio {
        PAGE_SIZE - (at % PAGE_SIZE as u64) as usize
    } else if mapping.order > 0 {
        folio
    } else {
        let run = new::RUN_BYTES.min(from.len() / PAGE_SIZE * PAGE_SIZE);
        match mapping.len().saturating_sub(at) / PAGE_SIZE as u64 {
            0 => run,
            inside => run.min(inside as usize * PAGE_SIZE),
        }
    };
    &from[..from.len().min(len)]
}

/// How often a write that found no free frame writes its own file back and tries again.
const STARVED: u32 = 64;

/// As [`try_in_folio`], where the last byte lies beyond the end of the file.
fn try_extend<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    start: u64,
    bytes: &[u8],
    supply: &mut Supply<'c>,
) -> Result<std::result::Result<usize, Obstacle>> {
    let _resize = mapping.resize.write();
    let len = mapping.len();
    let end = start + bytes.len() as u64;
    if start > len
        && let Err(obstacle) = truncate::try_zero_behind_end(core, mapping)?
    {
        return Ok(Err(obstacle));
    }
    mapping.set_reach(end.max(len));
    if broken("length-before-bytes") {
        mapping.set_len(end.max(len));
    }
    let attempt = try_in_folio(core, mapping, start, bytes, supply);
    let mut now = len;
    if let Ok(Ok(written)) = attempt {
        now = len.max(start + written as u64);
        mapping.set_len(now);
    }
    if now < end {
        // What was read in for what is not written lies behind the end.
        mapping.set_reach(now);
        let behind = PageIndex::count(now)..u64::MAX;
        truncate::take_out(core, mapping, behind, truncate::Dirty::Dropped)?;
    }
    attempt
}

/// Writes bytes that lie within one page of a view.
pub(crate) fn in_view_page(
    core: &Core,
    table: &Arc<Table>,
    at: Vpn,
    offset: usize,
    from: &[u8],
) -> Result<()> {
    let mapping = match &table.backing {
        Backing::File { mapping, .. } => Some(mapping),
        Backing::Anonymous { .. } => None,
    };
    // (A model need not try what one more look at the entry meets.)
    if let (false, Some(mapped)) = (cfg!(refolio_model), table.load(at).mapped()) {
        core.prefetch(mapped.folio.add(mapped.page), offset);
    }
    let retry = Retry::new();
    loop {
        retry.anew();
        let (folio, mapped) = fault::entry(core, table, at, true)?;
        let obstacle = match folio.try_lock() {
            Err(obstacle) => {
                drop(folio);
                obstacle
            }
            // The lock of the folio is the lock of its entries.
            Ok(_lock) if !is_entry(table, at, mapped) => continue,
            Ok(lock) => match Exclusive::freeze(lock, folio) {
                Err(obstacle) => obstacle,
                Ok(exclusive) => {
                    exclusive.write(mapped.page as usize * PAGE_SIZE + offset, from);
                    table.update(at, |entry| match entry {
                        Entry::Present(m) => {
                            let written = Mapped { dirty: true, ..m };
                            Some(Entry::Present(written))
                        }
                        _ => None,
                    });
                    let anonymous = exclusive.folio().state.has(Flag::ANON);
                    let file = if anonymous { None } else { mapping };
                    exclusive.dirty(file.map(|mapping| &**mapping));
                    return Ok(());
                }
            },
        };
        core.wait(obstacle, None)?;
    }
}
