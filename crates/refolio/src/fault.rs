//! Absent → present: a page that is needed and not there.
//!
//! Into a file's mapping ([`page`]):
//! ```text
//! alloc     a folio, locked, not up to date (reclaims when the nodes are full)
//! insert    i_pages lock: slot still vacant, index still in the file? then store   undo: take out
//! read      from the store; zeros beyond what it has
//! show      up to date; on the LRU; unlock, which wakes whoever waited for the bytes
//! ```
//! Others find the folio from `insert` on and wait for its lock (without a reference).
//!
//! Into a table ([`entry`]): load entry, take a reference, load entry again; an empty entry is
//! filled under the folio lock and the table's lock; a migration entry is waited for; a write to a
//! page that a private view shares with its file gets a copy of its own.

use std::io;

use crate::core::{Core, FolioLock, FolioRef, Found, Fresh, Why};
use crate::error::{Error, Result};
use crate::folio::state::{Flag, Get};
use crate::mapping::Mapping;
use crate::reclaim;
use crate::sync::{Arc, Retry, broken, reached};
use crate::table::entry::{Entry, Mapped};
use crate::table::{Backing, Sharing, Table};
use crate::units::{FrameNo, MAX_ORDER, PageIndex, Vpn, folio_bytes, pages};
use refolio_xarray as xarray;

/// The folio of page `index`, up to date, and the index of its first page; read in when it is not
/// cached.
#[doc(alias = "filemap_fault")]
#[doc(alias = "read_cache_folio")]
#[inline]
pub(crate) fn page<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
) -> Result<(FolioRef<'c>, PageIndex)> {
    match cached(core, mapping, index) {
        Some(folio) => Ok((folio, index)),
        None => get_page(core, mapping, index),
    }
}

/// The folio of a single page that is cached and up to date, if nothing stands in the way.
#[inline]
pub(crate) fn cached<'c>(
    core: &'c Core,
    mapping: &Mapping,
    index: PageIndex,
) -> Option<FolioRef<'c>> {
    cached_in(core, core.hints.get(mapping, index)?, mapping, index)
}

/// The same, if that is in `frame`.
#[inline]
pub(crate) fn cached_in<'c>(
    core: &'c Core,
    frame: FrameNo,
    mapping: &Mapping,
    index: PageIndex,
) -> Option<FolioRef<'c>> {
    let folio = core.folios.find(frame)?;
    let is_it = || folio.is(mapping.id, index) || broken("hint-believed");
    if !folio.state.try_get_readable(is_it) {
        return None;
    }
    reached("by its hint");
    Some(FolioRef { core, frame, folio })
}

/// [`page`] for everything else.
#[inline(never)]
pub(crate) fn get_page<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
) -> Result<(FolioRef<'c>, PageIndex)> {
    loop {
        let retry = Retry::new();
        match core.lookup(mapping, index) {
            Found::Folio(folio, base) => {
                let state = folio.folio().state.load();
                if state.has(Flag::POISONED) {
                    return Err(Error::Poisoned { index });
                }
                if state.has(Flag::UPTODATE) {
                    folio.folio().state.mark_referenced(state);
                    return Ok((folio, base));
                }
                // Somebody fills it. (If that fails, the folio is gone from its slot.)
                let obstacle = core.obstacle(folio.frame, Why::Locked);
                drop(folio);
                core.wait_anew(obstacle, &retry)?;
            }
            Found::Blocked(obstacle) => core.wait_anew(obstacle, &retry)?,
            Found::Saturated => return Err(Error::TooManyReferences),
            Found::Miss => {
                if let Some(filled) = fill(core, mapping, index)? {
                    return Ok(filled);
                }
            }
        }
    }
}

