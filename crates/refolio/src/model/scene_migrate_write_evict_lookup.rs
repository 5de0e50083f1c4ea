//! migrate × write × evict × lookup: four threads and one page, which is moved, overwritten and
//! evicted while somebody looks it up. Too many interleavings for all of them: those with few
//! preemptions are searched.

use super::acts::meet_all;
use super::search::Model;
use super::world::{World, first, full};
use crate::folio::state::Flag;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &[
        "moved",
        "evicted",
        "not evicted",
        "nothing to evict",
        "again: isolated",
        "again: locked",
        "again: references",
        "gone",
        "found here",
        "found there",
        "frozen",
        "stale",
        "nothing",
        "slept",
    ],
    protections: &[],
    scenes: &[meeting],
};

fn meeting() {
    let world = World::new(2, 1);
    world.load(0);
    meet_all(
        &world,
        [
            |world| _ = world.migrate(0, 1),
            |world| world.write(0, 2),
            |world| _ = world.evict(0),
            look,
        ],
    );
    world.check_at_rest(&[full(2)]);
}

/// Gets the page, when its bytes are there.
fn look(world: &World) {
    let Some(pin) = world.lookup(0) else { return };
    if pin.folio().state.has(Flag::UPTODATE) {
        world.check_pinned(&pin, 0, &[first(0), 2]);
    }
}
