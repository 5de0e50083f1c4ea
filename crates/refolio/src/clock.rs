//! The time, to within a few hundredths of a second, for those who cannot afford to ask for it.
//!
//! To ask the system takes about as long as a pin does. So the housekeeper writes the time down a
//! hundred times a second: from when somebody wants to know it, for a second. Who looks finds it
//! there, or is the one who starts it. While the housekeeper has other work to do nobody keeps the
//! clock, and who wants to know the time has to ask; so it is never older than the housekeeper is
//! late.

use std::hint::cold_path;
use std::time::Duration;

use crate::sync::Relaxed;
use crate::sync::unwatched::AtomicU64;

/// What is written down when nobody keeps the clock, and when somebody would.
const NOBODY: u64 = 0;
const STANDS: u64 = 1;

/// How often the time is written down.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How long a clock goes that was started once.
pub(crate) const GOES: Duration = Duration::from_secs(1);

/// A clock that one thread keeps and all may look at: nanoseconds, of [`now`].
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicU64);

// Relaxed, throughout: the time orders nothing.
impl Clock {
    /// The time, and whether the keeper is to be told that the clock goes now.
    #[inline]
    pub fn look(&self) -> (u64, bool) {
        let time = self.0.load(Relaxed);
        if time > STANDS {
            return (time, false);
        }
        cold_path();
        let now = now().as_nanos() as u64;
        (now, self.0.compare_exchange(STANDS, now, Relaxed, Relaxed).is_ok())
    }

    /// The keeper's: writes the time down.
    pub fn tick(&self) {
        self.0.store(now().as_nanos() as u64, Relaxed);
    }

    /// The keeper's: the clock stands, and may be started.
    pub fn stand(&self) {
        self.0.store(STANDS, Relaxed);
    }

    /// The keeper's: it has other work to do now.
    pub fn leave(&self) {
        self.0.store(NOBODY, Relaxed);
    }
}

/// Time since some moment, to within a few milliseconds.
pub(crate) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
