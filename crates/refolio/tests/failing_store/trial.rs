//! One trial: a file on a store that may fail, and what it may hold.
//!
//! Where an operation fails, it may have done a part of what it was to do. So for each page there
//! is a list of contents that it can have; a read that answers rules out those it contradicts, and
//! at least one must be left.

use std::sync::Arc;

use refolio::testing::FailingStore;
use refolio::{
    Cache, Error, File, MemStore, NodeOptions, OpenOptions, PAGE_SIZE, PageIndex, Sharing,
};

use crate::rest;

/// Bytes of the file at the beginning: more than the cache holds.
pub fn initial() -> Vec<u8> {
    (0..140 * PAGE_SIZE + 1234).map(|at| ((at / 5) ^ (at >> 11)) as u8).collect()
}

/// Two nodes of 64 pages, and no thread of its own, so that calls come in the same order each time.
pub fn cache() -> Cache {
    let node = NodeOptions::new(64 * PAGE_SIZE as u64);
    Cache::builder().node(node.clone()).node(node).background(false).build().unwrap()
}

pub struct Trial {
    pub store: Arc<FailingStore<MemStore>>,
    pub cache: Cache,
    pub file: File,
    /// What each page can hold, with zeros behind the end of the file.
    can_hold: Vec<Vec<Vec<u8>>>,
    len: usize,
    fill: u8,
    /// Operations that failed, and of these `sync`s.
    pub failed: u32,
    pub failed_syncs: u32,
}

/// The first page, and behind the last one, of a run of bytes.
fn pages(offset: usize, end: usize) -> std::ops::Range<usize> {
    offset / PAGE_SIZE..end.div_ceil(PAGE_SIZE)
}

impl Trial {
    pub fn new(order: u32) -> Self {
        let bytes = initial();
        let store = Arc::new(FailingStore::new(MemStore::with_bytes(bytes.clone())));
        let cache = cache();
        let file = cache.open_store(store.clone(), &OpenOptions::new().order(order)).unwrap();
        let page = |page: &[u8]| {
            let mut page = page.to_vec();
            page.resize(PAGE_SIZE, 0);
            vec![page]
        };
        let can_hold = bytes.chunks(PAGE_SIZE).map(page).collect();
        Self { store, cache, file, can_hold, len: bytes.len(), fill: 0, failed: 0, failed_syncs: 0 }
    }

    /// Something of everything; more is written than fits in the nodes.
    pub fn script(&mut self) {
        self.read(0, 9 * PAGE_SIZE);
        self.write(PAGE_SIZE + 100, 3 * PAGE_SIZE);
        self.write(20 * PAGE_SIZE, 5 * PAGE_SIZE);
        self.sync();
        self.write(self.len - 10, 2 * PAGE_SIZE);
        self.write(self.len + 3 * PAGE_SIZE + 7, 20);
        for at in 0..70 {
            self.write((30 + at) * PAGE_SIZE + at, PAGE_SIZE / 2);
        }
        self.read(0, 150 * PAGE_SIZE);
        self.guard(3);
        self.view(60);
        self.punch(6 * PAGE_SIZE + 50, 4 * PAGE_SIZE);
        self.set_len(120 * PAGE_SIZE + 11);
        self.sync();
        self.set_len(131 * PAGE_SIZE);
        self.write(118 * PAGE_SIZE, 3 * PAGE_SIZE);
        self.punch(117 * PAGE_SIZE, 2 * PAGE_SIZE);
        self.write(90 * PAGE_SIZE, 7 * PAGE_SIZE);
        self.evict();
        self.read(80 * PAGE_SIZE, 50 * PAGE_SIZE);
        self.write(0, 100);
        self.write(self.len, 5 * PAGE_SIZE);
        self.sync();
        self.write(9, 9);
        self.set_len(50);
        self.write(10 * PAGE_SIZE, 3);
        self.sync();
    }

    /// Whether it went well; otherwise it must have been the store that failed.
    fn went<T>(&mut self, result: refolio::Result<T>) -> bool {
        match result {
            Ok(_) => return true,
            // A store that takes nothing back fills the nodes with pages that stay dirty.
            Err(Error::Io { .. } | Error::NoMemory { .. }) => self.failed += 1,
            Err(other) => panic!("{other}"),
        }
        false
    }

    /// Takes an operation's effect into account: it happened, or may have.
    fn apply(&mut self, went: bool, offset: usize, end: usize, change: impl Fn(usize, &mut u8)) {
        for index in pages(offset, end) {
            let start = index * PAGE_SIZE;
            let changed = self.can_hold[index].iter().map(|page| {
                let mut page = page.clone();
                for at in offset.max(start)..end.min(start + PAGE_SIZE) {
                    change(at, &mut page[at - start]);
                }
                page
            });
            let changed: Vec<_> = changed.collect();
            match went {
                true => self.can_hold[index] = changed,
                false => self.can_hold[index].extend(changed),
            }
        }
    }

