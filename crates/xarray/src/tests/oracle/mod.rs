//! Random verbs, on the array and on a `BTreeMap` that says what they mean.

mod map;

use std::path::Path;

use proptest::prelude::*;

use crate::{Entry, MAX_ORDER, Mark, Overlap, XArray};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn does_what_a_map_does(bytes in prop::collection::vec(any::<u8>(), 1..1000)) {
        map::play(&bytes);
    }
}

/// What the fuzzer starts from (see `fuzz/`).
#[test]
fn does_what_a_map_does_in_the_corpus_of_the_fuzzer() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/xarray");
    let mut verbs = 0;
    for seed in std::fs::read_dir(corpus).unwrap() {
        verbs += map::play(&std::fs::read(seed.unwrap().path()).unwrap());
    }
    assert!(verbs > 100, "{verbs} verbs in all");
}

#[test]
fn takes_a_node_only_where_one_is_needed() -> Result<(), Overlap> {
    let array = XArray::new();
    assert_eq!((array.node_count(), array.node_bytes()), (0, 0));
    array.lock().store(0, 0, Entry::item(1))?;
    assert_eq!((array.node_count(), array.node_bytes()), (0, 0));
    array.lock().store(1, 0, Entry::item(2))?;
    assert_eq!(array.node_count(), 1);
    let one = array.node_bytes();
    array.lock().store(64, 6, Entry::item(3))?;
    assert_eq!(array.node_count(), 2);
    array.lock().erase(100);
    assert_eq!(array.node_count(), 1);
    array.lock().store(1 << 12, 0, Entry::item(4))?;
    assert_eq!(array.node_count(), 5);
    array.lock().erase(1 << 12);
    array.lock().erase(1);
    assert_eq!(array.node_count(), 0);
    assert_eq!(array.node_bytes(), 7 * one, "chunks of 1, 2 and 4");
    assert_eq!(array.load(0), Some(Entry::item(1)));
    Ok(())
}

#[test]
fn marks_stay_with_an_entry_of_the_same_order_only() -> Result<(), Overlap> {
    let array = XArray::new();
    let mut locked = array.lock();
    locked.store(8, 2, Entry::item(1))?;
    locked.set_mark(10, Mark::Dirty);
    locked.store(8, 2, Entry::value(2))?;
    assert!(locked.get_mark(11, Mark::Dirty));
    locked.split(9, 1, Entry::item);
    assert!(locked.get_mark(8, Mark::Dirty) && locked.get_mark(11, Mark::Dirty));
    assert_eq!(locked.store(8, 3, Entry::item(3))?, Some(Entry::item(8).with_order(1)));
    assert!(!locked.any_marked(Mark::Dirty));
    Ok(())
}

#[test]
fn a_refused_store_names_what_is_in_its_way() -> Result<(), Overlap> {
    let array = XArray::new();
    let mut locked = array.lock();
    let entry = Entry::item(1);
    locked.store(512, 9, entry)?;
    let covered = Overlap::Covered { base: 512, entry: entry.with_order(9) };
    assert_eq!(locked.store(1023, 0, entry), Err(covered));
    assert_eq!(covered.to_string(), "covered by an entry of order 9 at index 512");
    let misaligned = Overlap::Misaligned { index: 1025, order: 1 };
    assert_eq!(locked.store(1025, 1, entry), Err(misaligned));
    assert_eq!(misaligned.to_string(), "no entry of order 1 can begin at index 1025");
    let too_large = MAX_ORDER + 1;
    assert!(locked.store(0, too_large, entry).is_err());
    assert!(locked.store(0, u32::MAX, entry).is_err(), "no shift overflows");
    Ok(())
}
