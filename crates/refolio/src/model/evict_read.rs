//! evict × read: the version, which has grown before the frame can be used again.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["evicted", "read", "read again", "not read"],
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
    world.load(0);
    meet(&world, evict_and_reuse, |world| _ = world.peek(0, &[first(0)]));
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

/// The frame that page 0 leaves is taken for page 1 at once.
fn evict_and_reuse(world: &World) {
    if world.evict(0) {
        drop(world.page(1));
    }
}
