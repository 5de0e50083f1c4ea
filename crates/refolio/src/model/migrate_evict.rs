//! migrate × evict: the folio lock, and only one has the page isolated.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["again: isolated", "again: locked", "evicted", "gone", "moved", "not evicted"],
    protections: &[
        ("isolation-shared", "on the lists"),
        ("migrate-skips-recheck", "another page was moved"),
    ],
    scenes: &[meeting, reused],
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
    meet(&world, |world| _ = world.migrate(0, 1), |world| _ = world.evict(0));
    world.check_at_rest(&[full(first(0))]);
}

/// The frame that page 0 leaves is taken for page 1 at once, which nobody asked to move.
fn reused() {
    let world = World::new(2, 2);
    world.load(0);
    meet(
        &world,
        |world| {
            if world.evict(0) {
                drop(world.page(1));
            }
        },
        |world| _ = world.migrate(0, 1),
    );
    let here = world.frame(1).is_none_or(|frame| world.core.nodes[0].has(frame));
    assert!(here, "another page was moved");
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}
