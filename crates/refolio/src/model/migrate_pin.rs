//! migrate × pin: while a page is pinned the freeze fails, and whoever gets the frame after it is
//! ordered after whoever held it.

use super::search::Model;
use super::world::{World, first, meet};

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: None,
    outcomes: &["moved", "again: references", "slept"],
    protections: &[
        ("freeze-without-count", "a page moved"),
        ("put-relaxed", "Causality"),
        ("freeze-relaxed", "Causality"),
    ],
    scenes: &[meeting],
};

#[test]
fn holds() {
    MODEL.holds();
}

#[test]
fn misses() {
    MODEL.misses();
}

fn meeting() {
    let world = World::new(2, 2);
    world.load(0);
    meet(
        &world,
        |world| {
            // The frame that page 0 leaves is taken for page 1 at once.
            if world.migrate(0, 1) {
                drop(world.page(1));
            }
        },
        |world| {
            world.check_pinned(&world.page(0), 0, &[first(0)]);
        },
    );
    world.check_at_rest(&[first(0), first(1)]);
}
