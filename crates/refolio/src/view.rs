//! Views: memory that is used through a table.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::Location;

use crate::cache::Inner;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::holder::Held;
use crate::page::Page;
use crate::passes::{self, Migrate};
use crate::place::Place;
use crate::report::Report;
use crate::still::StillPage;
use crate::sync::Arc;
use crate::table::entry::Entry;
use crate::table::{Backing, Table};
use crate::units::{FrameNo, NodeId, PAGE_SIZE, PageIndex, Vpn, pieces};
use crate::{fault, read, write, zap};

/// What a view knows of one of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryState {
    /// The page was never used through this view, or was taken from it.
    Empty,
    /// The page can be used.
    #[non_exhaustive]
    Present {
        /// Where it is.
        frame: FrameNo,
        /// Whether it can be written without a fault.
        writable: bool,
        /// Whether it was written through this view.
        dirty: bool,
    },
    /// The page is being moved: whoever needs it waits.
    #[non_exhaustive]
    Migration {
        /// Where it was.
        frame: FrameNo,
    },
}

/// Pages that are used through a table of entries: of a file ([`File::view`](crate::File::view)),
/// or anonymous ([`Cache::anonymous`](crate::Cache::anonymous)).
///
/// Pages are mapped when they are first used. They can be moved at any time; whoever uses one
/// meanwhile waits for the move (without a reference, so that it does not stand in its way).
/// Dropping the view empties its entries; anonymous pages are freed with them.
///
/// ```
/// use refolio::{Cache, Migrate, NodeId, NodeOptions, Vpn};
///
/// let cache = Cache::builder()
///     .node(NodeOptions::new(1 << 20))
///     .node(NodeOptions::new(1 << 20))
///     .build()?;
/// let memory = cache.anonymous(16, 0)?;
/// memory.write(b"stays the same", 5000)?;
/// let report = memory.migrate(0..16, NodeId(1), &Migrate::new())?;
/// assert_eq!(report.counts().moved, 1);
/// assert_eq!(memory.node_of(Vpn(1)), Some(NodeId(1)));
/// let mut bytes = [0; 14];
/// memory.read(&mut bytes, 5000)?;
/// assert_eq!(&bytes, b"stays the same");
/// # Ok::<(), Box<refolio::Error>>(())
/// ```
#[derive(Debug)]
pub struct View {
    inner: Arc<Inner>,
    table: Arc<Table>,
}

impl View {
    pub(crate) fn new(inner: Arc<Inner>, table: Table) -> Self {
        Self { inner, table: Arc::new(table) }
    }

    fn core(&self) -> &Core {
        &self.inner.core
    }

    /// Pages of the view, used or not.
    pub fn pages(&self) -> u64 {
        self.table.pages()
    }

    fn check(&self, offset: u64, len: usize) -> Result<()> {
        let bytes = self.pages().saturating_mul(PAGE_SIZE as u64);
        match offset.checked_add(len as u64) {
            Some(end) if end <= bytes => Ok(()),
            _ => {
                let index = PageIndex::of_offset(offset.saturating_add(len as u64));
                Err(Error::OutOfRange { index, pages: self.pages() }.into())
            }
        }
    }

    /// Reads from byte `offset` of the view on. Anonymous memory that was never written is zero.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] beyond the view, or beyond the end of its file (where a mapping in
    /// hardware gives SIGBUS); otherwise as [`File::read_at`](crate::File::read_at).
    pub fn read(&self, into: &mut [u8], offset: u64) -> Result<()> {
        self.check(offset, into.len())?;
        read::from_view(self.core(), &self.table, into, offset)
    }

    /// Writes from byte `offset` of the view on: to the file, or to pages of the view's own if it
    /// is private. Waits for pins of the pages.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::ReadOnly`] for a shared view of a read-only handle;
    /// [`Error::Held`] and [`Error::GuardHeld`] when this thread holds pages and would have to wait.
    pub fn write(&self, from: &[u8], offset: u64) -> Result<()> {
        self.check(offset, from.len())?;
        self.core().no_guard_held()?;
        for (index, within, part) in pieces(offset, from.len()) {
            write::in_view_page(self.core(), &self.table, Vpn(index.0), within, &from[part])?;
        }
        Ok(())
    }

    /// Pins a page of the view, mapping it first if need be.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[track_caller]
    pub fn pin(&self, page: Vpn) -> Result<Page<'_>> {
        self.check(PageIndex(page.0).offset(), PAGE_SIZE)?;
        let core = self.core();
        let (folio, mapped) = fault::entry(core, &self.table, page, false)?;
        let intent = core.intent(Location::caller());
        let hold = intent.hold(Held::of(folio.folio));
        Ok(Page::new(StillPage::new(folio, mapped.page, PAGE_SIZE, hold)))
    }

    /// What the view knows of a page at this moment; empty outside of it.
    pub fn entry(&self, page: Vpn) -> EntryState {
        match self.table.load(page) {
            Entry::Empty => EntryState::Empty,
            Entry::Present(m) => EntryState::Present {
                frame: m.folio.add(m.page),
                writable: m.writable,
                dirty: m.dirty,
            },
            Entry::Migration(m) => EntryState::Migration { frame: m.folio.add(m.page) },
        }
    }

    /// The node that a page is on at this moment; None when it is not mapped.
    pub fn node_of(&self, page: Vpn) -> Option<NodeId> {
        let mapped = self.table.load(page).mapped()?;
        Some(self.core().node_of(mapped.folio).id)
    }

    /// Moves the mapped pages of the range to a node; see
    /// [`File::migrate`](crate::File::migrate).
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "mbind")]
    pub fn migrate(&self, pages: Range<u64>, to: NodeId, how: &Migrate<'_>) -> Result<Report> {
        self.inner.migrate(&self.places(pages), to, how)
    }

    /// What [`migrate`](Self::migrate) would answer now, without moving anything.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node.
    pub fn would_move(&self, pages: Range<u64>, to: NodeId) -> Result<Report> {
        let to = passes::node(self.core(), to)?;
        Ok(passes::would_move(self.core(), &self.places(pages), to))
    }

    /// One place for each mapped folio of the range. The entries of a folio need not lie together:
    /// some may have been discarded, and filled again by others.
    fn places(&self, pages: Range<u64>) -> Vec<Place<'_>> {
        let mut folios = BTreeSet::new();
        let mapped = (pages.start..pages.end.min(self.pages())).map(Vpn).filter(|page| {
            let mapped = self.table.load(*page).mapped();
            mapped.is_some_and(|mapped| folios.insert(mapped.folio))
        });
        mapped.map(|page| Place::Table(Cow::Borrowed(&self.table), page)).collect()
    }

    /// Takes pages from the view: anonymous ones are freed and read as zeros from now on, those of
    /// a file are mapped again when they are used.
    ///
    /// # Errors
    /// [`Error::GuardHeld`] when this thread holds a write guard.
    #[doc(alias = "MADV_DONTNEED")]
    pub fn discard(&self, pages: Range<u64>) -> Result<()> {
        self.core().no_guard_held()?;
        zap::zap(self.core(), &self.table, pages)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let core = self.core();
        if zap::zap(core, &self.table, 0..u64::MAX).is_err() {
            // A page is in the hands of this thread's own guard: when that is dropped.
            core.zap_later(self.table.clone());
        }
        if let Backing::File { mapping, .. } = &self.table.backing {
            self.inner.leave(mapping);
        }
    }
}
