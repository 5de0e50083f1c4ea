//! The objects of an execution, and the hash of its state.
//!
//! An object is known by a *key* that is the same in every execution in which it plays the same
//! part: by the thread that used it first, and how many that thread had used first before.
//!
//! The state of an execution is hashed bit by bit as it goes on: `memory` is the exclusive or of one
//! hash for each object and its value, and each thread has a hash of its *history*: every
//! operation it has done, and every value that it saw. A thread is deterministic, so two threads
//! with the same history have the same local variables and stand at the same place. The value of a
//! lock is the hash of what it protects.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Mixes `b` into `a` (after SplitMix64: Steele, Lea, Flood 2014).
#[inline]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut mixed = (a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The hash of a value.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Where an object is in the list of the execution that used it last. (The checker has one thread
/// of the machine at a time: the atomic is for the compiler, which asks of types to be `Sync`.)
#[derive(Debug, Default)]
pub struct Id(AtomicU64);

impl Id {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Its place, if it has one in this execution.
    #[inline]
    fn get(&self, execution: u32) -> Option<usize> {
        let word = self.0.load(Relaxed);
        (word >> 32 == u64::from(execution)).then_some(word as u32 as usize)
    }
}

/// How a value, or the change from one to another, is told: see [`Named::show`].
pub type Show = fn(before: u64, after: u64) -> String;

/// What an object is called in a trace.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name, for people.
    pub name: String,
    /// Says what an operation did that found one value and left the other (the same one, if it
    /// changed nothing).
    pub show: Show,
}

/// Who has a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    pub readers: u32,
    pub writer: bool,
}

/// The most threads of a scene.
pub const MAX_THREADS: usize = 16;

/// How much of each thread came before a moment: a vector clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock([u32; MAX_THREADS]);

impl Clock {
    /// Everything that is in `other` came before, too.
    #[inline]
    pub fn join(&mut self, other: &Clock) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = theirs.max(*mine);
        }
    }

    #[inline]
    fn contains(&self, other: &Clock) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| *mine >= theirs)
    }

    #[inline]
    fn tick(&mut self, thread: usize) {
        self.0[thread] += 1;
    }
}

/// One object in one execution.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub key: u64,
    /// Its value; None before the first operation.
    pub value: Option<u64>,
    /// What came before the newest look, and before the newest change.
    looked: Clock,
    changed: Clock,
    /// Threads meet here, and nothing else orders them: the order of their operations matters.
    pub is_crossroads: bool,
    pub holders: Holders,
    pub named: Option<Named>,
}

/// All objects of one execution.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    execution: u32,
    pub all: Vec<Object>,
    /// The exclusive or of all keys and values.
    pub memory: u64,
    /// Names for addresses, by which thread saw them first.
    addresses: HashMap<u64, u64>,
}

/// Below this, what an `AtomicPtr` holds is not an address but a small number.
const LOWEST_ADDRESS: u64 = 1 << 32;

/// Bits of an address that may be used as a tag.
const TAG: u64 = 63;

impl Objects {
    pub fn new(execution: u32) -> Self {
        Self { execution, ..Self::default() }
    }

    /// The place of the object, which gets `key()` when it is new.
    #[inline]
    pub fn place(&mut self, id: &Id, key: impl FnOnce() -> u64) -> usize {
        id.get(self.execution).unwrap_or_else(|| {
            let place = self.add(key());
            id.0.store(u64::from(self.execution) << 32 | place as u64, Relaxed);
            place
        })
    }

    pub fn add(&mut self, key: u64) -> usize {
        self.all.push(Object { key, ..Object::default() });
        self.all.len() - 1
    }

    /// The object had one value, and has another now; whether that is a change.
    #[inline]
    pub fn set(&mut self, place: usize, before: u64, after: u64) -> bool {
        let object = &mut self.all[place];
        if object.value.is_none() {
            self.memory ^= mix(object.key, before);
        }
        object.value = Some(after);
        if before == after {
            return false;
        }
        self.memory ^= mix(object.key, before) ^ mix(object.key, after);
        true
    }

    /// A thread, before which `clock` came, has used an object; whether that makes it a crossroads
    /// that it was not before.
    #[inline]
    pub fn used(&mut self, place: usize, thread: usize, clock: &mut Clock, changed: bool) -> bool {
        let object = &mut self.all[place];
        let ordered =
            clock.contains(&object.changed) && (!changed || clock.contains(&object.looked));
        let is_new = !ordered && !object.is_crossroads;
        object.is_crossroads |= is_new;
        if object.is_crossroads {
            clock.join(&object.changed);
            if changed {
                clock.join(&object.looked);
            }
        }
        clock.tick(thread);
        if changed {
            object.changed = *clock
        } else {
            object.looked.join(clock)
        }
        is_new
    }

    /// A number for what an `AtomicPtr` holds that is the same in executions in which it is the same
    /// thing: addresses are named by `name()`, when they are seen first; a tag in the lowest bits
    /// stays.
    pub fn canonical(&mut self, bits: u64, name: impl FnOnce() -> u64) -> u64 {
        if bits < LOWEST_ADDRESS {
            return bits;
        }
        *self.addresses.entry(bits & !TAG).or_insert_with(name) ^ bits & TAG
    }
}
