//! What the caches of a test have done, all together: a test in which nothing was moved, evicted or
//! written back has shown nothing.

use std::sync::Mutex;

use refolio::{Cache, Stats};

static DONE: Mutex<Vec<Stats>> = Mutex::new(Vec::new());

/// Counts what a cache has done, at its end.
pub fn count(cache: &Cache) {
    DONE.lock().unwrap().push(cache.stats());
}

/// Everything has been done at least once.
pub fn check(test: &str) {
    let done = std::mem::take(&mut *DONE.lock().unwrap());
    let sum = |of: fn(&Stats) -> u64| done.iter().map(of).sum::<u64>();
    let sums = [
        ("faults", sum(|stats| stats.pgfault)),
        ("fills", sum(|stats| stats.pgmajfault)),
        ("moved", sum(|stats| stats.pgmigrate_success)),
        ("not moved", sum(|stats| stats.pgmigrate_fail)),
        ("reclaimed", sum(|stats| stats.pgsteal)),
        ("demoted", sum(|stats| stats.pgdemote)),
        ("written back", sum(|stats| stats.pgwriteback)),
        ("refaulted", sum(|stats| stats.workingset_refault)),
    ];
    println!("{test}: pages by what became of them: {sums:?}");
    for (what, pages) in sums {
        assert!(pages > 0, "{test}: no page was {what}");
    }
}
