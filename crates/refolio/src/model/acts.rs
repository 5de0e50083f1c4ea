//! What threads do in the larger scenes: with views, with anonymous memory, with private data, with
//! many pages at once.

use super::world::{World, first, full, page_of, value_of};
use crate::batch::{self, Need};
use crate::core::FolioRef;
use crate::folio::Use;
use crate::passes::{self, Migrate, Mode};
use crate::place::Place;
use crate::report::Outcome;
use crate::sync::{Arc, call, reached};
use crate::table::entry::{Entry, Mapped};
use crate::table::{Backing, Sharing, Table};
use crate::units::{NodeId, PAGE_SIZE, PageIndex, Vpn};
use crate::{fault, read, write, zap};
use std::borrow::Cow;

/// What one thread does.
pub type Act = fn(&World);

/// A thread for each, but for the last one, which this thread does.
pub fn meet_all<const N: usize>(world: &Arc<World>, acts: [Act; N]) {
    let [others @ .., last] = &acts[..] else { return };
    let threads: Vec<_> = others.iter().map(|act| world.spawn(*act)).collect();
    call(|| last(world));
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A world in the making.
impl World {
    /// One more view of the file's pages from the first one on.
    pub fn and_view(self, pages: u64, sharing: Sharing) -> Self {
        let (mapping, first) = (self.mapping.clone(), PageIndex(0));
        self.and_table(pages, Backing::File { mapping, first, sharing, writable: true })
    }

    /// Anonymous memory, in folios of 2^order where they fit.
    pub fn and_memory(self, pages: u64, order: u32) -> Self {
        self.and_table(pages, Backing::Anonymous { order })
    }

    fn and_table(mut self, pages: u64, backing: Backing) -> Self {
        let table = Table::new(pages, backing).unwrap();
        #[cfg(refolio_explore)]
        table.christen(&format!("view {}, ", self.others.len() + 1));
        self.others.push(Arc::new(table));
        self
    }

    /// Done.
    pub fn ready(self) -> Arc<Self> {
        Arc::new(self)
    }
}

/// What is done with the first of the views that were added.
impl World {
    pub fn other(&self) -> &Arc<Table> {
        &self.others[0]
    }

    /// Uses page `at` through its entry, with a reference; its value.
    pub fn touch(&self, at: u64, allowed: &[u8]) -> u8 {
        call(|| {
            let (pin, mapped) = fault::entry(&self.core, self.other(), Vpn(at), false).unwrap();
            let value = value_of(page_of(&pin, mapped.page), allowed);
            let now = self.other().load(Vpn(at));
            let is_mapped = matches!(now, Entry::Present(m) if m.folio == pin.frame);
            reached(if is_mapped { "touched" } else { "touched, and taken away" });
            assert_eq!(value_of(page_of(&pin, mapped.page), allowed), value, "changed");
            value
        })
    }

    /// Reads page `at` as a view does: without a reference where that works.
    pub fn view_read(&self, at: u64, allowed: &[u8]) -> u8 {
        call(|| {
            let mut bytes = full(0);
            read::from_view(&self.core, self.other(), &mut bytes, PageIndex(at).offset()).unwrap();
            value_of(&bytes, allowed)
        })
    }

    /// Overwrites page `at` through its entry.
    pub fn view_write(&self, at: u64, value: u8) {
        call(|| {
            write::in_view_page(&self.core, self.other(), Vpn(at), 0, &full(value)).unwrap();
        });
    }

    /// Ends the view.
    pub fn end_view(&self) {
        call(|| zap::zap(&self.core, self.other(), 0..u64::MAX).unwrap());
    }

    /// What the entry of page `at` names, if it is present.
    pub fn mapped(&self, at: u64) -> Option<Mapped> {
        match self.other().load(Vpn(at)) {
            Entry::Present(mapped) => Some(mapped),
            _ => None,
        }
    }

    /// The value of page `at` of the view, at rest, if it is mapped.
    pub fn view_value(&self, at: u64) -> Option<u8> {
        let mapped = self.mapped(at)?;
        let mut bytes = full(0);
        self.core.frames.read(mapped.folio.add(mapped.page), 0, &mut bytes);
        Some(bytes[0])
    }

    /// One attempt to move page `at` of the view to a node; whether it moved.
    pub fn migrate_view(&self, at: u64, node: u8) -> bool {
        self.attempt(&self.moving(node), &Place::Table(Cow::Borrowed(self.other()), Vpn(at)))
    }
}

/// Verbs for more than one page, or that wait.
impl World {
    /// Moves pages to a node, as an embedder asks for it.
    pub fn migrate_all<const N: usize>(&self, indices: [u64; N], node: u8, mode: Mode) {
        let places = indices.map(|index| self.place(index));
        let to = self.core.node(NodeId(node)).unwrap();
        let report = passes::migrate(&self.core, &places, to, &Migrate::new().mode(mode));
        for page in &report.outcomes {
            reached(match page.outcome {
                Outcome::Moved { .. } => "moved",
                Outcome::Here => "here",
                Outcome::Gone => "gone",
                Outcome::Again(_) => "again",
                Outcome::Busy { .. } => "busy",
                ref other => panic!("{other:?}"),
            });
        }
    }

    /// Reads pages in, all those that are not cached together.
    pub fn fill_all<const N: usize>(&self, indices: [u64; N], need: Need) {
        let mut pages = indices.iter().map(|index| PageIndex(*index).into());
        let mut shown = |folio: &FolioRef<'_>, base: PageIndex| {
            reached("shown");
            // (It may have been cut off already.)
            value_of(page_of(folio, 0), &[first(base.0)]);
        };
        let failed = batch::fill(&self.core, &self.mapping, need.into(), &mut pages, &mut shown);
        assert!(failed.is_empty(), "{failed:?}");
    }

    /// Overwrites the first two pages with one value, in one call.
    pub fn write_both(&self, value: u8) {
        let bytes = [value; 2 * PAGE_SIZE];
        call(|| write::to_file(&self.core, &self.mapping, Use::Counts, &bytes, 0).unwrap());
    }

    /// Gives page `index` a word of the embedder's, or takes it away.
    pub fn set_private(&self, index: u64, word: Option<u64>) {
        match write::file_page(&self.core, &self.mapping, PageIndex(index)) {
            Ok((mut page, _)) => {
                page.set_private(word);
                page.release();
            }
            Err(error) if error.is_out_of_range() => reached("no such page"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Page `index`, with a reference, that stays what it is while something else is done.
    pub fn while_pinned(&self, index: u64, allowed: &[u8], act: impl FnOnce()) {
        let Some(pin) = self.page(index) else { return };
        self.check_pinned(&pin, index, allowed);
        act();
        self.check_pinned(&pin, index, allowed);
    }
}
