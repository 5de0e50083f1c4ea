//! moka: a cache with TinyLFU; a look clones an `Arc`.

use std::sync::Arc;

use moka::sync::Cache;

use crate::{Key, Page, Peer, all_there};

/// moka's `sync::Cache`.
pub struct Moka(Cache<Key, Arc<Page>>);

impl Peer for Moka {
    const NAME: &'static str = "moka";

    fn filled(pages: u64, content: &dyn Fn(u64) -> Page) -> Result<Self, String> {
        let cache = Cache::new(2 * pages);
        (0..pages).for_each(|page| cache.insert(Key::of(page), Arc::new(content(page))));
        cache.run_pending_tasks();
        all_there(Self::NAME, cache.entry_count(), pages)?;
        Ok(Self(cache))
    }

    #[inline(always)]
    fn with<R>(&self, page: u64, look: impl FnOnce(&Page) -> R) -> Option<R> {
        self.0.get(&Key::of(page)).map(|bytes| look(&bytes))
    }
}
