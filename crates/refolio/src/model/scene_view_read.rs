//! A view is read without a reference while its page comes into a frame that has just held another
//! one: whoever sees the entry sees what its frame is now.

use super::search::Model;
use super::world::{World, first, full};
use crate::table::Sharing;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["read again", "slept", "touched"],
    protections: &[("read-skips-version", "a torn page")],
    scenes: &[filled, exchanged],
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

/// The pin of a page that was cut off is the last one to hold a frame, which becomes memory then.
fn filled() {
    let world = World::large(1, 1, 0).and_memory(1, 0).ready();
    let pin = world.page(0).unwrap();
    world.resize(0);
    let reader = world.spawn(|world| _ = world.view_read(0, &[0]));
    drop(pin);
    world.touch(0, &[0]);
    reader.join().unwrap();
    world.check_at_rest(&[]);
}

/// As before, but the frame becomes a private view's copy of its page.
fn exchanged() {
    let world = World::large(1, 2, 0).and_view(1, Sharing::Private).ready();
    let pin = world.page(1).unwrap();
    world.touch(0, &[first(0)]);
    world.resize(1);
    let reader = world.spawn(|world| _ = world.view_read(0, &[first(0), 2]));
    drop(pin);
    world.view_write(0, 2);
    reader.join().unwrap();
    world.check_at_rest(&[full(first(0))]);
}
