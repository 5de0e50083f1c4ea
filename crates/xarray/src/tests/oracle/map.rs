//! The array as a map: verbs, read from bytes, and what a `BTreeMap` says they do. It knows the
//! public interface only, so the fuzzer includes this very file.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use refolio_xarray::{Cursor, Entry, Locked, MAX_ORDER, Mark, Overlap, XArray};

/// Plays what the bytes mean, and compares after each verb; how many verbs there were.
pub fn play(bytes: &[u8]) -> usize {
    let (array, mut map) = (XArray::new(), Map::default());
    let (mut from, mut verbs) = (Unstructured::new(bytes), 0);
    while !from.is_empty() {
        let verb = Verb::read(&mut from).expect("bytes that have run out are zeros");
        let index = map.run(&array, &verb);
        map.compare(&array, index);
        verbs += 1;
    }
    let (mut found, mut locked) = (Vec::new(), array.lock());
    while let Some((base, entry)) = locked.next(0) {
        found.push((base, Word::from(entry)));
        locked.erase(base);
    }
    let expected: Vec<_> = map.0.iter().map(|(base, known)| (*base, known.word)).collect();
    assert_eq!(found, expected);
    locked.check();
    assert_eq!(array.node_count(), 0);
    verbs
}

#[derive(Clone, Debug)]
enum Verb {
    Store {
        index: u64,
        order: u32,
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

impl Verb {
    fn read(from: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match from.int_in_range(0..=23)? {
            0..8 => {
                let (index, order) = (index(from)?, order(from)?);
                let aligned = from.ratio(19, 20)?;
                let index = if aligned { index >> order << order } else { index };
                Self::Store { index, order, payload: payload(from)? }
            }
            8..11 => Self::Erase(index(from)?),
            11..13 => Self::Split { index: index(from)?, new_order: order(from)? },
            13..18 => Self::Mark { index: index(from)?, mark: mark(from)?, set: from.ratio(2, 3)? },
            18..22 => Self::Look { from: index(from)?, mark: mark(from)? },
            22 => {
                let (start, len) = (index(from)?, from.int_in_range(0..=39)?);
                let mark = if from.arbitrary()? { Some(mark(from)?) } else { None };
                Self::Walk { from: start, len, mark }
            }
            _ => Self::EraseFrom(index(from)?),
        })
    }
}

/// Mostly near a few places, so that entries meet.
fn index(from: &mut Unstructured<'_>) -> Result<u64> {
    const NEAR: [u64; 5] = [0, 4096 - 600, 1 << 30, 1 << 60, u64::MAX - 1300];
    let near = match from.int_in_range(0..=15)? {
        0..6 => NEAR[0],
        6..9 => NEAR[1],
        9..11 => NEAR[2],
        11..13 => NEAR[3],
        13..15 => NEAR[4],
        _ => from.arbitrary()?,
    };
    let offset = match from.int_in_range(0..=2)? {
        0 => from.int_in_range(0..=3)?,
        1 => from.int_in_range(0..=69)?,
        _ => from.int_in_range(0..=1300)?,
    };
    Ok(near.saturating_add(offset))
}

fn order(from: &mut Unstructured<'_>) -> Result<u32> {
    if from.arbitrary()? { Ok(0) } else { from.int_in_range(0..=MAX_ORDER) }
}

fn mark(from: &mut Unstructured<'_>) -> Result<Mark> {
    Ok(*from.choose(&MARKS)?)
}

fn payload(from: &mut Unstructured<'_>) -> Result<u64> {
    if from.ratio(7, 8)? { from.int_in_range(0..=255) } else { Ok(Entry::MAX_PAYLOAD) }
}

const MARKS: [Mark; 3] = [Mark::Dirty, Mark::Writeback, Mark::Spare];

/// What can be seen of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Word {
    item: bool,
    payload: u64,
    order: u32,
}

