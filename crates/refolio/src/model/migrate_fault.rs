//! migrate × fault: a migration entry is waited for, without a reference; an entry that is looked
//! at twice is believed.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["moved", "again: references", "slept"],
    protections: &[
        ("entry-skips-recheck", "a page moved while it was pinned"),
        ("migrate-skips-unmap", "the entry names another folio"),
        ("entries-left-behind", "a migration entry was left behind"),
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
    world.fault(&[first(0)]);
    meet(&world, |world| _ = world.migrate(0, 1), |world| _ = world.fault(&[first(0)]));
    world.check_at_rest(&[full(first(0))]);
}
