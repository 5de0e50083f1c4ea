//! migrate × evict × lookup: one of the two has the page isolated, and whoever looks it up
//! meanwhile keeps both from taking it away.

use super::search::Model;
use super::world::{World, first, full};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &[
        "nothing",
        "again: isolated",
        "again: references",
        "evicted",
        "found here",
        "found there",
        "frozen",
        "gone",
        "moved",
        "not evicted",
        "stale",
    ],
    protections: &[
        ("lookup-skips-recheck", "a strange page"),
        ("isolation-shared", "on the lists"),
        ("freeze-without-count", "put twice"),
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
    let mover = world.spawn(|world| {
        if world.migrate(0, 1) {
            world.reuse();
        }
    });
    let evictor = world.spawn(|world| _ = world.evict(0));
    if let Some(pin) = world.lookup(0) {
        world.check_pinned(&pin, 0, &[first(0)]);
    }
    mover.join().unwrap();
    evictor.join().unwrap();
    world.check_at_rest(&[full(first(0))]);
}
