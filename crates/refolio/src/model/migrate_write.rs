//! migrate × write: the folio lock. Whoever gets it looks whether the folio still is the page; so
//! no write goes to the folio that the page has left.

use super::search::Model;
use super::world::{World, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["moved", "again: references", "again: locked", "again: isolated", "slept"],
    protections: &[("migrate-skips-lock", "only what was set is cleared")],
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
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.write(0, 2));
    world.check_at_rest(&[full(2)]);
}
