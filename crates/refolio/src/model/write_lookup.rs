//! write × lookup: no reference can be had while the folio is frozen, and the freeze fails while
//! there is one.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["found here", "frozen", "slept"],
    protections: &[
        ("get-from-frozen", "Causality"),
        ("freeze-without-count", "Causality"),
        ("try-get-relaxed", "Causality"),
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
            let Some(pin) = world.lookup(0) else { return };
            world.check_pinned(&pin, 0, &[first(0), 2]);
        },
    );
    world.check_at_rest(&[full(2)]);
}
