//! write × truncate: the resize lock keeps writes to the file away, the folio lock those through a
//! view. Whoever comes second finds the file shorter, or makes it longer again.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::sync::reached;
use crate::units::{PageIndex, Vpn};
use crate::write;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept", "first", "second", "no such page"],
    protections: &[
        ("truncate-skips-lock", "pages, dirty, anonymous"),
        ("write-skips-recheck", "pages, dirty, anonymous"),
        ("write-skips-entry-recheck", "pages, dirty, anonymous"),
        ("truncate-stays-dirty", "pages, dirty, anonymous"),
    ],
    scenes: &[through_the_file, through_the_view, by_a_guard],
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

fn through_the_file() {
    let world = World::new(2, 1);
    world.load(0);
    meet(&world, |world| world.write(0, 2), |world| world.resize(0));
    if world.mapping.len() == 0 {
        reached("first");
        world.check_at_rest(&[]);
    } else {
        reached("second");
        world.check_at_rest(&[full(2)]);
    }
}

fn through_the_view() {
    let world = World::new(2, 1);
    world.fault(&[first(0)]);
    meet(
        &world,
        |world| match write::in_view_page(&world.core, &world.table, Vpn(0), 0, &full(2)) {
            Ok(()) => reached("first"),
            Err(error) if error.is_out_of_range() => reached("no such page"),
            Err(error) => panic!("{error}"),
        },
        |world| world.resize(0),
    );
    world.check_at_rest(&[]);
}

fn by_a_guard() {
    let world = World::new(2, 1);
    world.load(0);
    meet(
        &world,
        |world| match write::file_page(&world.core, &world.mapping, PageIndex(0)) {
            Ok((page, _)) => {
                page.write(0, &full(2));
                page.dirty(Some(&world.mapping));
                reached("first");
            }
            Err(error) if error.is_out_of_range() => reached("no such page"),
            Err(error) => panic!("{error}"),
        },
        |world| world.resize(0),
    );
    world.check_at_rest(&[]);
}
