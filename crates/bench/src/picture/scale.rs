//! Where a figure stands in a drawing: what is twice as much is always as far away.

/// A logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    width: f64,
}

/// The axis is no shorter than this: else noise would look like a mountain.
const LEAST: f64 = 4.0;

impl Scale {
    /// For figures, on so many pixels. What is not above zero stands at the low end.
    pub fn new(figures: impl Iterator<Item = f64> + Clone, width: f64) -> Self {
        let figures = figures.filter(|figure| figure.is_finite() && *figure > 0.0);
        let low = figures.clone().fold(f64::INFINITY, f64::min);
        let high = figures.fold(0.0, f64::max);
        if high <= 0.0 {
            return Self { low: 1.0, high: LEAST, width };
        }
        let (low, high) = (low / 1.3, high * 1.1);
        let more = (LEAST / (high / low)).max(1.0).sqrt();
        Self { low: low / more, high: high * more, width }
    }

    /// Pixels from the low end.
    pub fn at(&self, figure: f64) -> f64 {
        let part = (figure.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.width * part.min(1.0)
    }

    /// Round numbers on it.
    pub fn ticks(&self) -> Vec<f64> {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        // Where there is room for it, some between the powers of ten.
        let steps: &[f64] = if last - first > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        (first..=last)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}
