//! Absent → present: a page that is needed and not there.
//!
//! Into a file's mapping ([`page`]): looked up, and filled when it is not cached (`fill.rs`); who
//! finds it while it is being filled waits for its lock, without a reference.
//!
//! Into a table ([`entry`]): load entry, take a reference, load entry again; an empty entry is
//! filled under the folio lock and the table's lock; a migration entry is waited for; a write to a
//! page that a private view shares with its file gets a copy of its own.

use crate::core::{Core, FolioLock, FolioRef, Found, Fresh, Why};
use crate::error::{Error, Result};
use crate::fill;
use crate::folio::Use;
use crate::folio::state::{Flag, Get};
use crate::mapping::Mapping;
use crate::reclaim;
use crate::sync::{Arc, Retry, broken, call};
use crate::table::entry::{Entry, Mapped};
use crate::table::{Backing, Sharing, Table};
use crate::units::{FrameNo, MAX_ORDER, PageIndex, Vpn, folio_bytes, pages};

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
    call(|| match cached(core, mapping, index) {
        Some(folio) => Ok((folio, index)),
        None => get_page(core, mapping, index, Use::Counts),
    })
}

/// The same, for who reads the file from front to back.
pub(crate) fn passing_page<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
) -> Result<(FolioRef<'c>, PageIndex)> {
    call(|| get_page(core, mapping, index, Use::Passing))
}

/// The folio of a single page that is cached and up to date, if nothing stands in the way.
#[inline]
pub(crate) fn cached<'c>(
    core: &'c Core,
    mapping: &Mapping,
    index: PageIndex,
) -> Option<FolioRef<'c>> {
    let page = mapping.identity(index);
    core.hinted(page)?.get(page)
}

/// [`page`] for everything else.
#[inline(never)]
fn get_page<'c>(
    core: &'c Core,
    mapping: &Arc<Mapping>,
    index: PageIndex,
    uses: Use,
) -> Result<(FolioRef<'c>, PageIndex)> {
    let retry = Retry::new();
    loop {
        retry.anew();
        match core.lookup(mapping, index) {
            Found::Folio(folio, base) => {
                let state = folio.folio().state.used(uses);
                if state.has(Flag::POISONED) {
                    return Err(Error::Poisoned { index }.into());
                }
                if state.has(Flag::UPTODATE) {
                    if uses == Use::Counts {
                        core.hints.set(mapping.identity(index), 1, folio.frame);
                    }
                    return Ok((folio, base));
                }
                // Somebody fills it. (If that fails, the folio is gone from its slot.)
                let obstacle = core.obstacle(folio.frame, Why::Locked);
                drop(folio);
                core.wait(obstacle, None)?;
            }
            Found::Blocked(obstacle) => {
                core.wait(obstacle, None)?;
            }
            Found::Saturated => return Err(Error::TooManyReferences.into()),
            Found::Miss => {
                if let Some(filled) = fill::fill(core, mapping, index, uses)? {
                    return Ok(filled);
                }
            }
        }
    }
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
    call(|| get_entry(core, table, at, write))
}

fn get_entry<'c>(
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
                match call(|| use_entry(core, table, at, mapped))? {
                    Some(folio) => return Ok((folio, mapped)),
                    None => continue,
                }
            }
            Entry::Present(mapped) => call(|| copy_on_write(core, table, at, mapped))?,
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
        Get::Saturated => Err(Error::TooManyReferences.into()),
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
            if state.used(Use::Counts).has(Flag::POISONED) {
                return Err(Error::Poisoned { index: PageIndex(at.0) }.into());
            }
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
            Err(Error::NoMemory { order, why: "the run is in use" }.into())
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
        drop(fill::show(core, fresh));
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
    let retry = Retry::new();
    loop {
        retry.anew();
        let (folio, base) = page(core, mapping, index)?;
        let lock = match folio.try_lock() {
            Ok(lock) => lock,
            Err(obstacle) => {
                drop(folio);
                core.wait(obstacle, None)?;
                continue;
            }
        };
        // Whoever got the lock looks first whether the folio still is the page (rule 4).
        let len_pages = PageIndex::count(mapping.len());
        if index.0 >= len_pages && !broken("fault-skips-length") {
            return Err(Error::OutOfRange { index, pages: len_pages }.into());
        }
        if !folio.folio().is(mapping.identity(base)) && !broken("fault-skips-recheck") {
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
            return Err(Error::ReadOnly { name: mapping.store().name() }.into());
        }
        Backing::Anonymous { .. } => unreachable!("anonymous entries are writable"),
    }
    let fresh = call(|| reclaim::alloc(core, 0, &[Flag::ANON]))?;
    let Some(source) = call(|| use_entry(core, table, at, mapped))? else { return Ok(()) };
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
    drop(core.frames.copy(mapped.folio.add(mapped.page), copy, folio_bytes(0)));
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
        drop(fill::show(core, fresh));
    } else {
        core.put(copy);
    }
    Ok(())
}
