//! migrate × migrate × write: one of the movers has the page isolated, and the write goes to where
//! the page is.

use super::acts::meet_all;
use super::search::Model;
use super::world::{World, full};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &["again: isolated", "again: locked", "again: references", "here", "moved"],
    protections: &[
        ("migrate-skips-lock", "only what was set is cleared"),
        ("isolation-shared", "on the lists"),
        ("undo-forgets-list", "flags of frame"),
        ("undo-forgets-lock", "flags of frame"),
        ("undo-forgets-destination", "free and used frames"),
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
    let world = World::new(2, 1);
    world.load(0);
    meet_all(
        &world,
        [
            |world| _ = world.migrate(0, 1),
            |world| _ = world.migrate(0, 1),
            |world| world.write(0, 2),
        ],
    );
    world.check_at_rest(&[full(2)]);
}
