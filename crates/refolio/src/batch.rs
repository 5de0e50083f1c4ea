//! Many pages at once: absent → present, with all their reads in the store's hands together.
//!
//! ```text
//! take      the next page that is not cached: alloc, insert (as `fill.rs`); the store reads it
//! answer    its bytes are there: show, and hand it to whoever asked
//! alone     what the store did not answer in full is read by itself
//! ```
//! The store decides how many pages it takes before it answers the first. All of those are locked,
//! and others may wait for them; so **nothing is waited for meanwhile** but the store: a page whose
//! slot is taken is somebody else's to fill, and is left to the caller, who looks at it afterwards,
//! holding nothing; and where no frame is free and none can be freed at once, the store first
//! answers what it has. Only with nothing in hand is memory waited for.

use std::iter::Peekable;
use std::ops::Range;

use crate::core::{Core, FolioRef, Fresh};
use crate::error::{Error, Result};
use crate::fill::{self, Progress};
use crate::folio::Use;
use crate::mapping::Mapping;
use crate::reclaim::{self, Spare};
use crate::store::{BatchRead, ReadBatch};
use crate::sync::{Arc, Retry, broken, call, reached};
use crate::units::{PageIndex, folio_bytes};

/// Whether a batch waits for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Somebody waits for the pages.
    Now,
    /// It is read ahead: where there is no memory, it is not.
    Ahead,
}

/// What a batch is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    pub need: Need,
    /// Whether its pages are merely passing.
    pub uses: Use,
}

impl From<Need> for Purpose {
    fn from(need: Need) -> Self {
        Self { need, uses: Use::Counts }
    }
}

/// What a batch did not bring: the pages of a folio that was to be filled, and why.
pub(crate) type Failed = Vec<(Range<u64>, Box<Error>)>;

/// Fills those of the pages that are not cached, and gives each folio to `shown` as it comes, with
/// the index of its first page.
///
/// Pages that somebody else fills at this moment are passed over, and so are those behind the end of
/// the file. Returns what failed; pages that follow a lack of memory are not tried.
pub(crate) fn fill<'c, 'b>(
    core: &'c Core,
    mapping: &'b Arc<Mapping>,
    purpose: Purpose,
    pages: &'b mut (dyn Iterator<Item = PageIndex> + 'b),
    shown: &'b mut (dyn FnMut(&FolioRef<'c>, PageIndex) + 'b),
) -> Failed {
    let pages = pages.peekable();
    let mut batch = Batch {
        core,
        mapping,
        purpose,
        spare: Spare::new(0),
        pages,
        shown,
        filling: Vec::new(),
        vacant: Vec::new(),
        in_hand: 0,
        at_most: at_most(core, mapping),
        taken: 0,
        failed: Vec::new(),
    };
    let store = mapping.store();
    let retry = Retry::new();
    loop {
        retry.keep(&batch);
        batch.taken = 0;
        store.read_batch(&mut batch);
        // A store that takes none of them has them read one after the other.
        if batch.taken == 0 {
            let _left_to_be_read_alone = batch.take();
        }
        batch.read_alone();
        // The store has left some untaken when there was no memory beside what it had in hand.
        if batch.pages.peek().is_none() {
            return std::mem::take(&mut batch.failed);
        }
    }
}

/// How many folios one batch may have in hand: what is being filled cannot be evicted, and others need
/// memory, too. An eighth of it.
fn at_most(core: &Core, mapping: &Mapping) -> usize {
    let frames: usize = core.nodes.iter().map(|node| node.frames as usize).sum();
    let part = if cfg!(refolio_model) { 1 } else { 8 };
    ((frames / part) >> mapping.order).max(1)
}

/// A folio that is being filled: locked, in its slot, without bytes yet.
struct Filling<'c> {
    fresh: Fresh<'c>,
    progress: Progress,
}

struct Batch<'c, 'b> {
    core: &'c Core,
    mapping: &'b Arc<Mapping>,
    purpose: Purpose,
    spare: Spare<'c>,
    pages: Peekable<&'b mut (dyn Iterator<Item = PageIndex> + 'b)>,
    shown: &'b mut (dyn FnMut(&FolioRef<'c>, PageIndex) + 'b),
    /// By the key of the read.
    filling: Vec<Option<Filling<'c>>>,
    vacant: Vec<usize>,
    in_hand: usize,
    /// Folios that may be in hand.
    at_most: usize,
    /// Reads that the store has taken since it was called.
    taken: usize,
    failed: Failed,
}

