//! Which generations of a block a reader may see.
//!
//! Each block has one writer, which counts its generations: `begun` before a write, `acknowledged`
//! after it. Whoever reads may see any generation from the last one acknowledged before the read
//! began to the newest begun; never a torn block, an older or a foreign one.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::record::decode;

/// How far each block has come.
pub struct Generations {
    begun: Vec<AtomicU64>,
    acknowledged: Vec<AtomicU64>,
}

impl Generations {
    pub fn new(blocks: usize) -> Self {
        let zeros = || (0..blocks).map(|_| AtomicU64::new(0)).collect();
        Self { begun: zeros(), acknowledged: zeros() }
    }

    /// A new generation of a block, by its writer.
    pub fn begin(&self, block: usize) -> u64 {
        self.begun[block].fetch_add(1, SeqCst) + 1
    }

    pub fn acknowledge(&self, block: usize, generation: u64) {
        self.acknowledged[block].store(generation, SeqCst);
    }

    pub fn acknowledged(&self, block: usize) -> u64 {
        self.acknowledged[block].load(SeqCst)
    }

    /// Checks bytes that were read while `acknowledged` was the oldest generation allowed.
    #[track_caller]
    pub fn check(&self, block: usize, acknowledged: u64, bytes: &[u8], how: &str) -> u64 {
        let generation = decode(block as u64, bytes).unwrap_or_else(|why| panic!("{how}: {why}"));
        let begun = self.begun[block].load(SeqCst);
        assert!(
            (acknowledged..=begun).contains(&generation),
            "{how}: block {block} is of generation {generation}, not {acknowledged} to {begun}"
        );
        generation
    }
}
