//! Nodes and their memory: the one file of this crate with `unsafe` in it.
//!
//! A node's memory is *type-stable*: it comes from the array's own pool, goes back to it, and is
//! never anything but a node until the whole array goes. So a pointer to a node, however old, may
//! always be followed; whether the node is still the one that was meant is a question that
//! `generation` and `place` answer (see `walk.rs`).
//!
//! # Invariants
//!
//! 1. A word with a node's address is made only from a node of a pool, and put only into slots of
//!    the same [`Arena`]: its head, or its pool's nodes. (No code of this crate holds two arenas.)
//! 2. A pool's chunks are allocated once, and dropped only with the arena. So a `&'a Node` may be
//!    had from whatever was borrowed from the arena for `'a`.
//! 3. A node in the free list has an even generation and no slot that is not empty.
#![allow(unsafe_code)] // to follow the pointers in slots, and to own the chunks they lead to

mod held;
#[cfg(refolio_explore)]
mod told;

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::entry::{Entry, INFO_MASK, INFO_SHIFT, KIND_MASK, Kind, Mark, PAYLOAD_SHIFT};
use crate::sync::{Acquire, AtomicPtr, AtomicU64, Mutex, MutexGuard, Relaxed, Release};
use crate::sync::{broken, plain};

/// Bits of the index that one level of nodes decides. The checker has small nodes.
#[doc(alias = "XA_CHUNK_SHIFT")]
pub(crate) const BITS: u32 = if cfg!(refolio_model) { 2 } else { 6 };

/// Slots in a node.
#[doc(alias = "XA_CHUNK_SIZE")]
pub(crate) const SLOTS: usize = 1 << BITS;

/// Nodes in the largest chunk; each one before it has half as many as its successor.
const MAX_CHUNK: usize = if cfg!(refolio_model) { 2 } else { 64 };

/// What is below a node's address in a word: its alignment leaves room for that.
const TAG: u64 = (1 << PAYLOAD_SHIFT) - 1;

const _: () = assert!(usize::BITS == 64, "a slot's word holds an address or 58 bits of payload");
const _: () = assert!(align_of::<Node>() as u64 > TAG);

/// Which indices a node on the level at `shift` serves, `index` among them: the first of them, with
/// the bit `shift` (clear in it) set, so that each level's nodes have places of their own.
#[inline]
pub(crate) const fn place(index: u64, shift: u32) -> u64 {
    index & u64::MAX << shift << BITS | 1 << shift
}

/// The content of a slot at one moment, as one word (see `entry.rs`).
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    bits: *mut (),
    nodes: PhantomData<&'a Node>,
}

/// A word, taken apart.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    Empty,
    Node(&'a Node),
    Entry(Entry),
    /// The entry is in this slot of the same node.
    Sibling(usize),
}

impl<'a> Word<'a> {
    pub const EMPTY: Self = Self::new(ptr::null_mut());

    const fn new(bits: *mut ()) -> Self {
        Self { bits, nodes: PhantomData }
    }

    pub fn entry(entry: Entry) -> Self {
        Self::new(ptr::without_provenance_mut(entry.word() as usize))
    }

    pub fn sibling(slot: usize) -> Self {
        let bits = slot << PAYLOAD_SHIFT | Kind::Sibling as usize;
        Self::new(ptr::without_provenance_mut(bits))
    }

    pub fn node(node: &'a Node) -> Self {
        let level = u64::from(node.shift() / BITS);
        let pointer = ptr::from_ref(node).cast_mut().cast::<()>();
        Self::new(pointer.map_addr(|address| address | (level << INFO_SHIFT) as usize))
    }

    #[inline]
    fn addr(self) -> u64 {
        self.bits.addr() as u64
    }