/// What a batch has done so far, to the checker of states. What `shown` remembers is not in it: in the
/// scenes it remembers nothing.
#[cfg(refolio_explore)]
impl std::hash::Hash for Batch<'_, '_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.pages.size_hint(), &self.spare, &self.failed).hash(state);
        (&self.vacant, self.in_hand, self.taken).hash(state);
        for filling in &self.filling {
            let filling = filling.as_ref().map(|it| (&it.fresh.folio, it.progress));
            filling.hash(state);
        }
    }
}

impl<'c> Batch<'c, '_> {
    /// A new folio around `index`; None when there is none at once, and something is in hand.
    fn alloc(&mut self, index: PageIndex) -> Option<Fresh<'c>> {
        let order = fill::vacant_order(self.mapping, index);
        self.spare.want(self.pages.size_hint().0);
        if let Some(fresh) = reclaim::alloc_now(self.core, order, &mut self.spare) {
            return Some(fresh);
        }
        if self.in_hand > 0 {
            reached("no frame beside those in hand");
            return None;
        }
        match self.purpose.need {
            Need::Ahead => self.give_up(),
            Need::Now => match reclaim::alloc(self.core, 0, &[]) {
                Ok(fresh) => return Some(fresh),
                Err(error) => {
                    self.failed.push((index.0..index.0 + 1, error));
                    self.give_up();
                }
            },
        }
        None
    }

    fn give_up(&mut self) {
        while self.pages.next().is_some() {}
    }

    fn is_taken(&self, index: PageIndex) -> bool {
        let Some((frame, _)) = self.mapping.peek(index) else { return false };
        if broken("batch-waits-while-it-fills") {
            let obstacle = self.core.obstacle(frame, crate::core::Why::Locked);
            let _ = self.core.wait(obstacle, None);
        }
        true
    }

    /// The next page that is not cached, in its slot.
    fn next(&mut self) -> Option<Filling<'c>> {
        let retry = Retry::new();
        loop {
            retry.keep(self);
            let index = *self.pages.peek()?;
            // The folio that was to have it failed.
            if self.failed.iter().any(|(pages, _)| pages.contains(&index.0)) {
                self.pages.next();
                continue;
            }
            if call(|| self.is_taken(index)) {
                self.pages.next();
                continue;
            }
            let fresh = self.alloc(index)?;
            self.pages.next();
            let base = index.align_down(fresh.folio.folio().order());
            match fill::place(self.core, self.mapping, fresh, base, index) {
                Ok(Some((fresh, base))) => {
                    let len = folio_bytes(fresh.folio.folio().order());
                    self.core.events.pgmajfault.add(fresh.folio.folio().pages());
                    let progress = Progress::new(self.mapping, base, len);
                    return Some(Filling { fresh, progress });
                }
                Ok(None) => reached("filled by another"),
                // Cut off.
                Err(_) => self.give_up(),
            }
        }
    }

    /// Its bytes are there, or will not come.
    fn finish(&mut self, filling: Filling<'c>, result: Result<()>) {
        let Filling { fresh, progress } = filling;
        let base = progress.base;
        let result =
            result.and_then(|()| fill::complete(self.core, self.mapping, &fresh, &progress));
        match result {
            Ok(()) => {
                let folio = fill::show_for(self.core, fresh, self.purpose.uses);
                (self.shown)(&folio, base);
            }
            Err(error) => {
                let pages = base.0..base.0 + u64::from(fresh.folio.folio().pages());
                fill::take_out(self.core, self.mapping, fresh, base);
                // Cut off meanwhile: that is no failure of the batch.
                if !error.is_out_of_range() {
                    self.failed.push((pages, error));
                }
            }
        }
    }

    /// Takes back what the store has in hand under this key.
    fn remove(&mut self, key: usize) -> Option<Filling<'c>> {
        let filling = self.filling.get_mut(key)?.take()?;
        self.vacant.push(key);
        self.in_hand -= 1;
        Some(filling)
    }

    /// Reads what the store did not answer in full.
    fn read_alone(&mut self) {
        for key in 0..self.filling.len() {
            let Some(mut filling) = self.remove(key) else { continue };
            let Filling { fresh, progress } = &mut filling;
            let read = fill::read(self.core, self.mapping, fresh, progress);
            self.finish(filling, read);
        }
    }
}

