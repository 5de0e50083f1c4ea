//! A private view writes to a page that it shares with its file, while the page moves, and while
//! the file is written: the view gets a copy of its own, and the file does not get what was written
//! to it.

use super::acts::meet_all;
use super::search::Model;
use super::world::{World, first, full, meet};
use crate::table::Sharing;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &[
        "again: isolated",
        "again: locked",
        "again: references",
        "moved",
        "slept",
        "touched",
    ],
    protections: &[
        ("restored-writable", "page 0 in the cache"),
        ("copy-skips-lock", "only what was set is cleared"),
        ("copy-keeps-reference", "references of page"),
    ],
    scenes: &[moved, written, both],
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

fn moved() {
    let world = shared_with_its_file();
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.view_write(0, 2));
    check(&world, first(0));
}

fn written() {
    let world = shared_with_its_file();
    meet(&world, |world| world.view_write(0, 2), |world| world.write(0, 3));
    check(&world, 3);
}

fn both() {
    let world = shared_with_its_file();
    meet_all(
        &world,
        [
            |world| _ = world.migrate(0, 1),
            |world| world.write(0, 3),
            |world| world.view_write(0, 2),
        ],
    );
    check(&world, 3);
}

fn shared_with_its_file() -> crate::sync::Arc<World> {
    let world = World::large(2, 1, 0).and_view(1, Sharing::Private).ready();
    world.touch(0, &[first(0)]);
    world
}

fn check(world: &World, file: u8) {
    assert_eq!(world.view_value(0), Some(2), "the view's own");
    world.check_at_rest(&[full(file)]);
}
