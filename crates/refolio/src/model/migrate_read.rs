//! migrate × read: an optimistic reader sees by the version that the page went, and that its frame is
//! another page's by now.

use super::search::Model;
use super::world::{World, first};

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: None,
    outcomes: &["read", "read again", "not read"],
    protections: &[
        ("read-skips-version", "page"),
        ("read-skips-identity", "a strange page"),
        ("claim-without-fence", "page"),
    ],
    scenes: &[until_copied, from_the_switch_on],
};

#[test]
fn holds() {
    MODEL.holds();
}

#[test]
fn misses() {
    MODEL.misses();
}

fn until_copied() {
    let world = World::new(2, 1);
    world.load(0);
    let reader = world.spawn(read);
    let moving = world.moving(1);
    let copied = moving.prepare(&world.place(0)).and_then(|unmapped| moving.copy(unmapped));
    drop(copied.unwrap());
    reader.join().unwrap();
    world.check_at_rest(&[first(0)]);
}

fn from_the_switch_on() {
    let world = World::new(2, 1);
    world.load(0);
    let moving = world.moving(1);
    let copied = moving.prepare(&world.place(0)).and_then(|unmapped| moving.copy(unmapped));
    let reader = world.spawn(read);
    moving.finish(moving.switch(copied.unwrap()).unwrap());
    world.reuse(0);
    reader.join().unwrap();
    world.check_at_rest(&[first(0)]);
}

fn read(world: &World) {
    world.peek(0, &[first(0)]);
}
