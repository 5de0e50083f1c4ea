//! write × fault: an entry gives no reference while the folio is frozen, and the freeze counts the
//! entries.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::units::Vpn;
use crate::write;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["slept"],
    protections: &[("get-from-frozen", "Causality"), ("freeze-without-count", "Causality")],
    scenes: &[through_the_file, through_the_view],
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
    world.fault(&[first(0)]);
    meet(&world, |world| world.write(0, 2), |world| _ = world.fault(&[first(0), 2]));
    world.check_at_rest(&[full(2)]);
}

fn through_the_view() {
    let world = World::new(2, 1);
    meet(
        &world,
        |world| write::in_view_page(&world.core, &world.table, Vpn(0), 0, &full(2)).unwrap(),
        |world| _ = world.fault(&[first(0), 2]),
    );
    world.check_at_rest(&[full(2)]);
}
