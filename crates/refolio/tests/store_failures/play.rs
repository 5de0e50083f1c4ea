//! Plays operations, and knows what the file and its store may hold after each.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use refolio::testing::{Call, FailingStore};
use refolio::{
    Cache, Error, File, MemStore, Migrate, NodeId, NodeOptions, OpenOptions, PAGE_SIZE, PageIndex,
    Sharing,
};

use crate::holds::Holds;
use crate::rest;
use crate::script::{Op, script};

/// What the file holds at the beginning: more than the cache has room for.
pub fn initial() -> Vec<u8> {
    (0..140 * PAGE_SIZE + 1234).map(|at| ((at / 3) ^ (at >> 10)) as u8).collect()
}

/// Two nodes of 64 pages, without a thread of the cache's own: calls come in the same order each
/// time.
pub fn cache() -> Cache {
    let node = NodeOptions::new(64 * PAGE_SIZE as u64);
    Cache::builder().node(node.clone()).node(node).background(false).build().unwrap()
}

pub struct Play {
    pub name: String,
    pub store: Arc<FailingStore<MemStore>>,
    pub cache: Cache,
    pub file: File,
    pub holds: Holds,
    /// Bytes of the largest folio that the file asks for.
    folio_bytes: usize,
    /// What the store held at the last `sync` that went well, and the pages changed since.
    acknowledged: Vec<u8>,
    changed: BTreeSet<usize>,
    fill: u8,
    /// Failed writes and syncs of the store that `sync` has told.
    told: u64,
    /// Whether what failed is done again at once.
    pub again: bool,
    /// The store heals after so many operations that failed.
    pub heal_after: u32,
    /// Operations that failed, and of these `sync`s.
    pub failed: u32,
    pub failed_syncs: u32,
}

impl Play {
    pub fn new(order: u32) -> Self {
        let store = Arc::new(FailingStore::new(MemStore::with_bytes(initial())));
        let cache = cache();
        let file = cache.open_store(store.clone(), &OpenOptions::new().order(order)).unwrap();
        Self {
            name: "nothing fails".into(),
            store,
            cache,
            file,
            holds: Holds::new(&initial()),
            folio_bytes: PAGE_SIZE << order,
            acknowledged: initial(),
            changed: BTreeSet::new(),
            fill: 0,
            told: 0,
            again: false,
            heal_after: u32::MAX,
            failed: 0,
            failed_syncs: 0,
        }
    }

    /// What the store holds.
    pub fn stored(&self) -> Vec<u8> {
        self.store.inner().bytes()
    }

    /// How many calls the store has failed.
    pub fn failures(&self) -> u64 {
        Call::ALL.into_iter().map(|call| self.store.failures(call)).sum()
    }

    /// Whether there are failures that `sync` must tell; it is taken to tell them.
    pub fn take_told(&mut self) -> bool {
        let failures = self.store.failures(Call::Write) + self.store.failures(Call::Sync);
        std::mem::replace(&mut self.told, failures) < failures
    }

    pub fn script(&mut self) {
        for op in script(initial().len()) {
            if !self.play(op) && self.again {
                assert!(self.play(op), "{}: {op:?} failed twice", self.name);
            }
        }
    }

    pub fn write(&mut self, offset: usize, len: usize) {
        assert!(self.play(Op::Write(offset, len)), "{}", self.name);
    }

    pub fn read(&mut self, offset: usize, len: usize) {
        assert!(self.play(Op::Read(offset, len)), "{}", self.name);
    }

    pub fn read_all(&mut self) {
        self.read(0, self.holds.len() + 10);
    }

    pub fn sync(&mut self) {
        assert!(self.play(Op::Sync), "{}", self.name);
    }

    /// Does it, and takes it into account; whether it went well.
    fn play(&mut self, op: Op) -> bool {
        let failures = self.failures();
        let result = self.attempt(op).map_err(|error| *error);
        let failing = self.failures() > failures;
        match &result {
            Ok(()) => {}
            // A store that takes nothing fills the nodes with pages that stay dirty.
            Err(Error::Io { .. } | Error::NoMemory { .. }) => self.failed += 1,
            Err(other) => panic!("{}: {op:?}: {other}", self.name),
        }
        let told = matches!(op, Op::Sync) && self.take_told();
        let may_fail = failing || told;
        assert!(result.is_ok() || may_fail, "{}: {op:?} failed for no reason", self.name);
        if matches!(op, Op::Sync) {
            self.failed_syncs += u32::from(result.is_err());
            assert_eq!(result.is_err(), may_fail, "{}: a failure, and sync", self.name);
        }
        assert_eq!(self.file.len(), self.holds.len() as u64, "{}: {op:?}: length", self.name);
        if failing {
            self.check_acknowledged(op);
        }
        if self.failed == self.heal_after {
            self.store.heal();
        }
        result.is_ok()
    }