impl From<Entry> for Word {
    fn from(entry: Entry) -> Self {
        Self { item: entry.is_item(), payload: entry.payload(), order: entry.order() }
    }
}

/// An entry, which goes with its first index.
#[derive(Clone, Copy, Debug)]
struct Known {
    word: Word,
    marks: [bool; 3],
}

impl Known {
    fn last(&self, base: u64) -> u64 {
        base + ((1 << self.word.order) - 1)
    }
}

/// What a store may answer.
#[derive(PartialEq, Eq, Debug)]
enum Stored {
    Over(Option<Word>),
    Misaligned,
    Covered(u64, Word),
}

impl From<std::result::Result<Option<Entry>, Overlap>> for Stored {
    fn from(result: std::result::Result<Option<Entry>, Overlap>) -> Self {
        match result {
            Ok(old) => Self::Over(old.map(Word::from)),
            Err(Overlap::Covered { base, entry }) => Self::Covered(base, entry.into()),
            Err(_) => Self::Misaligned,
        }
    }
}

/// Entries by their first index.
#[derive(Default)]
struct Map(BTreeMap<u64, Known>);

impl Map {
    fn find(&self, index: u64) -> Option<(u64, Known)> {
        let (&base, &known) = self.0.range(..=index).next_back()?;
        (known.last(base) >= index).then_some((base, known))
    }

    fn find_word(&self, index: u64) -> Option<(u64, Word)> {
        self.find(index).map(|(base, known)| (base, known.word))
    }

    fn next(&self, from: u64, mark: Option<Mark>) -> Option<(u64, Word)> {
        let wanted = |known: &Known| mark.is_none_or(|mark| known.marks[mark as usize]);
        let covers = self.find(from).into_iter();
        let follow = self.0.range(from..).map(|(&base, &known)| (base, known));
        let mut all = covers.chain(follow).filter(|(_, known)| wanted(known));
        all.next().map(|(base, known)| (base, known.word))
    }

    fn store(&mut self, index: u64, word: Word) -> Stored {
        let order = word.order;
        if !index.is_multiple_of(1 << order) {
            return Stored::Misaligned;
        }
        let mut marks = [false; 3];
        if let Some((base, known)) = self.find(index) {
            if known.word.order > order {
                return Stored::Covered(base, known.word);
            }
            if known.word.order == order {
                marks = known.marks;
            }
        }
        let last = index + ((1 << order) - 1);
        let old: Vec<u64> = self.0.range(index..=last).map(|(&base, _)| base).collect();
        let old: Vec<Known> = old.iter().filter_map(|base| self.0.remove(base)).collect();
        self.0.insert(index, Known { word, marks });
        Stored::Over(old.first().map(|known| known.word))
    }

    fn split(&mut self, index: u64, order: u32) -> bool {
        match self.find(index) {
            Some((base, known)) if known.word.order > order => {
                for piece in (base..=known.last(base)).step_by(1 << order) {
                    let word = Word { order, ..piece_of(piece).into() };
                    self.0.insert(piece, Known { word, marks: known.marks });
                }
                true
            }
            _ => false,
        }
    }

