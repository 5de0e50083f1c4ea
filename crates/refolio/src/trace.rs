//! What a migration does, step by step, for whoever wants to watch.
//!
//! The steps are those of [`protocol`](crate::protocol), in the order of its table; a test holds
//! the two together.

use std::fmt;
use std::time::Duration;

use crate::units::FrameNo;

/// A step of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Off the LRU, one more reference.
    Isolate,
    /// A folio of the same order on the target node.
    Alloc,
    /// The source's lock, then the destination's.
    Lock,
    /// Every table entry becomes a migration entry.
    Unmap,
    /// References as expected? Then the bytes are copied.
    Copy,
    /// The point of no return: freeze, exchange, unfreeze.
    Switch,
    /// Entries to the destination, on the LRU, unlock, last put.
    Finish,
    /// A step failed; everything before it is taken back.
    Undo,
}

impl Step {
    /// The seven steps in their order.
    pub const ALL: [Step; 7] = [
        Step::Isolate,
        Step::Alloc,
        Step::Lock,
        Step::Unmap,
        Step::Copy,
        Step::Switch,
        Step::Finish,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Isolate => "isolate",
            Step::Alloc => "alloc",
            Step::Lock => "lock",
            Step::Unmap => "unmap",
            Step::Copy => "copy",
            Step::Switch => "switch",
            Step::Finish => "finish",
            Step::Undo => "undo",
        })
    }
}

/// A folio at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolioState {
    /// Its first frame.
    pub frame: FrameNo,
    /// References: 0 when frozen or free.
    pub references: u32,
    /// Grows with every change of bytes or identity.
    pub version: u32,
    /// The flags that are set, by name.
    pub flags: Vec<&'static str>,
    /// Present table entries.
    pub mapped: u32,
    /// Index in its file of the first page; None for anonymous folios and orphans.
    pub index: Option<u64>,
}

impl fmt::Display for FolioState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, references, version, flags, mapped, index } = self;
        write!(f, "frame {} refs {references} v{version} mapped {mapped}", frame.0)?;
        if let Some(index) = index {
            write!(f, " page {index}")?;
        }
        write!(f, " [{}]", flags.join(" "))
    }
}

/// Everything that a step may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The folio that moves.
    pub source: FolioState,
    /// The folio it moves to, once there is one.
    pub destination: Option<FolioState>,
    /// The first table entry that maps the page, in words.
    pub entry: Option<String>,
    /// The frame that the slot in the file names.
    pub slot: Option<FrameNo>,
}

/// One step that was done, or undone.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which.
    pub step: Step,
    /// The function that did it.
    pub function: &'static str,
    /// What it did, in words.
    pub what: String,
    /// How things stood before.
    pub before: Option<Look>,
    /// And after.
    pub after: Look,
    /// Of the switch: how long nobody could get a reference, from before the freeze until after the
    /// thaw (so it is longer by what it takes to ask for the time once).
    pub frozen: Option<Duration>,
}

/// Receives the events of a migration, on the thread that migrates, between its steps: folios are
/// locked meanwhile, so it must not touch the cache.
pub type Watcher<'w> = &'w dyn Fn(&Event);
