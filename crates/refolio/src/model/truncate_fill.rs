//! truncate × fill: under the i_pages lock a fill looks whether the page is still in the file; what
//! was put there before is waited for, and taken out.

use super::search::Model;
use super::world::{World, meet};
use crate::sync::reached;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(4),
    outcomes: &["filled", "no such page", "slept"],
    protections: &[
        ("fill-beyond-the-end", "behind the end of the file"),
        ("truncate-skips-recheck", "discounted twice"),
    ],
    scenes: &[meeting],
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

fn meeting() {
    let world = World::new(2, 1);
    meet(
        &world,
        |world| world.resize(0),
        |world| {
            if world.page(0).is_some() {
                reached("filled");
            }
        },
    );
    world.check_at_rest(&[]);
}
