//! migrate × lookup × truncate-and-refill: the page moves (from its copy on), is cut off, and comes
//! back empty. Whoever looks it up gets the old one or the new one, and the old one stays gone.

use super::search::Model;
use super::world::{World, first, full, value_of};
use crate::folio::state::Flag;
use crate::sync::reached;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["moved", "found here", "found there", "frozen", "stale", "nothing", "slept"],
    protections: &[("truncate-skips-lock", "put twice")],
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
    let moving = world.moving(1);
    let page = world.place(0);
    let copied = moving.prepare_alone(&page).and_then(|unmapped| moving.copy(unmapped));
    let looker = world.spawn(look);
    let refiller = world.spawn(|world| {
        world.resize(0);
        world.resize(1);
        drop(world.page(0));
    });
    if let Ok(switched) = moving.switch_alone(copied.unwrap()) {
        moving.finish_alone(switched);
        reached("moved");
    }
    looker.join().unwrap();
    refiller.join().unwrap();
    world.check_at_rest(&[full(0)]);
}

/// Gets the page, when its bytes are there.
fn look(world: &World) {
    let Some(pin) = world.lookup(0) else { return };
    if pin.folio().state.has(Flag::UPTODATE) {
        value_of(pin.bytes(), &[first(0), 0]);
    }
}
