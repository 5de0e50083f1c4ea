//! Plays operations, and knows what the file and its store must hold after each.

use std::collections::BTreeSet;
use std::sync::Arc;

use refolio::{
    Cache, Error, File, Migrate, NodeId, NodeOptions, OpenOptions, PAGE_SIZE, PageIndex, Sharing,
};

use crate::script::{Op, script};
use crate::watched::Watched;
use crate::{bytes, rest};

/// What the file holds at the beginning: more than the cache has room for.
pub fn initial() -> Vec<u8> {
    (0..140 * PAGE_SIZE + 1234).map(|at| ((at / 3) ^ (at >> 10)) as u8).collect()
}

pub struct Play {
    pub name: String,
    pub store: Arc<Watched>,
    pub cache: Cache,
    pub file: File,
    /// What the file holds.
    pub bytes: Vec<u8>,
    /// What the store held at the last `sync` that went well, and the pages changed since.
    acknowledged: Vec<u8>,
    changed: BTreeSet<usize>,
    fill: u8,
    /// Whether what failed is done again at once.
    pub again: bool,
    /// The store heals after so many operations that failed.
    pub heal_after: u32,
    pub failed: u32,
}

impl Play {
    /// A file on two nodes of 64 pages, without a thread of the cache's own: calls come in the same
    /// order each time.
    pub fn new(order: u32) -> Self {
        let store = Arc::new(Watched::new(initial()));
        let node = NodeOptions::new(64 * PAGE_SIZE as u64);
        let cache = Cache::builder().node(node.clone()).node(node).background(false);
        let cache = cache.build().unwrap();
        let file = cache.open_store(store.clone(), &OpenOptions::new().order(order)).unwrap();
        Self {
            name: "nothing fails".into(),
            store,
            cache,
            file,
            bytes: initial(),
            acknowledged: initial(),
            changed: BTreeSet::new(),
            fill: 0,
            again: false,
            heal_after: u32::MAX,
            failed: 0,
        }
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

    pub fn sync(&mut self) {
        assert!(self.play(Op::Sync), "{}", self.name);
    }

    /// Does it, and takes it into account; whether it went well.
    fn play(&mut self, op: Op) -> bool {
        let failures = self.store.failures();
        let result = self.attempt(op);
        let failing = self.store.failures() > failures;
        match &result {
            Ok(()) => {}
            // A store that takes nothing fills the nodes with pages that stay dirty.
            Err(Error::Io { .. } | Error::NoMemory { .. }) => self.failed += 1,
            Err(other) => panic!("{}: {op:?}: {other}", self.name),
        }
        let told = matches!(op, Op::Sync) && self.store.told();
        let may_fail = failing || told;
        assert!(result.is_ok() || may_fail, "{}: {op:?} failed for no reason", self.name);
        if matches!(op, Op::Sync) {
            assert_eq!(result.is_err(), may_fail, "{}: a failure, and sync", self.name);
        }
        assert_eq!(self.file.len(), self.bytes.len() as u64, "{}: {op:?}: length", self.name);
        if failing {
            self.check_acknowledged(op);
        }
        if self.failed == self.heal_after {
            self.store.inner.heal();
        }
        result.is_ok()
    }

    fn attempt(&mut self, op: Op) -> refolio::Result<()> {
        match op {
            Op::Read(offset, len) => {
                let mut seen = vec![0xEE; len];
                let done = self.file.read_at(&mut seen, offset as u64)?;
                let there = &self.bytes[offset.min(self.bytes.len())..];
                bytes::same(&seen[..done], &there[..len.min(there.len())], &self.name);
            }
            Op::Write(offset, len) => {
                let from = self.some(len);
                self.file.write_at(&from, offset as u64)?;
                self.put(offset, &from);
            }
            Op::Guard(page, at) => {
                let from = self.some(100);
                self.file.page_mut(PageIndex(page as u64))?.write(at, &from);
                self.put(page * PAGE_SIZE + at, &from);
            }
            Op::View(page, at) => {
                let from = self.some(100);
                let view = self.file.view(page as u64 - 1..page as u64 + 2, Sharing::Shared)?;
                view.write(&from, (PAGE_SIZE + at) as u64)?;
                self.put(page * PAGE_SIZE + at, &from);
            }
            Op::Sync => {
                self.file.sync()?;
                bytes::same(&self.store.bytes(), &self.bytes, &format!("{}: stored", self.name));
                self.acknowledged = self.bytes.clone();
                self.changed.clear();
            }
            Op::SetLen(len) => {
                self.file.set_len(len as u64)?;
                self.resized(len);
            }
            Op::Punch(first, pages) => {
                let (offset, len) = (first * PAGE_SIZE, pages * PAGE_SIZE);
                self.file.punch_hole(offset as u64, len as u64)?;
                self.punched(offset, len);
            }
            Op::Evict => drop(self.file.evict(0..u64::MAX)?),
            Op::Migrate(node) => {
                self.file.migrate(0..u64::MAX, NodeId(node), &Migrate::new())?;
            }
        }
        Ok(())
    }

    /// Bytes like no others.
    fn some(&mut self, len: usize) -> Vec<u8> {
        self.fill = self.fill.wrapping_add(1);
        (0..len).map(|at| (at as u8).wrapping_mul(3) ^ self.fill).collect()
    }

    fn put(&mut self, offset: usize, from: &[u8]) {
        self.changed
            .extend(offset.min(self.bytes.len()) / PAGE_SIZE..=(offset + from.len()) / PAGE_SIZE);
        bytes::put(&mut self.bytes, offset, from);
    }

    pub fn resized(&mut self, len: usize) {
        let (from, to) = (len.min(self.bytes.len()), len.max(self.bytes.len()));
        self.changed.extend(from / PAGE_SIZE..=to / PAGE_SIZE);
        self.bytes.resize(len, 0);
    }

    pub fn punched(&mut self, offset: usize, len: usize) {
        let end = offset.saturating_add(len).min(self.bytes.len());
        let offset = offset.min(end);
        self.changed.extend(offset / PAGE_SIZE..=end / PAGE_SIZE);
        self.bytes[offset..end].fill(0);
    }

    /// What was acknowledged and not changed since is in the store, whatever happens.
    fn check_acknowledged(&self, op: Op) {
        let stored = self.store.bytes();
        for (index, page) in self.acknowledged.chunks(PAGE_SIZE).enumerate() {
            if !self.changed.contains(&index) {
                let found = stored.get(index * PAGE_SIZE..).unwrap_or_default();
                assert!(found.starts_with(page), "{}: {op:?} lost page {index}", self.name);
            }
        }
    }

    /// The store works again: everything is there, every failure was told, and nothing has leaked.
    pub fn finish(mut self) -> (u32, u64) {
        self.store.inner.heal();
        // What is left to tell.
        let told = self.play(Op::Sync);
        assert!(told || self.play(Op::Sync), "{}: a failure was told twice", self.name);
        rest::check_clean(&self.cache);
        rest::check(&self.cache, &[&self.file]);
        self.read(0, self.bytes.len());
        assert!(self.play(Op::Evict));
        assert_eq!(self.file.cached_pages(), 0, "{}: somebody holds a page", self.name);
        self.read(0, self.bytes.len());
        self.write(5, 5);
        let Self { cache, file, store, bytes, failed, .. } = self;
        drop(file);
        bytes::same(&store.bytes(), &bytes, "stored with the last handle");
        rest::check_empty(&cache);
        (failed, store.failures())
    }
}
