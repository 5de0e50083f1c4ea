//! Random verbs, on the array and on a `BTreeMap` that says what they mean.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::{Entry, Locked, MAX_ORDER, Mark, Overlap, XArray};

/// What an entry has beside its first index.
#[derive(Clone, Copy, Debug)]
struct Known {
    entry: Entry,
    marks: [bool; 3],
}

/// Entries by their first index.
#[derive(Default)]
struct Oracle(BTreeMap<u64, Known>);

impl Known {
    fn last(&self, base: u64) -> u64 {
        base + ((1 << self.entry.order()) - 1)
    }
}

impl Oracle {
    fn find(&self, index: u64) -> Option<(u64, Known)> {
        let (&base, &known) = self.0.range(..=index).next_back()?;
        (known.last(base) >= index).then_some((base, known))
    }

    fn next(&self, from: u64, mark: Option<Mark>) -> Option<(u64, Entry)> {
        let wanted = |known: &Known| mark.is_none_or(|mark| known.marks[mark as usize]);
        let covers = self.find(from).into_iter();
        let follow = self.0.range(from..).map(|(&base, &known)| (base, known));
        let mut all = covers.chain(follow).filter(|(_, known)| wanted(known));
        all.next().map(|(base, known)| (base, known.entry))
    }

    fn store(&mut self, index: u64, order: u32, entry: Entry) -> Result<Option<Entry>, Overlap> {
        if order > MAX_ORDER || !index.is_multiple_of(1 << order) {
            return Err(Overlap::Misaligned { index, order });
        }
        let mut marks = [false; 3];
        if let Some((base, known)) = self.find(index) {
            if known.entry.order() > order {
                return Err(Overlap::Covered { base, entry: known.entry });
            }
            if known.entry.order() == order {
                marks = known.marks;
            }
        }
        let entry = entry.with_order(order);
        let last = index + ((1 << order) - 1);
        let old: Vec<u64> = self.0.range(index..=last).map(|(&base, _)| base).collect();
        let old: Vec<Known> = old.iter().filter_map(|base| self.0.remove(base)).collect();
        self.0.insert(index, Known { entry, marks });
        Ok(old.first().map(|known| known.entry))
    }

    fn split(&mut self, index: u64, new_order: u32) -> bool {
        match self.find(index) {
            Some((base, known)) if known.entry.order() > new_order => {
                for piece in (base..=known.last(base)).step_by(1 << new_order) {
                    let entry = piece_of(piece).with_order(new_order);
                    self.0.insert(piece, Known { entry, marks: known.marks });
                }
                true
            }
            _ => false,
        }
    }
}

fn piece_of(index: u64) -> Entry {
    Entry::value(index & Entry::MAX_PAYLOAD)
}

#[derive(Clone, Debug)]
enum Verb {
    Store {
        index: u64,
        order: u32,
        aligned: bool,
        payload: u64,
    },
    Erase(u64),
    Split {
        index: u64,
        new_order: u32,
    },
    Mark {
        index: u64,
        mark: Mark,
        set: bool,
    },
    Look {
        from: u64,
        mark: Mark,
    },
    /// Over `len` entries: every third is erased, replaced, or its mark turned.
    Walk {
        from: u64,
        len: usize,
        mark: Option<Mark>,
    },
    EraseFrom(u64),
}

fn index() -> impl Strategy<Value = u64> {
    let near = prop_oneof![
        4 => Just(0),
        2 => Just(4096 - 600),
        1 => Just(1 << 30),
        1 => Just(1 << 60),
        2 => Just(u64::MAX - 1300),
        1 => any::<u64>(),
    ];
    let offset = prop_oneof![0..4u64, 0..70u64, 0..1301u64];
    (near, offset).prop_map(|(near, offset)| near.saturating_add(offset))
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![Just(Mark::Dirty), Just(Mark::Writeback), Just(Mark::Spare)]
}

fn verb() -> impl Strategy<Value = Verb> {
    let order = prop_oneof![Just(0), 0..=MAX_ORDER];
    prop_oneof![
        8 => (index(), order, prop::bool::weighted(0.95), 0..=Entry::MAX_PAYLOAD).prop_map(
            |(index, order, aligned, payload)| Verb::Store { index, order, aligned, payload }
        ),
        3 => index().prop_map(Verb::Erase),
        2 => (index(), 0..=MAX_ORDER)
            .prop_map(|(index, new_order)| Verb::Split { index, new_order }),
        5 => (index(), mark(), prop::bool::weighted(0.7))
            .prop_map(|(index, mark, set)| Verb::Mark { index, mark, set }),
        4 => (index(), mark()).prop_map(|(from, mark)| Verb::Look { from, mark }),
        1 => (index(), 0..40usize, prop::option::of(mark()))
            .prop_map(|(from, len, mark)| Verb::Walk { from, len, mark }),
        1 => index().prop_map(Verb::EraseFrom),
    ]
}

