//! The way from a folio to the table entries that map it.
//!
//! Beside the descriptors, since most folios of a page cache are mapped nowhere: a place for each frame,
//! in blocks that have memory only while a folio of theirs is mapped. Pages that move together lie
//! together, as a rule, and find their places in the same few cache lines. The sites of a folio change
//! under its lock only; the locks here merely keep the blocks whole.

use std::mem;
use std::ops::Deref;
use std::slice;

use crate::frame::vec_with_room;
use crate::sync::{Arc, Mutex, MutexGuard, rule};
use crate::table::Table;
use crate::units::{FrameNo, Vpn};

/// Frames whose places come and go together.
const BLOCK: usize = if cfg!(refolio_model) { 16 } else { 64 };

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

    fn is(&self, table: &Arc<Table>, base: Vpn) -> bool {
        self.base == base && Arc::ptr_eq(&self.table, table)
    }
}

/// All sites of a folio: as a rule there is one at most.
#[derive(Clone, Debug, Default)]
#[cfg_attr(refolio_explore, derive(Hash))]
pub(crate) enum Sites {
    #[default]
    None,
    One(Site),
    Many(Vec<Site>),
}

impl Deref for Sites {
    type Target = [Site];

    fn deref(&self) -> &[Site] {
        match self {
            Self::None => &[],
            Self::One(site) => slice::from_ref(site),
            Self::Many(sites) => sites,
        }
    }
}

impl Sites {
    fn find(&mut self, table: &Arc<Table>, base: Vpn) -> Option<&mut Site> {
        let sites = match self {
            Self::None => &mut [],
            Self::One(site) => slice::from_mut(site),
            Self::Many(sites) => sites,
        };
        sites.iter_mut().find(|site| site.is(table, base))
    }

    fn push(&mut self, site: Site) {
        *self = match mem::take(self) {
            Self::None => Self::One(site),
            Self::One(first) => Self::Many(vec![first, site]),
            Self::Many(mut sites) => {
                sites.push(site);
                Self::Many(sites)
            }
        };
    }

    /// Those without entries go.
    fn tidy(&mut self) {
        if let Self::Many(sites) = self {
            sites.retain(|site| site.entries > 0);
        }
        if self.iter().all(|site| site.entries == 0) {
            *self = Self::None;
        }
    }
}

/// The sites of neighbouring frames.
#[derive(Debug, Default)]
#[cfg_attr(refolio_explore, derive(Hash))]
struct Block {
    /// Empty while none of them is mapped.
    sites: Box<[Sites]>,
    mapped: u32,
}

impl Block {
    fn change<T>(&mut self, folio: FrameNo, change: impl FnOnce(&mut Sites) -> T) -> T {
        if self.sites.is_empty() {
            self.sites = (0..BLOCK).map(|_| Sites::None).collect();
        }
        let sites = &mut self.sites[folio.0 as usize % BLOCK];
        let was_mapped = !sites.is_empty();
        let done = change(sites);
        self.mapped += u32::from(!sites.is_empty());
        self.mapped -= u32::from(was_mapped);
        if self.mapped == 0 {
            self.sites = Box::default();
        }
        done
    }
}

/// The sites of all mapped folios.
#[derive(Debug)]
pub(crate) struct Rmap(Vec<Mutex<Block>>);

impl Rmap {
    /// For so many frames, none of which is mapped; None when there is no memory for that.
    pub fn new(frames: usize) -> Option<Self> {
        let mut blocks = vec_with_room(frames.div_ceil(BLOCK))?;
        blocks.resize_with(frames.div_ceil(BLOCK), Mutex::default);
        Some(Self(blocks))
    }

    /// Whether no folio is mapped.
    #[cfg(refolio_model)]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|block| block.lock().mapped == 0)
    }

    fn block(&self, folio: FrameNo) -> MutexGuard<'_, Block> {
        self.0[folio.0 as usize / BLOCK].lock()
    }

    /// `entries` more of `table` map the folio.
    #[doc(alias = "folio_add_file_rmap_ptes")]
    #[doc(alias = "folio_add_anon_rmap_ptes")]
    pub fn add(&self, folio: FrameNo, table: &Arc<Table>, base: Vpn, entries: u32) {
        self.block(folio).change(folio, |sites| match sites.find(table, base) {
            Some(site) => site.entries += entries,
            None => sites.push(Site { table: table.clone(), base, entries }),
        });
    }

    /// One entry of `table` does not map the folio any more.
    #[doc(alias = "folio_remove_rmap_ptes")]
    pub fn remove(&self, folio: FrameNo, table: &Arc<Table>, base: Vpn) {
        self.block(folio).change(folio, |sites| {
            if let Some(site) = sites.find(table, base) {
                site.entries -= 1;
                sites.tidy();
            }
        });
    }

    /// All sites of the folio, which has none afterwards.
    pub fn take(&self, folio: FrameNo) -> Sites {
        self.block(folio).change(folio, mem::take)
    }

    /// The sites of a folio that had none.
    pub fn put(&self, folio: FrameNo, sites: Sites) {
        let before = self.block(folio).change(folio, |place| mem::replace(place, sites));
        rule(before.is_empty(), "mapped under the mover's lock");
    }

    /// One site of the folio.
    pub fn first(&self, folio: FrameNo) -> Option<Site> {
        let block = self.block(folio);
        block.sites.get(folio.0 as usize % BLOCK)?.first().cloned()
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::table::Backing;

    #[test]
    fn each_site_of_a_folio_is_counted_by_itself() {
        let rmap = Rmap::new(64).unwrap();
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
        let (rmap, folio) = (Rmap::new(64).unwrap(), FrameNo(7));
        let table = Arc::new(Table::new(16, Backing::Anonymous { order: 0 }).unwrap());
        rmap.add(folio, &table, Vpn(0), 2);
        rmap.add(folio, &table, Vpn(8), 1);
        rmap.remove(folio, &table, Vpn(0));
        rmap.remove(folio, &table, Vpn(0));
        assert_eq!(rmap.first(folio).map(|site| (site.base, site.entries)), Some((Vpn(8), 1)));
        rmap.remove(folio, &table, Vpn(8));
        assert!(rmap.first(folio).is_none());
        // Nothing is left that `put` would find.
        rmap.put(folio, Sites::One(Site { table, base: Vpn(0), entries: 1 }));
    }

    #[test]
    fn a_block_has_memory_only_while_a_folio_of_it_is_mapped() {
        let rmap = Rmap::new(BLOCK + 1).unwrap();
        let table = Arc::new(Table::new(16, Backing::Anonymous { order: 0 }).unwrap());
        let places = || [0, 1].map(|block: usize| rmap.0[block].lock().sites.len());
        let (last, beyond) = (FrameNo(BLOCK as u32 - 1), FrameNo(BLOCK as u32));
        rmap.add(last, &table, Vpn(0), 1);
        rmap.add(FrameNo(0), &table, Vpn(1), 1);
        assert_eq!(places(), [BLOCK, 0]);
        let sites = rmap.take(last);
        rmap.put(beyond, sites);
        assert_eq!(places(), [BLOCK, BLOCK]);
        rmap.remove(FrameNo(0), &table, Vpn(1));
        assert_eq!(places(), [0, BLOCK]);
        assert_eq!(rmap.first(beyond).map(|site| site.base), Some(Vpn(0)));
        assert!(rmap.first(last).is_none());
    }
}
