//! All caches of the process, by where their descriptors are: for a pin, which knows its folio, and
//! needs its cache only when it leaves something to do.

use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Weak};

use super::Core;
use crate::folio::Folio;
use crate::sync::unwatched::{Mutex, lock};

/// The addresses of its descriptors, and the cache.
type Known = (Range<usize>, Weak<Core>);

static ALL: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// A cache is made.
pub(crate) fn add(core: &Arc<Core>) {
    let mut all = lock(&ALL);
    all.retain(|(_, cache)| cache.strong_count() > 0);
    let its = core.folios.all().as_ptr_range();
    all.push((its.start.addr()..its.end.addr(), Arc::downgrade(core)));
}

/// The cache that has a folio.
pub(crate) fn of(folio: &Folio) -> Option<Arc<Core>> {
    let all = lock(&ALL);
    let folio = ptr::from_ref(folio).addr();
    // (Where one is that is gone there may be another one now.)
    all.iter().filter(|(its, _)| its.contains(&folio)).find_map(|(_, cache)| cache.upgrade())
}
