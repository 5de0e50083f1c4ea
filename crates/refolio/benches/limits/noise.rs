//! Measuring on a machine that is not ours alone.
//!
//! What is compared is measured in turn, within one repetition, so that a slower minute of the
//! machine meets both. A repetition is thrown away when a thread of it did not run for more than
//! 3 % of the time (something else used its CPU, or the hypervisor did), or when more than 200 KB
//! came from a disk. When there are not enough quiet ones, the least disturbed ones of the rest are
//! taken, and the column "rejected" shows how it was.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The part of its time that a thread may lose.
const MAX_LOST: f64 = 0.03;

/// Bytes that may come from a disk during a repetition.
const MAX_READ: u64 = 200 << 10;

/// How many repetitions may be tried for each one that is wanted.
const TRIES: usize = 12;

/// How long an operation took, and how undisturbed it was.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Nanoseconds (or another unit) for each operation.
    pub each: f64,
    /// The part of the time in which the thread did not run.
    pub lost: f64,
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
        Timing { each: wall * 1e9 / operations as f64, lost: (1.0 - ran / wall).max(0.0) }
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
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    min: f64,
    pub median: f64,
    max: f64,
}

impl Spread {
    /// Of these numbers, of which there is one at least.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
        Self { min, median: sorted[sorted.len() / 2], max }
    }

    /// As an object.
    pub fn json(&self) -> String {
        let Self { min, median, max } = self;
        format!("{{\"min\":{min:.2},\"median\":{median:.2},\"max\":{max:.2}}}")
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 1000.0 { 1 } else { 0 };
        write!(f, "{:.digits$}/{:.digits$}/{:.digits$}", self.min, self.median, self.max)
    }
}

/// The repetitions that count.
#[derive(Debug)]
pub struct Reps {
    reps: Vec<Vec<f64>>,
    /// How many did not count.
    pub rejected: usize,
}

impl Reps {
    /// Of one of the things that were measured.
    pub fn spread(&self, at: usize) -> Spread {
        Spread::of(self.reps.iter().map(|rep| rep[at]))
    }

    /// The median of the ratios of two of them.
    pub fn ratio(&self, of: usize, to: usize) -> f64 {
        Spread::of(self.reps.iter().map(|rep| rep[of] / rep[to])).median
    }

    /// The one with the least median, among those of a range.
    pub fn best(&self, among: std::ops::Range<usize>) -> usize {
        let by = |a: &usize, b: &usize| self.spread(*a).median.total_cmp(&self.spread(*b).median);
        among.min_by(by).unwrap_or_default()
    }
}

/// Repeats `rep` until `wanted` repetitions were quiet. It measures the same things each time.
pub fn repeat(wanted: usize, mut rep: impl FnMut() -> Vec<Timing>) -> Reps {
    let mut all: Vec<(f64, Vec<f64>)> = Vec::new();
    let quiet = |all: &[(f64, Vec<f64>)]| all.iter().filter(|(lost, _)| *lost <= MAX_LOST).count();
    while quiet(&all) < wanted && all.len() < wanted * TRIES {
        let read = bytes_read();
        let timings = rep();
        let disk = if bytes_read() - read > MAX_READ { 1.0 } else { 0.0 };
        let lost = timings.iter().map(|timing| timing.lost).fold(disk, f64::max);
        all.push((lost, timings.iter().map(|timing| timing.each).collect()));
    }
    let rejected = all.len() - quiet(&all);
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.truncate(wanted);
    Reps { reps: all.into_iter().map(|(_, each)| each).collect(), rejected }
}

/// Bytes that this process has had read from disks; 0 where the system does not say.
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Other programs shall wait for us, if we may ask for that. Threads started later inherit it.
pub fn ask_for_priority() {
    if rustix::process::setpriority_process(None, -20).is_err() {
        eprintln!("limits: not allowed to raise the priority; more repetitions may be rejected");
    }
}

/// Keeps this thread on one CPU, if there is that one.
pub fn stay_on(cpu: usize) {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(cpu);
    // Without it the scheduler decides, which mostly is the same.
    let _ = rustix::thread::sched_setaffinity(None, &cpus);
}
