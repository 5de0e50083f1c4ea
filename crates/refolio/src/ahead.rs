//! Reading ahead, and writing behind: who reads a file from front to back finds the next pages there
//! already, and what is written from front to back is on its way before anybody syncs.
//!
//! Each handle has its [`Pattern`]. Where a page is missed that follows the one before, a **window**
//! of pages behind it is asked for; when its reader comes to the window's first page, the next one
//! is, twice as large, up to what the store says is worth it
//! ([`Store::read_ahead_bytes`](crate::Store::read_ahead_bytes)), or to a part of the memory, since
//! what is read ahead has to stay until its reader comes. So there is a window on its way while one
//! is used.
//!
//! That the reader has come there costs no other reads anything: pages that are read ahead for him are
//! shown without hints (see `hint.rs`), and who reads one first comes by the long way, on which he
//! looks.
//!
//! Where so many pages follow each other that were **written** as make one large write, those are to
//! be written back, once more than a part of the cache is dirty: a page that is written again and
//! again is not to go to the disk each time.
//!
//! What is asked for waits in the [`Queue`] of the cache, from which threads of its own take it
//! (`housekeeper.rs`): two, so that one prepares its pages while the other waits for the store. They
//! fill pages as everybody does (`batch.rs`) and write them back as everybody does (`writeback.rs`),
//! wait for nobody meanwhile, and stop where there is no memory. What fails to be read is forgotten:
//! who needs the page hears of it when he reads it. What fails to be written is for `sync` to tell.

use std::collections::VecDeque;
use std::ops::Range;

use crate::folio::Use;
use crate::mapping::Mapping;
use crate::sync::plain::{self, AtomicU64};
use crate::sync::{Arc, Condvar, Mutex, Relaxed};
use crate::units::PageIndex;

/// Pages of the first window at least: 64 KiB.
const FIRST_WINDOW: u64 = 16;

/// Pages that are read at a time: 1 MiB.
const PIECE: u64 = 256;

/// Pages that are written behind at least: one large write.
const BEHIND: u64 = 256;

/// Ranges that wait at most; more are not read ahead.
const MAX_WAITING: usize = 64;

/// No page.
const NONE: u64 = u64::MAX;

/// What [`File::advise`](crate::File::advise) tells the cache.
#[doc(alias = "posix_fadvise")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// This handle reads as it comes: where it reads from front to back, the next pages are read
    /// ahead, each time more of them. That they are read on this way, a page or more at a time, does
    /// not count as a use: what is used no more than that is evicted when its turn comes, unless a
    /// lower node has room to spare. So is what is written from front to back, from the second
    /// megabyte on.
    #[default]
    #[doc(alias = "POSIX_FADV_NORMAL")]
    Normal,
    /// This handle reads from front to back: as much as is worth it is read ahead at once.
    #[doc(alias = "POSIX_FADV_SEQUENTIAL")]
    Sequential,
    /// This handle reads here and there: nothing is read ahead.
    #[doc(alias = "POSIX_FADV_RANDOM")]
    Random,
    /// The pages of the range will be read soon.
    #[doc(alias = "POSIX_FADV_WILLNEED")]
    WillNeed,
    /// The pages of the range will not be read soon.
    #[doc(alias = "POSIX_FADV_DONTNEED")]
    DontNeed,
}

/// How a handle reads.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The last page that its reader came to, of those up to `mark`.
    at: AtomicU64,
    /// The first page of the last window: when it is read, the next one is asked for.
    mark: AtomicU64,
    seen: plain::Mutex<Seen>,
    written: plain::Mutex<Written>,
}

#[derive(Debug, Default, Hash)]
struct Written {
    /// The first of the bytes that were written one after the other.
    begin: u64,
    /// Those that were not asked to be written back yet.
    bytes: Range<u64>,
}

#[derive(Debug, Default, Hash)]
struct Seen {
    advice: Advice,
    /// The page behind those that were missed last.
    next: u64,
    /// Where the reader was when the last window was asked for.
    begin: u64,
    /// The last window, if there is one.
    window: Option<Range<u64>>,
}

/// What is to be done with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// They are to be read: because somebody said so, or for a reader who comes from the front.
    Read { uses: Use },
    /// They are to be written behind.
    Write,
}

/// Pages that are to be read ahead, or written behind.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub mapping: Arc<Mapping>,
    pub pages: Range<u64>,
    pub task: Task,
}

impl Default for Pattern {
    fn default() -> Self {
        let (seen, written) = (plain::Mutex::default(), plain::Mutex::default());
        Self { at: AtomicU64::new(NONE), mark: AtomicU64::new(NONE), seen, written }
    }
}

