//! Errors of writeback, each reported once to every handle that must know.
//!
//! Writeback fails on a thread that nobody asked; the ones to tell are the holders of the file, at
//! their next `sync`. A handle remembers the last error it has seen; `sync` reports a newer one,
//! once. A handle that is opened later does not hear of errors somebody has heard of, and does hear
//! of one that nobody has.

use std::io;

use crate::sync::Relaxed;
use crate::sync::plain::{self, AtomicU64, Mutex, MutexGuard};

#[derive(Debug, Hash)]
struct Last {
    /// Errors so far.
    count: u64,
    /// Of those, how many some handle has reported.
    seen: u64,
    kind: io::ErrorKind,
    os: Option<i32>,
}

/// The newest error of a file's writeback.
#[doc(alias = "errseq_t")]
#[derive(Debug)]
pub(crate) struct ErrorSequence(Mutex<Last>);

/// What a handle has seen of it.
#[derive(Debug)]
pub(crate) struct Seen(AtomicU64);

impl ErrorSequence {
    pub fn new() -> Self {
        Self(Mutex::new(Last { count: 0, seen: 0, kind: io::ErrorKind::Other, os: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        plain::lock(&self.0)
    }

    /// Notes a failure.
    #[doc(alias = "errseq_set")]
    pub fn record(&self, error: &io::Error) {
        let mut last = self.lock();
        last.count += 1;
        last.kind = error.kind();
        last.os = error.raw_os_error();
    }

    /// What a new handle begins with.
    #[doc(alias = "errseq_sample")]
    pub fn sample(&self) -> Seen {
        Seen(AtomicU64::new(self.lock().seen))
    }

    /// The newest error that this handle has not reported; it has afterwards.
    #[doc(alias = "errseq_check_and_advance")]
    pub fn check(&self, handle: &Seen) -> Option<io::Error> {
        let mut last = self.lock();
        // Relaxed: under the lock.
        if handle.0.load(Relaxed) == last.count {
            return None;
        }
        handle.0.store(last.count, Relaxed);
        last.seen = last.count;
        Some(last.os.map_or_else(|| last.kind.into(), io::Error::from_raw_os_error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(errors: &ErrorSequence) {
        errors.record(&io::Error::from_raw_os_error(28));
    }

    #[test]
    fn every_open_handle_reports_an_error_once() {
        let errors = ErrorSequence::new();
        let (a, b) = (errors.sample(), errors.sample());
        failed(&errors);
        assert_eq!(errors.check(&a).unwrap().raw_os_error(), Some(28));
        assert!(errors.check(&a).is_none());
        assert!(errors.check(&b).is_some());
        assert!(errors.check(&b).is_none());
    }

    #[test]
    fn a_later_handle_hears_of_an_error_that_nobody_reported() {
        let errors = ErrorSequence::new();
        failed(&errors);
        assert!(errors.check(&errors.sample()).is_some());
        assert!(errors.check(&errors.sample()).is_none());
    }
}
