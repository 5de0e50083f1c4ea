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

/// What one page has left.
#[derive(Debug)]
pub(crate) struct Shadow {
    mapping: Weak<Mapping>,
    index: PageIndex,
    /// The slot holds this exactly while the shadow is the one that is meant.
    pub entry: Entry,
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

    /// What to leave in the slot of a folio that is evicted now.
    #[doc(alias = "workingset_eviction")]
    pub fn leave(&self, mapping: &Arc<Mapping>, index: PageIndex, pages: u32) -> Shadow {
        self.evicted.add(pages);
        let entry = Entry::value(self.evicted.get());
        Shadow { mapping: Arc::downgrade(mapping), index, entry }
    }

    /// Remembers shadows that were stored, and takes the oldest ones back when there are too many.
    pub fn keep(&self, shadows: Vec<Shadow>) {
        if shadows.is_empty() {
            return;
        }
        let oldest: Vec<_> = {
            let mut ring = lock(&self.ring);
            ring.extend(shadows);
            let too_many = ring.len().saturating_sub(self.capacity);
            ring.drain(..too_many).collect()
        };
        for shadows in oldest.chunk_by(|a, b| Weak::ptr_eq(&a.mapping, &b.mapping)) {
            let Some(mapping) = shadows[0].mapping.upgrade() else { continue };
            let mut slots = mapping.pages.lock();
            for shadow in shadows {
                let is_it =
                    |found: Entry| found.is_value() && found.payload() == shadow.entry.payload();
                if slots.load(shadow.index.0).is_some_and(is_it) {
                    slots.erase(shadow.index.0);
                }
            }
        }
    }

    /// Pages evicted since the shadow was left.
    #[doc(alias = "workingset_refault")]
    pub fn distance(&self, shadow: Entry) -> u64 {
        self.evicted.get().saturating_sub(shadow.payload())
    }
}
