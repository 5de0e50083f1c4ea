//! Whoever waits is woken when what it waits for is gone, and by nothing less: when the folio is
//! put, is unlocked, is written, is freed; or when the page has left it, whoever holds it still.

use super::search::Model;
use super::world::{World, first, full, meet, value_of};
use crate::passes::Mode;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["again: isolated", "here", "moved", "slept", "written"],
    protections: &[
        ("free-forgets-to-wake", "deadlock"),
        ("truncate-keeps-version", "deadlock"),
        ("wait-ignores-version", "deadlock"),
        ("unlock-forgets-to-wake", "deadlock"),
        ("put-forgets-to-wake", "deadlock"),
        ("sleeper-unannounced", "deadlock"),
        ("wake-without-lock", "deadlock"),
        ("waiter-holds-reference", "deadlock"),
    ],
    scenes: &[
        for_a_mover,
        for_a_pin,
        for_a_pin_of_what_is_cut_off,
        for_a_fill,
        for_a_mapping,
        for_writeback,
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

fn for_a_mover() {
    let world = World::new(2, 1);
    world.load(0);
    meet(&world, |world| _ = world.migrate(0, 1), |world| world.migrate_all([0], 1, Mode::Light));
    world.check_at_rest(&[full(first(0))]);
}

fn for_a_pin() {
    let world = World::new(1, 1);
    world.load(0);
    meet(&world, |world| world.write(0, 2), |world| world.while_pinned(0, &[first(0), 2], || ()));
    world.check_at_rest(&[full(2)]);
}

/// The pin stays until the writer has ended, which must not wait for it: its page is gone.
fn for_a_pin_of_what_is_cut_off() {
    let world = World::new(1, 1);
    world.load(0);
    let pin = world.page(0).unwrap();
    let writer = world.spawn(|world| world.write(0, 2));
    world.resize(0);
    writer.join().unwrap();
    value_of(pin.bytes(), &[first(0)]);
    drop(pin);
    world.check_at_rest(&[full(2)]);
}

/// Whoever read the page in keeps it pinned until the other one has it, too.
fn for_a_fill() {
    let world = World::new(1, 1);
    let other = world.spawn(|world| drop(world.page(0)));
    let pin = world.page(0);
    other.join().unwrap();
    drop(pin);
    world.check_at_rest(&[full(first(0))]);
}

/// The page is mapped when the writer looks again: one reference more, and one more expected.
fn for_a_mapping() {
    let world = World::new(1, 1);
    world.load(0);
    meet(&world, |world| _ = world.fault(&[first(0), 2]), |world| world.write(0, 2));
    world.check_at_rest(&[full(2)]);
}

fn for_writeback() {
    let world = World::new(1, 1);
    world.write(0, 1);
    meet(&world, |world| world.write(0, 2), World::write_back);
    world.check_at_rest(&[full(2)]);
}
