//! truncate × fault: under the folio lock a fault looks whether the page is still in the file, so
//! that no entry is left for a page that is not.

use super::search::Model;
use super::world::{World, first, full, meet, value_of};
use crate::sync::reached;
use crate::units::Vpn;
use crate::{fault, truncate};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &["mapped", "no such page", "slept"],
    protections: &[("fault-skips-recheck", "the entry names another folio")],
    scenes: &[cut_off, punched],
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

fn punched() {
    let world = World::new(2, 1);
    world.load(0);
    meet(
        &world,
        |world| truncate::punch(&world.core, &world.mapping, 0..1).unwrap(),
        |world| {
            let (pin, _) = fault::entry(&world.core, &world.table, Vpn(0), false).unwrap();
            value_of(pin.bytes(), &[first(0), 0]);
            reached("mapped");
        },
    );
    world.check_at_rest(&[full(0)]);
}

fn cut_off() {
    let world = World::new(2, 1);
    world.load(0);
    meet(
        &world,
        |world| world.resize(0),
        |world| match fault::entry(&world.core, &world.table, Vpn(0), false) {
            Ok(_) => reached("mapped"),
            Err(error) if error.is_out_of_range() => reached("no such page"),
            Err(error) => panic!("{error}"),
        },
    );
    world.check_at_rest(&[]);
}
