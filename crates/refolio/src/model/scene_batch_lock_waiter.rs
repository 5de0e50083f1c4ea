//! batch × lock waiter: a batch has two sources locked when another thread, which has one of them
//! pinned, wants to write to the other one. It waits for the batch; the batch never waits for it.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::passes::Mode;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &["busy", "moved", "slept"],
    protections: &[("batch-waits-with-sources", "deadlock")],
    scenes: &[pinned],
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

fn pinned() {
    let world = World::new(2, 2);
    world.load(0);
    world.load(1);
    meet(
        &world,
        |world| world.migrate_all([0, 1], 1, Mode::Light),
        |world| world.while_pinned(0, &[first(0)], || world.write(1, 2)),
    );
    world.check_at_rest(&[full(first(0)), full(2)]);
}
