//! What must not depend on how long a run goes on: memory, and the longest stall. (Bytes and
//! counters are judged in every run.)

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use serde::Serialize;

use super::findings::Findings;
use crate::{size, text};

/// What an allocator may keep for itself, a leak may not.
const GROWTH: u64 = 16 << 20;

/// No read and no pin may take longer.
const STALL: Duration = Duration::from_secs(1);

/// What the program took of memory, in bytes that are resident.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// When a quarter of the time was over; None: it is not yet.
    pub early: Option<u64>,
    /// At the end of the last round.
    pub end: u64,
}

impl Memory {
    /// Looks, at the end of a round; `warm` once a quarter of the time is over.
    pub fn look(&mut self, warm: bool) {
        self.end = resident();
        if warm {
            self.early.get_or_insert(self.end);
        }
    }

    /// By how much it has grown since a quarter of the time was over.
    pub fn growth(&self) -> Option<u64> {
        self.early.map(|early| self.end.saturating_sub(early))
    }
}

/// Pages that are resident, as the kernel counts them; 0 where it does not say.
fn resident() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = counts.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Says what a soak must not show: memory that grows, beyond what the `nodes` may still take of
/// their own; a read that stalls.
pub fn judge(memory: &Memory, nodes: u64, stall: Duration, findings: &Findings) {
    if let Memory { early: Some(early), end } = *memory
        && end > early.max(nodes) + GROWTH
    {
        let (early, end) = (size::show(early), size::show(end));
        let cause = format!("{early} after a quarter of the time, {end} at the end");
        findings.failed("memory has grown", &cause);
    }
    if stall > STALL {
        let (stall, most) = (text::time(stall.as_nanos() as u64), text::time(1_000_000_000));
        let cause = format!("{stall}, of which none was for a processor ({most} at most)");
        findings.failed("a read or a pin stalled", &cause);
    }
}

/// How long a thread has waited for a processor, as the kernel counts it.
#[derive(Debug)]
pub struct RunQueue {
    count: Option<File>,
    seen: Duration,
    operations: u32,
}

/// Only of operations that take longer is it asked how long they waited for a processor …
const LONG: Duration = Duration::from_millis(1);

/// … and one in so many others, so that little of what was waited before is taken for theirs.
const OFTEN: u32 = 256;

impl RunQueue {
    /// Of the thread that calls, and is to ask. Where the kernel does not count, nobody waits.
    pub fn of_this_thread() -> Self {
        let count = File::open("/proc/thread-self/schedstat").ok();
        let mut this = Self { count, seen: Duration::ZERO, operations: 0 };
        this.seen = this.waited();
        this
    }

    /// How much of an operation that has just taken `took` was a wait for a processor.
    pub fn share(&mut self, took: Duration) -> Duration {
        self.operations = self.operations.wrapping_add(1);
        if took < LONG && !self.operations.is_multiple_of(OFTEN) {
            return Duration::ZERO;
        }
        let waited = self.waited();
        let since = waited.saturating_sub(std::mem::replace(&mut self.seen, waited));
        since.min(took)
    }

    /// Since the thread began. The line says: nanoseconds on a processor, waiting for one, turns.
    fn waited(&self) -> Duration {
        let mut line = [0; 80];
        let len = self.count.as_ref().and_then(|count| count.read_at(&mut line, 0).ok());
        let line = std::str::from_utf8(&line[..len.unwrap_or(0)]).unwrap_or_default();
        let waiting = line.split(' ').nth(1).and_then(|ns| ns.parse().ok());
        Duration::from_nanos(waiting.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// What is said of a soak, in nodes of 64 MiB.
    fn said(early: impl Into<Option<u64>>, end: u64, stall: Duration) -> Vec<String> {
        let findings = Findings::new(vec![]);
        let memory = Memory { early: early.into().map(|mib| mib << 20), end: end << 20 };
        judge(&memory, 64 << 20, stall, &findings);
        findings.trouble()
    }

    #[test]
    fn memory_that_grows_and_a_long_stall_are_told() {
        assert!(said(90, 106, STALL).is_empty());
        assert!(said(20, 80, STALL).is_empty(), "frames that were not used until then");
        assert!(said(None, 200, STALL).is_empty(), "stopped before it could be told");
        let grown = said(90, 107, STALL);
        assert_eq!(
            grown,
            ["memory has grown: 90 MiB after a quarter of the time, 107 MiB at the end"]
        );
        let stalled = said(90, 90, STALL + Duration::from_millis(200));
        assert_eq!(stalled.len(), 1);
        assert!(stalled[0].starts_with("a read or a pin stalled: 1.20 s"), "{stalled:?}");
    }

    #[test]
    fn memory_is_that_of_this_process() {
        let mut memory = Memory::default();
        memory.look(false);
        assert!(memory.end > 1 << 20 && memory.growth().is_none());
        memory.look(true);
        let taken = vec![1u8; 256 << 20];
        memory.look(true);
        assert!(memory.growth() > Some(128 << 20), "{memory:?}");
        drop(std::hint::black_box(taken));
    }

    #[test]
    fn only_waits_for_a_processor_are_taken_off() {
        let mut queue = RunQueue::of_this_thread();
        assert!(queue.count.is_some(), "this kernel counts");
        // Asleep is not waiting for a processor, unless there is none when it wakes.
        let long = Duration::from_millis(300);
        let mut asleep = (0..10).map(|_| {
            std::thread::sleep(long);
            queue.share(long)
        });
        assert!(asleep.any(|waited| waited < long / 2));
        // Several times as many threads as processors: each waits most of the time.
        let threads = 8 * std::thread::available_parallelism().map_or(1, usize::from);
        let wait = || {
            let mut queue = RunQueue::of_this_thread();
            let start = Instant::now();
            while start.elapsed() < long {}
            queue.share(start.elapsed())
        };
        let waited: Duration = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(wait)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(waited > long, "{waited:?}");
    }
}
