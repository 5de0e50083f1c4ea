//! truncate × fill × read: what is read in while the file is cut has zeros behind the new end;
//! nobody gets them for bytes of the file.

use super::search::Model;
use super::world::{World, first, meet};
use crate::ahead::Pattern;
use crate::sync::reached;
use crate::units::PAGE_SIZE;
use crate::{read, truncate};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &[
        "nothing read",
        "all read",
        "a part read",
        "no such page",
        "read with a reference",
        "slept",
    ],
    protections: &[
        ("fill-beyond-the-end", "behind the end"),
        ("read-beyond-the-reach", "zeros that were never there"),
        ("stored-relaxed", "zeros that were never there"),
        ("stored-load-relaxed", "zeros that were never there"),
        ("reach-left-behind", "as far as the file goes"),
    ],
    scenes: &[whole, half, pinned],
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

fn whole() {
    let world = World::new(1, 1);
    meet(&world, |world| world.resize(0), read);
    world.check_at_rest(&[]);
}

fn half() {
    let world = World::new(1, 1);
    meet(
        &world,
        |world| truncate::set_len(&world.core, &world.mapping, PAGE_SIZE as u64 / 2).unwrap(),
        read,
    );
}

fn pinned() {
    let world = World::new(1, 1);
    meet(
        &world,
        |world| world.resize(0),
        |world| {
            if let Some(pin) = world.page(0) {
                check(pin.bytes());
            }
        },
    );
    world.check_at_rest(&[]);
}

fn read(world: &World) {
    let mut bytes = [0; PAGE_SIZE];
    let len =
        read::from_file(&world.core, &world.mapping, &Pattern::default(), &mut bytes, 0).unwrap();
    check(&bytes[..len]);
}

fn check(bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| *byte == first(0)), "zeros that were never there: {bytes:x?}");
    reached(match bytes.len() {
        0 => "nothing read",
        PAGE_SIZE => "all read",
        _ => "a part read",
    });
}
