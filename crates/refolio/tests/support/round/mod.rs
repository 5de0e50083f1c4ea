//! A round: a cache of two or three nodes, so small that reclaim and migration always run, with a
//! few files and views, and what one thread does to them; after each operation its answer and all
//! pinned pages must be what plain vectors of bytes say, and at the end the books must balance.
//!
//! A round is read from a run of bytes ([`ops`]), so that random tests, fuzzers and their corpora
//! play the same rounds. Whoever includes this has the modules `bytes`, `done`, `rest` and `seed`.

mod guard;
mod moves;
mod ops;
mod play;
mod stage;
mod views;

use arbitrary::Unstructured;

pub use ops::{Op, Setup};
pub use play::play;

/// The round that some bytes mean: anything of everything.
pub fn of_cache(bytes: &[u8]) -> (Setup, Vec<Op>) {
    read(bytes, ops::setup, ops::op)
}

/// As [`of_cache`], of views of all kinds: what is mapped, faulted, written, copied, discarded and
/// moved there.
pub fn of_views(bytes: &[u8]) -> (Setup, Vec<Op>) {
    read(bytes, ops::setup_of_views, ops::op_of_views)
}

fn read(
    bytes: &[u8],
    setup: impl Fn(&mut Unstructured<'_>) -> arbitrary::Result<Setup>,
    op: impl Fn(&mut Unstructured<'_>) -> arbitrary::Result<Op>,
) -> (Setup, Vec<Op>) {
    const NEVER: &str = "bytes that have run out are zeros";
    let mut from = Unstructured::new(bytes);
    let setup = setup(&mut from).expect(NEVER);
    let mut ops = Vec::new();
    while !from.is_empty() {
        ops.push(op(&mut from).expect(NEVER));
    }
    (setup, ops)
}