    /// Rules out what contradicts bytes that were seen.
    #[track_caller]
    fn saw(&mut self, offset: usize, bytes: &[u8], how: &str) {
        for index in pages(offset, offset + bytes.len()) {
            let start = index * PAGE_SIZE;
            let (from, to) = (offset.max(start), (offset + bytes.len()).min(start + PAGE_SIZE));
            let seen = &bytes[from - offset..to - offset];
            self.can_hold[index].retain(|page| page[from - start..to - start] == *seen);
            assert!(!self.can_hold[index].is_empty(), "{how}: page {index} cannot hold this");
        }
    }

    pub fn read(&mut self, offset: usize, len: usize) {
        let mut bytes = vec![0xEE; len];
        let result = self.file.read_at(&mut bytes, offset as u64);
        let there = self.len.saturating_sub(offset).min(len);
        if let Ok(got) = &result {
            assert_eq!(*got, there);
            self.saw(offset, &bytes[..there], "a read");
        }
        self.went(result);
    }

    pub fn write(&mut self, offset: usize, len: usize) {
        self.fill = self.fill.wrapping_add(1);
        let fill = self.fill;
        let byte = move |at: usize| (at as u8).wrapping_mul(3) ^ fill;
        let from: Vec<u8> = (offset..offset + len).map(byte).collect();
        let result = self.file.write_at(&from, offset as u64);
        let went = self.went(result);
        self.grown(went, offset + len);
        let end = (offset + len).min(self.len);
        self.apply(went, offset.min(end), end, |at, byte_at| *byte_at = byte(at));
    }

    /// The file may have become longer, up to `end`.
    fn grown(&mut self, went: bool, end: usize) {
        let now = self.file.len() as usize;
        let part = now == self.len || now.is_multiple_of(PAGE_SIZE) && now > self.len && now < end;
        assert!(now == end.max(self.len) || !went && part, "{now} bytes, from {}", self.len);
        self.len = now;
        self.can_hold.resize(now.div_ceil(PAGE_SIZE), vec![vec![0; PAGE_SIZE]]);
    }

    fn guard(&mut self, index: usize) {
        let page =
            self.file.page_mut(PageIndex(index as u64)).map(|mut page| page.write(7, b"guard"));
        if self.went(page) {
            self.put(index * PAGE_SIZE + 7, b"guard");
        }
    }

    fn view(&mut self, index: usize) {
        let pages = index as u64..index as u64 + 2;
        let view = self.file.view(pages, Sharing::Shared).unwrap();
        let written = view.write(b"view", 5);
        drop(view);
        if self.went(written) {
            self.put(index * PAGE_SIZE + 5, b"view");
        }
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.apply(true, offset, offset + bytes.len(), |at, byte| *byte = bytes[at - offset]);
    }

    fn punch(&mut self, offset: usize, len: usize) {
        let result = self.file.punch_hole(offset as u64, len as u64);
        let went = self.went(result);
        self.apply(went, offset, (offset + len).min(self.len), |_, byte| *byte = 0);
    }

    /// A length that was refused has changed nothing.
    fn set_len(&mut self, len: usize) {
        let result = self.file.set_len(len as u64);
        if self.went(result) {
            let cut = len.min(self.len);
            let end = self.can_hold.len() * PAGE_SIZE;
            self.apply(true, cut, end, |_, byte| *byte = 0);
            self.can_hold.resize(len.div_ceil(PAGE_SIZE), vec![vec![0; PAGE_SIZE]]);
            self.len = len;
        }
        assert_eq!(self.file.len() as usize, self.len);
    }

    fn evict(&mut self) {
        let result = self.file.evict(0..u64::MAX);
        self.went(result);
    }

    /// What `sync` acknowledges is in the store.
    fn sync(&mut self) {
        let result = self.file.sync();
        if !self.went(result) {
            self.failed_syncs += 1;
            return;
        }
        let stored = self.store.inner().bytes();
        assert_eq!(stored.len(), self.len, "length of the store");
        self.saw(0, &stored, "the store");
    }

    /// The store works again: everything is there, every failure was told, and nothing has leaked.
    pub fn finish(&mut self) {
        self.sync();
        let failed = self.failed;
        self.sync();
        self.read(0, self.len);
        self.sync();
        assert_eq!(self.failed, failed, "a failure was told twice");
        rest::check_clean(&self.cache);
        rest::check(&self.cache, &[&self.file]);
        self.file.evict(0..u64::MAX).unwrap();
        assert_eq!(self.file.cached_pages(), 0, "somebody holds a page still");
        let node = &self.cache.nodes()[0];
        assert_eq!(node.nr_free_pages, node.frames);
        self.read(0, self.len);
    }
}
