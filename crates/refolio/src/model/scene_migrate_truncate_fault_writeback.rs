//! migrate × truncate × fault × writeback: four threads and one dirty page, which is moved, cut off,
//! mapped and written back. Too many interleavings for all of them: those with few preemptions are
//! searched.

use super::acts::meet_all;
use super::search::Model;
use super::world::{World, value_of};
use crate::fault;
use crate::sync::reached;
use crate::units::Vpn;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &[
        "moved",
        "again: isolated",
        "again: locked",
        "again: references",
        "again: writeback",
        "gone",
        "mapped",
        "no such page",
        "written",
        "not written",
        "slept",
    ],
    protections: &[],
    scenes: &[meeting],
};

fn meeting() {
    let world = World::new(2, 1);
    world.write(0, 2);
    meet_all(
        &world,
        [|world| _ = world.migrate(0, 1), |world| world.resize(0), map, World::write_back],
    );
    world.check_at_rest(&[]);
}

/// Uses the page through a table, as long as it is there. (Cut off, the bytes stay what they were.)
fn map(world: &World) {
    match fault::entry(&world.core, &world.table, Vpn(0), false) {
        Ok((pin, _)) => {
            value_of(pin.bytes(), &[2]);
            reached("mapped");
        }
        Err(error) if error.is_out_of_range() => reached("no such page"),
        Err(error) => panic!("{error}"),
    }
}
