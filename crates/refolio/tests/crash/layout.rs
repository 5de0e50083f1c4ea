//! What is written where, and what may be found after a crash.
//!
//! First come **notes**, which lie anywhere: each is a third of a page, so that they meet in pages
//! and cross their boundaries. One writer writes them in random order, lap by lap. Behind them come
//! **blocks** of one sector each, which the other writers write in order, each its own, so that the
//! file grows at its end. Both are of a generation, which counts their writes.

use crate::record::{BLOCK, decode, encode};
use fastrand::Rng;

/// Writers of blocks; one more writes notes.
pub const BLOCK_WRITERS: usize = 2;
pub const WRITERS: usize = BLOCK_WRITERS + 1;

/// How many writes each writer has made.
pub type Counts = [u64; WRITERS];

const NOTES: usize = 700;
const NOTE: usize = 1365;

/// Block n is writer n % `BLOCK_WRITERS`'s.
const BLOCKS: usize = 2048;
const PREFILLED: usize = BLOCKS / 2;

/// Where the blocks begin, and where they end.
const MIDDLE: usize = (NOTES * NOTE).next_multiple_of(BLOCK);
pub const END: usize = MIDDLE + BLOCKS * BLOCK;

/// So many notes are written before a sync has acknowledged the first, and no more.
pub const NOTES_AHEAD: u64 = NOTES as u64;

/// What a file begins with: nothing, or no notes and half of the blocks.
pub fn beginning(seed: u64) -> Vec<u8> {
    if seed.is_multiple_of(2) {
        return Vec::new();
    }
    let blocks = (0..PREFILLED as u64).flat_map(|block| encode(block, 0, 0));
    std::iter::repeat_n(0, MIDDLE).chain(blocks).collect()
}

/// What a writer writes, one after the other: offset and bytes.
pub fn writes(seed: u64, writer: usize) -> Box<dyn Iterator<Item = (usize, Vec<u8>)>> {
    if writer == BLOCK_WRITERS {
        let laps = laps(seed).zip(1..);
        let notes =
            laps.flat_map(|(lap, generation)| lap.into_iter().map(move |n| (n, generation)));
        return Box::new(notes.map(|(at, generation)| (at * NOTE, note(at, generation))));
    }
    Box::new((0..).flat_map(move |lap| {
        (writer..BLOCKS).step_by(BLOCK_WRITERS).map(move |block| {
            (MIDDLE + block * BLOCK, encode(block as u64, lap + 1, writer as u64).to_vec())
        })
    }))
}

/// The order in which notes are written, lap by lap.
fn laps(seed: u64) -> impl Iterator<Item = Vec<usize>> {
    let mut rng = Rng::with_seed(seed);
    let mut all: Vec<_> = (0..NOTES).collect();
    std::iter::repeat_with(move || {
        rng.shuffle(&mut all);
        all.clone()
    })
}

/// What a note says: everything in it tells which one it is, and of which generation.
fn note(at: usize, generation: u64) -> Vec<u8> {
    let mut bytes = vec![0; NOTE];
    if generation > 0 {
        Rng::with_seed((at as u64) << 32 | generation).fill(&mut bytes);
    }
    bytes
}

/// The generation of each note after so many were written.
fn generations(seed: u64, written: u64) -> Vec<u64> {
    let (laps_done, more) = (written / NOTES as u64, (written % NOTES as u64) as usize);
    let mut generations = vec![laps_done; NOTES];
    let lap = laps(seed).nth(laps_done as usize).unwrap_or_default();
    lap.into_iter().take(more).for_each(|at| generations[at] += 1);
    generations
}

/// Everything is of a generation that was written, and of none older than what was acknowledged
/// before the crash. `later`: what had been acknowledged after it, at most.
pub fn check(mut bytes: Vec<u8>, seed: u64, acknowledged: &Counts, later: &Counts) {
    // What is missing was not there yet, like what is zeros.
    bytes.resize(END.max(bytes.len()), 0);
    let begun = beginning(seed).len();
    for block in 0..BLOCKS {
        let start = MIDDLE + block * BLOCK;
        let (own, before) = ((BLOCKS / BLOCK_WRITERS) as u64, (block / BLOCK_WRITERS) as u64);
        let oldest = acknowledged[block % BLOCK_WRITERS].saturating_sub(before).div_ceil(own);
        let found = &bytes[start..start + BLOCK];
        if oldest == 0 && start >= begun && found.iter().all(|byte| *byte == 0) {
            continue;
        }
        let generation = decode(block as u64, found).unwrap_or_else(|why| panic!("{why}"));
        assert!(generation >= oldest, "block {block}: {generation}, not {oldest} or newer");
    }
    let oldest = generations(seed, acknowledged[BLOCK_WRITERS]);
    let newest = generations(seed, later[BLOCK_WRITERS] + NOTES_AHEAD);
    for (at, (oldest, newest)) in oldest.into_iter().zip(newest).enumerate() {
        let may_be: Vec<_> = (oldest..=newest).map(|generation| note(at, generation)).collect();
        // Sector by sector: a note that lies in two may be of two generations.
        let (start, end) = (at * NOTE, (at + 1) * NOTE);
        let mut from = start;
        while from < end {
            let to = end.min((from / BLOCK + 1) * BLOCK);
            let is = |note: &Vec<u8>| note[from - start..to - start] == bytes[from..to];
            let some = may_be.iter().any(is);
            assert!(
                some,
                "note {at}: bytes {from} to {to} are of no generation {oldest}..={newest}"
            );
            from = to;
        }
    }
}
