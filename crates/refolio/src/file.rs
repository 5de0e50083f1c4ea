//! A file in the cache.

mod many;

use std::borrow::Cow;
use std::ops::Range;
use std::panic::Location;

use crate::ahead::Pattern;
use crate::cache::Inner;
use crate::core::{AtHand, Core, FolioRef};
use crate::error::{Error, Result};
use crate::errseq::Seen;
use crate::evict;
use crate::folio::Use;
use crate::holder::Held;
use crate::mapping::Mapping;
use crate::page::{Page, PageMut};
use crate::passes::{self, Migrate};
use crate::place::Place;
use crate::report::Report;
use crate::still::StillPage;
use crate::sync::Arc;
use crate::table::{Backing, Sharing, Table};
use crate::truncate;
use crate::units::{MAX_FILE_BYTES, NodeId, PAGE_SIZE, PageIndex, pieces};
use crate::view::View;
use crate::writeback::{self, Patience};
use crate::{fault, read, write};

/// A handle to a file whose pages the cache holds.
///
/// Handles to one file share its pages: what one writes, the others read at once. The handle can
/// be used from many threads at a time. Single pages change atomically (a reader sees a write to
/// one page whole or not at all), reads and writes of several pages do not.
///
/// Dropping the last handle writes the file back as well as it can and forgets its pages;
/// [`close`](Self::close) does the same and says what failed. Only [`sync`](Self::sync) makes
/// anything durable.
///
/// ```
/// use refolio::{Cache, MemStore, NodeOptions, OpenOptions};
///
/// let cache = Cache::builder()
///     .node(NodeOptions::new(1 << 20))
///     .node(NodeOptions::new(1 << 20))
///     .build()?;
/// let file = cache.open_store(MemStore::new(), &OpenOptions::new())?;
/// file.write_at(b"hello", 10_000)?;
/// let mut bytes = [0xff; 8];
/// assert_eq!(file.read_at(&mut bytes, 9_997)?, 8);
/// assert_eq!(&bytes, b"\0\0\0hello");
/// file.sync()?;
/// # Ok::<(), Box<refolio::Error>>(())
/// ```
#[derive(Debug)]
pub struct File {
    inner: Arc<Inner>,
    /// That of `inner`.
    core: AtHand,
    mapping: Arc<Mapping>,
    // What changes is elsewhere: so whoever reads in a loop may keep the rest in registers.
    seen: Box<Seen>,
    /// How this handle reads.
    pattern: Box<Pattern>,
    writable: bool,
    closed: bool,
}

impl File {
    pub(crate) fn new(inner: Arc<Inner>, mapping: Arc<Mapping>, writable: bool) -> Self {
        let seen = Box::new(mapping.errors.sample());
        let (core, pattern) = (AtHand::new(inner.core.clone()), Box::<Pattern>::default());
        Self { core, inner, mapping, seen, pattern, writable, closed: false }
    }

    fn core(&self) -> &Core {
        &self.core
    }

    /// The number of the file in its cache, as reports name it. The same for all handles; reused
    /// after the last one is gone.
    pub fn number(&self) -> u32 {
        self.mapping.id
    }

    /// Bytes in the file.
    #[inline]
    pub fn len(&self) -> u64 {
        self.mapping.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pages of the file that are cached.
    pub fn cached_pages(&self) -> u64 {
        self.mapping.nr_pages.get()
    }

    /// Reads from byte `offset` on; how many bytes there were: fewer than asked for only at the end
    /// of the file. Pages that are not cached are read in.
    ///
    /// Takes no reference to pages that are cached, and writes nothing that other threads read: it
    /// neither delays a move nor another reader.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Shrunk`] from the store, [`Error::NoMemory`], [`Error::Poisoned`],
    /// and [`Error::GuardHeld`] for a page in the hands of a write guard when this thread has one.
    #[doc(alias = "pread")]
    #[inline(always)]
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        if read::hinted(&self.core, &self.mapping, into, offset) {
            return Ok(into.len());
        }
        self.read_otherwise(into, offset)
    }

