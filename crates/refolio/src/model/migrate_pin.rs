//! migrate × pin: while a page is pinned the freeze fails; and whoever gets the frame after the
//! move comes after whoever held it.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["moved", "again: references", "slept"],
    protections: &[
        ("freeze-without-count", "put twice"),
        ("count-without-freeze", "put twice"),
        ("put-relaxed", "Causality"),
    ],
    scenes: &[alone, reused],
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

fn alone() {
    let world = World::new(2, 1);
    world.load(0);
    meet(
        &world,
        |world| _ = world.migrate(0, 1),
        |world| {
            world.check_pinned(&world.page(0).unwrap(), 0, &[first(0)]);
        },
    );
    world.check_at_rest(&[full(first(0))]);
}

fn reused() {
    let world = World::new(2, 2);
    world.load(0);
    meet(&world, migrate_and_reuse, |world| {
        world.check_pinned(&world.page(0).unwrap(), 0, &[first(0)]);
    });
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

/// The frame that page 0 leaves is taken for page 1 at once.
fn migrate_and_reuse(world: &World) {
    if world.migrate(0, 1) {
        world.load(1);
    }
}
