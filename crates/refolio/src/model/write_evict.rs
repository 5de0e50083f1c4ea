//! write × evict: the folio lock. What is written is not thrown away.

use super::search::Model;
use super::world::{World, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept", "evicted", "not evicted"],
    protections: &[
        ("evict-drops-dirty", "page 0 in the store"),
        ("evict-skips-lock", "only what was set is cleared"),
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
    meet(&world, |world| world.write(0, 2), |world| _ = world.evict(0));
    world.check_at_rest(&[full(2)]);
}
