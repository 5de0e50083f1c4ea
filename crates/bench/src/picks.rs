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

/// A line of 64 bytes: its page, and its first byte in there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick {
    /// Which page.
    pub page: u32,
    /// Where in it.
    pub at: u32,
}

/// A thread's source of lines.
pub struct Draws<'p> {
    rng: Rng,
    picks: &'p Picks,
    at: usize,
}

impl<'p> Draws<'p> {
    /// Begins anywhere.
    pub fn new(picks: &'p Picks) -> Self {
        let mut rng = Rng::new();
        Self { at: rng.usize(..), rng, picks }
    }

    /// The next ones.
    pub fn fill(&mut self, lines: &mut [Pick]) {
        let (rng, at) = (&mut self.rng, &mut self.at);
        lines.fill_with(|| {
            let page = match self.picks {
                Picks::Uniform { pages } => rng.u32(..*pages as u32),
                Picks::Zipf(draws) => {
                    *at = at.wrapping_add(1);
                    draws[*at % DRAWS]
                }
            };
            Pick { page, at: rng.u32(..LINES) * 64 }
        });
    }
}

/// Lines in a page.
const LINES: u32 = PAGE_SIZE as u32 / 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many draws are of the hundred pages that are wanted the most.
    fn of_the_first_hundred(picks: &Picks, pages: u64) -> u32 {
        let mut lines = vec![Pick::default(); 200_000];
        Draws::new(picks).fill(&mut lines);
        let mut counts = vec![0; pages as usize];
        for line in lines {
            assert!(line.at.is_multiple_of(64) && line.at as usize + 64 <= PAGE_SIZE);
            counts[line.page as usize] += 1;
        }
        counts.sort_unstable();
        counts.iter().rev().take(100).sum()
    }

    #[test]
    fn zipf_wants_a_few_pages_often_and_uniform_all_alike() {
        let pages = 10_000;
        // The first 100 of 10,000 ranks have about 53 % of the weight.
        let often = of_the_first_hundred(&Picks::zipf(pages, 0.99), pages);
        assert!((90_000..125_000).contains(&often), "{often}");
        let often = of_the_first_hundred(&Picks::Uniform { pages }, pages);
        assert!(often < 6_000, "{often}");
    }
}
