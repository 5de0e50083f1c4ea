//! Tables: what views know of their pages, and who maps a folio.
//!
//! A view is a [`Table`] of [`Entry`] words, indexed by the page of the view. Anonymous memory is
//! known to such entries only; a file's page may be mapped by any number of them. The way back,
//! from a folio to its entries, is the [`Rmap`].
//!
//! **Who changes an entry**
//! - Empty → Present: under the table's lock, and the lock of the folio that it will name.
//! - Present ⇄ Migration, Present → Empty, a write made possible: under the lock of the folio that
//!   it names. That lock is the entry's lock, too: migration, truncation, eviction and the end of
//!   the view take it, so none of them meets another one half-way.
//! - The accessed bit: by whoever uses the entry.
//!
//! Each present entry holds one reference to its folio and counts in its `mapped`; migration
//! entries do neither.

pub(crate) mod entry;
pub(crate) mod rmap;
#[cfg(all(test, not(refolio_model)))]
mod tests;

use crate::folio::Folios;
use crate::folio::state::Put;
use crate::mapping::Mapping;
use crate::sync::{
    AcqRel, Acquire, Arc, AtomicU64, Mutex, MutexGuard, Relaxed, Release, broken, call, rule,
};
use crate::units::{FrameNo, PageIndex, Vpn};
use entry::{Entry, Mapped};
use rmap::{Rmap, Site, Sites};

/// What a write through a view of a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// It changes the file.
    Shared,
    /// It makes a copy of the page that only this view sees.
    Private,
}

/// Where a table's pages come from.
#[derive(Debug)]
pub(crate) enum Backing {
    /// Zeroed memory, in folios of this order where a whole one fits.
    Anonymous { order: u32 },
    /// The pages of a file from `first` on.
    File { mapping: Arc<Mapping>, first: PageIndex, sharing: Sharing, writable: bool },
}

/// The entries of one view.
#[derive(Debug)]
#[doc(alias = "vm_area_struct")]
pub(crate) struct Table {
    entries: Vec<AtomicU64>,
    pub backing: Backing,
    /// Held while empty entries are made present.
    #[doc(alias = "page_table_lock")]
    filling: Mutex<()>,
}

/// Which table it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Table {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        crate::sync::key(&self.filling).hash(state);
    }
}

impl Table {
    /// A table of empty entries; None when there is no memory for it.
    pub fn new(pages: u64, backing: Backing) -> Option<Self> {
        let mut entries = Vec::new();
        let pages = usize::try_from(pages).ok()?;
        entries.try_reserve_exact(pages).ok()?;
        entries.extend((0..pages).map(|_| AtomicU64::new(Entry::Empty.encode())));
        Some(Self { entries, backing, filling: Mutex::new(()) })
    }

    /// Names the entries and the lock in the trace of a model; `view` comes before each name.
    #[cfg(refolio_explore)]
    pub fn christen(&self, view: &str) {
        use crate::model::names;
        for (at, word) in self.entries.iter().enumerate() {
            crate::sync::name(word, || format!("{view}entry {at}"), names::entry);
        }
        crate::sync::name(&self.filling, || format!("{view}page table"), names::nothing);
    }

    pub fn pages(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The entry of page `at`; empty outside of the view.
    #[inline]
    pub fn load(&self, at: Vpn) -> Entry {
        // Acquire: pairs with the Release that made the entry present; the folio is as its mapper
        // left it.
        let order = if broken("entry-load-relaxed") { Relaxed } else { Acquire };
        self.entries.get(at.0 as usize).map_or(Entry::Empty, |word| Entry::decode(word.load(order)))
    }

    /// Exchanges an entry if it is still what it was.
    pub fn exchange(&self, at: Vpn, from: Entry, to: Entry) -> bool {
        self.entries.get(at.0 as usize).is_some_and(|word| {
            // AcqRel: Release, for `load`; Acquire, because an unmapper goes on to the bytes.
            let order = if broken("entry-exchange-relaxed") { Relaxed } else { AcqRel };
            word.compare_exchange(from.encode(), to.encode(), order, Relaxed).is_ok()
        })
    }

    /// Changes what an entry says, unless `change` has nothing to say about it; the entry before.
    /// Only the accessed bit can change meanwhile: whoever calls holds the lock of the entry.
    pub fn update(&self, at: Vpn, change: impl Fn(Entry) -> Option<Entry>) -> Option<Entry> {
        loop {
            let before = self.load(at);
            if self.exchange(at, before, change(before)?) {
                return Some(before);
            }
        }
    }

    /// Keeps empty entries empty but for the caller.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        self.filling.lock()
    }

    /// Makes an empty entry present. Under [`lock`](Self::lock).
    pub fn fill(&self, at: Vpn, mapped: Mapped) {
        rule(self.load(at) == Entry::Empty, "an entry is filled that was empty");
        if let Some(word) = self.entries.get(at.0 as usize) {
            // Release: see `load`.
            let order = if broken("entry-fill-relaxed") { Relaxed } else { Release };
            word.store(Entry::Present(mapped).encode(), order);
        }
    }
}

/// The way from folios to entries.
#[derive(Debug)]
pub(crate) struct Tables {
    pub rmap: Rmap,
}

impl Tables {
    /// For so many frames; None when there is no memory for that.
    pub fn new(frames: usize) -> Option<Self> {
        Some(Self { rmap: Rmap::new(frames)? })
    }

