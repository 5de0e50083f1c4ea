//! Many threads at random on one cache, whose every answer can be checked.
//!
//! Workers write records that describe themselves ([`record`]), by file, by view and
//! by write guard, and read each other's; each has memory of its own beside it. Others migrate,
//! drain, evict and sync meanwhile, and one cuts the file's end off and lets it grow again. At the
//! end of a round the newest records must be there, in the cache and in the store, the books must
//! balance, and all frames must be free.
//!
//! ```text
//! cargo test -p refolio --test oracle_threads                          some seconds
//! REFOLIO_OPS=10000000 cargo test --release -p refolio --test oracle_threads -- --nocapture
//! REFOLIO_SEED=… cargo test -p refolio --test oracle_threads           the round that failed, and more
//! ```
//! What happens does not follow from the seed alone: a failure may need several attempts.

mod crowd;
mod ends;
mod generations;
mod handles;
mod hot;
mod jitter;
mod worker;

#[path = "../support/bytes.rs"]
mod bytes;
#[path = "../support/crew.rs"]
mod crew;
#[path = "../support/done.rs"]
mod done;
#[path = "../support/record.rs"]
mod record;
#[path = "../support/rest.rs"]
mod rest;
#[path = "../support/seed.rs"]
mod seed;

use seed::Plan;

#[test]
fn many_threads() {
    Plan::from_env(300_000).play("many_threads", |seed| crowd::play(seed, 15_000));
    done::check("many_threads");
}

#[test]
fn handles_come_and_go() {
    Plan::from_env(30_000).play("handles_come_and_go", |seed| handles::play(seed, 1_500));
}

#[test]
fn hot_pages() {
    Plan::from_env(600_000).play("hot_pages", |seed| hot::play(seed, 200_000));
}
