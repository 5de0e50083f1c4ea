//! The end of the file comes to lie within a folio of two pages: the folio stays, its second page
//! is nobody's, and no entry names it any more.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::fault;
use crate::sync::reached;
use crate::table::Sharing;
use crate::units::Vpn;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &[
        "stale: again: isolated",
        "again: locked",
        "again: references",
        "gone",
        "longer again",
        "mapped",
        "moved",
        "no such page",
        "shorter",
        "slept",
        "touched",
    ],
    protections: &[
        ("fault-skips-length", "an entry behind the end"),
        ("truncate-skips-unmap", "an entry behind the end"),
    ],
    scenes: &[faulted, moved, written, cut_off],
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

fn faulted() {
    let world = World::large(1, 2, 1).and_view(2, Sharing::Shared).ready();
    world.touch(1, &[first(1)]);
    meet(
        &world,
        |world| world.resize(1),
        |world| match fault::entry(&world.core, world.other(), Vpn(1), false) {
            Ok(_) => reached("mapped"),
            Err(error) if error.is_out_of_range() => reached("no such page"),
            Err(error) => panic!("{error}"),
        },
    );
    world.check_at_rest(&[full(first(0))]);
}

fn moved() {
    let world = World::large(2, 2, 1).ready();
    world.load(0);
    meet(&world, |world| world.resize(1), |world| _ = world.migrate(0, 1));
    world.check_at_rest(&[full(first(0))]);
}

fn written() {
    let world = World::large(1, 2, 1).ready();
    world.load(0);
    meet(&world, |world| world.resize(1), |world| world.write(1, 2));
    let second = (world.mapping.len() > full(0).len() as u64).then(|| full(2));
    reached(if second.is_some() { "longer again" } else { "shorter" });
    let pages = [Some(full(first(0))), second];
    world.check_at_rest(&pages.into_iter().flatten().collect::<Vec<_>>());
}

fn cut_off() {
    let world = World::large(2, 2, 1).ready();
    world.load(0);
    meet(&world, |world| world.resize(0), |world| _ = world.migrate(1, 1));
    world.check_at_rest(&[]);
}
