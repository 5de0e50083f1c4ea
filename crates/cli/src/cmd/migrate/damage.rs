//! Looks at the bytes of a page, and says what is wrong with them, in the words of the trade:
//! a lost write, a stale page, a foreign page, a torn page, a zeroed page.

use std::fmt;
use std::ops::RangeInclusive;

use super::stamp::{LINE, Stamp};

/// What a page must hold: the stamp of one of some generations.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The file's number in the run.
    pub subject: u32,
    /// The page's index.
    pub page: u64,
    /// The generations that are right.
    pub generations: RangeInclusive<u64>,
}

/// What is wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Zeroes where bytes were.
    Zeroed,
    /// Sound, but of another page, or of another place in the page.
    Foreign(Stamp),
    /// Of an older generation than was acknowledged: a lost write, or a stale page.
    Old {
        /// The generation found.
        found: u64,
    },
    /// Of a generation nobody has written yet.
    Unwritten {
        /// The generation found.
        found: u64,
    },
    /// Part of one generation, part of another.
    Torn {
        /// The generation of the first line.
        first: u64,
        /// The generation from the damage on.
        then: u64,
    },
    /// The bytes of this page of the same file, which is not one the run writes.
    Moved(u64),
    /// Other bytes than before the run.
    Changed,
    /// The file ends before this byte.
    Missing,
    /// The file goes on here, where it must end.
    Longer,
}

/// Damage, and where in the read it begins.
pub type Found = (Damage, usize);

/// Looks at whole lines of a page, the first of them number `first` of the page. The answer is
/// the generation they hold.
pub fn check(seed: u64, bytes: &[u8], first: usize, expected: &Expected) -> Result<u64, Found> {
    let mut generation = None;
    for (i, line) in bytes.chunks_exact(LINE).enumerate() {
        let Some((stamp, number)) = Stamp::read_line(seed, line) else {
            return Err((not_a_line(line), i * LINE));
        };
        let here = (stamp.subject, stamp.page, number);
        if here != (expected.subject, expected.page, first + i) {
            return Err((Damage::Foreign(stamp), i * LINE));
        }
        let first = *generation.get_or_insert(stamp.generation);
        if stamp.generation != first {
            return Err((Damage::Torn { first, then: stamp.generation }, i * LINE));
        }
    }
    let found = generation.unwrap_or(*expected.generations.start());
    if found < *expected.generations.start() {
        return Err((Damage::Old { found }, 0));
    }
    if found > *expected.generations.end() {
        return Err((Damage::Unwritten { found }, 0));
    }
    Ok(found)
}

/// Names bytes that are no line of the run.
pub fn not_a_line(bytes: &[u8]) -> Damage {
    if bytes.iter().all(|byte| *byte == 0) { Damage::Zeroed } else { Damage::Changed }
}

/// Where two runs of bytes begin to differ.
pub fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let common = a.iter().zip(b).position(|(a, b)| a != b);
    common.or_else(|| (a.len() != b.len()).then(|| a.len().min(b.len())))
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeroed => f.write_str("a zeroed page"),
            Self::Foreign(stamp) => write!(
                f,
                "a foreign page: bytes of page {} of file {}, generation {}",
                stamp.page, stamp.subject, stamp.generation
            ),
            Self::Old { found } => write!(f, "a lost write: generation {found} stands there"),
            Self::Unwritten { found } => {
                write!(f, "generation {found}, which nobody has written yet")
            }
            Self::Torn { first, then } => {
                write!(f, "a torn page: generation {first} at its start, {then} from here on")
            }
            Self::Moved(page) => write!(f, "a foreign page: the bytes of page {page} of this file"),
            Self::Changed => f.write_str("other bytes"),
            Self::Missing => f.write_str("the end of the file"),
            Self::Longer => f.write_str("more bytes, where the file must end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refolio::PAGE_SIZE;

    const SEED: u64 = 42;

    fn page(subject: u32, page: u64, generation: u64) -> [u8; PAGE_SIZE] {
        let mut bytes = [0; PAGE_SIZE];
        Stamp { subject, page, generation }.fill(SEED, &mut bytes);
        bytes
    }

    fn verdict(bytes: &[u8]) -> Result<u64, Found> {
        check(SEED, bytes, 0, &Expected { subject: 1, page: 10, generations: 4..=5 })
    }

    #[test]
    fn a_page_as_it_must_be() {
        assert_eq!(verdict(&page(1, 10, 4)), Ok(4));
        assert_eq!(verdict(&page(1, 10, 5)), Ok(5));
    }

    #[test]
    fn every_damage_has_its_name() {
        assert_eq!(verdict(&[0; PAGE_SIZE]), Err((Damage::Zeroed, 0)));
        assert_eq!(verdict(&page(1, 10, 3)), Err((Damage::Old { found: 3 }, 0)));
        assert_eq!(verdict(&page(1, 10, 6)), Err((Damage::Unwritten { found: 6 }, 0)));
        for (subject, index) in [(1, 11), (2, 10)] {
            let stamp = Stamp { subject, page: index, generation: 5 };
            assert_eq!(verdict(&page(subject, index, 5)), Err((Damage::Foreign(stamp), 0)));
        }
        let mut torn = page(1, 10, 5);
        torn[2048..].copy_from_slice(&page(1, 10, 4)[2048..]);
        assert_eq!(verdict(&torn), Err((Damage::Torn { first: 5, then: 4 }, 2048)));
    }

    #[test]
    fn one_planted_byte_is_found_at_its_line() {
        let mut bytes = page(1, 10, 5);
        bytes[1000] ^= 1;
        assert_eq!(verdict(&bytes), Err((Damage::Changed, 960)));
        assert_eq!(first_difference(&bytes, &page(1, 10, 5)), Some(1000));
    }

    #[test]
    fn a_line_from_elsewhere_in_the_page_is_foreign() {
        let mut bytes = page(1, 10, 5);
        bytes.copy_within(64..128, 0);
        let stamp = Stamp { subject: 1, page: 10, generation: 5 };
        assert_eq!(verdict(&bytes), Err((Damage::Foreign(stamp), 0)));
    }

    #[test]
    fn lengths_differ_too() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abc", b"ab"), Some(2));
        assert_eq!(first_difference(b"abc", b"axcd"), Some(1));
    }
}