    fn attempt(&mut self, op: Op) -> refolio::Result<()> {
        match op {
            Op::Read(offset, len) => {
                let mut seen = vec![0xEE; len];
                let done = self.file.read_at(&mut seen, offset as u64)?;
                assert_eq!(done, self.holds.len().saturating_sub(offset).min(len));
                self.holds.saw(offset, &seen[..done], &self.name);
                Ok(())
            }
            Op::Write(offset, len) => {
                let from = self.some(len);
                let result = self.file.write_at(&from, offset as u64);
                self.wrote(offset, &from, result.is_ok());
                result
            }
            Op::Guard(page, at) => {
                let from = self.some(100);
                self.file.page_mut(PageIndex(page as u64))?.write(at, &from);
                self.wrote(page * PAGE_SIZE + at, &from, true);
                Ok(())
            }
            Op::View(page, at) => {
                let from = self.some(100);
                let view = self.file.view(page as u64 - 1..page as u64 + 2, Sharing::Shared)?;
                view.write(&from, (PAGE_SIZE + at) as u64)?;
                self.wrote(page * PAGE_SIZE + at, &from, true);
                Ok(())
            }
            Op::Sync => {
                self.file.sync()?;
                let stored = self.stored();
                assert_eq!(stored.len(), self.holds.len(), "{}: length of the store", self.name);
                self.holds.saw(0, &stored, &format!("{}: stored", self.name));
                self.acknowledged = stored;
                self.changed.clear();
                Ok(())
            }
            Op::SetLen(len) => {
                self.file.set_len(len as u64)?;
                self.resized(len);
                Ok(())
            }
            Op::Punch(offset, len) => {
                let result = self.file.punch_hole(offset as u64, len as u64);
                // A hole of whole folios is refused whole; of others, a part may be there.
                let whole = |at: usize| at.is_multiple_of(self.folio_bytes);
                if result.is_ok() || !whole(offset) || !whole(offset + len) {
                    self.punched(offset, len, result.is_ok());
                }
                result
            }
            Op::Evict => self.file.evict(0..u64::MAX).map(drop),
            Op::Migrate(node) => {
                self.file.migrate(0..u64::MAX, NodeId(node), &Migrate::new()).map(drop)
            }
        }
    }

    /// Bytes like no others.
    fn some(&mut self, len: usize) -> Vec<u8> {
        self.fill = self.fill.wrapping_add(1);
        (0..len).map(|at| (at as u8).wrapping_mul(3) ^ self.fill).collect()
    }

    fn touch(&mut self, bytes: Range<usize>) {
        self.changed.extend(bytes.start / PAGE_SIZE..=bytes.end / PAGE_SIZE);
    }

    /// Bytes were written, or may have been; within one page, a write is done or it is not.
    fn wrote(&mut self, offset: usize, from: &[u8], done: bool) {
        let (before, end) = (self.holds.len(), offset + from.len());
        if !done && offset / PAGE_SIZE == (end - 1) / PAGE_SIZE {
            return;
        }
        self.touch(offset.min(before)..end);
        if end > before {
            // Up to a whole page, if only a part was written.
            let now = self.file.len() as usize;
            let part = now == before || now.is_multiple_of(PAGE_SIZE) && now > before && now < end;
            assert!(now == end || !done && part, "{}: {now} bytes, from {before}", self.name);
            self.holds.resize(now);
        }
        let end = end.min(self.holds.len());
        self.holds.change(offset.min(end)..end, done, |at, byte| *byte = from[at - offset]);
    }

    pub fn resized(&mut self, len: usize) {
        let before = self.holds.len();
        self.touch(len.min(before)..len.max(before));
        self.holds.resize(len);
    }

    pub fn punched(&mut self, offset: usize, len: usize, done: bool) {
        let end = offset.saturating_add(len).min(self.holds.len());
        let offset = offset.min(end);
        self.touch(offset..end);
        self.holds.change(offset..end, done, |_, byte| *byte = 0);
    }

    /// What was acknowledged and not changed since is in the store, whatever happens.
    fn check_acknowledged(&self, op: Op) {
        let stored = self.stored();
        for (index, page) in self.acknowledged.chunks(PAGE_SIZE).enumerate() {
            if !self.changed.contains(&index) {
                let found = stored.get(index * PAGE_SIZE..).unwrap_or_default();
                assert!(found.starts_with(page), "{}: {op:?} lost page {index}", self.name);
            }
        }
    }

    /// The store works again: everything is there, every failure was told, and nothing has leaked.
    pub fn finish(mut self) -> Finished {
        self.store.heal();
        // What is left to tell.
        let told = self.play(Op::Sync);
        assert!(told || self.play(Op::Sync), "{}: a failure was told twice", self.name);
        rest::check_clean(&self.cache);
        rest::check(&self.cache, &[&self.file]);
        self.read_all();
        assert!(self.play(Op::Evict));
        assert_eq!(self.file.cached_pages(), 0, "{}: somebody holds a page", self.name);
        self.read_all();
        self.write(5, 5);
        let failures = self.failures();
        let Self { cache, file, store, mut holds, failed, failed_syncs, .. } = self;
        drop(file);
        let stored = store.inner().bytes();
        assert_eq!(stored.len(), holds.len(), "stored with the last handle");
        holds.saw(0, &stored, "stored with the last handle");
        rest::check_empty(&cache);
        Finished { failed, failed_syncs, failures }
    }
}

/// How a run went: operations that failed, `sync`s among them, and calls of the store.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    pub failed: u32,
    pub failed_syncs: u32,
    pub failures: u64,
}

impl Finished {
    pub const WELL: Self = Self { failed: 0, failed_syncs: 0, failures: 0 };
}
