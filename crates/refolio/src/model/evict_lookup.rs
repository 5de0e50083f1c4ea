//! evict × lookup: a frozen folio gives no reference, a referenced one does not freeze, and one
//! that was evicted is not the page any more.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["evicted", "not evicted", "found here", "stale", "frozen", "nothing"],
    protections: &[
        ("lookup-skips-recheck", "a strange page"),
        ("get-from-frozen", "free and used frames"),
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
    let world = World::new(2, 2);
    world.load(0);
    meet(&world, evict_and_reuse, |world| {
        let Some(pin) = world.lookup(0) else { return };
        world.check_pinned(&pin, 0, &[first(0)]);
    });
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

/// The frame that page 0 leaves is taken for page 1 at once.
fn evict_and_reuse(world: &World) {
    if world.evict(0) {
        drop(world.page(1));
    }
}