    /// Does it to both; where to look afterwards.
    fn run(&mut self, array: &XArray, verb: &Verb) -> u64 {
        let mut locked = array.lock();
        match *verb {
            Verb::Store { index, order, payload } => {
                let stored = Stored::from(locked.store(index, order, Entry::item(payload)));
                assert_eq!(stored, self.store(index, Word { item: true, payload, order }));
                index
            }
            Verb::Erase(index) => {
                let expected = self.find_word(index);
                self.0.remove(&expected.map_or(index, |(base, _)| base));
                assert_eq!(seen(locked.erase(index)), expected);
                index
            }
            Verb::Split { index, new_order } => {
                assert_eq!(locked.split(index, new_order, piece_of), self.split(index, new_order));
                index
            }
            Verb::Mark { index, mark, set } => {
                let known = self.find(index).and_then(|(base, _)| self.0.get_mut(&base));
                let was = known
                    .is_some_and(|known| std::mem::replace(&mut known.marks[mark as usize], set));
                let answer =
                    if set { locked.set_mark(index, mark) } else { locked.clear_mark(index, mark) };
                assert_eq!(answer, was);
                index
            }
            Verb::Look { from, mark } => {
                assert_eq!(seen(locked.next(from)), self.next(from, None));
                assert_eq!(seen(locked.next_marked(from, mark)), self.next(from, Some(mark)));
                from
            }
            Verb::Walk { from, len, mark } => {
                self.walk(&mut locked, from, len, mark);
                from
            }
            Verb::EraseFrom(from) => {
                let mut cursor = locked.cursor(from);
                while cursor.next().is_some() {
                    cursor.erase();
                }
                self.0.retain(|&base, known| known.last(base) < from);
                from
            }
        }
    }

    fn walk(&mut self, locked: &mut Locked<'_>, from: u64, len: usize, mark: Option<Mark>) {
        let mut cursor = locked.cursor(from);
        let mut from = Some(from);
        for step in 0..len {
            let expected = from.and_then(|from| self.next(from, mark));
            let found =
                if let Some(mark) = mark { cursor.next_marked(mark) } else { cursor.next() };
            assert_eq!(seen(found), expected);
            let Some((base, word)) = expected else {
                assert_eq!((cursor.erase(), cursor.replace(piece_of(0))), (None, None));
                assert!(!cursor.set_mark(Mark::Dirty) && !cursor.clear_mark(Mark::Dirty));
                return;
            };
            let known = self.0.get_mut(&base).expect("it was just found");
            from = known.last(base).checked_add(1);
            match step % 3 {
                0 => {
                    assert_eq!(cursor.erase().map(Word::from), Some(word));
                    assert_eq!((cursor.erase(), cursor.get_mark(Mark::Spare)), (None, false));
                    self.0.remove(&base);
                }
                1 => {
                    known.word = Word { item: true, payload: step as u64, order: word.order };
                    let old = cursor.replace(Entry::item(step as u64));
                    assert_eq!(old.map(Word::from), Some(word));
                }
                _ => turn(&mut cursor, &mut known.marks[Mark::Dirty as usize]),
            }
        }
    }

    /// Whether the array says of this index, and of others, what the map does.
    fn compare(&self, array: &XArray, index: u64) {
        let locked = array.lock();
        locked.check();
        let around =
            [index.saturating_sub(1), index, index.saturating_add(1), index ^ 0x21, !index];
        for index in around {
            let expected = self.find(index);
            let word = expected.map(|(_, known)| known.word);
            assert_eq!(array.load(index).map(Word::from), word);
            assert_eq!(array.peek(index).map(Word::from), word);
            assert_eq!(locked.load(index).map(Word::from), word);
            assert_eq!(seen(locked.find(index)), self.find_word(index));
            for mark in MARKS {
                let is = expected.is_some_and(|(_, known)| known.marks[mark as usize]);
                assert_eq!(locked.get_mark(index, mark), is);
                let any = self.0.values().any(|known| known.marks[mark as usize]);
                assert_eq!(locked.any_marked(mark), any);
            }
        }
    }
}

fn seen(found: Option<(u64, Entry)>) -> Option<(u64, Word)> {
    found.map(|(base, entry)| (base, entry.into()))
}

fn piece_of(index: u64) -> Entry {
    Entry::value(index & Entry::MAX_PAYLOAD)
}

/// Turns the mark of the entry that the cursor is at.
fn turn(cursor: &mut Cursor<'_, '_>, dirty: &mut bool) {
    let mark = Mark::Dirty;
    assert_eq!(cursor.get_mark(mark), *dirty);
    let was = if *dirty { cursor.clear_mark(mark) } else { cursor.set_mark(mark) };
    assert_eq!(was, *dirty);
    *dirty = !*dirty;
}
