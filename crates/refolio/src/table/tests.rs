//! Each change of entries, by one thread: what it makes of them, of the folio's references and
//! count, and what it leaves alone. The models show what several threads make of them.

use std::ops::Range;

use super::*;
use crate::hint::Hints;

/// The folio that is mapped here: four pages, as the destination and the one that is in the way.
const FOLIO: FrameNo = FrameNo(0);
const DESTINATION: FrameNo = FrameNo(4);
const OTHER: FrameNo = FrameNo(8);
const PAGES: u32 = 4;

fn table() -> Arc<Table> {
    Arc::new(Table::new(8, Backing::Anonymous { order: 2 }).unwrap())
}

/// What an entry for a page says, each page's something else.
fn page(folio: FrameNo, page: u32) -> Mapped {
    let (writable, dirty, accessed) = (page % 2 == 1, page / 2 == 1, page % 3 == 1);
    Mapped { folio, page, writable, dirty, accessed }
}

/// Two views: one has all pages of the folio but page 1, where it has a page of another folio; one
/// begins with the folio's third page.
struct Scene {
    folios: Folios,
    tables: Tables,
    one: Arc<Table>,
    late: Arc<Table>,
}

impl Scene {
    /// All folios are locked, with a reference that is ours.
    fn new() -> Self {
        let folios = Hints::new(12).unwrap().1;
        for folio in [FOLIO, DESTINATION, OTHER] {
            folios.get(folio).claim(2, &[]);
        }
        let tables = Tables::new(12).unwrap();
        let scene = Self { folios, tables, one: table(), late: table() };
        scene.map(&scene.one, Vpn(0), FOLIO, 0..1);
        scene.map(&scene.one, Vpn(0), FOLIO, 2..PAGES);
        scene.map(&scene.one, Vpn(0), OTHER, 1..2);
        scene.map(&scene.late, Vpn(0u64.wrapping_sub(2)), FOLIO, 2..PAGES);
        scene
    }

    fn map(&self, table: &Arc<Table>, base: Vpn, folio: FrameNo, pages: Range<u32>) {
        let _filling = table.lock();
        let count = pages.end - pages.start;
        for at in pages {
            table.fill(Vpn(base.0.wrapping_add(u64::from(at))), page(folio, at));
        }
        self.folios.get(folio).state.get_more(count);
        self.tables.mapped(&self.folios, folio, table, base, count);
    }

    /// References and table entries of a folio.
    fn counts(&self, folio: FrameNo) -> (u32, u32) {
        let folio = self.folios.get(folio);
        (folio.state.load().references(), folio.mapped())
    }

    /// The first four entries of both views.
    fn entries(&self) -> [Vec<Entry>; 2] {
        [&self.one, &self.late].map(|table| (0..4).map(|at| table.load(Vpn(at))).collect())
    }

    /// What they say when each entry for the folio says `to`.
    fn all(&self, to: impl Fn(u32) -> Entry) -> [Vec<Entry>; 2] {
        let other = self.one.load(Vpn(1));
        let (two, three) = (to(2), to(3));
        [vec![to(0), other, two, three], vec![two, three, Entry::Empty, Entry::Empty]]
    }

    /// Entries counted for a folio by the way back.
    fn sites(&self, folio: FrameNo) -> u32 {
        let sites = self.tables.rmap.take(folio);
        let entries = sites.iter().map(|site| site.entries).sum();
        if !sites.is_empty() {
            self.tables.rmap.put(folio, sites);
        }
        entries
    }
}

#[test]
fn a_table_has_its_pages_and_nothing_outside() {
    let table = table();
    assert_eq!(table.pages(), 8);
    for at in [0, 7, 8, u64::MAX] {
        assert_eq!(table.load(Vpn(at)), Entry::Empty);
    }
    assert!(!table.exchange(Vpn(8), Entry::Empty, Entry::Present(page(FOLIO, 0))));
}

#[test]
fn an_entry_is_exchanged_when_it_is_what_it_was() {
    let (table, at) = (table(), Vpn(3));
    let [first, second] = [0, 1].map(|nth| Entry::Present(page(FOLIO, nth)));
    table.fill(at, page(FOLIO, 0));
    assert_eq!(table.load(at), first);
    assert!(!table.exchange(at, Entry::Empty, second));
    assert_eq!(table.load(at), first);
    assert!(table.exchange(at, first, second));
    assert_eq!(table.load(at), second);
    assert_eq!(table.update(at, |_| None), None);
    assert_eq!(table.load(at), second);
    assert_eq!(table.update(at, |entry| (entry == second).then_some(first)), Some(second));
    assert_eq!(table.load(at), first);
    assert_eq!(table.load(Vpn(2)), Entry::Empty);
}