fn walk(locked: &mut Locked<'_>, oracle: &mut Oracle, from: u64, len: usize, mark: Option<Mark>) {
    let mut cursor = locked.cursor(from);
    let mut from = Some(from);
    for step in 0..len {
        let expected = from.and_then(|from| oracle.next(from, mark));
        let found = if let Some(mark) = mark { cursor.next_marked(mark) } else { cursor.next() };
        assert_eq!(found, expected);
        let Some((base, entry)) = found else {
            assert_eq!((cursor.erase(), cursor.replace(piece_of(0))), (None, None));
            assert!(!cursor.set_mark(Mark::Dirty) && !cursor.clear_mark(Mark::Dirty));
            return;
        };
        let known = oracle.0.get_mut(&base).unwrap();
        from = known.last(base).checked_add(1);
        match step % 3 {
            0 => {
                assert_eq!(cursor.erase(), Some(entry));
                assert_eq!((cursor.erase(), cursor.get_mark(Mark::Spare)), (None, false));
                oracle.0.remove(&base);
            }
            1 => {
                known.entry = Entry::item(step as u64).with_order(entry.order());
                assert_eq!(cursor.replace(Entry::item(step as u64)), Some(entry));
            }
            _ => {
                let dirty = &mut known.marks[Mark::Dirty as usize];
                assert_eq!(cursor.get_mark(Mark::Dirty), *dirty);
                let turn = |c: &mut crate::Cursor<'_, '_>, set| {
                    if set { c.set_mark(Mark::Dirty) } else { c.clear_mark(Mark::Dirty) }
                };
                assert_eq!(turn(&mut cursor, !*dirty), *dirty);
                *dirty = !*dirty;
            }
        }
    }
}

fn run(array: &XArray, oracle: &mut Oracle, verb: &Verb) -> u64 {
    let mut locked = array.lock();
    match *verb {
        Verb::Store { index, order, aligned, payload } => {
            let index = if aligned { index >> order << order } else { index };
            let entry = Entry::item(payload);
            assert_eq!(locked.store(index, order, entry), oracle.store(index, order, entry));
            index
        }
        Verb::Erase(index) => {
            let expected = oracle.find(index).map(|(base, known)| (base, known.entry));
            oracle.0.remove(&expected.map_or(index, |(base, _)| base));
            assert_eq!(locked.erase(index), expected);
            index
        }
        Verb::Split { index, new_order } => {
            assert_eq!(locked.split(index, new_order, piece_of), oracle.split(index, new_order));
            index
        }
        Verb::Mark { index, mark, set } => {
            let known = oracle.find(index);
            let was = known.is_some_and(|(_, known)| known.marks[mark as usize]);
            if let Some(known) = known.and_then(|(base, _)| oracle.0.get_mut(&base)) {
                known.marks[mark as usize] = set;
            }
            let answer =
                if set { locked.set_mark(index, mark) } else { locked.clear_mark(index, mark) };
            assert_eq!(answer, was);
            index
        }
        Verb::Look { from, mark } => {
            assert_eq!(locked.next(from), oracle.next(from, None));
            assert_eq!(locked.next_marked(from, mark), oracle.next(from, Some(mark)));
            from
        }
        Verb::Walk { from, len, mark } => {
            walk(&mut locked, oracle, from, len, mark);
            from
        }
        Verb::EraseFrom(from) => {
            let mut cursor = locked.cursor(from);
            while cursor.next().is_some() {
                cursor.erase();
            }
            oracle.0.retain(|&base, known| known.last(base) < from);
            from
        }
    }
}

fn compare(array: &XArray, oracle: &Oracle, index: u64) {
    let locked = array.lock();
    locked.check();
    let around = [index.saturating_sub(1), index, index.saturating_add(1), index ^ 0x21, !index];
    for index in around {
        let expected = oracle.find(index);
        let entry = expected.map(|(_, known)| known.entry);
        assert_eq!(array.load(index), entry);
        assert_eq!((array.peek(index), locked.load(index)), (entry, entry));
        assert_eq!(locked.find(index), expected.map(|(base, known)| (base, known.entry)));
        for mark in Mark::ALL {
            let is = expected.is_some_and(|(_, known)| known.marks[mark as usize]);
            assert_eq!(locked.get_mark(index, mark), is);
            let any = oracle.0.values().any(|known| known.marks[mark as usize]);
            assert_eq!(locked.any_marked(mark), any);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn does_what_a_map_does(verbs in prop::collection::vec(verb(), 1..120)) {
        let (array, mut oracle) = (XArray::new(), Oracle::default());
        for verb in &verbs {
            let index = run(&array, &mut oracle, verb);
            compare(&array, &oracle, index);
        }
        let mut found = Vec::new();
        let mut locked = array.lock();
        while let Some((base, entry)) = locked.next(0) {
            found.push((base, entry));
            locked.erase(base);
        }
        let expected: Vec<_> = oracle.0.iter().map(|(&base, known)| (base, known.entry)).collect();
        prop_assert_eq!(found, expected);
        locked.check();
        prop_assert_eq!(array.node_count(), 0);
    }
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
