//! quick_cache: a sharded cache with S3-FIFO; a look clones an `Arc`.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::{Key, Page, Peer, all_there};

/// quick_cache's `sync::Cache`.
pub struct QuickCache(Cache<Key, Arc<Page>>);

impl Peer for QuickCache {
    const NAME: &'static str = "quick_cache";

    fn filled(pages: u64, content: &dyn Fn(u64) -> Page) -> Result<Self, String> {
        let cache = Cache::new(2 * pages as usize);
        (0..pages).for_each(|page| cache.insert(Key::of(page), Arc::new(content(page))));
        all_there(Self::NAME, cache.len() as u64, pages)?;
        Ok(Self(cache))
    }

    #[inline(always)]
    fn with<R>(&self, page: u64, look: impl FnOnce(&Page) -> R) -> Option<R> {
        self.0.get(&Key::of(page)).map(|bytes| look(&bytes))
    }
}
