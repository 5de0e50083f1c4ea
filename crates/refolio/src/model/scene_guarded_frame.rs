//! lookup, end of a view × eviction, and a write guard on the page that has the frame next: whoever
//! comes late to a frame does not wait for its new page, whose guard may be waiting for him.

use super::search::Model;
use super::world::{World, first, full};
use crate::units::PageIndex;
use crate::write;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["evicted", "not evicted", "slept", "touched"],
    protections: &[("frozen-skips-look", "deadlock"), ("zap-skips-look", "deadlock")],
    scenes: &[looked_up, unmapped],
};

#[cfg(refolio_loom)]
#[test]
fn holds() {
    MODEL.holds();
}

#[cfg(refolio_loom)]
#[test]
fn misses() {
    MODEL.misses();
}

fn looked_up() {
    let world = World::new(1, 2);
    world.load(0);
    waits_for(&world, |world| drop(world.page(0)));
}

fn unmapped() {
    let world = World::large(1, 2, 0).and_view(1, crate::table::Sharing::Shared).ready();
    world.touch(0, &[first(0)]);
    waits_for(&world, World::end_view);
}

/// Page 0 goes, page 1 comes, perhaps into the same frame, and stays locked and frozen until the
/// other thread is done with page 0.
fn waits_for(world: &crate::sync::Arc<World>, other: fn(&World)) {
    let thread = world.spawn(other);
    world.evict(0);
    let (guard, _) = write::file_page(&world.core, &world.mapping, PageIndex(1)).unwrap();
    thread.join().unwrap();
    guard.release();
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}
