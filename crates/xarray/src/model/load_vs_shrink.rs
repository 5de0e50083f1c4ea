//! A load meets nodes that are given back, and serve other indices a moment later.

use super::{Scene, load, reached, store};

#[test]
fn a_node_in_its_next_use_answers_for_nobody_else() {
    Scene {
        prepare: |array| store(array, 4, 0, 4),
        store: |array| {
            // Gives back the leaf of 4, and uses it as the leaf of 8.
            array.lock().erase(4);
            store(array, 8, 0, 8);
        },
        load: |array| load(array, 4),
        judge: |loaded| match loaded {
            4 => reached("found"),
            0 => reached("missed"),
            other => panic!("the entry of {other}"),
        },
        preemptions: 3,
        outcomes: &["found", "missed", "retry"],
        protections: &["place-check", "generation-recheck", "generation-release"],
    }
    .run();
}

#[test]
fn what_stays_is_found_while_the_root_goes_and_comes() {
    Scene {
        prepare: |array| {
            store(array, 0, 0, 1);
            store(array, 4, 0, 4);
        },
        store: |array| {
            array.lock().erase(4);
            store(array, 1, 0, 2);
        },
        load: |array| (load(array, 0), load(array, 4)),
        judge: |loaded| match loaded {
            (1, 4) => reached("before"),
            (1, 0) => reached("after"),
            other => panic!("{other:?}"),
        },
        preemptions: 3,
        outcomes: &["before", "after", "retry"],
        protections: &["generation-before-emptying", "generation-recheck"],
    }
    .run();
}
