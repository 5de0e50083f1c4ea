//! The last handle of a file is closed, and its pages are taken out, while somebody opens it again,
//! writes, and writes back, which fails: what is dirty stays, and what is on its way to the store.

use super::search::Model;
use super::world::{World, full, meet};
use crate::cache;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["not written", "slept", "written"],
    protections: &[("truncate-ignores-writeback", "page 0 in the store")],
    scenes: &[meeting, failing],
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
    let world = World::new(1, 1);
    meet(&world, write_and_write_back, retire);
    world.check_at_rest(&[full(2)]);
}

fn failing() {
    let world = World::new(1, 1);
    world.disk.fail_writes(true);
    meet(&world, write_and_write_back, retire);
    world.check_at_rest(&[full(2)]);
}

fn retire(world: &World) {
    assert!(world.core.mappings.close(&world.mapping), "the last handle");
    cache::retire(&world.core, &world.mapping);
}

fn write_and_write_back(world: &World) {
    world.write(0, 2);
    world.write_back();
}
