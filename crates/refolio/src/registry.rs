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

/// Which files there are, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Known {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let numbers = self.by_number.iter().map(|mapping| mapping.as_ref().map(|m| m.id));
        numbers.collect::<Vec<_>>().hash(state);
    }
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
    /// Either is counted as having one more user. While `make` looks at the file, no other mapping
    /// of it exists, whose pages might still be on their way to it.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn open<E>(
        &self,
        file: Option<(u64, u64)>,
        make: impl FnOnce(u32) -> Result<Mapping, E>,
    ) -> Result<Arc<Mapping>, E> {
        let mut known = self.0.write();
        let found = file.and_then(|file| known.by_file.get(&file).cloned());
        let mapping = match found {
            Some(mapping) => mapping,
            None => known.add(file, make)?,
        };
        // Relaxed: counted under the lock.
        mapping.users.fetch_add(1, crate::sync::Relaxed);
        Ok(mapping)
    }

    /// One user more of a mapping that has some.
    pub fn share(&self, mapping: &Mapping) {
        let _known = self.0.write();
        // Relaxed: counted under the lock.
        mapping.users.fetch_add(1, crate::sync::Relaxed);
    }

    /// One user less; whether that was the last one. The mapping stays until
    /// [`forget`](Self::forget).
    pub fn close(&self, mapping: &Mapping) -> bool {
        let _known = self.0.write();
        // Relaxed: counted under the lock.
        mapping.users.fetch_sub(1, crate::sync::Relaxed) == 1
    }

    /// Drops a mapping that has neither users nor pages; whether it was so. Two threads may have
    /// closed it one after the other: the second one must not drop its successor.
    pub fn forget(&self, mapping: &Mapping) -> bool {
        let mut known = self.0.write();
        if mapping.users.load(crate::sync::Relaxed) > 0 || mapping.nr_pages.get() > 0 {
            return false;
        }
        let slot = known.by_number.get_mut(mapping.id as usize - 1);
        let is_it = |known: &Arc<Mapping>| std::ptr::eq(&**known, mapping);
        let Some(slot) = slot.filter(|slot| slot.as_ref().is_some_and(is_it)) else {
            return false;
        };
        *slot = None;
        if let Some(file) = mapping.file {
            known.by_file.remove(&file);
        }
        true
    }
}

impl Known {
    /// A new mapping under the first free number.
    fn add<E>(
        &mut self,
        file: Option<(u64, u64)>,
        make: impl FnOnce(u32) -> Result<Mapping, E>,
    ) -> Result<Arc<Mapping>, E> {
        let free = self.by_number.iter().position(Option::is_none);
        let at = free.unwrap_or(self.by_number.len());
        let mapping = Arc::new(make(at as u32 + 1)?);
        match free {
            Some(at) => self.by_number[at] = Some(mapping.clone()),
            None => self.by_number.push(Some(mapping.clone())),
        }
        if let Some(file) = file {
            self.by_file.insert(file, mapping.clone());
        }
        Ok(mapping)
    }
}
