//! Which CPU a thread runs on, and who has to wait for it.

use std::sync::LazyLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs this process was given, before any thread chose one of them.
static ALLOWED: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
});

/// How many CPUs this process may use.
pub fn count() -> usize {
    ALLOWED.len().max(1)
}

/// Runs `work` on a thread of its own on the n-th CPU, counted round.
pub fn on<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| join(scope.spawn(|| at(n, work))))
}

/// Runs `work` on this thread, on the n-th CPU from now on.
pub fn at<T>(n: usize, work: impl FnOnce() -> T) -> T {
    if let Some(cpu) = ALLOWED.get(n % count()) {
        let mut set = CpuSet::new();
        set.set(*cpu);
        // Without it the scheduler decides, which mostly is the same.
        let _ = sched_setaffinity(None, &set);
    }
    work()
}

/// What a thread came to; its panic is ours.
pub fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Looks which CPUs there are, and has other programs wait for us, if we may ask for that; whether
/// we may. Threads started later inherit it.
pub fn prepare() -> bool {
    let _ = count();
    rustix::process::setpriority_process(None, -20).is_ok()
}
