//! migrate × writeback: a page that is on its way to the store stays, so that it can be made dirty
//! again if it does not get there. The mark moves with the page.

use super::search::Model;
use super::world::{World, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &[
        "moved",
        "again: references",
        "again: locked",
        "again: writeback",
        "slept",
        "written",
        "not written",
    ],
    protections: &[
        ("writeback-unprotected", "flags of frame"),
        ("failed-writeback-cleans", "clean in the cache"),
        ("dirty-left-behind", "clean in the cache"),
        ("mark-left-behind", "flags of frame"),
        ("counter-left-behind", "pages, dirty, anonymous"),
        ("dirty-without-mark", "flags of frame"),
    ],
    scenes: &[failing, meeting],
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
    world.write(0, 2);
    meet(&world, |world| _ = world.migrate(0, 1), World::write_back);
    world.check_at_rest(&[full(2)]);
    assert_eq!(world.disk.bytes(), full(2), "a page was never written back");
}

fn failing() {
    let world = World::new(2, 1);
    world.write(0, 2);
    world.disk.fail_writes(true);
    meet(&world, |world| _ = world.migrate(0, 1), World::write_back);
    world.check_at_rest(&[full(2)]);
}