impl<'c> ReadBatch<'c> for Batch<'c, '_> {
    fn take(&mut self) -> Option<BatchRead<'c>> {
        if self.in_hand >= self.at_most {
            return None;
        }
        loop {
            let filling = self.next()?;
            let Progress { wanted, .. } = filling.progress;
            // The store has nothing of it: it is zeros.
            if wanted == 0 {
                self.finish(filling, Ok(()));
                continue;
            }
            let key = self.vacant.pop().unwrap_or_else(|| {
                self.filling.push(None);
                self.filling.len() - 1
            });
            let into = self.core.frames.fill_buf(filling.fresh.folio.frame, wanted);
            let offset = filling.progress.offset();
            self.filling[key] = Some(filling);
            self.in_hand += 1;
            self.taken += 1;
            return Some(BatchRead::new(key, offset, into));
        }
    }

    fn answer(&mut self, read: BatchRead<'c>, result: std::io::Result<usize>) {
        let Some(filling) = self.filling.get_mut(read.key()).and_then(Option::as_mut) else {
            return;
        };
        let heard = filling.progress.heard(self.mapping, result);
        // The rest of a short read is asked for in `read_alone`.
        if heard.is_ok() && filling.progress.done < filling.progress.wanted {
            return;
        }
        if let Some(filling) = self.remove(read.key()) {
            self.finish(filling, heard);
        }
    }
}

/// A store that panics leaves folios behind that would never get their bytes.
impl Drop for Batch<'_, '_> {
    fn drop(&mut self) {
        for key in 0..self.filling.len() {
            if let Some(Filling { fresh, progress }) = self.remove(key) {
                fill::take_out(self.core, self.mapping, fresh, progress.base);
            }
        }
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::builder::{NodeOptions, assemble};
    use crate::folio::Use::Counts;
    use crate::store::FileStore;
    use crate::units::PAGE_SIZE;

    /// Two nodes of 256 frames, of which all but `free` of the first one's are in use for good.
    fn core_with(free: u32, used: impl FnOnce(&Core)) {
        let core =
            assemble(&[NodeOptions::new(1 << 20), NodeOptions::new(1 << 20)], false).unwrap();
        let mut held = Vec::new();
        for (node, left) in core.nodes.iter().zip([free, 0]) {
            held.extend(std::iter::from_fn(|| core.alloc_on(node, 0, left, &[])));
        }
        used(&core);
    }

    fn file(core: &Core, pages: usize) -> (Arc<Mapping>, tempfile::TempPath) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, vec![7; pages * PAGE_SIZE]).unwrap();
        let store = Arc::new(FileStore::open(&path).unwrap());
        let len = (pages * PAGE_SIZE) as u64;
        let new = |id| Ok::<_, Box<Error>>(Mapping::new(id, store, len, 0, None));
        (core.mappings.open(None, new).unwrap(), path)
    }

    /// What was shown, and what failed.
    fn filled(core: &Core, mapping: &Arc<Mapping>, pages: Range<u64>, need: Need) -> (u64, Failed) {
        let mut count = 0;
        let mut shown = |folio: &FolioRef<'_>, _| {
            assert_eq!(folio.bytes()[..64], [7; 64]);
            count += 1;
        };
        let pages = &mut pages.map(PageIndex);
        let failed = fill(core, mapping, Purpose { need, uses: Counts }, pages, &mut shown);
        (count, failed)
    }

    #[test]
    fn more_pages_than_frames_come_in_turns() {
        core_with(20, |core| {
            let (mapping, _path) = file(core, 100);
            let (shown, failed) = filled(core, &mapping, 0..100, Need::Now);
            assert!(failed.is_empty(), "{failed:?}");
            assert_eq!(shown, 100);
        });
    }

    #[test]
    fn where_there_is_no_memory_what_is_needed_fails_and_what_is_read_ahead_does_not_come() {
        core_with(0, |core| {
            let (mapping, _path) = file(core, 100);
            let (shown, failed) = filled(core, &mapping, 0..100, Need::Ahead);
            assert!(shown == 0 && failed.is_empty(), "{shown} {failed:?}");
            let (shown, failed) = filled(core, &mapping, 30..100, Need::Now);
            let [(pages, error)] = &failed[..] else { panic!("{failed:?}") };
            assert_eq!((shown, pages.clone()), (0, 30..31));
            assert!(matches!(**error, Error::NoMemory { .. }), "{error}");
        });
    }

    #[test]
    fn an_eighth_of_the_memory_may_be_in_hand_whatever_the_order() {
        let core =
            assemble(&[NodeOptions::new(1 << 20), NodeOptions::new(1 << 20)], false).unwrap();
        let (mut mapping, _path) = file(&core, 1);
        for (order, folios) in [(0, 64), (4, 4), (9, 1)] {
            let store = mapping.store();
            mapping = Arc::new(Mapping::new(1, store, PAGE_SIZE as u64, order, None));
            assert_eq!(at_most(&core, &mapping), folios);
        }
    }
}
