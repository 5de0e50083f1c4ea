//! truncate × lookup: the identity. A folio that is found may be taken out of its file at any
//! moment, but is not another page.

use super::search::Model;
use super::world::{World, first, full, meet, value_of};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["found here", "stale", "nothing"],
    protections: &[("lookup-skips-recheck", "a strange page")],
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
    world.load(1);
    meet(
        &world,
        |world| {
            // The frame that page 1 leaves is taken for page 0 at once.
            world.resize(1);
            drop(world.page(0));
        },
        |world| {
            let Some(pin) = world.lookup(1) else { return };
            value_of(pin.bytes(), &[first(1)]);
            value_of(pin.bytes(), &[first(1)]);
        },
    );
    world.check_at_rest(&[full(first(0))]);
}
