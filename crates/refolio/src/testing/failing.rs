//! A store that fails.

use super::Call;
use crate::frame::FillBuf;
use crate::store::Store;
use crate::sync::Mutex;
use std::fmt;
use std::io::{self, IoSlice};

/// A store that fails, or moves fewer bytes than asked, when told to, and counts its calls.
///
/// ```
/// use refolio::testing::{Call, FailingStore};
/// use refolio::{FillBuf, MemStore, Store};
/// use std::io::IoSlice;
///
/// const ENOSPC: i32 = 28;
/// let store = FailingStore::new(MemStore::new());
/// store.fail_nth(&[Call::Write], 2, ENOSPC);
/// let write = |at| store.write(at, &[IoSlice::new(b"abcd")]);
/// assert_eq!(write(0).unwrap(), 4);
/// assert_eq!(write(4).unwrap_err().raw_os_error(), Some(ENOSPC));
/// assert_eq!(write(4).unwrap(), 4);
///
/// store.shorten(&[Call::Read], 3);
/// assert_eq!(store.read(0, &mut FillBuf::over(&mut [0; 8])).unwrap(), 3);
/// assert_eq!((store.calls(Call::Write), store.calls(Call::Read)), (3, 1));
/// ```
pub struct FailingStore<S> {
    inner: S,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    counts: [u64; Call::ALL.len()],
    failures: [u64; Call::ALL.len()],
    rules: Vec<Rule>,
}

struct Rule {
    calls: Vec<Call>,
    /// How many calls are still to come before it strikes; None: it has struck.
    countdown: Option<u64>,
    for_ever: bool,
    effect: Effect,
}

#[derive(Clone, Copy)]
enum Effect {
    Fail { errno: i32 },
    Shorten { at_most: usize },
}

impl<S: Store> FailingStore<S> {
    /// A store that does what `inner` does, until told otherwise.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// From now on the `nth` of these calls, counted together from 1, fails with the number `errno`
    /// of an operating system's error. It does not reach the store inside.
    pub fn fail_nth(&self, calls: &[Call], nth: u64, errno: i32) {
        self.add(calls, nth, false, Effect::Fail { errno });
    }

    /// As [`fail_nth`](Self::fail_nth), and so do all of these calls that follow.
    pub fn fail_from(&self, calls: &[Call], nth: u64, errno: i32) {
        self.add(calls, nth, true, Effect::Fail { errno });
    }

    /// From now on reads, or writes, or both, move at most so many bytes. (The other calls move
    /// none.) A store whose reads move 0 claims to end there.
    pub fn shorten(&self, calls: &[Call], at_most: usize) {
        self.add(calls, 1, true, Effect::Shorten { at_most });
    }

    /// As [`shorten`](Self::shorten), but only the `nth` of these calls, counted together from 1.
    pub fn shorten_nth(&self, calls: &[Call], nth: u64, at_most: usize) {
        self.add(calls, nth, false, Effect::Shorten { at_most });
    }

    fn add(&self, calls: &[Call], nth: u64, for_ever: bool, effect: Effect) {
        assert!(nth > 0, "calls are counted from 1");
        let rule = Rule { calls: calls.to_vec(), countdown: Some(nth - 1), for_ever, effect };
        self.plan.lock().rules.push(rule);
    }

    /// From now on nothing fails and nothing is shortened.
    pub fn heal(&self) {
        self.plan.lock().rules.clear();
    }

    /// How many calls of a kind there have been, failed ones included.
    pub fn calls(&self, call: Call) -> u64 {
        self.plan.lock().counts[call as usize]
    }

    /// How many calls of a kind this store has failed. (Failures of the store inside are its own.)
    pub fn failures(&self, call: Call) -> u64 {
        self.plan.lock().failures[call as usize]
    }

    /// Counts the call and says what befalls it: an error, or how many bytes it may move.
    fn enter(&self, call: Call) -> io::Result<usize> {
        let mut plan = self.plan.lock();
        plan.counts[call as usize] += 1;
        let (mut failed, mut most) = (None, usize::MAX);
        // Every rule counts, also where an earlier one has struck.
        for rule in plan.rules.iter_mut().filter(|rule| rule.calls.contains(&call)) {
            let strikes = rule.countdown == Some(0);
            rule.countdown = match rule.countdown {
                Some(0) => rule.for_ever.then_some(0),
                countdown => countdown.map(|calls| calls - 1),
            };
            match rule.effect {
                _ if !strikes => {}
                Effect::Fail { errno } => failed = failed.or(Some(errno)),
                Effect::Shorten { at_most } => most = most.min(at_most),
            }
        }
        let Some(errno) = failed else { return Ok(most) };
        plan.failures[call as usize] += 1;
        Err(io::Error::from_raw_os_error(errno))
    }
}

impl<S: Store> Store for FailingStore<S> {
    fn len(&self) -> io::Result<u64> {
        self.enter(Call::Len)?;
        self.inner.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        let len = self.enter(Call::Read)?.min(into.len());
        self.inner.read(offset, &mut into.part(0..len))
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut left = self.enter(Call::Write)?;
        let bufs = bufs.iter().map(|buf| {
            let len = left.min(buf.len());
            left -= len;
            IoSlice::new(&buf[..len])
        });
        self.inner.write(offset, &bufs.collect::<Vec<_>>())
    }

    fn sync(&self) -> io::Result<()> {
        self.enter(Call::Sync)?;
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.enter(Call::SetLen)?;
        self.inner.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.enter(Call::Punch)?;
        self.inner.punch(offset, len)
    }

    fn name(&self) -> String {
        format!("failing {}", self.inner.name())
    }
}

impl<S: fmt::Debug> fmt::Debug for FailingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FailingStore").field(&self.inner).finish()
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::store::MemStore;

    const EIO: i32 = 5;

    #[test]
    fn the_nth_call_fails_once_or_from_then_on() {
        let store = FailingStore::new(MemStore::new());
        store.fail_nth(&[Call::Sync, Call::Len], 3, EIO);
        store.fail_from(&[Call::Sync], 4, EIO);
        let failed = |error: io::Result<()>| error.is_err();
        let got: Vec<_> = (0..6).map(|_| failed(store.sync())).collect();
        assert_eq!(got, [false, false, true, true, true, true]);
        assert!(store.len().is_ok());
        store.heal();
        assert!(store.sync().is_ok());
        assert_eq!((store.calls(Call::Sync), store.calls(Call::Len)), (7, 1));
        assert_eq!((store.failures(Call::Sync), store.failures(Call::Len)), (4, 0));
    }

    #[test]
    fn a_failed_or_shortened_write_moves_no_more_than_it_says() {
        let store = FailingStore::new(MemStore::new());
        store.fail_nth(&Call::ALL, 1, EIO);
        store.shorten(&[Call::Write], 5);
        let bufs = [IoSlice::new(b"abc"), IoSlice::new(b"defg"), IoSlice::new(b"h")];
        assert_eq!(store.write(0, &bufs).unwrap_err().raw_os_error(), Some(EIO));
        assert_eq!(store.inner().bytes(), b"");
        assert_eq!(store.write(0, &bufs).unwrap(), 5);
        assert_eq!(store.inner().bytes(), b"abcde");
        store.heal();
        store.shorten_nth(&[Call::Write], 2, 1);
        let moved = [(); 3].map(|()| store.write(0, &bufs).unwrap());
        assert_eq!(moved, [8, 1, 8]);
    }
}
