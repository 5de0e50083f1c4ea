//! dashmap: a sharded map that evicts nothing; a look holds its shard's lock for reading.

use ahash::RandomState;

use crate::{Key, Page, Peer, all_there};

/// A `DashMap` with ahash and 64 shards.
pub struct DashMap(dashmap::DashMap<Key, Box<Page>, RandomState>);

impl Peer for DashMap {
    const NAME: &'static str = "dashmap (ahash, evicts nothing)";

    fn filled(pages: u64, content: &dyn Fn(u64) -> Page) -> Result<Self, String> {
        let (room, hasher) = (2 * pages as usize, RandomState::new());
        let map = dashmap::DashMap::with_capacity_and_hasher_and_shard_amount(room, hasher, 64);
        (0..pages).for_each(|page| _ = map.insert(Key::of(page), Box::new(content(page))));
        all_there(Self::NAME, map.len() as u64, pages)?;
        Ok(Self(map))
    }

    #[inline(always)]
    fn with<R>(&self, page: u64, look: impl FnOnce(&Page) -> R) -> Option<R> {
        self.0.get(&Key::of(page)).map(|bytes| look(&bytes))
    }
}
