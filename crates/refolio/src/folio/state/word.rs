//! The parts of a folio's word, and the word as it stood at one moment. See `state.rs`.

pub(super) const REFERENCES: u64 = (1 << 20) - 1;
/// Half of the references that can be counted.
const HALF: u64 = REFERENCES.div_ceil(2);
/// One change of the version. The checker of states has four bits for it, where a program has 32: so
/// states come again where a loop gives a frame back and takes it anew, and a search has an end. (It
/// would take a thread there to hold a version while exactly 16 changes are made, to be deceived.)
pub(super) const VERSION_ONE: u64 = if cfg!(refolio_explore) { 1 << 60 } else { 1 << 32 };

/// The most references a folio can have; the next one is refused.
pub(crate) const MAX_REFERENCES: u32 = REFERENCES as u32;

/// One flag of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(pub(super) u64);

impl Flag {
    pub const LOCKED: Flag = Flag(1 << 20);
    pub const WAITERS: Flag = Flag(1 << 21);
    pub const UPTODATE: Flag = Flag(1 << 22);
    pub const DIRTY: Flag = Flag(1 << 23);
    pub const WRITEBACK: Flag = Flag(1 << 24);
    pub const REFERENCED: Flag = Flag(1 << 25);
    pub const ACTIVE: Flag = Flag(1 << 26);
    pub const ON_LRU: Flag = Flag(1 << 27);
    pub const ANON: Flag = Flag(1 << 28);
    pub const PRIVATE: Flag = Flag(1 << 29);
    pub const POISONED: Flag = Flag(1 << 30);
    pub const GUARDED: Flag = Flag(1 << 31);

    const NAMES: [(Flag, &str); 12] = [
        (Flag::LOCKED, "locked"),
        (Flag::WAITERS, "waiters"),
        (Flag::UPTODATE, "uptodate"),
        (Flag::DIRTY, "dirty"),
        (Flag::WRITEBACK, "writeback"),
        (Flag::REFERENCED, "referenced"),
        (Flag::ACTIVE, "active"),
        (Flag::ON_LRU, "lru"),
        (Flag::ANON, "anon"),
        (Flag::PRIVATE, "private"),
        (Flag::POISONED, "poisoned"),
        (Flag::GUARDED, "guarded"),
    ];

    /// What a folio takes along when it moves: everything that tells of its bytes and its use,
    /// nothing that tells of the frame it leaves (lock, waiters, list).
    pub(super) const MOVES: u64 = Flag::UPTODATE.0
        | Flag::DIRTY.0
        | Flag::REFERENCED.0
        | Flag::ACTIVE.0
        | Flag::ANON.0
        | Flag::PRIVATE.0;
}

/// The word as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot(pub(super) u64);

impl Snapshot {
    /// The flags alone.
    pub fn flags(self) -> Self {
        Self(self.0 & (VERSION_ONE - 1) & !REFERENCES)
    }

    /// Some of the flags alone.
    pub(super) fn only(self, flags: u64) -> Self {
        Self(self.0 & flags)
    }

    pub fn references(self) -> u32 {
        (self.0 & REFERENCES) as u32
    }

    pub fn version(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub fn has(self, flag: Flag) -> bool {
        self.0 & flag.0 != 0
    }

    /// Whether an optimistic reader may begin: somebody holds the folio (it is not frozen), and its
    /// bytes are valid.
    #[inline]
    pub fn is_readable(self) -> bool {
        // In one comparison, since every read asks it: the flag stands above the references.
        self.0 & (Flag::UPTODATE.0 | REFERENCES) > Flag::UPTODATE.0
    }

    /// Whether that is so, and there is room for many more references. Who is told no can still
    /// have one, by `State::try_get`.
    #[inline]
    pub(super) fn is_pinnable(self) -> bool {
        // As above; without the flag, or with no references at all, the difference wraps.
        let valid = self.0 & (Flag::UPTODATE.0 | REFERENCES);
        valid.wrapping_sub(Flag::UPTODATE.0 + 1) < HALF - 1
    }

    /// The names of the flags that are set, in the order of the table above.
    pub fn flag_names(self) -> Vec<&'static str> {
        Flag::NAMES.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| *name).collect()
    }
}