    /// The node below.
    #[inline]
    pub fn as_node(self) -> Option<&'a Node> {
        if self.addr() & KIND_MASK != Kind::Node as u64 || self.bits.is_null() {
            return None;
        }
        let node = self.bits.map_addr(|address| address & !(TAG as usize)).cast::<Node>();
        // SAFETY: a word of this kind that is not null was made by `Word::node` from a reference to
        // a node of the arena (invariant 1), whose provenance it has kept, and the node is there as
        // long as the arena, which is borrowed for 'a (invariant 2). Only shared references to it
        // exist from the allocation of its chunk until the arena goes.
        Some(unsafe { &*node })
    }

    /// The shift of the node's level, in the word of a node.
    #[inline]
    pub fn node_shift(self) -> u32 {
        (self.addr() >> INFO_SHIFT & INFO_MASK) as u32 * BITS
    }

    /// The slot that a sibling points to.
    #[inline]
    pub fn as_sibling(self) -> Option<usize> {
        let is = self.addr() & KIND_MASK == Kind::Sibling as u64;
        is.then_some((self.addr() >> PAYLOAD_SHIFT) as usize & (SLOTS - 1))
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.bits.is_null()
    }

    /// The entry; None in an empty word. The word is neither a node's nor a sibling.
    #[inline]
    pub fn as_entry(self) -> Option<Entry> {
        Entry::from_word(self.addr())
    }

    #[inline]
    pub fn content(self) -> Content<'a> {
        if let Some(node) = self.as_node() {
            Content::Node(node)
        } else if let Some(slot) = self.as_sibling() {
            Content::Sibling(slot)
        } else {
            self.as_entry().map_or(Content::Empty, Content::Entry)
        }
    }
}

/// A place for a word. Anybody may load; whoever holds the lock stores.
pub(crate) struct Slot(AtomicPtr<()>);

impl Slot {
    fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub fn load(&self) -> Word<'_> {
        // Acquire: pairs with `store`. What was written before an entry was stored is seen by who
        // finds the entry, and what was written to a node, its generation above all, before one of
        // its slots is seen by who finds the slot's new word.
        Word::new(self.0.load(Acquire))
    }

    /// As `load`, by the holder of the lock, who needs no ordering: nobody else stores.
    pub fn get(&self) -> Word<'_> {
        #[cfg(not(refolio_model))]
        let bits = self.0.load(Relaxed);
        // SAFETY: all stores are made under the lock. (The checker need not try what can have one
        // result only.)
        #[cfg(refolio_loom)]
        let bits = unsafe { self.0.unsync_load() };
        #[cfg(refolio_explore)]
        let bits = self.0.settled();
        Word::new(bits)
    }

    /// By the holder of the lock.
    pub fn store(&self, word: Word<'_>) {
        // Release: see `load`.
        let order = if broken("slot-release") { Relaxed } else { Release };
        self.0.store(word.bits, order);
    }
}

/// One level's part of the way from an index to its entry.
///
/// The fields above `slots` share a cache line. Those that are `plain` belong to the holder of the
/// lock: Relaxed, because the lock orders them.
#[doc(alias = "xa_node")]
#[cfg_attr(not(refolio_model), repr(C, align(64)))]
#[cfg_attr(refolio_model, repr(C, align(128)))]
pub(crate) struct Node {
    /// Odd while the node is in use. Moves on whenever it begins or ceases to be, and around every
    /// change of its siblings.
    generation: AtomicU64,
    /// What it serves ([`place`]).
    place: AtomicU64,
    /// Null in the root.
    parent: plain::AtomicPtr<Node>,
    /// The slots that hold a node or an entry; not those of siblings.
    present: plain::AtomicU64,
    /// Of those, the slots whose entry is marked, or has a marked one below.
    marks: [plain::AtomicU64; Mark::ALL.len()],
    slots: [Slot; SLOTS],
}

