//! A write of two pages that are not cached × whoever wants one of them: both are in their slots before
//! either has its bytes, and nobody sees them before.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::sync::reached;
use crate::units::PAGE_SIZE;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &[
        "slept",
        "read",
        "not read",
        "overwrites",
        "overwritten",
        "moved",
        "gone",
        "again: isolated",
        "again: locked",
        "longer",
        "shorter",
        "written",
        "evicted",
        "not evicted",
        "nothing to evict",
    ],
    protections: &[
        ("insert-skips-look", "pages of the file"),
        ("uptodate-before-bytes", "Causality"),
    ],
    scenes: &[filled, read, written, moved, cut, evicted],
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

/// The second one is read in from the store, by whoever is first.
fn filled() {
    let world = World::new(2, 2);
    meet(
        &world,
        |world| world.write_both(2),
        |world| _ = world.check_pinned(&world.page(1).unwrap(), 1, &[first(1), 2]),
    );
    world.check_at_rest(&[full(2), full(2)]);
}

fn read() {
    let world = World::new(1, 2);
    meet(&world, |world| world.write_both(2), |world| _ = world.peek(1, &[2]));
    world.check_at_rest(&[full(2), full(2)]);
}

/// Each page is one or the other's.
fn written() {
    let world = World::new(2, 2);
    meet(&world, |world| world.write_both(2), |world| world.write(1, 3));
    let mut last = full(0);
    world.core.frames.read(world.frame(1).unwrap(), 0, &mut last);
    reached(if last == full(2) { "overwritten" } else { "overwrites" });
    world.check_at_rest(&[full(2), full(if last == full(2) { 2 } else { 3 })]);
}

fn moved() {
    let world = World::new(2, 2);
    meet(&world, |world| world.write_both(2), |world| _ = world.migrate(1, 1));
    world.check_at_rest(&[full(2), full(2)]);
}

/// The file ends behind the first one, or is made longer again.
fn cut() {
    let world = World::new(1, 2);
    meet(&world, |world| world.write_both(2), |world| world.resize(1));
    if world.mapping.len() == PAGE_SIZE as u64 {
        reached("shorter");
        world.check_at_rest(&[full(2)]);
    } else {
        reached("longer");
        world.check_at_rest(&[full(2), full(2)]);
    }
}

fn evicted() {
    let world = World::new(1, 2);
    meet(
        &world,
        |world| world.write_both(2),
        |world| {
            world.write_back();
            world.evict(1);
        },
    );
    world.check_at_rest(&[full(2), full(2)]);
}
