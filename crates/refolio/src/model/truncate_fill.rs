//! truncate × fill: under the i_pages lock a fill looks whether the page is still in the file; what was
//! put there before is waited for, and taken out.

use super::search::Model;
use super::world::{World, meet};
use crate::error::Error;
use crate::fault;
use crate::sync::reached;
use crate::units::PageIndex;

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["filled", "no such page", "slept"],
    protections: &[
        ("fill-beyond-the-end", ""),
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
    meet(
        &world,
        |world| world.set_len(0),
        |world| match fault::page(&world.core, &world.mapping, PageIndex(0)) {
            Ok(_) => reached("filled"),
            Err(Error::OutOfRange { .. }) => reached("no such page"),
            Err(error) => panic!("{error}"),
        },
    );
    world.check_at_rest(&[]);
}
