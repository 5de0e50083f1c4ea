//! write × write: the folio lock. Two writes to one word are both there afterwards.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::folio::Use;
use crate::write;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept"],
    protections: &[("write-skips-lock", "only what was set is cleared")],
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
        |world| write::to_file(&world.core, &world.mapping, Use::Counts, &[2; 4], 0).unwrap(),
        |world| write::to_file(&world.core, &world.mapping, Use::Counts, &[3; 4], 4).unwrap(),
    );
    let mut page = full(first(0));
    page[..4].fill(2);
    page[4..8].fill(3);
    world.check_at_rest(&[page]);
}
