//! write × fill: the i_pages lock lets one of them put the page in its slot; the folio lock lets
//! the write come after the bytes.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::folio::Use;
use crate::write;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept"],
    protections: &[("insert-skips-look", "pages of the file")],
    scenes: &[whole, in_part],
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

fn whole() {
    let world = World::new(2, 1);
    meet(
        &world,
        |world| world.write(0, 2),
        |world| {
            world.check_pinned(&world.page(0).unwrap(), 0, &[first(0), 2]);
        },
    );
    world.check_at_rest(&[full(2)]);
}

fn in_part() {
    let world = World::new(2, 1);
    meet(
        &world,
        |world| write::to_file(&world.core, &world.mapping, Use::Counts, &[2; 8], 0).unwrap(),
        |world| drop(world.page(0)),
    );
    let mut page = full(first(0));
    page[..8].fill(2);
    world.check_at_rest(&[page]);
}
