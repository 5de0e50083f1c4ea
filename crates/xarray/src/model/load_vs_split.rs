//! A load meets a split, within a node and into a new one.

use super::{Scene, load, reached, store};
use crate::Entry;

#[test]
fn a_sibling_finds_the_whole_or_its_own_piece() {
    Scene {
        prepare: |array| store(array, 2, 1, 1),
        store: |array| {
            array.lock().split(2, 0, |index| Entry::item(10 + index));
            array.lock().erase(2);
        },
        load: |array| load(array, 3),
        judge: |loaded| match loaded {
            1 => reached("whole"),
            13 => reached("piece"),
            other => panic!("{other}"),
        },
        preemptions: 3,
        outcomes: &["whole", "piece", "retry"],
        protections: &["sibling-covers", "reshape-generation"],
    }
    .run();
}

#[test]
fn a_split_into_nodes_leaves_no_gap_and_no_way_back() {
    Scene {
        prepare: |array| {
            store(array, 0, 0, 9);
            store(array, 5, 0, 1);
        },
        store: |array| {
            // Gives back the leaf, and takes it again for the pieces.
            store(array, 4, 2, 2);
            array.lock().split(4, 0, |_| Entry::item(3));
        },
        load: |array| {
            let first = load(array, 5);
            (first, if first == 1 { None } else { Some(load(array, 5)) })
        },
        judge: |loaded| match loaded {
            (1, None) => reached("small"),
            (2, Some(2)) => reached("whole"),
            (2, Some(3)) => reached("between"),
            (3, Some(3)) => reached("piece"),
            other => panic!("a gap, or the way back: {other:?}"),
        },
        preemptions: 2,
        outcomes: &["small", "whole", "piece", "between", "retry"],
        protections: &["linked-with-the-truth"],
    }
    .run();
}
