//! Which page is next: uniform, or Zipf.

use std::sync::Arc;

use fastrand::Rng;
use refolio::PAGE_SIZE;

/// Which pages are wanted how often.
#[derive(Clone, Debug)]
pub enum Picks {
    /// Each as often as any other.
    Uniform {
        /// How many pages there are.
        pages: u64,
    },
    /// A few of them often, most of them hardly ever: drawn ahead, because drawing takes longer than
    /// a read.
    Zipf(Arc<[u32]>),
}

/// Draws of [`Picks::Zipf`]: a power of two.
const DRAWS: usize = 1 << 20;

impl Picks {
    /// The page of rank n is wanted n^-theta times as often as the first one; the ranks are
    /// scattered over the pages.
    pub fn zipf(pages: u64, theta: f64) -> Self {
        let mut rng = Rng::with_seed(3);
        let mut scattered: Vec<u32> = (0..pages as u32).collect();
        rng.shuffle(&mut scattered);
        let mut sum = 0.0;
        let up_to = |rank: u64| {
            sum += (rank as f64).powf(-theta);
            sum
        };
        let sums: Vec<f64> = (1..=pages).map(up_to).collect();
        let all = sums.last().copied().unwrap_or(1.0);
        let draw = |_| {
            let at = rng.f64() * all;
            let rank = sums.partition_point(|sum| *sum < at);
            scattered[rank.min(scattered.len() - 1)]
        };
        Self::Zipf((0..DRAWS).map(draw).collect())
    }

    /// For titles.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Uniform { .. } => "uniform",
            Self::Zipf(_) => "Zipf 0.99",
        }
    }
}

/// A thread's next line of 64 bytes: its page, and its first byte in there. It depends on `found`,
/// as far as whoever measures wants to wait for that.
pub trait Next {
    /// Draws.
    fn next(&mut self, found: u64) -> (u64, usize);
}

/// Of [`Picks::Uniform`].
pub struct Uniform {
    rng: Rng,
    pages: u64,
}

impl Uniform {
    /// From a seed of its own.
    pub fn new(pages: u64) -> Self {
        Self { rng: Rng::new(), pages }
    }
}

impl Next for Uniform {
    #[inline(always)]
    fn next(&mut self, found: u64) -> (u64, usize) {
        let random = self.rng.u64(..) ^ (found >> 63);
        (((random >> 32) * self.pages) >> 32, line_in_page(random))
    }
}

/// Of [`Picks::Zipf`].
pub struct Zipf<'d> {
    rng: Rng,
    draws: &'d [u32],
    at: usize,
}

impl<'d> Zipf<'d> {
    /// Begins anywhere.
    pub fn new(draws: &'d [u32]) -> Self {
        let mut rng = Rng::new();
        Self { at: rng.usize(..), rng, draws }
    }
}

impl Next for Zipf<'_> {
    #[inline(always)]
    fn next(&mut self, found: u64) -> (u64, usize) {
        self.at = self.at.wrapping_add(1);
        let random = self.rng.u64(..) ^ (found >> 63);
        (u64::from(self.draws[self.at % DRAWS]), line_in_page(random))
    }
}

#[inline(always)]
fn line_in_page(random: u64) -> usize {
    random as usize % (PAGE_SIZE / 64) * 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_wants_a_few_pages_often_and_uniform_all_alike() {
        let pages = 10_000;
        let count = |next: &mut dyn FnMut() -> u64| {
            let mut counts = vec![0u32; pages as usize];
            (0..200_000).for_each(|_| counts[next() as usize] += 1);
            counts.sort_unstable();
            counts.iter().rev().take(100).sum::<u32>()
        };
        let Picks::Zipf(draws) = Picks::zipf(pages, 0.99) else { unreachable!() };
        let mut zipf = Zipf::new(&draws);
        // The first 100 of 10,000 ranks have about 53 % of the weight.
        let often = count(&mut || zipf.next(0).0);
        assert!((90_000..125_000).contains(&often), "{often}");
        let mut uniform = Uniform::new(pages);
        let often = count(&mut || uniform.next(0).0);
        assert!(often < 6_000, "{often}");
    }

    #[test]
    fn lines_lie_in_their_page() {
        let mut uniform = Uniform::new(3);
        for n in 0..1000u64 {
            let (page, at) = uniform.next(n << 60);
            assert!(page < 3 && at.is_multiple_of(64) && at + 64 <= PAGE_SIZE);
        }
    }
}