/// Reads a page that is not cached in from the store; None when somebody else was first.
fn fill<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
) -> Result<Option<(FolioRef<'c>, PageIndex)>> {
    let Some((fresh, base)) = insert(core, mapping, index)? else { return Ok(None) };
    core.events.pgmajfault.add(fresh.folio.folio().pages());
    if broken("uptodate-before-bytes") {
        fresh.folio.folio().state.mark_uptodate();
    }
    match read(core, mapping, &fresh, base) {
        Ok(()) => Ok(Some((show(core, fresh), base))),
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
    let base = index.align_down(order);
    let frame = fresh.folio.frame;
    let folio = fresh.folio.folio();

    let mut slots = mapping.pages.lock();
    let pages = PageIndex::count(mapping.reach());
    if index.0 >= pages && !broken("fill-beyond-the-end") {
        return Err(Error::OutOfRange { index, pages });
    }
    if items_in(&slots, base, order) && !broken("insert-skips-look") {
        return Ok(None);
    }
    let shadow = slots.load(index.0);
    folio.set_identity(mapping.identity(base));
    folio.state.get_more(folio.pages());
    let item = xarray::Entry::item(u64::from(frame.0));
    if slots.store(base.0, order, item).is_err() {
        // A shadow of a larger folio lies over the slot: it has to go first.
        slots.erase(base.0);
        if slots.store(base.0, order, item).is_err() {
            unreachable!("a vacant slot takes an entry");
        }
    }
    mapping.nr_pages.add(folio.pages());
    core.node_of(frame).counters.nr_file_pages.add(folio.pages());
    drop(slots);
    if shadow.is_some_and(|shadow| reclaim::is_refault(core, shadow)) {
        core.events.workingset_refault.add(folio.pages());
        folio.state.set(Flag::ACTIVE);
    }
    Ok(Some((fresh, base)))
}

/// The order of the largest folio, up to the file's, that fits around `index` beside what is
/// cached.
fn vacant_order(mapping: &Mapping, index: PageIndex) -> u32 {
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

fn read(core: &Core, mapping: &Mapping, fresh: &Fresh<'_>, base: PageIndex) -> Result<()> {
    let len = folio_bytes(fresh.folio.folio().order());
    let mut bytes = core.frames.fill_buf(fresh.folio.frame, len);
    let stored = mapping.stored();
    let wanted = stored.saturating_sub(base.offset()).min(len as u64) as usize;
    let mut done = 0;
    while done < wanted {
        let offset = base.offset() + done as u64;
        let failed = |source| Error::Io { doing: "reading", name: mapping.store().name(), source };
        match mapping.store().read(offset, &mut bytes.part(done..wanted)) {
            // Being truncated through the cache: see below.
            Ok(0) if offset >= mapping.reach() => break,
            Ok(0) => {
                let name = mapping.store().name();
                return Err(Error::Shrunk { name, offset, len_bytes: stored });
            }
            Ok(n) => done = wanted.min(done + n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.zero(done..len);
    // Cut off meanwhile: nobody shall take these zeros for its bytes. (Where the file was cut
    // within the folio, `read::from_file` stops at the new end.)
    if base.offset() >= mapping.reach() && !broken("fill-beyond-the-end") {
        return Err(Error::OutOfRange { index: base, pages: PageIndex::count(mapping.reach()) });
    }
    Ok(())
}

/// Shows a new folio, whose bytes are there, to everybody.
pub(crate) fn show<'c>(core: &'c Core, fresh: Fresh<'c>) -> FolioRef<'c> {
    let Fresh { lock, folio } = fresh;
    folio.folio().state.mark_uptodate();
    if let Some(identity) = folio.folio().identity() {
        core.hints.set(identity, folio.folio().pages(), folio.frame);
    }
    core.lru_of(folio.frame).add(&core.folios, folio.frame);
    drop(lock);
    folio
}

/// Takes a new folio, which got no bytes, out of its slot again.
pub(crate) fn take_out(core: &Core, mapping: &Mapping, fresh: Fresh<'_>, base: PageIndex) {
    let folio = fresh.folio.folio();
    let mut slots = mapping.pages.lock();
    folio.state.bump_version();
    slots.erase(base.0);
    folio.clear_identity();
    drop(slots);
    mapping.nr_pages.sub(folio.pages());
    core.node_of(fresh.folio.frame).counters.nr_file_pages.sub(folio.pages());
    core.put_many(fresh.folio.frame, folio.pages());
}

/// The folio that an entry names, with which of its pages, ready to be read (or written: then
/// through a writable entry).
#[doc(alias = "handle_mm_fault")]
#[doc(alias = "gup_fast")]
pub(crate) fn entry<'c>(
    core: &'c Core,
    table: &Arc<Table>,
    at: Vpn,
    write: bool,
) -> Result<(FolioRef<'c>, Mapped)> {
    let retry = Retry::new();
    loop {
        retry.anew();
        match table.load(at) {
            Entry::Present(mapped) if !write || mapped.writable => {
                match use_entry(core, table, at, mapped)? {
                    Some(folio) => return Ok((folio, mapped)),
                    None => continue,
                }
            }
            Entry::Present(mapped) => copy_on_write(core, table, at, mapped)?,
            Entry::Migration(mapped) => wait_for_migration(core, table, at, mapped)?,
            Entry::Empty => {
                core.events.pgfault.add(1);
                match &table.backing {
                    Backing::Anonymous { order } => map_anonymous(core, table, at, *order)?,
                    Backing::File { mapping, first, sharing, writable } => {
                        let index = PageIndex(first.0 + at.0);
                        let writable = *writable && *sharing == Sharing::Shared;
                        map_file(core, table, at, mapping, index, writable)?;
                    }
                }
            }
        }
    }
}

/// Entry, reference, entry again: None when it has changed meanwhile.
fn use_entry<'c>(
    core: &'c Core,
    table: &Table,
    at: Vpn,
    mapped: Mapped,
) -> Result<Option<FolioRef<'c>>> {
    let state = &core.folio(mapped.folio).state;
    match state.try_get() {
        Get::Saturated => Err(Error::TooManyReferences),
        Get::Frozen => {
            let obstacle = core.obstacle(mapped.folio, Why::Frozen);
            if table.load(at).is_present(mapped.folio, mapped.page) {
                core.wait(obstacle, None)?;
            }
            Ok(None)
        }
        Get::Got => {
            let folio = FolioRef { core, frame: mapped.folio, folio: core.folio(mapped.folio) };
            let still = table.load(at).is_present(mapped.folio, mapped.page);
            if !still && !broken("entry-skips-recheck") {
                return Ok(None);
            }
            let now = state.load();
            if now.has(Flag::POISONED) {
                return Err(Error::Poisoned { index: PageIndex(at.0) });
            }
            state.mark_referenced(now);
            if !mapped.accessed {
                let accessed = Entry::Present(Mapped { accessed: true, ..mapped });
                // It is a hint: whoever changes the entry at this moment may have it his way.
                let _ = table.exchange(at, Entry::Present(mapped), accessed);
            }
            Ok(Some(folio))
        }
    }
}

/// Waits, without a reference, until the folio is unlocked that the migration entry names. The
/// mover makes the entry present again before it unlocks.
#[doc(alias = "migration_entry_wait")]
fn wait_for_migration(core: &Core, table: &Table, at: Vpn, mapped: Mapped) -> Result<()> {
    let obstacle = core.obstacle(mapped.folio, Why::Locked);
    if table.load(at) == Entry::Migration(mapped) {
        core.wait(obstacle, None)?;
    }
    Ok(())
}

/// New zeroed memory for an empty entry, or for all the entries of an aligned run when they all are
/// empty.
#[doc(alias = "do_anonymous_page")]
fn map_anonymous(core: &Core, table: &Arc<Table>, at: Vpn, order: u32) -> Result<()> {
    let mut order = order.min(MAX_ORDER);
    loop {
        let base = Vpn(PageIndex(at.0).align_down(order).0);
        let empty = |vpn| table.load(Vpn(vpn)) == Entry::Empty;
        let run = base.0..base.0 + u64::from(pages(order));
        let fits = run.end <= table.pages() && run.clone().all(empty);
        let fresh = if fits || order == 0 {
            reclaim::alloc(core, order, &[Flag::ANON])
        } else {
            Err(Error::NoMemory { order, why: "the run is in use" })
        };
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(_) if order > 0 => {
                order = 0;
                continue;
            }
            Err(error) => return Err(error),
        };
        let frame = fresh.folio.frame;
        core.frames.zero(frame, 0, folio_bytes(order));
        let filling = table.lock();
        if !run.clone().all(empty) && !broken("anonymous-skips-look") {
            if order == 0 {
                return Ok(());
            }
            drop(filling);
            order = 0;
            continue;
        }
        publish_anonymous(core, table, &fresh, base);
        drop(filling);
        drop(show(core, fresh));
        return Ok(());
    }
}

/// Fills the empty entries from `base` on with the pages of a new anonymous folio. Under the
/// table's lock and the folio's.
fn publish_anonymous(core: &Core, table: &Arc<Table>, fresh: &Fresh<'_>, base: Vpn) {
    let folio = fresh.folio.folio();
    let frame = fresh.folio.frame;
    folio.state.get_more(folio.pages());
    folio.state.mark_uptodate();
    core.tables.mapped(&core.folios, frame, table, base, folio.pages());
    for page in 0..folio.pages() {
        let at = Vpn(base.0 + u64::from(page));
        table.fill(at, new_entry(frame, page, true));
    }
}

fn new_entry(folio: FrameNo, page: u32, writable: bool) -> Mapped {
    Mapped { folio, page, writable, accessed: true, dirty: false }
}

/// A file's page into an empty entry.
#[doc(alias = "do_read_fault")]
fn map_file(
    core: &Core,
    table: &Arc<Table>,
    at: Vpn,
    mapping: &Arc<Mapping>,
    index: PageIndex,
    writable: bool,
) -> Result<()> {
    loop {
        let retry = Retry::new();
        let (folio, base) = page(core, mapping, index)?;
        let lock = match folio.try_lock() {
            Ok(lock) => lock,
            Err(obstacle) => {
                drop(folio);
                core.wait_anew(obstacle, &retry)?;
                continue;
            }
        };
        // Whoever got the lock looks first whether the folio still is the page (rule 4).
        let len_pages = PageIndex::count(mapping.len());
        if index.0 >= len_pages && !broken("fault-skips-length") {
            return Err(Error::OutOfRange { index, pages: len_pages });
        }
        if !folio.folio().is(mapping.id, base) && !broken("fault-skips-recheck") {
            continue;
        }
        let filling = table.lock();
        if table.load(at) == Entry::Empty || broken("fault-skips-look") {
            let page = (index.0 - base.0) as u32;
            folio.folio().state.get_more(u32::from(!broken("entry-without-reference")));
            let first = Vpn(at.0.wrapping_sub(u64::from(page)));
            core.tables.mapped(&core.folios, folio.frame, table, first, 1);
            table.fill(at, new_entry(folio.frame, page, writable));
        }
        drop(filling);
        drop(lock);
        return Ok(());
    }
}

/// A page of its own for a private view that writes to a page of its file.
#[doc(alias = "wp_page_copy")]
fn copy_on_write(core: &Core, table: &Arc<Table>, at: Vpn, mapped: Mapped) -> Result<()> {
    match &table.backing {
        Backing::File { sharing: Sharing::Private, .. } => {}
        Backing::File { mapping, .. } => {
            return Err(Error::ReadOnly { name: mapping.store().name() });
        }
        Backing::Anonymous { .. } => unreachable!("anonymous entries are writable"),
    }
    let fresh = reclaim::alloc(core, 0, &[Flag::ANON])?;
    let Some(source) = use_entry(core, table, at, mapped)? else { return Ok(()) };
    // Two folio locks: the source, and a folio that nobody else can see.
    let lock = match source.try_lock() {
        Ok(lock) => lock,
        Err(_) if broken("copy-skips-lock") => FolioLock { core, frame: source.frame },
        Err(obstacle) => {
            drop((source, fresh));
            core.wait(obstacle, None)?;
            return Ok(());
        }
    };
    let copy = fresh.folio.frame;
    core.frames.copy(mapped.folio.add(mapped.page), copy, folio_bytes(0));
    let folio = fresh.folio.folio();
    folio.state.get_more(1);
    folio.state.mark_uptodate();
    let own = Entry::Present(new_entry(copy, 0, true));
    if core.tables.replace(&core.folios, table, at, mapped, own) {
        core.tables.mapped(&core.folios, copy, table, at, 1);
        if !broken("copy-keeps-reference") {
            core.put(mapped.folio);
        }
        drop(lock);
        drop(show(core, fresh));
    } else {
        core.put(copy);
    }
    Ok(())
}
