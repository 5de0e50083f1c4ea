//! truncate × pin: whoever has a pin is left with an orphan, whose bytes stand still, and whose frame
//! is free when the pin is gone.

use super::search::Model;
use super::world::{World, first, meet, value_of};
use crate::error::Error;
use crate::fault;
use crate::sync::reached;
use crate::units::PageIndex;

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["pinned", "orphaned", "no such page", "slept"],
    protections: &[
        ("truncate-puts-too-often", ""),
        ("put-relaxed", ""),
    ],
    scenes: &[meeting],
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
            world.set_len(0);
            world.reuse(0);
        },
        |world| match fault::page(&world.core, &world.mapping, PageIndex(0)) {
            Ok((pin, _)) => {
                value_of(pin.bytes(), &[first(0)]);
                value_of(pin.bytes(), &[first(0)]);
                let orphan = pin.folio().identity().is_none();
                reached(if orphan { "orphaned" } else { "pinned" });
            }
            Err(Error::OutOfRange { .. }) => reached("no such page"),
            Err(error) => panic!("{error}"),
        },
    );
    world.check_at_rest(&[]);
}
