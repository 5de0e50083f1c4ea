//! migrate × truncate: the folio lock. A page that is cut off is not brought back by its move.

use super::search::Model;
use super::world::{World, first, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &[
        "moved",
        "again: references",
        "again: locked",
        "stale: again: isolated",
        "gone",
        "slept",
    ],
    protections: &[("truncate-skips-lock", "discounted twice")],
    scenes: &[meeting, mapped],
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

/// The page is mapped, too: its entry goes with it.
fn mapped() {
    let world = World::new(2, 1);
    world.fault(&[first(0)]);
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.resize(0));
    world.check_at_rest(&[]);
}

fn meeting() {
    let world = World::new(2, 1);
    world.load(0);
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.resize(0));
    world.check_at_rest(&[]);
}
