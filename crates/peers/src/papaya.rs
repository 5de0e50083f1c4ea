//! papaya: a lock-free map that evicts nothing; a look is under an epoch's guard.

use ahash::RandomState;
use papaya::HashMap;

use crate::{Key, Page, Peer, all_there};

/// A papaya `HashMap` with ahash.
pub struct Papaya(HashMap<Key, Box<Page>, RandomState>);

impl Peer for Papaya {
    const NAME: &'static str = "papaya (ahash, evicts nothing)";

    fn filled(pages: u64, content: &dyn Fn(u64) -> Page) -> Result<Self, String> {
        let map = HashMap::with_capacity_and_hasher(2 * pages as usize, RandomState::new());
        let all = map.pin();
        (0..pages).for_each(|page| _ = all.insert(Key::of(page), Box::new(content(page))));
        all_there(Self::NAME, all.len() as u64, pages)?;
        drop(all);
        Ok(Self(map))
    }

    #[inline(always)]
    fn with<R>(&self, page: u64, look: impl FnOnce(&Page) -> R) -> Option<R> {
        self.0.pin().get(&Key::of(page)).map(|bytes| look(bytes))
    }
}
