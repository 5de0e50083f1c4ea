//! truncate × batch: many pages are read in at once, or read, while the file is cut: under the
//! i_pages lock the batch looks whether each is still in the file, and what was put there before is
//! waited for, and taken out. Who reads gets no more than the file has, and its bytes.

use super::search::Model;
use super::world::{World, first, full, meet, value_of};
use crate::batch::Need;
use crate::folio::Use;
use crate::many::{self, ReadAt};
use crate::sync::reached;
use crate::units::PAGE_SIZE;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["both pages", "one page", "read with a reference", "shown", "slept"],
    protections: &[("fill-beyond-the-end", "a strange page")],
    scenes: &[ahead, read],
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

fn ahead() {
    let world = World::new(2, 2);
    meet(&world, |world| world.resize(1), |world| world.fill_all([0, 1], Need::Ahead));
    world.check_at_rest(&[full(first(0))]);
}

fn read() {
    let world = World::new(2, 2);
    meet(
        &world,
        |world| world.resize(1),
        |world| {
            let mut bytes = [0; 2 * PAGE_SIZE];
            let mut reads = [ReadAt::new(0, &mut bytes)];
            many::from_file(&world.core, &world.mapping, Use::Counts, &mut reads).unwrap();
            let pages = reads[0].bytes().chunks(PAGE_SIZE);
            reached(if pages.len() == 2 { "both pages" } else { "one page" });
            for (index, page) in (0..).zip(pages) {
                assert_eq!(page.len(), PAGE_SIZE, "a part of a page");
                value_of(page, &[first(index)]);
            }
        },
    );
    world.check_at_rest(&[full(first(0))]);
}
