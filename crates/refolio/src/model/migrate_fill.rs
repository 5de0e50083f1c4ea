//! migrate × fill: a page that is being read in is on no list, and locked; and whoever reads it in
//! holds it.

use super::search::Model;
use super::world::{World, first, full, meet};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &[
        "moved",
        "again: references",
        "again: locked",
        "again: isolated",
        "gone",
        "read",
        "not read",
    ],
    protections: &[
        ("uptodate-before-bytes", "a strange page"),
        ("uptodate-relaxed", "a strange page"),
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
        |world| {
            world.migrate(0, 1);
            world.peek(0, &[first(0)]);
        },
        |world| _ = world.check_pinned(&world.page(0).unwrap(), 0, &[first(0)]),
    );
    world.check_at_rest(&[full(first(0))]);
}
