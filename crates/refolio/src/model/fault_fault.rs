//! fault × fault: whoever makes an empty entry present looks under the table's lock whether it
//! still is empty; and two views map a page one after the other, under its lock, so that no entry
//! is lost from its count.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::table::Sharing;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept", "touched"],
    protections: &[
        ("lock-relaxed", "references of page"),
        ("unlock-relaxed", "references of page"),
        ("fault-skips-look", "an entry is filled that was empty"),
        ("entry-without-reference", "references of page"),
    ],
    scenes: &[through_one_entry, through_two_views],
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

fn through_one_entry() {
    let world = World::new(1, 1);
    world.load(0);
    meet(&world, |world| _ = world.fault(&[first(0)]), |world| _ = world.fault(&[first(0)]));
    world.check_at_rest(&[full(first(0))]);
}

fn through_two_views() {
    let world = World::large(1, 1, 0).and_view(1, Sharing::Shared).ready();
    world.load(0);
    meet(&world, |world| _ = world.fault(&[first(0)]), |world| _ = world.touch(0, &[first(0)]));
    world.check_at_rest(&[full(first(0))]);
}
