//! migrate × writeback: a page that is on its way to the store stays; the mark moves with the page.

use super::search::Model;
use super::world::{World, meet};
use crate::writeback::{self, Patience};

const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: None,
    outcomes: &["moved", "again: references", "again: locked", "again: writeback", "slept"],
    protections: &[
        ("freeze-without-count", ""),
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
    world.write(0, 2);
    meet(
        &world,
        |world| _ = world.migrate(0, 1),
        |world| {
            writeback::write_range(&world.core, &world.mapping, 0..9, Patience::Wait).unwrap();
            assert_eq!(world.store.bytes(), super::world::full(2), "what is written back");
        },
    );
    world.check_at_rest(&[2]);
    assert_eq!(world.core.nodes.iter().map(|node| node.counters.nr_dirty.get()).sum::<u64>(), 0);
}
