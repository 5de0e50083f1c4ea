//! What a page of the suite says of itself: whose it is, and which write made it.
//!
//! A page is 64 lines of 64 bytes. Each line stands for itself, so that a part of a page can be
//! written and checked alone, and bytes in the wrong place say where they come from:
//!
//! | word | holds |
//! |---|---|
//! | 0 | the number of the file, a magic number, the line's number in its page |
//! | 1 | the page's index |
//! | 2 | the generation: the how-manieth write of this part of the page |
//! | 3 | the writer |
//! | 4–6 | a pattern made from the run's seed and all of the above |
//! | 7 | a checksum of the seed and words 0–6 |

use refolio::PAGE_SIZE;

/// Bytes in a line.
pub const LINE: usize = 64;

/// Lines in a page.
pub const LINES: usize = PAGE_SIZE / LINE;

const MAGIC: u64 = 0x50A6;

/// Which write of which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file's number in its case.
    pub file: u32,
    /// The page's index in the file.
    pub index: u64,
    /// 1 as the file was made, then one more with every write.
    pub generation: u64,
    /// Which actor of the case wrote it; 0: whoever made the file.
    pub writer: u32,
}

/// What some lines of a page hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing but zeros.
    Zeros,
    /// One write, whole, with each line in its place.
    Whole(Stamp),
    /// A sound line that belongs elsewhere in its page.
    Misplaced(Stamp),
    /// One write up to a line, and another one (None: zeros) from there on.
    Torn {
        /// What the first line holds.
        first: Option<Stamp>,
        /// What that line holds.
        then: Option<Stamp>,
        /// Its number.
        line: usize,
    },
    /// A line that nobody has written.
    Garbled {
        /// Its number.
        line: usize,
    },
}

impl Stamp {
    /// The bytes of lines `first` and following.
    pub fn fill(self, seed: u64, first: usize, into: &mut [u8]) {
        for (number, line) in (first..).zip(into.chunks_exact_mut(LINE)) {
            for (bytes, word) in line.chunks_exact_mut(8).zip(self.words(seed, number)) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    fn words(self, seed: u64, number: usize) -> [u64; 8] {
        let Self { file, index, generation, writer } = self;
        let head = u64::from(file) << 32 | MAGIC << 16 | number as u64;
        let mut words = [head, index, generation, writer.into(), 0, 0, 0, 0];
        let mut pattern = checksum(seed, &words[..4]);
        for word in &mut words[4..7] {
            pattern = mix(pattern);
            *word = pattern;
        }
        words[7] = checksum(seed, &words[..7]);
        words
    }

    /// What a line says, with its number; None when its checksum is wrong.
    fn of_line(seed: u64, line: &[u8]) -> Option<(Self, usize)> {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(line.chunks_exact(8)) {
            *word = bytes.iter().rfold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        let sound = words[7] == checksum(seed, &words[..7]) && words[0] >> 16 & 0xFFFF == MAGIC;
        let [head, index, generation, writer, ..] = words;
        let stamp = Self { file: (head >> 32) as u32, index, generation, writer: writer as u32 };
        sound.then_some((stamp, (head & 0xFFFF) as usize))
    }
}

impl Content {
    /// Looks at whole lines of a page, the first of which is number `first`.
    pub fn of(seed: u64, first: usize, bytes: &[u8]) -> Self {
        let mut before = None;
        for (number, line) in (first..).zip(bytes.chunks_exact(LINE)) {
            let here = match Stamp::of_line(seed, line) {
                Some((stamp, at)) if at == number => Some(stamp),
                Some((stamp, _)) => return Self::Misplaced(stamp),
                None if line.iter().all(|byte| *byte == 0) => None,
                None => return Self::Garbled { line: number },
            };
            let first = *before.get_or_insert(here);
            if first != here {
                return Self::Torn { first, then: here, line: number };
            }
        }
        before.flatten().map_or(Self::Zeros, Self::Whole)
    }
}

/// A checksum that every change of a word alters.
fn checksum(seed: u64, words: &[u64]) -> u64 {
    words.iter().fold(mix(seed), |sum, word| mix(sum ^ word))
}

/// A bijection of 64-bit words that mixes well (splitmix64's).
pub fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { file: 3, index: 1 << 40, generation: 9, writer: 2 };

    fn page(stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0; PAGE_SIZE];
        stamp.fill(1, 0, &mut bytes);
        bytes
    }

    #[test]
    fn a_page_and_a_part_of_it_say_whose_they_are() {
        let bytes = page(STAMP);
        assert_eq!(Content::of(1, 0, &bytes), Content::Whole(STAMP));
        assert_eq!(Content::of(1, 32, &bytes[PAGE_SIZE / 2..]), Content::Whole(STAMP));
        assert_eq!(Content::of(2, 0, &bytes), Content::Garbled { line: 0 }, "another run's");
        assert_eq!(Content::of(1, 0, &[0; PAGE_SIZE]), Content::Zeros);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut bytes = page(STAMP);
        for bit in 0..PAGE_SIZE * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Content::of(1, 0, &bytes), Content::Garbled { line: bit / 8 / LINE });
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn mixtures_and_shifts_are_seen_where_they_begin() {
        let newer = Stamp { generation: 10, ..STAMP };
        let mut bytes = page(STAMP);
        bytes[5 * LINE..].copy_from_slice(&page(newer)[5 * LINE..]);
        let torn = Content::Torn { first: Some(STAMP), then: Some(newer), line: 5 };
        assert_eq!(Content::of(1, 0, &bytes), torn);
        bytes[5 * LINE..].fill(0);
        let torn = Content::Torn { first: Some(STAMP), then: None, line: 5 };
        assert_eq!(Content::of(1, 0, &bytes), torn);
        let mut bytes = page(STAMP);
        bytes.rotate_left(LINE);
        assert_eq!(Content::of(1, 0, &bytes), Content::Misplaced(STAMP));
    }
}
