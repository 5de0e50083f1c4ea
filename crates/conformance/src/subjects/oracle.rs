//! The trivial model: every page in a map, every call under one lock.
//!
//! It keeps the cases honest. What it fails is not a bug of a page cache but of the case; so it
//! caches, moves, pins, writes back and evicts as simply as that can be done, and has no trick.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use refolio::PAGE_SIZE;

use crate::subject::{
    About, At, Counters, Cut, How, Kind, Look, Moves, Need, NodeCounters, Refusal, Subject, Via,
};

/// Frames of each of the two nodes; more than all the files of a case have.
const FRAMES: u64 = 512;

#[derive(Debug)]
struct Page {
    /// Shared with pins, and with nobody else.
    bytes: Arc<[u8; PAGE_SIZE]>,
    node: usize,
    dirty: bool,
}

impl Page {
    fn is_pinned(&self) -> bool {
        Arc::strong_count(&self.bytes) > 1
    }
}

#[derive(Debug)]
struct File {
    kind: Kind,
    stored: Vec<u8>,
    /// Pages, stored or not.
    len: u64,
    cached: BTreeMap<u64, Page>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u32, File>,
    counters: Counters,
}

/// A page cache in a few lines; see the head of its source.
#[derive(Debug, Default)]
pub struct Oracle {
    state: Mutex<State>,
    /// A pin is gone.
    unpinned: Condvar,
}

fn index(offset: u64) -> u64 {
    offset / PAGE_SIZE as u64
}

impl File {
    /// The page, which is read in if it is not cached.
    fn page(&mut self, page: u64, counters: &mut Counters) -> Result<&mut Page, Refusal> {
        if page >= self.len {
            return Err(Refusal::Beyond);
        }
        let stored = self.stored.chunks_exact(PAGE_SIZE).nth(page as usize);
        Ok(self.cached.entry(page).or_insert_with(|| {
            counters.filled += 1;
            let mut bytes = [0; PAGE_SIZE];
            bytes.copy_from_slice(stored.unwrap_or(&[0; PAGE_SIZE]));
            Page { bytes: Arc::new(bytes), node: 0, dirty: false }
        }))
    }

    fn write_back(&mut self, counters: &mut Counters) {
        self.stored.resize(self.len as usize * PAGE_SIZE, 0);
        let cached = self.cached.iter_mut().filter(|(_, page)| page.dirty);
        for (index, page) in cached {
            let at = *index as usize * PAGE_SIZE;
            self.stored[at..at + PAGE_SIZE].copy_from_slice(&page.bytes[..]);
            page.dirty = false;
            counters.written_back += 1;
        }
    }
}

impl Oracle {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn file(&mut self, file: u32) -> Result<(&mut File, &mut Counters), Refusal> {
        let known = self.files.get_mut(&file);
        let known = known.ok_or_else(|| Refusal::Because(format!("there is no file {file}")))?;
        Ok((known, &mut self.counters))
    }
}

impl Subject for Oracle {
    fn about(&self) -> About {
        let has = vec![Need::TwoNodes, Need::Pins, Need::Views, Need::Eviction];
        About { name: "oracle", has }
    }

    fn create(&self, file: u32, kind: Kind, bytes: &[u8]) -> Result<(), Refusal> {
        let len = index(bytes.len() as u64);
        let new = File { kind, stored: bytes.into(), len, cached: BTreeMap::new() };
        self.state().files.insert(file, new);
        Ok(())
    }

    fn close(&self, file: u32) -> Result<Vec<u8>, Refusal> {
        let mut state = self.state();
        let (open, counters) = state.file(file)?;
        open.write_back(counters);
        let stored = std::mem::take(&mut open.stored);
        state.files.remove(&file);
        Ok(stored)
    }

    fn read(&self, at: At, into: &mut [u8]) -> Result<usize, Refusal> {
        let mut state = self.state();
        let (file, counters) = state.file(at.file)?;
        let mut read = 0;
        while read < into.len() {
            let offset = at.offset + read as u64;
            let within = offset as usize % PAGE_SIZE;
            let len = (PAGE_SIZE - within).min(into.len() - read);
            match file.page(index(offset), counters) {
                Ok(page) => {
                    into[read..read + len].copy_from_slice(&page.bytes[within..within + len]);
                }
                Err(Refusal::Beyond) if at.via == Via::Call => break,
                Err(refusal) => return Err(refusal),
            }
            read += len;
        }
        Ok(read)
    }

