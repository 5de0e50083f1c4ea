//! migrate × lookup: kept apart by the identity, and by references that cannot be had while the
//! folio is frozen.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["moved", "again: references", "found here", "found there", "stale", "frozen"],
    protections: &[
        ("lookup-skips-recheck", "a strange page"),
        ("get-from-frozen", "free and used frames"),
        ("copy-after-switch", "Causality"),
        ("slot-before-freeze", "is another one"),
        ("identity-left-behind", "a page moved while it was pinned"),
        ("thaw-before-store", "a page moved while it was pinned"),
        ("thaw-one-too-many", "free and used frames"),
        ("thaw-one-too-few", "put twice"),
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
    let world = World::new(2, 2);
    world.load(0);
    meet(&world, migrate_and_reuse, |world| {
        let Some(pin) = world.lookup(0) else { return };
        world.check_pinned(&pin, 0, &[first(0)]);
    });
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

/// The frame that page 0 leaves is taken for page 1 at once.
fn migrate_and_reuse(world: &World) {
    if world.migrate(0, 1) {
        world.load(1);
    }
}
