//! truncate × writeback: truncation waits for what is on its way to the store, so that no write
//! makes the store longer again.

use super::search::Model;
use super::world::{World, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["written", "slept"],
    protections: &[
        ("truncate-skips-wait", "what is stored"),
        ("writeback-skips-resize", "goes on behind the end"),
    ],
    scenes: &[one, two_in_a_run],
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

fn one() {
    let world = World::new(2, 1);
    world.write(0, 2);
    meet(&world, |world| world.resize(0), World::write_back);
    world.check_at_rest(&[]);
}

fn two_in_a_run() {
    let world = World::new(2, 2);
    world.write(0, 2);
    world.write(1, 2);
    meet(&world, |world| world.resize(0), World::write_back);
    world.check_at_rest(&[]);
}