#[test]
#[cfg(debug_assertions)] // Rules are asserted in debug builds.
#[should_panic(expected = "an entry is filled that was empty")]
fn only_empty_entries_are_filled() {
    let table = table();
    table.fill(Vpn(0), page(FOLIO, 0));
    table.fill(Vpn(0), page(FOLIO, 0));
}

#[test]
fn a_folio_that_does_not_move_has_its_entries_back_as_they_were() {
    let scene = Scene::new();
    let before = scene.entries();
    assert_eq!(before, scene.all(|at| Entry::Present(page(FOLIO, at))));
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((6, 5), 5));

    let entries = scene.tables.unmap_to_migrate(&scene.folios, FOLIO);
    assert_eq!(scene.entries(), scene.all(|at| Entry::Migration(page(FOLIO, at))));
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((1, 0), 0));
    assert_eq!((scene.counts(OTHER), scene.sites(OTHER)), ((2, 1), 1));

    drop(entries);
    assert_eq!(scene.entries(), before);
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((6, 5), 5));
}

#[test]
fn a_folio_that_moves_has_its_entries_name_where_it_is() {
    let scene = Scene::new();
    let mut entries = scene.tables.unmap_to_migrate(&scene.folios, FOLIO);
    entries.retarget(DESTINATION);
    drop(entries);
    assert_eq!(scene.entries(), scene.all(|at| Entry::Present(page(DESTINATION, at))));
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((1, 0), 0));
    assert_eq!((scene.counts(DESTINATION), scene.sites(DESTINATION)), ((6, 5), 5));
}

#[test]
fn of_two_movers_each_restores_its_own_entries() {
    let scene = Scene::new();
    let before = scene.entries();
    let entries = scene.tables.unmap_to_migrate(&scene.folios, FOLIO);
    let others = scene.tables.unmap_to_migrate(&scene.folios, OTHER);
    assert_eq!(scene.one.load(Vpn(1)), Entry::Migration(page(OTHER, 1)));
    drop(entries);
    assert_eq!(scene.one.load(Vpn(1)), Entry::Migration(page(OTHER, 1)));
    assert_eq!((scene.counts(OTHER), scene.sites(OTHER)), ((1, 0), 0));
    drop(others);
    assert_eq!(scene.entries(), before);
    assert_eq!((scene.counts(OTHER), scene.sites(OTHER)), ((2, 1), 1));
}

#[test]
fn a_folio_that_nobody_maps_has_no_entries_to_restore() {
    let scene = Scene::new();
    let before = scene.entries();
    for _ in 0..2 {
        drop(scene.tables.unmap_to_migrate(&scene.folios, DESTINATION));
    }
    scene.tables.unmap(&scene.folios, DESTINATION);
    assert_eq!(scene.entries(), before);
    assert_eq!(scene.counts(DESTINATION), (1, 0));
    scene.map(&scene.late, Vpn(4), DESTINATION, 0..1);
    assert_eq!((scene.counts(DESTINATION), scene.sites(DESTINATION)), ((2, 1), 1));
}

#[test]
fn a_folio_that_is_unmapped_has_no_entries_and_others_keep_theirs() {
    let scene = Scene::new();
    scene.tables.unmap(&scene.folios, FOLIO);
    assert_eq!(scene.entries(), scene.all(|_| Entry::Empty));
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((1, 0), 0));
    assert_eq!(scene.one.load(Vpn(1)), Entry::Present(page(OTHER, 1)));
    assert_eq!((scene.counts(OTHER), scene.sites(OTHER)), ((2, 1), 1));
}

#[test]
fn an_entry_that_is_zapped_leaves_its_reference_to_the_caller() {
    let scene = Scene::new();
    let before = scene.entries();
    let zap = |at, mapped| scene.tables.zap(&scene.folios, &scene.one, Vpn(at), mapped);
    // It names another page, another folio, nothing.
    assert!(!zap(0, page(FOLIO, 1)));
    assert!(!zap(1, page(FOLIO, 1)));
    assert!(!zap(5, page(FOLIO, 0)));
    assert_eq!((scene.entries(), scene.counts(FOLIO)), (before, (6, 5)));

    assert!(zap(2, page(FOLIO, 2)));
    assert_eq!(scene.one.load(Vpn(2)), Entry::Empty);
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((6, 4), 4));
    assert!(!zap(2, page(FOLIO, 2)), "twice");
}

#[test]
fn an_entry_is_replaced_by_what_is_given() {
    let scene = Scene::new();
    let to = Entry::Present(page(DESTINATION, 3));
    let late = |mapped| scene.tables.replace(&scene.folios, &scene.late, Vpn(1), mapped, to);
    assert!(!late(page(FOLIO, 2)));
    assert!(late(page(FOLIO, 3)));
    assert_eq!(scene.late.load(Vpn(1)), to);
    assert_eq!((scene.counts(FOLIO), scene.sites(FOLIO)), ((6, 4), 4));
}
