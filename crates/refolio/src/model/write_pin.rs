//! write × pin: a write waits for the pin, whose bytes stand still.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["slept"],
    protections: &[
        ("freeze-without-count", "Causality"),
        ("put-relaxed", "Causality"),
        ("freeze-relaxed", "Causality"),
        ("unfreeze-relaxed", "Causality"),
        ("wake-forgotten", "deadlock"),
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
    meet(
        &world,
        |world| world.write(0, 2),
        |world| {
            world.check_pinned(&world.page(0).unwrap(), 0, &[first(0), 2]);
        },
    );
    world.check_at_rest(&[full(2)]);
}
