//! foyer: a sharded cache, here its memory part with S3-FIFO; a look hands out an entry.

use std::sync::Arc;

use foyer::{Cache, CacheBuilder, S3FifoConfig};

use crate::{Key, Page, Peer, all_there};

/// foyer's `Cache` with S3-FIFO and 64 shards.
pub struct Foyer(Cache<Key, Arc<Page>>);

impl Peer for Foyer {
    const NAME: &'static str = "foyer (S3-FIFO)";

    fn filled(pages: u64, content: &dyn Fn(u64) -> Page) -> Result<Self, String> {
        let builder = CacheBuilder::new(2 * pages as usize).with_shards(64);
        let cache: Cache<Key, Arc<Page>> =
            builder.with_eviction_config(S3FifoConfig::default()).build();
        (0..pages).for_each(|page| _ = cache.insert(Key::of(page), Arc::new(content(page))));
        all_there(Self::NAME, cache.usage() as u64, pages)?;
        Ok(Self(cache))
    }

    #[inline(always)]
    fn with<R>(&self, page: u64, look: impl FnOnce(&Page) -> R) -> Option<R> {
        self.0.get(&Key::of(page)).map(|entry| look(entry.value()))
    }
}
