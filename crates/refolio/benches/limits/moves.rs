//! Migration: pages move from node to node and back on one thread while nobody reads, against
//! copying as much between random places of bare memory in one loop.

use refolio::{Cache, File, Migrate, NodeId, OpenOptions, PAGE_SIZE, Sharing, View, Vpn};

use crate::Plan;
use crate::arena::{self, Arena, Copier, HUGE};
use crate::noise::{self, Lap, Timing};
use crate::resident;
use crate::table::{Must, Row};

/// Copies `total` bytes in units of `unit`, each from a random place in the first half of the arena
/// to one in the second half; the time for a unit.
pub fn copy(arena: &mut Arena, copier: Copier, half: usize, unit: usize, total: usize) -> Timing {
    let places = (half / unit) as u64;
    let mut rng = fastrand::Rng::new();
    let mut place = || (((rng.u64(..) >> 32) * places) >> 32) as usize * unit;
    let lap = Lap::start();
    for _ in 0..total / unit {
        arena.copy(copier, place(), half + place(), unit);
    }
    lap.stop((total / unit) as u64)
}

/// Something whose pages all live on one node.
pub enum Pages {
    File(File),
    View(View),
}

impl Pages {
    fn count(&self) -> u64 {
        match self {
            Pages::File(file) => file.len() / PAGE_SIZE as u64,
            Pages::View(view) => view.pages(),
        }
    }

    /// Moves the pages `from..to` to `node`, which they are all not on.
    pub fn shift(&self, range: std::ops::Range<u64>, node: NodeId) {
        let (how, pages) = (Migrate::new(), range.end - range.start);
        let report = match self {
            Pages::File(file) => file.migrate(range, node, &how),
            Pages::View(view) => view.migrate(range, node, &how),
        };
        let counts = report.expect("a node that is in use").counts();
        assert_eq!(counts.moved, pages, "{counts:?}");
    }
}

/// Moves everything to the other node; the time for a folio of 2^order pages.
pub fn round(pages: &Pages, node: &mut u8, order: u32) -> Timing {
    *node ^= 1;
    let (count, lap) = (pages.count(), Lap::start());
    pages.shift(0..count, NodeId(*node));
    lap.stop(count >> order)
}

/// Every way to copy, and what Refolio does, in turn.
fn against_copies(plan: Plan, order: u32, pages: &Pages) -> (Row, Row) {
    let unit = PAGE_SIZE << order;
    let mut arena = Arena::new(2 * plan.bytes);
    let copiers = arena::copiers();
    let mut node = 0;
    round(pages, &mut node, order); // At first the kernel still has to find the memory.
    let reps = noise::repeat(plan.reps, || {
        let ours = round(pages, &mut node, order);
        let copy =
            |(_, copier): &(_, Copier)| copy(&mut arena, *copier, plan.bytes, unit, plan.bytes);
        std::iter::once(ours).chain(copiers.iter().map(copy)).collect()
    });
    let best = reps.best(1..1 + copiers.len());
    let row = |at: usize, must| Row {
        what: format!("migrate clean file pages, order {order}"),
        unit: if order == 0 { "ns/page" } else { "ns/2 MiB" },
        ours: reps.spread(0),
        limit: Some((reps.spread(at), copiers[at - 1].0)),
        ratio: Some(reps.ratio(at, 0)),
        must,
        rejected: reps.rejected,
    };
    let least = if order == 0 { 0.40 } else { 0.85 };
    (row(best, Must::AtLeast(least)), row(1, Must::Nothing))
}

/// The rows of this bench.
pub fn rows(plan: Plan) -> Vec<Row> {
    noise::stay_on(0);
    assert_eq!(PAGE_SIZE << 9, HUGE);
    let mut rows = Vec::new();
    for order in [0, 9] {
        let cache = resident::cache(plan.bytes);
        let pages = Pages::File(resident::file(&cache, plan.bytes, order));
        let (best, memcpy) = against_copies(plan, order, &pages);
        if let Pages::File(file) = &pages {
            resident::verify(file);
        }
        rows.extend([best, memcpy]);
    }
    rows
}

/// Pages that have table entries, moved in the same way.
pub fn mapped(plan: Plan) -> Vec<Row> {
    let bytes = plan.bytes / 4;
    let mut rows = Vec::new();
    let mut add = |what: &str, pages: &Pages| {
        let mut node = 0;
        round(pages, &mut node, 0);
        let reps = noise::repeat(plan.reps, || vec![round(pages, &mut node, 0)]);
        rows.push(Row {
            what: what.into(),
            unit: "ns/page",
            ours: reps.spread(0),
            limit: None,
            ratio: None,
            must: Must::Nothing,
            rejected: reps.rejected,
        });
    };
    let cache = resident::cache(bytes);
    add("migrate file pages mapped once", &Pages::View(mapped_file(&cache, bytes)));
    let memory = cache.anonymous((bytes / PAGE_SIZE) as u64, 0).expect("a table");
    touch(&memory);
    add("migrate anonymous pages", &Pages::View(memory));
    rows
}

fn mapped_file(cache: &Cache, bytes: usize) -> View {
    let file = cache.open_store(resident::Words { bytes }, &OpenOptions::new()).expect("a store");
    let view = file.view(0..(bytes / PAGE_SIZE) as u64, Sharing::Shared).expect("a table");
    let mut byte = [0];
    for page in 0..view.pages() {
        view.read(&mut byte, page * PAGE_SIZE as u64).expect("room in the node");
    }
    view
}

fn touch(memory: &View) {
    for page in 0..memory.pages() {
        memory.write(&[1], page * PAGE_SIZE as u64).expect("room in the node");
    }
    assert_eq!(memory.node_of(Vpn(0)), Some(NodeId(0)));
}
