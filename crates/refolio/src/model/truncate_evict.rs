//! truncate × evict: the folio lock. Whoever gets it looks whether the folio still is the page.

use super::search::Model;
use super::world::{World, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["evicted", "not evicted", "nothing to evict", "slept"],
    protections: &[("evict-skips-lock", "only what was set is cleared")],
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
    meet(&world, |world| world.resize(0), |world| _ = world.evict(0));
    world.check_at_rest(&[]);
}
