//! migrate × lookup: kept apart by the identity, and by references that cannot be had while the
//! folio is frozen.

use super::search::Model;
use super::world::{World, first, meet};
use crate::mapping::Lookup;
use crate::core::FolioRef;
use crate::sync::reached;
use crate::units::PageIndex;

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: None,
    outcomes: &["moved", "again: references", "found here", "found there", "stale", "frozen"],
    protections: &[
        ("lookup-skips-recheck", "a page moved while it was pinned"),
        ("get-from-frozen", "a page moved while it was pinned"),
    ],
    scenes: &[meeting],
};

#[test]
fn holds() {
    MODEL.holds();
}

#[test]
fn misses() {
    MODEL.misses();
}

fn meeting() {
    let world = World::new(2, 2);
    world.load(0);
    meet(
        &world,
        |world| {
            // The frame that page 0 leaves is taken for page 1 at once.
            if world.migrate(0, 1) {
                drop(world.page(1));
            }
        },
        look,
    );
    world.check_at_rest(&[first(0), first(1)]);
}

fn look(world: &World) {
    let core = &world.core;
    match world.mapping.lookup(&core.folios, PageIndex(0)) {
        Lookup::Folio(frame, _) => {
            let pin = FolioRef { core, frame };
            world.check_pinned(&pin, 0, &[first(0)]);
            reached(if core.nodes[0].has(frame) { "found here" } else { "found there" });
        }
        Lookup::Stale(frame) => {
            core.put(frame);
            reached("stale");
        }
        Lookup::Frozen(_) => reached("frozen"),
        Lookup::Saturated | Lookup::Miss => reached("a miss"),
    }
}
