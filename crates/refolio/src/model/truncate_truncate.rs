//! truncate × truncate: the resize lock; and below it the folio lock, for whoever takes pages out
//! without changing the length.

use super::search::Model;
use super::world::{World, full, meet};
use crate::sync::reached;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: None,
    outcomes: &["shorter", "longer"],
    protections: &[("truncate-skips-resize", "what is stored")],
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
    meet(&world, |world| world.resize(0), |world| world.resize(1));
    if world.mapping.len() == 0 {
        reached("shorter");
        world.check_at_rest(&[]);
    } else {
        reached("longer");
        world.check_at_rest(&[full(0)]);
    }
}
