//! Nobody may wait for ever. A thread that is stuck in the engine (on a migration entry that was
//! left behind, say) cannot be ended from outside, so the whole program is.
//!
//! Every thread has a [`Beat`], which it moves before each call that may wait. A thread of the
//! watchdog's looks at all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a call may take. Slow disks are slow, but not that slow.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What one thread shows of itself: a number that grows, odd while it works. On a cache line of
/// its own, because it moves with every operation.
#[derive(Debug)]
#[repr(align(128))]
pub struct Beat {
    name: String,
    count: AtomicU64,
}

/// A thread at work: it shows so before each call that may wait, and rests again when this is
/// dropped.
#[derive(Debug)]
pub struct Work<'b>(&'b Beat);

impl Beat {
    /// Work begins; the first call that may wait is about to be made.
    pub fn start(&self) -> Work<'_> {
        self.add(1);
        Work(self)
    }

    fn add(&self, steps: u64) {
        // Relaxed, here and below: nothing is read because of the count. Only the beat's own thread
        // moves it, so there is no need for one indivisible step.
        self.count.store(self.count.load(Ordering::Relaxed) + steps, Ordering::Relaxed);
    }
}

impl Work<'_> {
    /// The next call that may wait is about to be made.
    pub fn goes_on(&self) {
        self.0.add(2);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.add(1);
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches threads with these names; `stuck` is called with the name of one whose beat has not
    /// moved for `limit`.
    pub fn new(
        names: impl IntoIterator<Item = String>,
        limit: Duration,
        stuck: impl Fn(&str) + Send + 'static,
    ) -> (Self, Arc<[Beat]>) {
        let beats: Arc<[Beat]> =
            names.into_iter().map(|name| Beat { name, count: AtomicU64::new(0) }).collect();
        let (end, ended) = channel();
        let watched = beats.clone();
        let thread = std::thread::spawn(move || watch(&watched, limit, &ended, &stuck));
        (Self { end: Some(end), thread: Some(thread) }, beats)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.end = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(beats: &[Beat], limit: Duration, ended: &Receiver<()>, stuck: &dyn Fn(&str)) {
    let mut seen: Vec<_> = beats.iter().map(|_| (0, Instant::now())).collect();
    while ended.recv_timeout(limit / 8) == Err(RecvTimeoutError::Timeout) {
        for (beat, (count, since)) in beats.iter().zip(&mut seen) {
            let now = beat.count.load(Ordering::Relaxed);
            if now != *count || now % 2 == 0 {
                (*count, *since) = (now, Instant::now());
            } else if since.elapsed() >= limit {
                stuck(&beat.name);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(400);

    /// Who is found stuck, of one thread that works, one that has stopped, and one that may hang.
    fn found(hangs: bool) -> Vec<String> {
        let (tell, told) = channel();
        let names = ["busy", "resting", "third"].map(String::from);
        let (watchdog, beats) = Watchdog::new(names, SHORT, move |name| {
            let _ = tell.send(name.to_owned());
        });
        let busy = beats[0].start();
        drop(beats[1].start());
        let third = beats[2].start();
        let start = Instant::now();
        while start.elapsed() < 3 * SHORT {
            busy.goes_on();
            if !hangs {
                third.goes_on();
            }
            std::thread::sleep(SHORT / 100);
        }
        drop(watchdog);
        told.iter().collect()
    }

    #[test]
    fn only_who_stands_still_at_work_is_stuck() {
        assert!(found(false).is_empty());
        assert_eq!(found(true), ["third"]);
    }
}
