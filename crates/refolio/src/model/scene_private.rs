//! Private data: the embedder's word holds a reference, which every expectation counts; it moves
//! with the page, and goes with it.

use super::search::Model;
use super::world::{World, first, full, meet, value_of};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &[
        "again: isolated",
        "again: locked",
        "again: references",
        "evicted",
        "found here",
        "found there",
        "frozen",
        "here",
        "moved",
        "not evicted",
        "nothing",
        "slept",
        "stale",
    ],
    protections: &[
        ("private-not-counted", "references of page"),
        ("private-left-behind", "left: Some(0)"),
        ("truncate-forgets-private", "on the lists"),
        ("freeze-without-count", "references of page"),
    ],
    scenes: &[given, kept, pinned, cut_off, evicted],
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

fn given() {
    let world = World::new(2, 1);
    world.load(0);
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.set_private(0, Some(7)));
    assert_eq!(private(&world), Some(7));
    world.check_at_rest(&[full(first(0))]);
}

fn kept() {
    let world = World::new(2, 1);
    world.set_private(0, Some(7));
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.set_private(0, None));
    assert_eq!(private(&world), None);
    world.check_at_rest(&[full(first(0))]);
}

fn pinned() {
    let world = World::new(2, 1);
    world.set_private(0, Some(7));
    meet(
        &world,
        |world| _ = world.migrate(0, 1),
        |world| {
            let Some(pin) = world.lookup(0) else { return };
            world.check_pinned(&pin, 0, &[first(0)]);
            assert_eq!(pin.folio().private(), Some(7));
        },
    );
    assert_eq!(private(&world), Some(7));
    world.check_at_rest(&[full(first(0))]);
    assert!(world.migrate(0, 1) || world.migrate(0, 0), "nobody holds it, and it stays");
}

fn cut_off() {
    let world = World::new(2, 1);
    world.set_private(0, Some(7));
    meet(
        &world,
        |world| world.resize(0),
        |world| {
            let Some(pin) = world.lookup(0) else { return };
            value_of(pin.bytes(), &[first(0)]);
        },
    );
    world.check_at_rest(&[]);
}

fn evicted() {
    let world = World::new(2, 1);
    world.set_private(0, Some(7));
    meet(&world, |world| _ = world.evict(0), |world| _ = world.page(0));
    world.check_at_rest(&[full(first(0))]);
}

fn private(world: &World) -> Option<u64> {
    world.core.folio(world.frame(0)?).private()
}
