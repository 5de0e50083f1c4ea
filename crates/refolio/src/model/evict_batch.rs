//! evict × batch: pages that are read in many at once go as soon as they are shown, and nobody takes
//! them before.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::batch::Need;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["evicted", "not evicted", "nothing to evict", "shown"],
    protections: &[],
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
    let world = World::new(2, 2);
    meet(
        &world,
        |world| {
            world.evict(1);
            world.evict(0);
        },
        |world| world.fill_all([0, 1], Need::Now),
    );
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}
