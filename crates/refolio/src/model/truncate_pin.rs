//! truncate × pin: whoever has a pin is left with an orphan, whose bytes stand still, and whose
//! frame is free when the pin is gone.

use super::search::Model;
use super::world::{World, first, meet, value_of};
use crate::sync::reached;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["pinned", "orphaned", "no such page"],
    protections: &[
        ("truncate-takes-the-pins-reference", "put twice"),
        ("put-relaxed", "Causality"),
        ("last-put-without-fence", "freed after it left its file"),
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
        |world| {
            world.resize(0);
            world.reuse();
        },
        |world| {
            let Some(pin) = world.page(0) else { return };
            value_of(pin.bytes(), &[first(0)]);
            let orphan = pin.folio().identity().is_none();
            reached(if orphan { "orphaned" } else { "pinned" });
            value_of(pin.bytes(), &[first(0)]);
        },
    );
    world.check_at_rest(&[]);
}
