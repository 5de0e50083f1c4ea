//! Random operations on a cache, each one compared with what plain vectors of bytes say.
//!
//! A round is a cache of two or three nodes, so small that reclaim and migration always run, with a
//! few files and views; hundreds of operations are done to them by one thread. After each, its
//! answer and all pinned pages must be what they should be; at the end of the round the books must
//! balance, the stores must hold what the files do, and all frames must be free.
//!
//! ```text
//! cargo test -p refolio --test oracle                                  some seconds
//! REFOLIO_OPS=10000000 cargo test --release -p refolio --test oracle -- --nocapture
//! REFOLIO_SEED=… REFOLIO_OPS=1 cargo test -p refolio --test oracle     the round that failed
//! ```
//! A round that fails is cut down to the shortest one that still does, which is printed.

mod guard;
mod moves;
mod ops;
mod play;
mod shrink;
mod stage;
mod views;

#[path = "../support/bytes.rs"]
mod bytes;
#[path = "../support/done.rs"]
mod done;
#[path = "../support/rest.rs"]
mod rest;
#[path = "../support/seed.rs"]
mod seed;

use seed::Plan;
use shrink::play_or_shrink;

#[test]
fn one_thread() {
    Plan::from_env(100_000).play("one_thread", |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let setup = ops::setup(&mut rng);
        let ops: Vec<_> = (0..rng.usize(100..1500)).map(|_| ops::op(&mut rng)).collect();
        play_or_shrink(&setup, &ops);
        ops.len() as u64
    });
    done::check("one_thread");
}
