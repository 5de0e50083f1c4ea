//! truncate × read: identity and version. An optimistic reader gets the page as it was, or nothing.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["read", "read again", "not read"],
    protections: &[
        ("read-skips-version", "a torn page"),
        ("read-skips-identity", "a strange page"),
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
    let world = World::new(2, 2);
    world.load(1);
    meet(
        &world,
        |world| {
            // The frame that page 1 leaves is taken for page 0 at once.
            world.resize(1);
            drop(world.page(0));
        },
        |world| _ = world.peek(1, &[first(1)]),
    );
    world.check_at_rest(&[full(first(0))]);
}
