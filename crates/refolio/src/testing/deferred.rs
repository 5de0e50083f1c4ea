//! A store that stalls.

use super::Call;
use crate::frame::FillBuf;
use crate::store::Store;
use crate::sync::{Condvar, Mutex};
use std::fmt;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

/// A store whose calls stay in flight until the test lets them go.
///
/// A held call has not touched the store inside yet, so whatever changes the bytes of a write in
/// flight shows in what is written. Held calls are let go in the order in which they came. One that
/// nobody lets go for 30 seconds fails with `TimedOut`, so that a broken test ends.
///
/// ```
/// use refolio::testing::{Call, DeferredStore};
/// use refolio::{MemStore, Store};
/// use std::io::IoSlice;
///
/// let store = DeferredStore::new(MemStore::new());
/// store.hold(&[Call::Write]);
/// std::thread::scope(|threads| {
///     let write = threads.spawn(|| store.write(0, &[IoSlice::new(b"late")]));
///     store.wait_held(1);
///     assert_eq!(store.inner().bytes(), b"");
///     store.release_one();
///     assert_eq!(write.join().unwrap().unwrap(), 4);
/// });
/// assert_eq!(store.inner().bytes(), b"late");
/// ```
pub struct DeferredStore<S> {
    inner: S,
    gate: Mutex<Gate>,
    change: Condvar,
}

#[derive(Default)]
struct Gate {
    hold: Vec<Call>,
    /// Calls that were ever held, and of these let go; each held call has the number it came with.
    came: u64,
    went: u64,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl<S: Store> DeferredStore<S> {
    /// A store that does what `inner` does, until told otherwise.
    pub fn new(inner: S) -> Self {
        Self { inner, gate: Mutex::default(), change: Condvar::new() }
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// From now on holds these calls, and no others.
    pub fn hold(&self, calls: &[Call]) {
        self.gate.lock().hold = calls.to_vec();
    }

    /// How many calls are held.
    pub fn held(&self) -> u64 {
        let gate = self.gate.lock();
        gate.came - gate.went
    }

    /// Waits until `count` calls are held.
    ///
    /// # Panics
    /// If they do not come within 30 seconds.
    pub fn wait_held(&self, count: u64) {
        let waited = self.wait_until(|gate| gate.came - gate.went >= count);
        assert!(waited, "{count} calls were to be held, but {} came", self.held());
    }

    /// Lets the oldest held call go.
    ///
    /// # Panics
    /// If none is held.
    pub fn release_one(&self) {
        let mut gate = self.gate.lock();
        assert!(gate.went < gate.came, "no call is held");
        gate.went += 1;
        self.change.notify_all();
    }

    /// Lets all held calls go, and holds no others until told to.
    pub fn release_all(&self) {
        let mut gate = self.gate.lock();
        gate.hold.clear();
        gate.went = gate.came;
        self.change.notify_all();
    }

    fn enter(&self, call: Call) -> io::Result<()> {
        let number = {
            let mut gate = self.gate.lock();
            if !gate.hold.contains(&call) {
                return Ok(());
            }
            gate.came += 1;
            self.change.notify_all();
            gate.came
        };
        let released = self.wait_until(|gate| gate.went >= number);
        if released { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// Whether the condition came true in time.
    fn wait_until(&self, condition: impl Fn(&Gate) -> bool) -> bool {
        let since = Instant::now();
        let mut gate = self.gate.lock();
        while !condition(&gate) {
            let Some(left) = PATIENCE.checked_sub(since.elapsed()) else { return false };
            gate = self.change.wait_for(gate, left);
        }
        true
    }
}

impl<S: Store> Store for DeferredStore<S> {
    fn len(&self) -> io::Result<u64> {
        self.enter(Call::Len)?;
        self.inner.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        self.enter(Call::Read)?;
        self.inner.read(offset, into)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.enter(Call::Write)?;
        self.inner.write(offset, bufs)
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
        format!("deferred {}", self.inner.name())
    }
}

impl<S: fmt::Debug> fmt::Debug for DeferredStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeferredStore").field(&self.inner).finish()
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::store::MemStore;

    #[test]
    fn held_calls_go_in_the_order_in_which_they_came() {
        let store = DeferredStore::new(MemStore::with_bytes(vec![1]));
        store.hold(&[Call::Write]);
        std::thread::scope(|threads| {
            for byte in 1..=3_u8 {
                let store = &store;
                threads.spawn(move || store.write(0, &[IoSlice::new(&[byte * 10])]).unwrap());
                store.wait_held(byte.into());
            }
            // Not held: reads.
            let mut byte = [0];
            assert_eq!(store.read(0, &mut FillBuf::over(&mut byte)).unwrap(), 1);
            assert_eq!((byte, store.held()), ([1], 3));
            for left in [2, 1, 0] {
                store.release_one();
                assert_eq!(store.held(), left);
                while store.inner().bytes() != [10 * (3 - left as u8)] {
                    std::thread::yield_now();
                }
            }
            store.release_all();
            assert_eq!(store.write(0, &[IoSlice::new(&[7])]).unwrap(), 1);
        });
        assert_eq!(store.inner().bytes(), [7]);
    }

    #[test]
    #[should_panic(expected = "no call is held")]
    fn letting_go_of_nothing_is_noticed() {
        DeferredStore::new(MemStore::new()).release_one();
    }
}
