//! Random operations on a cache, each one compared with what plain vectors of bytes say.
//!
//! Rounds ([`round`]) of hundreds of operations each, by one thread: at the end of each the books
//! must balance, the stores must hold what the files do, and all frames must be free.
//!
//! ```text
//! cargo test -p refolio --test oracle                                  some seconds
//! REFOLIO_OPS=10000000 cargo test --release -p refolio --test oracle -- --nocapture
//! REFOLIO_SEED=… REFOLIO_OPS=1 cargo test -p refolio --test oracle     the round that failed
//! ```
//! A round that fails is cut down to the shortest one that still does, which is printed.

mod shrink;

#[path = "../support/bytes.rs"]
mod bytes;
#[path = "../support/done.rs"]
mod done;
#[path = "../support/rest.rs"]
mod rest;
#[path = "../support/round/mod.rs"]
mod round;
#[path = "../support/seed.rs"]
mod seed;

use std::path::Path;

use seed::Plan;
use shrink::play_or_shrink;

#[test]
fn one_thread() {
    Plan::from_env(100_000).play("one_thread", |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = vec![0; rng.usize(500..12_000)];
        rng.fill(&mut bytes);
        let (setup, ops) = round::of_cache(&bytes);
        play_or_shrink(&setup, &ops);
        ops.len() as u64
    });
    done::check("one_thread");
}

/// What the fuzzer starts from (see `fuzz/`), by target.
#[test]
fn the_corpora_of_the_fuzzer() {
    type Read = fn(&[u8]) -> (round::Setup, Vec<round::Op>);
    let targets: [(&str, Read); 2] = [("cache", round::of_cache), ("tables", round::of_views)];
    for (target, read) in targets {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let mut played = 0;
        for seed in std::fs::read_dir(corpus).unwrap() {
            let (setup, ops) = read(&std::fs::read(seed.unwrap().path()).unwrap());
            play_or_shrink(&setup.quiet(), &ops);
            played += ops.len();
        }
        assert!(played > 50, "{target}: {played} operations in all");
    }
}
