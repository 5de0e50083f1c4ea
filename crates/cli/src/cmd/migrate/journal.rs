//! What the writers of one file, or of one anonymous region, have written.
//!
//! A file is cut into blocks, and every block that is written at all has exactly one writer, so
//! the last write of every page is known exactly. The journal keeps two generations per page:
//!
//! 1. the writer sets `started` to the new generation, 2. it writes the page, 3. it sets
//!    `acknowledged`.
//!
//! A reader loads `acknowledged` before its read and `started` after it: what it has read must be
//! of a generation between the two. When the writers have stopped, the two are equal, and every
//! page must hold just that generation. Generation 0 is what the page held before the run.

use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Pages in a block, the unit of ownership.
pub const BLOCK_PAGES: u64 = 16;

/// Generations of every page, and who writes which block.
#[derive(Debug)]
pub struct Journal {
    pages: u64,
    /// One block in so many is written; 0: none.
    every: u64,
    writers: u64,
    /// Empty if nobody writes.
    generations: Vec<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    started: AtomicU64,
    acknowledged: AtomicU64,
}

impl Journal {
    /// For `pages` pages, one block `every` so many of which is shared out among `writers`.
    pub fn new(pages: u64, every: u64, writers: u64) -> Self {
        let written = every > 0 && writers > 0;
        let every = if written { every } else { 0 };
        let mut generations = Vec::new();
        generations.resize_with(if written { pages as usize } else { 0 }, Generations::default);
        Self { pages, every, writers, generations }
    }

    /// The writer of this page, if it has one.
    pub fn writer(&self, page: u64) -> Option<u64> {
        let block = page / BLOCK_PAGES;
        (self.every > 0 && block.is_multiple_of(self.every))
            .then(|| block / self.every % self.writers)
    }

    /// How many blocks this writer has.
    pub fn blocks(&self, writer: u64) -> u64 {
        if self.every == 0 {
            return 0;
        }
        let written = self.pages.div_ceil(BLOCK_PAGES).div_ceil(self.every);
        (written + self.writers - 1 - writer) / self.writers
    }

    /// The pages of the writer's `nth` block.
    pub fn block(&self, writer: u64, nth: u64) -> Range<u64> {
        let first = (nth * self.writers + writer) * self.every * BLOCK_PAGES;
        first..(first + BLOCK_PAGES).min(self.pages)
    }

    /// Announces the next write of the page; the answer is its generation.
    pub fn start(&self, page: u64) -> u64 {
        // A plain increment would do as well: the page's writer is the only one that counts here.
        self.generations[page as usize].started.fetch_add(1, SeqCst) + 1
    }

    /// The write is done, and must never be lost from now on.
    pub fn acknowledge(&self, page: u64, generation: u64) {
        self.generations[page as usize].acknowledged.store(generation, SeqCst);
    }

    /// The last generation that must not be lost.
    pub fn acknowledged(&self, page: u64) -> u64 {
        self.generations.get(page as usize).map_or(0, |g| g.acknowledged.load(SeqCst))
    }

    /// The last generation that may be seen.
    pub fn started(&self, page: u64) -> u64 {
        self.generations.get(page as usize).map_or(0, |g| g.started.load(SeqCst))
    }

    /// What the page may hold now that its writer has stopped: one generation, or two if the last
    /// write failed and was not acknowledged.
    pub fn last(&self, page: u64) -> RangeInclusive<u64> {
        self.acknowledged(page)..=self.started(page)
    }

    /// How many writes have been acknowledged.
    pub fn writes(&self) -> u64 {
        self.generations.iter().map(|g| g.acknowledged.load(SeqCst)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn blocks_are_shared_out_without_overlap_or_gap() {
        for (pages, every, writers) in [(1, 1, 1), (100, 1, 3), (1000, 4, 3), (65, 2, 5)] {
            let journal = Journal::new(pages, every, writers);
            let mut owned = BTreeMap::new();
            for writer in 0..writers {
                for nth in 0..journal.blocks(writer) {
                    for page in journal.block(writer, nth) {
                        assert_eq!(owned.insert(page, writer), None, "page {page} has two writers");
                    }
                }
            }
            for page in 0..pages {
                assert_eq!(journal.writer(page), owned.get(&page).copied(), "page {page}");
            }
            assert!(owned.contains_key(&0) && owned.keys().all(|page| *page < pages));
        }
    }

    #[test]
    fn nobody_writes_without_writers() {
        for journal in [Journal::new(100, 1, 0), Journal::new(100, 0, 2)] {
            assert_eq!(journal.writer(0), None);
            assert_eq!(journal.blocks(0), 0);
            assert_eq!((journal.last(99), journal.writes()), (0..=0, 0));
        }
    }

    #[test]
    fn a_write_is_expected_from_its_start_and_demanded_from_its_acknowledgement() {
        let journal = Journal::new(10, 1, 1);
        assert_eq!(journal.start(5), 1);
        assert_eq!(journal.last(5), 0..=1);
        journal.acknowledge(5, 1);
        assert_eq!(journal.last(5), 1..=1);
        assert_eq!((journal.last(4), journal.writes()), (0..=0, 1));
    }
}