impl Pattern {
    /// From now on the handle reads as it says, and what it did before is forgotten.
    pub fn advise(&self, advice: Advice) {
        // Relaxed: nothing depends on it.
        self.mark.store(NONE, Relaxed);
        *plain::lock(&self.seen) = Seen { advice, ..Seen::default() };
    }

    /// Whether one of these pages is the one that the next window waits for.
    #[inline]
    pub fn is_due(&self, pages: &Range<u64>) -> bool {
        // Relaxed: as `advise`.
        pages.contains(&self.mark.load(Relaxed))
    }

    /// Pages are read: passing, if the reader comes to them on the way to his last window. Those that
    /// he has left behind, and reads again, he uses.
    pub fn uses(&self, pages: &Range<u64>) -> Use {
        // Relaxed: as `advise`. (Threads that share a handle may have it either way.)
        let (at, mark) = (self.at.load(Relaxed), self.mark.load(Relaxed));
        let expected = at <= pages.start && pages.start < pages.end && pages.end - 1 <= mark;
        if mark == NONE || !expected {
            return Use::Counts;
        }
        if at != pages.end - 1 {
            self.at.store(pages.end - 1, Relaxed);
        }
        Use::Passing
    }

    /// Some of these pages were missed, or the window is due: what to read ahead, if anything, as
    /// far as the file goes, and at most so many pages.
    pub fn came_to(
        &self,
        mapping: &Arc<Mapping>,
        pages: Range<u64>,
        at_most: u64,
    ) -> Option<Wanted> {
        let mut seen = plain::lock(&self.seen);
        if seen.is_on_its_way(&pages) {
            return None;
        }
        let window = seen.window_after(&pages, at_most);
        let file = PageIndex::count(mapping.len());
        let window = window.map(|window| window.start..window.end.min(file));
        let window = window.filter(|window| !window.is_empty());
        seen.begin = pages.start;
        seen.window = window.clone();
        // Relaxed: as `advise`.
        self.at.store(pages.start, Relaxed);
        self.mark.store(window.as_ref().map_or(NONE, |window| window.start), Relaxed);
        let pages = window?;
        let task = Task::Read { uses: Use::Passing };
        Some(Wanted { mapping: mapping.clone(), pages, task })
    }

    /// Bytes are to be written: passing, if they follow so many others as make one large write.
    pub fn use_of_write(&self, bytes: &Range<u64>) -> Use {
        let written = plain::lock(&self.written);
        let follows = bytes.start == written.bytes.end;
        let long = bytes.start - written.begin.min(bytes.start) >= PageIndex(BEHIND).offset();
        if follows && long { Use::Passing } else { Use::Counts }
    }

    /// Bytes were written: what to write behind, if anything. `enough` says whether so much is
    /// dirty that it is time.
    pub fn wrote(
        &self,
        mapping: &Arc<Mapping>,
        bytes: Range<u64>,
        enough: impl Fn() -> bool,
    ) -> Option<Wanted> {
        if mapping.read_ahead_pages == 0 {
            return None;
        }
        let mut written = plain::lock(&self.written);
        if bytes.start != written.bytes.end {
            (written.begin, written.bytes.start) = (bytes.start, bytes.start);
        }
        written.bytes.end = bytes.end;
        // The last page may be written to again: it is left for the next time.
        let Range { start, end } = written.bytes;
        let pages = PageIndex::of_offset(start).0..PageIndex::of_offset(end).0;
        if pages.end - pages.start < BEHIND || !enough() {
            return None;
        }
        written.bytes.start = PageIndex(pages.end).offset();
        Some(Wanted { mapping: mapping.clone(), pages, task: Task::Write })
    }
}

impl Seen {
    /// Whether the pages lie before the last window, where the one before was asked for.
    fn is_on_its_way(&self, pages: &Range<u64>) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| self.begin <= pages.start && pages.end <= window.start)
    }

    /// The window that is to follow these pages, the first or the next one.
    fn window_after(&mut self, pages: &Range<u64>, max: u64) -> Option<Range<u64>> {
        let follows = pages.start <= self.next && self.next <= pages.end;
        self.next = pages.end;
        if self.advice == Advice::Random {
            return None;
        }
        if let Some(last) = &self.window
            && pages.start <= last.end
            && pages.end > last.start
        {
            let size = ((last.end - last.start) * 2).min(max);
            let start = last.end.max(pages.end);
            return Some(start..start.saturating_add(size));
        }
        let size = match self.advice {
            Advice::Sequential => max,
            // The first page that is read is mostly followed by the second.
            _ if follows => {
                let least = FIRST_WINDOW.min(max);
                ((pages.end - pages.start).saturating_mul(4)).clamp(least, max)
            }
            _ => return None,
        };
        Some(pages.end..pages.end.saturating_add(size))
    }
}