impl Node {
    fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            place: AtomicU64::new(0),
            parent: plain::AtomicPtr::default(),
            present: plain::AtomicU64::default(),
            marks: Default::default(),
            slots: std::array::from_fn(|_| Slot::new()),
        }
    }

    #[inline]
    pub fn slot(&self, offset: usize) -> &Slot {
        &self.slots[offset & (SLOTS - 1)]
    }

    /// The first look of a reader, whose second one is `is_still`.
    #[inline]
    pub fn generation(&self) -> u64 {
        // Acquire: pairs with `move_on`. What the node was given before it came into use, and what
        // was stored before a change of siblings ended, is seen.
        self.generation.load(Acquire)
    }

    /// Whether the generation is still the one that was read before.
    #[inline]
    pub fn is_still(&self, generation: u64) -> bool {
        // Relaxed: every load between the two looks was an Acquire, and so came before this one.
        self.generation.load(Relaxed) == generation
    }

    /// What it serves ([`place`]).
    #[inline]
    pub fn serves(&self) -> u64 {
        // Acquire: when it is a later user's, the generation that ended the former use is seen.
        self.place.load(Acquire)
    }

    pub fn parent(&self) -> Option<&Node> {
        // SAFETY: null, or made by `set_parent` from a reference to a node of the same arena, which
        // lives as long as this one (invariant 2).
        unsafe { self.parent.load(Relaxed).as_ref() }
    }

    pub fn set_parent(&self, parent: Option<&Node>) {
        let parent = parent.map_or(ptr::null(), ptr::from_ref);
        self.parent.store(parent.cast_mut(), Relaxed);
    }
}

/// A word that is stored only under the lock, for its holder.
fn own(word: &AtomicU64) -> u64 {
    #[cfg(not(refolio_model))]
    return word.load(Relaxed);
    // SAFETY: as in `Slot::get`.
    #[cfg(refolio_loom)]
    return unsafe { word.unsync_load() };
    #[cfg(refolio_explore)]
    return word.settled();
}

/// A cache line of its own.
#[repr(align(64))]
struct Line<T>(T);

/// The nodes of one array, and the slot that leads to the first of them.
pub(crate) struct Arena {
    head: Line<Slot>,
    pool: Mutex<Pool>,
    used: plain::AtomicU64,
    held: plain::AtomicU64,
    #[cfg(refolio_explore)]
    show: std::sync::OnceLock<crate::sync::Show>,
}

/// What the holder of the lock has.
struct Pool {
    chunks: Vec<NonNull<[Node]>>,
    /// Has room for all nodes.
    free: Vec<NonNull<Node>>,
    /// The marks of an entry that stands in the head.
    head_marks: [bool; Mark::ALL.len()],
}

// SAFETY: the pointers are to nodes that the pool owns, and a node, all atomics, is Send and Sync.
unsafe impl Send for Pool {}

impl Arena {
    pub fn new() -> Self {
        let pool = Pool { chunks: Vec::new(), free: Vec::new(), head_marks: Default::default() };
        Self {
            head: Line(Slot::new()),
            pool: Mutex::new(pool),
            used: plain::AtomicU64::new(0),
            held: plain::AtomicU64::new(0),
            #[cfg(refolio_explore)]
            show: std::sync::OnceLock::new(),
        }
    }

    #[doc(alias = "xa_head")]
    #[inline]
    pub fn head(&self) -> &Slot {
        &self.head.0
    }

    pub fn lock(&self) -> Guard<'_> {
        Guard { arena: self, pool: self.pool.lock() }
    }

    /// Nodes in use.
    pub fn used(&self) -> usize {
        // Relaxed: a number to report.
        self.used.load(Relaxed) as usize
    }

    /// Bytes in all chunks.
    pub fn bytes(&self) -> usize {
        // Relaxed: a number to report.
        self.held.load(Relaxed) as usize * size_of::<Node>()
    }
}

/// The lock over an arena: it alone takes nodes, gives them back, and stores in slots.
pub(crate) struct Guard<'a> {
    arena: &'a Arena,
    pool: MutexGuard<'a, Pool>,
}