    #[cold]
    #[inline(never)]
    fn read_otherwise(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        read::from_file(self.core(), &self.mapping, &self.pattern, into, offset)
    }

    /// Begins to bring the byte at `offset` from memory to the processor's caches, with what it
    /// takes to read it or to pin its page; does not wait for it. Who knows which pages come next
    /// asks for them a few ahead: then they are waited for together.
    ///
    /// Nothing but speed depends on it. It does nothing for pages that are not cached (that is what
    /// [`load`](Self::load) is for), and little for those of large folios.
    ///
    /// ```
    /// # use refolio::{Cache, MemStore, NodeOptions, OpenOptions, PageIndex};
    /// # let cache = Cache::builder().node(NodeOptions::new(1 << 20))
    /// #     .node(NodeOptions::new(1 << 20)).build()?;
    /// # let file = cache.open_store(MemStore::with_bytes(vec![7; 1 << 18]), &OpenOptions::new())?;
    /// let wanted = [40_000, 8_200, 120_000, 70_003, 250_000, 16_000];
    /// let mut byte = [0];
    /// for (n, offset) in wanted.iter().enumerate() {
    ///     if let Some(ahead) = wanted.get(n + 4) {
    ///         file.prefetch(*ahead);
    ///     }
    ///     file.read_at(&mut byte, *offset)?;
    ///     assert_eq!(byte, [7]);
    /// }
    /// # Ok::<(), Box<refolio::Error>>(())
    /// ```
    #[inline(always)]
    pub fn prefetch(&self, offset: u64) {
        self.core().prefetch_page(&self.mapping, offset);
    }

    /// Writes all of `from` at byte `offset`; the file gets longer where that is beyond its end.
    /// The store has the bytes after the next [`sync`](Self::sync), or earlier.
    ///
    /// Waits for pins of the pages it writes.
    ///
    /// # Errors
    /// [`Error::Held`] when this thread holds pins and somebody holds the page (perhaps this thread
    /// itself); [`Error::GuardHeld`] when it holds a write guard; [`Error::ReadOnly`];
    /// [`Error::Invalid`] beyond [`MAX_FILE_BYTES`]; and those of [`read_at`](Self::read_at), for
    /// pages that are not overwritten whole. Pages before the one that failed are written.
    #[doc(alias = "pwrite")]
    pub fn write_at(&self, from: &[u8], offset: u64) -> Result<()> {
        self.check_change(offset.checked_add(from.len() as u64))?;
        let bytes = offset..offset + from.len() as u64;
        let uses = self.pattern.use_of_write(&bytes);
        write::to_file(self.core(), &self.mapping, uses, from, offset)?;
        let behind = self.pattern.wrote(&self.mapping, bytes, || writeback::is_due(self.core()));
        if let Some(wanted) = behind {
            self.core.ahead.ask(wanted);
        }
        Ok(())
    }

