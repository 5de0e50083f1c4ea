//! What a cache says of itself.

use crate::frame::Backing;
use crate::units::NodeId;

/// A node at one moment; exact when the cache is at rest. All counts are in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct NodeStats {
    pub id: NodeId,
    pub name: String,
    pub frames: u64,
    pub nr_free_pages: u64,
    pub nr_file_pages: u64,
    pub nr_anon_pages: u64,
    pub nr_dirty: u64,
    pub nr_writeback: u64,
    pub nr_isolated: u64,
    pub nr_active: u64,
    pub nr_inactive: u64,
    pub drained: bool,
    pub backing: Backing,
}

/// What has happened in a cache, in pages; the kernel's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct Stats {
    pub pgfault: u64,
    pub pgmajfault: u64,
    pub pgmigrate_success: u64,
    pub pgmigrate_fail: u64,
    pub pgscan: u64,
    pub pgsteal: u64,
    pub pgdemote: u64,
    pub pgwriteback: u64,
    pub workingset_refault: u64,
}
