//! Sleeping until a folio's word changes, without holding a reference to it.
//!
//! A sleeper announces itself in the word (`WAITERS`) under the lock of its queue and looks at the
//! word again before it sleeps; whoever changes the word sees the announcement in the value the
//! change replaced, takes the lock of the queue, and wakes everybody. So either the sleeper saw the
//! change, or the changer saw the sleeper: no wake-up is lost.
//!
//! Rule 5: **waiters hold no reference** (and no lock). The frame may be freed and reused while
//! they sleep, therefore every condition names the version it waits on, and the caller starts over
//! after waking.

use std::time::Instant;

use crate::folio::state::{Snapshot, State};
use crate::sync::{Condvar, Mutex, Retry, broken, call, reached};
use crate::units::FrameNo;

/// Queues of sleepers, hashed by frame (a power of two of them).
const QUEUES: usize = if cfg!(refolio_model) { 1 } else { 64 };

#[derive(Debug)]
struct Queue {
    lock: Mutex<()>,
    changed: Condvar,
}

/// All queues of a cache.
#[derive(Debug)]
pub(crate) struct Waits(Vec<Queue>);

impl Waits {
    pub fn new() -> Self {
        Self((0..QUEUES).map(|_| Queue { lock: Mutex::new(()), changed: Condvar::new() }).collect())
    }

    /// Names the queue in the trace of a model.
    #[cfg(refolio_explore)]
    pub fn christen(&self) {
        for Queue { lock, changed } in &self.0 {
            crate::sync::name(lock, || "wait queue".into(), crate::model::names::nothing);
            crate::sync::name(changed, || "wait queue".into(), crate::model::names::nothing);
        }
    }

    fn queue(&self, frame: FrameNo) -> &Queue {
        // Large folios are aligned: mix the upper bits in.
        &self.0[(frame.0 ^ frame.0 >> 9) as usize & (QUEUES - 1)]
    }

    /// Sleeps while `blocked` says so of the word; false when the deadline came first.
    #[doc(alias = "folio_wait_bit_common")]
    pub fn wait(
        &self,
        frame: FrameNo,
        state: &State,
        deadline: Option<Instant>,
        blocked: impl Fn(Snapshot) -> bool,
    ) -> bool {
        let queue = self.queue(frame);
        let mut guard = queue.lock.lock();
        let announce = || match broken("sleeper-unannounced") {
            true => state.load(),
            false => state.expect_waiter(),
        };
        let retry = Retry::new();
        while call(|| blocked(announce())) {
            reached("slept");
            guard = match deadline {
                None => queue.changed.wait(guard),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    queue.changed.wait_for(guard, left)
                }
            };
            retry.anew();
        }
        true
    }

    /// Wakes whoever sleeps on the folio. Called when a transition answers that somebody does.
    #[doc(alias = "folio_wake_bit")]
    #[cold]
    pub fn wake(&self, frame: FrameNo, state: &State) {
        let queue = self.queue(frame);
        call(|| {
            let _guard = (!broken("wake-without-lock")).then(|| queue.lock.lock());
            state.no_waiters();
            queue.changed.notify_all();
        });
    }
}
