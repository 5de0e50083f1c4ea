//! evict × evict: only one has the page isolated.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["evicted", "not evicted", "nothing to evict"],
    protections: &[("isolation-shared", "on the lists")],
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
    meet(&world, |world| _ = world.evict(0), |world| _ = world.evict(0));
    world.check_at_rest(&[full(first(0))]);
}
