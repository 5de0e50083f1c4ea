//! The way from a folio to the table entries that map it.
//!
//! Kept beside the descriptors, since most folios of a page cache are mapped nowhere. The sites of
//! a folio change under its lock only; the locks here merely keep the maps whole.

use std::collections::BTreeMap;

use crate::sync::{Arc, Mutex, rule};
use crate::table::Table;
use crate::units::{FrameNo, Vpn};

const SHARDS: usize = if cfg!(refolio_model) { 1 } else { 64 };

/// A run of entries of one table that map a folio.
#[derive(Clone, Debug)]
#[cfg_attr(refolio_explore, derive(Hash))]
pub(crate) struct Site {
    pub table: Arc<Table>,
    /// Where page 0 of the folio is, or would be if the view began early enough (wrapping).
    pub base: Vpn,
    /// Present entries of the run.
    pub entries: u32,
}

impl Site {
    /// The entry for page `page` of the folio.
    pub fn at(&self, page: u32) -> Vpn {
        Vpn(self.base.0.wrapping_add(u64::from(page)))
    }
}

type Shard = Mutex<BTreeMap<FrameNo, Vec<Site>>>;

/// The sites of all mapped folios.
#[derive(Debug)]
pub(crate) struct Rmap(Vec<Shard>);

impl Rmap {
    pub fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    /// Whether no folio is mapped.
    #[cfg(refolio_model)]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|shard| shard.lock().is_empty())
    }

    fn shard(&self, folio: FrameNo) -> &Shard {
        &self.0[(folio.0 ^ folio.0 >> 9) as usize & (SHARDS - 1)]
    }

    /// `entries` more of `table` map the folio.
    #[doc(alias = "folio_add_file_rmap_ptes")]
    #[doc(alias = "folio_add_anon_rmap_ptes")]
    pub fn add(&self, folio: FrameNo, table: &Arc<Table>, base: Vpn, entries: u32) {
        let mut shard = self.shard(folio).lock();
        let sites = shard.entry(folio).or_default();
        match sites.iter_mut().find(|site| site.base == base && Arc::ptr_eq(&site.table, table)) {
            Some(site) => site.entries += entries,
            None => sites.push(Site { table: table.clone(), base, entries }),
        }
    }

    /// One entry of `table` does not map the folio any more.
    #[doc(alias = "folio_remove_rmap_ptes")]
    pub fn remove(&self, folio: FrameNo, table: &Arc<Table>, base: Vpn) {
        let mut shard = self.shard(folio).lock();
        let Some(sites) = shard.get_mut(&folio) else { return };
        for site in sites.iter_mut() {
            if site.base == base && Arc::ptr_eq(&site.table, table) {
                site.entries -= 1;
            }
        }
        sites.retain(|site| site.entries > 0);
        if sites.is_empty() {
            shard.remove(&folio);
        }
    }

    /// All sites of the folio, which has none afterwards.
    pub fn take(&self, folio: FrameNo) -> Vec<Site> {
        self.shard(folio).lock().remove(&folio).unwrap_or_default()
    }

    /// The sites of a folio that had none.
    pub fn put(&self, folio: FrameNo, sites: Vec<Site>) {
        let before = self.shard(folio).lock().insert(folio, sites);
        rule(before.is_none(), "mapped under the mover's lock");
    }

    /// One site of the folio.
    pub fn first(&self, folio: FrameNo) -> Option<Site> {
        self.shard(folio).lock().get(&folio)?.first().cloned()
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::table::Backing;

    #[test]
    fn each_site_of_a_folio_is_counted_by_itself() {
        let rmap = Rmap::new();
        let table = || Arc::new(Table::new(16, Backing::Anonymous { order: 0 }).unwrap());
        let (folio, one, other) = (FrameNo(7), table(), table());
        rmap.add(folio, &one, Vpn(0), 2);
        rmap.add(folio, &one, Vpn(8), 1);
        rmap.add(folio, &other, Vpn(0), 1);
        rmap.add(folio, &other, Vpn(0), 1);
        rmap.remove(folio, &one, Vpn(0));
        rmap.remove(folio, &other, Vpn(0));
        let sites = rmap.take(folio);
        let of = |table: &Arc<Table>| -> Vec<_> {
            let mine = sites.iter().filter(|site| Arc::ptr_eq(&site.table, table));
            mine.map(|site| (site.base.0, site.entries)).collect()
        };
        assert_eq!(of(&one), [(0, 1), (8, 1)]);
        assert_eq!(of(&other), [(0, 1)]);
        assert!(rmap.first(folio).is_none());
    }

    #[test]
    fn a_site_without_entries_is_none() {
        let (rmap, folio) = (Rmap::new(), FrameNo(7));
        let table = Arc::new(Table::new(16, Backing::Anonymous { order: 0 }).unwrap());
        rmap.add(folio, &table, Vpn(0), 2);
        rmap.add(folio, &table, Vpn(8), 1);
        rmap.remove(folio, &table, Vpn(0));
        rmap.remove(folio, &table, Vpn(0));
        assert_eq!(rmap.first(folio).map(|site| (site.base, site.entries)), Some((Vpn(8), 1)));
        rmap.remove(folio, &table, Vpn(8));
        assert!(rmap.first(folio).is_none());
        // Nothing is left that `put` would find.
        rmap.put(folio, vec![Site { table, base: Vpn(0), entries: 1 }]);
    }
}
