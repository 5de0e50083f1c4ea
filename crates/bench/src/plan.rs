//! How much is measured, and who watches.

use std::path::PathBuf;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes that are resident, where a suite is about memory.
    pub bytes: usize,
    /// Bytes of the file, where a suite is about a device.
    pub file_bytes: u64,
    /// Measurements of each thing.
    pub reps: usize,
    /// How long one takes, where that can be chosen.
    pub span: Duration,
    /// The most threads at a time.
    pub threads: usize,
    /// A folder on a disk, for files that are gone afterwards. Whoever runs the suite removes it.
    pub dir: PathBuf,
    /// Of what is not a limit, only what has this in its name.
    pub only: Option<String>,
    /// Whether the whole machine may be touched: memory may go offline for a moment.
    pub disruptive: bool,
}

impl Plan {
    /// Whether something of this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Who asked for the measurement.
pub trait Host {
    /// Whether to stop at the next safe point.
    fn is_stopped(&self) -> bool;

    /// What goes on: repetition `done` of `all`.
    fn doing(&self, what: &str, done: usize, all: usize);
}
