//! A load and what the holder of the lock does: in every interleaving up to a number of
//! preemptions, and with every stale value that the memory model lets the load see.
//!
//! Each file is one meeting. Its scenes are explored as they are, where no assertion may fail and
//! every outcome must be reached somewhere, and then without one protection at a time, where some
//! assertion must fail: a model that does not miss what it takes away proves nothing.
//!
//! The nodes of a model have 4 slots. Run by `cargo model -p refolio-xarray`.

mod load_vs_shrink;
mod load_vs_split;
mod load_vs_store;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sync::{reached, take_reached, without};
use crate::{Entry, XArray};

/// Explores a scene: a storer and a loader, which meet in what `prepare` made, and whose results
/// `judge` looks at. It does so when both have ended, because a panic in the middle of the search
/// would drop locks that the checker no longer knows.
struct Scene<T> {
    prepare: fn(&XArray),
    store: fn(&XArray),
    load: fn(&XArray) -> T,
    judge: fn(T),
    /// Switches away from a thread that could go on, at most so many in one execution.
    preemptions: usize,
    /// What some execution has to reach.
    outcomes: &'static [&'static str],
    /// What some execution has to miss.
    protections: &'static [&'static str],
}

impl<T: 'static> Scene<T> {
    fn run(&self) {
        take_reached();
        self.explore(None);
        let reached = take_reached();
        for outcome in self.outcomes {
            assert!(reached.contains_key(outcome), "never {outcome}, only {reached:?}");
        }
        for protection in self.protections {
            let explored = catch_unwind(AssertUnwindSafe(|| self.explore(Some(protection))));
            assert!(explored.is_err(), "nothing misses {protection}");
        }
    }

    fn explore(&self, without_protection: Option<&'static str>) {
        let Self { prepare, store, load, judge, preemptions, .. } = *self;
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 100_000;
        without(without_protection, || {
            builder.check(move || {
                let array = Arc::new(XArray::new());
                prepare(&array);
                let storer = loom::thread::spawn({
                    let array = Arc::clone(&array);
                    move || store(&array)
                });
                let loaded = load(&array);
                storer.join().unwrap();
                array.lock().check();
                judge(loaded);
            });
        });
    }
}

fn store(array: &XArray, index: u64, order: u32, payload: u64) {
    array.lock().store(index, order, Entry::item(payload)).unwrap();
}

/// The payload that `index` has; 0 for none.
fn load(array: &XArray, index: u64) -> u64 {
    array.load(index).map_or(0, Entry::payload)
}
