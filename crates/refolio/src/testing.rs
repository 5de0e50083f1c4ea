//! Stores for tests: they fail, stall and crash when told to. Wrap a store in an [`Arc`], give one
//! clone to the cache and keep the other to pull the strings.
//!
//! [`Arc`]: std::sync::Arc

use crate::frame::FillBuf;
use crate::store::{MemStore, Store};
use crate::sync::{Condvar, Mutex};
use std::fmt;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

/// The methods of a [`Store`] that a test can meddle with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Store::len`].
    Len,
    /// [`Store::read`].
    Read,
    /// [`Store::write`].
    Write,
    /// [`Store::sync`].
    Sync,
    /// [`Store::set_len`].
    SetLen,
    /// [`Store::punch`].
    Punch,
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 6] =
        [Call::Len, Call::Read, Call::Write, Call::Sync, Call::SetLen, Call::Punch];
}

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
    rules: Vec<Rule>,
    at_most: [Option<usize>; Call::ALL.len()],
}

struct Rule {
    calls: Vec<Call>,
    /// How many calls are still to come before it strikes; None: it has struck.
    countdown: Option<u64>,
    for_ever: bool,
    errno: i32,
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
        self.add(calls, nth, false, errno);
    }

    /// As [`fail_nth`](Self::fail_nth), and so do all of these calls that follow.
    pub fn fail_from(&self, calls: &[Call], nth: u64, errno: i32) {
        self.add(calls, nth, true, errno);
    }

    fn add(&self, calls: &[Call], nth: u64, for_ever: bool, errno: i32) {
        assert!(nth > 0, "calls are counted from 1");
        let rule = Rule { calls: calls.to_vec(), countdown: Some(nth - 1), for_ever, errno };
        self.plan.lock().rules.push(rule);
    }

    /// From now on reads, or writes, or both, move at most so many bytes. (The other calls move
    /// none.) A store whose reads move 0 claims to end there.
    pub fn shorten(&self, calls: &[Call], at_most: usize) {
        let mut plan = self.plan.lock();
        for call in calls {
            plan.at_most[*call as usize] = Some(at_most);
        }
    }

    /// From now on nothing fails and nothing is shortened.
    pub fn heal(&self) {
        let mut plan = self.plan.lock();
        plan.rules.clear();
        plan.at_most = Default::default();
    }

    /// How many calls of a kind there have been, failed ones included.
    pub fn calls(&self, call: Call) -> u64 {
        self.plan.lock().counts[call as usize]
    }

    /// Counts the call and says what befalls it: an error, or how many bytes it may move.
    fn enter(&self, call: Call) -> io::Result<usize> {
        let mut plan = self.plan.lock();
        plan.counts[call as usize] += 1;
        let mut failed = None;
        // Every rule counts, also where an earlier one has struck.
        for rule in plan.rules.iter_mut().filter(|rule| rule.calls.contains(&call)) {
            rule.countdown = match rule.countdown {
                Some(0) => {
                    failed = failed.or(Some(rule.errno));
                    rule.for_ever.then_some(0)
                }
                countdown => countdown.map(|calls| calls - 1),
            };
        }
        match failed {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(plan.at_most[call as usize].unwrap_or(usize::MAX)),
        }
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

/// A store in memory that remembers what of it is durable, and so what a crash could leave.
///
/// ```
/// use refolio::testing::CrashStore;
/// use refolio::Store;
/// use std::io::IoSlice;
///
/// let store = CrashStore::new(Vec::new());
/// store.write(0, &[IoSlice::new(b"old")])?;
/// store.sync()?;
/// store.write(0, &[IoSlice::new(b"new")])?;
/// assert_eq!(store.durable(), b"old");
/// let lucky = (0..20).filter(|seed| store.after_crash(*seed) == b"new").count();
/// assert!(lucky > 0 && lucky < 20);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct CrashStore {
    live: MemStore,
    durable: Mutex<Vec<u8>>,
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

impl CrashStore {
    /// A store that holds `bytes`, durably.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { live: MemStore::with_bytes(bytes.clone()), durable: Mutex::new(bytes) }
    }

    /// What the store holds now.
    pub fn live(&self) -> Vec<u8> {
        self.live.bytes()
    }

    /// What the store held at the last sync: what a crash leaves of it if nothing that was written
    /// since has made it to the disk.
    pub fn durable(&self) -> Vec<u8> {
        self.durable.lock().clone()
    }

    /// What a crash leaves of it, at random by `seed`: each sector of 512 bytes, and the length, as
    /// of now or as of the last sync.
    pub fn after_crash(&self, seed: u64) -> Vec<u8> {
        let (live, durable) = (self.live(), self.durable());
        let mut random = seed;
        let mut survives = || {
            // splitmix64: one bit per question is all it takes.
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = (random ^ random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (bits ^ bits >> 31) & 1 == 1
        };
        let len = if survives() { live.len() } else { durable.len() };
        let mut left = vec![0; len];
        for (index, sector) in left.chunks_mut(SECTOR).enumerate() {
            let from = if survives() { &live } else { &durable };
            let from = from.get(index * SECTOR..).unwrap_or_default();
            let known = from.len().min(sector.len());
            sector[..known].copy_from_slice(&from[..known]);
        }
        left
    }
}

impl Store for CrashStore {
    fn len(&self) -> io::Result<u64> {
        self.live.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        self.live.read(offset, into)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.live.write(offset, bufs)
    }

    fn sync(&self) -> io::Result<()> {
        // Under the lock, so that of two syncs the later one counts.
        let mut durable = self.durable.lock();
        *durable = self.live.bytes();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.live.set_len(len)
    }

    fn name(&self) -> String {
        "memory that may crash".into()
    }
}

#[cfg(all(test, not(refolio_loom)))]
mod tests {
    use super::*;

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
    }

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

    #[test]
    fn a_crash_leaves_whole_sectors_old_or_new() {
        let store = CrashStore::new(vec![1; 3 * SECTOR]);
        store.write(0, &[IoSlice::new(&[2; 5 * SECTOR])]).unwrap();
        let (mut old, mut new, mut lens) = (0, 0, Vec::new());
        for seed in 0..64 {
            let left = store.after_crash(seed);
            for (index, sector) in left.chunks(SECTOR).enumerate() {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a torn sector");
                match (index, sector[0]) {
                    (0..3, 1) | (3.., 0) => old += 1,
                    (_, 2) => new += 1,
                    other => panic!("{other:?} was never written"),
                }
            }
            lens.push(left.len() / SECTOR);
        }
        assert!(old > 50 && new > 50 && lens.contains(&3) && lens.contains(&5));
        store.sync().unwrap();
        assert!((0..64).all(|seed| store.after_crash(seed) == [2; 5 * SECTOR]));
    }
}
