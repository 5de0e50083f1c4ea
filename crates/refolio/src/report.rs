//! What became of each page that was to be moved.

use std::fmt;
use std::time::Duration;

use crate::core::Why;
use crate::holder::{Holder, List};
use crate::units::{FrameNo, PageIndex, Vpn};

/// Whose page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// Of a file: [`File::number`](crate::File::number), and where in it the folio begins.
    File {
        /// Number of the file in its cache.
        file: u32,
        /// First page of the folio.
        index: PageIndex,
    },
    /// Anonymous memory.
    Anonymous {
        /// The page of its view.
        page: Vpn,
    },
    /// Nobody's any more: its file was truncated, but somebody holds it still.
    Orphan,
}

/// What kind of page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The file has the same bytes.
    FileClean,
    /// The file does not have these bytes yet.
    FileDirty,
    /// No file has it.
    Anonymous,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::FileClean => "file clean",
            Kind::FileDirty => "file dirty",
            Kind::Anonymous => "anonymous",
        })
    }
}

/// What became of a page: what its caller may do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has moved.
    Moved {
        /// Where its folio began.
        from: FrameNo,
        /// Where it begins now.
        to: FrameNo,
    },
    /// The answer of a dry run: nothing stands in the way.
    WouldMove,
    /// It lives on the target node already.
    Here,
    /// Something passing stood in the way in every pass: try again.
    Again(Why),
    /// Somebody holds it: it moves when they let go.
    Busy {
        /// Who.
        holders: Vec<Holder>,
    },
    /// The target node has no room, and none could be made. Folios of this size and larger ones
    /// were not tried after it.
    NoMemory,
    /// It was freed or truncated before it could be moved: nothing left to do.
    Gone,
    /// Its bytes are not to be trusted, and are not copied.
    Poisoned,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Moved { from, to } => write!(f, "moved from frame {} to {}", from.0, to.0),
            Outcome::WouldMove => f.write_str("would move"),
            Outcome::Here => f.write_str("was there already"),
            Outcome::Again(why) => write!(f, "try again: {why}"),
            Outcome::Busy { holders } => write!(f, "busy: {}", List(holders)),
            Outcome::NoMemory => f.write_str("no room on the target node"),
            Outcome::Gone => f.write_str("gone"),
            Outcome::Poisoned => f.write_str("poisoned"),
        }
    }
}

/// One folio's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOutcome {
    /// Whose it is.
    pub owner: Owner,
    /// What it was when last looked at.
    pub kind: Kind,
    /// It has 2^order pages.
    pub order: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// The outcomes of a migration, in the order in which the pages were named.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each folio.
    pub outcomes: Vec<PageOutcome>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Pages (not folios) by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named after the outcomes")]
pub struct Counts {
    pub moved: u64,
    pub would_move: u64,
    pub here: u64,
    pub again: u64,
    pub busy: u64,
    pub no_memory: u64,
    pub gone: u64,
    pub poisoned: u64,
}

impl Report {
    /// Pages by outcome.
    pub fn counts(&self) -> Counts {
        self.counts_of(|_| true)
    }

    /// Pages by outcome, of those that `wanted` names.
    pub fn counts_of(&self, wanted: impl Fn(&PageOutcome) -> bool) -> Counts {
        let mut counts = Counts::default();
        for page in self.outcomes.iter().filter(|page| wanted(page)) {
            *match page.outcome {
                Outcome::Moved { .. } => &mut counts.moved,
                Outcome::WouldMove => &mut counts.would_move,
                Outcome::Here => &mut counts.here,
                Outcome::Again(_) => &mut counts.again,
                Outcome::Busy { .. } => &mut counts.busy,
                Outcome::NoMemory => &mut counts.no_memory,
                Outcome::Gone => &mut counts.gone,
                Outcome::Poisoned => &mut counts.poisoned,
            } += 1u64 << page.order;
        }
        counts
    }

    /// The folios that did not get where they should be, and are not gone either.
    pub fn left(&self) -> impl Iterator<Item = &PageOutcome> {
        self.outcomes.iter().filter(|page| {
            !matches!(page.outcome, Outcome::Moved { .. } | Outcome::Here | Outcome::Gone)
        })
    }
}
