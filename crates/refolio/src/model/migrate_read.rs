//! migrate × read: an optimistic reader sees by the version that the page went, or that the frame
//! it left is another page's by now.
//!
//! The move is searched in two halves: up to the copy, taken back; and from the switch on, with the
//! frame that is left in use again at once. A reader that spans both sees no more than one that
//! begins with the second half: what the first one changes of the word, it does not look at.

use super::search::Model;
use super::world::{World, first, full};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["read", "read again", "not read"],
    protections: &[("read-skips-version", "a torn page")],
    scenes: &[until_copied, from_the_switch_on],
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

fn until_copied() {
    let world = World::new(2, 1);
    world.load(0);
    let reader = world.spawn(read);
    let moving = world.moving(1);
    let page = world.place(0);
    let copied = moving.prepare_alone(&page).and_then(|unmapped| moving.copy(unmapped));
    drop(copied.unwrap());
    reader.join().unwrap();
    world.check_at_rest(&[full(first(0))]);
}

fn from_the_switch_on() {
    let world = World::new(2, 1);
    world.load(0);
    let moving = world.moving(1);
    let page = world.place(0);
    let copied = moving.prepare_alone(&page).and_then(|unmapped| moving.copy(unmapped));
    let reader = world.spawn(read);
    moving.finish_alone(moving.switch_alone(copied.unwrap()).unwrap());
    world.reuse();
    reader.join().unwrap();
    world.check_at_rest(&[full(first(0))]);
}

fn read(world: &World) {
    world.peek(0, &[first(0)]);
}