    /// Turns every present entry of a folio into a migration entry, and gives their references
    /// back. Under the folio lock, with a reference of the caller's own.
    #[doc(alias = "try_to_migrate")]
    pub fn unmap_to_migrate<'c>(
        &'c self,
        folios: &'c Folios,
        folio: FrameNo,
    ) -> MigrationEntries<'c> {
        let mut entries = MigrationEntries {
            tables: self,
            folios,
            source: folio,
            owner: folio,
            sites: Sites::None,
        };
        if folios.get(folio).mapped() > 0 && !broken("migrate-skips-unmap") {
            entries.sites = self.rmap.take(folio);
            call(|| self.change(folios, folio, &entries.sites, Entry::Migration));
        }
        entries
    }

    /// Empties every present entry of a folio, and gives their references back. Under the folio
    /// lock, with a reference of the caller's own.
    #[doc(alias = "try_to_unmap")]
    pub fn unmap(&self, folios: &Folios, folio: FrameNo) {
        if folios.get(folio).mapped() > 0 {
            call(|| {
                let sites = self.rmap.take(folio);
                self.change(folios, folio, &sites, |_| Entry::Empty);
            });
        }
    }

    fn change(
        &self,
        folios: &Folios,
        folio: FrameNo,
        sites: &[Site],
        to: impl Fn(Mapped) -> Entry,
    ) {
        let descriptor = folios.get(folio);
        let mut changed = 0;
        for site in sites.iter().take(if broken("one-view-unmapped") { 1 } else { sites.len() }) {
            for page in 0..if broken("one-page-unmapped") { 1 } else { descriptor.pages() } {
                let change = |entry: Entry| match entry {
                    Entry::Present(m) if entry.is_present(folio, page) => Some(to(m)),
                    _ => None,
                };
                changed += u32::from(site.table.update(site.at(page), change).is_some());
            }
        }
        descriptor.add_mapped(-(changed as i32));
        if changed > 0 {
            match descriptor.state.put_many(changed) {
                Put::Others { wake } => folios.wake(folio, crate::folio::state::Wake(wake)),
                Put::Last => rule(false, "the unmapper holds a reference of its own"),
            }
        }
    }

    /// Empties one entry, which names a folio whose lock the caller holds; whether it did. The
    /// entry's reference is the caller's then.
    #[doc(alias = "zap_present_ptes")]
    #[must_use]
    pub fn zap(&self, folios: &Folios, table: &Arc<Table>, at: Vpn, mapped: Mapped) -> bool {
        self.replace(folios, table, at, mapped, Entry::Empty)
    }

    /// Makes an entry say something else than page `mapped.page` of a folio whose lock the caller
    /// holds; whether it did. The entry's reference to that folio is the caller's then.
    #[must_use]
    pub fn replace(
        &self,
        folios: &Folios,
        table: &Arc<Table>,
        at: Vpn,
        mapped: Mapped,
        to: Entry,
    ) -> bool {
        let present = |entry: Entry| entry.is_present(mapped.folio, mapped.page);
        call(|| {
            if table.update(at, |entry| present(entry).then_some(to)).is_none() {
                return false;
            }
            self.rmap.remove(mapped.folio, table, Vpn(at.0.wrapping_sub(u64::from(mapped.page))));
            folios.get(mapped.folio).add_mapped(-1);
            true
        })
    }

    /// Writes down that `count` entries of `table` from page 0 of the folio at `base` on are
    /// present. Under the folio lock; the references are counted already.
    pub fn mapped(
        &self,
        folios: &Folios,
        folio: FrameNo,
        table: &Arc<Table>,
        base: Vpn,
        count: u32,
    ) {
        call(|| {
            self.rmap.add(folio, table, base, count);
            folios.get(folio).add_mapped(count as i32);
        });
    }
}

/// The migration entries of one folio. Dropping it makes them present again, for whoever owns the
/// page then: the source, or after [`retarget`](Self::retarget) the destination.
#[derive(Debug)]
pub(crate) struct MigrationEntries<'c> {
    tables: &'c Tables,
    folios: &'c Folios,
    source: FrameNo,
    owner: FrameNo,
    sites: Sites,
}

/// The entries, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for MigrationEntries<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.sites.hash(state);
    }
}

impl MigrationEntries<'_> {
    /// The page has moved: the entries shall name `destination`, whose lock the caller holds.
    pub fn retarget(&mut self, destination: FrameNo) {
        self.owner = destination;
    }

    /// Makes the entries present again.
    fn restore(&self, sites: Sites) {
        let owner = self.folios.get(self.owner);
        // The references first: a present entry without one could be used.
        let entries = sites.iter().map(|site| site.entries).sum();
        owner.state.get_more(entries);
        owner.add_mapped(entries as i32);
        let mut restored = 0;
        for site in sites.iter() {
            for page in 0..owner.pages() {
                let restore = |entry: Entry| match entry {
                    Entry::Migration(m) if m.folio == self.source && m.page == page => {
                        let writable = m.writable || broken("restored-writable");
                        let dirty = m.dirty && !broken("restored-clean");
                        Some(Entry::Present(Mapped { folio: self.owner, writable, dirty, ..m }))
                    }
                    _ => None,
                };
                restored += u32::from(site.table.update(site.at(page), restore).is_some());
            }
        }
        rule(restored == entries, "an entry changed that only its migrator may change");
        self.tables.rmap.put(self.owner, sites);
    }
}

impl Drop for MigrationEntries<'_> {
    #[doc(alias = "remove_migration_ptes")]
    fn drop(&mut self) {
        let sites = std::mem::take(&mut self.sites);
        if sites.is_empty() || broken("entries-left-behind") {
            return;
        }
        if self.owner == self.source && broken("undo-forgets-entries") {
            return;
        }
        call(|| self.restore(sites));
    }
}
