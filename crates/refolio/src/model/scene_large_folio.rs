//! A folio of two pages moves, is looked up, read and written by its second page: what is done to a
//! folio is done to all of its pages. And it is written as a whole, without being read in.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::sync::reached;
use crate::table::Sharing;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &[
        "again: isolated",
        "again: locked",
        "again: references",
        "found here",
        "found there",
        "frozen",
        "moved",
        "not read",
        "read",
        "read again",
        "read new",
        "read old",
        "slept",
        "stale",
        "touched",
        "touched, and taken away",
    ],
    protections: &[
        ("one-page-copied", "page 1 in the cache"),
        ("one-page-unmapped", "only its migrator may change"),
        ("lookup-skips-recheck", "a strange page"),
    ],
    scenes: &[pinned, read, written, mapped, written_new],
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

fn pinned() {
    let world = World::large(2, 2, 1).ready();
    world.load(0);
    meet(
        &world,
        |world| {
            if world.migrate(0, 1) {
                world.reuse();
            }
        },
        |world| {
            if let Some(pin) = world.lookup(1) {
                world.check_pinned(&pin, 1, &[first(1)]);
            }
        },
    );
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

fn read() {
    let world = World::large(2, 2, 1).ready();
    world.load(0);
    meet(
        &world,
        |world| {
            if world.migrate(0, 1) {
                world.reuse();
            }
        },
        |world| _ = world.peek(1, &[first(1)]),
    );
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

fn written() {
    let world = World::large(2, 2, 1).ready();
    world.load(0);
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.write(1, 2));
    world.check_at_rest(&[full(first(0)), full(2)]);
}

fn mapped() {
    let world = World::large(2, 2, 1).and_view(2, Sharing::Shared).ready();
    world.touch(0, &[first(0)]);
    world.touch(1, &[first(1)]);
    meet(&world, |world| _ = world.migrate(0, 1), |world| _ = world.touch(1, &[first(1)]));
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

/// Somebody reads its second page, and gets the old one or the new one.
fn written_new() {
    let world = World::large(2, 2, 1).ready();
    meet(
        &world,
        |world| world.write_both(2),
        |world| {
            let pin = world.page(1).unwrap();
            let value = world.check_pinned(&pin, 1, &[first(1), 2]);
            reached(if value == 2 { "read new" } else { "read old" });
        },
    );
    world.check_at_rest(&[full(2), full(2)]);
}
