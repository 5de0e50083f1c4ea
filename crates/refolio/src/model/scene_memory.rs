//! Anonymous memory × use, move, write, end and read: it has no slot and no identity, so its entries
//! are all that is known of it, and decide who has it; the frame of what was given back has a new
//! version when it is used again.

use super::search::Model;
use super::world::{World, full, meet, value_of};
use crate::read;
use crate::sync::reached;
use crate::units::Vpn;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &[
        "again: isolated",
        "again: locked",
        "again: references",
        "gone",
        "here",
        "moved",
        "not read",
        "read",
        "read again",
        "slept",
        "touched",
    ],
    protections: &[
        ("migrate-skips-unmap", "flags of frame"),
        ("anonymous-skips-look", "an entry is filled that was empty"),
        ("zap-passes-migration", "an entry of a view that has ended"),
        ("zap-skips-lock", "only its migrator may change"),
        ("restored-clean", "an entry forgot it"),
        ("claim-keeps-version", "a torn page"),
        ("claim-without-fence", "a torn page"),
    ],
    scenes: &[used_at_once, written, moved_at_once, given_back, used_again, overwritten, peeked],
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

fn used_at_once() {
    let world = World::large(1, 0, 0).and_memory(1, 0).ready();
    meet(&world, |world| _ = world.touch(0, &[0]), |world| _ = world.touch(0, &[0]));
    world.check_at_rest(&[]);
}

fn written() {
    let world = World::large(2, 0, 1).and_memory(2, 1).ready();
    world.view_write(0, 1);
    meet(&world, |world| _ = world.migrate_view(0, 1), |world| world.view_write(1, 2));
    assert_eq!([world.view_value(0), world.view_value(1)], [Some(1), Some(2)]);
    assert!(
        [0, 1].map(|at| world.mapped(at)).iter().all(|m| m.unwrap().dirty),
        "an entry forgot it"
    );
    world.check_at_rest(&[]);
}

fn moved_at_once() {
    let world = World::large(2, 0, 0).and_memory(1, 0).ready();
    world.view_write(0, 1);
    meet(&world, |world| _ = world.migrate_view(0, 1), |world| _ = world.migrate_view(0, 1));
    assert_eq!(world.view_value(0), Some(1));
    world.check_at_rest(&[]);
}

fn given_back() {
    let world = World::large(2, 0, 0).and_memory(1, 0).ready();
    world.view_write(0, 1);
    meet(&world, |world| _ = world.migrate_view(0, 1), World::end_view);
    assert_eq!(world.mapped(0), None, "an entry of a view that has ended");
    world.check_at_rest(&[]);
}

/// The memory is given back, and its frame is in use again at once.
fn end_and_reuse(world: &World) {
    world.end_view();
    world.reuse();
}

/// A reader meets that.
fn used_again() {
    let world = World::large(1, 0, 0).and_memory(1, 0).ready();
    world.view_write(0, 1);
    meet(&world, end_and_reuse, |world| _ = world.view_read(0, &[1, 0]));
    world.check_at_rest(&[]);
}

fn overwritten() {
    let world = World::large(2, 0, 0).and_memory(1, 0).ready();
    world.view_write(0, 1);
    meet(&world, |world| _ = world.migrate_view(0, 1), |world| world.view_write(0, 2));
    assert_eq!(world.view_read(0, &[2]), 2);
    assert!(world.mapped(0).unwrap().dirty, "an entry forgot it");
    world.check_at_rest(&[]);
}

/// As [`used_again`], for a reader who gives up where the memory has been taken away.
fn peeked() {
    let world = World::large(1, 0, 0).and_memory(1, 0).ready();
    world.view_write(0, 1);
    meet(&world, end_and_reuse, |world| {
        let mut bytes = full(0);
        let memory = world.other();
        let read = read::optimistic_in_view(&world.core, memory, Vpn(0), 0, &mut bytes);
        reached(if read { "read" } else { "not read" });
        if read {
            value_of(&bytes, &[1]);
        }
    });
    world.check_at_rest(&[]);
}
