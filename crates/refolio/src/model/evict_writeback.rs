//! evict × writeback: a page that is on its way to the store stays, so that it can be made dirty
//! again if it does not get there.

use super::search::Model;
use super::world::{World, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["evicted", "not evicted", "written", "not written", "slept"],
    protections: &[
        ("writeback-unprotected", "page 0 in the store"),
        ("failed-writeback-cleans", "page 0 in the store"),
    ],
    scenes: &[failing, meeting],
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
    world.write(0, 2);
    meet(&world, |world| _ = world.evict(0), World::write_back);
    world.check_at_rest(&[full(2)]);
}

fn failing() {
    let world = World::new(2, 1);
    world.write(0, 2);
    world.disk.fail_writes(true);
    meet(&world, |world| _ = world.evict(0), World::write_back);
    world.check_at_rest(&[full(2)]);
}
