//! Adversaries: the columns of the matrix.

use super::acts::{
    AHEAD, CALLER, DIRECT, DIRECT_OUT, DROPPER, FLUSHER, GRABBER, LOADER, PINNER, PUNCHER, READER,
    STORER, SYNCER, TRUNCATOR,
};
use super::kind::{Kind, State};
use super::movers::MOVER;
use super::play::Actor;
use super::space::{ADVISER, FORKER, PROTECTOR, REMAPPER, SHIFTER, SWAPPER};
use crate::tally::Fact;

/// Who gets in the way of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Writers,
    Loads,
    Stores,
    Calls,
    Direct,
    PinsHeld,
    PinsPassing,
    Sync,
    Truncate,
    Punch,
    Mremap,
    Mprotect,
    Fork,
    Remap,
    Madvise,
    DropCaches,
    Readahead,
    SecondMover,
    All,
}

impl Column {
    pub const ALL: [Self; 19] = [
        Self::Writers,
        Self::Loads,
        Self::Stores,
        Self::Calls,
        Self::Direct,
        Self::PinsHeld,
        Self::PinsPassing,
        Self::Sync,
        Self::Truncate,
        Self::Punch,
        Self::Mremap,
        Self::Mprotect,
        Self::Fork,
        Self::Remap,
        Self::Madvise,
        Self::DropCaches,
        Self::Readahead,
        Self::SecondMover,
        Self::All,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Writers => "writers",
            Self::Loads => "loads",
            Self::Stores => "stores",
            Self::Calls => "calls",
            Self::Direct => "direct-io",
            Self::PinsHeld => "pins-held",
            Self::PinsPassing => "pins-passing",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Punch => "punch",
            Self::Mremap => "mremap",
            Self::Mprotect => "mprotect",
            Self::Fork => "fork",
            Self::Remap => "remap",
            Self::Madvise => "madvise",
            Self::DropCaches => "drop-caches",
            Self::Readahead => "readahead",
            Self::SecondMover => "second-mover",
            Self::All => "all",
        }
    }

    /// What a page keeps to, in a claim that begins "While it is moved …".
    pub fn claim(self) -> &'static str {
        match self {
            Self::Writers => "keeps what loads, stores and calls of several threads make of it",
            Self::Loads => "has its own bytes for every load",
            Self::Stores => "loses no store of any thread",
            Self::Calls => "has the same bytes for calls as for loads, and loses no write",
            Self::Direct => "gets what a device reads into it, and gives it what it has",
            Self::PinsHeld => "stays where it is for as long as somebody holds it",
            Self::PinsPassing => "is the page that a passing reference has",
            Self::Sync => "is written back with its newest bytes",
            Self::Truncate => "does not come back when it has been truncated",
            Self::Punch => "does not come back when a hole was punched",
            Self::Mremap => "is found at every address that its mapping gets",
            Self::Mprotect => "takes no store while stores are forbidden",
            Self::Fork => "is in a child as it was at the fork, and what that writes stays there",
            Self::Remap => "is found by the next mapping, or gone with its own",
            Self::Madvise => "outlives being dropped, paged out and collapsed, as far as it may",
            Self::DropCaches => "is read again when all clean pages were dropped",
            Self::Readahead => "is not filled over by readahead",
            Self::SecondMover => "is where one of two movers put it, whole",
            Self::All => "keeps what it has while everything happens at once",
        }
    }

    /// Whether it can be played on such memory.
    pub fn applies(self, kind: Kind) -> bool {
        let (file, mapped, stores) = (kind.has_file(), kind.is_mapped(), kind.takes_stores());
        let unsettled = matches!(kind, Kind::Hugetlb | Kind::Ksm);
        match self {
            Self::Writers | Self::All => true,
            Self::SecondMover | Self::Loads | Self::PinsPassing => mapped,
            // A pin of a private mapping makes a copy of the page, which is the file's no longer.
            Self::PinsHeld => mapped && kind.state() != Some(State::Private),
            Self::Stores => stores,
            Self::Mprotect => stores && kind != Kind::Hugetlb,
            Self::Direct => mapped,
            Self::Calls => file,
            // A file under a private copy, or in huge pages, is not cut here.
            Self::Truncate | Self::Punch => file && mapped,
            Self::Sync | Self::Readahead | Self::DropCaches => kind.has_disk(),
            Self::Mremap | Self::Remap => {
                mapped
                    && !unsettled
                    && !matches!(kind.state(), Some(State::Cow))
                    && kind != Kind::SwapCache
                    && kind != Kind::MemfdHuge
            }
            // Shared memory of no file is another one when it is mapped anew.
            Self::Fork => mapped && !unsettled,
            Self::Madvise => mapped && !unsettled,
        }
    }

    /// Who acts, beside who moves.
    pub fn cast(self, kind: Kind) -> Vec<Actor> {
        let (file, stores) = (kind.has_file(), kind.takes_stores());
        let store = if stores { STORER } else { CALLER };
        let load = if kind.is_mapped() { LOADER } else { READER };
        let mut cast = vec![store, load];
        match self {
            Self::Writers => {
                cast.push(if file { CALLER } else { store });
                cast.extend(file.then_some(READER));
            }
            Self::Loads => cast.extend([load, load]),
            Self::Stores => cast.extend([store, store]),
            Self::Calls => cast.extend([CALLER, READER, READER]),
            Self::All => cast.extend(self.everything(kind)),
            _ => cast.extend(self.own(kind)),
        }
        cast.extend(match kind.state() {
            Some(State::Clean) => Some(SYNCER),
            Some(State::Writeback) => Some(FLUSHER),
            Some(State::Sparse) if self != Self::Truncate => Some(PUNCHER),
            _ => None,
        });
        cast.extend((kind == Kind::SwapCache).then_some(SWAPPER));
        cast
    }

    /// The adversary itself.
    fn own(self, kind: Kind) -> Option<Actor> {
        Some(match self {
            Self::Direct if kind.takes_stores() => DIRECT,
            Self::Direct => DIRECT_OUT,
            Self::PinsHeld => PINNER,
            Self::PinsPassing => GRABBER,
            Self::Sync => SYNCER,
            Self::Truncate => TRUNCATOR,
            Self::Punch => PUNCHER,
            Self::Mremap => SHIFTER,
            Self::Mprotect => PROTECTOR,
            Self::Fork => FORKER,
            Self::Remap => REMAPPER,
            Self::Madvise => ADVISER,
            Self::DropCaches => DROPPER,
            Self::Readahead => AHEAD,
            Self::SecondMover => MOVER,
            Self::Writers | Self::Loads | Self::Stores | Self::Calls | Self::All => return None,
        })
    }

    /// All adversaries that get along with each other: none whose children, or whose cuts, would
    /// make what another one looks at uncertain.
    fn everything(self, kind: Kind) -> Vec<Actor> {
        let apart = [Self::Fork, Self::Truncate, Self::Punch, Self::DropCaches, Self::PinsHeld];
        let apart = |column: &Self| apart.contains(column);
        let played = Self::ALL.into_iter().filter(|column| !apart(column) && column.applies(kind));
        played
            .filter(|column| *column != Self::Remap || !kind.goes_with_its_mapping())
            .filter(|column| *column != Self::Madvise || !kind.is_private())
            .filter(|column| *column != Self::Direct)
            .filter_map(|column| column.own(kind))
            .collect()
    }

    /// What must have happened, beside moves.
    pub fn reach(self, kind: Kind) -> Vec<Fact> {
        let own = match self {
            Self::Direct => Some(Fact::Transferred),
            Self::PinsHeld | Self::PinsPassing => Some(Fact::Pinned),
            Self::Sync => Some(Fact::Synced),
            Self::Truncate | Self::Punch => Some(Fact::Cut),
            Self::Mremap | Self::Remap => Some(Fact::Remapped),
            Self::Mprotect => Some(Fact::Protected),
            Self::Fork => Some(Fact::Forked),
            Self::Madvise | Self::DropCaches | Self::Readahead => Some(Fact::Advised),
            _ => None,
        };
        let seen = if kind.is_mapped() { Fact::Viewed } else { Fact::Read };
        [Fact::Moved, Fact::Written, seen].into_iter().chain(own).collect()
    }

    /// Whether pages may lie beyond the end of their file.
    pub fn cuts(self) -> bool {
        self == Self::Truncate
    }
}
