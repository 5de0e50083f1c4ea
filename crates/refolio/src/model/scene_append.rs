//! append × read: the length of a file is shown after the bytes up to it.

use super::search::Model;
use super::world::{World, first, full, meet};
use crate::ahead::Pattern;
use crate::folio::Use;
use crate::sync::reached;
use crate::units::PAGE_SIZE;
use crate::{read, truncate, write};

const HALF: usize = PAGE_SIZE / 2;

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(2),
    outcomes: &["longer", "shorter"],
    protections: &[("length-before-bytes", "zeros that were never there")],
    scenes: &[appending],
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

fn appending() {
    let world = World::new(1, 1);
    truncate::set_len(&world.core, &world.mapping, HALF as u64).unwrap();
    world.load(0);
    meet(
        &world,
        |world| {
            let mut bytes = [0; HALF];
            let at = HALF as u64;
            let len =
                read::from_file(&world.core, &world.mapping, &Pattern::default(), &mut bytes, at)
                    .unwrap();
            assert!(!bytes[..len].contains(&0), "zeros that were never there: {bytes:x?}");
            reached(if len > 0 { "longer" } else { "shorter" });
        },
        |world| {
            write::to_file(&world.core, &world.mapping, Use::Counts, &[2; HALF], HALF as u64)
                .unwrap()
        },
    );
    let mut page = full(first(0));
    page[HALF..].fill(2);
    world.check_at_rest(&[page]);
}
