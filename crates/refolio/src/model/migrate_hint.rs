//! migrate × lookup by a hint: it finds the page where it was or where it is, or nothing; also when
//! the hint is older or newer than the move.

use super::search::Model;
use super::world::{World, first, full, value_of};
use crate::fault;
use crate::hint::Hints;
use crate::sync::{Arc, reached};
use crate::units::PageIndex;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &[
        "by its hint",
        "not by its hint",
        "read",
        "read again",
        "not read",
        "moved",
        "pinned",
    ],
    protections: &[
        ("get-skips-version", "freed after it left its file"),
        ("read-skips-version", "page"),
        ("hint-believed", "a strange page"),
    ],
    scenes: &[
        pinned_where_it_was,
        pinned_where_it_will_be,
        read_where_it_was,
        read_where_it_will_be,
    ],
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

fn pinned_where_it_was() {
    switch_beside(pin, false);
}

fn pinned_where_it_will_be() {
    switch_beside(pin, true);
}

fn read_where_it_was() {
    switch_beside(read, false);
}

fn read_where_it_will_be() {
    switch_beside(read, true);
}

/// A move from the switch on, with the frame that is left in use again at once. (What comes before
/// changes nothing that a lookup sees.)
fn switch_beside(look: fn(&World), ahead: bool) {
    let mut world = World::new(2, 1);
    if let Some(world) = Arc::get_mut(&mut world) {
        world.core.hints = Hints::one();
    }
    world.load(0);
    let moving = world.moving(1);
    let page = world.place(0);
    let copied = moving.prepare_alone(&page).and_then(|unmapped| moving.copy(unmapped));
    if ahead {
        let destination = world.core.nodes[1].first;
        world.core.hints.set(world.mapping.identity(PageIndex(0)), 1, destination);
    }
    let looking = world.spawn(look);
    match moving.switch_alone(copied.unwrap()) {
        Ok(switched) => {
            moving.finish_alone(switched);
            world.reuse();
            reached("moved");
        }
        Err(_) => reached("pinned"),
    }
    looking.join().unwrap();
    world.check_at_rest(&[full(first(0))]);
}

fn pin(world: &World) {
    let Some(pin) = fault::cached(&world.core, &world.mapping, PageIndex(0)) else {
        return reached("not by its hint");
    };
    for _ in 0..2 {
        value_of(pin.bytes(), &[first(0)]);
    }
}

fn read(world: &World) {
    world.peek(0, &[first(0)]);
}
