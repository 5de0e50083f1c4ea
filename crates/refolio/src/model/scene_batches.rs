//! batch × batch: two threads read the same pages in, each many at once, in opposite orders. Each has
//! a page locked that the other one wants, and neither waits for it while it has others in hand.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::batch::Need;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &["filled by another", "no frame beside those in hand", "shown", "slept"],
    protections: &[("batch-waits-while-it-fills", "deadlock")],
    scenes: &[crossing, without_room],
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

/// Whoever wants a page that the other one has in hand waits for it afterwards.
fn crossing() {
    let world = World::new(2, 2);
    let read = |world: &World, order: [u64; 2]| {
        world.fill_all(order, Need::Now);
        for index in order {
            world.check_pinned(&world.page(index).unwrap(), index, &[first(index)]);
        }
    };
    meet(&world, move |world| read(world, [0, 1]), move |world| read(world, [1, 0]));
    world.check_at_rest(&[full(first(0)), full(first(1))]);
}

/// There is a frame fewer than pages: what is in hand is answered before more is taken, or nothing is
/// read ahead any more.
fn without_room() {
    let world = World::new(1, 3);
    meet(
        &world,
        |world| world.fill_all([0, 1, 2], Need::Ahead),
        |world| world.fill_all([2], Need::Ahead),
    );
    world.check_at_rest(&[full(first(0)), full(first(1)), full(first(2))]);
}
