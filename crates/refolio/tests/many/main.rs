//! Many pages at once: reads in one call, reading ahead, and stores that have many reads in hand.

mod ahead;
mod claims;
mod stores;

use refolio::{Cache, File, NodeOptions, OpenOptions, PAGE_SIZE, Store};

/// What page `index` is full of.
pub fn value(index: u64) -> u8 {
    (index * 7 + 1) as u8
}

/// A file of so many pages, and some bytes more.
pub fn bytes(pages: usize, more: usize) -> Vec<u8> {
    (0..pages * PAGE_SIZE + more).map(|at| value((at / PAGE_SIZE) as u64)).collect()
}

/// A cache of so many pages on each of two nodes, without threads of its own.
pub fn cache(pages: u64) -> Cache {
    let node = || NodeOptions::new(pages * PAGE_SIZE as u64);
    Cache::builder().node(node()).node(node()).background(false).build().unwrap()
}

/// A store's file in a cache that has room for it.
pub fn open(store: impl Store + 'static, order: u32) -> (Cache, File) {
    let cache = cache(256);
    let file = cache.open_store(store, &OpenOptions::new().order(order)).unwrap();
    (cache, file)
}
