//! A subject that is right but for one planted bug.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use refolio_conformance::{
    About, At, Counters, Cut, How, Kind, Look, Moves, Need, PAGES, Refusal, Subject, Via,
};

const PAGE: u64 = refolio::PAGE_SIZE as u64;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    LosesWrites,
    ReadsOldPages,
    ReadsOtherPages,
    ReadsOtherFiles,
    TearsPages,
    ReadsZeros,
    FlipsBits,
    SkipsTruncations,
    EvictsDirtyPages,
    StoresOldPages,
    WritesUnderPins,
    MovesUnderPins,
    EvictsUnderPins,
    SaysItMoved,
    MovesNothing,
    LeaksPins,
    CountsWrong,
    WritesUnstable,
    Refuses,
    Panics,
    Hangs,
    LacksPins,
}

/// A wrapper around a subject, with a bug that strikes now and then.
pub struct Planted {
    bug: Bug,
    inner: Arc<dyn Subject>,
    calls: AtomicU64,
    /// The bytes that files were made with.
    first: Mutex<HashMap<u32, Vec<u8>>>,
    /// Pages that an old read was answered for just now.
    lied: Mutex<HashSet<(u32, u64)>>,
    /// Pages that are pinned: for good, if the bug is so.
    pinned: Mutex<HashSet<(u32, u64)>>,
}

impl Planted {
    pub fn new(bug: Bug, inner: Arc<dyn Subject>) -> Self {
        let (calls, first, lied, pinned) = Default::default();
        Self { bug, inner, calls, first, lied, pinned }
    }

    /// Whether `bug` is the planted one, and strikes at this call.
    fn strikes(&self, bug: Bug, every: u64) -> bool {
        self.bug == bug && self.calls.fetch_add(1, SeqCst) % every == every - 1
    }

    fn first_bytes(&self, file: u32, range: Range<usize>) -> Vec<u8> {
        self.first.lock().unwrap()[&file][range].to_vec()
    }
}

impl Subject for Planted {
    fn about(&self) -> About {
        let About { mut has, .. } = self.inner.about();
        has.retain(|need| self.bug != Bug::LacksPins || *need != Need::Pins);
        About { name: "planted", has }
    }

    fn create(&self, file: u32, kind: Kind, bytes: &[u8]) -> Result<(), Refusal> {
        self.first.lock().unwrap().insert(file, bytes.to_vec());
        self.inner.create(file, kind, bytes)
    }

    fn close(&self, file: u32) -> Result<Vec<u8>, Refusal> {
        let mut stored = self.inner.close(file)?;
        if self.bug == Bug::StoresOldPages {
            let half = stored.len() / 2;
            stored[..half].copy_from_slice(&self.first_bytes(file, 0..half));
        }
        Ok(stored)
    }

    fn read(&self, at: At, into: &mut [u8]) -> Result<usize, Refusal> {
        let page = (at.file, at.offset / PAGE);
        let range = at.offset as usize..at.offset as usize + into.len();
        assert!(!self.strikes(Bug::Panics, 50), "planted");
        if self.strikes(Bug::ReadsOldPages, 2) && self.lied.lock().unwrap().insert(page) {
            into.copy_from_slice(&self.first_bytes(at.file, range));
            return Ok(into.len());
        }
        self.lied.lock().unwrap().remove(&page);
        let mut from = at;
        if self.strikes(Bug::ReadsOtherPages, 20) {
            from.offset = (at.offset + PAGE) % (PAGES * PAGE - into.len() as u64 + 1);
        }
        if self.strikes(Bug::ReadsOtherFiles, 20) {
            from.file = u32::from(at.file == 0);
        }
        let read = self.inner.read(from, into)?;
        if self.strikes(Bug::TearsPages, 8) {
            let half = into.len().min(PAGE as usize) / 2;
            let range = range.start..range.start + half;
            into[..half].copy_from_slice(&self.first_bytes(at.file, range));
        }
        if self.strikes(Bug::ReadsZeros, 20) {
            into.fill(0);
        }
        if self.strikes(Bug::FlipsBits, 20) {
            into[100] ^= 4;
        }
        Ok(read)
    }

    fn write(&self, at: At, from: &[u8]) -> Result<(), Refusal> {
        while self.strikes(Bug::Hangs, 1) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.strikes(Bug::LosesWrites, 20) {
            return Ok(());
        }
        if self.strikes(Bug::Refuses, 20) {
            return Err(Refusal::Because("planted".into()));
        }
        self.inner.write(at, from)
    }

    fn sync(&self, file: u32) -> Result<(), Refusal> {
        self.inner.sync(file)
    }

    fn truncate(&self, file: u32, cut: Cut) -> Result<(), Refusal> {
        if self.strikes(Bug::SkipsTruncations, 4) {
            return Ok(());
        }
        self.inner.truncate(file, cut)
    }

    fn evict(&self, file: u32, pages: Range<u64>) -> Result<u64, Refusal> {
        let evicted = self.inner.evict(file, pages.clone())?;
        if self.strikes(Bug::EvictsDirtyPages, 4) {
            let start = (pages.start * PAGE) as usize;
            let old = self.first_bytes(file, start..start + PAGE as usize);
            self.inner.write(At { file, via: Via::Call, offset: start as u64 }, &old)?;
        }
        let wrong = self.bug == Bug::EvictsUnderPins && pages.end - pages.start == 1;
        Ok(evicted + u64::from(wrong))
    }

    fn pin(&self, file: u32, page: u64, held: &mut dyn FnMut(Look<'_>)) -> Result<(), Refusal> {
        let pinned = |held: &mut dyn FnMut(Look<'_>)| {
            self.inner.pin(file, page, &mut |look| {
                held(&|into| {
                    look(into);
                    into[7] ^= u8::from(self.strikes(Bug::WritesUnderPins, 2));
                });
            })
        };
        self.pinned.lock().unwrap().insert((file, page));
        // The first look of all is right.
        if self.bug == Bug::WritesUnderPins {
            self.calls.store(0, SeqCst);
        }
        let done = pinned(held);
        if self.bug != Bug::LeaksPins {
            self.pinned.lock().unwrap().remove(&(file, page));
        }
        done
    }

    fn migrate(&self, file: u32, pages: Range<u64>, to: usize, how: How) -> Result<Moves, Refusal> {
        match self.bug {
            Bug::SaysItMoved => Ok(Moves { moved: pages.end - pages.start, ..Moves::default() }),
            Bug::MovesNothing => Ok(Moves::default()),
            _ => {
                let mut moves = self.inner.migrate(file, pages.clone(), to, how)?;
                if self.bug == Bug::LeaksPins {
                    let held = |page| self.pinned.lock().unwrap().contains(&(file, page));
                    moves.busy += pages.filter(|page| held(*page)).count() as u64;
                }
                Ok(moves)
            }
        }
    }

    fn counters(&self) -> Counters {
        let mut counters = self.inner.counters();
        if self.bug == Bug::CountsWrong {
            counters.nodes[0].nr_file_pages += 1;
        }
        if self.strikes(Bug::WritesUnstable, 2) {
            counters.unstable_writes += 1;
        }
        counters
    }

    fn node_of(&self, file: u32, page: u64) -> Option<usize> {
        let node = self.inner.node_of(file, page)?;
        let pinned = self.pinned.lock().unwrap().contains(&(file, page));
        let moved = pinned && self.strikes(Bug::MovesUnderPins, 3);
        Some(if moved { 1 - node } else { node })
    }
}
