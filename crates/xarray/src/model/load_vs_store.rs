//! A load meets stores: into nothing, over one entry, over several.

use super::{Scene, load, reached, store};
use crate::XArray;
use crate::sync::{AtomicU64, Relaxed};
use loom::lazy_static;

lazy_static! {
    /// What an entry stands for: written before the entry is stored.
    static ref DATA: AtomicU64 = AtomicU64::new(0);
}

#[test]
fn who_finds_an_entry_sees_what_was_written_before_it_was_stored() {
    Scene {
        prepare: |array| {
            store(array, 2, 0, 9);
            DATA.load(Relaxed);
        },
        store: |array| {
            // Relaxed, as the load: the array's orderings have to do.
            DATA.store(1, Relaxed);
            store(array, 1, 0, 1);
        },
        load: |array| (load(array, 1), DATA.load(Relaxed)),
        judge: |(found, data)| {
            reached(if found == 1 { "found" } else { "missed" });
            assert!(found == 0 || data == 1, "an entry before its data");
        },
        preemptions: 3,
        outcomes: &["found", "missed"],
        protections: &["slot-release"],
    }
    .run();
}

#[test]
fn an_entry_is_replaced_at_one_moment() {
    Scene {
        prepare: |array| store(array, 2, 1, 1),
        store: |array| store(array, 2, 1, 2),
        load: |array| (load(array, 3), load(array, 2)),
        judge: |loaded| match loaded {
            (1, 1) => reached("both before"),
            (1, 2) => reached("between"),
            (2, 2) => reached("both after"),
            other => panic!("{other:?}"),
        },
        preemptions: 3,
        outcomes: &["both before", "between", "both after"],
        protections: &[],
    }
    .run();
}

#[test]
fn an_entry_comes_and_goes_for_all_its_indices_at_once() {
    fn both(array: &XArray) -> (u64, u64) {
        (load(array, 2), load(array, 3))
    }
    Scene {
        prepare: |array| store(array, 1, 0, 9),
        store: |array| store(array, 2, 1, 1),
        load: both,
        judge: |loaded| match loaded {
            (0, 0) => reached("both before"),
            (0, 1) => reached("between"),
            (1, 1) => reached("both after"),
            other => panic!("came in parts: {other:?}"),
        },
        preemptions: 3,
        outcomes: &["both before", "between", "both after", "retry"],
        protections: &["fresh-siblings-first"],
    }
    .run();
    Scene {
        prepare: |array| store(array, 2, 1, 1),
        store: |array| _ = array.lock().erase(3),
        load: both,
        judge: |loaded| match loaded {
            (1, 1) => reached("both before"),
            (1, 0) => reached("between"),
            (0, 0) => reached("both after"),
            other => panic!("went in parts: {other:?}"),
        },
        preemptions: 3,
        outcomes: &["both before", "between", "both after", "retry"],
        protections: &[],
    }
    .run();
}

#[test]
fn a_store_over_smaller_entries_leaves_no_gap() {
    Scene {
        prepare: |array| {
            store(array, 0, 0, 9);
            store(array, 6, 1, 1);
        },
        // Over a node and what is in it.
        store: |array| store(array, 4, 2, 2),
        load: |array| (load(array, 7), load(array, 7)),
        judge: |loaded| match loaded {
            (1, 1) => reached("both before"),
            (1, 2) => reached("between"),
            (2, 2) => reached("both after"),
            other => panic!("{other:?}"),
        },
        preemptions: 3,
        outcomes: &["both before", "between", "both after", "retry"],
        protections: &["generation-before-emptying"],
    }
    .run();
}
