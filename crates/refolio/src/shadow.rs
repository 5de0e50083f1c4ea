//! What an evicted page leaves in its slot: when it went.
//!
//! A page that comes back soon after it was evicted belongs to the working set, and starts on the
//! active list. "Soon" is measured in evictions: had the inactive list been longer by as many pages
//! as were evicted in between, the page would have been there still.
//!
//! Shadows take room in the tree of their file, so there are only as many as there are frames: the
//! oldest one goes when a new one comes.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::mapping::Mapping;
use crate::node::Count;
use crate::sync::plain::{Mutex, lock};
use crate::units::PageIndex;
use refolio_xarray::Entry;

#[derive(Debug)]
struct Shadow {
    mapping: Weak<Mapping>,
    index: PageIndex,
    /// The slot holds this exactly while the shadow is the one that is meant.
    entry: Entry,
}

/// Which shadow it is, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Shadow {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.index, self.entry).hash(state);
    }
}

/// The shadows of a cache, oldest first.
#[derive(Debug)]
#[doc(alias = "workingset_shadow")]
pub(crate) struct Shadows {
    ring: Mutex<VecDeque<Shadow>>,
    capacity: usize,
    evicted: Count,
}

impl Shadows {
    pub fn new(frames: usize) -> Self {
        Self { ring: Mutex::default(), capacity: frames, evicted: Count::default() }
    }

    /// What to leave in the slot of a folio of 2^order pages that is evicted now.
    #[doc(alias = "workingset_eviction")]
    pub fn leave(&self, pages: u32) -> Entry {
        self.evicted.add(pages);
        Entry::value(self.evicted.get())
    }

    /// Remembers a shadow that was stored, and takes the oldest one back when there are too many.
    pub fn keep(&self, mapping: &Arc<Mapping>, index: PageIndex, entry: Entry) {
        let oldest = {
            let mut ring = lock(&self.ring);
            ring.push_back(Shadow { mapping: Arc::downgrade(mapping), index, entry });
            if ring.len() > self.capacity { ring.pop_front() } else { None }
        };
        let Some(oldest) = oldest else { return };
        if let Some(mapping) = oldest.mapping.upgrade() {
            let mut pages = mapping.pages.lock();
            let still =
                |found: Entry| found.is_value() && found.payload() == oldest.entry.payload();
            if pages.load(oldest.index.0).is_some_and(still) {
                pages.erase(oldest.index.0);
            }
        }
    }

    /// Pages evicted since the shadow was left.
    #[doc(alias = "workingset_refault")]
    pub fn distance(&self, shadow: Entry) -> u64 {
        self.evicted.get().saturating_sub(shadow.payload())
    }
}
