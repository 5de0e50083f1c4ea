//! evict × fill: a page that is being read in is on no list, and locked, and held.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["evicted", "not evicted", "nothing to evict"],
    protections: &[("freeze-without-count", "put twice")],
    scenes: &[meeting],
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

fn meeting() {
    let world = World::new(2, 1);
    meet(
        &world,
        |world| _ = world.evict(0),
        |world| {
            world.check_pinned(&world.page(0).unwrap(), 0, &[first(0)]);
        },
    );
    world.check_at_rest(&[full(first(0))]);
}
