//! write × read: the version. A reader gets all of a write or nothing, and never less than before.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["read", "read again", "not read"],
    protections: &[
        ("read-skips-version", "a torn page"),
        ("freeze-without-fence", "a torn page"),
        ("unfreeze-relaxed", "a torn page"),
        ("load-relaxed", "a torn page"),
        ("read-without-fence", "a torn page"),
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
    world.load(0);
    meet(
        &world,
        |world| world.write(0, 2),
        |world| {
            let before = world.peek(0, &[first(0), 2]);
            let after = world.peek(0, &[first(0), 2]);
            assert!(before != Some(2) || after != Some(first(0)), "a write was there and went");
        },
    );
    world.check_at_rest(&[full(2)]);
}
