//! A small model checker: it runs a *scene*, a closure that starts a few threads, again and again,
//! each time in another order, until it has seen every order that makes a difference.
//!
//! The scene uses the types of this crate in place of the standard library's. Its threads are
//! coroutines on one thread of the machine; before each operation on something that several of them
//! use, the checker may go on with another thread. What a scene must never do is said with
//! assertions ([`violated`], or a panic); that nobody can go on any more is found by the checker.
//!
//! ```
//! use refolio_explore::{AtomicU64, Ordering::Relaxed, Search, search, thread, violated};
//! use std::sync::Arc;
//!
//! let scene = || {
//!     let count = Arc::new(AtomicU64::new(0));
//!     let other = count.clone();
//!     let adder = thread::spawn(move || other.store(other.load(Relaxed) + 1, Relaxed));
//!     count.store(count.load(Relaxed) + 1, Relaxed);
//!     adder.join().unwrap();
//!     if count.load(Relaxed) != 2 {
//!         violated("an addition was lost");
//!     }
//! };
//! let verdict = search(scene, &Search::default());
//! assert_eq!(verdict.violation.unwrap().rule, "an addition was lost");
//! ```
//!
//! # What it explores
//!
//! Sequentially consistent executions: each load sees the newest store. Orderings weaker than that
//! are another checker's task; they are accepted and ignored.
//!
//! The search goes depth first and runs the scene anew for each path (`search.rs`). Three things
//! keep it small, and lose nothing:
//!
//! - **Only meetings are crossroads.** An object cannot tell one order from another as long as
//!   whatever is done to it is ordered by something else: one thread alone uses it, or nobody
//!   changes it, or a lock protects it. Vector clocks tell when it is not so; the object is a
//!   crossroads from then on, and the search begins again.
//! - **States are cut.** Where an execution comes to a state that was seen before, it is not
//!   followed. A state is the value of every object, and for each thread a hash of all it has done
//!   and seen, which stands for its local variables (`object.rs`).
//! - **Sleep sets.** A step that was tried at one crossroads is not tried at the next ones as long
//!   as the steps taken meanwhile have nothing to do with it (Godefroid 1996, with state matching).
//!
//! With a bound on preemptions (switches away from a thread that could go on) the search takes the
//! first two only, and finds the violation with the fewest of them when it is run with bounds 0, 1,
//! 2 and so on. For many threads and long scenes there are random walks ([`Walk`]).
//!
//! # What a scene must keep to
//!
//! It is deterministic but for the order of its threads: no clock, no addresses in decisions, no
//! hashing with random keys. All that its threads share is in types of this crate. Its loops that
//! wait for another thread end with [`Retry::again`].

mod atomics;
mod exec;
mod locks;
mod object;
pub mod plain;
mod random;
mod schedule;
mod search;
pub mod thread;
mod trace;
mod turns;

pub use atomics::{AtomicPtr, AtomicU32, AtomicU64, fence};
pub use locks::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use object::{Named, Show};
pub use random::{Walk, walk};
pub use schedule::{ParseScheduleError, Schedule};
pub use search::{Search, Verdict, Violation, search};
pub use std::sync::atomic::Ordering;
pub use trace::{Event, MISFIT, Told, Trace, key, name, narrate, replay};
pub use turns::{Retry, call, reached, violated};
