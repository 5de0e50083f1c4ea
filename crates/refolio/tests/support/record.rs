//! Records that describe themselves, so that any reader can tell whether it reads what was written.
//!
//! A block of 512 bytes: which block it is, its generation, who wrote it, filler that follows from
//! those, and a checksum.

/// Bytes of a block; a whole number of them makes a page.
pub const BLOCK: usize = 512;

const HEADER: usize = 24;

fn filler(block: u64, generation: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(block.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ generation)
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<8>().0.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
    })
}

/// The bytes of a block.
pub fn encode(block: u64, generation: u64, writer: u64) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    filler(block, generation).fill(&mut bytes);
    bytes[..8].copy_from_slice(&block.to_le_bytes());
    bytes[8..16].copy_from_slice(&generation.to_le_bytes());
    bytes[16..HEADER].copy_from_slice(&writer.to_le_bytes());
    let sum = checksum(&bytes[..BLOCK - 8]);
    bytes[BLOCK - 8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The generation of a block, if the bytes are one whole write of it.
pub fn decode(block: u64, bytes: &[u8]) -> Result<u64, String> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (found, generation, writer) = (word(0), word(8), word(16));
    if encode(found, generation, writer) == bytes {
        return match found == block {
            true => Ok(generation),
            false => Err(format!("block {block} holds block {found}, generation {generation}")),
        };
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(format!("block {block} is zeros"));
    }
    let other = encode(block, generation, writer);
    let same = other.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(format!("block {block} is torn: generation {generation} by {writer} for {same} bytes"))
}