    fn check_change(&self, end: Option<u64>) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly { name: self.mapping.store().name() }.into());
        }
        if end.is_none_or(|end| end > MAX_FILE_BYTES) {
            return Err(Error::Invalid("a cached file has at most 4 PiB".into()).into());
        }
        self.core().no_guard_held()
    }

    /// What was written before the call is in the store, and durable there, after it.
    ///
    /// # Errors
    /// [`Error::Io`] when a write of this file failed since this handle last said so, whoever's it
    /// was: once for each handle. What could not be written is still dirty, and tried again by the
    /// next `sync`. [`Error::GuardHeld`] when this thread holds a write guard.
    #[doc(alias = "fsync")]
    pub fn sync(&self) -> Result<()> {
        self.core().no_guard_held()?;
        if !self.writable {
            return Ok(());
        }
        writeback::sync(self.core(), &self.mapping, &self.seen)
    }

    /// [`sync`](Self::sync), and then as dropping the handle.
    ///
    /// # Errors
    /// As `sync`. The handle is gone all the same.
    pub fn close(mut self) -> Result<()> {
        let synced = self.sync();
        self.leave();
        synced
    }

    /// Makes the file `len_bytes` long. Bytes that are added are zeros.
    ///
    /// Pinned pages that are cut off stay with their pins. Pages that somebody writes are waited
    /// for.
    ///
    /// # Errors
    /// [`Error::Io`] when the store refuses: the file is as it was. [`Error::ReadOnly`],
    /// [`Error::Invalid`] beyond [`MAX_FILE_BYTES`], [`Error::GuardHeld`], [`Error::Held`] (when it gets
    /// longer, and its last page is pinned by a thread that holds pins).
    #[doc(alias = "ftruncate")]
    pub fn set_len(&self, len_bytes: u64) -> Result<()> {
        self.check_change(Some(len_bytes))?;
        truncate::set_len(self.core(), &self.mapping, len_bytes)
    }

    /// Makes bytes zeros, as far as they are in the file, and gives their room back where whole
    /// pages are concerned.
    ///
    /// # Errors
    /// As [`set_len`](Self::set_len) and [`write_at`](Self::write_at). When the store refuses,
    /// parts of the hole may be zeros already: its unaligned ends, and what large folios have of
    /// it.
    #[doc(alias = "fallocate")]
    #[doc(alias = "FALLOC_FL_PUNCH_HOLE")]
    pub fn punch_hole(&self, offset: u64, len_bytes: u64) -> Result<()> {
        self.check_change(Some(0))?;
        // After a truncation that is under way: nobody sees what it cuts off when we have returned.
        let resize = self.mapping.resize.read();
        let len = self.len();
        drop(resize);
        let end = offset.saturating_add(len_bytes).min(len);
        if offset >= end {
            return Ok(());
        }
        let page = PAGE_SIZE as u64;
        let first = offset.next_multiple_of(page);
        let last = if end == len { end.next_multiple_of(page) } else { end / page * page };
        let zero = |from: u64, to: u64| {
            let zeros = [0; PAGE_SIZE];
            let len = to.saturating_sub(from).min(page) as usize;
            pieces(from, len).try_for_each(|(_, _, part)| {
                write::to_file(
                    self.core(),
                    &self.mapping,
                    Use::Counts,
                    &zeros[part.clone()],
                    from + part.start as u64,
                )
            })
        };
        if first > last || first >= end {
            return zero(offset, end);
        }
        zero(offset, first)?;
        if last < end {
            zero(last.max(offset), end)?;
        }
        truncate::punch(self.core(), &self.mapping, first / page..last / page)
    }

    /// Pins page `index`, reading it in if it is not cached.
    ///
    /// ```
    /// # use refolio::{Cache, MemStore, NodeOptions, OpenOptions, PageIndex};
    /// # let cache = Cache::builder().node(NodeOptions::new(1 << 20))
    /// #     .node(NodeOptions::new(1 << 20)).build()?;
    /// let file = cache.open_store(MemStore::with_bytes(b"hello".to_vec()), &OpenOptions::new())?;
    /// let page = file.page(PageIndex(0))?;
    /// assert_eq!(&page[..], b"hello");
    /// // A thread that writes a page it has itself pinned is told, and does not wait for itself.
    /// let error = file.write_at(b"J", 0).unwrap_err();
    /// assert!(error.to_string().starts_with("the page is held by a pin taken at"));
    /// # Ok::<(), Box<refolio::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at); [`Error::OutOfRange`] beyond the end of the file;
    /// [`Error::TooManyReferences`].
    #[doc(alias = "pin_user_pages")]
    #[track_caller]
    #[inline(always)] // A few instructions, as a rule.
    pub fn page(&self, index: PageIndex) -> Result<Page<'_>> {
        let (core, mapping, location) = (&self.core, &*self.mapping, Location::caller());
        let page = mapping.identity(index);
        // Most pins are of a page that is cached, and all of which is in the file.
        if let Some(intent) = core.intent_at_once(location)
            && mapping.has_whole(index)
            && let Some(hinted) = core.hinted(page)
            && let address = hinted.address()
            && let Some(folio) = hinted.get(page)
        {
            let hold = intent.hold(Held::of(folio.folio));
            return Ok(Page::new(StillPage::whole(folio, address, hold)));
        }
        self.page_otherwise(index, location)
    }

    /// [`page`](Self::page), for everything else.
    #[inline(never)]
    fn page_otherwise(
        &self,
        index: PageIndex,
        location: &'static Location<'static>,
    ) -> Result<Page<'_>> {
        let (folio, page, len) = self.get_page(index)?;
        let hold = self.core().intent(location).hold(Held::of(folio.folio));
        Ok(Page::new(StillPage::new(folio, page, len, hold)))
    }

    /// The folio of page `index`, which of its pages that is, and how many of its bytes belong to
    /// the file.
    fn get_page(&self, index: PageIndex) -> Result<(FolioRef<'_>, u32, usize)> {
        let len = self.bytes_in(index)?;
        let pages = index.0..index.0 + 1;
        if self.pattern.is_due(&pages) || self.mapping.peek(index).is_none() {
            read::look_ahead(self.core(), &self.mapping, &self.pattern, pages);
        }
        let (folio, base) = fault::page(self.core(), &self.mapping, index)?;
        Ok((folio, (index.0 - base.0) as u32, len))
    }

    /// Page `index` for this thread alone, reading it in if it is not cached. Waits for pins and
    /// writers of the page.
    ///
    /// # Errors
    /// As [`page`](Self::page); [`Error::ReadOnly`]; [`Error::Held`] and [`Error::GuardHeld`] when
    /// this thread holds pages, and would have to wait.
    #[track_caller]
    pub fn page_mut(&self, index: PageIndex) -> Result<PageMut<'_>> {
        let location = Location::caller();
        if !self.writable {
            return Err(Error::ReadOnly { name: self.mapping.store().name() }.into());
        }
        self.bytes_in(index)?;
        let core = self.core();
        let (exclusive, base) = write::file_page(core, &self.mapping, index)?;
        // The end may have moved while we waited.
        let len = match self.bytes_in(index) {
            Ok(len) => len,
            Err(error) => {
                exclusive.release();
                return Err(error);
            }
        };
        let intent = core.intent(location);
        let hold = intent.hold(Held::of(exclusive.folio()));
        Ok(PageMut::new(exclusive, &self.mapping, (index.0 - base.0) as u32, len, hold))
    }

    /// How many bytes of page `index` belong to the file.
    #[inline]
    fn bytes_in(&self, index: PageIndex) -> Result<usize> {
        let len = self.len();
        match len.checked_sub(index.offset()) {
            None | Some(0) => Err(Error::OutOfRange { index, pages: PageIndex::count(len) }.into()),
            Some(rest) => Ok(rest.min(PAGE_SIZE as u64) as usize),
        }
    }

    /// The node that page `index` is on at this moment; None when it is not cached.
    pub fn node_of(&self, index: PageIndex) -> Option<NodeId> {
        let (frame, _) = self.mapping.peek(index)?;
        Some(self.core().node_of(frame).id)
    }

    /// Moves the cached pages of the range to a node, while they are in use. One outcome for each
    /// folio; an unknown node has the outcome that there is no memory there.
    ///
    /// A reader sees each page whole throughout; a writer of a page waits for its move. Pinned
    /// pages stay, and the outcome names who holds them.
    ///
    /// ```
    /// # use refolio::{Cache, MemStore, Migrate, NodeId, NodeOptions, OpenOptions, Outcome, PageIndex};
    /// # let cache = Cache::builder().node(NodeOptions::new(1 << 20))
    /// #     .node(NodeOptions::new(1 << 20)).build()?;
    /// let file = cache.open_store(MemStore::with_bytes(vec![7; 8192]), &OpenOptions::new())?;
    /// file.load(0..2)?;
    /// let pin = file.page(PageIndex(1))?;
    /// let report = file.migrate(0..2, NodeId(1), &Migrate::new())?;
    /// assert_eq!(file.node_of(PageIndex(0)), Some(NodeId(1)));
    /// let Outcome::Busy { holders } = &report.outcomes[1].outcome else { panic!("pinned") };
    /// assert!(holders[0].to_string().starts_with("a pin taken at"));
    /// # Ok::<(), Box<refolio::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node, or it is being drained; [`Error::GuardHeld`] when
    /// this thread holds a write guard, unless the mode is [`Async`](crate::Mode::Async).
    #[doc(alias = "move_pages")]
    pub fn migrate(&self, pages: Range<u64>, to: NodeId, how: &Migrate<'_>) -> Result<Report> {
        let places = self.places(pages);
        self.inner.migrate(&places, to, how)
    }

    /// What [`migrate`](Self::migrate) would answer now, without moving anything: the same
    /// outcomes, with the holders of the pages that would be busy, and `WouldMove`.
    ///
    /// # Errors
    /// [`Error::Node`] when there is no such node.
    pub fn would_move(&self, pages: Range<u64>, to: NodeId) -> Result<Report> {
        let to = passes::node(self.core(), to)?;
        Ok(passes::would_move(self.core(), &self.places(pages), to))
    }

    fn places(&self, pages: Range<u64>) -> Vec<Place<'_>> {
        let cached = self.mapping.nr_pages.get().min(pages.end.saturating_sub(pages.start));
        let mut places = Vec::with_capacity(cached as usize >> self.mapping.order);
        let mut slots = self.mapping.pages.lock();
        let mut cursor = slots.cursor(pages.start);
        while let Some((index, entry)) = cursor.next().filter(|(index, _)| *index < pages.end) {
            if entry.is_item() {
                places.push(Place::File(Cow::Borrowed(&self.mapping), PageIndex(index)));
            }
        }
        places
    }

    /// A view of some of the file's pages through a table of its own. The range may reach beyond
    /// the end of the file; pages there cannot be used.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the range is empty or too large for a table.
    #[doc(alias = "mmap")]
    pub fn view(&self, pages: Range<u64>, sharing: Sharing) -> Result<View> {
        let first = PageIndex(pages.start);
        let writable = self.writable;
        let mapping = self.mapping.clone();
        let backing = Backing::File { mapping, first, sharing, writable };
        let table = pages.end.checked_sub(pages.start).filter(|pages| *pages > 0);
        let table = table.and_then(|pages| Table::new(pages, backing));
        let table = table.ok_or_else(|| {
            Error::Invalid(format!("a view of pages {pages:?} is empty or too large for memory"))
        })?;
        self.core().mappings.share(&self.mapping);
        Ok(View::new(self.inner.clone(), table))
    }

    /// Drops the cached pages of the range that nobody holds, after writing dirty ones back; how
    /// many went.
    ///
    /// # Errors
    /// [`Error::Io`] when pages could not be written: they stay. [`Error::GuardHeld`].
    #[doc(alias = "POSIX_FADV_DONTNEED")]
    #[doc(alias = "invalidate_mapping_pages")]
    pub fn evict(&self, pages: Range<u64>) -> Result<u64> {
        self.core().no_guard_held()?;
        self.core.ahead.forget(&self.mapping);
        writeback::write_range(self.core(), &self.mapping, pages.clone(), Patience::Wait)?;
        writeback::wait_range(self.core(), &self.mapping, pages.clone())?;
        Ok(evict::places(self.core(), &self.places(pages)))
    }

    /// Gives up the handle; the last one takes the pages with it.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.core.ahead.forget(&self.mapping);
            self.inner.leave(&self.mapping);
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::{Cache, MemStore, NodeOptions, OpenOptions};

    #[test]
    fn a_write_that_cannot_make_the_file_longer_leaves_no_room_behind_its_end() {
        let node = || NodeOptions::new(1 << 20);
        let cache = Cache::builder().node(node()).node(node()).build().unwrap();
        let store = MemStore::with_bytes(vec![1; 100]);
        let file = cache.open_store(store, &OpenOptions::new().order(2)).unwrap();
        let pin = file.page(PageIndex(0)).unwrap();
        let folio = [2; PAGE_SIZE << 2];
        assert!(matches!(*file.write_at(&folio, 0).unwrap_err(), Error::Held { .. }));
        assert_eq!((file.len(), file.mapping.reach()), (100, 100));
        drop(pin);
        file.write_at(&folio, 0).unwrap();
        assert_eq!((file.len(), file.mapping.reach()), (4 << 12, 4 << 12));
    }
}
