//! migrate × read: an optimistic reader sees by the version that the page went, and that its frame is
//! another page's by now.

use super::search::Model;
use super::world::{World, first, meet};

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: None,
    outcomes: &["moved", "again: references", "read again", "read with a reference"],
    protections: &[
        ("read-skips-version", "page"),
        ("read-skips-identity", "a strange page"),
        ("claim-without-fence", "page"),
    ],
    meeting,
};

#[test]
fn holds() {
    MODEL.holds();
}

#[test]
fn misses() {
    MODEL.misses();
}

fn meeting() {
    let world = World::new(2, 1);
    world.load(0);
    meet(
        &world,
        |world| {
            world.migrate(0, 1);
        },
        |world| {
            world.read(0, &[first(0)]).unwrap();
        },
    );
    world.check_at_rest(&[first(0)]);
}
