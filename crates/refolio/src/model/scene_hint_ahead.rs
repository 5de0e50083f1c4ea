//! A page is looked up by a hint that names the destination of its move before the bytes are there:
//! whoever finds the page there finds its bytes.

use super::search::Model;
use super::world::{World, first, full, value_of};
use crate::fault;
use crate::hint::Hints;
use crate::sync::reached;
use crate::units::PageIndex;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["by its hint", "moved", "not by its hint", "not read", "read", "read again"],
    protections: &[],
    scenes: &[read, pinned],
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

fn read() {
    beside_a_move(|world| _ = world.peek(0, &[first(0)]));
}

fn pinned() {
    beside_a_move(|world| {
        let Some(pin) = fault::cached(&world.core, &world.mapping, PageIndex(0)) else {
            return reached("not by its hint");
        };
        // (The slot may name the source for a moment longer: that it is frozen decides.)
        value_of(pin.bytes(), &[first(0)]);
        value_of(pin.bytes(), &[first(0)]);
    });
}

fn beside_a_move(look: fn(&World)) {
    let mut world = World::large(2, 1, 0);
    world.core.hints = Hints::one();
    let world = world.ready();
    world.load(0);
    let destination = world.core.nodes[1].first;
    world.core.hints.set(world.mapping.identity(PageIndex(0)), 1, destination);
    let looking = world.spawn(look);
    world.migrate(0, 1);
    looking.join().unwrap();
    world.check_at_rest(&[full(first(0))]);
}