impl<'a> Guard<'a> {
    pub fn head(&self) -> &'a Slot {
        self.arena.head()
    }

    pub fn head_mark(&mut self, mark: Mark) -> &mut bool {
        &mut self.pool.head_marks[mark as usize]
    }

    /// For the check of the whole tree.
    #[cfg(any(test, feature = "testing"))]
    pub fn head_marks(&self) -> [bool; Mark::ALL.len()] {
        self.pool.head_marks
    }

    #[cfg(any(test, feature = "testing"))]
    pub fn used(&self) -> usize {
        self.arena.used()
    }

    #[cfg(any(test, feature = "testing"))]
    pub fn free(&self) -> impl Iterator<Item = &'a Node> {
        // SAFETY: nodes of this arena, which is borrowed for 'a (invariant 2).
        self.pool.free.iter().map(|node| unsafe { node.as_ref() })
    }

    pub fn has_head_mark(&self, mark: Mark) -> bool {
        self.pool.head_marks[mark as usize]
    }

    /// A node to serve `place`, not in use yet: all slots empty, nothing marked.
    pub fn take(&mut self, place: u64, parent: Option<&'a Node>) -> &'a Node {
        let node = self.pool.free.pop().unwrap_or_else(|| self.pool.grow(&self.arena.held));
        self.arena.used.store(self.arena.used.load(Relaxed) + 1, Relaxed);
        // SAFETY: a node of a chunk of this arena, which is borrowed for 'a (invariant 2).
        let node: &'a Node = unsafe { node.as_ref() };
        // Release: who sees this place, and not the one before, sees the generation that ended the
        // former use.
        node.place.store(place, Release);
        node.set_parent(parent);
        #[cfg(refolio_explore)]
        self.arena.christen_slots(node, place);
        node
    }

    /// Takes back a node that no slot in use leads to any more, and all nodes below that still call
    /// it their parent.
    pub fn give_back(&mut self, node: &'a Node) {
        let late = broken("generation-before-emptying");
        if !late {
            node.go_out_of_use();
        }
        for slot in &node.slots {
            match slot.get().content() {
                Content::Empty => continue,
                Content::Node(child) if child.parent().is_some_and(|up| ptr::eq(up, node)) => {
                    self.give_back(child);
                }
                _ => {}
            }
            slot.store(Word::EMPTY);
        }
        if late {
            node.go_out_of_use();
        }
        node.forget(0..SLOTS);
        self.arena.used.store(self.arena.used.load(Relaxed) - 1, Relaxed);
        self.pool.free.push(NonNull::from(node));
    }
}

/// Which nodes are free, by their place in the pool, to the checker of states.
#[cfg(refolio_explore)]
impl std::hash::Hash for Pool {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.chunks.len(), self.head_marks).hash(state);
        for node in &self.free {
            let starts = self.chunks.iter().map(|chunk| chunk.cast::<Node>().addr().get());
            let place = starts.map(|start| node.addr().get().wrapping_sub(start)).enumerate();
            place.min_by_key(|(_, offset)| *offset).hash(state);
        }
    }
}

impl Pool {
    /// Allocates another chunk; one of its nodes.
    #[cold]
    fn grow(&mut self, held: &plain::AtomicU64) -> NonNull<Node> {
        let len = MAX_CHUNK.min(1 << self.chunks.len().min(16));
        let chunk: Box<[Node]> = std::iter::repeat_with(Node::new).take(len).collect();
        let total = held.load(Relaxed) + len as u64;
        held.store(total, Relaxed);
        self.free.reserve(total as usize);

        let chunk: NonNull<[Node]> = NonNull::from(Box::leak(chunk));
        self.chunks.push(chunk);
        let first = chunk.cast::<Node>();
        // SAFETY: all within the chunk, which has `len` nodes.
        self.free.extend((1..len).rev().map(|n| unsafe { first.add(n) }));
        first
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            // SAFETY: leaked from a box in `grow`, once. The arena goes, so nothing that was
            // borrowed from it is left (invariant 2).
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}
