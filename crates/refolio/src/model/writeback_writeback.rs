//! writeback × writeback: a page is on its way to the store once at a time, also when it does not
//! get there.

use super::search::Model;
use super::world::{World, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["not written", "slept", "written"],
    protections: &[
        ("writeback-twice", "only what was set is cleared"),
        ("writeback-skips-look", "written back once"),
    ],
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
    world.write(0, 2);
    meet(&world, World::write_back, World::write_back);
    world.check_at_rest(&[full(2)]);
    assert_eq!(world.disk.writes(), 1, "written back once");
}

fn failing() {
    let world = World::new(1, 1);
    world.write(0, 2);
    world.disk.fail_writes(true);
    meet(&world, World::write_back, World::write_back);
    world.check_at_rest(&[full(2)]);
}