/// What is to be read ahead and written behind in one cache.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: Mutex<Jobs>,
    /// Something is waiting.
    rings: Condvar,
    /// Something is done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Wanted>,
    /// The files of which something is being read.
    running: Vec<Arc<Mapping>>,
    /// Threads that there are.
    threads: usize,
    stop: bool,
}

/// What there is to do, to the checker of states: in no model is there any.
#[cfg(refolio_explore)]
impl std::hash::Hash for Jobs {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.waiting.len(), self.running.len(), self.threads, self.stop).hash(state);
    }
}

impl Queue {
    /// Asks for pages; false when there is no thread for that.
    pub fn ask(&self, wanted: Wanted) -> bool {
        let mut jobs = self.jobs.lock();
        if jobs.threads == 0 {
            return false;
        }
        if jobs.waiting.len() < MAX_WAITING {
            jobs.waiting.push_back(wanted);
            self.rings.notify_all();
        }
        true
    }

    /// Nothing of this file is read ahead or written behind when this returns, but for what is asked
    /// for meanwhile. Waits for the store, and for nobody else.
    pub fn forget(&self, mapping: &Arc<Mapping>) {
        let mut jobs = self.jobs.lock();
        jobs.waiting.retain(|wanted| !Arc::ptr_eq(&wanted.mapping, mapping));
        while jobs.running.iter().any(|running| Arc::ptr_eq(running, mapping)) {
            jobs = self.done.wait(jobs);
        }
    }

    /// The threads shall end.
    pub fn stop(&self) {
        let mut jobs = self.jobs.lock();
        jobs.stop = true;
        jobs.waiting.clear();
        self.rings.notify_all();
    }

    /// There is one thread more that takes what is asked for.
    pub fn join(&self) {
        self.jobs.lock().threads += 1;
    }

    /// Sleeps until there is something to do; None when there will be nothing any more.
    pub fn next(&self) -> Option<Running<'_>> {
        let mut jobs = self.jobs.lock();
        loop {
            if jobs.stop {
                return None;
            }
            if let Some(wanted) = self.take_piece(&mut jobs, |_| true) {
                jobs.running.push(wanted.mapping.clone());
                return Some(Running { queue: self, wanted });
            }
            jobs = self.rings.wait(jobs);
        }
    }

    /// What is to be read next, if it is of the same file, and for the same use.
    fn next_of(&self, last: &Wanted) -> Option<Wanted> {
        self.take_piece(&mut self.jobs.lock(), |next| {
            Arc::ptr_eq(&next.mapping, &last.mapping) && next.task == last.task
        })
    }

    /// A part of what waits longest, if it is `right`: the rest is for whoever comes next.
    fn take_piece(&self, jobs: &mut Jobs, right: impl Fn(&Wanted) -> bool) -> Option<Wanted> {
        let first = jobs.waiting.front_mut().filter(|first| right(first))?;
        let mut wanted = first.clone();
        let piece = match wanted.task {
            Task::Write => BEHIND,
            Task::Read { .. } => PIECE,
        };
        wanted.pages.end = wanted.pages.end.min(wanted.pages.start.saturating_add(piece));
        first.pages.start = wanted.pages.end;
        if first.pages.is_empty() {
            jobs.waiting.pop_front();
        } else {
            self.rings.notify_all();
        }
        Some(wanted)
    }
}

/// Something that is being read or written; done when it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'q> {
    queue: &'q Queue,
    pub wanted: Wanted,
}

/// The pages that are to be read, and those of the same file that wait to be read next: the disk is to
/// have them in hand before the first ones are shown.
impl Iterator for Running<'_> {
    type Item = PageIndex;

    fn next(&mut self) -> Option<PageIndex> {
        if self.wanted.pages.is_empty() {
            self.wanted = self.queue.next_of(&self.wanted)?;
        }
        self.wanted.pages.next().map(PageIndex)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.wanted.pages.size_hint().0, None)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut jobs = self.queue.jobs.lock();
        let this = |mapping: &Arc<Mapping>| Arc::ptr_eq(mapping, &self.wanted.mapping);
        if let Some(at) = jobs.running.iter().position(this) {
            jobs.running.swap_remove(at);
        }
        self.queue.done.notify_all();
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests;
