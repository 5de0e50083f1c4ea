//! Many pages of a file at once: read in one call, loaded, and asked for ahead of need.

use std::ops::Range;

use super::File;
use crate::ahead::{Advice, Task, Wanted};
use crate::batch::{self, Failed, Need};
use crate::core::FolioRef;
use crate::error::Result;
use crate::fault;
use crate::folio::Use;
use crate::folio::state::Flag;
use crate::many::{self, ReadAt};
use crate::units::PageIndex;

impl File {
    /// Does many reads at once: pages that are not cached are read in together, as many at a time as
    /// the store has in hand, and of those that are cached the next ones are brought to the
    /// processor's caches while one is copied. Each read is as a [`read_at`](Self::read_at), and
    /// says afterwards how many bytes it [got](ReadAt::done). They may overlap.
    ///
    /// A file opened with `FileStoreOptions::io_uring` (feature `io-uring`) has as many pages in
    /// flight as there are in the call, up to 128; larger calls keep the disk busy throughout.
    ///
    /// ```
    /// # use refolio::{Cache, MemStore, NodeOptions, OpenOptions, ReadAt};
    /// # let cache = Cache::builder().node(NodeOptions::new(1 << 20))
    /// #     .node(NodeOptions::new(1 << 20)).build()?;
    /// let file = cache.open_store(MemStore::with_bytes(vec![7; 50_000]), &OpenOptions::new())?;
    /// let (mut a, mut b, mut c) = ([0; 64], [0; 64], [0; 9000]);
    /// let mut reads =
    ///     [ReadAt::new(20_480, &mut a), ReadAt::new(49_990, &mut b), ReadAt::new(100, &mut c)];
    /// file.read_many(&mut reads)?;
    /// assert_eq!(reads.each_ref().map(|read| read.done()), [64, 10, 9000]);
    /// assert!(reads[1].bytes().iter().all(|byte| *byte == 7));
    /// # Ok::<(), Box<refolio::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `read_at`, of the first read in the slice that failed. All others are done all the
    /// same; those that failed got the bytes before the page that could not be read.
    #[doc(alias = "preadv")]
    #[doc(alias = "io_uring")]
    pub fn read_many(&self, reads: &mut [ReadAt<'_>]) -> Result<()> {
        many::from_file(self.core(), &self.mapping, Use::Counts, reads)
    }

    /// Says how the file, or these pages of it, will be used. `Normal`, `Sequential` and `Random`
    /// are about all reads by this handle, whatever the range; `WillNeed` has threads of the cache
    /// read the pages in, as far as there is memory for them (a cache without background threads
    /// reads them in before it returns); `DontNeed` is [`evict`](Self::evict).
    ///
    /// ```
    /// # use refolio::{Advice, Cache, NodeOptions};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data");
    /// # std::fs::write(&path, vec![1; 400_000])?;
    /// # let cache = Cache::builder().node(NodeOptions::new(1 << 20))
    /// #     .node(NodeOptions::new(1 << 20)).build()?;
    /// let file = cache.open(&path)?;
    /// file.advise(0..u64::MAX, Advice::Random)?;  // Nothing is read ahead for this handle …
    /// file.advise(0..50, Advice::WillNeed)?;      // … but these pages shall be.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `evict` for `DontNeed`, and otherwise none: what cannot be read ahead is not.
    #[doc(alias = "posix_fadvise")]
    pub fn advise(&self, pages: Range<u64>, advice: Advice) -> Result<()> {
        match advice {
            Advice::Normal | Advice::Sequential | Advice::Random => self.pattern.advise(advice),
            Advice::DontNeed => drop(self.evict(pages)?),
            Advice::WillNeed => {
                let pages = pages.start..pages.end.min(PageIndex::count(self.len()));
                let (mapping, task) = (self.mapping.clone(), Task::Read { uses: Use::Counts });
                let wanted = Wanted { mapping, pages: pages.clone(), task };
                if !pages.is_empty() && !self.core.ahead.ask(wanted) {
                    self.fill(Need::Ahead, pages, &mut |_, _| {});
                }
            }
        }
        Ok(())
    }

    /// Reads the pages of the range in that are not cached; how many there were.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    #[doc(alias = "readahead")]
    pub fn load(&self, pages: Range<u64>) -> Result<u64> {
        let end = pages.end.min(PageIndex::count(self.len()));
        let mut loaded = 0;
        let mut shown = |folio: &FolioRef<'_>, base: PageIndex| {
            let behind = base.0 + u64::from(folio.folio().pages());
            loaded += behind.min(end) - base.0.max(pages.start);
        };
        let failed = self.fill(Need::Now, pages.start..end, &mut shown);
        if let Some((_, error)) = failed.into_iter().next() {
            return Err(error);
        }
        // Those that somebody else is reading in at this moment are waited for.
        let is_filled = |index: &u64| {
            let found = self.mapping.peek(PageIndex(*index));
            found.is_some_and(|(frame, _)| {
                let state = self.core.folio(frame).state.flags();
                !state.has(Flag::UPTODATE) && !state.has(Flag::POISONED)
            })
        };
        for index in (pages.start..end).filter(is_filled) {
            match fault::page(self.core(), &self.mapping, PageIndex(index)) {
                // Truncated meanwhile.
                Err(error) if error.is_out_of_range() => break,
                page => drop(page?),
            }
        }
        Ok(loaded)
    }

    /// Fills the pages that are not cached.
    fn fill(
        &self,
        need: Need,
        pages: Range<u64>,
        shown: &mut dyn FnMut(&FolioRef<'_>, PageIndex),
    ) -> Failed {
        let mut pages = pages.map(PageIndex);
        batch::fill(self.core(), &self.mapping, need.into(), &mut pages, shown)
    }
}
