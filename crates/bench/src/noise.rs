//! Measuring on a machine that is not ours alone.
//!
//! What is compared takes turns, so that a slower minute of the machine meets all of it. A
//! measurement is thrown away and made again when a thread of it did not run for more than 3 % of
//! the time (something else used its CPU, or the hypervisor did), or when more than 200 KB came from
//! a disk. Where threads wait for a device, they are asleep for most of the time; there it is
//! thrown away when others used more than 10 % of the machine. When there are not enough quiet ones,
//! the least disturbed one counts, and the table says so.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::error::Result;

/// How many measurements may be made for one that counts.
pub const TRIES: usize = 6;

/// What is a disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Lost time of busy threads, and reads from disks.
    Cpu,
    /// What others do with the machine's CPUs.
    Device,
}

/// Bytes that may come from a disk during a measurement.
const MAX_READ: u64 = 200 << 10;

impl Quiet {
    /// The part of the time that may be lost.
    pub fn most(self) -> f64 {
        if self == Self::Cpu { 0.03 } else { 0.10 }
    }

    /// Makes a measurement, and sees how disturbed it was.
    pub fn watch(self, measure: &mut dyn FnMut() -> Result<Timing>) -> Result<Timing> {
        let (start, read, others) = (Instant::now(), bytes_read(), others());
        let timing = measure()?;
        let lost = match self {
            Self::Cpu if bytes_read() - read > MAX_READ => 1.0,
            Self::Cpu => timing.lost,
            Self::Device => {
                let used = self::others().saturating_sub(others).as_secs_f64();
                used / start.elapsed().as_secs_f64() / crate::cpus::count() as f64
            }
        };
        Ok(Timing { lost, ..timing })
    }
}

/// How long an operation took, and how undisturbed it was.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Nanoseconds (or another unit) for each operation.
    pub each: f64,
    /// The part of the time in which the thread did not run.
    pub lost: f64,
}

impl Timing {
    /// A rate: so many per second, where `each` is the nanoseconds of one.
    pub fn rate(self, of_each: f64) -> Self {
        Self { each: of_each * 1e9 / self.each, ..self }
    }

    /// The processor time alone, of what sleeps now and then by itself: nothing of that is lost.
    pub fn of_processor(self) -> Self {
        Self { each: self.each * (1.0 - self.lost), lost: 0.0 }
    }

    /// With another time for an operation of this size.
    pub fn times(self, factor: f64) -> Self {
        Self { each: self.each * factor, ..self }
    }
}

/// A running measurement on this thread.
#[derive(Debug)]
pub struct Lap {
    start: Instant,
    cpu: Duration,
}

impl Lap {
    /// Begins.
    pub fn start() -> Self {
        Self { cpu: thread_cpu(), start: Instant::now() }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends after `operations`.
    pub fn stop(self, operations: u64) -> Timing {
        let wall = self.elapsed().as_secs_f64();
        let ran = (thread_cpu() - self.cpu).as_secs_f64();
        Timing { each: wall * 1e9 / operations.max(1) as f64, lost: (1.0 - ran / wall).max(0.0) }
    }

    /// Ends after `operations` that took `taken` of the time and never sleep: what of it the thread
    /// did not run is none of theirs.
    pub fn stop_busy(self, taken: Duration, operations: u64) -> Timing {
        let Timing { lost, .. } = self.stop(operations);
        Timing { each: taken.as_secs_f64() * 1e9 * (1.0 - lost) / operations as f64, lost }
    }
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Least, median and greatest.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these numbers; of none, NaN.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        Self { min: at(0), median: at(sorted.len() / 2), max: at(sorted.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", short(self.min), short(self.median), short(self.max))
    }
}

/// A number with three digits or so: `0.98`, `23.4`, `1,008`.
pub fn short(number: f64) -> String {
    let digits = match number.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.digits$}");
    let whole = text.trim_start_matches('-').find('.').unwrap_or(text.len());
    let mut shown = String::new();
    for (at, letter) in text.chars().enumerate() {
        let follows_digit = shown.ends_with(|last: char| last.is_ascii_digit());
        if at < whole && follows_digit && (whole - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(letter);
    }
    shown
}

/// Bytes that this process has had read from disks; 0 where the system does not say.
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// CPU time that other programs have used, and the hypervisor has taken.
fn others() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.map(|ticks| ticks.parse().unwrap_or(0)).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: interrupts are mostly our device's.
    let used: u64 = [0, 1, 2, 7].iter().filter_map(|at| ticks.get(*at)).sum();
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(used * 1000 / hertz).saturating_sub(process_cpu())
}

/// CPU time that this process has used.
pub fn process_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_short_and_has_its_thousands_marked() {
        for (number, text) in [
            (0.0, "0.00"),
            (0.984, "0.98"),
            (1.0, "1.00"),
            (23.44, "23.4"),
            (123.4, "123"),
            (1008.2, "1,008"),
            (1234567.0, "1,234,567"),
            (-12.34, "-12.3"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn a_spread_has_the_middle_one_of_its_numbers() {
        let spread = Spread::of([5.0, 1.0, 9.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 5.0, 9.0));
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn a_thread_that_sleeps_has_lost_its_time() {
        let lap = Lap::start();
        std::thread::sleep(Duration::from_millis(20));
        let timing = lap.stop(1);
        assert!(timing.lost > 0.5 && timing.each >= 20e6, "{timing:?}");
    }
}
