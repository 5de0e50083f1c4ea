//! write × writeback: bytes on their way to the store stand still, and what is written meanwhile is
//! dirty.

use super::search::Model;
use super::world::{World, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept", "written"],
    protections: &[("writeback-unprotected", "Causality")],
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
    world.write(0, 1);
    meet(&world, |world| world.write(0, 2), World::write_back);
    world.check_at_rest(&[full(2)]);
    assert_ne!(world.disk.bytes(), full(super::world::first(0)), "never written back");
}
