//! The files of a cache, by number and by what they are on disk.

use std::collections::HashMap;

use crate::mapping::Mapping;
use crate::sync::{Arc, RwLock};

#[derive(Debug, Default)]
struct Known {
    /// Mapping n at n - 1; numbers are reused, since no folio names a mapping that is gone.
    by_number: Vec<Option<Arc<Mapping>>>,
    by_file: HashMap<(u64, u64), Arc<Mapping>>,
}

/// All mappings that are in use.
#[derive(Debug, Default)]
pub(crate) struct Mappings(RwLock<Known>);

impl Mappings {
    /// The mapping with this number.
    pub fn get(&self, id: u32) -> Option<Arc<Mapping>> {
        self.0.read().by_number.get(id.checked_sub(1)? as usize)?.clone()
    }

    /// All mappings, by number.
    pub fn all(&self) -> Vec<Arc<Mapping>> {
        self.0.read().by_number.iter().flatten().cloned().collect()
    }

    /// The mapping of a file that is open already, or the one that `make` makes for a new number.
    /// Either is counted as having one more user.
    pub fn open(
        &self,
        file: Option<(u64, u64)>,
        make: impl FnOnce(u32) -> Mapping,
    ) -> Arc<Mapping> {
        let mut known = self.0.write();
        let found = file.and_then(|file| known.by_file.get(&file).cloned());
        let mapping = found.unwrap_or_else(|| {
            let free = known.by_number.iter().position(Option::is_none);
            let at = free.unwrap_or(known.by_number.len());
            let mapping = Arc::new(make(at as u32 + 1));
            match free {
                Some(at) => known.by_number[at] = Some(mapping.clone()),
                None => known.by_number.push(Some(mapping.clone())),
            }
            if let Some(file) = file {
                known.by_file.insert(file, mapping.clone());
            }
            mapping
        });
        // Relaxed: counted under the lock.
        mapping.users.fetch_add(1, crate::sync::Relaxed);
        mapping
    }

    /// One user more of a mapping that has some.
    pub fn share(&self, mapping: &Mapping) {
        let _known = self.0.write();
        // Relaxed: counted under the lock.
        mapping.users.fetch_add(1, crate::sync::Relaxed);
    }

    /// One user less; whether that was the last one. The mapping stays until [`forget`](Self::forget).
    pub fn close(&self, mapping: &Mapping) -> bool {
        let _known = self.0.write();
        // Relaxed: counted under the lock.
        mapping.users.fetch_sub(1, crate::sync::Relaxed) == 1
    }

    /// Drops a mapping that has neither users nor pages; whether it was so.
    pub fn forget(&self, mapping: &Mapping) -> bool {
        let mut known = self.0.write();
        if mapping.users.load(crate::sync::Relaxed) > 0 || mapping.nr_pages.get() > 0 {
            return false;
        }
        if let Some(slot) = known.by_number.get_mut(mapping.id as usize - 1) {
            *slot = None;
        }
        if let Some(file) = mapping.file {
            known.by_file.remove(&file);
        }
        true
    }
}