    fn write(&self, at: At, from: &[u8]) -> Result<(), Refusal> {
        let (page, within) = (index(at.offset), at.offset as usize % PAGE_SIZE);
        let mut state = self.state();
        loop {
            let (file, counters) = state.file(at.file)?;
            if at.via == Via::Call {
                file.len = file.len.max(page + 1);
            }
            let page = file.page(page, counters)?;
            if let Some(bytes) = Arc::get_mut(&mut page.bytes) {
                bytes[within..within + from.len()].copy_from_slice(from);
                page.dirty = true;
                return Ok(());
            }
            state = self.unpinned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn sync(&self, file: u32) -> Result<(), Refusal> {
        let mut state = self.state();
        let (file, counters) = state.file(file)?;
        file.write_back(counters);
        Ok(())
    }

    fn truncate(&self, file: u32, cut: Cut) -> Result<(), Refusal> {
        let mut state = self.state();
        let (file, _) = state.file(file)?;
        let hole = match cut {
            Cut::Len(len) => {
                file.len = len;
                len..u64::MAX
            }
            Cut::Hole(pages) => pages,
        };
        file.cached.retain(|page, _| !hole.contains(page));
        let stored = (0..).zip(file.stored.chunks_exact_mut(PAGE_SIZE));
        stored.filter(|(page, _)| hole.contains(page)).for_each(|(_, bytes)| bytes.fill(0));
        Ok(())
    }

    fn evict(&self, file: u32, pages: Range<u64>) -> Result<u64, Refusal> {
        let mut state = self.state();
        let (file, counters) = state.file(file)?;
        if file.kind == Kind::Anonymous {
            return Ok(0);
        }
        file.write_back(counters);
        let before = file.cached.len();
        file.cached.retain(|index, page| page.is_pinned() || !pages.contains(index));
        Ok((before - file.cached.len()) as u64)
    }

    fn pin(&self, file: u32, page: u64, held: &mut dyn FnMut(Look<'_>)) -> Result<(), Refusal> {
        let bytes = {
            let mut state = self.state();
            let (file, counters) = state.file(file)?;
            file.page(page, counters)?.bytes.clone()
        };
        held(&|into| into.copy_from_slice(&bytes[..into.len()]));
        // Under the lock, or a writer that has just looked would sleep through the notification.
        let state = self.state();
        drop(bytes);
        drop(state);
        self.unpinned.notify_all();
        Ok(())
    }

    fn migrate(&self, file: u32, pages: Range<u64>, to: usize, _: How) -> Result<Moves, Refusal> {
        let mut state = self.state();
        let (file, counters) = state.file(file)?;
        let mut moves = Moves::default();
        for (_, page) in file.cached.range_mut(pages) {
            if page.node == to {
                moves.here += 1;
            } else if page.is_pinned() {
                moves.busy += 1;
            } else {
                page.node = to;
                moves.moved += 1;
            }
        }
        counters.migrated += moves.moved;
        counters.not_migrated += moves.busy;
        Ok(moves)
    }

    fn counters(&self) -> Counters {
        let state = self.state();
        let node = |node: usize| {
            let pages = state.files.values().flat_map(|file| {
                file.cached.values().map(|page| (file.kind == Kind::Anonymous, page))
            });
            let mut of_node = NodeCounters { frames: FRAMES, ..NodeCounters::default() };
            for (anonymous, page) in pages.filter(|(_, page)| page.node == node) {
                of_node.nr_anon_pages += u64::from(anonymous);
                of_node.nr_file_pages += u64::from(!anonymous);
                of_node.nr_dirty += u64::from(page.dirty);
            }
            of_node.nr_on_lru = of_node.nr_anon_pages + of_node.nr_file_pages;
            of_node.nr_free_pages = FRAMES - of_node.nr_on_lru;
            of_node
        };
        Counters { nodes: vec![node(0), node(1)], ..state.counters.clone() }
    }

    fn node_of(&self, file: u32, page: u64) -> Option<usize> {
        let mut state = self.state();
        let (file, _) = state.file(file).ok()?;
        file.cached.get(&page).map(|page| page.node)
    }
}
