//! The four forms of the check, each against a pin and against truncation: all are safe, as long as
//! whoever takes a page out of its file holds the folio lock; and none when he does not.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::form::Form;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["moved", "again: references", "again: locked", "again: isolated", "gone", "slept"],
    protections: &[
        ("freeze-without-count", "put twice"),
        ("truncate-skips-lock", "discounted twice"),
    ],
    scenes: &[
        pinned::<0>,
        pinned::<1>,
        pinned::<2>,
        pinned::<3>,
        cut_off::<0>,
        cut_off::<1>,
        cut_off::<2>,
        cut_off::<3>,
    ],
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

fn pinned<const FORM: usize>() {
    let world = World::new(2, 1);
    world.load(0);
    let pin = |world: &World| _ = world.check_pinned(&world.page(0).unwrap(), 0, &[first(0)]);
    meet(&world, pin, migrate::<FORM>);
    world.check_at_rest(&[full(first(0))]);
}

fn cut_off<const FORM: usize>() {
    let world = World::new(2, 1);
    world.load(0);
    meet(&world, migrate::<FORM>, |world| world.resize(0));
    world.check_at_rest(&[]);
}

fn migrate<const FORM: usize>(world: &World) {
    world.attempt(&world.moving_in(Form::ALL[FORM], 1), &world.place(0));
}
