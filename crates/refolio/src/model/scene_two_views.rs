//! migrate × two table users × fault: one view has the page mapped and uses it, the other one
//! faults it in; the move takes it from both, and gives it back to both.

use super::acts::meet_all;
use super::search::Model;
use super::world::{World, first, full};
use crate::table::Sharing;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &[
        "again: locked",
        "again: references",
        "moved",
        "slept",
        "touched",
        "touched, and taken away",
    ],
    protections: &[
        ("one-view-unmapped", "only its migrator may change"),
        ("entries-left-behind", "a migration entry was left behind"),
        ("undo-forgets-entries", "a migration entry was left behind"),
    ],
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
    let world = World::large(2, 1, 0).and_view(1, Sharing::Shared).ready();
    world.fault(&[first(0)]);
    meet_all(
        &world,
        [
            |world| _ = world.migrate(0, 1),
            |world| _ = world.touch(0, &[first(0)]),
            |world| _ = world.fault(&[first(0)]),
        ],
    );
    world.check_at_rest(&[full(first(0))]);
}
