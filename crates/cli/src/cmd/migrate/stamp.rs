//! What the pages of a sample, of anonymous memory and of every journalled write hold.
//!
//! A page is 64 lines of 64 bytes, and each line says of itself where it belongs:
//!
//! | word | holds |
//! |---|---|
//! | 0 | the number of the file, a magic number, the line's number in its page |
//! | 1 | the page's index |
//! | 2 | the generation: 0 as first made, then one more with every write of the page |
//! | 3–6 | a pattern made from the run's seed and all of the above |
//! | 7 | a checksum of words 0–6 and the seed |
//!
//! So a read of 64 bytes can be checked as well as one of a page, bytes in the wrong place say
//! where they come from, and a page whose lines differ in generation is torn.

/// Bytes in a line.
pub const LINE: usize = 64;

const MAGIC: u64 = 0x7EF0;

/// Whose bytes a page or a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file, by its number in the run.
    pub subject: u32,
    /// The page's index in it.
    pub page: u64,
    /// Which write of the page made it.
    pub generation: u64,
}

impl Stamp {
    /// The bytes of the page, as many as fit `into` (the last page of a file may be short).
    pub fn fill(self, seed: u64, into: &mut [u8]) {
        let pattern = mix(mix(mix(seed ^ u64::from(self.subject)) ^ self.page) ^ self.generation);
        for (number, bytes) in into.chunks_mut(LINE).enumerate() {
            let mut words = [0; 8];
            words[0] = u64::from(self.subject) << 32 | MAGIC << 16 | number as u64;
            words[1] = self.page;
            words[2] = self.generation;
            for (i, word) in words[3..7].iter_mut().enumerate() {
                *word = mix(pattern.wrapping_add((number * 4 + i) as u64));
            }
            words[7] = checksum(seed, &words[..7]);
            let mut line = [0; LINE];
            for (into, word) in line.chunks_exact_mut(8).zip(words) {
                into.copy_from_slice(&word.to_le_bytes());
            }
            bytes.copy_from_slice(&line[..bytes.len()]);
        }
    }

    /// Reads a whole line: whose it is, and its number in its page. None: no line of this run.
    pub fn read_line(seed: u64, line: &[u8]) -> Option<(Self, usize)> {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(line.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of 8"));
        }
        let sound = words[0] >> 16 & 0xFFFF == MAGIC && words[7] == checksum(seed, &words[..7]);
        let subject = (words[0] >> 32) as u32;
        let number = (words[0] & 0xFFFF) as usize;
        sound.then_some((Self { subject, page: words[1], generation: words[2] }, number))
    }
}

/// A checksum that any change within one word alters: each step is a bijection of the word.
fn checksum(seed: u64, words: &[u64]) -> u64 {
    words.iter().fold(seed, |sum, word| (sum ^ word).wrapping_mul(ODD).rotate_left(29))
}

/// A 64-bit hash of some bytes, for bytes that are not ours to choose. Any change within one
/// 8-byte word alters it.
pub fn hash(bytes: &[u8]) -> u64 {
    // Four lanes, because one would wait for its own multiplication at every word.
    let mut lanes = [1, 2, 3, 4u64];
    let mut chunks = bytes.chunks_exact(32);
    for chunk in &mut chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
            let word = u64::from_le_bytes(word.try_into().expect("chunks of 8"));
            *lane = checksum(*lane, &[word]);
        }
    }
    let rest = chunks.remainder().iter().map(|byte| u64::from(*byte));
    let sum =
        lanes.into_iter().chain(rest).fold(bytes.len() as u64, |sum, word| checksum(sum, &[word]));
    mix(sum)
}

const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A well-mixed bijection of 64-bit words.
pub fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 32).wrapping_mul(ODD);
    let word = (word ^ word >> 29).wrapping_mul(ODD);
    word ^ word >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use refolio::PAGE_SIZE;

    const STAMP: Stamp = Stamp { subject: 7, page: 1 << 40, generation: 3 };

    #[test]
    fn every_line_says_where_it_belongs() {
        let mut page = [0; PAGE_SIZE];
        STAMP.fill(9, &mut page);
        for (number, line) in page.chunks(LINE).enumerate() {
            assert_eq!(Stamp::read_line(9, line), Some((STAMP, number)));
            assert_eq!(Stamp::read_line(8, line), None, "another run's line was taken for ours");
        }
        let mut short = [0; 100];
        STAMP.fill(9, &mut short);
        assert_eq!(short, page[..100], "a short page is the beginning of the whole one");
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut page = [0; PAGE_SIZE];
        STAMP.fill(9, &mut page);
        let whole = hash(&page);
        for bit in 0..PAGE_SIZE * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            let line = bit / 8 / LINE;
            assert_eq!(Stamp::read_line(9, &page[line * LINE..][..LINE]), None, "bit {bit}");
            assert_ne!(hash(&page), whole, "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
        assert_ne!(hash(&page[..PAGE_SIZE - 1]), hash(&page[..PAGE_SIZE - 2]));
        assert_ne!(hash(&[0; 3]), hash(&[0; 4]));
    }
}
